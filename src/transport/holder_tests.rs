use std::net::{TcpListener, UdpSocket};

use super::*;

#[track_caller]
fn check(line: &str, protocol: Protocol, address: &str, inode: Option<u64>) {
    assert_eq!(inode_of(line, protocol, address.parse().unwrap()), inode);
}

const V4: &str =
    "  0: 0100007F:0035 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 19173 1 0 100 0";
const V6_ANY: &str = "  1: 00000000000000000000000000000000:0035 00000000000000000000000000000000:0000 0A \
                      00000000:00000000 00:00000000 00000000     0        0 19174 1 0 100 0";

#[test]
#[cfg(target_endian = "little")]
fn a_line_holds_its_own_address_and_port() {
    check(V4, Protocol::Tcp, "127.0.0.1:53", Some(19_173));
    check(V4, Protocol::Tcp, "127.0.0.1:54", None);
    check(V4, Protocol::Tcp, "127.0.0.2:53", None);
}

#[test]
fn a_wildcard_holds_every_address_of_the_port() {
    check(V6_ANY, Protocol::Tcp, "[::1]:53", Some(19_174));
    check(V6_ANY, Protocol::Tcp, "192.0.2.1:53", Some(19_174));
    check(V4, Protocol::Tcp, "0.0.0.0:53", Some(19_173));
    check(V4, Protocol::Tcp, "[::]:53", None);
}

#[test]
fn a_tcp_socket_that_does_not_listen_holds_nothing() {
    check(&V4.replace(" 0A ", " 01 "), Protocol::Tcp, "127.0.0.1:53", None);
    check(&V4.replace(" 0A ", " 07 "), Protocol::Udp, "127.0.0.1:53", Some(19_173));
}

#[test]
fn a_line_that_is_no_socket_is_passed_over() {
    for line in ["", "a b c d", "0: 0100007F", "0: XX00007F:0035 0 0A", "0: 0100007:0035 0 0A"] {
        check(line, Protocol::Udp, "127.0.0.1:53", None);
    }
}

#[test]
fn our_own_process_is_found_by_its_sockets() {
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let udp = UdpSocket::bind("[::1]:0").unwrap();
    for found in [holder(Protocol::Tcp, tcp.local_addr().unwrap()), holder(Protocol::Udp, udp.local_addr().unwrap())] {
        assert_eq!(found.unwrap().pid, std::process::id());
    }
}
