//! Nodes as DNS answers them.

use std::sync::Arc;

use crate::{
    catalog::{
        names::NodeName,
        node::Node,
        service::Meta,
        table::{Seed, Table},
    },
    publish::{
        eligible,
        label::{Key, dotted_key},
        selection::NodeTarget,
    },
    wire::name::Name,
};

/// All nodes by name.
#[derive(Debug, Clone, Default)]
pub struct Nodes {
    table: Table<Arc<Entry>>,
}

/// What DNS answers about one node.
#[derive(Debug)]
pub struct NodeAnswers {
    /// Its name.
    pub name: NodeName,
    /// Its labels and addresses.
    pub target: Arc<NodeTarget>,
    /// The host name that is its address, if it is one.
    pub host: Option<Name>,
    /// The TXT records of its meta.
    pub texts: Box<[Box<[u8]>]>,
    /// TTL of its records in seconds.
    pub ttl: u32,
}

/// What a name of nodes leads to.
#[derive(Debug, Clone, Copy)]
pub enum FoundNode<'a> {
    /// The node of that name.
    Node(&'a NodeAnswers),
    /// No node, but nodes below that name.
    Below,
    /// No such name.
    Nothing,
}

#[derive(Debug, Clone)]
struct Entry {
    key: Key,
    /// Who has the name, in the order of the original names; the first is answered.
    nodes: Vec<Arc<NodeAnswers>>,
    below: u32,
}

impl Nodes {
    /// The node whose name has these labels.
    pub fn find(&self, seed: Seed, labels: &[u8]) -> FoundNode<'_> {
        match self.entry(seed, labels) {
            Some(entry) => entry.nodes.first().map_or(FoundNode::Below, |node| FoundNode::Node(node)),
            None => FoundNode::Nothing,
        }
    }

    /// Whether there is any node.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// The node as a target; shared between all that point at it.
    pub fn target(&self, seed: Seed, node: &Node) -> Arc<NodeTarget> {
        let key = dotted_key(node.name.as_str());
        let mut known = self.entry(seed, key.as_wire()).into_iter().flat_map(|entry| &entry.nodes);
        let known = known.find(|known| known.name == node.name).map(|known| Arc::clone(&known.target));
        let fresh = target(&key, node);
        known.filter(|known| **known == fresh).unwrap_or_else(|| Arc::new(fresh))
    }

    /// Follows a node.
    pub fn change(&mut self, seed: Seed, before: Option<&Node>, after: Option<&Node>, ttl: u32) {
        let Some(name) = after.or(before).map(|node| &node.name) else { return };
        let key = dotted_key(name.as_str());
        let mut entry = self.entry_or_new(seed, &key);
        entry.nodes.retain(|node| node.name != *name);
        entry.nodes.extend(after.map(|after| Arc::new(answers(&key, after, ttl))));
        entry.nodes.sort_by(|left, right| left.name.cmp(&right.name));
        self.put(seed, entry);
        if before.is_some() == after.is_some() {
            return;
        }
        let ancestors: Vec<Key> = key.ancestors().map(Key::from_wire).collect();
        for ancestor in ancestors {
            let mut entry = self.entry_or_new(seed, &ancestor);
            entry.below = if after.is_some() { entry.below + 1 } else { entry.below - 1 };
            self.put(seed, entry);
        }
    }

    fn entry(&self, seed: Seed, labels: &[u8]) -> Option<&Arc<Entry>> {
        self.table.get(seed.hash(labels), |entry| entry.key.as_wire() == labels)
    }

    fn entry_or_new(&self, seed: Seed, key: &Key) -> Entry {
        let new = || Entry { key: key.clone(), nodes: Vec::new(), below: 0 };
        self.entry(seed, key.as_wire()).map_or_else(new, |entry| Entry::clone(entry))
    }

    fn put(&mut self, seed: Seed, entry: Entry) {
        let key = entry.key.clone();
        let hash = seed.hash(key.as_wire());
        if entry.nodes.is_empty() && entry.below == 0 {
            self.table.remove(hash, |old| old.key == key);
        } else {
            self.table.set(hash, Arc::new(entry), |old| old.key == key);
        }
    }
}

fn target(key: &Key, node: &Node) -> NodeTarget {
    let reach = eligible::node_reach(node);
    NodeTarget { labels: key.as_wire().into(), v4: reach.v4, v6: reach.v6 }
}

fn answers(key: &Key, node: &Node, ttl: u32) -> NodeAnswers {
    let host = eligible::node_reach(node).host.and_then(|host| Name::parse(host).ok());
    let texts = text_pairs(&node.meta).map(|pair| [&[pair.len() as u8], &pair[..]].concat().into()).collect();
    NodeAnswers { name: node.name.clone(), target: Arc::new(target(key, node)), host, texts, ttl }
}

/// The pairs of meta that are answered as TXT, as `key=value` with the key escaped (RFC 1464): not those whose keys
/// tell us or Consul something, nor those longer than a string of TXT can be.
pub fn text_pairs(meta: &Meta) -> impl Iterator<Item = Vec<u8>> {
    let told = |key: &str| !key.starts_with("dns-") && !key.starts_with("consul-");
    meta.iter().filter(move |(key, _)| told(key)).filter_map(|(key, value)| {
        let mut pair = escaped(key);
        pair.push(b'=');
        pair.extend_from_slice(value.as_bytes());
        (pair.len() <= 255).then_some(pair)
    })
}

/// RFC 1464 section 2.1: `=` and the grave accent in a name are quoted with a grave accent, and so are blanks at its ends.
fn escaped(key: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(key.len());
    let inner = key.trim_matches(|character| character == ' ' || character == '\t');
    let start = key.len() - key.trim_start_matches([' ', '\t']).len();
    for (at, byte) in key.bytes().enumerate() {
        let at_edge = at < start || at >= start + inner.len();
        if byte == b'=' || byte == b'`' || at_edge {
            out.push(b'`');
        }
        out.push(byte);
    }
    out
}
