//! What a service's or a node's name answers.

use std::collections::BTreeMap;

use nameplate::{
    publish::settings::{HostNames, NoneEligible},
    wire::name::Name,
};

use super::{
    answer::{Asking, Draft, Outcome, lower, ours, refusal},
    chain::{A, AAAA, ANY, CNAME, HTTPS, SRV, STEPS_MAX, TXT, exact},
    expected::{Authority, ErrorRule, Member, Members, Record, RrsetRule, SoaRule},
    facts::{self, Family, Filter, Place},
    gate::{NOERROR, NXDOMAIN, SERVFAIL},
    labels::{Holder, dotted_labels},
    tree::Tree,
    world::PlainInstance,
};

/// A service's name as it was asked.
pub(super) struct Asked<'a> {
    pub(super) name: &'a Name,
    pub(super) service: &'a str,
    pub(super) filter: &'a Filter,
    pub(super) form: &'static str,
    /// The zone; none for a bare name, which is its own.
    pub(super) tree: Option<&'a Tree>,
    pub(super) all: Vec<&'a PlainInstance>,
    pub(super) members: Vec<&'a PlainInstance>,
    pub(super) step: usize,
}

/// What a type has at a name.
pub(super) enum Found {
    Nothing,
    Rule(RrsetRule),
    Slow(Outcome),
}

