//! A name in our zones: the walk down the tree, records of files, CNAME chains, referrals.

use std::collections::BTreeMap;

use nameplate::wire::name::Name;

use super::{
    answer::{Asking, Draft, Outcome, SOA, Zone, lower, optional, ours, refusal},
    expected::{Additional, Authority, ErrorRule, Member, Members, Record, RrsetRule},
    facts::octets,
    gate::{NOERROR, REFUSED},
    tree::{Found, KINDS, Meaning, Tree, key},
    world::{PlainInstance, PlainRecord},
};

/// Type numbers.
pub const A: u16 = 1;
/// NS.
pub const NS: u16 = 2;
/// CNAME.
pub const CNAME: u16 = 5;
/// PTR.
pub const PTR: u16 = 12;
/// MX.
pub const MX: u16 = 15;
/// TXT.
pub const TXT: u16 = 16;
/// AAAA.
pub const AAAA: u16 = 28;
/// SRV.
pub const SRV: u16 = 33;
/// SVCB.
pub const SVCB: u16 = 64;
/// HTTPS.
pub const HTTPS: u16 = 65;
/// ANY.
pub const ANY: u16 = 255;

/// Most steps of a chain that are taken in our data.
pub const STEPS_MAX: usize = 8;

impl<'a> Asking<'a> {
    /// Looks a name up, wherever it is.
    pub fn look_up(&self, name: &Name, qtype: u16, step: usize) -> Outcome {
        match self.zone_of(name) {
            Zone::Tree(tree) => self.in_tree(tree, name, qtype, step),
            Zone::Forwarded => self.foreign(),
            Zone::Refused => {
                let errors = vec![ErrorRule { codes: vec![20], required: true, text: None }];
                Outcome::Ours(refusal(REFUSED, errors, "refused"))
            }
            Zone::None => self.outside(name, qtype, step),
        }
    }

    fn in_tree(&self, tree: &'a Tree, name: &Name, qtype: u16, step: usize) -> Outcome {
        let found = self.at_name(tree, name, qtype, step);
        let nowhere = matches!(tree.find(name, qtype), Found::Missing | Found::Wildcard(_));
        if nowhere
            && (tree.may_be_above_templates(name)
                || tree.has_others_below(name)
                || self.is_above_half_pairs(tree, name))
        {
            // It is above another zone: that makes it exist, if both are seen together.
            return Outcome::AnyOf(vec![self.no_data(tree, "empty"), found]);
        }
        found
    }

    /// Whether it is `_T.service.P.port` at an origin, and services with names of one label have the tag and the port,
    /// though no instance both.
    fn is_above_half_pairs(&self, tree: &Tree, name: &Name) -> bool {
        let key = key(name);
        let (first, rest) = match &key[tree.origin.label_count().min(key.len())..] {
            [rest @ .., kind, first] if tree.domain && kind == b"service" => (first, rest),
            _ => return false,
        };
        let port = rest.windows(2).find(|pair| pair[0] == b"port").map(|pair| pair[1].clone());
        let (Some(tag), true) = (first.strip_prefix(b"_").filter(|tag| *tag != b"tcp"), port.is_some()) else {
            return false;
        };
        let single = |entry: &&PlainInstance| {
            self.forest.names.by_labels.iter().any(|(labels, owner)| labels.len() == 1 && owner.has(&entry.instance))
        };
        let singles = || self.world.instances.iter().filter(single);
        singles().any(|entry| entry.tag_labels.contains(&vec![tag.to_vec()]))
            && singles().any(|entry| entry.port_labels.contains(&port))
    }

