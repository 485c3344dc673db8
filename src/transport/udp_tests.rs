use std::os::{fd::OwnedFd, unix::net::UnixDatagram};

use super::*;

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    socket
}

/// Receives until `count` messages have come.
fn receive_all(batch: &mut Batch, socket: &UdpSocket, count: usize) {
    receive_all_of(batch, (socket, socket.local_addr().unwrap().ip()), count);
}

fn receive_all_of(batch: &mut Batch, (socket, local): (&UdpSocket, IpAddr), count: usize) {
    let mut poller = Poller::new([socket].into_iter());
    poller.wait(Duration::from_secs(5));
    assert!(poller.is_ready(0));
    assert_eq!(batch.receive(socket, local, BATCH_MAX).unwrap(), count);
}

#[test]
fn each_message_of_a_batch_keeps_its_bytes_and_sender() {
    let (server, mut batch) = (socket(), Batch::new());
    // Batches of different sizes one after the other, because only what was used is made new.
    for count in [1, 64, 3, 64, 2] {
        let clients: Vec<UdpSocket> = (0..count).map(|_| socket()).collect();
        for (index, client) in clients.iter().enumerate() {
            client.send_to(&vec![index as u8; index + 1], server.local_addr().unwrap()).unwrap();
        }
        receive_all(&mut batch, &server, count);
        for (index, client) in clients.iter().enumerate() {
            let (buffer, length, peer) = batch.message(index);
            assert_eq!((length, peer.unwrap()), (index + 1, client.local_addr().unwrap()));
            assert!(buffer.bytes()[..length].iter().all(|byte| *byte == index as u8));
            batch.queue(index, length);
        }
        assert_eq!(batch.send(&server), 0);
        for (index, client) in clients.iter().enumerate() {
            assert_eq!(client.recv(&mut [0; 128]).unwrap(), index + 1);
        }
    }
}

#[test]
fn a_response_that_cannot_be_sent_costs_no_other() {
    let (server, client, mut batch) = (socket(), socket(), Batch::new());
    for byte in 0..3 {
        client.send_to(&[byte], server.local_addr().unwrap()).unwrap();
    }
    receive_all(&mut batch, &server, 3);
    for index in 0..3 {
        batch.queue(index, 1);
    }
    // Nobody can be sent to at port 0.
    let stranger = ptr::from_mut(&mut batch.peers[1]).cast::<libc::sockaddr_in>();
    // SAFETY: the peer is an IPv4 address, received above.
    unsafe { (*stranger).sin_port = 0 };
    assert_eq!(batch.send(&server), 1);
    for byte in [0, 2] {
        let mut bytes = [9];
        client.recv(&mut bytes).unwrap();
        assert_eq!(bytes, [byte]);
    }
}

/// Two ends of a pipe for datagrams, of which one stands for a UDP socket: over loopback no send buffer is ever full.
fn pipe() -> (UdpSocket, UnixDatagram) {
    let (server, client) = UnixDatagram::pair().unwrap();
    client.set_nonblocking(true).unwrap();
    (UdpSocket::from(OwnedFd::from(server)), client)
}

/// Sends what the pipe takes, at most a batch, and has all of it queued as responses; returns how much that is.
fn queue_all(batch: &mut Batch, (server, client): (&UdpSocket, &UnixDatagram)) -> usize {
    let sent = (0..BATCH_MAX as u8).take_while(|byte| client.send(&[*byte]).is_ok()).count();
    receive_all_of(batch, (server, Ipv4Addr::LOCALHOST.into()), sent);
    (0..sent).for_each(|index| batch.queue(index, 1));
    sent
}

/// Sends responses that nobody reads until some are lost. Returns how many were not, and how long the last batch took.
fn fill(batch: &mut Batch, ends: (&UdpSocket, &UnixDatagram)) -> (usize, Duration) {
    let mut held = 0;
    for _ in 0..100 {
        let queued = queue_all(batch, ends);
        let begun = std::time::Instant::now();
        let lost = batch.send(ends.0);
        held += queued - lost;
        if lost > 0 {
            return (held, begun.elapsed());
        }
    }
    panic!("the pipe takes more than {held}");
}

#[test]
fn what_finds_no_room_is_lost_after_one_wait() {
    let ((server, client), mut batch) = (pipe(), Batch::new());
    let (held, took) = fill(&mut batch, (&server, &client));
    assert!(held > 1 && took >= SEND_WAIT_MAX, "{held} in {took:?}");
    let (more, took) = fill(&mut batch, (&server, &client));
    assert_eq!(more, 0);
    // Of a batch of many, each would have waited.
    assert!(took < 5 * SEND_WAIT_MAX, "{took:?}");
}

