//! Bringing what a batch of queries will need into the cache.
//!
//! An answer about one of very many services waits for memory: for the name's hash, the entry behind it, its members. Each
//! of these reads needs the one before, but the queries of a batch do not need each other. So the names of a whole batch
//! are looked up step by step together, before they are answered one by one.
//!
//! It is a guess, and nothing depends on it: a name that is read wrongly here is only answered more slowly.

use crate::{
    publish::snapshot::{FOUND_TOGETHER_MAX, Seed, Snapshot, Trail},
    wire::{code::rtype, name::LABEL_MAX_BYTES, query::HEADER_BYTES},
};

use super::{order::Random, services::with_length};

/// Guesses what these queries, at most [`FOUND_TOGETHER_MAX`], will be answered from, and has it brought into the cache.
/// Each comes with the random number that its [`Client`](super::Client) will have; what that is to have besides is returned.
pub fn warm<'m>(snapshot: &Snapshot, messages: impl Iterator<Item = (&'m [u8], u64)>) -> [Trail; FOUND_TOGETHER_MAX] {
    let seed = snapshot.names.seed();
    let (mut hashes, mut asks_srv) = ([0; FOUND_TOGETHER_MAX], [false; FOUND_TOGETHER_MAX]);
    let (mut randoms, mut count) = ([0; FOUND_TOGETHER_MAX], 0);
    for (message, random) in messages.take(FOUND_TOGETHER_MAX) {
        // One that cannot be guessed has its place too.
        let (hash, srv) = guess(seed, message).unwrap_or_default();
        (hashes[count], asks_srv[count], randoms[count]) = (hash, srv, random);
        count += 1;
    }
    // Where a run of addresses begins is the first thing that is drawn.
    let start = |at: usize, members: usize| Random(randoms[at]).below(members as u64) as usize;
    snapshot.names.touch(&hashes[..count], &asks_srv[..count], start)
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