    fn at_name(&self, tree: &'a Tree, name: &Name, qtype: u16, step: usize) -> Outcome {
        match tree.find(name, qtype) {
            Found::Cut(cut, entry) => self.referral(tree, &cut, &entry.statics),
            Found::Empty => self.reverse(name, qtype, Some(tree)).unwrap_or_else(|| self.no_data(tree, "empty")),
            Found::Missing => self
                .reverse(name, qtype, Some(tree))
                .unwrap_or_else(|| self.above_pointers(name, self.no_data(tree, "empty"), self.missing(tree))),
            Found::Wildcard(entry) if !self.world.synced() && tree.domain => {
                // What the catalog will say of the name is not known yet.
                let held = self.missing(tree);
                Outcome::AnyOf(vec![held, self.file_records(tree, name, qtype, &entry.statics, step)])
            }
            Found::Wildcard(entry) if tree.domain && has_kind(tree, name) => {
                Outcome::AnyOf(vec![self.missing(tree), self.file_records(tree, name, qtype, &entry.statics, step)])
            }
            Found::Wildcard(entry) => match self.reverse(name, qtype, Some(tree)) {
                Some(outcome) => outcome,
                None => {
                    let made = self.file_records(tree, name, qtype, &entry.statics, step);
                    self.above_pointers(name, self.no_data(tree, "empty"), made)
                }
            },
            Found::Query(holder, filter) => self.service(name, qtype, (&holder, &filter, "Q.query"), Some(tree), step),
            Found::Hex(ip) => self.hex(tree, name, qtype, ip),
            Found::Exact(entry) => match &entry.meaning {
                Some(Meaning::Apex) => self.apex(tree, name, qtype, &entry.statics),
                Some(Meaning::NsHost) if entry.statics.is_empty() => self.ns_host(tree, name, qtype),
                Some(Meaning::Service { service, filter, form }) if entry.statics.is_empty() => {
                    self.service(name, qtype, (service, filter, form), Some(tree), step)
                }
                Some(Meaning::Node(node)) if entry.statics.is_empty() => self.node(tree, name, qtype, node, step),
                _ => self.file_records(tree, name, qtype, &entry.statics, step),
            },
        }
    }

    /// A zone cut: not ours from here on (RFC 1034 section 4.3.2 step 3b).
    fn referral(&self, tree: &Tree, cut: &Name, statics: &[PlainRecord]) -> Outcome {
        let mut referral = Vec::new();
        let mut additional = Additional::default();
        for record in statics.iter().filter(|record| record.rtype == NS) {
            let record = plain(record);
            let target = Name::from_wire(&record.rdata).expect("the generator writes names");
            for glue in tree.file.iter().flat_map(|zone| &zone.records).filter(|glue| glue.owner == target) {
                if glue.rtype == A || glue.rtype == AAAA {
                    let glue = plain(glue);
                    if target.is_at_or_below(cut) {
                        additional.mandatory.push(glue);
                    } else {
                        additional.optional.entry(lower(&target)).or_default().push(glue);
                    }
                }
            }
            if !target.is_at_or_below(cut) {
                self.add_addresses(&mut additional.optional, &target);
            }
            referral.push(record);
        }
        let mut draft = ours(NOERROR, Authority::Referral(referral), "referral");
        draft.aa = false;
        draft.additional = additional;
        Outcome::Ours(draft)
    }

    /// A name with records of a file.
    fn file_records(&self, tree: &Tree, name: &Name, qtype: u16, statics: &[PlainRecord], step: usize) -> Outcome {
        let of = |rtype: u16| -> Vec<&PlainRecord> { statics.iter().filter(|record| record.rtype == rtype).collect() };
        if let (Some(cname), false) = (of(CNAME).first(), qtype == CNAME || qtype == ANY) {
            return self.follow(tree, name, cname, qtype, step);
        }
        let form = "static";
        if qtype != ANY {
            let records = of(qtype);
            if records.is_empty() {
                return self.no_data(tree, form);
            }
            return Outcome::Ours(self.positive(name, vec![static_rule(name, &records)], form));
        }
        let addresses: Vec<_> = [A, AAAA].into_iter().map(of).filter(|records| !records.is_empty()).collect();
        if !addresses.is_empty() {
            let rules = addresses.iter().map(|records| static_rule(name, records)).collect();
            return Outcome::Ours(self.positive(name, rules, form));
        }
        let mut types: Vec<u16> = statics.iter().map(|record| record.rtype).collect();
        types.sort_unstable();
        types.dedup();
        let size = |rtype: &u16| of(*rtype).iter().map(|record| 12 + record.rdata.len()).sum::<usize>();
        let smallest = types.iter().map(size).min().unwrap_or(0);
        let any = types.iter().filter(|rtype| size(rtype) == smallest);
        let one = |rtype: &u16| Outcome::Ours(self.positive(name, vec![static_rule(name, &of(*rtype))], form));
        Outcome::AnyOf(any.map(one).collect())
    }

