//! What an operator may set about answering. Plain data; `daemon` makes it from the configuration.

use std::{net::SocketAddr, sync::Arc};

use crate::{
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
    pub advertise: Vec<std::net::IpAddr>,
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
    /// Domains of ours whose unknown names are asked elsewhere.
    pub fallthrough: Vec<(Name, SocketAddr)>,
    /// Who may ask.
    pub allow_query: Vec<IpNetwork>,
    /// Who may recurse.
    pub allow_recursion: Vec<IpNetwork>,
    /// Largest UDP payload by client network; the longest prefix wins.
    pub udp_payload_max: Vec<(IpNetwork, u16)>,
}

impl Settings {
    /// What holds for a service: each field from the most exact pattern that sets it.
    pub fn rule(&self, service: &str) -> DefaultRule {
        let name = service.to_ascii_lowercase();
        let mut rules: Vec<&ServiceRule> = self.services.iter().filter(|rule| rule.matches(&name)).collect();
        // An exact name first, then the longest prefix.
        rules.sort_by_key(|rule| (rule.pattern.ends_with('*'), std::cmp::Reverse(rule.pattern.len())));
        let default = &self.default_rule;
        DefaultRule {
            ttl_secs: rules.iter().find_map(|rule| rule.ttl_secs).unwrap_or(default.ttl_secs),
            max_answers: rules.iter().find_map(|rule| rule.max_answers).unwrap_or(default.max_answers),
            none_eligible: rules.iter().find_map(|rule| rule.none_eligible).unwrap_or(default.none_eligible),
            only_passing: rules.iter().find_map(|rule| rule.only_passing).unwrap_or(default.only_passing),
        }
    }
}

impl ServiceRule {
    fn matches(&self, name: &str) -> bool {
        match self.pattern.strip_suffix('*') {
            Some(prefix) => name.starts_with(prefix),
            None => name == &*self.pattern,
        }
    }
}

/// What holds for services of one name or pattern; none means the default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServiceRule {
    /// `web`, or `web*` for all that begin so, in lower case.
    pub pattern: Arc<str>,
    /// TTL in seconds.
    pub ttl_secs: Option<u32>,
    /// Most addresses in an answer; 0 for all.
    pub max_answers: Option<u16>,
    /// What is answered when nobody is eligible.
    pub none_eligible: Option<NoneEligible>,
    /// Whether warning instances are left out.
    pub only_passing: Option<bool>,
}

/// What holds for services that no rule names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DefaultRule {
    /// TTL in seconds.
    pub ttl_secs: u32,
    /// Most addresses in an answer; 0 for all.
    pub max_answers: u16,
    /// What is answered when nobody is eligible.
    pub none_eligible: NoneEligible,
    /// Whether warning instances are left out.
    pub only_passing: bool,
}

/// What is answered for a known service of which nobody is eligible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoneEligible {
    /// NODATA.
    Nodata,
    /// NXDOMAIN, Consul's way.
    Nxdomain,
    /// Everyone but those in maintenance.
    All,
}

/// How an address that is a host name is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostNames {
    /// By its addresses, at the name that was asked.
    Resolve,
    /// By a CNAME and its chain, Consul's way.
    Cname,
}

#[cfg(test)]
impl Settings {
    /// The defaults, for domain `example.` and node `n1`.
    pub fn example() -> Settings {
        let any = |text: &str| IpNetwork::parse(text).unwrap();
        Settings {
            domain: Name::parse("example.").unwrap(),
            alt_domains: Vec::new(),
            datacenter: Arc::from("dc1"),
            node: NodeName::new("n1").unwrap(),
            advertise: vec!["192.0.2.53".parse().unwrap()],
            services: Vec::new(),
            default_rule: DefaultRule {
                ttl_secs: 5,
                max_answers: 0,
                none_eligible: NoneEligible::Nodata,
                only_passing: false,
            },
            negative_ttl_secs: 5,
            service_txt: false,
            srv_weight_scale: 1,
            host_names: HostNames::Resolve,
            near: false,
            hide_version: false,
            forward_bare: false,
            forwarding: false,
            forward_zones: Vec::new(),
            fallthrough: Vec::new(),
            allow_query: vec![any("0.0.0.0/0"), any("::/0")],
            allow_recursion: vec![any("127.0.0.0/8"), any("::1/128")],
            udp_payload_max: Vec::new(),
        }
    }
}