impl<'a> Asking<'a> {
    /// Instances of a service.
    pub fn service(
        &self,
        name: &Name,
        qtype: u16,
        (holder, filter, form): (&Holder, &Filter, &'static str),
        tree: Option<&Tree>,
        step: usize,
    ) -> Outcome {
        let service = holder.name();
        let all = facts::matching(self.world, holder, filter);
        let members = facts::eligible(self.world, service, &all, filter);
        let asked = Asked { name, service, filter, form, tree, all, members, step };
        let answered = |entry: &&PlainInstance| {
            let place = |family| facts::place(self.world, entry, self.network, family);
            [Family::V4, Family::V6].into_iter().any(|family| place(family) != Place::Nowhere)
        };
        if filter.id.is_some() && self.eligible_of(&asked) == 0 {
            return self.ineligible_id(asked, qtype);
        }
        if asked.members.is_empty() {
            return self.nobody(&asked, qtype);
        }
        if filter.id.is_some() && qtype == TXT && asked.members.len() < asked.all.len() {
            // Of several with one ID, or in one container, the TXT of all may be answered, as that of one is.
            let eligible = self.members_answer(&asked, qtype);
            let members = asked.all.clone();
            return Outcome::AnyOf(vec![eligible, self.members_answer(&Asked { members, ..asked }, qtype)]);
        }
        if !asked.members.iter().any(answered) {
            // Eligible, but nowhere to be reached: as if nobody were, or as if the type were not there.
            let mut accepted = vec![self.members_answer(&asked, qtype), self.nobody(&asked, qtype)];
            if facts::rule(self.world, service).none_eligible == NoneEligible::All {
                let members = facts::everyone(self.world, &asked.all);
                accepted.push(self.members_answer(&Asked { members, ..asked }, qtype));
            }
            return Outcome::AnyOf(accepted);
        }
        let reachable: Vec<_> = asked.members.iter().copied().filter(|entry| answered(entry)).collect();
        if matches!(qtype, TXT | HTTPS | ANY) && reachable.len() < asked.members.len() {
            // What has no address that is answered may be told of, or not.
            let all = self.members_answer(&asked, qtype);
            return Outcome::AnyOf(vec![all, self.members_answer(&Asked { members: reachable, ..asked }, qtype)]);
        }
        self.members_answer(&asked, qtype)
    }

    /// How many are eligible without the help of `none_eligible`.
    fn eligible_of(&self, asked: &Asked) -> usize {
        let is_eligible = |entry: &&&PlainInstance| facts::is_eligible(self.world, asked.service, entry, asked.filter);
        asked.all.iter().filter(is_eligible).count()
    }

    /// One instance that is not eligible: `none_eligible` speaks of services, and may hold for it or not; its TXT
    /// says what it is, not that it can be used, and may be answered or not.
    fn ineligible_id(&self, asked: Asked, qtype: u16) -> Outcome {
        let mut no_data = self.nobody(&asked, qtype);
        if let Outcome::Ours(draft) = &mut no_data {
            draft.rcode = NOERROR;
        }
        let mut accepted = vec![self.nobody(&asked, qtype), no_data];
        if !asked.members.is_empty() {
            accepted.push(self.members_answer(&asked, qtype));
        }
        if qtype == TXT || qtype == ANY {
            let whole = Asked { members: asked.all.clone(), ..asked };
            if let Found::Rule(rule) = self.txt(&whole) {
                accepted.push(Outcome::Ours(self.service_positive(&whole, vec![rule])));
            }
        }
        Outcome::AnyOf(accepted)
    }

    /// Nobody is eligible.
    fn nobody(&self, asked: &Asked, qtype: u16) -> Outcome {
        let rule = facts::rule(self.world, asked.service);
        let mut soa = self.service_soa(asked);
        let nxdomain = rule.none_eligible == NoneEligible::Nxdomain;
        if nxdomain {
            soa.ttls.push(self.world.settings.negative_ttl_secs);
        }
        let mut draft = ours(if nxdomain { NXDOMAIN } else { NOERROR }, Authority::Soa(soa), asked.form);
        if nxdomain && asked.tree.is_none() {
            draft.authority = Authority::AnySoa;
        }
        let counted = [A, AAAA, SRV, ANY].contains(&qtype) && !nxdomain;
        let text = match self.eligible_of(asked) {
            0 => format!("{} registered, 0 passing", asked.all.len()),
            eligible => format!("{eligible} passing, none with an address for this client"),
        };
        let text = (counted && *asked.filter == Filter::default()).then_some(text);
        draft.errors = vec![ErrorRule { codes: vec![0], required: counted, text }, ErrorRule::allowed(3)];
        draft.errors.push(ErrorRule::allowed(19));
        Outcome::Ours(draft)
    }

    /// Somebody is.
    fn members_answer(&self, asked: &Asked, qtype: u16) -> Outcome {
        if qtype == ANY {
            return self.service_any(asked);
        }
        match self.service_rrset(asked, qtype) {
            Found::Nothing => self.service_no_data(asked),
            Found::Rule(rule) => Outcome::Ours(self.service_positive(asked, vec![rule])),
            Found::Slow(outcome) => outcome,
        }
    }

    /// ANY: A and AAAA as for A, else the smallest other RRset (RFC 8482).
    fn service_any(&self, asked: &Asked) -> Outcome {
        let mut rules = Vec::new();
        let mut slow = Vec::new();
        for qtype in [A, AAAA] {
            match self.service_rrset(asked, qtype) {
                Found::Nothing => {}
                Found::Rule(rule) => rules.push(rule),
                Found::Slow(outcome) => slow.push(outcome),
            }
        }
        if !rules.is_empty() {
            return Outcome::Ours(self.service_positive(asked, rules));
        }
        let others = [SRV, TXT, HTTPS].into_iter().filter_map(|qtype| match self.service_rrset(asked, qtype) {
            Found::Rule(rule) => Some(Outcome::Ours(self.service_positive(asked, vec![rule]))),
            _ => None,
        });
        // A host name may be resolved for ANY, or the smallest of what is known be given.
        let others: Vec<_> = slow.into_iter().chain(others).collect();
        if others.is_empty() { self.service_no_data(asked) } else { Outcome::AnyOf(others) }
    }

    fn service_rrset(&self, asked: &Asked, qtype: u16) -> Found {
        match qtype {
            A => self.addresses(asked, Family::V4),
            AAAA => self.addresses(asked, Family::V6),
            SRV => self.srv(asked),
            TXT => self.txt(asked),
            HTTPS => self.https(asked),
            _ => Found::Nothing,
        }
    }

    fn addresses(&self, asked: &Asked, family: Family) -> Found {
        let places: Vec<(&PlainInstance, Place)> =
            asked.members.iter().map(|entry| (*entry, facts::place(self.world, entry, self.network, family))).collect();
        let with_ip = lowest(&places, |place| matches!(place, Place::Ip(_)));
        let most = usize::from(facts::rule(self.world, asked.service).max_answers);
        let most = (most > 0).then_some(most);
        let rtype = if family == Family::V4 { A } else { AAAA };
        let chained = self.world.settings.host_names == HostNames::Cname;
        let is_somewhere = |entry: &&PlainInstance| {
            [Family::V4, Family::V6]
                .into_iter()
                .any(|family| matches!(facts::place(self.world, entry, self.network, family), Place::Ip(_)))
        };
        if with_ip.is_empty() && chained && asked.members.iter().any(is_somewhere) {
            // A CNAME would hide the addresses of the other family.
            return Found::Nothing;
        }
        if with_ip.is_empty() {
            return self.hosts(asked, &lowest(&places, |place| matches!(place, Place::Host(_))), (rtype, most));
        }
        let mut weights: BTreeMap<Vec<u8>, u32> = BTreeMap::new();
        for (entry, place) in &with_ip {
            if let Place::Ip(ip) = place {
                *weights.entry(facts::octets(*ip)).or_default() +=
                    facts::weight(self.world, asked.service, entry, asked.filter);
            }
        }
        let members = weights.into_iter().map(|(rdata, weight)| Member { rdata, weight }).collect();
        let ttl = self.smallest_ttl(asked, with_ip.iter().map(|(entry, _)| *entry));
        Found::Rule(RrsetRule { most, ..exact(asked.name, rtype, ttl, members) })
    }

    /// Host names: one of them, by weight, is resolved.
    fn hosts(&self, asked: &Asked, with_host: &[&(&PlainInstance, Place)], kind: (u16, Option<usize>)) -> Found {
        let mut hosts: BTreeMap<String, (u32, u32)> = BTreeMap::new();
        for (entry, place) in with_host {
            if let Place::Host(host) = place {
                let known = hosts.entry(host.clone()).or_insert((0, u32::MAX));
                known.0 += facts::weight(self.world, asked.service, entry, asked.filter);
                known.1 = known.1.min(facts::ttl(self.world, entry, (asked.service, asked.filter)));
            }
        }
        let some_weight = hosts.values().any(|(weight, _)| *weight > 0);
        hosts.retain(|_, (weight, _)| !some_weight || *weight > 0);
        if hosts.is_empty() {
            return Found::Nothing;
        }
        let ttl = self.smallest_ttl(asked, with_host.iter().map(|(entry, _)| *entry));
        let of_host = |(host, (_, own)): (&String, &(u32, u32))| {
            // The chain's smallest TTL: that of the instance chosen, or of the whole RRset.
            let mut ttls = vec![ttl.min(*own), *own];
            ttls.dedup();
            let one = |ttl: u32| match self.resolve(asked.name, host, kind, (ttl, asked.step)) {
                Outcome::Ours(draft)
                    if draft.answer.is_empty() && draft.chain.is_empty() && draft.rcode != SERVFAIL =>
                {
                    let mut none = ours(NOERROR, Authority::Soa(self.service_soa(asked)), asked.form);
                    none.errors = draft.errors;
                    Outcome::Ours(none)
                }
                outcome => outcome,
            };
            Outcome::AnyOf(ttls.into_iter().map(one).collect())
        };
        Found::Slow(Outcome::AnyOf(hosts.iter().map(of_host).collect()))
    }

    /// Addresses of a host name, at the name that was asked, whose source may be stale.
    pub fn resolve(&self, name: &Name, host: &str, kind: (u16, Option<usize>), (ttl, step): (u32, usize)) -> Outcome {
        self.resolved(name, host, kind, (ttl, step)).allowing(3)
    }

    fn resolved(
        &self,
        name: &Name,
        host: &str,
        (rtype, most): (u16, Option<usize>),
        (ttl, step): (u32, usize),
    ) -> Outcome {
        let Ok(target) = Name::parse(host) else { return unresolved(host) };
        if self.world.settings.host_names == HostNames::Cname {
            let rdata = lower(&target);
            let link = Record { owner: name.as_wire().to_vec(), rtype: CNAME, ttl: Some(ttl), rdata };
            if step >= STEPS_MAX {
                return Outcome::Ours(Draft { chain: vec![link], ..ours(NOERROR, Authority::AnySoa, "host chain") });
            }
            return self.link(link, &target, self.look_up(&target, rtype, step + 1));
        }
        if step >= STEPS_MAX {
            return unresolved(host);
        }
        // Resolving is our own doing: RD and the client's rights do not matter, only whether there is forwarding.
        let inner = Asking { recursion: self.world.settings.forwarding, ..*self };
        let outcome = inner.look_up(&target, rtype, step + 1);
        self.flatten(name, host, most, ttl, outcome)
    }

    fn flatten(&self, name: &Name, host: &str, most: Option<usize>, ttl: u32, outcome: Outcome) -> Outcome {
        let host_wire = Name::parse(host).map(|host| lower(&host)).unwrap_or_default();
        let slow = |mut names: Vec<Vec<u8>>| {
            names.push(host_wire.clone());
            if self.recursion {
                Outcome::HostName(names)
            } else {
                Outcome::AnyOf(vec![Outcome::HostName(names), unresolved(host)])
            }
        };
        match outcome {
            Outcome::Forward => slow(Vec::new()),
            Outcome::HostName(names) => slow(names),
            Outcome::Chase(target) => slow(vec![target]),
            Outcome::AnyOf(all) => {
                Outcome::AnyOf(all.into_iter().map(|one| self.flatten(name, host, most, ttl, one)).collect())
            }
            Outcome::Ours(draft) if draft.rcode == SERVFAIL => Outcome::Ours(draft),
            Outcome::Ours(draft) if draft.answer.is_empty() => unresolved(host),
            Outcome::Ours(mut draft) => {
                let chain = draft.chain.iter().filter_map(|record| record.ttl);
                let ttl = chain.chain(draft.answer.iter().filter_map(|rule| rule.ttl)).fold(ttl, u32::min);
                for rule in &mut draft.answer {
                    rule.owner = name.as_wire().to_vec();
                    rule.ttl = Some(ttl);
                    rule.most = most.or(rule.most);
                }
                draft.chain.clear();
                draft.form = "host name";
                draft.aa = true;
                let mut whole = draft.clone();
                whole.answer.iter_mut().for_each(|rule| rule.most = None);
                Outcome::AnyOf(vec![Outcome::Ours(draft), Outcome::Ours(whole)])
            }
        }
    }

    pub(super) fn smallest_ttl<'b>(&self, asked: &Asked, entries: impl Iterator<Item = &'b PlainInstance>) -> u32 {
        entries.map(|entry| facts::ttl(self.world, entry, (asked.service, asked.filter))).min().unwrap_or(0)
    }

