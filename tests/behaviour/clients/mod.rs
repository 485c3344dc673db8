//! What clients of Consul send, in their order and with their spelling, and what they rely on in the answers. Each row of
//! docs/clients.md names the test that replays its client.
//!
//! **Source:** the clients' own code, in the versions that docs/clients.md names. What a client sends was read there, not
//! recorded; what it relies on is what it does with an answer.

use serde_json::Value;
use tokio::{io::AsyncWriteExt, net::TcpStream, task::JoinHandle, time::timeout};

use crate::harness::{Client, PATIENCE, Page, page, until};

mod locks;
mod nomad;
mod registrars;
mod resolvers;
mod servers;
mod spring;
mod watchers;

/// A client by the headers that it sends with every request.
#[derive(Debug, Clone, Copy)]
struct Caller {
    at: Client,
    headers: &'static str,
    /// A parameter that the Go library adds to all that it sends, writes too, because it is in the client's settings.
    always: &'static str,
}

impl Caller {
    /// One that uses Consul's Go library.
    fn go(at: Client) -> Caller {
        Caller { at, headers: "User-Agent: Go-http-client/1.1\r\n", always: "" }
    }

    async fn send(&self, method: &str, target: &str, body: &str) -> Page {
        let (headers, length) = (self.headers, body.len());
        let target = match self.always {
            "" => target.to_owned(),
            always if target.contains('?') => format!("{target}&{always}"),
            always => format!("{target}?{always}"),
        };
        let head = format!(
            "{method} {target} HTTP/1.1\r\nHost: {}\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n",
            self.at.http
        );
        let work = async {
            let mut stream = TcpStream::connect(self.at.http).await.unwrap();
            stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
            page(stream).await
        };
        timeout(PATIENCE, work).await.unwrap_or_else(|_| panic!("no answer to {method} {target}"))
    }

    /// A read that must succeed.
    async fn get(&self, target: &str) -> Page {
        let page = self.send("GET", target, "").await;
        assert_eq!(page.status, 200, "{target}: {}", page.body);
        page
    }

    async fn json(&self, target: &str) -> Value {
        self.get(target).await.json()
    }

    /// A write that must succeed.
    async fn put(&self, target: &str, body: &str) -> Page {
        let page = self.send("PUT", target, body).await;
        assert_eq!(page.status, 200, "{target}: {}", page.body);
        page
    }

    /// Registers an instance; as with Consul's agent, the body of the answer is empty.
    async fn register(&self, target: &str, body: &str) {
        assert_eq!(self.put(target, body).await.body, "");
    }

    /// Starts a read that waits, and returns when so many do.
    async fn wait(&self, target: String, waiting: u32) -> JoinHandle<Page> {
        let caller = *self;
        let read = tokio::spawn(async move { caller.get(&target).await });
        until("the read waits", async || self.at.metric("nameplate_http_blocked").await >= f64::from(waiting)).await;
        read
    }
}

/// The index of an answer as Consul's Go library reads it: it takes the headers one after the other, and gives up at the first
/// that is missing or no number.
#[track_caller]
fn go_index(page: &Page) -> u64 {
    let number = |name| page.header(name).unwrap_or_else(|| panic!("{name} is missing")).parse::<u64>().unwrap();
    let index = number("x-consul-index");
    assert_eq!(number("x-consul-lastcontact"), 0, "what is stale is asked for again");
    assert_eq!(page.header("x-consul-knownleader"), Some("true"));
    assert!(index > 0, "0 would mean: do not wait");
    index
}

/// What the Go library makes of the checks of an instance.
fn aggregated(checks: &Value) -> &'static str {
    let has = |status: &str| checks.as_array().unwrap().iter().any(|check| check["Status"] == status);
    let maintained = |check: &Value| {
        let id = check["CheckID"].as_str().unwrap();
        id == "_node_maintenance" || id.starts_with("_service_maintenance:")
    };
    match () {
        () if checks.as_array().unwrap().iter().any(maintained) => "maintenance",
        () if has("critical") => "critical",
        () if has("warning") => "warning",
        () => "passing",
    }
}
