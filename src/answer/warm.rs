//! Bringing what a batch of queries will need into the cache.
//!
//! An answer about one of very many services waits for memory: for the name's hash, the entry behind it, its members. Each
//! of these reads needs the one before, but the queries of a batch do not need each other. So the names of a whole batch
//! are looked up step by step together, before they are answered one by one.
//!
//! It is a guess, and nothing depends on it: a name that is read wrongly here is only answered more slowly.

use crate::{
    publish::snapshot::{FOUND_TOGETHER_MAX, Seed, Snapshot},
    wire::{code::rtype, name::LABEL_MAX_BYTES, query::HEADER_BYTES},
};

use super::services::with_length;

/// Guesses what these queries, at most [`FOUND_TOGETHER_MAX`], will be answered from, and has it brought into the cache.
pub fn warm<'m>(snapshot: &Snapshot, messages: impl Iterator<Item = &'m [u8]>) {
    let seed = snapshot.names.seed();
    let (mut hashes, mut asks_srv, mut count) = ([0; FOUND_TOGETHER_MAX], [false; FOUND_TOGETHER_MAX], 0);
    for (hash, srv) in messages.filter_map(|message| guess(seed, message)).take(FOUND_TOGETHER_MAX) {
        (hashes[count], asks_srv[count]) = (hash, srv);
        count += 1;
    }
    snapshot.names.touch(&hashes[..count], &asks_srv[..count]);
}

/// The hash of the service's name that is probably asked for, and whether for SRV: the label left of `service`, or the
/// first one; in an RFC 2782 form the first one without its `_`.
fn guess(seed: Seed, message: &[u8]) -> Option<(u32, bool)> {
    let mut rest = message.get(HEADER_BYTES..)?;
    let (mut first, mut service, mut last) = (None, None, &[][..]);
    while let [length @ 1..=63, after @ ..] = rest {
        let (label, after) = after.split_at_checked(usize::from(*length))?;
        if service.is_none() && !last.is_empty() && label.eq_ignore_ascii_case(b"service") {
            service = Some(last);
        }
        first.get_or_insert(label);
        (last, rest) = (label, after);
    }
    let [0, qtype_high, qtype_low, ..] = rest else { return None };
    let srv = u16::from_be_bytes([*qtype_high, *qtype_low]) == rtype::SRV;
    let (first, mut label) = (first?, service.or(first)?);
    if label.first() == Some(&b'_') {
        label = first.strip_prefix(b"_").unwrap_or(first);
    }
    let mut buffer = [0; LABEL_MAX_BYTES + 1];
    with_length(label, &mut buffer);
    let key = &mut buffer[..=label.len()];
    key.make_ascii_lowercase();
    Some((seed.hash(&key[..]), srv))
}

#[cfg(test)]
#[path = "warm_tests.rs"]
mod tests;
