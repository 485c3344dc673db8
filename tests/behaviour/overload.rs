//! More queries than can be answered, and more connections than usual: what goes on all the same.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use hickory_proto::{op::Message, rr::RecordType};
use serde_json::json;
use tokio::{
    io::AsyncWriteExt,
    net::{TcpSocket, TcpStream},
    sync::Barrier,
    time::timeout,
};

use crate::harness::{PATIENCE, Served, framed, question, read_message, serve, until};

/// Answers each connection with these bytes, in a thread of its own, whatever this process does.
fn checked(response: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(response);
        }
    });
    address
}

/// Instances that are checked each second.
const CHECKED: usize = 200;

async fn register_checked(served: &Served) {
    let (http, tcp) = (checked(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), checked(b""));
    for number in 0..CHECKED {
        let (kind, target) =
            if number % 2 == 0 { ("HTTP", format!("http://{http}/")) } else { ("TCP", tcp.to_string()) };
        let address = Ipv4Addr::new(198, 51, 100, number as u8);
        let id = format!("web-{number}");
        let check = json!({ kind: target, "Interval": "1s" });
        served.at.register(json!({ "Name": "web", "ID": id, "Address": address, "Port": 80, "Check": check })).await;
    }
    until("all checks pass", async || answered(served).await == CHECKED).await;
}

async fn answered(served: &Served) -> usize {
    served.at.ask_tcp("web.service.internal.", RecordType::A).await.data.len()
}

/// What a load has sent and got.
#[derive(Debug, Default)]
struct Load {
    sent: u64,
    received: u64,
}

/// Sends until it is told to end: so many a second, or one for each response and those first.
fn load(dns: SocketAddr, pace: Pace, ended: &AtomicBool) -> Load {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.connect(dns).unwrap();
    socket.set_nonblocking(true).unwrap();
    let query = question("web.service.internal.", RecordType::A).to_vec().unwrap();
    let mut load = Load::default();
    let (began, mut heard) = (Instant::now(), Instant::now());
    while !ended.load(Relaxed) {
        let due = match pace {
            // What is lost is made up for, or it would stop.
            Pace::Window(window) if heard.elapsed() < Duration::from_millis(50) => load.received + window,
            Pace::Window(window) => load.sent + window,
            Pace::Rate(rate) => (began.elapsed().as_secs_f64() * rate) as u64,
        };
        for _ in load.sent..due {
            load.sent += u64::from(socket.send(&query).is_ok());
        }
        while socket.recv(&mut [0; 2048]).is_ok() {
            load.received += 1;
            heard = Instant::now();
        }
        thread::park_timeout(Duration::from_micros(200));
    }
    load
}

#[derive(Clone, Copy)]
enum Pace {
    Window(u64),
    Rate(f64),
}

/// The load for so long, while `meanwhile` is done again and again.
async fn under_load(dns: SocketAddr, pace: Pace, lasts: Duration, mut meanwhile: impl AsyncFnMut()) -> Load {
    let ended = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&ended);
    let thread = thread::spawn(move || load(dns, pace, &told));
    let began = Instant::now();
    while began.elapsed() < lasts {
        meanwhile().await;
    }
    ended.store(true, Relaxed);
    thread.join().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_three_times_the_load_checks_go_on_and_no_instance_leaves_the_answers() {
    let home = tempfile::tempdir().unwrap();
    let mut served = serve(&home, &["--ephemeral", "--workers", "1"]).await;
    register_checked(&served).await;
    let (began, dns) = (Instant::now(), served.at.dns);
    let full = under_load(dns, Pace::Window(64), Duration::from_millis(500), async || {
        assert_eq!(answered(&served).await, CHECKED);
    })
    .await;
    let rate = 3.0 * full.received as f64 / began.elapsed().as_secs_f64();
    let probes = served.at.metric("nameplate_check_lateness_seconds_count").await;
    let over = under_load(dns, Pace::Rate(rate), Duration::from_secs(4), async || {
        assert_eq!(answered(&served).await, CHECKED);
    })
    .await;
    assert!(over.received > 0 && over.received < over.sent / 3 * 2, "that was no overload: {over:?}");
    let metric = async |series: &str| served.at.metric(series).await;
    let made = metric("nameplate_check_lateness_seconds_count").await;
    assert!(made - probes >= 2.0 * CHECKED as f64, "{made} probes, {probes} before");
    let late = made - metric("nameplate_check_lateness_seconds_bucket{le=\"1.0\"}").await;
    assert!(late <= 0.01 * made, "{late} of {made} probes began more than 1 s late");
    let page = served.at.get("/metrics").await.body;
    let results: Vec<&str> = page.lines().filter(|line| line.starts_with("nameplate_checks_total{")).collect();
    assert!(results.iter().all(|line| line.contains("\"passing\"")) && results.len() >= 2, "{results:?}");
    assert_eq!(metric("nameplate_checks_not_made_total").await, 0.0);
    assert!(served.stop().await.success());
}

/// Lets this process open as many files as it may.
fn raise_open_files() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_connections_at_once_all_get_their_answers() {
    raise_open_files();
    let home = tempfile::tempdir().unwrap();
    let mut served = serve(&home, &["--ephemeral"]).await;
    served.at.register(json!({ "Name": "web", "Address": "198.51.100.1", "Port": 80 })).await;
    let together = Arc::new(Barrier::new(CONNECTIONS + 1));
    let connections: Vec<_> =
        (0..CONNECTIONS).map(|number| tokio::spawn(connection(served.at.dns, number, Arc::clone(&together)))).collect();
    // All have got their first answers, and are open.
    timeout(3 * PATIENCE, together.wait()).await.expect("all are answered");
    assert_eq!(served.at.metric("nameplate_tcp_connections").await, CONNECTIONS as f64);
    together.wait().await;
    for connection in connections {
        timeout(PATIENCE, connection).await.expect("it is answered again").unwrap();
    }
    assert_eq!(served.at.metric("nameplate_tcp_evicted_total").await, 0.0);
    let asked = served.at.metric("nameplate_dns_requests_total{proto=\"tcp\",type=\"A\"}").await;
    assert_eq!(asked, (CONNECTIONS * 2 * PIPELINED) as f64);
    assert!(served.stop().await.success());
}

/// Asks some pipelined queries, and once more after the others.
async fn connection(dns: SocketAddr, number: usize, together: Arc<Barrier>) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from(([127, 0, 1, (number % CLIENTS) as u8], 0))).unwrap();
    let mut stream = socket.connect(dns).await.unwrap();
    exchange(&mut stream).await;
    together.wait().await;
    together.wait().await;
    exchange(&mut stream).await;
}

async fn exchange(stream: &mut TcpStream) {
    let mut queries = Vec::new();
    for id in 0..PIPELINED {
        let mut query = question("web.service.internal.", RecordType::A);
        query.metadata.id = id as u16;
        queries.extend(framed(&query.to_vec().unwrap()));
    }
    stream.write_all(&queries).await.unwrap();
    for id in 0..PIPELINED {
        let message = Message::from_vec(&read_message(stream).await.unwrap()).unwrap();
        assert_eq!((message.metadata.id, message.answers.len()), (id as u16, 1));
    }
}

/// Connections that are admitted of all clients together.
const CONNECTIONS: usize = 2_000;

/// Loopback addresses that they come from: one may have half of them.
const CLIENTS: usize = 4;

/// Queries on the way on each connection.
const PIPELINED: usize = 3;
