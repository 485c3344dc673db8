//! From a query to what may be answered.

use std::collections::BTreeMap;

use nameplate::{catalog::service::IpNetwork, publish::settings::Settings, wire::name::Name};

use super::{
    expected::{
        Additional, Authority, ErrorRule, Expected, OptContents, OptRule, Question, Record, Response, RrsetRule,
        SoaRdata, SoaRule,
    },
    facts::client_network,
    gate::{
        CLIENT_SUBNET, FORMERR, Gate, NOERROR, NOTAUTH, NOTIFY, NOTIMP, NSID, NXDOMAIN, Query, REFUSED, SERVFAIL,
        UPDATE, gate,
    },
    tree::{Forest, Tree},
    world::{Asker, World},
};

/// What of an answer the name decides.
#[derive(Debug, Clone)]
pub struct Draft {
    /// RCODE.
    pub rcode: u16,
    /// AA.
    pub aa: bool,
    /// CNAMEs.
    pub chain: Vec<Record>,
    /// RRsets.
    pub answer: Vec<RrsetRule>,
    /// Authority section.
    pub authority: Authority,
    /// Additional section.
    pub additional: Additional,
    /// Extended errors.
    pub errors: Vec<ErrorRule>,
    /// The form that the name was read as.
    pub form: &'static str,
}

/// Where a look-up ended.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// In our data.
    Ours(Draft),
    /// In somebody else's, which may be asked.
    Forward,
    /// With host names to be resolved, one of these.
    HostName(Vec<Vec<u8>>),
    /// With a chain that goes on outside.
    Chase(Vec<u8>),
    /// Any of these.
    AnyOf(Vec<Outcome>),
}

impl Outcome {
    /// The same with an extended error that may be there.
    pub fn allowing(self, code: u16) -> Outcome {
        match self {
            Outcome::Ours(mut draft) => {
                draft.errors.push(ErrorRule::allowed(code));
                Outcome::Ours(draft)
            }
            Outcome::AnyOf(all) => Outcome::AnyOf(all.into_iter().map(|one| one.allowing(code)).collect()),
            slow => slow,
        }
    }
}

/// All that a look-up sees.
#[derive(Debug, Clone, Copy)]
pub struct Asking<'a> {
    /// What is known.
    pub world: &'a World,
    /// Its names.
    pub forest: &'a Forest,
    /// Who asks.
    pub asker: &'a Asker,
    /// The client network of who asks.
    pub network: Option<IpNetwork>,
    /// Whether what is not ours may be asked elsewhere for this query.
    pub recursion: bool,
    /// RD of the query.
    pub rd: bool,
}

/// What may be answered to these bytes.
pub fn expect(world: &World, forest: &Forest, asker: &Asker, bytes: &[u8]) -> Expected {
    let finish = |query: &Query, outcome| finish(asker, query, outcome);
    if asker.suspect {
        return Expected::Drop;
    }
    let (query, error) = match gate(bytes, asker.tcp) {
        Gate::Drop => return Expected::Drop,
        Gate::Error(rcode, query) => (query, Some(rcode)),
        Gate::Pass(query) => (query, None),
    };
    let settings = &world.settings;
    let allowed = settings.allow_query.iter().any(|network| network.contains(asker.address));
    let not_allowed = refusal(REFUSED, vec![ErrorRule::allowed(18)], "not allowed");
    if let Some(rcode) = error {
        let unsupported = rcode == NOTIMP || query.class != 1;
        let errors = match rcode {
            NOTIMP => vec![ErrorRule::allowed(21)],
            REFUSED if unsupported => vec![ErrorRule::required(21)],
            _ => vec![ErrorRule { codes: vec![0, 18, 20, 21], required: false, text: None }],
        };
        let fault = Outcome::Ours(refusal(rcode, errors, "gate"));
        return finish(&query, if allowed { fault } else { Outcome::AnyOf(vec![fault, Outcome::Ours(not_allowed)]) });
    }
    if !allowed {
        return finish(&query, Outcome::Ours(not_allowed));
    }
    if query.opcode == NOTIFY {
        return finish(&query, Outcome::Ours(refusal(NOTAUTH, vec![], "notify")));
    }
    if query.opcode == UPDATE {
        let refused = Outcome::Ours(refusal(REFUSED, vec![ErrorRule::allowed(21)], "update"));
        let other = Outcome::Ours(refusal(NOTAUTH, vec![ErrorRule::allowed(20)], "update"));
        let ours = forest.trees.iter().any(|tree| tree.origin == query.name);
        let below = forest.trees.iter().any(|tree| query.name.is_at_or_below(&tree.origin));
        return finish(
            &query,
            if ours {
                refused
            } else if below {
                Outcome::AnyOf(vec![refused, other])
            } else {
                other
            },
        );
    }
    let asking = Asking {
        world,
        forest,
        asker,
        network: client_network(world, asker.address),
        recursion: query.rd && asker.may_recurse && settings.forwarding,
        rd: query.rd,
    };
    finish(&query, if query.class == 3 { asking.chaos(&query) } else { asking.look_up(&query.name, query.qtype, 0) })
}

