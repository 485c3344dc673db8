//! Writing a response over the query it answers: header and question stay where they are, records follow.
//!
//! A record that does not fit is not written, and the writer says so; nothing is ever cut afterwards. Room for the
//! OPT record is kept free from the start, because it stays whatever else gives way.
//!
//! **Source:** RFC 1035 section 4.1, RFC 6891 section 6.1.2, RFC 8914 section 2.

use super::{
    code::{class, option, rtype},
    query::{Edns, HEADER_BYTES, Header},
};

/// A section of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// Answer.
    Answer,
    /// Authority.
    Authority,
    /// Additional.
    Additional,
}

/// The record did not fit; nothing of it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

/// Header bits that a responder chooses; RD and CD are the query's.
#[derive(Debug, Clone, Copy, Default)]
pub struct Flags {
    /// AA.
    pub authoritative: bool,
    /// TC.
    pub truncated: bool,
    /// RA.
    pub recursion_available: bool,
}

/// An extended error.
#[derive(Debug, Clone, Copy, Default)]
pub struct ExtendedError<'a> {
    /// Its code.
    pub code: u16,
    /// Its text; cut to [`TEXT_MAX_BYTES`], left out first.
    pub text: &'a str,
}

/// Writes one response.
#[derive(Debug)]
pub struct Writer<'a> {
    message: &'a mut [u8],
    at: usize,
    limit: usize,
    counts: [u16; 3],
    section: Section,
    opt_bytes: usize,
    identifier: &'a [u8],
}

