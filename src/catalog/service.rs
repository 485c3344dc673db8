//! Instances of services: what a registration says.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use thin_vec::ThinVec;

use super::{
    change::Origin,
    names::{NodeName, PortName, ServiceId, ServiceName, Tag},
    node::Address,
};

/// Key and value pairs of a node or an instance; shared between equal ones.
pub type Meta = Arc<BTreeMap<Arc<str>, Arc<str>>>;

/// Identifies an instance: the same service ID on two nodes is two instances.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InstanceKey {
    /// The node it runs on.
    pub node: NodeName,
    /// Its service ID there.
    pub id: ServiceId,
}

/// One registration of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// The node it runs on.
    pub node: NodeName,
    /// Its service ID there.
    pub id: ServiceId,
    /// The service it is an instance of.
    pub service: ServiceName,
    /// Where it is reached; none means the node's address.
    pub address: Option<Address>,
    /// Its ports; empty if it has none. Names are unique among them; a lone port has often no name.
    /// Shared between equal lists.
    pub ports: Arc<[Port]>,
    /// Its tags, in the order given, each once; shared between equal lists.
    pub tags: Arc<[Tag]>,
    /// Its key and value pairs.
    pub meta: Meta,
    /// How often it is chosen.
    pub weights: Weights,
    /// Further addresses by role: `lan_ipv4`, `lan_ipv6`, `wan`, ..., sorted by role.
    pub tagged_addresses: ThinVec<TaggedAddress>,
    /// Addresses for clients in certain networks of this node (Docker's), sorted by network.
    pub network_addresses: ThinVec<NetworkAddress>,
    /// Further names, each once: only the Docker source gives any.
    pub further_names: ThinVec<FurtherName>,
    /// Consul's field of the same name; kept and given back, otherwise without effect.
    pub enable_tag_override: bool,
    /// Who registered it.
    pub origin: Origin,
}

impl Instance {
    /// What identifies it.
    pub fn key(&self) -> InstanceKey {
        InstanceKey { node: self.node.clone(), id: self.id.clone() }
    }

    /// The port that is answered when none is named: the one flagged default, else the first.
    pub fn default_port(&self) -> Option<&Port> {
        self.ports.iter().find(|port| port.default).or_else(|| self.ports.first())
    }

    /// The name that also stands for its service ID.
    pub fn id_alias(&self) -> Option<&ServiceName> {
        self.further_names.iter().find(|further| further.stands_for_id).map(|further| &further.name)
    }

    /// The tagged address of this role.
    pub fn tagged_address(&self, role: &str) -> Option<&TaggedAddress> {
        self.tagged_addresses.iter().find(|tagged| &*tagged.role == role)
    }

    /// The tagged addresses that other machines are told: not those that a container has in the networks of its machine's Docker
    /// (`docker_bridge_ipv4`, `docker_<network>_ipv6`, ...), which lead to other containers there, or nowhere.
    pub fn tagged_addresses_for_others(&self) -> impl Iterator<Item = &TaggedAddress> {
        let is_for_others =
            |tagged: &&TaggedAddress| self.origin != Origin::Docker || !tagged.role.starts_with("docker_");
        self.tagged_addresses.iter().filter(is_for_others)
    }
}

/// One of an instance's ports.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Port {
    /// Its name, if it has one.
    pub name: Option<PortName>,
    /// Its number, 1 to 65535.
    pub number: u16,
    /// Whether it is answered when no port is named.
    pub default: bool,
}

/// How often an instance is chosen, by its status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Weights {
    /// While passing; at least 1 by HTTP, 0 is kept where a source gives it.
    pub passing: u16,
    /// While warning.
    pub warning: u16,
}

impl Default for Weights {
    fn default() -> Weights {
        Weights { passing: 1, warning: 1 }
    }
}

/// An address of an instance for one role.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TaggedAddress {
    /// `lan`, `wan`, `lan_ipv4`, ...
    pub role: Arc<str>,
    /// The address.
    pub address: Address,
    /// The port there; 0 if none was given.
    pub port: u16,
}

/// Where an instance is reached by clients whose source address lies in `network`. Of one network there may be an address of each
/// family; the ports are those of the first.
///
/// Applied only by the nameplate whose own node reported it, because every Docker host has its own 172.17.0.0/16; and of what other
/// machines tell, which is brought here only where the network is the same ([`super::spanning`]).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NetworkAddress {
    /// The client network.
    pub network: IpNetwork,
    /// The instance's address in it.
    pub address: IpAddr,
    /// The port numbers there, in the order of [`Instance::ports`]; 0 where a port is not reached.
    pub ports: Box<[u16]>,
}

/// A name by which an instance is found where no service has that name: its container's, or one of compose's. Instances with
/// an equal one share it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FurtherName {
    /// The name. It is read as a service's.
    pub name: ServiceName,
    /// Whether it also stands for the instance's service ID, as `<name>._id.<service>`; the first that says so does.
    pub stands_for_id: bool,
}

/// An IP prefix. Its host bits are zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IpNetwork {
    address: IpAddr,
    prefix_length: u8,
}

impl IpNetwork {
    /// Makes a prefix; host bits are cleared. None if the length exceeds the family's.
    pub fn new(address: IpAddr, prefix_length: u8) -> Option<IpNetwork> {
        let address = match address {
            IpAddr::V4(v4) if prefix_length <= 32 => {
                let mask = u32::MAX.checked_shl(32 - u32::from(prefix_length)).unwrap_or(0);
                IpAddr::V4((u32::from(v4) & mask).into())
            }
            IpAddr::V6(v6) if prefix_length <= 128 => {
                let mask = u128::MAX.checked_shl(128 - u32::from(prefix_length)).unwrap_or(0);
                IpAddr::V6((u128::from(v6) & mask).into())
            }
            _ => return None,
        };
        Some(IpNetwork { address, prefix_length })
    }

    /// Reads `192.0.2.0/24`, or an address alone for a prefix of that one address.
    pub fn parse(text: &str) -> Option<IpNetwork> {
        match text.split_once('/') {
            Some((address, length)) => IpNetwork::new(address.parse().ok()?, length.parse().ok()?),
            None => {
                let address: IpAddr = text.parse().ok()?;
                IpNetwork::new(address, if address.is_ipv4() { 32 } else { 128 })
            }
        }
    }

    /// The prefix's address.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// The prefix's length in bits.
    pub fn prefix_length(&self) -> u8 {
        self.prefix_length
    }

    /// Whether the address lies in it; a v4-mapped IPv6 address counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        IpNetwork::new(address.to_canonical(), self.prefix_length).is_some_and(|network| network == *self)
    }
}

impl std::fmt::Display for IpNetwork {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix_length)
    }
}
