use std::{
    io::{Read, Write},
    net::{TcpStream, UdpSocket},
    thread,
    time::{Duration, Instant},
};

use super::*;
use crate::transport::stub::{Started, loopback, query, response, start};

/// Addresses of this file's own, so that no other test is given their ports.
const FIRST: &str = "127.0.4.1";
const SECOND: &str = "127.0.4.2";

/// A port that was free a moment ago, at an address of this file's own.
fn free(ip: &str) -> SocketAddr {
    let socket = std::net::TcpListener::bind((ip, 0)).unwrap();
    socket.local_addr().unwrap()
}

fn client(server: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    socket.connect(server).unwrap();
    socket
}

#[track_caller]
fn check_udp(socket: &UdpSocket, id: u16) {
    socket.send(&query(id, "web")).unwrap();
    let mut bytes = [0; 512];
    let length = socket.recv(&mut bytes).unwrap();
    assert_eq!(bytes[..length], response(id, "web"));
}

#[track_caller]
fn check_tcp(address: SocketAddr) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let message = query(7, "web");
    stream.write_all(&[&(message.len() as u16).to_be_bytes()[..], &message].concat()).unwrap();
    let mut bytes = vec![0; 2 + message.len()];
    stream.read_exact(&mut bytes).unwrap();
    assert_eq!(bytes[2..], response(7, "web"));
}

/// Returns when nobody listens on the address any more.
fn until_free(address: SocketAddr) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while UdpSocket::bind(address).is_err() || std::net::TcpListener::bind(address).is_err() {
        assert!(Instant::now() < deadline, "{address} is still taken");
        thread::yield_now();
    }
}

/// Two workers on one address.
fn started() -> (Started, SocketAddr) {
    let mut settings = loopback();
    settings.workers = 2;
    let started = start(settings);
    let address = started.address();
    (started, address)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_is_answered_from_when_it_is_asked_for_until_it_is_no_more() {
    let (started, first) = started();
    let further = free(FIRST);
    started.transport.listen_also(&[further]);
    assert_eq!(started.transport.local_addresses(), [first, further]);
    check_udp(&client(further), 1);
    check_tcp(further);
    // Again changes nothing.
    started.transport.listen_also(&[further]);
    check_udp(&client(further), 2);

    started.transport.listen_also(&[]);
    assert_eq!(started.transport.local_addresses(), [first]);
    until_free(further);
    check_udp(&client(first), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_query_to_other_addresses_is_lost_while_one_comes_and_goes() {
    let (started, first) = started();
    let further = free(FIRST);
    let (over, told) = std::sync::mpsc::sync_channel::<()>(0);
    let asking = thread::spawn(move || {
        let mut asked = 0;
        while matches!(told.try_recv(), Err(std::sync::mpsc::TryRecvError::Empty)) {
            // From a port of its own, so that both workers are asked.
            check_udp(&client(first), asked);
            asked += 1;
        }
        asked
    });
    for _ in 0..20 {
        started.transport.listen_also(&[further]);
        check_udp(&client(further), 1);
        started.transport.listen_also(&[]);
        until_free(further);
    }
    drop(over);
    assert!(asking.join().unwrap() > 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_query_is_answered_though_its_address_is_closed_meanwhile() {
    let (started, _) = started();
    let further = free(FIRST);
    started.transport.listen_also(&[further]);
    let socket = client(further);
    socket.send(&query(1, "slow")).unwrap();
    // It is answered behind the slow one, so that both are in.
    check_udp(&socket, 2);
    started.transport.listen_also(&[]);
    started.stub.release.add_permits(1);
    let mut bytes = [0; 512];
    let length = socket.recv(&mut bytes).unwrap();
    assert_eq!(bytes[..length], response(1, "slow"));
    until_free(further);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_address_is_told_once_and_had_when_it_is_free() {
    let (started, first) = started();
    let further = free(SECOND);
    let other = std::net::TcpListener::bind(further).unwrap();
    for _ in 0..3 {
        started.transport.listen_also(&[further]);
        assert_eq!(started.transport.local_addresses(), [first]);
    }
    let told = || started.transport.listeners.state().told.len();
    assert_eq!(told(), 1);
    drop(other);
    started.transport.listen_also(&[further]);
    assert_eq!(started.transport.local_addresses(), [first, further]);
    assert_eq!(told(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_listened_on_already_is_not_opened_again() {
    let mut settings = loopback();
    settings.listen = vec!["0.0.0.0:0".parse().unwrap()];
    let started = start(settings);
    let listened = started.transport.local_addresses();
    started.transport.listen_also(&[SocketAddr::new(FIRST.parse().unwrap(), listened[0].port())]);
    assert_eq!(started.transport.local_addresses(), listened);
    started.transport.listen_also(&[]);
    check_udp(&client(SocketAddr::new([127, 0, 0, 1].into(), listened[0].port())), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_closes_what_was_asked_for_too() {
    let (started, first) = started();
    let further = free(SECOND);
    started.transport.listen_also(&[further]);
    check_udp(&client(further), 1);
    started.transport.shutdown().await;
    until_free(further);
    until_free(first);
}
