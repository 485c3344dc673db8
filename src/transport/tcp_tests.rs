use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use crate::transport::{
    limits::TcpLimits,
    stub::{Started, loopback, query, response, start},
};

/// A connection whose reads and writes end within 10 s.
fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.set_write_timeout(Some(Duration::from_secs(10))).unwrap();
    stream
}

fn framed(message: &[u8]) -> Vec<u8> {
    let mut bytes = (message.len() as u16).to_be_bytes().to_vec();
    bytes.extend_from_slice(message);
    bytes
}

fn receive(stream: &mut TcpStream) -> Vec<u8> {
    let mut length = [0; 2];
    stream.read_exact(&mut length).unwrap();
    let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut message).unwrap();
    message
}

/// Reads until the server closes; an abort (it had unread bytes) counts as closed.
fn closed(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    match stream.read_to_end(&mut rest) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
    assert!(rest.is_empty(), "{rest:?}");
}

fn start_with(limits: TcpLimits) -> Started {
    let mut settings = loopback();
    settings.tcp = limits;
    start(settings)
}

#[tokio::test(flavor = "multi_thread")]
async fn pipelined_queries_are_all_answered() {
    let started = start(loopback());
    let mut stream = connect(started.address());
    let queries: Vec<u8> = (0..500).flat_map(|id| framed(&query(id, "web"))).collect();
    stream.write_all(&queries).unwrap();
    for id in 0..500 {
        assert_eq!(receive(&mut stream), response(id, "web"));
    }
    assert_eq!(started.metric(r#"nameplate_dns_requests_total{proto="tcp",type="A"}"#), "500");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_query_does_not_hold_up_a_later_one() {
    let started = start(loopback());
    let mut stream = connect(started.address());
    stream.write_all(&[framed(&query(1, "slow")), framed(&query(2, "web"))].concat()).unwrap();
    assert_eq!(receive(&mut stream), response(2, "web"));
    started.stub.release.add_permits(1);
    assert_eq!(receive(&mut stream), response(1, "slow"));
}

#[tokio::test(flavor = "multi_thread")]
async fn more_slow_queries_than_a_connection_may_have_wait_their_turn() {
    let started = start(loopback());
    let mut stream = connect(started.address());
    let queries: Vec<u8> = (0..100).flat_map(|id| framed(&query(id, "slow"))).collect();
    stream.write_all(&queries).unwrap();
    started.stub.release.add_permits(100);
    let mut ids: Vec<u8> = (0..100).map(|_| receive(&mut stream)[1]).collect();
    ids.sort_unstable();
    assert_eq!(ids, (0..100).collect::<Vec<u8>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_has_no_more_to_ask_still_gets_its_answers() {
    let started = start(loopback());
    let mut stream = connect(started.address());
    stream.write_all(&framed(&query(1, "slow"))).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    started.stub.release.add_permits(1);
    assert_eq!(receive(&mut stream), response(1, "slow"));
    closed(&mut stream);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_comes_byte_by_byte_is_read() {
    let started = start(loopback());
    let mut stream = connect(started.address());
    stream.set_nodelay(true).unwrap();
    for byte in framed(&query(1, "web")) {
        stream.write_all(&[byte]).unwrap();
    }
    assert_eq!(receive(&mut stream), response(1, "web"));
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_trickle_do_not_keep_a_connection_open() {
    let limits = TcpLimits { first_message: Duration::from_millis(150), ..TcpLimits::default() };
    let started = start_with(limits);
    let mut stream = connect(started.address());
    stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let begun = Instant::now();
    // One byte with each read that times out, of a message that never ends.
    loop {
        assert!(begun.elapsed() < Duration::from_secs(5), "still open");
        if stream.write_all(&[1]).is_err() {
            break;
        }
        match stream.read(&mut [0; 1]) {
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            _ => break,
        }
    }
    assert!(begun.elapsed() >= Duration::from_millis(100));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_connection_is_closed_and_a_used_one_later() {
    let limits = TcpLimits {
        first_message: Duration::from_millis(50),
        idle: Duration::from_millis(400),
        ..TcpLimits::default()
    };
    let started = start_with(limits);
    let (mut idle, mut used) = (connect(started.address()), connect(started.address()));
    used.write_all(&framed(&query(1, "web"))).unwrap();
    assert_eq!(receive(&mut used), response(1, "web"));
    let begun = Instant::now();
    closed(&mut idle);
    assert!(begun.elapsed() < Duration::from_millis(400));
    closed(&mut used);
    assert!(begun.elapsed() >= Duration::from_millis(300));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_never_reads_is_closed() {
    let started = start_with(TcpLimits { write: Duration::from_millis(200), ..TcpLimits::default() });
    let mut stream = connect(started.address());
    // Some 60 MB of responses, far more than the kernel holds; at some time nothing more is taken.
    let queries: Vec<u8> = (0..1_000).flat_map(|id| framed(&query(id, "big"))).collect();
    let _ = stream.write_all(&queries);
    let begun = Instant::now();
    while started.transport.connection_count() > 0 {
        assert!(begun.elapsed() < Duration::from_secs(5), "still open");
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn large_responses_arrive_whole() {
    let started = start(loopback());
    let mut stream = connect(started.address());
    let queries: Vec<u8> = (0..20).flat_map(|id| framed(&query(id, "big"))).collect();
    stream.write_all(&queries).unwrap();
    for id in 0..20 {
        let message = receive(&mut stream);
        assert_eq!((message.len(), message[1]), (60_000, id));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_largest_message_is_taken() {
    let started = start(loopback());
    let mut stream = connect(started.address());
    let mut message = query(1, "web");
    message.resize(65_535, 0);
    stream.write_all(&framed(&message)).unwrap();
    message[2] |= 0x80;
    assert_eq!(receive(&mut stream), message);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_query_closes_the_connection() {
    let started = start(loopback());
    for message in [&[][..], &[0; 5], &response(1, "web")] {
        let mut stream = connect(started.address());
        stream.write_all(&framed(message)).unwrap();
        closed(&mut stream);
    }
    assert_eq!(started.metric(r#"nameplate_dns_drops_total{reason="not_a_query"}"#), "3");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_costs_only_its_connection() {
    let started = start(loopback());
    let mut other = connect(started.address());
    for label in ["panic", "slowpanic"] {
        let mut stream = connect(started.address());
        stream.write_all(&framed(&query(1, label))).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        closed(&mut stream);
    }
    other.write_all(&framed(&query(2, "web"))).unwrap();
    assert_eq!(receive(&mut other), response(2, "web"));
    assert_eq!(started.metric(r#"nameplate_dns_drops_total{reason="panic"}"#), "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_make_room_for_new_ones() {
    let started = start_with(TcpLimits { connections_loopback: 50, ..TcpLimits::default() });
    let mut idle: Vec<TcpStream> = (0..500).map(|_| connect(started.address())).collect();
    let mut newest = connect(started.address());
    newest.write_all(&framed(&query(1, "web"))).unwrap();
    assert_eq!(receive(&mut newest), response(1, "web"));
    assert!(started.transport.connection_count() <= 50);
    closed(&mut idle[0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn keepalive_is_told_to_who_asks_for_it() {
    let started = start(loopback());
    let mut stream = connect(started.address());
    let mut message = query(1, "web");
    message[11] = 1;
    message.extend_from_slice(&[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 4, 0, 11, 0, 0]);
    stream.write_all(&framed(&message)).unwrap();
    // The stub gives the option back as it came, and the server's own comes after it.
    assert!(receive(&mut stream).ends_with(&[0, 11, 0, 2, 0, 100]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_answers_what_is_in_flight_and_closes() {
    let started = start(loopback());
    let (mut busy, mut idle) = (connect(started.address()), connect(started.address()));
    busy.write_all(&[framed(&query(1, "slow")), framed(&query(2, "web"))].concat()).unwrap();
    assert_eq!(receive(&mut busy), response(2, "web"));
    let stopping = tokio::spawn(started.transport.shutdown());
    closed(&mut idle);
    started.stub.release.add_permits(1);
    assert_eq!(receive(&mut busy), response(1, "slow"));
    closed(&mut busy);
    stopping.await.unwrap();
}
