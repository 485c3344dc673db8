//! The other machines of the cluster: what they tell of themselves, and which of them stand for all.

use std::{hash::Hasher as _, net::IpAddr, sync::Arc};

use siphasher::sip::SipHasher13;

use crate::catalog::{check::CheckKey, names::NodeName, node::Address};

/// A machine on which a nameplate runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// Its node.
    pub node: NodeName,
    /// The node's UUID.
    pub uuid: Arc<str>,
    /// The node's address.
    pub address: Address,
    /// Where it answers DNS.
    pub addresses: Arc<[IpAddr]>,
    /// Which nameplate it is.
    pub version: Arc<str>,
}

/// How high a machine ranks for something; the highest has it (rendezvous hashing).
///
/// All machines rank alike, whatever else they know, and one that goes or comes moves nothing between the others.
pub fn rank(node: &NodeName, thing: &[u8]) -> u64 {
    let mut hasher = SipHasher13::new();
    hasher.write(node.as_str().as_bytes());
    // No name has this byte, so that no two pairs are written alike.
    hasher.write(&[0]);
    hasher.write(thing);
    hasher.finish()
}

/// Whether a machine, and none of the others, runs a check: one of a node that is no machine's.
pub fn runs(own: &NodeName, others: &[Machine], check: &CheckKey) -> bool {
    let thing = [check.node.as_str().as_bytes(), &[0], check.id.as_str().as_bytes()].concat();
    let ours = (rank(own, &thing), own);
    let is_below = |other: &Machine| other.node != check.node && (rank(&other.node, &thing), &other.node) < ours;
    check.node != *own && others.iter().all(is_below)
}

#[cfg(test)]
#[path = "machines_tests.rs"]
mod tests;
