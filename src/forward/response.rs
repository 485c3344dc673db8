//! Reading a client's query, and writing the response to it from RRs of an [`Answer`]. Pure.
//!
//! The question is echoed byte for byte and an owner name equal to it points at it, so that a client
//! that compares bytes, or mixes letter case, finds its own spelling. What does not fit gives way in
//! this order: the extended error's text, the extended error, RRsets of the additional section from the end,
//! RRsets of a positive answer's authority section (unless the client wants DNSSEC: they may be its
//! proof), and then, with TC=1, whole RRs.
//!
//! **Limits:** names in RDATA are compressed in the types of RFC 1035 only (RFC 3597 section 4).
//!
//! **Source:** RFC 1035 section 4, RFC 6891, RFC 8914, DNS.md.

use std::collections::HashMap;

use super::{
    answer::{Answer, CNAME, Rr, SOA},
    cache::ExtendedError,
};
use crate::wire::{name::Name, query::skip_name};

/// What of a client's query matters to the response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ClientQuery<'a> {
    id: [u8; 2],
    recursion_desired: bool,
    pub(super) checking_disabled: bool,
    question: &'a [u8],
    pub(super) name: Name,
    pub(super) rtype: u16,
    pub(super) class: u16,
    /// What its OPT says, if it has one.
    pub(super) edns: Option<ClientEdns<'a>>,
}

/// What of a query's OPT matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ClientEdns<'a> {
    pub(super) dnssec_ok: bool,
    /// The option that tells the client's network, without code and length.
    subnet: Option<&'a [u8]>,
}

/// What the response says.
pub(super) struct Content<'a> {
    pub(super) rcode: u8,
    /// None has empty sections.
    pub(super) answer: Option<&'a Answer>,
    pub(super) ageing: Ageing,
    pub(super) extended_error: Option<&'a ExtendedError>,
}

/// How TTLs are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ageing {
    /// Less so many seconds.
    Less(u32),
    /// All the same, in seconds: the answer has expired.
    Fixed(u32),
}

/// How large the response may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    /// In bytes.
    pub(super) limit: usize,
    /// Whether what does not fit can be asked for over TCP, and TC=1 says so.
    pub(super) may_truncate: bool,
}

impl Ageing {
    /// The TTL to give for an RR that came with `ttl_secs`.
    pub(super) fn ttl_secs(self, ttl_secs: u32) -> u32 {
        match self {
            Ageing::Less(secs) => ttl_secs.saturating_sub(secs),
            Ageing::Fixed(secs) => secs,
        }
    }
}

impl<'a> ClientQuery<'a> {
    /// Reads a query that has one question with an uncompressed name; none if it has not.
    pub(super) fn read(message: &'a [u8]) -> Option<ClientQuery<'a>> {
        let header = message.first_chunk::<HEADER_BYTES>()?;
        let name_end = skip_name(message, HEADER_BYTES)?;
        let question = message.get(HEADER_BYTES..name_end + 4)?;
        let fixed = question.last_chunk::<4>()?;
        Some(ClientQuery {
            id: [header[0], header[1]],
            recursion_desired: header[2] & RD != 0,
            checking_disabled: header[3] & CD != 0,
            question,
            name: Name::from_wire(message.get(HEADER_BYTES..name_end)?).ok()?,
            rtype: u16::from_be_bytes([fixed[0], fixed[1]]),
            class: u16::from_be_bytes([fixed[2], fixed[3]]),
            edns: find_opt(message, name_end + 4),
        })
    }
}

/// The first OPT at or after `at`.
fn find_opt(message: &[u8], mut at: usize) -> Option<ClientEdns<'_>> {
    let count = |place: usize| usize::from(u16::from_be_bytes([message[place], message[place + 1]]));
    for _ in 0..count(6) + count(8) + count(10) {
        let end = skip_name(message, at)?;
        let fixed = message.get(end..end + RR_FIXED_BYTES)?;
        at = end + RR_FIXED_BYTES + usize::from(u16::from_be_bytes([fixed[8], fixed[9]]));
        if u16::from_be_bytes([fixed[0], fixed[1]]) == OPT {
            let options = message.get(end + RR_FIXED_BYTES..at).unwrap_or_default();
            return Some(ClientEdns { dnssec_ok: fixed[6] & DO != 0, subnet: find_subnet(options) });
        }
    }
    None
}

