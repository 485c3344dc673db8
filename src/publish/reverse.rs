//! Which name an address has.

mod bulk;

use std::{
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
};

pub use self::bulk::Found;
use crate::{
    catalog::{
        apply::{Presence, TouchedInstance},
        names::{NodeName, ServiceName},
        node::Node,
        table::{Seed, Table, Unmeasured},
    },
    publish::{
        eligible::{self, Reach, Via},
        settings::Settings,
    },
};

/// Names by address.
#[derive(Debug, Clone, Default)]
pub struct Reverse {
    /// By IPv4 address, which is its own hash.
    v4: Table<Owners>,
    /// By IPv6 address.
    table: Table<Entry>,
    v6: Table<Branch>,
}

/// What lies below 32 bits of an IPv6 address, which are its hash; nothing below the last.
#[derive(Debug, Clone, Default)]
struct Branch {
    below: Option<Arc<Table<Branch>>>,
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
    address: Ipv6Addr,
    owners: Owners,
}

/// Nearly every address belongs to one instance of one service.
#[derive(Debug, Clone)]
enum Owners {
    One(ServiceName),
    Many(Arc<Many>),
}

#[derive(Debug, Clone, Default)]
struct Many {
    nodes: Counts<NodeName>,
    services: Counts<ServiceName>,
}

/// Names in their order, each with how often it is there. An address may be that of very many services: a change copies
/// one part and the list of parts, which costs O(sqrt(n)) up to some ten thousand names.
#[derive(Debug, Clone)]
struct Counts<N> {
    /// None of them empty.
    parts: Vec<Arc<Vec<(N, u32)>>>,
}

impl Unmeasured for Entry {}

impl Unmeasured for Owners {}

impl Unmeasured for Branch {}

impl Reverse {
    /// Whose the address is: a node's before a service's, the lowest name of several.
    pub fn owner(&self, seed: Seed, address: IpAddr) -> Option<Owner<'_>> {
        match self.owners(seed, address)? {
            Owners::One(service) => Some(Owner::Service(service)),
            Owners::Many(many) => {
                let node = many.nodes.lowest().map(Owner::Node);
                node.or_else(|| many.services.lowest().map(Owner::Service))
            }
        }
    }

    fn owners(&self, seed: Seed, address: IpAddr) -> Option<&Owners> {
        match address {
            IpAddr::V4(v4) => self.v4.get(v4.into(), |_| true),
            IpAddr::V6(v6) => self.table.get(seed.hash(&v6), |entry| entry.address == v6).map(|entry| &entry.owners),
        }
    }

    /// Whether any address begins with these bits of this one, all of it included.
    pub fn has_prefix(&self, address: IpAddr, bits: u32) -> bool {
        match address {
            IpAddr::V4(v4) => self.v4.with_prefix(v4.into(), bits).next().is_some(),
            IpAddr::V6(v6) => has_branch(&self.v6, &chunks(v6), bits),
        }
    }

    /// Follows a node.
    pub fn change_node(&mut self, seed: Seed, before: Option<&Node>, after: Option<&Node>) {
        for (node, here) in [(before, false), (after, true)] {
            let Some(node) = node else { continue };
            for address in addresses(&eligible::node_reach(node)) {
                self.edit(seed, address, |many| many.nodes.count(&node.name, here));
            }
        }
    }

    /// Follows an instance.
    pub fn change_instance(&mut self, seed: Seed, settings: &Settings, touched: &TouchedInstance) {
        if touched.is_registered_alike() {
            return;
        }
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
                self.edit(seed, address, |many| many.services.count(&service, here));
            }
        }
    }

    fn edit(&mut self, seed: Seed, address: IpAddr, edit: impl FnOnce(&mut Many)) {
        let mut many = match self.owners(seed, address) {
            None => Many::default(),
            Some(Owners::One(service)) => Many { services: Counts::new(Some(service.clone())), ..Many::default() },
            Some(Owners::Many(many)) => Many::clone(many),
        };
        edit(&mut many);
        match (address, many.owners()) {
            (IpAddr::V4(v4), Some(owners)) => drop(self.v4.set(v4.into(), owners, |_| true)),
            (IpAddr::V4(v4), None) => drop(self.v4.remove(v4.into(), |_| true)),
            (IpAddr::V6(v6), Some(owners)) => {
                let entry = Entry { address: v6, owners };
                if self.table.set(seed.hash(&v6), entry, |entry| entry.address == v6).is_none() {
                    add_branch(&mut self.v6, &chunks(v6));
                }
            }
            (IpAddr::V6(v6), None) => {
                self.table.remove(seed.hash(&v6), |entry| entry.address == v6);
                remove_branch(&mut self.v6, &chunks(v6));
            }
        }
    }
}

