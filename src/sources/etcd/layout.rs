//! Under which keys what is shared lies in etcd: version 1 of the layout, which docs/etcd.md tells to others.
//!
//! | key | what lies there |
//! |---|---|
//! | `<prefix>/v1/nodes/<node>` | a node with its own checks |
//! | `<prefix>/v1/services/<node>/<service ID>` | an instance with its checks |
//! | `<prefix>/v1/kv/<key>` | what a client's key holds |
//! | `<prefix>/v1/sessions/<session ID>` | a session |
//! | `<prefix>/v1/session-ttls/<session ID>` | lies there as long as the session is renewed: it has a lease |
//! | `<prefix>/v1/lock-delays/<key>` | lies there as long as nobody can lock the key: it has a lease |
//! | `<prefix>/v1/events/<place>` | an event; the place is its number modulo 256 |
//! | `<prefix>/v1/queries/<query ID>` | a prepared query |
//! | `<prefix>/v1/policies/<policy ID>` | a policy |
//! | `<prefix>/v1/tokens/<accessor ID>` | a token with its secret |
//! | `<prefix>/v1/bootstrap/acl` | lies there since the first token was made |
//! | `<prefix>/v1/barriers/<node>` | written by a machine to hear of all that was done before |
//!
//! In a segment `/`, `%` and control characters are percent-encoded, and nothing else: so each node, instance and session has
//! exactly one key, and a key that is written otherwise is nobody's. A client's key stands there as it is, to its end, so that
//! what begins alike there begins alike here.

use crate::catalog::{
    names::{NodeName, ServiceId, Text},
    service::InstanceKey,
};

/// The keys below one prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// Ends in `/v1/`.
    root: String,
}

/// What a key stands for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// A node with its own checks.
    Node(NodeName),
    /// An instance with its checks.
    Instance(InstanceKey),
}

/// What the key of something stands for that is of no node.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kept {
    /// What a client's key holds.
    Key(Text),
    /// A session, by its ID.
    Session(Text),
    /// That a session is renewed, by its ID.
    SessionTtl(Text),
    /// That a client's key cannot be locked.
    LockDelay(Text),
    /// An event, by its place among those that are kept.
    Event(u8),
    /// A prepared query, by its ID.
    Query(Text),
    /// A policy, by its ID.
    Policy(Text),
    /// A token, by its accessor ID.
    Token(Text),
    /// That a first token was made.
    Bootstrap,
    /// What a machine writes to hear of all that was done before; by its node.
    Barrier(Text),
}

impl Place {
    /// The node that it is about.
    pub fn node(&self) -> &NodeName {
        match self {
            Place::Node(name) => name,
            Place::Instance(key) => &key.node,
        }
    }
}

impl Layout {
    /// The layout below a prefix such as `/nameplate`; slashes at its end say nothing.
    pub fn new(prefix: &str) -> Layout {
        Layout { root: format!("{}/v1/", prefix.trim_end_matches('/')) }
    }

    /// What all keys begin with.
    pub fn root(&self) -> &str {
        &self.root
    }

    /// The folders of what is mirrored. What else lies below the prefix is not of this part of the layout.
    pub fn folders(&self) -> [String; 2] {
        [NODES, SERVICES].map(|folder| format!("{}{folder}", self.root))
    }

    /// The folder of the instances of a node.
    pub fn instances_of(&self, node: &NodeName) -> String {
        format!("{}{SERVICES}{}/", self.root, encoded(node.as_str()))
    }

    /// The key of a node or an instance.
    pub fn key(&self, place: &Place) -> String {
        match place {
            Place::Node(name) => format!("{}{NODES}{}", self.root, encoded(name.as_str())),
            Place::Instance(key) => format!("{}{}", self.instances_of(&key.node), encoded(key.id.as_str())),
        }
    }

    /// What a key stands for; none if it is not one of these, or one that this layout writes otherwise.
    pub fn place(&self, key: &[u8]) -> Option<Place> {
        let key = std::str::from_utf8(key).ok()?;
        let rest = key.strip_prefix(&self.root)?;
        let place = match rest.strip_prefix(SERVICES) {
            Some(rest) => {
                let (node, id) = rest.split_once('/')?;
                let (node, id) = (NodeName::new(decoded(node)?).ok()?, ServiceId::new(decoded(id)?).ok()?);
                Place::Instance(InstanceKey { node, id })
            }
            None => Place::Node(NodeName::new(decoded(rest.strip_prefix(NODES)?)?).ok()?),
        };
        (self.key(&place) == key).then_some(place)
    }

