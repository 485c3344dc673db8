//! schemathesis, which makes requests from the API's own description: those that fit it, and those that do not. Each response
//! must have a status, headers and a body that the description tells of, and none is a failure of the server.
//!
//! `tests/clients/schemathesis.toml` bounds it: the same requests each time, each for itself, and no read waits for long.
//!
//! **Limits:** that a request which fits is never refused, or one that does not always, is not asked: some fields exclude
//! each other, and what Consul takes without looking at it, we take.

use std::time::Duration;

use crate::{
    clients::environment,
    http,
    sandbox::scenario,
    server::{ready, serve},
};

#[test]
fn no_request_made_from_the_description_fails_the_server() {
    scenario("schemathesis", |sandbox| {
        let _server = serve(sandbox, "--ephemeral --forward off --docker off --node n1 --advertise 192.0.2.1");
        for (method, path, body) in THERE {
            let answer = http::request(method, path, body).unwrap();
            assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        }
        let program = environment().join("bin/schemathesis");
        assert!(program.exists(), "{} is missing: tests/run step prepare_clients", program.display());
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients");
        let command = format!(
            "PYTHONDONTWRITEBYTECODE=1 PYTHONPATH={folder} {} --config-file {folder}/schemathesis.toml run --checks {} {}",
            program.display(),
            CHECKS.join(","),
            "http://127.0.0.1:8500/v1/openapi.json",
        );
        let output = sandbox.attempt_for(LIMIT, &command);
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{printed}{}", String::from_utf8_lossy(&output.stderr));
        let tested = printed.lines().find_map(|line| line.trim().strip_prefix("Tested: ")?.parse::<usize>().ok());
        assert!(tested.is_some_and(|tested| tested >= 98), "all operations are tested:\n{printed}");
        ready();
    });
}

/// What the requests find, by the names that schemathesis is told.
const THERE: &[(&str, &str, &str)] = &[
    (
        "PUT",
        "/v1/agent/service/register",
        r#"{"Name": "web", "ID": "web-1", "Address": "192.0.2.7", "Port": 80, "Check": {"TTL": "1h"}}"#,
    ),
    ("PUT", "/v1/agent/check/register", r#"{"Name": "alive", "ServiceID": "web-1", "TTL": "1h"}"#),
    (
        "PUT",
        "/v1/catalog/register",
        r#"{"Node": "db1", "Address": "192.0.2.9", "Service": {"ID": "db-1", "Service": "db", "Port": 5432}}"#,
    ),
    ("PUT", "/v1/kv/app/motto", "foo"),
    ("POST", "/v1/query", r#"{"Name": "main-db", "Service": {"Service": "db"}}"#),
];

const CHECKS: &[&str] = &[
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
];

/// Most time for all of it. Source: none, chosen: twice what it takes on two cores.
const LIMIT: Duration = Duration::from_secs(180);
