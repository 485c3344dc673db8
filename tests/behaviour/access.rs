//! Tokens, from the file to what HTTP takes and DNS answers.

use std::fs;

use hickory_proto::{op::ResponseCode, rr::RecordType};
use tempfile::tempdir;

use crate::harness::{run, serve, until};

const FILE: &str = r#"
[policy.public]
rules = '''
service_prefix "web" { policy = "read" }
node "n1" { policy = "read" }
'''
[policy.deploy]
rules = '''
service_prefix "" { policy = "write" }
node_prefix "" { policy = "read" }
agent_prefix "" { policy = "read" }
'''
[token.ci]
secret = "5f2c0c52-4a53-4d0c-9a3f-0d4c8a0f8f11"
policies = ["deploy"]
[anonymous]
policies = ["public"]
"#;

const CI: [&str; 2] = ["--token", "5f2c0c52-4a53-4d0c-9a3f-0d4c8a0f8f11"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_of_the_file_registers_and_dns_answers_what_everybody_may_read() {
    let home = tempdir().unwrap();
    let tokens = home.path().join("tokens.toml");
    fs::write(&tokens, FILE).unwrap();
    let mut served = serve(&home, &["--ephemeral", "--access", "on", "--access-tokens", "tokens.toml"]).await;
    let register = |name: &'static str| ["register", name, "--port", "80", "--address", "192.0.2.9"];
    let (code, _, said) = served.verb(&register("web"));
    assert!(code == 2 && said.contains("anonymous token lacks permission 'service:write' on \"web\""), "{code} {said}");
    for name in ["web", "db"] {
        assert_eq!(served.verb(&[&register(name)[..], &CI].concat()).0, 0);
    }
    assert_eq!(served.at.addresses("web.service.internal.").await, ["192.0.2.9"]);
    let hidden = served.at.ask("db.service.internal.", RecordType::A).await;
    assert_eq!((hidden.rcode, hidden.extended.is_none()), (ResponseCode::NXDomain, true), "{hidden:?}");
    let (_, listed, _) = served.verb(&["services"]);
    assert!(listed.contains("web") && !listed.contains("db"), "{listed}");
    assert!(served.verb(&[&["services"][..], &CI].concat()).1.contains("db"));

    // It is followed as it changes, in DNS too; one that is wrong changes nothing, and its secrets are in no log.
    fs::write(&tokens, FILE.replace("\"web\"", "\"db\"")).unwrap();
    until("db is for everybody", async || !served.at.addresses("db.service.internal.").await.is_empty()).await;
    assert_eq!(served.at.ask("web.service.internal.", RecordType::A).await.rcode, ResponseCode::NXDomain);
    fs::write(&tokens, FILE.replace("policies = [\"public\"]", "policies = [\"publik\"]")).unwrap();
    until("it is told", async || served.complaints().contains("no policy \"publik\" in this file")).await;
    assert_eq!(served.at.addresses("db.service.internal.").await, ["192.0.2.9"]);
    assert!(!served.complaints().contains(CI[1]), "{}", served.complaints());
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_others_reach_it_it_is_closed_until_somebody_says_otherwise() {
    for (flags, reads, writes) in [
        (&[][..], false, false),
        (&["--access-anonymous", "read"], true, false),
        (&["--access-anonymous", "write"], true, true),
    ] {
        let home = tempdir().unwrap();
        let flags = [&["--ephemeral", "--http", "0.0.0.0:0"], flags].concat();
        let mut served = serve(&home, &flags).await;
        served.at.http.set_ip("127.0.0.1".parse().unwrap());
        assert_eq!(served.at.get("/v1/catalog/services").await.status, if reads { 200 } else { 403 });
        let page = served.at.put("/v1/agent/service/register", r#"{"Name": "web", "Address": "192.0.2.9"}"#).await;
        assert_eq!(page.status, if writes { 200 } else { 403 });
        assert!(writes || page.body.contains("access_anonymous"), "{}", page.body);
        assert_eq!(served.complaints().contains("all requests are refused"), !reads, "{}", served.complaints());
        until("it finds itself healthy", async || served.at.addresses("nameplate.service.internal.").await.len() < 2)
            .await;
        served.stop().await;
    }
}

#[test]
fn a_tokens_file_that_is_wrong_is_told_at_the_start_and_by_config_check() {
    let home = tempdir().unwrap();
    fs::write(home.path().join("tokens.toml"), FILE.replace("node \"n1\"", "nod \"n1\"")).unwrap();
    fs::write(home.path().join("nameplate.toml"), "access = \"on\"\naccess_tokens = \"tokens.toml\"\n").unwrap();
    let serve = ["serve", "-c", "nameplate.toml", "--ephemeral", "--dns", "127.0.0.1:0", "--http", "127.0.0.1:0"];
    for arguments in [&serve[..], &["config", "check", "nameplate.toml"]] {
        let output = run(home.path(), arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(
            said.contains("tokens.toml") && said.contains("line 5: unknown rule \"nod\"; did you mean \"node\"?"),
            "{said}"
        );
    }
}
