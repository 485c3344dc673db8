//! What stands between a domain and the rest of a name: the kind, and left of the domain a location.
//!
//! | location | means |
//! |---|---|
//! | nothing | here, the default port |
//! | our datacenter's label | here |
//! | `<dc>.dc`, `<port>.port`, each at most once, in any order | here; a named port |
//!
//! Anything else there is a name that does not exist.

use crate::{
    publish::snapshot::{GroupKind, Snapshot},
    wire::query::Question,
};

/// Where the kind is, or what stands in its place.
#[derive(Debug, Clone, Copy)]
pub enum Location {
    /// The kind is at this label; so is a named port's label, if the location has one.
    Kind {
        /// The kind.
        kind: Kind,
        /// Its label.
        at: usize,
        /// The label of the named port.
        port: Option<usize>,
    },
    /// A location that is not there.
    Nowhere,
    /// A name that only has names below it.
    Between,
    /// Neither location nor kind.
    Short,
}

/// What a name is a name of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A service.
    Service,
    /// A node.
    Node,
    /// An address.
    Addr,
    /// A prepared query.
    Query,
    /// One of Consul's kinds that we do not have.
    Foreign,
}

impl Kind {
    fn of(label: &[u8]) -> Option<Kind> {
        match label {
            b"service" => Some(Kind::Service),
            b"node" => Some(Kind::Node),
            b"addr" => Some(Kind::Addr),
            b"query" => Some(Kind::Query),
            b"connect" | b"ingress" | b"virtual" => Some(Kind::Foreign),
            _ => None,
        }
    }
}

/// Reads the labels left of the `first`-th, which is where the domain begins.
pub fn locate(snapshot: &Snapshot, question: &Question, first: usize) -> Location {
    let kind = (0..first).rev().find_map(|at| Some((at, Kind::of(question.label(at))?)));
    let stop = kind.map_or(0, |(at, _)| at + 1);
    let is_datacenter = |at: usize| question.labels(at, at + 1) == &*snapshot.plan.datacenter;
    let mut end = first;
    let (mut port, mut datacenter) = (None, false);
    if end == stop + 1 && is_datacenter(stop) {
        end = stop;
    }
    while end > stop {
        let last = end - 1;
        // A pair's own label is all that is left: without a kind there are names below it.
        let alone = last == stop && kind.is_none();
        match question.label(last) {
            b"dc" if !datacenter && alone => return Location::Between,
            b"dc" if !datacenter && last > stop && is_datacenter(last - 1) => datacenter = true,
            b"port" if port.is_none() && alone && snapshot.names.has_ports() => return Location::Between,
            b"port" if port.is_none() && last > stop => {
                if !snapshot.names.has_word(GroupKind::Port, question.labels(last - 1, last)) {
                    return short(question, first, is_datacenter(first - 1), kind);
                }
                port = Some(last - 1);
            }
            _ => return short(question, first, is_datacenter(first - 1), kind),
        }
        end -= 2;
    }
    match kind {
        Some((at, kind)) => Location::Kind { kind, at, port },
        // Nothing but a location.
        None => Location::Between,
    }
}

/// What is no location is a short name, if it has no kind and does not end as a location does.
fn short(question: &Question, first: usize, ends_in_datacenter: bool, kind: Option<(usize, Kind)>) -> Location {
    let last = question.label(first - 1);
    if kind.is_some() || ends_in_datacenter || matches!(last, b"dc" | b"port") {
        return Location::Nowhere;
    }
    Location::Short
}