fn find_subnet(mut options: &[u8]) -> Option<&[u8]> {
    while let Some((head, rest)) = options.split_first_chunk::<OPTION_HEAD_BYTES>() {
        let (data, rest) = rest.split_at_checked(u16::from_be_bytes([head[2], head[3]]).into())?;
        if u16::from_be_bytes([head[0], head[1]]) == CLIENT_SUBNET {
            return (SUBNET_FIXED_BYTES..=SUBNET_MAX_BYTES).contains(&data.len()).then_some(data);
        }
        options = rest;
    }
    None
}

/// The response to a query that could not be read: FORMERR, no question.
pub(super) fn write_format_error(message: &[u8]) -> Vec<u8> {
    let byte = |at: usize| message.get(at).copied().unwrap_or(0);
    let mut response = vec![byte(0), byte(1), QR | byte(2) & (OPCODE | RD), RA | byte(3) & CD | FORMERR];
    response.resize(HEADER_BYTES, 0);
    response
}

/// Writes the response.
pub(super) fn write(query: &ClientQuery<'_>, content: &Content<'_>, room: Room) -> Vec<u8> {
    let opt = query.edns.as_ref().map(write_opt);
    let opt_bytes = opt.as_ref().map_or(0, Vec::len);
    let mut writer = Writer::new(query, content.ageing, room.limit.saturating_sub(opt_bytes));
    let mut counts = [0u16; 3];
    let mut complete = true;
    if let Some(answer) = content.answer {
        (counts[0], complete) = writer.section(&answer.answers, Overflow::WholeRrs);
        let proof = answer.answers.is_empty() || query.edns.is_some_and(|edns| edns.dnssec_ok);
        if complete {
            let overflow = if proof { Overflow::WholeRrs } else { Overflow::WholeRrsets };
            (counts[1], complete) = writer.section(&answer.authorities, overflow);
            complete |= !proof;
        }
        if complete {
            (counts[2], _) = writer.section(&answer.additionals, Overflow::WholeRrsets);
        }
    }
    let truncated = if complete || !room.may_truncate { 0 } else { TC };
    let rd = if query.recursion_desired { RD } else { 0 };
    let cd = if query.checking_disabled { CD } else { 0 };
    let mut response = writer.message;
    if let Some(mut opt) = opt {
        counts[2] += 1;
        if let Some(error) = content.extended_error {
            add_extended_error(&mut opt, error, room.limit.saturating_sub(response.len()));
        }
        response.append(&mut opt);
    }
    response[..2].copy_from_slice(&query.id);
    response[2] = QR | truncated | rd;
    response[3] = RA | cd | content.rcode & 0x0f;
    response[5] = 1;
    for (section, count) in counts.iter().enumerate() {
        response[6 + 2 * section..8 + 2 * section].copy_from_slice(&count.to_be_bytes());
    }
    response
}

/// Our OPT: DO echoed, the client's network echoed with scope 0 because no answer depends on it.
fn write_opt(edns: &ClientEdns<'_>) -> Vec<u8> {
    let mut opt = vec![0];
    opt.extend_from_slice(&OPT.to_be_bytes());
    opt.extend_from_slice(&PAYLOAD_BYTES.to_be_bytes());
    opt.extend_from_slice(&[0, 0, if edns.dnssec_ok { DO } else { 0 }, 0, 0, 0]);
    if let Some(subnet) = edns.subnet {
        let mut subnet = subnet.to_vec();
        subnet[SUBNET_FIXED_BYTES - 1] = 0;
        add_option(&mut opt, CLIENT_SUBNET, &subnet);
    }
    opt
}