impl<'a> Writer<'a> {
    /// Begins after the question, which ends at `start` (or after the header, if it is not echoed). The response
    /// will not exceed `limit` bytes, nor the buffer.
    pub fn new(message: &'a mut [u8], start: usize, limit: usize, edns: Option<&Edns>) -> Writer<'a> {
        let opt_bytes =
            edns.map_or(0, |edns| OPT_BYTES + edns.client_subnet().map_or(0, |subnet| OPTION_BYTES + subnet.len()));
        let limit = limit.min(message.len());
        Writer { message, at: start, limit, counts: [0; 3], section: Section::Answer, opt_bytes, identifier: &[] }
    }

    /// Tells the server's identifier to who asks for it (RFC 5001), where there is room; cut to
    /// [`IDENTIFIER_MAX_BYTES`].
    pub fn identify(mut self, identifier: &'a [u8]) -> Writer<'a> {
        self.identifier = &identifier[..identifier.len().min(IDENTIFIER_MAX_BYTES)];
        self
    }

    /// Where the next record begins.
    pub fn position(&self) -> usize {
        self.at
    }

    /// How many bytes of records still fit.
    pub fn room(&self) -> usize {
        self.limit.saturating_sub(self.at + self.opt_bytes)
    }

    /// Records written to a section so far.
    pub fn count(&self, section: Section) -> u16 {
        self.counts[section as usize]
    }

    /// Goes on with a later section.
    pub fn begin(&mut self, section: Section) {
        self.section = section;
    }

    /// What was written so far.
    pub fn written(&self) -> &[u8] {
        &self.message[..self.at]
    }

    /// A place to go back to, should what follows not fit as a whole.
    pub fn mark(&self) -> Mark {
        Mark { at: self.at, counts: self.counts }
    }

    /// Takes back what was written since.
    pub fn back_to(&mut self, mark: Mark) {
        self.at = mark.at;
        self.counts = mark.counts;
    }

    /// Writes a record whose owner is a pointer to `owner`, an offset below 16,384, with RDATA in these pieces.
    pub fn record(&mut self, owner: usize, fixed: Fixed, rdata: &[&[u8]]) -> Result<(), Full> {
        debug_assert!(owner < POINTER_MAX);
        self.record_with_owner(&(0xc000 | owner as u16).to_be_bytes(), fixed, rdata)
    }

    /// Writes a record whose owner is spelled out (or ends in a pointer).
    #[inline]
    pub fn record_with_owner(&mut self, owner: &[u8], fixed: Fixed, rdata: &[&[u8]]) -> Result<(), Full> {
        let length: usize = rdata.iter().map(|piece| piece.len()).sum();
        let total = owner.len() + FIXED_BYTES + length;
        if total > self.room() {
            return Err(Full);
        }
        let out = &mut self.message[self.at..self.at + total];
        let (head, mut tail) = out.split_at_mut(owner.len() + FIXED_BYTES);
        head[..owner.len()].copy_from_slice(owner);
        head[owner.len()..].copy_from_slice(&fixed.bytes(length as u16));
        for piece in rdata {
            let (here, rest) = tail.split_at_mut(piece.len());
            here.copy_from_slice(piece);
            tail = rest;
        }
        self.at += total;
        self.counts[self.section as usize] += 1;
        Ok(())
    }

    /// Writes the record of an address, whose owner is a pointer to `owner`.
    #[inline]
    pub fn address<const N: usize>(&mut self, owner: usize, ttl: u32, address: &[u8; N]) -> Result<(), Full> {
        if self.addresses(owner, ttl, std::iter::once(address)) == 1 { Ok(()) } else { Err(Full) }
    }

    /// Writes the records of addresses with the same owner, a pointer to `owner`: the shape that most answers have.
    /// Returns how many fitted.
    #[inline]
    pub fn addresses<'r, const N: usize>(
        &mut self,
        owner: usize,
        ttl: u32,
        addresses: impl Iterator<Item = &'r [u8; N]>,
    ) -> usize {
        let kind = if N == 4 { rtype::A } else { rtype::AAAA };
        let mut head = [0; 2 + FIXED_BYTES];
        head[..2].copy_from_slice(&(0xc000 | owner as u16).to_be_bytes());
        head[2..].copy_from_slice(&Fixed { kind, class: class::IN, ttl }.bytes(N as u16));
        let room = self.room();
        let mut count = 0;
        for (out, address) in self.message[self.at..self.at + room].chunks_exact_mut(head.len() + N).zip(addresses) {
            let (start, end) = out.split_at_mut(head.len());
            start.copy_from_slice(&head);
            end.copy_from_slice(address);
            count += 1;
        }
        self.at += count * (head.len() + N);
        self.counts[self.section as usize] += count as u16;
        count
    }

    /// Writes an SRV record (RFC 2782), whose owner is a pointer to `owner`, of priority, weight and port, and with a
    /// target in two pieces.
    #[inline]
    pub fn srv(&mut self, owner: usize, ttl: u32, numbers: [u16; 3], target: [&[u8]; 2]) -> Result<(), Full> {
        let [label, rest] = target;
        let head = 2 + FIXED_BYTES + SRV_NUMBERS_BYTES;
        let total = head + label.len() + rest.len();
        if total > self.room() {
            return Err(Full);
        }
        let fixed = Fixed { kind: rtype::SRV, class: class::IN, ttl };
        let out = &mut self.message[self.at..self.at + total];
        out[..2].copy_from_slice(&(0xc000 | owner as u16).to_be_bytes());
        out[2..2 + FIXED_BYTES].copy_from_slice(&fixed.bytes((total - 2 - FIXED_BYTES) as u16));
        for (number, at) in numbers.into_iter().zip([12, 14, 16]) {
            out[at..at + 2].copy_from_slice(&number.to_be_bytes());
        }
        // Most targets begin with an IPv4 address in hex: nine bytes, which need no call to be copied.
        match <&[u8; 9]>::try_from(label) {
            Ok(nine) => out[head..head + 9].copy_from_slice(nine),
            Err(_) => out[head..head + label.len()].copy_from_slice(label),
        }
        out[head + label.len()..].copy_from_slice(rest);
        self.at += total;
        self.counts[self.section as usize] += 1;
        Ok(())
    }

    /// Writes OPT and header, and returns the length of the response. `rcode` has up to 12 bits.
    pub fn finish(
        &mut self,
        header: Header,
        flags: Flags,
        rcode: u16,
        edns: Option<(&Edns, Option<ExtendedError<'_>>)>,
    ) -> usize {
        if let Some((edns, error)) = edns {
            self.opt(edns, rcode, error);
        }
        let bit = |set: bool, value: u8| if set { value } else { 0 };
        let message = &mut *self.message;
        message[2] = bit(true, 0x80)
            | header.opcode << 3
            | bit(flags.authoritative, 0x04)
            | bit(flags.truncated, 0x02)
            | bit(header.recursion_desired, 0x01);
        message[3] = bit(flags.recursion_available, 0x80) | bit(header.checking_disabled, 0x10) | (rcode & 0x0f) as u8;
        for (at, count) in [6, 8, 10].into_iter().zip(self.counts) {
            message[at..at + 2].copy_from_slice(&count.to_be_bytes());
        }
        self.at
    }

    fn opt(&mut self, edns: &Edns, rcode: u16, error: Option<ExtendedError<'_>>) {
        let subnet = edns.client_subnet();
        let base = self.opt_bytes;
        // The text of an extended error gives way first, then the identifier, then the error.
        let mut spare = self.limit.saturating_sub(self.at + base);
        let mut takes = |bytes: usize| {
            let fits = bytes <= spare;
            spare -= if fits { bytes } else { 0 };
            fits
        };
        let error = error.filter(|_| takes(OPTION_BYTES + 2));
        let asked = Some(self.identifier).filter(|identifier| edns.nsid && !identifier.is_empty());
        let identifier = asked.filter(|identifier| takes(OPTION_BYTES + identifier.len()));
        let error = error.map(|error| {
            let text = &error.text[..floor_char_boundary(error.text, TEXT_MAX_BYTES)];
            (error.code, if takes(text.len()) { text } else { "" })
        });
        let ttl = u32::from(rcode >> 4) << 24 | if edns.dnssec_ok { 0x8000 } else { 0 };
        let fixed = Fixed { kind: rtype::OPT, class: PAYLOAD_BYTES, ttl };
        self.section = Section::Additional;
        self.opt_bytes = 0;
        if subnet.is_none() && identifier.is_none() && error.is_none() {
            let _ = self.record_with_owner(&[0], fixed, &[]);
            return;
        }
        let mut data = [0u8; OPT_DATA_MAX];
        let mut length = 0;
        let mut put = |bytes: &[u8]| {
            data[length..length + bytes.len()].copy_from_slice(bytes);
            length += bytes.len();
        };
        if let Some(subnet) = subnet {
            put(&option::ECS.to_be_bytes());
            put(&(subnet.len() as u16).to_be_bytes());
            put(subnet);
        }
        if let Some(identifier) = identifier {
            put(&option::NSID.to_be_bytes());
            put(&(identifier.len() as u16).to_be_bytes());
            put(identifier);
        }
        if let Some((code, text)) = error {
            put(&option::EXTENDED_ERROR.to_be_bytes());
            put(&(2 + text.len() as u16).to_be_bytes());
            put(&code.to_be_bytes());
            put(text.as_bytes());
        }
        // It always fits where a response has room for anything: its room was kept free.
        let _ = self.record_with_owner(&[0], fixed, &[&data[..length]]);
    }
}

/// Type, class and TTL of a record.
#[derive(Debug, Clone, Copy)]
pub struct Fixed {
    /// TYPE.
    pub kind: u16,
    /// CLASS.
    pub class: u16,
    /// TTL in seconds.
    pub ttl: u32,
}

impl Fixed {
    /// A record of class IN.
    pub fn new(kind: u16, ttl: u32) -> Fixed {
        Fixed { kind, class: class::IN, ttl }
    }

    #[inline]
    fn bytes(self, length: u16) -> [u8; FIXED_BYTES] {
        let [k0, k1] = self.kind.to_be_bytes();
        let [c0, c1] = self.class.to_be_bytes();
        let [t0, t1, t2, t3] = self.ttl.to_be_bytes();
        let [l0, l1] = length.to_be_bytes();
        [k0, k1, c0, c1, t0, t1, t2, t3, l0, l1]
    }
}

/// A place in a response.
#[derive(Debug, Clone, Copy)]
pub struct Mark {
    at: usize,
    counts: [u16; 3],
}

/// Copies a query so that it says no more than was understood of it: header, question, and an OPT without options
/// but the client subnet. Returns its length.
pub fn rewrite_query(message: &mut [u8], question_end: usize, edns: Option<&Edns>) -> usize {
    let Some(edns) = edns else {
        message[6..HEADER_BYTES].fill(0);
        return question_end;
    };
    let subnet = edns.client_subnet().unwrap_or_default();
    let length = if subnet.is_empty() { 0 } else { OPTION_BYTES + subnet.len() };
    let ttl = if edns.dnssec_ok { 0x8000 } else { 0 };
    let fixed = Fixed { kind: rtype::OPT, class: edns.payload, ttl };
    let out = &mut message[question_end..question_end + OPT_BYTES + length];
    out[0] = 0;
    out[1..OPT_BYTES].copy_from_slice(&fixed.bytes(length as u16));
    if length > 0 {
        out[OPT_BYTES..OPT_BYTES + 2].copy_from_slice(&option::ECS.to_be_bytes());
        out[OPT_BYTES + 2..OPT_BYTES + 4].copy_from_slice(&(subnet.len() as u16).to_be_bytes());
        out[OPT_BYTES + 4..].copy_from_slice(subnet);
    }
    message[6..HEADER_BYTES].copy_from_slice(&[0, 0, 0, 0, 0, 1]);
    question_end + OPT_BYTES + length
}

fn floor_char_boundary(text: &str, most: usize) -> usize {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    end
}

/// Offsets that a compression pointer cannot reach. Source: RFC 1035 section 4.1.4.
pub const POINTER_MAX: usize = 0x4000;

/// The payload size that our own OPT says. Source: DNS flag day 2020.
pub const PAYLOAD_BYTES: u16 = 1232;

/// Longest text of an extended error. Source: none, chosen: a line that people read.
pub const TEXT_MAX_BYTES: usize = 80;

/// Type, class, TTL and length. Source: RFC 1035 section 4.1.3.
const FIXED_BYTES: usize = 10;

/// Priority, weight and port. Source: RFC 2782.
const SRV_NUMBERS_BYTES: usize = 6;

/// An OPT record without options. Source: RFC 6891 section 6.1.2.
const OPT_BYTES: usize = 11;

/// Code and length of an option. Source: RFC 6891 section 6.1.2.
const OPTION_BYTES: usize = 4;

/// Longest identifier of the server. Source: none, chosen: a host name fits, and the options stay small.
pub const IDENTIFIER_MAX_BYTES: usize = 128;

/// Room for all options that a response may carry.
const OPT_DATA_MAX: usize = 256;

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;