    /// The domain that was asked; D for a bare name.
    pub(super) fn suffix(&self, asked: &Asked) -> Name {
        asked.tree.map_or_else(|| self.world.settings.domain.clone(), |tree| tree.origin.clone())
    }

    fn service_positive(&self, asked: &Asked, rules: Vec<RrsetRule>) -> Draft {
        let mut draft = ours(NOERROR, Authority::Empty, asked.form);
        for rule in rules.iter().filter(|rule| rule.rtype == SRV) {
            let (Members::Exact(members), Some(ttl)) = (&rule.members, rule.ttl) else { continue };
            for target in members.iter().map(|member| member.rdata[6..].to_vec()) {
                let sets = self.target_sets(asked, &target, ttl);
                draft.additional.by_target.insert(target, sets);
            }
        }
        let stale = |entry: &&PlainInstance| {
            self.world.sources.iter().any(|source| source.stale && source.origin == entry.instance.origin)
        };
        if asked.members.iter().all(stale) {
            draft.errors.push(ErrorRule::required(3));
        } else {
            draft.errors.push(ErrorRule::allowed(3));
        }
        draft.answer = rules;
        draft
    }

    /// The address RRsets of an SRV target of ours, A before AAAA; none for a host name.
    fn target_sets(&self, asked: &Asked, target: &[u8], ttl: u32) -> Vec<Vec<Record>> {
        let record = |ip| Record {
            owner: target.to_vec(),
            rtype: if std::net::IpAddr::is_ipv4(&ip) { A } else { AAAA },
            ttl: Some(ttl),
            rdata: facts::octets(ip),
        };
        let name = Name::from_wire(target).expect("targets are names");
        if !name.is_at_or_below(&self.suffix(asked)) {
            return Vec::new();
        }
        let labels: Vec<&[u8]> = name.labels().collect();
        let spelled = facts::from_hex(labels[0]).filter(|_| labels.get(1).is_some_and(|label| *label == b"addr"));
        if let Some(ip) = spelled {
            return vec![vec![record(ip)]];
        }
        let node = asked.members.iter().filter_map(|entry| facts::node_of(self.world, entry)).find(|node| {
            let own = dotted_labels(node.node.name.as_str());
            let rest =
                if labels.len() > own.len() && labels[..own.len()] == own[..] { &labels[own.len()..] } else { &[] };
            // Targets of nodes name the datacenter; a host name that was registered so does not, and has no addresses here.
            matches!(rest, [b"node", datacenter, ..] if *datacenter == self.world.settings.datacenter.as_bytes())
        });
        let Some(node) = node else { return Vec::new() };
        let places = [Family::V4, Family::V6].map(|family| facts::node_place(&node.node, family));
        places
            .into_iter()
            .filter_map(|place| match place {
                Place::Ip(ip) => Some(vec![record(ip)]),
                _ => None,
            })
            .collect()
    }