/// Adds the extended error, or it without its text, or nothing, as there is room for OPT in all.
fn add_extended_error(opt: &mut Vec<u8>, error: &ExtendedError, room: usize) {
    let code = error.code.to_be_bytes();
    let Some(room_for_text) = room.checked_sub(opt.len() + OPTION_HEAD_BYTES + code.len()) else {
        return;
    };
    let text = if error.text.len() <= room_for_text { error.text } else { "" };
    add_option(opt, EXTENDED_ERROR, &[&code, text.as_bytes()].concat());
}

fn add_option(opt: &mut Vec<u8>, code: u16, data: &[u8]) {
    opt.extend_from_slice(&code.to_be_bytes());
    opt.extend_from_slice(&(data.len() as u16).to_be_bytes());
    opt.extend_from_slice(data);
    let length = (opt.len() - OPT_BYTES) as u16;
    opt[OPT_BYTES - 2..OPT_BYTES].copy_from_slice(&length.to_be_bytes());
}

/// What is left out of a section that does not fit.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Overflow {
    WholeRrs,
    WholeRrsets,
}

struct Writer<'a> {
    message: Vec<u8>,
    limit: usize,
    ageing: Ageing,
    question: &'a Name,
    /// Where each name suffix, letter case included, was first written.
    written: HashMap<Vec<u8>, u16>,
}

impl<'a> Writer<'a> {
    fn new(query: &'a ClientQuery<'_>, ageing: Ageing, limit: usize) -> Writer<'a> {
        let mut message = Vec::with_capacity(limit.min(USUAL_BYTES));
        message.resize(HEADER_BYTES, 0);
        let mut writer = Writer { message, limit, ageing, question: &query.name, written: HashMap::new() };
        writer.name(query.name.as_wire());
        writer.message.extend_from_slice(&query.question[query.question.len() - 4..]);
        writer
    }

    /// Writes as much as fits; how many RRs that is, and whether it is all.
    fn section(&mut self, rrs: &[Rr], overflow: Overflow) -> (u16, bool) {
        let mut rrset_start = (self.message.len(), 0u16);
        for (index, rr) in rrs.iter().enumerate() {
            let start = self.message.len();
            let same = index > 0 && rrs[index - 1].rtype == rr.rtype && rrs[index - 1].owner == rr.owner;
            if !same {
                rrset_start = (start, index as u16);
            }
            self.record(rr);
            if self.message.len() > self.limit || index >= usize::from(u16::MAX - 1) {
                let (end, count) = if overflow == Overflow::WholeRrs { (start, index as u16) } else { rrset_start };
                self.message.truncate(end);
                self.written.retain(|_, place| usize::from(*place) < end);
                return (count, false);
            }
        }
        (rrs.len() as u16, true)
    }

    fn record(&mut self, rr: &Rr) {
        if rr.owner == *self.question {
            self.message.extend_from_slice(&(POINTER | HEADER_BYTES as u16).to_be_bytes());
        } else {
            self.name(rr.owner.as_wire());
        }
        let ttl_secs = self.ageing.ttl_secs(rr.ttl_secs);
        self.message.extend_from_slice(&rr.rtype.to_be_bytes());
        self.message.extend_from_slice(&rr.class.to_be_bytes());
        self.message.extend_from_slice(&ttl_secs.to_be_bytes());
        let start = self.message.len();
        self.message.extend_from_slice(&[0, 0]);
        self.rdata(rr);
        let length = (self.message.len() - start - 2) as u16;
        self.message[start..start + 2].copy_from_slice(&length.to_be_bytes());
    }

    fn rdata(&mut self, rr: &Rr) {
        let (before, names) = match rr.rtype {
            NS | CNAME | PTR => (0, 1),
            MX => (2, 1),
            SOA => (0, 2),
            _ => (rr.rdata.len(), 0),
        };
        let mut at = before.min(rr.rdata.len());
        self.message.extend_from_slice(&rr.rdata[..at]);
        for _ in 0..names {
            match skip_name(&rr.rdata, at) {
                Some(end) if end <= rr.rdata.len() => {
                    self.name(&rr.rdata[at..end]);
                    at = end;
                }
                _ => break,
            }
        }
        self.message.extend_from_slice(&rr.rdata[at..]);
    }

    /// Writes a name in wire form, its longest suffix that is there already as a pointer.
    fn name(&mut self, wire: &[u8]) {
        let mut at = 0;
        while at < wire.len() && wire[at] != 0 {
            let suffix = &wire[at..];
            if let Some(place) = self.written.get(suffix) {
                self.message.extend_from_slice(&(POINTER | place).to_be_bytes());
                return;
            }
            if self.message.len() < usize::from(POINTABLE_BYTES) {
                self.written.insert(suffix.to_vec(), self.message.len() as u16);
            }
            let next = (at + 1 + usize::from(wire[at])).min(wire.len());
            self.message.extend_from_slice(&wire[at..next]);
            at = next;
        }
        self.message.push(0);
    }
}

