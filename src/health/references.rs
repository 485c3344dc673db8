//! Asking whether we reach anything at all: reference targets, which answer where our own link is whole.
//!
//! | target | asked by | answers |
//! |---|---|---|
//! | the gateway of each default route, a host of the setting | an ICMP echo, and TCP connections to four ports | anything ICMP from there; a connection, or that it is refused |
//! | the first upstream | a DNS query | any response; that it is refused |
//! | `host:port` of the setting | a TCP connection | a connection, or that it is refused |
//!
//! All are asked at once, and one that answers will do. Gateway and upstream are those of the moment, or where there is none any
//! more, as when a link has gone down, the last that there were. Those on this very machine prove nothing and are not asked.
//!
//! **Limits:** a host's echo needs `net.ipv4.ping_group_range` or CAP_NET_RAW; without them, the ports alone are tried.
//!
//! **Source:** RFC 792, RFC 4443 section 4.1; proc_net(5) and linux/route.h for the routes.

use std::{
    fmt, fs, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket as StdUdpSocket},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::{
    net::{TcpStream, UdpSocket},
    sync::mpsc,
    task::JoinSet,
    time::{MissedTickBehavior, interval, timeout},
};

use super::{
    connect::host_and_port,
    probe::{TargetResolver, addresses},
};

/// How failures are guarded that come all at once.
#[derive(Clone)]
pub struct GuardSettings {
    /// Who is asked whether we reach anything: each a host or `host:port`. None: the default route's gateway and the first
    /// upstream.
    pub targets: Vec<Arc<str>>,
    /// For how long failures are held at most.
    pub hold: Duration,
    /// The first upstream of the moment.
    pub upstream: Arc<dyn Fn() -> Option<SocketAddr> + Send + Sync>,
}

impl fmt::Debug for GuardSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let GuardSettings { targets, hold, .. } = self;
        f.debug_struct("GuardSettings").field("targets", targets).field("hold", hold).finish_non_exhaustive()
    }
}

/// What came of asking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Heard {
    /// This one answered.
    Answer(String),
    /// None has.
    Silence,
    /// There is nobody to ask.
    Nobody,
    /// None has for as long as failures are held.
    Over,
}

/// Those who are asked.
pub(super) struct References {
    settings: GuardSettings,
    resolver: TargetResolver,
    /// The last gateways and upstream that there were.
    last: Mutex<(Vec<SocketAddr>, Option<SocketAddr>)>,
}

impl References {
    pub(super) fn new(settings: GuardSettings, resolver: TargetResolver) -> References {
        let references = References { settings, resolver, last: Mutex::default() };
        references.look();
        references
    }

    /// Keeps what gateways and upstream there are, for the time when there are none.
    pub(super) async fn follow(self: Arc<Self>) {
        let mut ticks = interval(LOOK_INTERVAL);
        let weak = Arc::downgrade(&self);
        drop(self);
        loop {
            ticks.tick().await;
            match weak.upgrade() {
                Some(references) => drop(references.look()),
                None => return,
            }
        }
    }

    /// Asks at once and then every 2 s until one answers, and says what it hears; also when failures have been held for long
    /// enough.
    pub(super) async fn ask_on(self: Arc<Self>, tell: mpsc::Sender<Heard>) {
        let asking = async {
            let mut ticks = interval(ASK_INTERVAL);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                let heard = self.ask().await;
                let is_last = heard != Heard::Silence;
                if tell.send(heard).await.is_err() || is_last {
                    // Nobody listens any more when nothing is held.
                    return tell.closed().await;
                }
            }
        };
        if timeout(self.settings.hold, asking).await.is_err() {
            let _ = tell.send(Heard::Over).await;
        }
    }

    /// Asks all once.
    async fn ask(&self) -> Heard {
        let all = self.targets();
        if all.is_empty() {
            return Heard::Nobody;
        }
        let mut asked = JoinSet::new();
        for target in all {
            let resolver = Arc::clone(&self.resolver);
            asked.spawn(async move {
                let answered = timeout(ANSWER_WITHIN, target.answers(&resolver)).await;
                answered.unwrap_or(false).then(|| target.to_string())
            });
        }
        while let Some(answer) = asked.join_next().await {
            if let Ok(Some(who)) = answer {
                return Heard::Answer(who);
            }
        }
        Heard::Silence
    }

    fn targets(&self) -> Vec<Target> {
        if !self.settings.targets.is_empty() {
            return self.settings.targets.iter().map(|target| Target::Listed(Arc::clone(target))).collect();
        }
        let (gateways, upstream) = self.look();
        let gateways = gateways.into_iter().map(Target::Host);
        gateways.chain(upstream.map(Target::Upstream)).collect()
    }

    /// What gateways and upstream there are, or were last.
    fn look(&self) -> (Vec<SocketAddr>, Option<SocketAddr>) {
        let is_elsewhere = |address: &SocketAddr| !is_here(*address);
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let mut gateways = gateways_v4(&read("/proc/net/route"));
        gateways.extend(gateways_v6(&read("/proc/net/ipv6_route")));
        gateways.retain(is_elsewhere);
        let upstream = (self.settings.upstream)().filter(is_elsewhere);
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if !gateways.is_empty() {
            last.0 = gateways;
        }
        last.1 = upstream.or(last.1);
        last.clone()
    }
}

