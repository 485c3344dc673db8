use super::*;

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    socket
}

/// Receives until `count` messages have come.
fn receive_all(batch: &mut Batch, socket: &UdpSocket, count: usize) {
    let mut poller = Poller::new([socket].into_iter());
    poller.wait(Duration::from_secs(5));
    assert!(poller.is_ready(0));
    assert_eq!(batch.receive(socket).unwrap(), count);
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

#[test]
fn an_empty_socket_says_so_at_once() {
    let error = Batch::new().receive(&socket()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
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