    /// A positive answer; addresses of the names in its RDATA may come along.
    pub fn positive(&self, _name: &Name, answer: Vec<RrsetRule>, form: &'static str) -> Draft {
        let mut addresses = BTreeMap::new();
        for rule in &answer {
            let Members::Exact(members) = &rule.members else { continue };
            let skip = match rule.rtype {
                NS => 0,
                MX => 2,
                SRV => 6,
                _ => continue,
            };
            for member in members {
                if let Some(target) = member.rdata.get(skip..).and_then(|wire| Name::from_wire(wire).ok()) {
                    self.add_addresses(&mut addresses, &target);
                }
            }
        }
        let mut draft = ours(NOERROR, Authority::Empty, form);
        draft.answer = answer;
        draft.additional = optional(addresses);
        draft
    }

    /// Adds what our zones say of a target.
    fn add_addresses(&self, into: &mut BTreeMap<Vec<u8>, Vec<Record>>, target: &Name) {
        let Zone::Tree(tree) = self.zone_of(target) else { return };
        for qtype in [A, AAAA] {
            let Outcome::Ours(draft) = self.in_tree(tree, target, qtype, STEPS_MAX) else { continue };
            for rule in draft.answer {
                let Members::Exact(members) = rule.members else { continue };
                let of_target = members.into_iter().map(|member| Record {
                    owner: lower(target),
                    rtype: qtype,
                    ttl: None,
                    rdata: member.rdata,
                });
                into.entry(lower(target)).or_default().extend(of_target);
            }
        }
    }

    /// Goes on at the target of a CNAME; RCODE is that of the chain's end, AA that of its start (RFC 6604).
    fn follow(&self, tree: &Tree, name: &Name, cname: &PlainRecord, qtype: u16, step: usize) -> Outcome {
        let target = Name::from_wire(&cname.rdata).expect("the generator writes names");
        let link = Record { owner: name.as_wire().to_vec(), ..plain(cname) };
        if step >= STEPS_MAX {
            let _ = tree;
            return Outcome::Ours(Draft { chain: vec![link], ..ours(NOERROR, Authority::AnySoa, "chain too long") });
        }
        self.link(link, &target, self.look_up(&target, qtype, step + 1))
    }

    /// Puts a CNAME before what its target gave.
    pub fn link(&self, link: Record, target: &Name, rest: Outcome) -> Outcome {
        match rest {
            Outcome::Ours(draft) if draft.rcode == REFUSED => {
                let mut draft = ours(NOERROR, Authority::AnySoa, "chain leaves");
                draft.chain = vec![link];
                draft.errors =
                    vec![super::expected::ErrorRule { codes: vec![0, 3, 18, 20], required: false, text: None }];
                Outcome::Ours(draft)
            }
            Outcome::Ours(mut draft) => {
                draft.chain.insert(0, link);
                // SERVFAIL of what is not known yet stays an error.
                draft.aa = draft.rcode != super::gate::SERVFAIL;
                draft.form = "chain";
                if !draft.aa {
                    // Its chain may stand there or not: nobody uses the records of an error.
                    let none = Draft { chain: Vec::new(), ..draft.clone() };
                    return Outcome::AnyOf(vec![Outcome::Ours(none), Outcome::Ours(draft)]);
                }
                Outcome::Ours(draft)
            }
            Outcome::Forward => Outcome::Chase(lower(target)),
            Outcome::AnyOf(all) => {
                Outcome::AnyOf(all.into_iter().map(|one| self.link(link.clone(), target, one)).collect())
            }
            slow => slow,
        }
    }