    fn service_no_data(&self, asked: &Asked) -> Outcome {
        let mut draft = ours(NOERROR, Authority::Soa(self.service_soa(asked)), asked.form);
        draft.errors = vec![ErrorRule::allowed(3)];
        Outcome::Ours(draft)
    }

    /// The SOA of a known service's negative answers: no longer than the service's TTL.
    fn service_soa(&self, asked: &Asked) -> SoaRule {
        let negative = self.world.settings.negative_ttl_secs;
        let by_rule = negative.min(facts::rule(self.world, asked.service).ttl_secs);
        let by_meta = negative.min(self.smallest_ttl(asked, asked.all.iter().copied()));
        let mut rule = match asked.tree {
            Some(tree) => self.soa(tree),
            None => self.own_soa(asked.name),
        };
        rule.ttls = vec![by_rule, by_meta];
        rule.ttls.extend(asked.filter.query.as_ref().and_then(|query| query.ttl).map(|ttl| negative.min(ttl)));
        if let Some(rdata) = &mut rule.rdata {
            rdata.minimums.extend(&rule.ttls);
        }
        rule
    }

    /// The SOA of a name that is its own zone.
    pub fn own_soa(&self, name: &Name) -> SoaRule {
        let ttls = vec![self.world.settings.negative_ttl_secs];
        let domain = self.forest.trees.iter().find(|tree| tree.origin == self.world.settings.domain);
        SoaRule { owner: Some(lower(name)), ttls, rdata: domain.and_then(|tree| self.soa(tree).rdata) }
    }
}

/// Those of the lowest priority among the ones in such a place.
fn lowest<'b, 'c>(
    places: &'b [(&'c PlainInstance, Place)],
    wanted: impl Fn(&Place) -> bool,
) -> Vec<&'b (&'c PlainInstance, Place)> {
    let all: Vec<_> = places.iter().filter(|(_, place)| wanted(place)).collect();
    let priority = all.iter().map(|(entry, _)| facts::priority(entry)).min();
    all.into_iter().filter(|(entry, _)| Some(facts::priority(entry)) == priority).collect()
}

/// No address for a host name; the name's zone is put in by who asked.
fn unresolved(host: &str) -> Outcome {
    let mut draft = refusal(NOERROR, Vec::new(), "host name");
    draft.aa = true;
    draft.authority = Authority::AnySoa;
    draft.errors = vec![ErrorRule { codes: vec![0], required: true, text: Some(host.to_owned()) }];
    Outcome::Ours(draft)
}

/// A character string.
pub fn string(text: &[u8]) -> Vec<u8> {
    [&[text.len() as u8][..], text].concat()
}