/// An error that has no records.
pub fn refusal(rcode: u16, errors: Vec<ErrorRule>, form: &'static str) -> Draft {
    Draft {
        rcode,
        aa: false,
        chain: Vec::new(),
        answer: Vec::new(),
        authority: Authority::Empty,
        additional: Additional::default(),
        errors,
        form,
    }
}

/// A draft of ours without records.
pub fn ours(rcode: u16, authority: Authority, form: &'static str) -> Draft {
    Draft { aa: true, authority, ..refusal(rcode, Vec::new(), form) }
}

fn finish(asker: &Asker, query: &Query, outcome: Outcome) -> Expected {
    let draft = match outcome {
        Outcome::Ours(draft) => draft,
        Outcome::Forward => return Expected::Forward,
        Outcome::HostName(names) => return Expected::HostName(names),
        Outcome::Chase(name) => return Expected::Chase(name),
        Outcome::AnyOf(all) => {
            return Expected::AnyOf(all.into_iter().map(|one| finish(asker, query, one)).collect());
        }
    };
    let fault = matches!(draft.rcode, FORMERR | NOTIMP);
    let question = match (query.question.is_empty(), fault) {
        (true, _) => Question::None,
        (false, true) => Question::EchoOrNone(query.question.clone()),
        (false, false) => Question::Echo(query.question.clone()),
    };
    let subnet = query.opt.iter().flat_map(|opt| &opt.options).find(|(code, _)| *code == CLIENT_SUBNET);
    let opt = match &query.opt {
        _ if fault => OptRule::Maybe,
        None => OptRule::None,
        Some(opt) => OptRule::Some(OptContents {
            dnssec_ok: opt.dnssec_ok,
            client_subnet: subnet.filter(|_| opt.version == 0).map(|(_, contents)| {
                let mut echoed = contents.clone();
                echoed[3] = 0;
                echoed
            }),
            asks_identifier: opt.options.iter().any(|(code, _)| *code == NSID),
            errors: draft.errors,
        }),
    };
    Expected::Response(Box::new(Response {
        id: query.id,
        opcode: query.opcode,
        rcode: draft.rcode,
        aa: draft.aa,
        rd: query.rd,
        cd: query.cd,
        ra: asker.may_recurse,
        question,
        chain: draft.chain,
        answer: draft.answer,
        authority: draft.authority,
        additional: draft.additional,
        opt,
        limit: limit(asker, query),
        tcp: asker.tcp,
        form: draft.form,
    }))
}

/// The largest response in bytes.
fn limit(asker: &Asker, query: &Query) -> usize {
    match &query.opt {
        _ if asker.tcp => 65_535,
        None => 512,
        Some(opt) => usize::from(opt.size).max(512).min(asker.udp_cap),
    }
}

/// Largest UDP response for a client by settings, whatever its query says.
pub fn udp_cap(settings: &Settings, client: std::net::IpAddr) -> usize {
    let rules = settings.udp_payload_max.iter().filter(|(network, _)| network.contains(client));
    let longest = rules.max_by_key(|(network, _)| network.prefix_length());
    let default = if client.to_canonical().is_loopback() { 16_384 } else { 1_232 };
    longest.map_or(default, |(_, bytes)| usize::from(*bytes))
}

