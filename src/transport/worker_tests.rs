use std::{collections::HashSet, io::ErrorKind, sync::atomic::Ordering::SeqCst};

use super::*;
use crate::transport::{
    limits::{SlowLimits, WAIT_MAX},
    stub::{loopback, query, response, start},
};

fn client(address: &str) -> UdpSocket {
    let socket = UdpSocket::bind(address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    socket
}

fn receive(socket: &UdpSocket) -> Vec<u8> {
    let mut bytes = [0; 65_535];
    let (length, _) = socket.recv_from(&mut bytes).unwrap();
    bytes[..length].to_vec()
}

/// Bounded wait for a level.
fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while !condition() {
        assert!(Instant::now() < deadline, "{what}");
        thread::yield_now();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_of_many_queries_gets_its_own_response() {
    let mut settings = loopback();
    settings.listen.push("[::1]:0".parse().unwrap());
    settings.workers = 2;
    let started = start(settings);
    for (address, from) in started.transport.local_addresses().into_iter().zip(["127.0.0.1:0", "[::1]:0"]) {
        let socket = client(from);
        socket.connect(address).unwrap();
        for round in 0..8u16 {
            let ids: HashSet<u16> = (round * 100..round * 100 + 100).collect();
            for id in &ids {
                socket.send(&query(*id, "web")).unwrap();
            }
            let answered: HashSet<u16> = ids
                .iter()
                .map(|_| {
                    let bytes = receive(&socket);
                    let id = u16::from_be_bytes([bytes[0], bytes[1]]);
                    assert_eq!(bytes, response(id, "web"));
                    id
                })
                .collect();
            assert_eq!(answered, ids);
        }
    }
    until("all are counted", || started.metric(r#"nameplate_dns_requests_total{proto="udp",type="A"}"#) == "1600");
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_that_wait_together_are_looked_at_together() {
    let started = start(loopback());
    let socket = client("127.0.0.1:0");
    socket.connect(started.address()).unwrap();
    // While it works on the first ones, the others gather.
    let names = ["work"; 20].into_iter().chain(["web"; 40]);
    (0..).zip(names).for_each(|(id, name)| assert!(socket.send(&query(id, name)).is_ok()));
    (0..60).for_each(|_| drop(receive(&socket)));
    assert!(started.stub.warmed.load(SeqCst) >= 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_costs_only_the_query_that_caused_it() {
    let started = start(loopback());
    let socket = client("127.0.0.1:0");
    for (id, label) in [(1, "web"), (2, "panic"), (3, "web"), (4, "panic"), (5, "web")] {
        socket.send_to(&query(id, label), started.address()).unwrap();
    }
    for id in [1, 3, 5] {
        assert_eq!(receive(&socket), response(id, "web"));
    }
    assert_eq!(started.metric(r#"nameplate_dns_drops_total{reason="panic"}"#), "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_gone_does_not_stop_the_others() {
    let started = start(loopback());
    let stays = client("127.0.0.1:0");
    for id in 0..20 {
        let gone = client("127.0.0.1:0");
        gone.send_to(&query(id, "web"), started.address()).unwrap();
        drop(gone);
        stays.send_to(&query(id, "web"), started.address()).unwrap();
        assert_eq!(receive(&stays), response(id, "web"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_query_is_dropped_and_counted() {
    let started = start(loopback());
    let socket = client("127.0.0.1:0");
    for bytes in [&[][..], &[1, 2, 3], &response(1, "web")] {
        socket.send_to(bytes, started.address()).unwrap();
    }
    socket.send_to(&query(2, "web"), started.address()).unwrap();
    assert_eq!(receive(&socket), response(2, "web"));
    assert_eq!(started.metric(r#"nameplate_dns_drops_total{reason="not_a_query"}"#), "3");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_of_the_whole_buffer_arrives_on_loopback() {
    let started = start(loopback());
    let socket = client("127.0.0.1:0");
    socket.send_to(&query(1, "big"), started.address()).unwrap();
    assert_eq!(receive(&socket).len(), 16 << 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_query_delays_no_other_and_is_answered_by_the_same_address() {
    let started = start(loopback());
    let socket = client("127.0.0.1:0");
    socket.connect(started.address()).unwrap();
    socket.send(&query(1, "slow")).unwrap();
    socket.send(&query(2, "web")).unwrap();
    assert_eq!(receive(&socket), response(2, "web"));
    started.stub.release.add_permits(1);
    assert_eq!(receive(&socket), response(1, "slow"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_with_too_many_slow_queries_is_told_so() {
    let mut settings = loopback();
    settings.slow = SlowLimits { client: 2, ..SlowLimits::default() };
    let started = start(settings);
    let socket = client("127.0.0.1:0");
    for id in 1..=3 {
        socket.send_to(&query(id, "slow"), started.address()).unwrap();
    }
    let busy = receive(&socket);
    assert_eq!((busy[1], busy[3] & 0x0f), (3, 2));
    assert_eq!(started.metric(r#"nameplate_forwards_total{outcome="limit"}"#), "1");
    // Another client has a share of its own.
    let other = client("127.0.0.2:0");
    other.send_to(&query(4, "slow"), started.address()).unwrap();
    started.stub.release.add_permits(3);
    assert_eq!(receive(&other), response(4, "slow"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_from_a_listener_of_our_own_is_dropped() {
    let mut settings = loopback();
    settings.listen.push("127.0.0.2:0".parse().unwrap());
    let started = start(settings);
    let [first, second] = started.transport.local_addresses()[..] else { panic!("two addresses") };
    // Sharing the port makes the response go to either; that there is none shows in the counter.
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None).unwrap();
    socket.set_reuse_port(true).unwrap();
    socket.bind(&second.into()).unwrap();
    let socket = UdpSocket::from(socket);
    socket.send_to(&query(1, "web"), first).unwrap();
    until("it is counted", || started.metric(r#"nameplate_dns_drops_total{reason="source"}"#) == "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_wildcard_each_answer_comes_from_the_address_asked() {
    let mut settings = loopback();
    settings.listen = vec!["0.0.0.0:0".parse().unwrap()];
    let started = start(settings);
    let addresses = started.transport.local_addresses();
    let loopback = addresses.iter().find(|address| address.ip().is_loopback()).unwrap();
    // An address that no interface names, too.
    for ip in [[127, 0, 0, 1], [127, 0, 0, 77]] {
        let asked = SocketAddr::new(ip.into(), loopback.port());
        let socket = client("127.0.0.1:0");
        socket.connect(asked).unwrap();
        started.stub.release.add_permits(1);
        for (id, label) in [(1, "web"), (2, "slow")] {
            socket.send(&query(id, label)).unwrap();
            // A connected socket takes nothing from any other address.
            assert_eq!(receive(&socket), response(id, label));
        }
    }
    let from_itself = WorkerSocket {
        local: SocketAddr::new([0, 0, 0, 0].into(), 53),
        own: Arc::new([[192, 0, 2, 1].into()]),
        socket: Arc::new(client("127.0.0.1:0")),
    };
    for (peer, is_own) in [("192.0.2.1:53", true), ("192.0.2.1:54", false), ("192.0.2.2:53", false)] {
        assert_eq!(from_itself.is_at(peer.parse().unwrap()), is_own, "{peer}");
    }
}

#[test]
fn what_is_known_of_a_socket_stays_when_others_come_and_go() {
    let socket = || WorkerSocket {
        local: "127.0.0.1:53".parse().unwrap(),
        own: Arc::new([]),
        socket: Arc::new(client("127.0.0.1:0")),
    };
    let [first, second, third] = [socket(), socket(), socket()];
    let now = Instant::now();
    let overloaded = || {
        let mut backlog = Backlog::new();
        // A wait that stands for longer than any burst.
        for millis in 0..200 {
            backlog.judge(WAIT_MAX, now + Duration::from_millis(millis));
        }
        assert!(backlog.is_overloaded());
        backlog
    };
    let carried = carried_over(vec![Backlog::new(), overloaded()], &[first, second.clone()], &[third, second]);
    assert_eq!(carried.iter().map(Backlog::is_overloaded).collect::<Vec<_>>(), [false, true]);
}

#[tokio::test(flavor = "multi_thread")]
async fn when_more_comes_in_than_can_be_answered_late_queries_are_dropped() {
    let started = start(loopback());
    let socket = client("127.0.0.1:0");
    socket.connect(started.address()).unwrap();
    socket.set_nonblocking(true).unwrap();
    // About 5,000 a second can be answered; without a pause far more are sent.
    let dropped = || started.metric(r#"nameplate_dns_drops_total{reason="late"}"#).parse::<u64>().unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    let (mut answered, mut sent) = (0_u64, 0_u64);
    while dropped() == 0 || answered == 0 {
        assert!(Instant::now() < deadline, "{sent} sent, {answered} answered, none dropped");
        for _ in 0..100 {
            sent += u64::from(socket.send(&query(7, "work")).is_ok());
            answered += u64::from(socket.recv(&mut [0; 512]).is_ok());
        }
    }
    // One that is not late is answered, whatever waited before it.
    socket.set_nonblocking(false).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    until("it answers when the load is over", || {
        socket.send(&query(8, "web")).unwrap();
        let received = std::iter::from_fn(|| socket.recv(&mut [0; 512]).ok());
        received.into_iter().any(|length| length == query(8, "web").len())
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_worker_lets_go_of_old_snapshots() {
    let started = start(loopback());
    until("it refreshes again and again", || started.stub.refreshes.load(SeqCst) >= 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_frees_the_port_and_answers_what_is_in_flight() {
    // An address of its own, so that no other test is given the port when it is free.
    let mut settings = loopback();
    settings.listen = vec!["127.0.3.2:0".parse().unwrap()];
    let started = start(settings);
    let address = started.address();
    let socket = client("127.0.0.1:0");
    socket.send_to(&query(1, "slow"), address).unwrap();
    socket.send_to(&query(2, "web"), address).unwrap();
    assert_eq!(receive(&socket), response(2, "web"));
    started.stub.release.add_permits(1);
    started.transport.shutdown().await;
    assert_eq!(receive(&socket), response(1, "slow"));
    // Another test's socket on all addresses may have been given the number for a moment.
    let free = async {
        while UdpSocket::bind(address).is_err() || std::net::TcpListener::bind(address).is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), free).await.unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    socket.send_to(&query(3, "web"), address).unwrap();
    let error = socket.recv_from(&mut [0; 512]).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}");
}
