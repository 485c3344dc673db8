//! A disk that fills up while the server runs.

use std::{net::TcpListener, time::Duration};

use serde_json::json;

use crate::{
    dns::{A, Asker, NOERROR},
    http,
    sandbox::scenario,
    server::serve,
    until::{SOON, until},
};

#[test]
fn a_full_disk_fails_writes_and_nothing_else() {
    scenario("disk", |sandbox| {
        sandbox.run("mkdir data && mount -t tmpfs -o size=24m none data");
        let options = format!("--data-dir {}/data --forward off --dns 127.0.0.1:8600", sandbox.folder().display());
        let server = serve(sandbox, &options);
        let mut asker = Asker::new(([127, 0, 0, 1], 8600));
        let mut addresses = |name: &str| {
            let answer = asker.ask(name, A).unwrap();
            assert_eq!(answer.rcode, NOERROR, "{name}: registered, so never NXDOMAIN or SERVFAIL");
            answer.addresses.len()
        };

        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let probed = listener.local_addr().unwrap();
        let check = json!({ "TCP": probed.to_string(), "Interval": "1s", "Timeout": "500ms" });
        assert_eq!(register("probed", json!({ "Check": check })).status, 200);
        assert_eq!(register("plain", json!({})).status, 200);
        until("the check passes", SOON, || (addresses("probed") == 1).then_some(()));

        assert!(!sandbox.attempt("cat /dev/zero >data/filler").status.success(), "the disk is full");
        let mut acknowledged = Vec::new();
        let refusal = (0..2_000).find_map(|n| {
            let id = format!("filling-{n}");
            let response = register(&id, json!({ "Meta": { "text": "x".repeat(500) } }));
            (response.status == 200).then(|| acknowledged.push(id)).is_none().then_some(response)
        });
        let refusal = refusal.expect("a full disk takes no 2,000 registrations");
        assert_eq!(refusal.status, 500, "{}", refusal.body);
        let path = sandbox.folder().join("data/nameplate.redb").display().to_string();
        assert!(refusal.body.contains(&path), "names {path}: {}", refusal.body);

        assert_eq!(addresses("plain"), 1);
        drop(listener);
        until("a critical check takes its instance out", PROBED_SOON, || (addresses("probed") == 0).then_some(()));
        let listener = TcpListener::bind(probed).unwrap();
        until("a passing check brings it back", PROBED_SOON, || (addresses("probed") == 1).then_some(()));
        assert_eq!(register("refused", json!({})).status, 500, "still full");

        sandbox.run("rm data/filler");
        until("writes succeed again", SOON, || (register("later", json!({})).status == 200).then_some(()));
        server.kill();
        let _server = serve(sandbox, &options);
        acknowledged.extend(["plain", "probed", "later"].map(str::to_owned));
        let served = http::read("/v1/agent/services");
        for id in acknowledged {
            assert!(served.get(&id).is_some(), "{id} was acknowledged and is lost");
        }
        drop(listener);
    });
}

/// Registers an instance of a service of the same name at 192.0.2.1.
fn register(name: &str, more: serde_json::Value) -> http::Response {
    let mut body = json!({ "Name": name, "Address": "192.0.2.1", "Port": 80 });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    http::request("PUT", "/v1/agent/service/register", &body.to_string()).unwrap()
}

/// Most time from what happens to a probed server to what is answered: the interval, the timeout, and some for two
/// busy cores.
const PROBED_SOON: Duration = Duration::from_secs(5);
