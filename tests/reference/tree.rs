//! Every name that a world gives a meaning to, as the trees of its zones.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use nameplate::wire::name::Name;

use super::{
    facts::{Filter, from_hex, matching},
    labels::{Holder, LabelList, ServiceNames, dotted_labels},
    prepared::{QueryNames, name_below},
    world::{PlainRecord, PlainZone, World},
};

/// Labels from the right, in lower case: the order of a zone's tree.
pub type Key = Vec<Vec<u8>>;

/// What a name of the catalog means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meaning {
    /// The top of D or an AD.
    Apex,
    /// `ns.D`.
    NsHost,
    /// Instances of a service.
    Service {
        /// The service, or whose further name it is.
        service: Holder,
        /// Which of its instances.
        filter: Filter,
        /// The form of the name, for counting.
        form: &'static str,
    },
    /// A node.
    Node(String),
}

/// What is at a name.
#[derive(Debug, Clone, Default)]
pub struct Entry {
    /// Records of a file.
    pub statics: Vec<PlainRecord>,
    /// What the catalog says; a file's records win over it.
    pub meaning: Option<Meaning>,
}

/// One zone.
#[derive(Debug, Clone)]
pub struct Tree {
    /// Its apex.
    pub origin: Name,
    /// Whether it is D or an AD.
    pub domain: bool,
    /// Its file, if it has one.
    pub file: Option<PlainZone>,
    entries: BTreeMap<Key, Entry>,
    /// Parents of the names that spell an address.
    hex_parents: Vec<Key>,
    /// Parents of the names of queries, and what those are.
    query_parents: Vec<Key>,
    queries: QueryNames,
    /// Other zones and forward rules below this zone.
    others_below: Vec<Key>,
}

/// Where the walk down the tree ended.
#[derive(Debug, Clone)]
pub enum Found<'a> {
    /// At or below a zone cut of this name.
    Cut(Name, &'a Entry),
    /// At the name.
    Exact(&'a Entry),
    /// At a name that exists only because others are below it.
    Empty,
    /// At an address spelled in hex.
    Hex(IpAddr),
    /// At the name of a query, which chooses these instances.
    Query(Holder, Filter),
    /// At a wildcard that answers for the name.
    Wildcard(&'a Entry),
    /// Nowhere.
    Missing,
}

/// All zones of a world.
#[derive(Debug, Clone)]
pub struct Forest {
    /// The zones.
    pub trees: Vec<Tree>,
    /// Which labels lead to which service.
    pub names: ServiceNames,
}

/// The key of a name.
pub fn key(name: &Name) -> Key {
    let mut key: Key = name.labels().map(<[u8]>::to_ascii_lowercase).collect();
    key.reverse();
    key
}

impl Forest {
    /// Lists all names.
    pub fn of(world: &World) -> Forest {
        let names = ServiceNames::of(world);
        let domains = world.domains();
        let mut trees: Vec<Tree> =
            domains.iter().map(|domain| Tree::new(domain, true, zone_of(world, domain), world, &names)).collect();
        for zone in world.zones.iter().filter(|zone| !domains.contains(&zone.origin)) {
            trees.push(Tree::new(&zone.origin, false, Some(zone), world, &names));
        }
        let below: Vec<Name> =
            trees.iter().map(|tree| tree.origin.clone()).chain(world.settings.forward_zones.iter().cloned()).collect();
        for tree in &mut trees {
            for origin in below.iter().filter(|origin| **origin != tree.origin && origin.is_at_or_below(&tree.origin)) {
                tree.others_below.push(key(origin));
            }
        }
        Forest { trees, names }
    }
}

fn zone_of<'a>(world: &'a World, origin: &Name) -> Option<&'a PlainZone> {
    world.zones.iter().find(|zone| zone.origin == *origin)
}

impl Tree {
    fn new(origin: &Name, domain: bool, file: Option<&PlainZone>, world: &World, names: &ServiceNames) -> Tree {
        let entries = BTreeMap::new();
        let mut tree = Tree {
            origin: origin.clone(),
            domain,
            file: file.cloned(),
            entries,
            hex_parents: Vec::new(),
            query_parents: Vec::new(),
            queries: QueryNames::of(world, names),
            others_below: Vec::new(),
        };
        for record in file.iter().flat_map(|zone| &zone.records) {
            tree.entries.entry(key(&record.owner)).or_default().statics.push(record.clone());
        }
        if domain {
            tree.put(&[], Meaning::Apex);
            tree.put(&[b"ns".to_vec()], Meaning::NsHost);
            tree.put_catalog(world, names);
        }
        tree
    }