impl<'a> Asking<'a> {
    /// The zone with the longest suffix; none if a forward rule's is longer or there is none.
    pub fn zone_of(&self, name: &Name) -> Zone<'a> {
        let tree = self.forest.trees.iter().filter(|tree| name.is_at_or_below(&tree.origin));
        let tree = tree.max_by_key(|tree| tree.origin.label_count());
        let settings = &self.world.settings;
        let longest =
            |zones: &[Name]| zones.iter().filter(|zone| name.is_at_or_below(zone)).map(Name::label_count).max();
        let rules =
            [(longest(&settings.forward_zones), Zone::Forwarded), (longest(&settings.refused_zones), Zone::Refused)];
        let rule = rules.into_iter().max_by_key(|(labels, _)| *labels).filter(|(labels, _)| labels.is_some());
        match (tree, rule) {
            (Some(tree), Some((labels, _))) if labels <= Some(tree.origin.label_count()) => Zone::Tree(tree),
            (Some(tree), None) => Zone::Tree(tree),
            (_, Some((_, rule))) => rule,
            (None, None) => Zone::None,
        }
    }

    /// Answers what is not ours.
    pub fn foreign(&self) -> Outcome {
        if self.recursion {
            return Outcome::Forward;
        }
        let no_forwarding = !self.world.settings.forwarding || !self.rd;
        let codes = match (no_forwarding, self.asker.may_recurse) {
            (true, true) => vec![20],
            (false, _) => vec![18],
            (true, false) => vec![18, 20],
        };
        Outcome::Ours(refusal(REFUSED, vec![ErrorRule { codes, required: true, text: None }], "foreign"))
    }

    /// A name of a domain of ours whose unknown names are asked elsewhere; who may not ask so gets either denial.
    fn asked_elsewhere(&self, denied: Draft) -> Outcome {
        let foreign = self.foreign();
        if self.recursion { foreign } else { Outcome::AnyOf(vec![foreign, Outcome::Ours(denied)]) }
    }

    /// No such name in this zone.
    pub fn missing(&self, tree: &'a Tree) -> Outcome {
        if !tree.domain {
            return Outcome::Ours(ours(NXDOMAIN, Authority::Soa(self.soa(tree)), "missing"));
        }
        let unsynced = Outcome::Ours(refusal(SERVFAIL, vec![ErrorRule::required(14)], "missing"));
        let mut draft = ours(NXDOMAIN, Authority::Soa(self.soa(tree)), "missing");
        if self.world.stale() {
            draft.errors.push(ErrorRule::required(19));
        }
        let asked_elsewhere = self.world.settings.fallthrough.iter().any(|(domain, _)| *domain == tree.origin);
        match (self.world.synced(), asked_elsewhere) {
            (false, true) => Outcome::AnyOf(vec![unsynced, self.foreign()]),
            (false, false) => unsynced,
            (true, true) => self.asked_elsewhere(draft),
            (true, false) => Outcome::Ours(draft),
        }
    }

    /// The SOA of a zone's negative answers.
    pub fn soa(&self, tree: &Tree) -> SoaRule {
        let settings = &self.world.settings;
        let file = tree.file.as_ref().and_then(|zone| {
            let record = zone.records.iter().find(|record| record.rtype == SOA && record.owner == zone.origin)?;
            Some((record.ttl, read_soa(&record.rdata)?))
        });
        if let (false, Some((ttl, rdata))) = (tree.domain, &file) {
            let negative = (*ttl).min(rdata.minimums[0]);
            return SoaRule { owner: Some(lower(&tree.origin)), ttls: vec![negative], rdata: Some(rdata.clone()) };
        }
        let mut rdata = self.domain_soa(&tree.origin);
        if let Some((_, from_file)) = file {
            rdata.rname = from_file.rname;
            rdata.numbers[1..].copy_from_slice(&from_file.numbers[1..]);
            rdata.minimums.extend(from_file.minimums);
        }
        SoaRule { owner: Some(lower(&tree.origin)), ttls: vec![settings.negative_ttl_secs], rdata: Some(rdata) }
    }

    /// The SOA of D or an AD.
    pub fn domain_soa(&self, domain: &Name) -> SoaRdata {
        let of = |label: &str| domain.prepend(label.as_bytes()).map_or_else(|_| lower(domain), |name| lower(&name));
        SoaRdata {
            mname: of("ns"),
            rname: of("hostmaster"),
            numbers: [self.world.serial, 3600, 600, 86_400],
            minimums: vec![self.world.settings.negative_ttl_secs],
        }
    }

    /// A name that exists without an RRset of the type.
    pub fn no_data(&self, tree: &Tree, form: &'static str) -> Outcome {
        let mut draft = ours(NOERROR, Authority::Soa(self.soa(tree)), form);
        draft.errors.push(ErrorRule::allowed(3));
        Outcome::Ours(draft)
    }
}

/// Whose a name is.
#[derive(Debug, Clone, Copy)]
pub enum Zone<'a> {
    /// One of our zones.
    Tree(&'a Tree),
    /// A forward rule.
    Forwarded,
    /// A rule that asks nobody.
    Refused,
    /// No zone's.
    None,
}

/// A name in wire form, in lower case.
pub fn lower(name: &Name) -> Vec<u8> {
    name.to_lowercase().as_wire().to_vec()
}

/// Splits SOA RDATA.
pub fn read_soa(rdata: &[u8]) -> Option<SoaRdata> {
    let name_end = |start: usize| {
        let mut at = start;
        while *rdata.get(at)? != 0 {
            at += 1 + usize::from(rdata[at]);
        }
        Some(at + 1)
    };
    let middle = name_end(0)?;
    let end = name_end(middle)?;
    let number = |at: usize| Some(u32::from_be_bytes(rdata.get(end + 4 * at..end + 4 * at + 4)?.try_into().ok()?));
    Some(SoaRdata {
        mname: rdata[..middle].to_ascii_lowercase(),
        rname: rdata[middle..end].to_ascii_lowercase(),
        numbers: [number(0)?, number(1)?, number(2)?, number(3)?],
        minimums: vec![number(4)?],
    })
}

/// An additional section that holds nothing it must.
pub fn optional(records: BTreeMap<Vec<u8>, Vec<Record>>) -> Additional {
    Additional { optional: records, ..Additional::default() }
}

/// SOA's type number.
pub const SOA: u16 = 6;
