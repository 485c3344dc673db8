//! What an operator may set about forwarding. Plain data; `daemon` makes it from the configuration.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::wire::name::Name;

/// Settings of a forwarder; swapped as a whole.
#[derive(Debug, Clone)]
pub struct ForwardSettings {
    /// Who is asked for names that no rule of `zones` covers.
    pub upstreams: Upstreams,
    /// Upstreams by suffix; the longest suffix wins. Holds forward rules and `fallthrough` alike.
    pub zones: Vec<(Name, Vec<SocketAddr>)>,
    /// Where we listen ourselves; such an address is never an upstream.
    pub own_addresses: Vec<SocketAddr>,
    /// Where the last set of system upstreams that worked is kept; none keeps nothing.
    pub state_file: Option<PathBuf>,
    /// Times and sizes.
    pub limits: Limits,
}

/// Where the default upstreams come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Upstreams {
    /// The host's resolv.conf, less our own addresses; watched.
    System(SystemFiles),
    /// These.
    Listed(Vec<SocketAddr>),
    /// Nobody: names that no rule covers get REFUSED.
    Off,
}

/// The files that tell the host's upstreams.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemFiles {
    /// What the host's programs read.
    pub resolv_conf: PathBuf,
    /// Read instead where `resolv_conf` names systemd-resolved's stub.
    pub systemd_resolved: PathBuf,
    /// Read instead where `resolv_conf` names a stub or ourselves only, and NetworkManager keeps it.
    pub network_manager: PathBuf,
    /// Where the nameservers in them are asked: port 53, but for tests.
    pub port: u16,
}

/// Times and sizes of a forwarder.
///
/// Source: DNS.md, "Forwarding", unless a field says otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// How long one upstream is waited for before the next is asked as well; also between resends. 1.5 s.
    pub try_after: Duration,
    /// When a client is answered at the latest. 3 s.
    pub answer_within: Duration,
    /// When an expired cache entry is served, if there is one. 1.8 s.
    pub stale_after: Duration,
    /// How long upstreams are waited for on behalf of the cache. 10 s.
    pub background: Duration,
    /// How long an upstream may go unasked before a query is sent to it besides the fastest one. 60 s.
    ///
    /// Source: none, chosen: one query a minute finds out that a slow upstream has become fast.
    pub explore_after: Duration,
    /// Most forwards in flight. 4,096.
    pub in_flight_max: usize,
    /// Most forwards in flight for one client address. 256.
    pub in_flight_client_max: usize,
    /// Most bytes of the cache. 64 MiB.
    pub cache_max_bytes: u64,
    /// Most entries of the cache. 100,000.
    pub cache_max_entries: u64,
}

impl ForwardSettings {
    /// These upstreams, no rules, default limits.
    pub fn new(upstreams: Upstreams) -> ForwardSettings {
        ForwardSettings {
            upstreams,
            zones: Vec::new(),
            own_addresses: Vec::new(),
            state_file: None,
            limits: Limits::default(),
        }
    }
}

impl SystemFiles {
    /// This resolv.conf, and the usual files of systemd-resolved and NetworkManager.
    pub fn with_resolv_conf(path: impl AsRef<Path>) -> SystemFiles {
        SystemFiles { resolv_conf: path.as_ref().to_owned(), ..SystemFiles::default() }
    }
}

impl Default for SystemFiles {
    fn default() -> SystemFiles {
        SystemFiles {
            resolv_conf: PathBuf::from("/etc/resolv.conf"),
            systemd_resolved: PathBuf::from("/run/systemd/resolve/resolv.conf"),
            network_manager: PathBuf::from("/run/NetworkManager/no-stub-resolv.conf"),
            port: DNS_PORT,
        }
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            try_after: Duration::from_millis(1500),
            answer_within: Duration::from_secs(3),
            stale_after: Duration::from_millis(1800),
            background: Duration::from_secs(10),
            explore_after: Duration::from_secs(60),
            in_flight_max: 4096,
            in_flight_client_max: 256,
            cache_max_bytes: 64 << 20,
            cache_max_entries: 100_000,
        }
    }
}

/// Port of DNS. Source: RFC 1035 section 4.2.
pub(super) const DNS_PORT: u16 = 53;
