//! Tokens and policies that are made by HTTP: what lasts, what DNS shows by them, and where secrets are not.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use hickory_proto::{op::ResponseCode, rr::RecordType};
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::tempdir;
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::harness::{Client, Page, page, request, serve};

const ON: [&str; 4] = ["--access", "on", "--log", "debug"];

/// A request with a token in this header.
async fn with(at: Client, header: &str, (method, path): (&str, &str), body: &str) -> Page {
    let mut stream = TcpStream::connect(at.http).await.unwrap();
    let head = request(method, path, body.len()).replacen("\r\n", &format!("\r\n{header}\r\n"), 1);
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body.as_bytes()).await.unwrap();
    page(stream).await
}

/// What is made by a call that must be done.
async fn made(at: Client, secret: &str, path: &str, body: Value) -> Value {
    let page = with(at, &format!("X-Consul-Token: {secret}"), ("PUT", path), &body.to_string()).await;
    assert_eq!(page.status, 200, "{path}: {}", page.body);
    page.json()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_made_survives_kill_9_and_no_secret_is_in_a_log_or_in_a_file_of_others() {
    let (home, data) = (tempdir().unwrap(), tempdir().unwrap());
    let directory = data.path().join("data");
    let arguments = [&ON[..], &["--data-dir", directory.to_str().unwrap()]].concat();
    let mut served = serve(&home, &arguments).await;
    let first = served.at.put("/v1/acl/bootstrap", "").await.json();
    let admin = text(&first["SecretID"]);
    let rules = r#"service "web" { policy = "write" } node_prefix "" { policy = "read" }"#;
    made(served.at, &admin, "/v1/acl/policy", json!({ "Name": "web", "Rules": rules })).await;
    let token = made(served.at, &admin, "/v1/acl/token", json!({ "Policies": [{ "Name": "web" }] })).await;
    let gone = made(served.at, &admin, "/v1/acl/token", json!({ "Description": "to be deleted" })).await;
    let gone_path = format!("/v1/acl/token/{}?token={admin}", text(&gone["AccessorID"]));
    assert_eq!(with(served.at, "X-A: b", ("DELETE", &gone_path), "").await.body, "true");
    let (secret, guess) = (text(&token["SecretID"]), "4f0d4b6e-7c1f-4a57-9f3e-2d6a5b7c8d9e");
    let register = json!({ "Name": "web", "Address": "192.0.2.9", "Port": 80 }).to_string();
    let path = ("PUT", "/v1/agent/service/register");
    assert_eq!(with(served.at, &format!("Authorization: Bearer {secret}"), path, &register).await.status, 200);
    assert_eq!(with(served.at, &format!("X-Consul-Token: {guess}"), path, &register).await.status, 403);
    assert_eq!(
        served.at.put(&format!("/v1/acl/token?token={admin}"), &format!("{{\"SecretID\": \"{guess}\"")).await.status,
        400
    );
    served.signal(Signal::KILL);
    served.ended().await;
    let mut said = served.complaints();

    let mut served = serve(&home, &arguments).await;
    assert_eq!(served.at.get(&format!("/v1/acl/tokens?token={secret}")).await.status, 403);
    let kept = served.at.json(&format!("/v1/acl/token/self?token={secret}")).await;
    assert_eq!(kept, token, "as it was made");
    assert_eq!(served.at.json(&format!("/v1/acl/tokens?token={admin}")).await.as_array().unwrap().len(), 3);
    let again = served.at.put("/v1/acl/bootstrap", "").await;
    assert!(again.status == 403 && again.body.contains("no longer allowed"), "{}", again.body);
    let gone_secret = text(&gone["SecretID"]);
    assert_eq!(served.at.get(&format!("/v1/catalog/services?token={gone_secret}")).await.status, 403);
    served.stop().await;
    said += &served.complaints();

    assert!(said.contains("DEBUG"), "it logs what it does: {said}");
    for secret in [&*admin, &*secret, &*gone_secret, guess] {
        assert!(!said.contains(secret), "{said}");
    }
    for file in files(&directory) {
        let mode = file.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode & 0o077, 0, "{} has mode {mode:o}", file.display());
    }
}

/// A directory and all that is in it.
fn files(directory: &Path) -> Vec<std::path::PathBuf> {
    let inside = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let inside = inside.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] });
    [directory.to_owned()].into_iter().chain(inside).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dns_follows_what_the_anonymous_token_may_read() {
    let home = tempdir().unwrap();
    let mut served = serve(&home, &[&ON[..], &["--ephemeral"]].concat()).await;
    let admin = text(&served.at.put("/v1/acl/bootstrap", "").await.json()["SecretID"]);
    let registered = json!({ "Name": "web", "Address": "192.0.2.9", "Port": 80 });
    served.at.put(&format!("/v1/agent/service/register?token={admin}"), &registered.to_string()).await;
    let asked = async || served.at.ask("web.service.internal.", RecordType::A).await;
    assert_eq!(asked().await.rcode, ResponseCode::NXDomain);
    let rules = r#"service_prefix "" { policy = "read" } node_prefix "" { policy = "read" }"#;
    let policy = made(served.at, &admin, "/v1/acl/policy", json!({ "Name": "look", "Rules": rules })).await;
    let anonymous = "/v1/acl/token/00000000-0000-0000-0000-000000000002";
    made(served.at, &admin, anonymous, json!({ "Policies": [{ "Name": "look" }] })).await;
    // At once: the answer to the call came after it.
    assert_eq!(asked().await.data, ["192.0.2.9"]);
    let by_id = format!("/v1/acl/policy/{}", text(&policy["ID"]));
    made(served.at, &admin, &by_id, json!({ "Name": "look", "Rules": r#"service "db" { policy = "read" }"# })).await;
    assert_eq!(asked().await.rcode, ResponseCode::NXDomain);
    served.stop().await;
}
