//! Members taken in all at once.

use std::sync::Arc;

use super::{Addressed, Entry, Measured, Member, Ranked, Rest, Seed, Selection, Set, Table, Target, Ttls};

impl Selection {
    /// The selection of these members, as if each was taken in by itself. Costs O(n log n).
    pub fn of(seed: Seed, entries: Vec<Entry>) -> Selection {
        let mut v4 = Ranks::default();
        let mut ported = Values::with_capacity(entries.len());
        let mut rest = None;
        for entry in entries {
            if let Some(address) = entry.v4 {
                v4.add(seed, address, &entry);
            }
            if entry.is_in_rest() {
                rest.get_or_insert_with(RestValues::default).add(seed, &entry);
            }
            if entry.member.port != 0 {
                ported.add(entry.hash, entry.member, entry.ttl);
            }
        }
        Selection { v4: v4.addresses(), ported: ported.set(), rest: rest.map(RestValues::rest) }
    }
}

/// What [`Rest`] is made of.
#[derive(Default)]
struct RestValues {
    v6: Ranks<Addressed<16>>,
    portless: Values<Member>,
    hosts: Ranks<Member>,
    https: Values<Member>,
}

impl RestValues {
    fn add(&mut self, seed: Seed, entry: &Entry) {
        let Entry { hash, member, ttl, .. } = entry;
        if let Some(address) = entry.v6 {
            self.v6.add(seed, address, entry);
        }
        if member.port == 0 {
            self.portless.add(*hash, member.clone(), *ttl);
        }
        if entry.https {
            self.https.add(*hash, member.clone(), *ttl);
        }
        if let Some(host) = &entry.host {
            let member = Member { target: Target::Host(host.clone()), ..member.clone() };
            self.hosts.of(member.priority).add(*hash, member, *ttl);
        }
    }

    fn rest(self) -> Arc<Rest> {
        let RestValues { v6, portless, hosts, https } = self;
        Arc::new(Rest { v6: v6.addresses(), portless: portless.set(), hosts: hosts.ranked(), https: https.set() })
    }
}

/// What a set is made of.
struct Values<V> {
    all: Vec<(u32, V)>,
    ttls: Ttls,
}

impl<V> Default for Values<V> {
    fn default() -> Values<V> {
        Values { all: Vec::new(), ttls: Ttls::default() }
    }
}

impl<V> Values<V> {
    fn with_capacity(count: usize) -> Values<V> {
        Values { all: Vec::with_capacity(count), ttls: Ttls::default() }
    }

    fn add(&mut self, hash: u32, value: V, ttl: u32) {
        self.all.push((hash, value));
        self.ttls.add(ttl);
    }

    fn set(self) -> Set<V>
    where
        V: Measured,
    {
        Set { table: Table::of(self.all), ttls: self.ttls }
    }
}

/// Values by priority, best first.
struct Ranks<V>(Vec<(u16, Values<V>)>);

impl<V> Default for Ranks<V> {
    fn default() -> Ranks<V> {
        Ranks(Vec::new())
    }
}

impl<V> Ranks<V> {
    fn of(&mut self, priority: u16) -> &mut Values<V> {
        let at = self.0.partition_point(|(other, _)| *other < priority);
        if self.0.get(at).is_none_or(|(other, _)| *other != priority) {
            self.0.insert(at, (priority, Values::default()));
        }
        &mut self.0[at].1
    }

    fn ranked(self) -> Ranked<V>
    where
        V: Measured,
    {
        let mut sets = self.0.into_iter().map(|(priority, values)| (priority, values.set()));
        let Some((priority, best)) = sets.next() else { return Ranked::default() };
        let others: Vec<_> = sets.collect();
        Ranked { best, priority, others: (!others.is_empty()).then(|| Arc::new(others)) }
    }
}

impl<const N: usize> Ranks<Addressed<N>> {
    fn add(&mut self, seed: Seed, address: [u8; N], entry: &Entry) {
        let alone = Addressed { address, members: 1, weight: entry.member.weight.into() };
        self.of(entry.member.priority).add(seed.hash(&address), alone, entry.ttl);
    }

    /// Each address once.
    fn addresses(mut self) -> Ranked<Addressed<N>> {
        for (_, Values { all, .. }) in &mut self.0 {
            all.sort_unstable_by_key(|(hash, addressed)| (*hash, addressed.address));
            all.dedup_by(|(_, next), (_, kept)| {
                let same = next.address == kept.address;
                if same {
                    kept.members += next.members;
                    kept.weight += next.weight;
                }
                same
            });
        }
        self.ranked()
    }
}