    /// Gives the name (labels left of the apex, leftmost first) a meaning, unless it has one.
    fn put(&mut self, labels: &[Vec<u8>], meaning: Meaning) {
        if let Some(key) = self.key_below(labels) {
            self.entries.entry(key).or_default().meaning.get_or_insert(meaning);
        }
    }

    /// The key of a name below the apex; none if the name would be too long.
    fn key_below(&self, labels: &[Vec<u8>]) -> Option<Key> {
        let name = Name::from_labels(labels.iter().map(Vec::as_slice).chain(self.origin.labels())).ok()?;
        Some(key(&name))
    }

    fn put_catalog(&mut self, world: &World, names: &ServiceNames) {
        for (location, port) in locations(world) {
            for kind in ["service", "node", "addr", "query"] {
                if port.is_none() {
                    let labels = join(&[&[kind.into()], &location]);
                    let key = self.key_below(&labels).expect("a kind and a location are short");
                    if kind == "addr" {
                        self.hex_parents.push(key.clone());
                    }
                    if kind == "query" {
                        self.query_parents.push(key.clone());
                    }
                    self.entries.entry(key).or_default();
                }
            }
            if port.is_none() {
                for node in &world.nodes {
                    let labels = dotted_labels(node.node.name.as_str());
                    let labels = join(&[&labels, &[b"node".to_vec()], &location]);
                    self.put(&labels, Meaning::Node(node.node.name.as_str().to_owned()));
                }
            }
            let suffix = join(&[&[b"service".to_vec()], &location]);
            self.put_services(world, names, &suffix, port.as_ref());
        }
        self.put_short_forms(world, names);
    }

    /// All forms below one `service` label.
    fn put_services(&mut self, world: &World, names: &ServiceNames, suffix: &LabelList, port: Option<&Vec<u8>>) {
        let plain = Filter { port: port.cloned(), ..Filter::default() };
        for (labels, service) in names.by_labels.iter().filter(|(labels, _)| labels.len() == 1) {
            for (pair, filter, form) in underscored(world, &labels[0], service, &plain) {
                self.put_filtered(world, &join(&[&pair, suffix]), service, filter, form);
            }
        }
        for (labels, service) in &names.by_labels {
            if is_pair(labels) {
                continue;
            }
            let form = if port.is_some() { "S.service.P.port" } else { "S.service" };
            self.put_filtered(world, &join(&[labels, suffix]), service, plain.clone(), form);
            let entries = matching(world, service, &plain);
            for id in entries.iter().flat_map(|entry| [Some(&entry.id_label), entry.alias_label.as_ref()]).flatten() {
                let left = vec![id.clone(), b"_id".to_vec()];
                let filter = Filter { id: Some(id.clone()), ..plain.clone() };
                if matching(world, service, &filter).is_empty() {
                    continue; // It is the ID of another, which lacks the port.
                }
                self.put_left(names, (&left, labels, suffix), service, (filter, "I._id.S.service"));
            }
            let ports: BTreeSet<_> = entries.iter().flat_map(|entry| entry.port_labels.iter().flatten()).collect();
            for label in ports.into_iter().filter(|_| port.is_none()) {
                for protocol in ["_tcp", "_udp"] {
                    let left = vec![[b"_", &label[..]].concat(), protocol.into()];
                    let filter = Filter { port: Some(label.clone()), ..Filter::default() };
                    self.put_left(names, (&left, labels, suffix), service, (filter, "_P._tcp.S.service"));
                }
            }
            for tag in entries.iter().flat_map(|entry| &entry.tag_labels).collect::<BTreeSet<_>>() {
                let second = tag.get(1).filter(|_| tag.len() == 2);
                let reserved = second.is_some_and(|label| {
                    label == b"_id" || (tag[0].starts_with(b"_") && (label == b"_tcp" || label == b"_udp"))
                });
                if !reserved && !is_pair(&join(&[tag, labels])) {
                    let filter = Filter { tag: Some(tag.clone()), ..plain.clone() };
                    self.put_left(names, (tag, labels, suffix), service, (filter, "T.S.service"));
                }
            }
        }
    }