/// Who is asked.
#[derive(Debug, Clone)]
enum Target {
    /// By ICMP and by TCP; the port says nothing.
    Host(SocketAddr),
    /// By DNS.
    Upstream(SocketAddr),
    /// As it is written.
    Listed(Arc<str>),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Host(address) => write!(f, "gateway {}", address.ip()),
            Target::Upstream(address) => write!(f, "upstream {address}"),
            Target::Listed(target) => write!(f, "{target}"),
        }
    }
}

impl Target {
    /// Whether it answers; to be given up when that takes too long.
    async fn answers(&self, resolver: &TargetResolver) -> bool {
        match self {
            Target::Host(address) => host_answers(*address).await,
            Target::Upstream(address) => answers_dns(*address).await.is_ok_and(|answered| answered),
            Target::Listed(target) => {
                let (host, port) = match host_and_port(target) {
                    Some((host, port)) => (host, Some(port)),
                    None => (&**target, None),
                };
                let Ok(found) = addresses(resolver, host).await else { return false };
                let mut asked = JoinSet::new();
                for address in found {
                    asked.spawn(async move {
                        match port {
                            Some(port) => answers_tcp(SocketAddr::new(address, port)).await,
                            None => host_answers(SocketAddr::new(address, 0)).await,
                        }
                    });
                }
                any(asked).await
            }
        }
    }
}

async fn any(mut asked: JoinSet<bool>) -> bool {
    while let Some(answered) = asked.join_next().await {
        if answered.is_ok_and(|answered| answered) {
            return true;
        }
    }
    false
}

async fn host_answers(address: SocketAddr) -> bool {
    let mut asked = JoinSet::new();
    asked.spawn(async move { answers_echo(address).await.is_ok() });
    for port in HOST_PORTS {
        let mut at = address;
        at.set_port(port);
        asked.spawn(answers_tcp(at));
    }
    any(asked).await
}

/// Whether something there accepts, or refuses, a connection.
async fn answers_tcp(address: SocketAddr) -> bool {
    match TcpStream::connect(address).await {
        Ok(_) => true,
        Err(error) => error.kind() == io::ErrorKind::ConnectionRefused,
    }
}

/// Whether anything comes back for a DNS query.
async fn answers_dns(address: SocketAddr) -> io::Result<bool> {
    let unspecified: IpAddr =
        if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((unspecified, 0)).await?;
    socket.connect(address).await?;
    let asked = async {
        socket.send(&ROOT_NS_QUERY).await?;
        socket.recv(&mut [0; 512]).await
    };
    match asked.await {
        Ok(_) => Ok(true),
        Err(error) => Ok(error.kind() == io::ErrorKind::ConnectionRefused),
    }
}

