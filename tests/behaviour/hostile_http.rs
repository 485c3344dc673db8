//! HTTP clients that mean harm, or are broken; and a disk that fails them.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::{Value, json};
use tempfile::{TempDir, tempdir};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpSocket, TcpStream},
};

use crate::harness::{Client, Served, serve, serve_by, until};

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

/// Whether the server still has the other end of this connection. The kernel shows the inode of an end that nobody has any
/// more as 0, while it still holds what was not taken.
fn is_held(at: Client, stream: &TcpStream) -> bool {
    let [server, client] = [at.http, stream.local_addr().unwrap()].map(|address| format!(":{:04X}", address.port()));
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()).any(|fields| {
        let ends = fields.get(1).is_some_and(|end| end.ends_with(&server)) && fields[2].ends_with(&client);
        ends && fields.get(9).is_some_and(|inode| *inode != "0")
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[allow(clippy::disallowed_methods, reason = "what must end in its own time is waited for")]
async fn a_client_that_takes_nothing_is_cut_off() {
    let home = tempdir().unwrap();
    let served = serve(&home, &["--ephemeral"]).await;
    let stream = take_nothing(served.at).await;
    let started = Instant::now();
    while is_held(served.at, &stream) {
        assert!(started.elapsed() < Duration::from_secs(90), "it is cut off");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(started.elapsed() > Duration::from_secs(25), "it may be slow: {:?}", started.elapsed());
}

/// A server that may write files of so many blocks of 512 bytes.
async fn serve_with_little_room(home: &TempDir, data: &TempDir, blocks: u32) -> Served {
    let script = format!("trap '' XFSZ; ulimit -S -f {blocks}; exec \"$0\" \"$@\"");
    let mut command = Command::new("sh");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_nameplate")]).env_clear();
    command.env("HOME", home.path()).current_dir(home.path());
    serve_by(command, home, &["--data-dir", data.path().to_str().unwrap()]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_fails_is_told_once_and_fails_writes_only() {
    let (home, data) = (tempdir().unwrap(), tempdir().unwrap());
    let mut served = serve_with_little_room(&home, &data, 3_000).await;
    let at = served.at;
    let mut refused = None;
    for number in 0..200 {
        let body = large(format!("large-{number}"), 32 << 10).to_string();
        let page = at.put("/v1/agent/service/register", &body).await;
        if page.status != 200 {
            refused = Some(page);
            break;
        }
    }
    let refused = refused.expect("6 MB do not fit");
    let journal = data.path().join("nameplate.redb").display().to_string();
    assert!(refused.status == 500 && refused.body.contains(&journal), "{refused:?}");
    for _ in 0..3 {
        let page = at.put("/v1/agent/service/register", &json!({ "Name": "small" }).to_string()).await;
        assert_eq!(page.status, 500, "{page:?}");
    }
    assert_eq!(at.addresses("large.service.internal.").await, ["192.0.2.9"], "DNS goes on");
    let told = |served: &Served, text: &str| {
        served.complaints().lines().filter(|line| line.contains(text) && line.contains(&journal)).count()
    };
    assert_eq!(told(&served, "cannot write to"), 1, "{}", served.complaints());

    let unlimited = Rlimit { current: None, maximum: None };
    let process = Pid::from_raw(served.pid().try_into().unwrap());
    prlimit(process, Resource::Fsize, unlimited).unwrap();
    until("writes succeed again", async || {
        at.put("/v1/agent/service/register", &json!({ "Name": "later" }).to_string()).await.status == 200
    })
    .await;
    // It is told after it is acknowledged.
    until("that is told", async || told(&served, "can be written again") > 0).await;
    assert_eq!(told(&served, "can be written again"), 1, "{}", served.complaints());
    assert_eq!(served.stop().await.code(), Some(0));
    drop(served);
    let served = serve(&home, &["--data-dir", data.path().to_str().unwrap()]).await;
    let kept = served.at.json("/v1/agent/services").await;
    for id in ["large-0", "small", "later"] {
        assert!(kept[id].is_object(), "{id} was visible, and written when that was possible again");
    }
}
