//! Names of very many addresses at once.

use std::{net::IpAddr, sync::Arc};

use super::{
    Branch, Entry, Many, Node, NodeName, Owners, Presence, Reverse, Seed, ServiceName, Settings, Table, addresses,
    eligible, instance_addresses,
};

/// Who has which address, as it is found out; what [`Reverse`] is made of.
#[derive(Debug, Default)]
pub struct Found {
    v4: Vec<(u32, Of)>,
    v6: Vec<(u128, Of)>,
}

/// Whose an address is, once.
#[derive(Debug)]
enum Of {
    Node(NodeName),
    Service(ServiceName),
}

impl Found {
    /// Takes a node's addresses in.
    pub fn node(&mut self, node: &Node) {
        addresses(&eligible::node_reach(node)).for_each(|address| self.put(address, Of::Node(node.name.clone())));
    }

    /// Takes an instance's addresses in.
    pub fn instance(&mut self, presence: &Presence, settings: &Settings) {
        for address in instance_addresses(presence, settings) {
            self.put(address, Of::Service(presence.entry.instance.service.clone()));
        }
    }

    fn put(&mut self, address: IpAddr, of: Of) {
        match address {
            IpAddr::V4(v4) => self.v4.push((v4.into(), of)),
            IpAddr::V6(v6) => self.v6.push((v6.into(), of)),
        }
    }
}

impl Reverse {
    /// The names of these addresses, as following their owners one by one makes them. Costs O(n log n).
    pub fn of(seed: Seed, found: Found) -> Reverse {
        let v6 = by_address(found.v6);
        let branches = branches(&v6.iter().map(|(address, _)| *address).collect::<Vec<_>>(), u128::BITS);
        let entry = |(address, owners): (u128, Owners)| {
            let address = address.into();
            (seed.hash(&address), Entry { address, owners })
        };
        Reverse {
            v4: Table::of(by_address(found.v4)),
            table: Table::of(v6.into_iter().map(entry).collect()),
            v6: branches,
        }
    }
}

/// The owners of each address, in the order of addresses.
fn by_address<A: Ord + Copy>(mut found: Vec<(A, Of)>) -> Vec<(A, Owners)> {
    found.sort_unstable_by_key(|(address, _)| *address);
    let mut owned = Vec::with_capacity(found.len());
    let mut found = found.into_iter().peekable();
    while let Some((address, first)) = found.next() {
        let mut same = || found.next_if(|(other, _)| *other == address).map(|(_, of)| of);
        let owners = match (first, same()) {
            (Of::Service(service), None) => Some(Owners::One(service)),
            (first, second) => {
                let mut many = Many::default();
                for of in [first].into_iter().chain(second).chain(std::iter::from_fn(same)) {
                    match of {
                        Of::Node(node) => many.nodes.count(&node, true),
                        Of::Service(service) => many.services.count(&service, true),
                    }
                }
                many.owners()
            }
        };
        owned.extend(owners.map(|owners| (address, owners)));
    }
    owned
}

/// What lies below the first bits of these addresses, which are in order and each there once; so many bits are left.
fn branches(addresses: &[u128], bits: u32) -> Table<Branch> {
    let next = bits - u32::BITS;
    let first = |address: u128| (address >> next) as u32;
    let branch = |run: &[u128]| {
        let below = (next > 0).then(|| Arc::new(branches(run, next)));
        (first(run[0]), Branch { below })
    };
    Table::of(addresses.chunk_by(|left, right| first(*left) == first(*right)).map(branch).collect())
}