    /// Puts a name left of a service's, unless a longer right part is another service's name.
    fn put_left(
        &mut self,
        names: &ServiceNames,
        (left, labels, suffix): (&LabelList, &LabelList, &LabelList),
        service: &Holder,
        (filter, form): (Filter, &'static str),
    ) {
        let whole = join(&[left, labels]);
        let hidden =
            (0..left.len()).any(|from| names.by_labels.contains_key(&whole[from..]) && whole.len() - from <= 4);
        if !hidden {
            // Some instance gave the filter, so it leaves at least that one.
            self.put(&join(&[&whole, suffix]), Meaning::Service { service: service.clone(), filter, form });
        }
    }

    fn put_filtered(
        &mut self,
        world: &World,
        labels: &[Vec<u8>],
        service: &Holder,
        filter: Filter,
        form: &'static str,
    ) {
        if !matching(world, service, &filter).is_empty() {
            self.put(labels, Meaning::Service { service: service.clone(), filter, form });
        }
    }

    /// `web.D` and `_web._tcp.D`.
    fn put_short_forms(&mut self, world: &World, names: &ServiceNames) {
        let datacenter = world.settings.datacenter.as_bytes().to_ascii_lowercase();
        for (labels, service) in &names.by_labels {
            if labels.len() == 1 {
                for (pair, filter, _) in underscored(world, &labels[0], service, &Filter::default()) {
                    self.put_filtered(world, &pair, service, filter, "_S._T");
                }
            }
            let last = labels.last().expect("a service name has a label");
            let taken = labels.iter().any(|label| KINDS.contains(&&label[..]))
                || *last == datacenter
                || last == b"dc"
                || last == b"port"
                || labels.iter().any(|label| label.starts_with(b"_"));
            if !taken {
                self.put_filtered(world, labels, service, Filter::default(), "S.D");
            }
        }
    }

    /// Walks down the tree (RFC 1034 section 4.3.2, RFC 4592 section 4).
    pub fn find(&self, name: &Name, qtype: u16) -> Found<'_> {
        let wanted = key(name);
        let top = key(&self.origin).len();
        for depth in top + 1..=wanted.len() {
            if let Some(entry) = self.entries.get(&wanted[..depth]) {
                let cut = entry.statics.iter().find(|record| record.rtype == NS);
                let asks_parent = depth == wanted.len() && qtype == DS;
                if let Some(cut) = cut.filter(|_| !asks_parent) {
                    return Found::Cut(cut.owner.clone(), entry);
                }
            }
        }
        if let Some(entry) = self.entries.get(&wanted) {
            return if entry.statics.is_empty() && entry.meaning.is_none() {
                Found::Empty
            } else {
                Found::Exact(entry)
            };
        }
        if let Some((holder, filter)) = self.query_labels(&wanted).and_then(|labels| self.queries.meaning(&labels)) {
            return Found::Query(holder, filter);
        }
        if self.exists(&wanted) {
            return Found::Empty;
        }
        let (own, parent) = wanted.split_last().expect("the apex exists");
        if self.hex_parents.iter().any(|hex_parent| hex_parent == parent) {
            if let Some(ip) = from_hex(own) {
                return Found::Hex(ip);
            }
        }
        let encloser = (top..wanted.len()).rev().find(|depth| self.exists(&wanted[..*depth])).unwrap_or(top);
        let star = [&wanted[..encloser], &[b"*".to_vec()]].concat();
        let below_hex = self.hex_parents.iter().any(|hex| {
            wanted.len() > hex.len() + 1 && wanted.starts_with(hex) && from_hex(&wanted[hex.len()]).is_some()
        });
        match self.entries.get(&star) {
            Some(entry) if !below_hex && !entry.statics.is_empty() => Found::Wildcard(entry),
            _ => Found::Missing,
        }
    }

    /// The labels left of `query`, leftmost first, if there are any.
    fn query_labels(&self, key: &[Vec<u8>]) -> Option<LabelList> {
        let parents = self.query_parents.iter().filter(|parent| key.len() > parent.len() && key.starts_with(parent));
        // The kind is the first from the right.
        let parent = parents.min_by_key(|parent| parent.len())?;
        Some(key[parent.len()..].iter().rev().cloned().collect())
    }

    /// Whether templates, which give names that nobody can list, may give one below this name.
    pub fn may_be_above_templates(&self, name: &Name) -> bool {
        self.queries.has_templates() && self.query_labels(&key(name)).is_some()
    }

    /// Whether another zone or a forward rule lies below the name.
    pub fn has_others_below(&self, name: &Name) -> bool {
        let above = key(name);
        self.others_below.iter().any(|below| below.starts_with(&above))
    }