    fn apex(&self, tree: &Tree, name: &Name, qtype: u16, statics: &[PlainRecord]) -> Outcome {
        let from_file: Vec<PlainRecord> = statics.iter().filter(|record| record.rtype != SOA).cloned().collect();
        if qtype == SOA || qtype == ANY {
            let rule = self.soa(tree);
            let fields = rule.rdata.expect("a domain's SOA is known");
            let one = |minimum: u32| {
                let numbers: Vec<u8> =
                    fields.numbers.iter().chain([&minimum]).flat_map(|number| number.to_be_bytes()).collect();
                let rdata = [&fields.mname[..], &fields.rname, &numbers].concat();
                let member = Member { rdata, weight: 1 };
                let rule = RrsetRule { ttl: Some(rule.ttls[0]), ..exact(name, SOA, 0, vec![member]) };
                Outcome::Ours(self.positive(name, vec![rule], "apex"))
            };
            return Outcome::AnyOf(fields.minimums.iter().copied().map(one).collect());
        }
        if qtype == NS && !from_file.iter().any(|record| record.rtype == NS) {
            let Ok(host) = tree.origin.prepend(b"ns") else { return self.no_data(tree, "apex") };
            let member = Member { rdata: lower(&host), weight: 1 };
            return Outcome::Ours(self.positive(name, vec![exact(name, NS, 300, vec![member])], "apex"));
        }
        if from_file.iter().any(|record| record.rtype == qtype) {
            return self.file_records(tree, name, qtype, &from_file, 0);
        }
        self.no_data(tree, "apex")
    }

    fn ns_host(&self, tree: &Tree, name: &Name, qtype: u16) -> Outcome {
        let mut rules = Vec::new();
        for (rtype, v4) in [(A, true), (AAAA, false)] {
            let mut members: Vec<Member> = Vec::new();
            for ip in self.world.settings.advertise.iter().filter(|ip| ip.is_ipv4() == v4) {
                let member = Member { rdata: octets(*ip), weight: 1 };
                if !members.contains(&member) {
                    members.push(member);
                }
            }
            if (qtype == rtype || qtype == ANY) && !members.is_empty() {
                rules.push(exact(name, rtype, 300, members));
            }
        }
        if rules.is_empty() {
            return self.no_data(tree, "ns");
        }
        Outcome::Ours(self.positive(name, rules, "ns"))
    }

    fn hex(&self, tree: &Tree, name: &Name, qtype: u16, ip: std::net::IpAddr) -> Outcome {
        let rtype = if ip.is_ipv4() { A } else { AAAA };
        if qtype != rtype && qtype != ANY {
            return self.no_data(tree, "addr");
        }
        let member = Member { rdata: octets(ip), weight: 1 };
        let ttl = self.world.settings.default_rule.ttl_secs;
        Outcome::Ours(self.positive(name, vec![exact(name, rtype, ttl, vec![member])], "addr"))
    }
}

/// Whether a label below the apex says what kind of thing is left of it.
fn has_kind(tree: &Tree, name: &Name) -> bool {
    let below = name.label_count() - tree.origin.label_count();
    name.labels().take(below).any(|label| KINDS.iter().any(|kind| label.eq_ignore_ascii_case(kind)))
}

/// A rule for exactly these members.
pub fn exact(name: &Name, rtype: u16, ttl: u32, members: Vec<Member>) -> RrsetRule {
    RrsetRule {
        owner: name.as_wire().to_vec(),
        rtype,
        class: 1,
        ttl: Some(ttl),
        members: Members::Exact(members),
        most: None,
    }
}

/// A rule for an RRset of a file: each RDATA once, the smallest TTL.
fn static_rule(name: &Name, records: &[&PlainRecord]) -> RrsetRule {
    let mut members: Vec<Member> = Vec::new();
    for record in records {
        let member = Member { rdata: super::parse::canonical(record.rtype, &record.rdata), weight: 1 };
        if !members.contains(&member) {
            members.push(member);
        }
    }
    let ttl = records.iter().map(|record| record.ttl).min().unwrap_or(0);
    exact(name, records.first().map_or(0, |record| record.rtype), ttl, members)
}

fn plain(record: &PlainRecord) -> Record {
    Record {
        owner: lower(&record.owner),
        rtype: record.rtype,
        ttl: Some(record.ttl),
        rdata: super::parse::canonical(record.rtype, &record.rdata),
    }
}
