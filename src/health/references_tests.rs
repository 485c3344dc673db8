use tokio::net::TcpListener;

use super::{super::testing::resolver, *};

fn references(targets: &[&str], upstream: Option<SocketAddr>) -> References {
    let targets = targets.iter().map(|target| Arc::from(*target)).collect();
    let hold = Duration::from_secs(60);
    References::new(GuardSettings { targets, hold, upstream: Arc::new(move || upstream) }, resolver())
}

/// Ports on loopback: one open, one closed, one that takes what comes and says nothing.
async fn ports() -> (TcpListener, SocketAddr, UdpSocket) {
    let open = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    (open, closed, UdpSocket::bind("127.0.0.1:0").await.unwrap())
}

#[tokio::test]
async fn a_connection_and_its_refusal_are_answers() {
    let (open, closed, _) = ports().await;
    for at in [open.local_addr().unwrap(), closed] {
        let target = at.to_string();
        assert_eq!(references(&[&target], None).ask().await, Heard::Answer(target));
        let by_name = format!("localhost.example:{}", at.port());
        assert_eq!(references(&["unknown:1", &by_name], None).ask().await, Heard::Answer(by_name));
    }
}

#[tokio::test]
async fn who_cannot_be_found_is_silent() {
    assert_eq!(references(&["unknown:80", "none.example"], None).ask().await, Heard::Silence);
}

#[tokio::test]
async fn a_host_answers_by_its_ports_too() {
    // Nobody listens on most of them, and loopback refuses.
    assert_eq!(references(&["127.0.0.1"], None).ask().await, Heard::Answer("127.0.0.1".to_owned()));
}

#[tokio::test]
async fn any_datagram_is_an_answer_of_an_upstream_and_silence_is_none() {
    let (_, _, socket) = ports().await;
    let address = socket.local_addr().unwrap();
    let silent = timeout(Duration::from_millis(200), answers_dns(address)).await;
    assert!(silent.is_err());
    let answer = async {
        let mut query = [0; 512];
        let (length, from) = socket.recv_from(&mut query).await.unwrap();
        assert_eq!(query[..length], ROOT_NS_QUERY);
        let (_, from) = (length, socket.recv_from(&mut query).await.map_or(from, |(_, from)| from));
        socket.send_to(b"whatever", from).await.unwrap();
    };
    let (answered, ()) = tokio::join!(answers_dns(address), answer);
    assert!(answered.unwrap());
    drop(socket);
    assert!(answers_dns(address).await.unwrap(), "refused");
}

#[test]
fn what_is_on_this_machine_proves_nothing() {
    let references = references(&[], Some("127.0.0.53:53".parse().unwrap()));
    assert_eq!(references.look().1, None);
}

#[test]
fn the_last_upstream_is_kept_when_there_is_none_any_more() {
    let upstream = Arc::new(Mutex::new(Some("192.0.2.53:53".parse().unwrap())));
    let now = Arc::clone(&upstream);
    let upstream_now = Arc::new(move || *now.lock().unwrap());
    let settings = GuardSettings { targets: Vec::new(), hold: Duration::from_secs(60), upstream: upstream_now };
    let references = References::new(settings, resolver());
    *upstream.lock().unwrap() = None;
    assert_eq!(references.look().1, Some("192.0.2.53:53".parse().unwrap()));
}

#[test]
fn gateways_are_those_of_default_routes() {
    let address = |bytes: [u8; 4]| format!("{:08X}", u32::from_ne_bytes(bytes));
    let (gateway, other) = (address([192, 0, 2, 1]), address([192, 0, 2, 0]));
    let mask = address([255, 255, 255, 0]);
    let routes = format!(
        "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n\
         eth0\t00000000\t{gateway}\t0003\t0\t0\t100\t00000000\t0\t0\t0\n\
         eth1\t00000000\t{gateway}\t0003\t0\t0\t200\t00000000\t0\t0\t0\n\
         eth0\t{other}\t00000000\t0001\t0\t0\t0\t{mask}\t0\t0\t0\n\
         wg0\t00000000\t00000000\t0001\t0\t0\t300\t00000000\t0\t0\t0\n\
         eth2\t{other}\t{other}\t0003\t0\t0\t0\t{mask}\t0\t0\t0\n"
    );
    assert_eq!(gateways_v4(&routes), ["192.0.2.1:0".parse().unwrap()]);
    assert_eq!(gateways_v4("what is this\n\n"), []);
}

#[test]
fn gateways_over_ipv6_are_those_of_default_routes() {
    let zero = "0".repeat(32);
    let gateway = "20010db8000000000000000000000001";
    let routes = format!(
        "20010db8000000000000000000000000 40 {zero} 00 {zero} 00000100 00000001 00000000 00000001     eth0\n\
         {zero} 00 {zero} 00 {gateway} 00000400 00000003 00000000 00000003     eth0\n\
         {zero} 00 {zero} 00 fe800000000000000000000000000001 00000400 00000003 00000000 00000003     lo\n\
         {zero} 00 {zero} 00 {zero} ffffffff 00000001 00000000 00200200       lo\n"
    );
    let scope = interface_index("lo").unwrap();
    let link_local = SocketAddrV6::new("fe80::1".parse().unwrap(), 0, 0, scope).into();
    assert_eq!(gateways_v6(&routes), ["[2001:db8::1]:0".parse().unwrap(), link_local]);
}
