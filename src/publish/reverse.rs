//! Which name an address has.

use std::{net::IpAddr, sync::Arc};

use crate::{
    catalog::{
        apply::{Presence, TouchedInstance},
        names::{NodeName, ServiceName},
        node::Node,
        table::{Measured, Seed, Table},
    },
    publish::{
        eligible::{self, Reach, Via},
        settings::Settings,
    },
};

/// Names by address.
#[derive(Debug, Clone, Default)]
pub struct Reverse {
    table: Table<Entry>,
}

/// Whose an address is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner<'a> {
    /// A node's.
    Node(&'a NodeName),
    /// A service's.
    Service(&'a ServiceName),
}

#[derive(Debug, Clone)]
struct Entry {
    address: IpAddr,
    owners: Owners,
}

/// Nearly every address belongs to one instance of one service.
#[derive(Debug, Clone)]
enum Owners {
    One(ServiceName),
    Many(Arc<Many>),
}

/// Each sorted by name, with how often.
#[derive(Debug, Clone, Default)]
struct Many {
    nodes: Vec<(NodeName, u32)>,
    services: Vec<(ServiceName, u32)>,
}

impl Measured for Entry {
    type Measure = ();

    fn measure(&self) {}

    fn combine((): (), (): ()) {}
}

impl Reverse {
    /// Whose the address is: a node's before a service's, the lowest name of several.
    pub fn owner(&self, seed: Seed, address: IpAddr) -> Option<Owner<'_>> {
        let entry = self.table.get(seed.hash(&address), |entry| entry.address == address)?;
        match &entry.owners {
            Owners::One(service) => Some(Owner::Service(service)),
            Owners::Many(many) => {
                let node = many.nodes.first().map(|(node, _)| Owner::Node(node));
                node.or_else(|| many.services.first().map(|(service, _)| Owner::Service(service)))
            }
        }
    }

    /// Follows a node.
    pub fn change_node(&mut self, seed: Seed, before: Option<&Node>, after: &Node) {
        for address in before.into_iter().flat_map(|node| addresses(&eligible::node_reach(node))) {
            self.edit(seed, address, |many| count(&mut many.nodes, &after.name, false));
        }
        for address in addresses(&eligible::node_reach(after)) {
            self.edit(seed, address, |many| count(&mut many.nodes, &after.name, true));
        }
    }

    /// Follows an instance.
    pub fn change_instance(&mut self, seed: Seed, settings: &Settings, touched: &TouchedInstance) {
        let all = |presence: &Option<Presence>| -> (Option<ServiceName>, Vec<IpAddr>) {
            let Some(presence) = presence else { return (None, Vec::new()) };
            (Some(presence.entry.instance.service.clone()), instance_addresses(presence, settings))
        };
        let ((was, before), (is, after)) = (all(&touched.before), all(&touched.after));
        if was == is && before == after {
            return;
        }
        for (service, addresses, here) in [(was, before, false), (is, after, true)] {
            let Some(service) = service else { continue };
            for address in addresses {
                self.edit(seed, address, |many| count(&mut many.services, &service, here));
            }
        }
    }

    fn edit(&mut self, seed: Seed, address: IpAddr, edit: impl FnOnce(&mut Many)) {
        let hash = seed.hash(&address);
        let is = |entry: &Entry| entry.address == address;
        let mut many = match self.table.get(hash, is).map(|entry| &entry.owners) {
            None => Many::default(),
            Some(Owners::One(service)) => Many { nodes: Vec::new(), services: vec![(service.clone(), 1)] },
            Some(Owners::Many(many)) => Many::clone(many),
        };
        edit(&mut many);
        let owners = match (&many.nodes[..], &many.services[..]) {
            ([], []) => {
                self.table.remove(hash, is);
                return;
            }
            ([], [(service, 1)]) => Owners::One(service.clone()),
            _ => Owners::Many(Arc::new(many)),
        };
        self.table.set(hash, Entry { address, owners }, is);
    }
}

/// The addresses that are an instance's own, not its node's.
fn instance_addresses(presence: &Presence, settings: &Settings) -> Vec<IpAddr> {
    let instance = &presence.entry.instance;
    let reach = eligible::reach(instance, &presence.node, settings);
    let mut all: Vec<IpAddr> = if reach.via == Via::Node { Vec::new() } else { addresses(&reach).collect() };
    if instance.node == settings.node {
        for address in &instance.network_addresses {
            all.extend(addresses(&eligible::network_address_reach(address)));
        }
    }
    all.sort_unstable();
    all.dedup();
    all
}

fn addresses(reach: &Reach<'_>) -> impl Iterator<Item = IpAddr> + use<> {
    let (v4, v6) = (reach.v4.map(IpAddr::from), reach.v6.map(IpAddr::from));
    v4.into_iter().chain(v6)
}

fn count<N: Clone + Ord>(owners: &mut Vec<(N, u32)>, name: &N, here: bool) {
    match (owners.binary_search_by(|(other, _)| other.cmp(name)), here) {
        (Ok(at), true) => owners[at].1 += 1,
        (Err(at), true) => owners.insert(at, (name.clone(), 1)),
        (Ok(at), false) if owners[at].1 > 1 => owners[at].1 -= 1,
        (Ok(at), false) => {
            owners.remove(at);
        }
        (Err(_), false) => {}
    }
}
