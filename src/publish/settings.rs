//! What an operator may set about answering. Plain data; `daemon` makes it from the configuration.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

pub use crate::catalog::policy::{DefaultRule, HostNames, NoneEligible, ServiceRule};
use crate::{
    access::{Authorizer, Level, Realm, Resource, directory::Directory},
    catalog::{names::NodeName, service::IpNetwork},
    wire::name::Name,
};

/// Settings of the answering side; swapped as a whole.
#[derive(Debug, Clone)]
pub struct Settings {
    /// D: the domain under which services are answered.
    pub domain: Name,
    /// ADs: further domains, under which every form works too.
    pub alt_domains: Vec<Name>,
    /// Our datacenter's label, in lower case.
    pub datacenter: Arc<str>,
    /// Our own node.
    pub node: NodeName,
    /// Addresses answered at `ns.D`.
    pub advertise: Vec<IpAddr>,
    /// Rules by service name or pattern; the first match of the most exact pattern wins.
    pub services: Vec<ServiceRule>,
    /// Rule for services that no other rule names; all fields set.
    pub default_rule: DefaultRule,
    /// TTL in seconds of negative answers (SOA TTL and MINIMUM).
    pub negative_ttl_secs: u32,
    /// Whether a service name has TXT of its instances' meta.
    pub service_txt: bool,
    /// Multiplies SRV weights; the product is cut to 65535.
    pub srv_weight_scale: u16,
    /// How host names are answered.
    pub host_names: HostNames,
    /// Puts near instances first: same node, then the client's subnet.
    pub near: bool,
    /// Whether CH names of the server itself are refused.
    pub hide_version: bool,
    /// Whether unknown single labels are asked upstream.
    pub forward_bare: bool,
    /// Whether there is forwarding at all.
    pub forwarding: bool,
    /// Suffixes that forward rules name, and names that are forwarded though they would be ours.
    pub forward_zones: Vec<Name>,
    /// Suffixes outside of our domains whose names are refused.
    pub refused_zones: Vec<Name>,
    /// Domains of ours whose unknown names are asked elsewhere.
    pub fallthrough: Vec<(Name, SocketAddr)>,
    /// Who may ask.
    pub allow_query: Vec<IpNetwork>,
    /// Who may recurse.
    pub allow_recursion: Vec<IpNetwork>,
    /// Largest UDP payload by client network; the longest prefix wins.
    pub udp_payload_max: Vec<(IpNetwork, u16)>,
    /// What of services and nodes those may read who have no token; none: everything. Where [`Settings::access`] is given
    /// the publisher sets it, and again as soon as policies or tokens change it.
    pub readers: Option<Arc<Authorizer>>,
    /// Access control, where it is on.
    pub access: Option<AccessSettings>,
}

/// What access control goes by, beside what is made by HTTP.
#[derive(Debug, Clone)]
pub struct AccessSettings {
    /// The tokens file.
    pub file: Arc<Directory>,
    /// What callers without a token may do where no rule says.
    pub anonymous: Level,
}

impl AccessSettings {
    /// What callers without a token may do.
    pub fn readers(&self, realm: &Realm) -> Authorizer {
        realm.authorizer(realm.anonymous(), self.anonymous)
    }
}

impl Settings {
    /// The defaults for a domain and our own node, less what depends on the machine: nobody is asked about other names.
    pub fn new(domain: Name, node: NodeName) -> Settings {
        let network = |address: IpAddr, bits| IpNetwork::new(address, bits).expect("no longer than the address");
        let (v4, v6) = (Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into());
        let none_eligible = NoneEligible::Nodata;
        Settings {
            domain,
            alt_domains: Vec::new(),
            datacenter: Arc::from("dc1"),
            node,
            advertise: Vec::new(),
            services: Vec::new(),
            default_rule: DefaultRule { ttl_secs: 5, max_answers: 0, none_eligible, only_passing: false },
            negative_ttl_secs: 5,
            service_txt: false,
            srv_weight_scale: 1,
            host_names: HostNames::Resolve,
            near: false,
            hide_version: false,
            forward_bare: false,
            forwarding: false,
            forward_zones: Vec::new(),
            refused_zones: Vec::new(),
            fallthrough: Vec::new(),
            allow_query: vec![network(v4, 0), network(v6, 0)],
            allow_recursion: vec![network(Ipv4Addr::LOCALHOST.into(), 8), network(Ipv6Addr::LOCALHOST.into(), 128)],
            udp_payload_max: Vec::new(),
            readers: None,
            access: None,
        }
    }

    /// Whether a service is answered to everybody.
    pub fn shows_service(&self, service: &str) -> bool {
        self.readers.as_ref().is_none_or(|readers| readers.allows(Resource::Service, service, Level::Read))
    }

    /// Whether a node is, and what is on it.
    pub fn shows_node(&self, node: &NodeName) -> bool {
        self.readers.as_ref().is_none_or(|readers| readers.allows(Resource::Node, node.as_str(), Level::Read))
    }

    /// What holds for a service: each field from the most exact pattern that sets it.
    pub fn rule(&self, service: &str) -> DefaultRule {
        self.default_rule.with(&self.services, service)
    }
}

#[cfg(test)]
impl Settings {
    /// The defaults, for domain `example.` and node `n1`.
    pub fn example() -> Settings {
        let advertise = vec!["192.0.2.53".parse().unwrap()];
        Settings { advertise, ..Settings::new(Name::parse("example.").unwrap(), NodeName::new("n1").unwrap()) }
    }
}
