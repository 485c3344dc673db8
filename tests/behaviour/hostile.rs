//! Clients that mean harm, or are broken; and clocks that jump.

use std::{
    fs,
    io::{Seek, Write},
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use hickory_proto::{
    op::{Message, ResponseCode},
    rr::RecordType,
};
use rustix::process::{Resource, getrlimit, setrlimit};
use serde_json::json;
use tempfile::tempdir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream, UdpSocket},
    time::timeout,
};

use crate::harness::{
    Client, PATIENCE, Page, Running, Served, framed, page, program, question, read_message, request, serve, serve_by,
    start, until,
};

async fn register_web(at: Client) {
    at.register(json!({ "Name": "web", "Address": "192.0.2.9", "Port": 80 })).await;
}

/// Whether everybody else is served.
async fn serves(at: Client) {
    assert_eq!(at.addresses("web.service.internal.").await, ["192.0.2.9"]);
    assert_eq!(at.ask_tcp("web.service.internal.", RecordType::A).await.data, ["192.0.2.9"]);
    assert_eq!(at.get("/v1/status/leader").await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_idle_connections_keep_nobody_out() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum.map(|most| most.min(20_000)).or(Some(20_000));
    assert!(limit.current >= Some(15_000), "this test needs 15,000 open files; the hard limit is {:?}", limit.maximum);
    setrlimit(Resource::Nofile, limit).unwrap();
    let Running { server, at } = start("").await;
    register_web(at).await;
    let mut idle = Vec::new();
    for batch in 0..20_u8 {
        for _ in 0..500 {
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind(SocketAddr::from(([127, 0, 1, batch % 5], 0))).unwrap();
            idle.push(timeout(PATIENCE, socket.connect(at.dns)).await.expect("is accepted").unwrap());
        }
        assert!(at.metric("nameplate_tcp_connections").await <= 2_000.0);
        serves(at).await;
    }
    assert_eq!(idle.len(), 10_000);
    assert!(at.metric("nameplate_tcp_evicted_total").await > 0.0, "those idle longest made room");
    drop(idle);
    until("all are gone", async || at.metric("nameplate_tcp_connections").await == 0.0).await;
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_client_has_at_most_a_thousand_connections_on_loopback() {
    let Running { server, at } = start("").await;
    let mut idle = Vec::new();
    for _ in 0..1_200 {
        idle.push(timeout(PATIENCE, TcpStream::connect(at.dns)).await.unwrap().unwrap());
    }
    until("some made room", async || at.metric("nameplate_tcp_evicted_total").await >= 200.0).await;
    assert!(at.metric("nameplate_tcp_connections").await <= 1_000.0);
    server.shutdown().await;
}

/// Sends a byte a second until the server has had enough; returns after how long and what it said.
async fn trickle(to: SocketAddr, begin: &[u8]) -> (Duration, String) {
    let mut stream = TcpStream::connect(to).await.unwrap();
    stream.write_all(begin).await.unwrap();
    let began = Instant::now();
    let (mut read, mut write) = stream.into_split();
    let mut second = tokio::time::interval(Duration::from_secs(1));
    let mut said = Vec::new();
    loop {
        tokio::select! {
            // A reset, because of bytes that were still under way, is an end too.
            _ = read.read_to_end(&mut said) => break,
            _ = second.tick() => {
                // Fails at the latest when the reading does.
                let _ = write.write_all(b"x").await;
            }
        }
    }
    (began.elapsed(), String::from_utf8(said).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_sends_a_byte_a_second_is_cut_off() {
    let Running { server, at } = start("").await;
    register_web(at).await;
    let body = request("PUT", "/v1/agent/service/register", 1000);
    let (message, head, body) = tokio::join!(
        trickle(at.dns, b"\x01\x00"),
        trickle(at.http, b"GET / HTTP/1.1\r\nX: "),
        trickle(at.http, body.as_bytes()),
    );
    assert!(message.0 >= Duration::from_secs(4) && message.0 <= Duration::from_secs(7), "{message:?}");
    assert!(head.0 >= Duration::from_secs(9) && head.0 <= Duration::from_secs(13), "{head:?}");
    assert!(body.0 <= Duration::from_secs(33) && body.1.starts_with("HTTP/1.1 408 "), "{body:?}");
    serves(at).await;
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_reads_nothing_holds_up_nobody() {
    let Running { server, at } = start("").await;
    register_web(at).await;
    let query = framed(&question("web.service.internal.", RecordType::SRV).to_vec().unwrap());
    let mut stream = TcpStream::connect(at.dns).await.unwrap();
    let many = query.repeat(1_000);
    // Until the server takes no more of them, because its responses are not taken.
    for _ in 0..1_000 {
        match timeout(Duration::from_millis(500), stream.write_all(&many)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => break,
        }
    }
    serves(at).await;
    server.shutdown().await;
}

/// The most memory that the process has ever had, in KiB.
fn peak_kib(served: &Served) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", served.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Sends a body of so many bytes, in chunks or behind its length.
async fn send_large(to: SocketAddr, bytes: usize, chunked: bool) -> Page {
    let stream = TcpStream::connect(to).await.unwrap();
    let piece = vec![b' '; 1 << 16];
    let head = if chunked {
        "PUT /v1/agent/service/register HTTP/1.1\r\nHost: nameplate\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
            .to_owned()
    } else {
        request("PUT", "/v1/agent/service/register", bytes)
    };
    let (read, mut write) = stream.into_split();
    let sending = tokio::spawn(async move {
        write.write_all(head.as_bytes()).await?;
        for _ in 0..bytes / piece.len() {
            if chunked {
                write.write_all(format!("{:x}\r\n", piece.len()).as_bytes()).await?;
            }
            write.write_all(&piece).await?;
            if chunked {
                write.write_all(b"\r\n").await?;
            }
        }
        if chunked {
            write.write_all(b"0\r\n\r\n").await?;
        }
        std::io::Result::Ok(write)
    });
    // Who says that too much will come is answered before it has.
    let write = sending.await.unwrap();
    let mut read = read;
    let mut said = Vec::new();
    let _ = timeout(PATIENCE, read.read_to_end(&mut said)).await.expect("an answer comes");
    drop(write);
    let text = String::from_utf8(said).unwrap();
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    Page { status, headers: Vec::new(), body: text }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_of_100_megabytes_is_refused_in_little_memory() {
    let home = tempdir().unwrap();
    let served = serve(&home, &["--ephemeral"]).await;
    let at = served.at;
    register_web(at).await;
    serves(at).await;
    let before = peak_kib(&served);
    let (one, two, three) = tokio::join!(
        send_large(at.http, 100 << 20, false),
        send_large(at.http, 100 << 20, true),
        send_large(at.http, 2 << 20, false),
    );
    for page in [one, two, three] {
        assert_eq!(page.status, 413, "{page:?}");
        assert!(page.body.contains("1 MiB"), "{page:?}");
    }
    let grown = peak_kib(&served) - before;
    assert!(grown < 16 * 1024, "grew by {grown} KiB");
    let mut stream = TcpStream::connect(at.http).await.unwrap();
    stream.write_all(request("PUT", "/v1/agent/service/register", 1 << 40).as_bytes()).await.unwrap();
    assert_eq!(timeout(PATIENCE, page(stream)).await.unwrap().status, 413, "told before any of it has come");
    serves(at).await;
}

/// Clock ticks, of 10 ms, that the process has had the processor for.
fn processor_ticks(served: &Served) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", served.pid())).unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_out_of_files_answers_dns_and_does_not_spin() {
    let home = tempdir().unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n 100; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_nameplate")]).env_clear();
    command.env("HOME", home.path()).current_dir(home.path());
    let served = serve_by(command, &home, &["--ephemeral"]).await;
    let at = served.at;
    register_web(at).await;
    let mut idle = Vec::new();
    for _ in 0..200 {
        idle.push(timeout(PATIENCE, TcpStream::connect(at.http)).await.unwrap().unwrap());
    }
    let (began, before) = (Instant::now(), processor_ticks(&served));
    until("a second has passed", async || {
        assert_eq!(at.addresses("web.service.internal.").await, ["192.0.2.9"]);
        began.elapsed() >= Duration::from_secs(1)
    })
    .await;
    let ticks = processor_ticks(&served) - before;
    assert!(ticks < 60, "{ticks} of 100 ticks");
    drop(idle);
    serves(at).await;
}

/// The response to any bytes; none if there is none before that to a question after it.
async fn respond(at: Client, bytes: &[u8]) -> Option<Vec<u8>> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    socket.connect(at.dns).await.unwrap();
    socket.send(bytes).await.unwrap();
    let mut fence = question("web.service.internal.", RecordType::A);
    fence.metadata.id = 0xfefe;
    socket.send(&fence.to_vec().unwrap()).await.unwrap();
    let mut buffer = vec![0; 65_535];
    let length = timeout(PATIENCE, socket.recv(&mut buffer)).await.expect("the fence is answered").unwrap();
    buffer.truncate(length);
    (buffer[..2] != [0xfe, 0xfe]).then_some(buffer)
}

/// A query for a name of these labels and the root.
fn query(labels: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in labels {
        bytes.push(label.len() as u8);
        bytes.extend(label);
    }
    bytes.extend([0, 0, 1, 0, 1]);
    bytes
}

fn rcode(response: Option<Vec<u8>>) -> Option<u8> {
    response.map(|bytes| bytes[3] & 0xf)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_are_taken_up_to_255_bytes_and_labels_up_to_63() {
    let Running { server, at } = start("").await;
    register_web(at).await;
    let label = |length: usize| vec![b'a'; length];
    let tail = [b"service".to_vec(), b"internal".to_vec()];
    let with = |labels: &[Vec<u8>]| query(&[labels, &tail].concat());
    // 3 x 64, 44, 8, 9 and the root make 254; 45 make 255, 46 one too many.
    let three = [label(63), label(63), label(63)];
    for (last, expected) in [(43, 3), (44, 3), (45, 1), (63, 1)] {
        let name = [&three[..], &[label(last)]].concat();
        assert_eq!(rcode(respond(at, &with(&name)).await), Some(expected), "{last}");
    }
    assert_eq!(rcode(respond(at, &with(&[label(64)])).await), Some(1), "a label of 64");
    assert_eq!(rcode(respond(at, &query(&vec![label(1); 127])).await), Some(5), "127 labels");
    assert_eq!(rcode(respond(at, &query(&vec![label(1); 128])).await), Some(1), "128 labels");
    serves(at).await;
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_name_that_dns_cannot_carry_is_told_and_answered() {
    let Running { server, at } = start("").await;
    let register = async |name: &str, last: u8| {
        let page = at
            .register(
                json!({ "Name": name, "ID": format!("i{last}"), "Address": format!("192.0.2.{last}"), "Port": 80 }),
            )
            .await;
        page.header("x-nameplate-warning").map(str::to_owned)
    };
    assert_eq!(register("plain_name-1.a.b.c", 1).await, None);
    assert_eq!(at.addresses("plain_name-1.a.b.c.service.internal.").await, ["192.0.2.1"]);
    assert_eq!(at.addresses("plain-name-1.a.b.c.service.internal.").await, ["192.0.2.1"], "with - for _");
    let (exact, longer, longest) = ("x".repeat(63), "x".repeat(64), "y".repeat(253));
    assert_eq!(register(&exact, 2).await, None);
    assert_eq!(at.addresses(&format!("{exact}.service.internal.")).await, ["192.0.2.2"]);
    for (name, last) in [("Grüße an alle!", 3), (longer.as_str(), 4), (longest.as_str(), 5), ("a.b.c.d.e.f", 6)] {
        let warning = register(name, last).await.unwrap_or_else(|| panic!("{name} is told of"));
        let told = warning.split("answered as ").nth(1).unwrap().split([',', ';', ' ']).next().unwrap();
        let address = format!("192.0.2.{last}");
        assert_eq!(at.addresses(&format!("{told}.service.internal.")).await, [address.as_str()], "{warning}");
        if let Some(plain) = warning.split(", and as ").nth(1).and_then(|rest| rest.split(' ').next()) {
            assert_eq!(at.addresses(&format!("{plain}.service.internal.")).await, [address.as_str()], "{warning}");
        }
        assert!(!at.json("/v1/catalog/services").await[name].is_null(), "the API keeps {name} as it is");
    }
    let over = json!({ "Name": "z".repeat(254), "Port": 80 }).to_string();
    let refused = at.put("/v1/agent/service/register", &over).await;
    assert!(refused.status == 400 && refused.body.contains("253"), "{refused:?}");
    assert_eq!(register("gr--e an-alle-", 7).await.map(|warning| warning.contains("answered as")), Some(true));
    server.shutdown().await;
}

/// Bytes that look random and are the same each time.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..length).map(|_| next()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_bytes_from_the_network_make_a_log_line_or_end_the_server() {
    let home = tempdir().unwrap();
    let served = serve(&home, &["--ephemeral"]).await;
    let at = served.at;
    register_web(at).await;
    let before = served.complaints();
    let valid = question("web.service.internal.", RecordType::SRV).to_vec().unwrap();
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    for seed in 0..3_000_u64 {
        let mut bytes = if seed % 2 == 0 { noise(seed, seed as usize % 600) } else { valid.clone() };
        if seed % 2 == 1 {
            let at = seed as usize / 2 % bytes.len();
            bytes[at] ^= noise(seed, 1)[0];
            bytes.truncate(1 + seed as usize % 97);
        }
        socket.send_to(&bytes, at.dns).await.unwrap();
        if seed % 100 == 0 {
            for to in [at.dns, at.http] {
                let mut stream = TcpStream::connect(to).await.unwrap();
                // The server may close before it has taken all.
                let _ = stream.write_all(&noise(seed, 3_000)).await;
            }
            serves(at).await;
        }
    }
    let mut response = question("web.", RecordType::A);
    response = response.into_response();
    assert!(respond(at, &response.to_vec().unwrap()).await.is_none(), "no response to a response");
    assert!(respond(at, b"short").await.is_none());
    serves(at).await;
    assert_eq!(served.complaints(), before);
    assert_eq!(at.metric("nameplate_panics_total").await, 0.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_nest_deeply_or_are_huge_are_refused() {
    let Running { server, at } = start("").await;
    register_web(at).await;
    for body in ["[".repeat(1 << 19), "{\"Meta\":".repeat(1 << 16), format!("{{\"Name\":\"{}\"}}", "x".repeat(1 << 19))]
    {
        assert_eq!(at.put("/v1/agent/service/register", &body).await.status, 400);
    }
    for filter in ["(".repeat(4_000), "not%20".repeat(1_300), "((ServiceName==x)or".repeat(200)] {
        let page = at.get(&format!("/v1/catalog/service/web?filter={filter}")).await;
        assert_eq!(page.status, 400, "{}", page.body);
    }
    let path = format!("/v1/health/service/{}", "x".repeat(20_000));
    assert!(matches!(at.get(&path).await.status, 200 | 400 | 414), "a long path");
    let tags: Vec<String> = (0..5_000).map(|number| format!("t{number}")).collect();
    let page = at.put("/v1/agent/service/register", &json!({ "Name": "web", "Tags": tags }).to_string()).await;
    assert_eq!(page.status, 400, "{}", page.body);
    serves(at).await;
    server.shutdown().await;
}

/// Moves the wall clock of a process that was started with the shim.
fn set_clock(file: &Path, offset_secs: i64) {
    let mut file = fs::OpenOptions::new().write(true).open(file).unwrap();
    file.rewind().unwrap();
    file.write_all(&offset_secs.to_ne_bytes()).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jumps_of_the_clock_change_neither_order_nor_deadlines() {
    let (home, data) = (tempdir().unwrap(), tempdir().unwrap());
    let (source, shim, clock) = (home.path().join("clock.c"), home.path().join("clock.so"), home.path().join("clock"));
    fs::write(&source, SHIM).unwrap();
    fs::write(&clock, [0; 4096]).unwrap();
    let built = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&shim).arg(&source).status().unwrap();
    assert!(built.success(), "cc is what Rust links with");
    let command = || {
        let mut command = program(home.path());
        command.env("LD_PRELOAD", &shim).env("CLOCK_OFFSET", &clock);
        command
    };
    let directory = ["--data-dir", data.path().to_str().unwrap()];
    let mut served = serve_by(command(), &home, &directory).await;
    let check = json!({ "TTL": "1m", "Status": "passing" });
    served.at.register(json!({ "Name": "web", "Address": "192.0.2.9", "Port": 80, "Check": check })).await;
    let mut last = (0, 0);
    for (round, offset_years) in [0, 10, -20, 5].into_iter().enumerate() {
        set_clock(&clock, offset_years * 31_557_600);
        if round == 2 {
            assert_eq!(served.stop().await.code(), Some(0));
            drop(served);
            served = serve_by(command(), &home, &directory).await;
        }
        let at = served.at;
        serves(at).await;
        let check = json!({ "TTL": "1s", "Status": "passing" });
        at.register(json!({ "Name": "short", "ID": round.to_string(), "Address": "192.0.2.1", "Check": check })).await;
        assert_eq!(at.addresses(&format!("{round}._id.short.service.internal.")).await, ["192.0.2.1"]);
        let soa = at.ask("internal.", RecordType::SOA).await;
        let now: (u64, u64) = (at.index("short").await, soa.data[0].split(' ').nth(2).unwrap().parse().unwrap());
        assert!(now.0 > last.0 && now.1 > last.1, "index and serial {now:?} after {last:?}");
        last = now;
        until("a deadline passes in its own time", async || at.addresses("short.service.internal.").await.is_empty())
            .await;
        serves(at).await;
    }
    assert_eq!(served.stop().await.code(), Some(0));
}

/// Adds the number in a file to the seconds of the wall clock.
const SHIM: &str = r#"
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *now) {
    static volatile long *offset;
    int failed = syscall(SYS_clock_gettime, clock, now);
    if (!offset) offset = mmap(0, 4096, PROT_READ, MAP_SHARED, open(getenv("CLOCK_OFFSET"), O_RDONLY), 0);
    if (clock == CLOCK_REALTIME) now->tv_sec += *offset;
    return failed;
}
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_in_pieces_is_answered_and_half_a_message_is_not() {
    let Running { server, at } = start("").await;
    register_web(at).await;
    let bytes = framed(&question("web.service.internal.", RecordType::A).to_vec().unwrap());
    let mut stream = TcpStream::connect(at.dns).await.unwrap();
    for byte in &bytes {
        stream.write_all(&[*byte]).await.unwrap();
        stream.flush().await.unwrap();
    }
    let message = Message::from_vec(&timeout(PATIENCE, read_message(&mut stream)).await.unwrap().unwrap()).unwrap();
    assert_eq!(message.metadata.response_code, ResponseCode::NoError);
    stream.write_all(&bytes[..bytes.len() / 2]).await.unwrap();
    stream.shutdown().await.unwrap();
    assert_eq!(timeout(PATIENCE, stream.read_to_end(&mut Vec::new())).await.unwrap().unwrap(), 0);
    server.shutdown().await;
}
