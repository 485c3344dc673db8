use std::{
    io::{Read, Write},
    net::TcpListener,
    sync::mpsc::{Receiver, sync_channel},
    thread,
};

use super::*;

/// A server for one request: its URL, and what it was sent.
fn server(response: &'static str) -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (sender, receiver) = sync_channel(1);
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let (mut request, mut chunk) = (String::new(), [0; 4096]);
        // The bodies of these tests come with a length and end with a brace.
        while !(request.contains("\r\n\r\n") && (!request.contains("content-length: ") || request.ends_with('}'))) {
            let read = stream.read(&mut chunk).unwrap();
            request.push_str(std::str::from_utf8(&chunk[..read]).unwrap());
        }
        stream.write_all(response.as_bytes()).unwrap();
        sender.send(request).unwrap();
    });
    (url, receiver)
}

#[tokio::test]
async fn paths_and_parameters_are_percent_encoded() {
    let (url, request) = server("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n[]");
    let client = Client::new(&url, Some("secret")).unwrap();
    let path = ["health", "service", "a/b c"];
    let value: serde_json::Value = client.get(&path, &[("name", "x&y")]).await.unwrap();
    assert_eq!(value, serde_json::json!([]));
    let request = request.recv().unwrap();
    assert!(request.starts_with("GET /v1/health/service/a%2Fb%20c?name=x%26y HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("\r\nx-consul-token: secret\r\n"), "{request}");
}

#[tokio::test]
async fn a_write_tells_what_the_server_warns_of() {
    let (url, request) =
        server("HTTP/1.1 200 OK\r\nx-nameplate-warning: a\r\nx-nameplate-warning: b\r\ncontent-length: 0\r\n\r\n");
    let client = Client::new(&url, None).unwrap();
    let body = serde_json::json!({ "Name": "web" });
    let written = client.put(&["agent", "service", "register"], &[], Some(&body)).await.unwrap();
    assert_eq!(written.warnings, ["a", "b"]);
    let request = request.recv().unwrap();
    assert!(request.starts_with("PUT /v1/agent/service/register HTTP/1.1\r\n"), "{request}");
    assert!(request.ends_with("{\"Name\":\"web\"}") && !request.contains("token"), "{request}");
}

#[tokio::test]
async fn a_refusal_is_told_in_the_servers_words() {
    let (url, _request) = server("HTTP/1.1 404 Not Found\r\ncontent-length: 20\r\n\r\nunknown service ID x");
    let client = Client::new(&url, None).unwrap();
    let error = client.put::<()>(&["agent", "service", "deregister", "x"], &[], None).await.unwrap_err();
    assert!(matches!(error, ClientError::Refused { status: 404, .. }), "{error:?}");
    assert_eq!(error.to_string(), "unknown service ID x");
}

#[tokio::test]
async fn a_page_of_another_program_is_not_taken_for_a_refusal() {
    let (url, _request) =
        server("HTTP/1.1 404 Not Found\r\ncontent-type: text/html;charset=utf-8\r\ncontent-length: 6\r\n\r\n<html>");
    let client = Client::new(&url, None).unwrap();
    let error = client.get::<serde_json::Value>(&["catalog", "services"], &[]).await.unwrap_err();
    let expected = format!("{url} answers, but not as nameplate does: status 404 with a page for browsers");
    assert_eq!(error.to_string(), expected);
}

#[tokio::test]
async fn what_is_no_json_is_not_understood() {
    let (url, _request) = server("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello");
    let error = Client::new(&url, None).unwrap().get::<Vec<u8>>(&["catalog"], &[]).await.unwrap_err();
    assert!(error.to_string().starts_with(&format!("{url} answers, but not as nameplate does: ")), "{error}");
}

#[test]
fn a_server_is_a_url_or_an_address() {
    for server in ["http://127.0.0.1:8500", "127.0.0.1:8500", "https://nameplate.example/base/", "[::1]:8500"] {
        assert!(Client::new(server, None).is_ok(), "{server}");
    }
    for server in ["", "ftp://192.0.2.1", "http://", "a b"] {
        assert!(matches!(Client::new(server, None), Err(ClientError::Server { .. })), "{server}");
    }
}

#[test]
fn a_client_never_shows_its_token() {
    let client = Client::new("127.0.0.1:8500", Some("secret")).unwrap();
    assert!(!format!("{client:?}").contains("secret"));
}
