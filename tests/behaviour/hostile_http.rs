//! HTTP clients that mean harm, or are broken.

use serde_json::{Value, json};
use tempfile::tempdir;
use tokio::{
    io::AsyncWriteExt,
    net::{TcpSocket, TcpStream},
};

use crate::harness::{Client, Served, serve, until};

/// An instance that takes this many bytes in a response, 32 KiB at most.
fn large(id: String, bytes: usize) -> Value {
    let meta: serde_json::Map<String, Value> =
        (0..bytes / 512).map(|number| (format!("m{number}"), json!("x".repeat(500)))).collect();
    json!({ "Name": "large", "ID": id, "Address": "192.0.2.9", "Port": 80, "Meta": meta })
}

/// A client that asks for 16 MB and takes nothing of it.
async fn take_nothing(at: Client) -> TcpStream {
    for number in 0..500 {
        at.register(large(format!("large-{number}"), 32 << 10)).await;
    }
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(at.http).await.unwrap();
    stream.write_all(b"GET /v1/agent/services HTTP/1.1\r\nHost: nameplate\r\n\r\n").await.unwrap();
    stream.readable().await.unwrap();
    stream
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_takes_nothing_does_not_hold_up_the_end() {
    let home = tempdir().unwrap();
    let mut served = serve(&home, &["--ephemeral"]).await;
    let _stream = take_nothing(served.at).await;
    assert_eq!(served.stop().await.code(), Some(0));
    let said = served.complaints();
    assert!(said.contains("stopped before all HTTP requests were answered") && !said.contains("critical"), "{said}");
}

/// Open files of the server, in a system that shows them.
fn open_files(served: &Served) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", served.pid())).unwrap().count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[allow(clippy::disallowed_methods, reason = "what must end in its own time is waited for")]
async fn a_client_that_takes_nothing_is_cut_off() {
    let home = tempdir().unwrap();
    let served = serve(&home, &["--ephemeral"]).await;
    let before = open_files(&served);
    let stream = take_nothing(served.at).await;
    tokio::time::sleep(std::time::Duration::from_secs(27)).await;
    assert!(open_files(&served) > before, "it may be slow");
    until("it is cut off", async || open_files(&served) <= before).await;
    drop(stream);
}
