//! The members of a service that may be answered now, ready to be copied into responses.
//!
//! A [`Selection`] is what one question chooses from: the eligible members of a service, or those of them that have
//! a tag or a named port. Addresses that several members share are one; the sum of their weights is kept. All is in
//! persistent tables: a change copies a leaf, a clone costs a few reference counts.

mod bulk;

use std::{net::IpAddr, sync::Arc};

use crate::{
    catalog::{
        service::Instance,
        table::{Counted, Measured, Seed, Table},
    },
    wire::name::Name,
};

/// What a set of members adds up to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sum {
    /// How many there are.
    pub count: u32,
    /// How many have weight 0.
    pub weightless: u32,
    /// The sum of weights.
    pub weight: u64,
    /// The largest weight.
    pub heaviest: u64,
}

impl Sum {
    fn of(weight: u64) -> Sum {
        Sum { count: 1, weightless: u32::from(weight == 0), weight, heaviest: weight }
    }

    fn plus(self, other: Sum) -> Sum {
        Sum {
            count: self.count + other.count,
            weightless: self.weightless + other.weightless,
            weight: self.weight.saturating_add(other.weight),
            heaviest: self.heaviest.max(other.heaviest),
        }
    }

    /// Whether all have the same weight.
    pub fn is_even(&self) -> bool {
        u64::from(self.count).checked_mul(self.heaviest) == Some(self.weight)
    }
}

/// An address and how much weight its members have together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addressed<const N: usize> {
    /// The address, in network order.
    pub address: [u8; N],
    /// How many members share it.
    pub members: u32,
    /// The sum of their weights.
    pub weight: u64,
}

impl<const N: usize> Measured for Addressed<N> {
    type Measure = Sum;
    type Ends = Counted;

    /// They are small and copied as bytes: wide leaves are fewer steps, each a wait for memory, to one in a large service.
    const LEAF_MAX: usize = 128;

    fn measure(&self) -> Sum {
        Sum::of(self.weight)
    }

    fn combine(left: Sum, right: Sum) -> Sum {
        left.plus(right)
    }
}

/// Where an SRV record points.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Target {
    /// The member's own IPv4 address, spelled in hex.
    V4([u8; 4]),
    /// The member's own IPv6 address, spelled in hex.
    V6([u8; 16]),
    /// Its node.
    Node(Arc<NodeTarget>),
    /// A host name that was registered as the address.
    Host(Name),
}

/// A node as a target.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct NodeTarget {
    /// Its labels, in wire form.
    pub labels: Box<[u8]>,
    /// Its IPv4 address.
    pub v4: Option<[u8; 4]>,
    /// Its IPv6 address.
    pub v6: Option<[u8; 16]>,
}

/// One eligible member.
#[derive(Debug, Clone)]
pub struct Member {
    /// The registration.
    pub instance: Arc<Instance>,
    /// Where its SRV record points.
    pub target: Target,
    /// Its port; 0 if it has none.
    pub port: u16,
    /// How often it is chosen.
    pub weight: u16,
    /// Lower is better.
    pub priority: u16,
}

impl Member {
    fn same_instance(&self, other: &Member) -> bool {
        self.instance.id == other.instance.id && self.instance.node == other.instance.node
    }
}

impl PartialEq for Member {
    fn eq(&self, other: &Member) -> bool {
        Arc::ptr_eq(&self.instance, &other.instance)
            && self.target == other.target
            && (self.port, self.weight, self.priority) == (other.port, other.weight, other.priority)
    }
}

impl Measured for Member {
    type Measure = Sum;
    type Ends = Counted;

    fn measure(&self) -> Sum {
        Sum::of(self.weight.into())
    }

    fn combine(left: Sum, right: Sum) -> Sum {
        left.plus(right)
    }
}

/// What one member brings to a selection.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Hash of the instance's key.
    pub hash: u32,
    /// The member.
    pub member: Member,
    /// Its IPv4 address, if it may be answered.
    pub v4: Option<[u8; 4]>,
    /// Its IPv6 address, if it may be answered.
    pub v6: Option<[u8; 16]>,
    /// The host name that stands for a family without address.
    pub host: Option<Name>,
    /// TTL of its records in seconds.
    pub ttl: u32,
    /// Whether it asks for HTTPS records.
    pub https: bool,
}

impl Entry {
    /// Whether it brings anything to [`Rest`].
    fn is_in_rest(&self) -> bool {
        self.v6.is_some() || self.member.port == 0 || self.host.is_some() || self.https
    }
}

/// A set of members with the smallest TTL among them.
#[derive(Debug, Clone)]
pub struct Set<V: Measured> {
    /// The members.
    pub table: Table<V>,
    ttls: Ttls,
}

impl<V: Measured> Default for Set<V> {
    fn default() -> Set<V> {
        Set::NONE
    }
}

impl<V: Measured> Set<V> {
    const NONE: Set<V> = Set { table: Table::EMPTY, ttls: Ttls { first: None, others: None } };

