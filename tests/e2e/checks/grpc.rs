//! The health service of gRPC's own library for Python, in clear and over TLS.

use serde_json::{Value, json};

use super::{Check, Server, Shown, Watched, certificates, nameplate, shown};
use crate::{clients::environment, sandbox::scenario, until::SOON};

#[test]
fn a_check_says_what_a_grpc_server_says_of_itself() {
    scenario("checks-grpc", |sandbox| {
        certificates(sandbox);
        let python = environment().join("bin/python");
        assert!(python.exists(), "{} is missing: tests/run step prepare_clients", python.display());
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/health_server.py");
        let command = format!("{} -B {script} 9090 9443 server.crt server.key", python.display());
        let _server = nameplate(sandbox, "");
        let servers = vec![Server::command(sandbox, "grpc", command)];
        let mut watched = Watched::start(sandbox, servers, checks());
        let cart_is = |signal: &str, cart: Shown<'_>| {
            sandbox.run(&format!("kill -{signal} $(cat grpc.pid)"));
            let whole = ("passing", ": SERVING");
            shown(&[("clear", whole), ("clear-cart", cart), ("tls", whole), ("tls-cart", cart)], SOON);
        };
        cart_is("USR1", ("critical", "NOT_SERVING"));
        cart_is("USR2", ("passing", ": SERVING"));
        watched.hang();
        watched.end();
    });
}

fn checks() -> Vec<Check> {
    let clear = |target: &str| json!({ "GRPC": format!("127.0.0.1:9090{target}") });
    let tls = |target: &str| json!({ "GRPC": format!("127.0.0.1:9443{target}"), "GRPCUseTLS": true });
    let named = |mut definition: Value, name: &str| {
        definition["TLSServerName"] = json!(name);
        definition
    };
    let mut wrong_unverified = named(tls(""), "other.example");
    wrong_unverified["TLSSkipVerify"] = json!(true);
    vec![
        Check::new("clear", clear(""), ": SERVING"),
        Check::new("clear-cart", clear("/shop.Cart"), ": SERVING"),
        Check::always("clear-old", clear("/shop.Old"), ("critical", "NOT_SERVING")),
        Check::always("clear-unknown", clear("/shop.None"), ("critical", "NOT_FOUND")),
        Check::new("tls", tls(""), ": SERVING"),
        Check::new("tls-cart", named(tls("/shop.Cart"), "web.example"), ": SERVING"),
        Check::always("tls-old", tls("/shop.Old"), ("critical", "NOT_SERVING")),
        Check::always("tls-unknown", tls("/shop.None"), ("critical", "NOT_FOUND")),
        Check::always("tls-wrong", named(tls(""), "other.example"), ("critical", "not valid for name")),
        Check::new("tls-wrong-unverified", wrong_unverified, ": SERVING"),
        Check::new("h2ping", json!({ "H2PING": "127.0.0.1:9443" }), "Success"),
        Check::new("h2ping-clear", json!({ "H2PING": "127.0.0.1:9090", "H2PingUseTLS": false }), "Success"),
        Check::always("clear-at-tls", json!({ "GRPC": "127.0.0.1:9443" }), ("critical", "")),
        Check::always("tls-at-clear", json!({ "GRPC": "127.0.0.1:9090", "GRPCUseTLS": true }), ("critical", "")),
    ]
}