impl Many {
    /// Whose the address is, as it is kept; none if it is nobody's.
    fn owners(self) -> Option<Owners> {
        match (self.nodes.few(), self.services.few()) {
            (Some([]), Some([])) => None,
            (Some([]), Some([(service, 1)])) => Some(Owners::One(service.clone())),
            _ => Some(Owners::Many(Arc::new(self))),
        }
    }
}

/// The address in parts that are as long as a hash.
fn chunks(address: Ipv6Addr) -> [u32; 4] {
    let bits = u128::from(address);
    [bits >> 96, bits >> 64, bits >> 32, bits].map(|chunk| chunk as u32)
}

fn has_branch(table: &Table<Branch>, chunks: &[u32], bits: u32) -> bool {
    let Some((first, rest)) = chunks.split_first() else { return true };
    if bits <= u32::BITS {
        return table.with_prefix(*first, bits).next().is_some();
    }
    let below = table.get(*first, |_| true).and_then(|branch| branch.below.as_ref());
    below.is_some_and(|below| has_branch(below, rest, bits - u32::BITS))
}

fn add_branch(table: &mut Table<Branch>, chunks: &[u32]) {
    let Some((first, rest)) = chunks.split_first() else { return };
    let mut branch = table.get(*first, |_| true).cloned().unwrap_or_default();
    if !rest.is_empty() {
        add_branch(Arc::make_mut(branch.below.get_or_insert_default()), rest);
    }
    table.set(*first, branch, |_| true);
}

fn remove_branch(table: &mut Table<Branch>, chunks: &[u32]) {
    let Some((first, rest)) = chunks.split_first() else { return };
    let Some(mut branch) = table.get(*first, |_| true).cloned() else { return };
    if let Some(below) = &mut branch.below {
        let below = Arc::make_mut(below);
        remove_branch(below, rest);
        if !below.is_empty() {
            table.set(*first, branch, |_| true);
            return;
        }
    }
    table.remove(*first, |_| true);
}

/// The addresses that are an instance's own, not its node's.
fn instance_addresses(presence: &Presence, settings: &Settings) -> Vec<IpAddr> {
    let instance = &presence.entry.instance;
    let reach = eligible::reach(instance, &presence.node, settings);
    let mut all: Vec<IpAddr> = if reach.via == Via::Node { Vec::new() } else { addresses(&reach).collect() };
    if eligible::is_for_our_networks(instance, settings) {
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

impl<N> Default for Counts<N> {
    fn default() -> Counts<N> {
        Counts { parts: Vec::new() }
    }
}

impl<N: Clone + Ord> Counts<N> {
    fn new(first: Option<N>) -> Counts<N> {
        Counts { parts: first.map(|name| Arc::new(vec![(name, 1)])).into_iter().collect() }
    }

    fn lowest(&self) -> Option<&N> {
        self.parts.first().map(|part| &part[0].0)
    }

    /// All of them, if they are but one part.
    fn few(&self) -> Option<&[(N, u32)]> {
        match &self.parts[..] {
            [] => Some(&[]),
            [part] => Some(part),
            _ => None,
        }
    }

    /// Counts a name in or out.
    fn count(&mut self, name: &N, here: bool) {
        let at = self.parts.partition_point(|part| part[0].0 <= *name).saturating_sub(1);
        let Some(part) = self.parts.get_mut(at) else {
            if here {
                *self = Counts::new(Some(name.clone()));
            }
            return;
        };
        let part = Arc::make_mut(part);
        match (part.binary_search_by(|(other, _)| other.cmp(name)), here) {
            (Ok(found), true) => part[found].1 += 1,
            (Err(place), true) => part.insert(place, (name.clone(), 1)),
            (Ok(found), false) if part[found].1 > 1 => part[found].1 -= 1,
            (Ok(found), false) => drop(part.remove(found)),
            (Err(_), false) => {}
        }
        if part.is_empty() {
            self.parts.remove(at);
        } else if part.len() > PART_MAX {
            let upper = part.split_off(PART_MAX / 2);
            self.parts.insert(at + 1, Arc::new(upper));
        }
    }
}

/// Most names in a part. Source: none, chosen: as many as there are parts of 65,536 names.
const PART_MAX: usize = 256;

#[cfg(test)]
#[path = "reverse_tests.rs"]
mod tests;
