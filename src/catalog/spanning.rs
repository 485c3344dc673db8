//! Docker's networks that span machines (overlay): their ID is the same on each, and an address in one of them leads its clients to
//! the same container wherever they ask. So other machines are told of an instance's addresses there, by the network's ID.
//!
//! **Limits:** only what the Docker source registered has such addresses.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use super::{
    change::Origin,
    service::{Instance, IpNetwork, NetworkAddress, TaggedAddress},
};

/// One of them, as this machine has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SpanningNetwork {
    /// What identifies it on all machines.
    pub id: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
    /// Its prefixes.
    pub subnets: Vec<IpNetwork>,
    /// From where its containers on this machine ask, if that does not show which network they are on.
    pub clients: Vec<IpNetwork>,
}

/// Those that this machine has, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SpanningNetworks(pub Vec<SpanningNetwork>);

/// The addresses that an instance has in such networks, by the network's ID: of each family one, with the port there. The role is not
/// told.
pub type SpanningAddresses = BTreeMap<Arc<str>, Vec<TaggedAddress>>;

impl SpanningNetworks {
    /// Where clients in these networks reach an instance of our own node.
    pub fn addresses(&self, instance: &Instance) -> SpanningAddresses {
        let mut addresses = SpanningAddresses::new();
        if instance.origin != Origin::Docker {
            return addresses;
        }
        let is_reached = |address: IpAddr| instance.network_addresses.iter().any(|there| there.address == address);
        for network in &self.0 {
            let tagged = FAMILIES.iter().filter_map(|family| instance.tagged_address(&role(network, family)));
            let there: Vec<_> = tagged.filter(|tagged| tagged.address.ip().is_some_and(is_reached)).cloned().collect();
            if !there.is_empty() {
                addresses.insert(Arc::clone(&network.id), there);
            }
        }
        addresses
    }

    /// Puts what another machine told of an instance where our clients find it, as the Docker source does with our own: clients in
    /// the network, and those of which the network does not show if there is no other address. Says whether there is anything.
    pub fn bring(&self, told: &SpanningAddresses, instance: &mut Instance) -> bool {
        let is_nowhere_else = instance.address.is_none();
        let (mut networks, mut tagged) = (Vec::new(), instance.tagged_addresses.to_vec());
        for network in &self.0 {
            let Some(there) = told.get(&network.id) else { continue };
            let addresses = || there.iter().filter_map(|told| Some((told.address.ip()?, told)));
            let mut clients: Vec<IpNetwork> = network
                .subnets
                .iter()
                .copied()
                .filter(|subnet| addresses().any(|(ip, _)| subnet.contains(ip)))
                .collect();
            if is_nowhere_else
                && !networks.iter().any(|there: &NetworkAddress| network.clients.contains(&there.network))
            {
                clients.extend(&network.clients);
            }
            for (network, (address, at)) in clients.iter().flat_map(|network| addresses().map(move |at| (*network, at)))
            {
                let ports = Some(at.port).filter(|port| *port > 0).into_iter().collect();
                networks.push(NetworkAddress { network, address, ports });
            }
            for (address, at) in addresses() {
                let family = if address.is_ipv4() { FAMILIES[0] } else { FAMILIES[1] };
                tagged.push(TaggedAddress { role: role(network, family).into(), ..at.clone() });
            }
        }
        networks.sort_by_key(|there| {
            (there.network, there.network.address().is_ipv4() != there.address.is_ipv4(), there.address)
        });
        networks.dedup_by(|one, other| one.network == other.network && one.address == other.address);
        tagged.sort_by(|one, other| one.role.cmp(&other.role));
        tagged.dedup_by(|one, other| one.role == other.role);
        let is_there = !networks.is_empty();
        instance.network_addresses = networks.into_iter().collect();
        instance.tagged_addresses = tagged.into_iter().collect();
        is_there
    }
}

/// The role that the Docker source gives an address in a network.
fn role(network: &SpanningNetwork, family: &str) -> String {
    format!("docker_{}_{family}", network.name)
}

/// How roles end. Source: the Docker source's roles, `sources::docker::addresses`.
const FAMILIES: [&str; 2] = ["ipv4", "ipv6"];

#[cfg(test)]
#[path = "spanning_tests.rs"]
mod tests;
