//! The few things that a transport reads in a message: what to count of a response, why a query was dropped, and the
//! edns-tcp-keepalive option.
//!
//! **Limits:** reads what is there and never fails; a message that can't be read has no such thing. The keepalive option
//! is added only where the OPT is the last record, as it is in every response of ours.
//!
//! **Source:** RFC 1035 section 4.1, RFC 6891, RFC 7828.

use std::time::Duration;

use crate::{answer::Client, observe::dns::DropReason, wire::query::skip_name};

/// What is counted of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// QTYPE; 0 if the question could not be read.
    pub qtype: u16,
    /// RCODE, with the extended bits of a response that is only a question and an OPT.
    pub rcode: u16,
    /// Records in the answer section.
    pub answers: u16,
    /// Where QNAME ends; 12 if there is no question.
    pub qname_end: usize,
}

impl Facts {
    /// Reads them from a response.
    pub fn of(response: &[u8]) -> Facts {
        let word = |at: usize| response.get(at..at + 2).map_or(0, |bytes| u16::from_be_bytes([bytes[0], bytes[1]]));
        let rcode = word(2) & 0x0f;
        let none = Facts { qtype: 0, rcode, answers: word(6), qname_end: HEADER_BYTES };
        if word(4) != 1 {
            return none;
        }
        let Some(qname_end) = skip_name(response, HEADER_BYTES) else { return none };
        let facts = Facts { qtype: word(qname_end), qname_end, ..none };
        // BADVERS is the one extended RCODE that we send, and it comes with no record but the OPT.
        let opt = qname_end + 4;
        let only_opt = word(6) == 0 && word(8) == 0 && word(10) == 1;
        if only_opt && response.get(opt) == Some(&0) && word(opt + 1) == TYPE_OPT {
            let high = response.get(opt + 5).copied().unwrap_or(0);
            return Facts { rcode: u16::from(high) << 4 | rcode, ..facts };
        }
        facts
    }
}

/// Why the engine dropped this message.
pub fn drop_reason(message: &[u8], client: &Client) -> DropReason {
    if message.len() < HEADER_BYTES || message[2] & 0x80 != 0 {
        DropReason::NotAQuery
    } else if client.port == 0 || client.own_listener {
        DropReason::Source
    } else {
        DropReason::NotAQuery
    }
}

/// Whether the query carries the edns-tcp-keepalive option.
pub fn asks_keepalive(query: &[u8]) -> bool {
    let Some(opt) = find_opt(query) else { return false };
    let mut options = &query[opt.data..opt.end];
    while let [code_high, code_low, length_high, length_low, rest @ ..] = options {
        if u16::from_be_bytes([*code_high, *code_low]) == OPTION_KEEPALIVE {
            return true;
        }
        let length = usize::from(u16::from_be_bytes([*length_high, *length_low]));
        let Some(rest) = rest.get(length..) else { return false };
        options = rest;
    }
    false
}

/// Adds the edns-tcp-keepalive option to the response that `out` ends with, which begins at `start`. Nothing is added
/// if it has no OPT, or the response would grow over 65,535 bytes.
pub fn add_keepalive(out: &mut Vec<u8>, start: usize, idle: Duration) {
    let Some(opt) = find_opt(&out[start..]) else { return };
    let length = out.len() - start;
    if opt.end != length || length + KEEPALIVE_BYTES > usize::from(u16::MAX) {
        return;
    }
    let Ok(data_length) = u16::try_from(opt.end - opt.data + KEEPALIVE_BYTES) else { return };
    // In units of 100 ms (RFC 7828 section 3.1).
    let units = u16::try_from(idle.as_millis() / 100).unwrap_or(u16::MAX);
    out[start + opt.data - 2..start + opt.data].copy_from_slice(&data_length.to_be_bytes());
    for word in [OPTION_KEEPALIVE, 2, units] {
        out.extend_from_slice(&word.to_be_bytes());
    }
}

/// Where the RDATA of an OPT begins and ends.
struct Opt {
    data: usize,
    end: usize,
}

fn find_opt(message: &[u8]) -> Option<Opt> {
    let word = |at: usize| message.get(at..at + 2).map(|bytes| usize::from(u16::from_be_bytes([bytes[0], bytes[1]])));
    let mut at = HEADER_BYTES;
    for _ in 0..word(4)? {
        at = skip_name(message, at)? + 4;
    }
    let before = word(6)? + word(8)?;
    for record in 0..before + word(10)? {
        let fixed = skip_name(message, at)?;
        let data = fixed + 10;
        let end = data + word(fixed + 8)?;
        if end > message.len() {
            return None;
        }
        if record >= before && word(fixed)? == usize::from(TYPE_OPT) {
            return Some(Opt { data, end });
        }
        at = end;
    }
    None
}

/// Length of the header. Source: RFC 1035 section 4.1.1.
pub const HEADER_BYTES: usize = 12;

/// Source: RFC 6891 section 6.1.1.
const TYPE_OPT: u16 = 41;

/// Source: RFC 7828 section 3.1.
const OPTION_KEEPALIVE: u16 = 11;

/// Code, length and a timeout of two bytes. Source: RFC 7828 section 3.1.
const KEEPALIVE_BYTES: usize = 6;

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;