    /// TTL of the RRset: the smallest of its members.
    pub fn ttl(&self) -> u32 {
        self.ttls.smallest()
    }

    /// Whether it has no members.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }
}

/// Members by priority.
#[derive(Debug, Clone)]
pub struct Ranked<V: Measured> {
    best: Set<V>,
    priority: u16,
    /// Those of other priorities, best first; seldom any.
    others: Option<Arc<ByPriority<V>>>,
}

type ByPriority<V> = Vec<(u16, Set<V>)>;

/// Addresses of one family by priority.
pub type Addresses<const N: usize> = Ranked<Addressed<N>>;

impl<V: Measured> Default for Ranked<V> {
    fn default() -> Ranked<V> {
        Ranked::NONE
    }
}

impl<V: Measured> Ranked<V> {
    const NONE: Ranked<V> = Ranked { best: Set::NONE, priority: 0, others: None };

    /// Those of the lowest priority value that has any.
    pub fn best(&self) -> &Set<V> {
        &self.best
    }

    /// All that are not empty, best first.
    #[cfg(test)]
    pub(crate) fn all(&self) -> impl Iterator<Item = (u16, &Set<V>)> {
        let others = self.others.iter().flat_map(|others| others.iter()).map(|(priority, set)| (*priority, set));
        std::iter::once((self.priority, &self.best)).chain(others).filter(|(_, set)| !set.is_empty())
    }

    /// The set of this priority, made if need be.
    fn set(&mut self, priority: u16) -> &mut Set<V> {
        if self.best.is_empty() && self.others.is_none() {
            self.priority = priority;
        }
        if priority == self.priority {
            return &mut self.best;
        }
        let others = Arc::make_mut(self.others.get_or_insert_default());
        if priority < self.priority {
            let former = std::mem::take(&mut self.best);
            others.insert(0, (self.priority, former));
            self.priority = priority;
            return &mut self.best;
        }
        let at = others.partition_point(|(other, _)| *other < priority);
        if others.get(at).is_none_or(|(other, _)| *other != priority) {
            others.insert(at, (priority, Set::default()));
        }
        &mut others[at].1
    }

    /// Lets empty priorities go.
    fn settle(&mut self) {
        let Some(others) = &mut self.others else { return };
        let others = Arc::make_mut(others);
        others.retain(|(_, set)| !set.is_empty());
        if self.best.is_empty() && !others.is_empty() {
            (self.priority, self.best) = others.remove(0);
        }
        if others.is_empty() {
            self.others = None;
        }
    }
}

impl<const N: usize> Addresses<N> {
    fn insert(&mut self, seed: Seed, address: [u8; N], entry: &Entry) {
        let set = self.set(entry.member.priority);
        let old = set.table.get(seed.hash(&address), |old| old.address == address).copied();
        let old = old.unwrap_or(Addressed { address, members: 0, weight: 0 });
        let weight = old.weight + u64::from(entry.member.weight);
        let new = Addressed { members: old.members + 1, weight, address };
        set.table.set(seed.hash(&address), new, |old| old.address == address);
        set.ttls.add(entry.ttl);
    }

    fn remove(&mut self, seed: Seed, address: [u8; N], entry: &Entry) {
        let set = self.set(entry.member.priority);
        let hash = seed.hash(&address);
        let is = |old: &Addressed<N>| old.address == address;
        if let Some(old) = set.table.get(hash, is).copied() {
            let weight = old.weight - u64::from(entry.member.weight);
            match old.members - 1 {
                0 => set.table.remove(hash, is),
                members => set.table.set(hash, Addressed { members, weight, address }, is),
            };
            set.ttls.take(entry.ttl);
        }
        self.settle();
    }
}

/// The eligible members that one question chooses from.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// IPv4 addresses.
    pub v4: Addresses<4>,
    /// Members with a port.
    pub ported: Set<Member>,
    /// The rest, where there is any: most services have none of it, and there are many services.
    rest: Option<Arc<Rest>>,
}

/// What most services have not.
#[derive(Debug, Clone, Default)]
pub struct Rest {
    /// IPv6 addresses.
    pub v6: Addresses<16>,
    /// Members without a port.
    pub portless: Set<Member>,
    /// Members whose address is a host name, again, with that as their target.
    pub hosts: Ranked<Member>,
    /// Members that ask for HTTPS records, again.
    pub https: Set<Member>,
}

impl Rest {
    fn is_empty(&self) -> bool {
        // Neither has priorities without members, so that the best of none is empty.
        let ranked = self.v6.best.is_empty() && self.hosts.best.is_empty();
        ranked && self.portless.is_empty() && self.https.is_empty()
    }
}

/// What a selection without any of it has.
static NOTHING: Rest = Rest { v6: Ranked::NONE, portless: Set::NONE, hosts: Ranked::NONE, https: Set::NONE };