    /// Whether there is an entry at the key or below it.
    fn exists(&self, key: &[Vec<u8>]) -> bool {
        let query = self.query_labels(key);
        query.is_some_and(|labels| self.queries.meaning(&labels).is_some() || self.queries.is_above(&labels))
            || self.entries.range(key.to_vec()..).next().is_some_and(|(next, _)| next.starts_with(key))
    }

    /// All names with an entry and what they are, for drawing questions.
    pub fn listed(&self) -> Vec<(&'static str, Name)> {
        let listed = self.entries.iter().map(|(key, entry)| {
            let has = |rtype: u16| entry.statics.iter().any(|record| record.rtype == rtype);
            let form = match &entry.meaning {
                _ if has(CNAME) => "chain",
                _ if has(NS) && *key != self::key(&self.origin) => "referral",
                _ if !entry.statics.is_empty() => "static",
                Some(Meaning::Service { form, .. }) => form,
                Some(Meaning::Node(_)) => "node",
                Some(Meaning::Apex) => "apex",
                Some(Meaning::NsHost) => "ns",
                None => "empty",
            };
            (form, Name::from_labels(key.iter().rev()).expect("keys come from names"))
        });
        let queries = self.queries.listed();
        let below = |parent: &Key| {
            let parent: LabelList = parent.iter().rev().cloned().collect();
            queries.iter().filter_map(move |labels| name_below(labels, &parent)).map(|name| ("Q.query", name))
        };
        listed.chain(self.query_parents.iter().flat_map(below)).collect()
    }
}

/// The labels between a kind and the apex, and the port that they name.
fn locations(world: &World) -> Vec<(LabelList, Option<Vec<u8>>)> {
    let datacenter = world.settings.datacenter.as_bytes().to_ascii_lowercase();
    let pair = vec![datacenter.clone(), b"dc".to_vec()];
    let mut locations = vec![(vec![], None), (vec![datacenter], None), (pair.clone(), None)];
    let mut ports: Vec<_> =
        world.instances.iter().flat_map(|entry| entry.port_labels.iter().flatten().cloned()).collect();
    ports.sort();
    ports.dedup();
    for port in ports {
        let port_pair = vec![port.clone(), b"port".to_vec()];
        locations.push((port_pair.clone(), Some(port.clone())));
        locations.push((join(&[&port_pair, &pair]), Some(port.clone())));
        locations.push((join(&[&pair, &port_pair]), Some(port)));
    }
    locations
}

/// The RFC 2782 forms of a service: the two labels and what they filter.
fn underscored(
    world: &World,
    label: &[u8],
    service: &Holder,
    plain: &Filter,
) -> Vec<(LabelList, Filter, &'static str)> {
    let own = [b"_", label].concat();
    let has_udp = matching(world, service, &Filter::default())
        .iter()
        .any(|entry| super::facts::has_tag(entry, &vec![b"udp".to_vec()]));
    let udp = Filter { tag: has_udp.then(|| vec![b"udp".to_vec()]), ..plain.clone() };
    let mut forms = vec![
        (vec![own.clone(), b"_tcp".to_vec()], plain.clone(), "_S._tcp.service"),
        (vec![own.clone(), b"_udp".to_vec()], udp, "_S._udp.service"),
    ];
    let entries = matching(world, service, plain);
    for tag in entries.iter().flat_map(|entry| &entry.tag_labels).collect::<BTreeSet<_>>() {
        if tag.len() == 1 && *tag != [b"tcp".to_vec()] && *tag != [b"udp".to_vec()] {
            let pair = vec![own.clone(), [b"_", &tag[0][..]].concat()];
            forms.push((pair, Filter { tag: Some(tag.clone()), ..plain.clone() }, "_S._T.service"));
        }
    }
    forms
}

/// Whether these are the two labels of an RFC 2782 form.
fn is_pair(labels: &[Vec<u8>]) -> bool {
    labels.len() == 2 && labels.iter().all(|label| label.starts_with(b"_"))
}

/// One label list after the other.
pub fn join(parts: &[&[Vec<u8>]]) -> LabelList {
    parts.concat()
}

/// Words that say what kind of thing is left of them.
pub const KINDS: [&[u8]; 7] = [b"service", b"node", b"addr", b"query", b"connect", b"ingress", b"virtual"];

const NS: u16 = 2;
const CNAME: u16 = 5;
const DS: u16 = 43;