    /// What the keys of all clients' keys begin with that begin so.
    pub fn keys_below(&self, prefix: &str) -> String {
        format!("{}{KEYS}{prefix}", self.root)
    }

    /// The folders of what is of no node: sessions, that these are renewed, lock delays, clients' keys, and prepared queries.
    pub fn kept_folders(&self) -> [String; 5] {
        [SESSIONS, SESSION_TTLS, LOCK_DELAYS, KEYS, QUERIES].map(|folder| format!("{}{folder}", self.root))
    }

    /// The folder of events.
    pub fn events(&self) -> String {
        format!("{}{EVENTS}", self.root)
    }

    /// The folder of prepared queries.
    pub fn queries(&self) -> String {
        format!("{}{QUERIES}", self.root)
    }

    /// The folder of policies.
    pub fn policies(&self) -> String {
        format!("{}{POLICIES}", self.root)
    }

    /// The folder of tokens.
    pub fn tokens(&self) -> String {
        format!("{}{TOKENS}", self.root)
    }

    /// The folders of access control: policies, tokens, and that a first token was made.
    pub fn access_folders(&self) -> [String; 3] {
        [POLICIES, TOKENS, BOOTSTRAP].map(|folder| format!("{}{folder}", self.root))
    }

    /// The key of something that is of no node.
    pub fn kept_key(&self, kept: &Kept) -> String {
        let root = &self.root;
        match kept {
            Kept::Key(key) => self.keys_below(key),
            Kept::Session(id) => format!("{root}{SESSIONS}{}", encoded(id)),
            Kept::SessionTtl(id) => format!("{root}{SESSION_TTLS}{}", encoded(id)),
            Kept::LockDelay(key) => format!("{root}{LOCK_DELAYS}{key}"),
            Kept::Event(place) => format!("{root}{EVENTS}{place}"),
            Kept::Query(id) => format!("{root}{QUERIES}{}", encoded(id)),
            Kept::Policy(id) => format!("{root}{POLICIES}{}", encoded(id)),
            Kept::Token(accessor_id) => format!("{root}{TOKENS}{}", encoded(accessor_id)),
            Kept::Bootstrap => format!("{root}{BOOTSTRAP}acl"),
            Kept::Barrier(node) => format!("{root}{BARRIERS}{}", encoded(node)),
        }
    }

    /// What a key stands for that is of no node; none if it is not one of these, or one that this layout writes otherwise.
    pub fn kept(&self, key: &[u8]) -> Option<Kept> {
        let key = std::str::from_utf8(key).ok()?;
        let (folder, rest) = key.strip_prefix(&self.root)?.split_at_checked(key[self.root.len()..].find('/')? + 1)?;
        if rest.is_empty() {
            return None;
        }
        let kept = match folder {
            KEYS => Kept::Key(Text::from(rest)),
            SESSIONS => Kept::Session(Text::from(decoded(rest)?)),
            SESSION_TTLS => Kept::SessionTtl(Text::from(decoded(rest)?)),
            LOCK_DELAYS => Kept::LockDelay(Text::from(rest)),
            EVENTS => Kept::Event(rest.parse().ok()?),
            QUERIES => Kept::Query(Text::from(decoded(rest)?)),
            POLICIES => Kept::Policy(Text::from(decoded(rest)?)),
            TOKENS => Kept::Token(Text::from(decoded(rest)?)),
            BOOTSTRAP => Kept::Bootstrap,
            BARRIERS => Kept::Barrier(Text::from(decoded(rest)?)),
            _ => return None,
        };
        (self.kept_key(&kept) == key).then_some(kept)
    }
}

fn encoded(segment: &str) -> String {
    let mut text = String::with_capacity(segment.len());
    for character in segment.chars() {
        match character {
            '/' | '%' => text.push_str(&format!("%{:02X}", u32::from(character))),
            _ if character.is_ascii_control() => text.push_str(&format!("%{:02X}", u32::from(character))),
            _ => text.push(character),
        }
    }
    text
}

fn decoded(segment: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            plain => plain,
        });
    }
    String::from_utf8(bytes).ok()
}

const NODES: &str = "nodes/";

const SERVICES: &str = "services/";

const KEYS: &str = "kv/";

const SESSIONS: &str = "sessions/";

const SESSION_TTLS: &str = "session-ttls/";

const LOCK_DELAYS: &str = "lock-delays/";

const EVENTS: &str = "events/";

const QUERIES: &str = "queries/";

const POLICIES: &str = "policies/";

const TOKENS: &str = "tokens/";

const BOOTSTRAP: &str = "bootstrap/";

const BARRIERS: &str = "barriers/";

#[cfg(test)]
#[path = "layout_tests.rs"]
mod tests;