/// RCODE of a format error. Source: RFC 1035 section 4.1.1.
const FORMERR: u8 = 1;
/// RCODE of a server failure. Source: RFC 1035 section 4.1.1.
pub(super) const SERVFAIL: u8 = 2;
/// RCODE of a refusal. Source: RFC 1035 section 4.1.1.
pub(super) const REFUSED: u8 = 5;

/// Header flags, third and fourth byte. Source: RFC 1035 section 4.1.1, RFC 4035 section 3.2.2 (CD).
const QR: u8 = 0x80;
const OPCODE: u8 = 0x78;
const TC: u8 = 0x02;
const RD: u8 = 0x01;
const RA: u8 = 0x80;
const CD: u8 = 0x10;

/// The DO bit, in the third byte of an OPT's TTL. Source: RFC 3225 section 3.
const DO: u8 = 0x80;

/// RR types. Source: RFC 1035 section 3.2.2, RFC 6891.
const NS: u16 = 2;
const PTR: u16 = 12;
const MX: u16 = 15;
const OPT: u16 = 41;

/// Source: RFC 1035 section 4.1.1.
const HEADER_BYTES: usize = 12;

/// Type, class, TTL and RDLENGTH. Source: RFC 1035 section 3.2.1.
const RR_FIXED_BYTES: usize = 10;

/// An OPT without options: root, and what every RR has. Source: RFC 6891 section 6.1.2.
const OPT_BYTES: usize = 1 + RR_FIXED_BYTES;

/// Option code of an extended error. Source: RFC 8914 section 2.
const EXTENDED_ERROR: u16 = 15;

/// Option code of a client's network, its fixed part, and its length with a whole IPv6 address. Source: RFC 7871
/// section 6.
const CLIENT_SUBNET: u16 = 8;
const SUBNET_FIXED_BYTES: usize = 4;
const SUBNET_MAX_BYTES: usize = SUBNET_FIXED_BYTES + 16;

/// Code and length of an option. Source: RFC 6891 section 6.1.2.
const OPTION_HEAD_BYTES: usize = 4;

/// The payload size that our OPT offers. Source: DNS.md, "Order, number, size".
pub(super) const PAYLOAD_BYTES: u16 = 1232;

/// A compression pointer, and the first offset that it can't reach. Source: RFC 1035 section 4.1.4.
const POINTER: u16 = 0xc000;
const POINTABLE_BYTES: u16 = 0x4000;

/// What is set aside at first. Source: none, chosen: nearly all responses are smaller.
const USUAL_BYTES: usize = 1232;

#[cfg(test)]
#[path = "response_tests.rs"]
mod tests;
