//! A container engine for tests: a socket that answers what the source asks, tells events, goes away and comes back.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard},
};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UnixListener, UnixStream},
    sync::broadcast,
    task::{JoinHandle, JoinSet},
};

use super::client::Endpoint;

/// The engine. It has no containers.
pub(super) struct Fake {
    directory: TempDir,
    state: Arc<Mutex<State>>,
    task: Option<JoinHandle<()>>,
}

struct State {
    version: String,
    containers: BTreeMap<String, Value>,
    networks: Option<Vec<Value>>,
    /// Containers of which nobody is told.
    hanging: BTreeSet<String>,
    asked: Vec<String>,
    events: broadcast::Sender<String>,
}

impl Fake {
    /// An engine whose API has this version; without any it is none.
    pub(super) fn start(version: &str) -> Fake {
        let state = State {
            version: version.to_owned(),
            containers: BTreeMap::new(),
            networks: Some(Vec::new()),
            hanging: BTreeSet::new(),
            asked: Vec::new(),
            events: broadcast::channel(4096).0,
        };
        let mut fake = Fake { directory: TempDir::new().unwrap(), state: Arc::new(Mutex::new(state)), task: None };
        fake.come_back();
        fake
    }

    pub(super) fn endpoint(&self) -> Endpoint {
        Endpoint::Unix(self.directory.path().join("docker.sock"))
    }

    /// A container is there, with this document, or has changed to it. Nobody is told.
    pub(super) fn put(&self, document: Value) {
        self.state().containers.insert(document["Id"].as_str().unwrap().to_owned(), document);
    }

    /// A container is no more. Nobody is told.
    pub(super) fn remove(&self, id: &str) {
        self.state().containers.remove(id);
    }

    /// Networks are these; none can be read, as behind a proxy, if there is none.
    pub(super) fn set_networks(&self, networks: Option<Vec<Value>>) {
        self.state().networks = networks;
    }

    /// Of this container nobody is told any more.
    pub(super) fn hang(&self, id: &str) {
        self.state().hanging.insert(id.to_owned());
    }

    /// Tells an event to whoever listens.
    pub(super) fn tell(&self, event: &Value) {
        let _ = self.state().events.send(format!("{event}\n"));
    }

    /// Tells no more events to those who listen, and refuses connections.
    pub(super) fn end_events(&mut self) {
        std::fs::remove_file(self.directory.path().join("docker.sock")).unwrap();
        self.state().events = broadcast::channel(4096).0;
    }

    /// All that was asked for.
    pub(super) fn asked(&self) -> Vec<String> {
        self.state().asked.clone()
    }

    /// Closes all connections, and the socket.
    pub(super) fn go_away(&mut self) {
        self.task.take().unwrap().abort();
        std::fs::remove_file(self.directory.path().join("docker.sock")).unwrap();
    }

    pub(super) fn come_back(&mut self) {
        let listener = UnixListener::bind(self.directory.path().join("docker.sock")).unwrap();
        let state = Arc::clone(&self.state);
        self.task = Some(tokio::spawn(async move {
            // They end with the listener.
            let mut connections = JoinSet::new();
            while let Ok((connection, _)) = listener.accept().await {
                connections.spawn(answer(connection, Arc::clone(&state)));
            }
        }));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

/// Answers one request.
async fn answer(mut connection: UnixStream, state: Arc<Mutex<State>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match connection.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    let head = String::from_utf8(head).unwrap();
    let path = head.split(' ').nth(1).unwrap().to_owned();
    let (version, events) = {
        let mut state = state.lock().unwrap();
        state.asked.push(path.clone());
        (state.version.clone(), state.events.subscribe())
    };
    let plain = path.strip_prefix("/v").and_then(|rest| rest.split_once('/')).map_or(&*path, |(_, rest)| rest);
    if plain.starts_with("events") {
        return tell(connection, events).await;
    }
    let (status, body) = document(plain.trim_start_matches('/'), &state);
    if status == 0 {
        return std::future::pending().await;
    }
    let version = if version.is_empty() { version } else { format!("Api-Version: {version}\r\n") };
    let text =
        format!("HTTP/1.1 {status} x\r\n{version}Content-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
    let _ = connection.write_all(text.as_bytes()).await;
}

/// Status and body; status 0 if there is no answer.
fn document(path: &str, state: &Mutex<State>) -> (u16, String) {
    let state = state.lock().unwrap();
    let refused = |status, message: String| (status, json!({ "message": message }).to_string());
    match path {
        "_ping" => (200, "OK".to_owned()),
        "containers/json" => {
            let runs = |document: &&Value| document["State"]["Running"] == true;
            let listed = state.containers.values().filter(runs).map(|document| json!({"Id": document["Id"]}));
            (200, listed.collect::<Value>().to_string())
        }
        "containers/json?filters=%7B%22status%22%3A%5B%22exited%22%5D%7D" => {
            let ended = state.containers.values().filter(|document| document["State"]["Status"] == "exited");
            let listed = ended.map(|document| json!({"Id": document["Id"], "Names": [document["Name"]]}));
            (200, listed.collect::<Value>().to_string())
        }
        "networks" => match &state.networks {
            Some(networks) => (200, json!(networks).to_string()),
            None => refused(403, "forbidden".to_owned()),
        },
        _ => {
            let id = path.strip_prefix("containers/").and_then(|rest| rest.strip_suffix("/json")).unwrap_or(path);
            match state.containers.get(id) {
                _ if state.hanging.contains(id) => (0, String::new()),
                Some(document) => (200, document.to_string()),
                None => refused(404, format!("No such container: {id}")),
            }
        }
    }
}

async fn tell(mut connection: UnixStream, mut events: broadcast::Receiver<String>) {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    let _ = connection.write_all(head.as_bytes()).await;
    while let Ok(event) = events.recv().await {
        let chunk = format!("{:x}\r\n{event}\r\n", event.len());
        if connection.write_all(chunk.as_bytes()).await.is_err() {
            return;
        }
    }
    let _ = connection.write_all(b"0\r\n\r\n").await;
}