impl Selection {
    /// What most services have not; all empty in those.
    pub fn rest(&self) -> &Rest {
        self.rest.as_deref().unwrap_or(&NOTHING)
    }

    /// How many members it has.
    pub fn len(&self) -> usize {
        self.ported.table.len() + self.rest().portless.table.len()
    }

    /// All members.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        [&self.ported, &self.rest().portless].into_iter().flat_map(|set| set.table.iter())
    }

    /// Whether nobody is eligible.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes a member in.
    pub fn insert(&mut self, seed: Seed, entry: &Entry) {
        if let Some(address) = entry.v4 {
            self.v4.insert(seed, address, entry);
        }
        let is = |old: &Member| old.same_instance(&entry.member);
        let put = |set: &mut Set<Member>| {
            set.table.set(entry.hash, entry.member.clone(), is);
            set.ttls.add(entry.ttl);
        };
        if entry.member.port != 0 {
            put(&mut self.ported);
        }
        if !entry.is_in_rest() {
            return;
        }
        let rest = Arc::make_mut(self.rest.get_or_insert_default());
        if let Some(address) = entry.v6 {
            rest.v6.insert(seed, address, entry);
        }
        if entry.member.port == 0 {
            put(&mut rest.portless);
        }
        if entry.https {
            put(&mut rest.https);
        }
        if let Some(host) = &entry.host {
            let set = rest.hosts.set(entry.member.priority);
            set.table.set(entry.hash, Member { target: Target::Host(host.clone()), ..entry.member.clone() }, is);
            set.ttls.add(entry.ttl);
        }
    }

    /// Lets a member go, which was taken in with an equal entry.
    pub fn remove(&mut self, seed: Seed, entry: &Entry) {
        if let Some(address) = entry.v4 {
            self.v4.remove(seed, address, entry);
        }
        let is = |old: &Member| old.same_instance(&entry.member);
        let take = |set: &mut Set<Member>| {
            if set.table.remove(entry.hash, is).is_some() {
                set.ttls.take(entry.ttl);
            }
        };
        if entry.member.port != 0 {
            take(&mut self.ported);
        }
        let Some(rest) = self.rest.as_mut().filter(|_| entry.is_in_rest()) else { return };
        let rest = Arc::make_mut(rest);
        if let Some(address) = entry.v6 {
            rest.v6.remove(seed, address, entry);
        }
        if entry.member.port == 0 {
            take(&mut rest.portless);
        }
        if entry.https {
            take(&mut rest.https);
        }
        if entry.host.is_some() {
            take(rest.hosts.set(entry.member.priority));
            rest.hosts.settle();
        }
        if rest.is_empty() {
            self.rest = None;
        }
    }
}

/// How many members have which TTL; nearly always all the same.
#[derive(Debug, Clone, Default)]
struct Ttls {
    first: Option<(u32, u32)>,
    others: Option<Arc<Vec<(u32, u32)>>>,
}

impl Ttls {
    fn smallest(&self) -> u32 {
        let others = self.others.iter().flat_map(|others| others.iter());
        self.first.iter().chain(others).map(|(ttl, _)| *ttl).min().unwrap_or(0)
    }

    fn add(&mut self, ttl: u32) {
        match &mut self.first {
            None => self.first = Some((ttl, 1)),
            Some((first, count)) if *first == ttl => *count += 1,
            Some(_) => {
                let others = Arc::make_mut(self.others.get_or_insert_default());
                match others.iter_mut().find(|(other, _)| *other == ttl) {
                    Some((_, count)) => *count += 1,
                    None => others.push((ttl, 1)),
                }
            }
        }
    }

    fn take(&mut self, ttl: u32) {
        if let Some((first, count)) = &mut self.first
            && *first == ttl
        {
            *count -= 1;
        } else if let Some(others) = &mut self.others
            && let Some((_, count)) = Arc::make_mut(others).iter_mut().find(|(other, _)| *other == ttl)
        {
            *count -= 1;
        }
        if let Some(others) = &mut self.others {
            Arc::make_mut(others).retain(|(_, count)| *count > 0);
        }
        if self.first.is_some_and(|(_, count)| count == 0) {
            self.first = self.others.as_mut().and_then(|others| Arc::make_mut(others).pop());
        }
        if self.others.as_ref().is_some_and(|others| others.is_empty()) {
            self.others = None;
        }
    }
}

/// The bytes of an address, if it is one that is answered: link-local and multicast ones are kept but not answered.
pub fn answerable(address: IpAddr) -> Option<IpAddr> {
    let kept_back = match address {
        IpAddr::V4(v4) => v4.is_link_local() || v4.is_multicast() || v4.is_unspecified(),
        IpAddr::V6(v6) => v6.is_unicast_link_local() || v6.is_multicast() || v6.is_unspecified(),
    };
    (!kept_back).then_some(address)
}

#[cfg(test)]
#[path = "selection_tests.rs"]
mod tests;