/// Returns when something ICMP has come from there.
async fn answers_echo(address: SocketAddr) -> io::Result<()> {
    let (domain, protocol, echo): (_, _, &[u8]) = match address {
        SocketAddr::V4(_) => (Domain::IPV4, Protocol::ICMPV4, &ECHO_V4),
        SocketAddr::V6(_) => (Domain::IPV6, Protocol::ICMPV6, &ECHO_V6),
    };
    let socket =
        Socket::new(domain, Type::DGRAM, Some(protocol)).or_else(|_| Socket::new(domain, Type::RAW, Some(protocol)))?;
    socket.set_nonblocking(true)?;
    socket.connect(&address.into())?;
    // It is no socket of UDP, but it is sent and received on just so.
    let socket = UdpSocket::from_std(StdUdpSocket::from(socket))?;
    socket.send(echo).await?;
    match socket.recv(&mut [0; 512]).await {
        Ok(_) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Whether an address is this machine's.
fn is_here(address: SocketAddr) -> bool {
    if address.ip().is_loopback() || address.ip().is_unspecified() {
        return true;
    }
    let unspecified: IpAddr =
        if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    // Connecting a datagram socket sends nothing; it only chooses the source address.
    let source = StdUdpSocket::bind((unspecified, 0)).and_then(|socket| {
        let mut towards = address;
        towards.set_port(DNS_PORT);
        socket.connect(towards)?;
        socket.local_addr()
    });
    source.is_ok_and(|source| source.ip() == address.ip())
}

/// The gateways of default routes in /proc/net/route.
fn gateways_v4(routes: &str) -> Vec<SocketAddr> {
    let gateway = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, destination, gateway, flags, _, _, _, mask, ..] = fields[..] else { return None };
        let flags = u32::from_str_radix(flags, 16).ok()?;
        let is_default = destination == "00000000" && mask == "00000000" && flags & USABLE == USABLE;
        // The kernel prints the number that the bytes are on this machine.
        let bytes = u32::from_str_radix(gateway, 16).ok()?.to_ne_bytes();
        is_default.then(|| SocketAddr::from((bytes, 0)))
    };
    each_once(routes.lines().filter_map(gateway))
}

/// Those in /proc/net/ipv6_route.
fn gateways_v6(routes: &str) -> Vec<SocketAddr> {
    let gateway = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [destination, length, _, _, gateway, _, _, _, flags, interface] = fields[..] else { return None };
        let flags = u32::from_str_radix(flags, 16).ok()?;
        let is_default = length == "00" && destination.bytes().all(|digit| digit == b'0') && flags & USABLE == USABLE;
        let gateway = Ipv6Addr::from(u128::from_str_radix(gateway, 16).ok()?);
        let scope = if gateway.is_unicast_link_local() { interface_index(interface)? } else { 0 };
        is_default.then(|| SocketAddr::V6(SocketAddrV6::new(gateway, 0, 0, scope)))
    };
    each_once(routes.lines().filter_map(gateway))
}

fn each_once(all: impl Iterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let mut once = Vec::new();
    for each in all.filter(|address| !address.ip().is_unspecified()) {
        if !once.contains(&each) {
            once.push(each);
        }
    }
    once
}

fn interface_index(interface: &str) -> Option<u32> {
    fs::read_to_string(format!("/sys/class/net/{interface}/ifindex")).ok()?.trim().parse().ok()
}

/// Up, and by a gateway. Source: RTF_UP and RTF_GATEWAY of linux/route.h.
const USABLE: u32 = 0x3;

/// Ports of which a gateway has one open or closed, where a firewall does not drop what comes to it. Source: none, chosen:
/// DNS, HTTP, HTTPS and SSH.
const HOST_PORTS: [u16; 4] = [DNS_PORT, 80, 443, 22];

const DNS_PORT: u16 = 53;

/// A query for the root's NS, RD=1: what every resolver has. Its ID says nothing: the socket takes from one peer alone.
const ROOT_NS_QUERY: [u8; 17] = [0x6e, 0x70, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1];

/// An echo request with its checksum, identifier 0x6e70. Source: RFC 792.
const ECHO_V4: [u8; 8] = [8, 0, 0x89, 0x8e, 0x6e, 0x70, 0, 1];

/// The same over IPv6, where the kernel writes the checksum. Source: RFC 4443 section 4.1, RFC 3542 section 3.1.
const ECHO_V6: [u8; 8] = [128, 0, 0, 0, 0x6e, 0x70, 0, 1];

/// For so long an answer is waited for. Source: the requirement: a reference target is near.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// So often they are asked. Source: none, chosen: a link that is back is seen soon, and nobody is flooded.
const ASK_INTERVAL: Duration = Duration::from_secs(2);

/// So often it is looked what gateways there are. Source: none, chosen: they hardly ever change, and reading them costs little.
const LOOK_INTERVAL: Duration = Duration::from_secs(30);

#[cfg(test)]
#[path = "references_tests.rs"]
mod tests;