#[test]
fn a_full_send_buffer_is_waited_for() {
    let ((server, client), mut batch) = (pipe(), Batch::new());
    let (held, _) = fill(&mut batch, (&server, &client));
    let more = queue_all(&mut batch, (&server, &client));
    client.set_nonblocking(false).unwrap();
    let reader = std::thread::spawn(move || (0..held + more).map(|_| read_one(&client)).collect::<Vec<u8>>());
    assert_eq!(batch.send(&server), 0);
    assert_eq!(reader.join().unwrap()[held..], (0..more as u8).collect::<Vec<u8>>());
}

fn read_one(client: &UnixDatagram) -> u8 {
    let mut byte = [255];
    client.recv(&mut byte).unwrap();
    byte[0]
}

#[test]
fn an_empty_socket_says_so_at_once() {
    let error = Batch::new().receive(&socket(), Ipv4Addr::LOCALHOST.into(), BATCH_MAX).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
}

/// A socket on all addresses of the family, with its port.
fn wildcard(address: &str) -> (UdpSocket, u16) {
    let socket = UdpSocket::bind((address, 0)).unwrap();
    tell_of_messages(&socket, address.parse().unwrap()).unwrap();
    let port = socket.local_addr().unwrap().port();
    (socket, port)
}

#[test]
fn a_wildcard_answers_from_the_address_that_was_asked() {
    let ((v4, v4_port), (v6, v6_port), one) = (wildcard("0.0.0.0"), wildcard("::"), socket());
    let mut batch = Batch::new();
    // In turns, because sockets of both kinds share a worker's batch.
    for _ in 0..3 {
        for (server, asked, from) in [
            (&v4, SocketAddr::new([127, 0, 0, 7].into(), v4_port), "127.0.0.1:0"),
            (&one, one.local_addr().unwrap(), "127.0.0.1:0"),
            (&v6, SocketAddr::new(Ipv6Addr::LOCALHOST.into(), v6_port), "[::1]:0"),
            (&v4, SocketAddr::new([127, 0, 0, 8].into(), v4_port), "127.0.0.1:0"),
        ] {
            let client = UdpSocket::bind(from).unwrap();
            client.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            for byte in 0..3 {
                client.send_to(&[byte], asked).unwrap();
            }
            receive_all(&mut batch, server, 3);
            let told = batch.destination(1);
            assert_eq!(told, server.local_addr().unwrap().ip().is_unspecified().then_some(asked.ip()));
            (0..3).for_each(|index| batch.queue(index, 1));
            assert_eq!(batch.send(server), 0);
            send_from(server, &[3], client.local_addr().unwrap(), told).unwrap();
            for byte in 0..4 {
                let mut bytes = [9];
                assert_eq!(client.recv_from(&mut bytes).unwrap(), (1, asked));
                assert_eq!(bytes, [byte]);
            }
        }
    }
}

#[test]
fn the_wait_of_the_oldest_message_is_known() {
    let (server, client, mut batch) = (socket(), socket(), Batch::new());
    tell_of_messages(&server, Ipv4Addr::LOCALHOST.into()).unwrap();
    let before = std::time::Instant::now();
    client.send_to(&[1], server.local_addr().unwrap()).unwrap();
    let sent = std::time::Instant::now();
    std::thread::park_timeout(Duration::from_millis(20));
    client.send_to(&[2], server.local_addr().unwrap()).unwrap();
    let least = sent.elapsed();
    receive_all(&mut batch, &server, 2);
    let waited = batch.waited();
    assert!(waited >= least && waited <= before.elapsed(), "{least:?} {waited:?} {:?}", before.elapsed());
}

#[test]
fn a_socket_that_does_not_tell_has_no_wait() {
    let (server, client, mut batch) = (socket(), socket(), Batch::new());
    client.send_to(&[1], server.local_addr().unwrap()).unwrap();
    receive_all(&mut batch, &server, 1);
    assert_eq!((batch.waited(), batch.destination(0)), (Duration::ZERO, None));
}

#[test]
fn an_error_of_an_earlier_response_is_retried_and_others_are_not() {
    for (code, again) in
        [(libc::ECONNREFUSED, true), (libc::EINTR, true), (libc::EMSGSIZE, false), (libc::EPERM, false)]
    {
        let after = after_send_error(&io::Error::from_raw_os_error(code));
        assert_eq!(matches!(after, AfterError::Again), again, "{code}");
    }
    assert!(matches!(after_send_error(&io::Error::from_raw_os_error(libc::EAGAIN)), AfterError::WhenRoom));
}

#[test]
fn the_local_addresses_hold_loopback() {
    assert!(local_addresses().unwrap().contains(&"127.0.0.1:0".parse().unwrap()));
}

#[test]
fn loopback_is_an_interface_with_its_network() {
    let expected =
        InterfaceAddress { interface: "lo".to_owned(), address: Kind::Ip("127.0.0.1:0".parse().unwrap(), 8) };
    let found = interface_addresses().unwrap();
    assert!(found.contains(&expected), "{found:?}");
}
