use std::net::UdpSocket;

use super::{
    stub::{loopback, query, response, start},
    *,
};
use crate::observe::metrics::Metrics;

fn try_start(settings: TransportSettings) -> Result<Transport<stub::Stub>, BindError> {
    let stub = stub::Stub {
        release: tokio::sync::Semaphore::new(0),
        refreshes: Default::default(),
        warmed: Default::default(),
    };
    Transport::start(settings, Arc::new(stub), Observer { metrics: Arc::new(Metrics::new()), query_log: None })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_server_on_the_address_fails_and_names_the_first() {
    let first = start(loopback());
    let error = try_start(TransportSettings::new(vec![first.address()], 1)).unwrap_err().to_string();
    assert!(error.contains(&first.address().to_string()), "{error}");
    assert!(error.contains(&format!("process {}", std::process::id())), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_is_only_wished_for_is_left_out() {
    let first = start(loopback());
    let mut settings = loopback();
    settings.listen_if_possible = vec![first.address(), "[::1]:0".parse().unwrap()];
    let second = try_start(settings).unwrap();
    assert_eq!(second.local_addresses().len(), 2);
    assert!(matches!(second.left_out(), [BindError::Taken { .. }]), "{:?}", second.left_out());
}

/// A port that no address of this host has taken, or may have been taken since.
fn free_port() -> u16 {
    listen::open("0.0.0.0:0".parse().unwrap(), 1, &[]).unwrap()[0].address.port()
}

/// Starts with a free port, and again with another one if somebody else was faster.
fn start_on_free_port(listen: impl Fn(u16) -> Vec<SocketAddr>) -> Transport<stub::Stub> {
    let mut tries = (0..20).map(|_| try_start(TransportSettings::new(listen(free_port()), 1)));
    tries.find_map(Result::ok).expect("one of 20 ports is free")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_appears_behind_a_wildcard_is_listened_on() {
    let transport = start_on_free_port(|port| vec![SocketAddr::new([127, 0, 0, 1].into(), port)]);
    let address = transport.local_addresses()[0];
    let wildcard: SocketAddr = format!("0.0.0.0:{}", address.port()).parse().unwrap();
    // A wildcard of which one address is open already; all others have just appeared. One whose port was taken
    // meanwhile is tried again each time.
    let expected = listen::expand(wildcard).unwrap().len();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(5);
    while transport.local_addresses().len() < expected {
        assert!(std::time::Instant::now() < deadline, "{transport:?}");
        transport.listeners.follow(&[wildcard]);
    }
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(std::time::Duration::from_secs(5))).unwrap();
    socket.send_to(&query(1, "web"), address).unwrap();
    let mut bytes = [0; 512];
    let length = socket.recv(&mut bytes).unwrap();
    assert_eq!(bytes[..length], response(1, "web"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wildcard_beside_one_of_its_addresses_opens_each_once() {
    let both = |port| vec![SocketAddr::new([0, 0, 0, 0].into(), port), SocketAddr::new([127, 0, 0, 1].into(), port)];
    let transport = start_on_free_port(both);
    let expected = listen::expand("0.0.0.0:0".parse().unwrap()).unwrap();
    assert_eq!(transport.local_addresses().len(), expected.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ipv4_address_written_as_ipv6_is_the_ipv4_address() {
    let transport = try_start(TransportSettings::new(vec!["[::ffff:127.0.0.1]:0".parse().unwrap()], 1)).unwrap();
    let [address] = transport.local_addresses()[..] else { panic!("one address") };
    assert_eq!(address.ip(), std::net::Ipv4Addr::LOCALHOST);
    assert_eq!(ask(address), Some(response(1, "web")));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_family_has_the_port_for_itself() {
    let both = |port| vec![SocketAddr::new([0, 0, 0, 0].into(), port), SocketAddr::new([0; 16].into(), port)];
    let transport = start_on_free_port(both);
    let port = transport.local_addresses()[0].port();
    for ip in ["127.0.0.1", "::1"] {
        assert_eq!(ask(SocketAddr::new(ip.parse().unwrap(), port)), Some(response(1, "web")), "{ip}");
    }
    let alone = try_start(TransportSettings::new(vec!["[::]:0".parse().unwrap()], 1)).unwrap();
    let port = alone.local_addresses()[0].port();
    assert_eq!(ask(SocketAddr::new([0, 0, 0, 0, 0, 0, 0, 1].into(), port)), Some(response(1, "web")));
    // Nobody: what a wildcard of IPv6 got from an IPv4 address would look like another client.
    assert_eq!(ask(SocketAddr::new([127, 0, 0, 1].into(), port)), None);
}

/// The response to a query, if one comes or the port is refused.
fn ask(address: SocketAddr) -> Option<Vec<u8>> {
    let local: SocketAddr = if address.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" }.parse().unwrap();
    let socket = UdpSocket::bind(local).unwrap();
    socket.set_read_timeout(Some(std::time::Duration::from_secs(5))).unwrap();
    socket.connect(address).unwrap();
    socket.send(&query(1, "web")).unwrap();
    let mut bytes = vec![0; 512];
    let length = socket.recv(&mut bytes).ok()?;
    bytes.truncate(length);
    Some(bytes)
}
