//! Reading a query: header, question and OPT, from bytes that anyone may have sent.
//!
//! Reading never fails as a whole. What could be read is kept beside what was wrong, because an error response
//! carries the question and an OPT wherever they could be read.
//!
//! **Limits:** one question. Records in the answer, authority and additional sections are stepped over, only OPT is
//! looked into. Bytes after the message are ignored.
//!
//! **Source:** RFC 1035 section 4.1, RFC 5001 section 2.1, RFC 6891 section 6.1, RFC 7871 section 6, RFC 7873 section 4,
//! RFC 9619.

use super::{
    code::{option, rtype},
    name::{LABEL_MAX_BYTES, NAME_MAX_BYTES, Name},
};

/// A query as far as it could be read.
#[derive(Debug, Clone)]
pub struct Query {
    /// The header's fields.
    pub header: Header,
    /// Read in place, because it has several hundred bytes; it is of an earlier message where there is none.
    question: Question,
    has_question: bool,
    /// The first OPT record.
    pub edns: Option<Edns>,
    /// Whether anything after the question is malformed, a second OPT among it.
    pub malformed: bool,
}

/// The fields of a header.
#[derive(Debug, Clone, Copy)]
pub struct Header {
    /// QR: it is a response.
    pub response: bool,
    /// OPCODE.
    pub opcode: u8,
    /// RD.
    pub recursion_desired: bool,
    /// CD.
    pub checking_disabled: bool,
    /// QDCOUNT.
    pub questions: u16,
    /// ANCOUNT.
    pub answers: u16,
}

/// The question. The name itself is kept in lower case beside where its labels are; the message has its letter case.
#[derive(Debug, Clone)]
pub struct Question {
    lowered: [u8; NAME_MAX_BYTES + 1],
    starts: [u8; LABELS_MAX + 1],
    labels: u8,
    /// QTYPE.
    pub rtype: u16,
    /// QCLASS.
    pub class: u16,
}

/// What an OPT record says.
#[derive(Debug, Clone, Copy)]
pub struct Edns {
    /// The requester's payload size, as given.
    pub payload: u16,
    /// EDNS version.
    pub version: u8,
    /// DO.
    pub dnssec_ok: bool,
    /// Whether the options are malformed, or one of them has an illegal length. Not looked at for versions above 0.
    pub malformed: bool,
    /// Whether the server's identifier is asked for.
    pub nsid: bool,
    ecs: [u8; ECS_MAX_BYTES],
    ecs_length: u8,
}

impl Query {
    /// One that is still to be read.
    pub const NONE: Query =
        Query { header: Header::NONE, question: Question::NONE, has_question: false, edns: None, malformed: false };

    /// Reads a message in place of what was read before; false if it is shorter than a header, and then nothing of it
    /// counts.
    pub fn read(&mut self, message: &[u8]) -> bool {
        let Some(head) = message.first_chunk::<HEADER_BYTES>() else { return false };
        let count = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
        self.header = Header {
            response: head[2] & 0x80 != 0,
            opcode: head[2] >> 3 & 0x0f,
            recursion_desired: head[2] & 0x01 != 0,
            checking_disabled: head[3] & 0x10 != 0,
            questions: count(4),
            answers: count(6),
        };
        (self.edns, self.malformed) = (None, false);
        self.has_question = self.header.questions == 1 && self.question.read(&message[HEADER_BYTES..]).is_some();
        let records_at = match self.question() {
            Some(question) => Some(question.end()),
            None => skip_questions(message, self.header.questions),
        };
        if let Some(start) = records_at {
            let records = u32::from(count(6)) + u32::from(count(8));
            self.malformed = self.read_records(message, start, records, u32::from(count(10))).is_none();
        }
        true
    }

    /// The question, if there is exactly one and it is well formed.
    pub fn question(&self) -> Option<&Question> {
        self.has_question.then_some(&self.question)
    }

    /// Steps over records and keeps the first OPT; none if anything is malformed, or a second OPT is there.
    fn read_records(&mut self, message: &[u8], start: usize, before: u32, additional: u32) -> Option<()> {
        let mut at = start;
        for number in 0..before + additional {
            let owner = *message.get(at)?;
            at = skip_name(message, at)?;
            let fixed: &[u8; 10] = message.get(at..)?.first_chunk()?;
            let kind = u16::from_be_bytes([fixed[0], fixed[1]]);
            let length = usize::from(u16::from_be_bytes([fixed[8], fixed[9]]));
            let data = message.get(at + 10..at + 10 + length)?;
            at += 10 + length;
            if kind == rtype::OPT {
                if owner != 0 || self.edns.is_some() || number < before {
                    return None;
                }
                let class = u16::from_be_bytes([fixed[2], fixed[3]]);
                let ttl = u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]);
                self.edns = Some(Edns::read(class, ttl, data));
            }
        }
        Some(())
    }
}

impl Header {
    const NONE: Header = Header {
        response: false,
        opcode: 0,
        recursion_desired: false,
        checking_disabled: false,
        questions: 0,
        answers: 0,
    };
}

impl Question {
    const NONE: Question =
        Question { lowered: [0; NAME_MAX_BYTES + 1], starts: [0; LABELS_MAX + 1], labels: 0, rtype: 0, class: 0 };

    /// Reads what follows the header; none if it is malformed.
    fn read(&mut self, name: &[u8]) -> Option<()> {
        let (mut at, mut labels) = (0, 0);
        loop {
            let length = usize::from(*name.get(at)?);
            if length > LABEL_MAX_BYTES {
                return None; // A compression pointer, or nothing that is defined.
            }
            self.starts[labels] = at as u8;
            if length == 0 {
                break;
            }
            let next = at + 1 + length;
            if next >= NAME_MAX_BYTES {
                return None;
            }
            labels += 1;
            at = next;
        }
        // Length bytes are below 64 and so never letters.
        for (lowered, byte) in self.lowered.iter_mut().zip(name.get(..=at)?) {
            *lowered = byte.to_ascii_lowercase();
        }
        let rest: &[u8; 4] = name[at + 1..].first_chunk()?;
        self.labels = labels as u8;
        self.rtype = u16::from_be_bytes([rest[0], rest[1]]);
        self.class = u16::from_be_bytes([rest[2], rest[3]]);
        Some(())
    }

    /// The question for this type at a name, as if it had been asked.
    pub fn of(name: &Name, rtype: u16, class: u16) -> Question {
        let mut asked = [0; NAME_MAX_BYTES + 4];
        asked[..name.as_wire().len()].copy_from_slice(name.as_wire());
        let mut question = Question::NONE;
        question.read(&asked).expect("a name in wire form can be read");
        Question { rtype, class, ..question }
    }

    /// How many labels QNAME has.
    pub fn label_count(&self) -> usize {
        usize::from(self.labels)
    }

    /// QNAME in lower case, wire form, root label included.
    pub fn name(&self) -> &[u8] {
        &self.lowered[..self.name_length()]
    }

    /// The wire form of QNAME from its `first`-th label on, root label included, in lower case.
    pub fn suffix(&self, first: usize) -> &[u8] {
        &self.lowered[usize::from(self.starts[first])..self.name_length()]
    }

    /// The labels from the `first`-th up to, not including, the `end`-th, with their length bytes, in lower case.
    pub fn labels(&self, first: usize, end: usize) -> &[u8] {
        &self.lowered[usize::from(self.starts[first])..usize::from(self.starts[end])]
    }

    /// One label in lower case, without its length byte.
    pub fn label(&self, at: usize) -> &[u8] {
        &self.labels(at, at + 1)[1..]
    }

    /// Where the `first`-th label begins in the message.
    pub fn offset(&self, first: usize) -> usize {
        HEADER_BYTES + usize::from(self.starts[first])
    }

    /// Where the question ends in the message.
    pub fn end(&self) -> usize {
        HEADER_BYTES + self.name_length() + 4
    }

    fn name_length(&self) -> usize {
        usize::from(self.starts[usize::from(self.labels)]) + 1
    }
}

impl Edns {
    /// The client subnet option, as a response echoes it: SCOPE PREFIX-LENGTH is 0 (RFC 7871 section 7.2.1).
    pub fn client_subnet(&self) -> Option<&[u8]> {
        (self.ecs_length > 0).then(|| &self.ecs[..usize::from(self.ecs_length)])
    }

    fn read(class: u16, ttl: u32, mut data: &[u8]) -> Edns {
        let mut edns = Edns {
            payload: class,
            version: (ttl >> 16) as u8,
            dnssec_ok: ttl & 0x8000 != 0,
            malformed: false,
            nsid: false,
            ecs: [0; ECS_MAX_BYTES],
            ecs_length: 0,
        };
        if edns.version > 0 {
            return edns;
        }
        while !data.is_empty() {
            let Some((code, value, rest)) = read_option(data) else {
                edns.malformed = true;
                return edns;
            };
            data = rest;
            match code {
                option::ECS => edns.malformed |= !edns.read_client_subnet(value),
                // RFC 7873 section 4: 8 bytes of client cookie, then none or 8 to 32 of server cookie.
                option::COOKIE => edns.malformed |= value.len() != 8 && !(16..=40).contains(&value.len()),
                option::NSID => edns.nsid = true,
                _ => {}
            }
        }
        edns
    }

    fn read_client_subnet(&mut self, value: &[u8]) -> bool {
        let [family_high, family_low, source, _scope, address @ ..] = value else { return false };
        let longest = match u16::from_be_bytes([*family_high, *family_low]) {
            // No address at all, as `dig +subnet=0` says it.
            0 => 0,
            1 => 32,
            2 => 128,
            _ => return false,
        };
        // RFC 7871 section 6: as many address bytes as the prefix needs, and no more.
        if *source > longest || address.len() != usize::from(source.div_ceil(8)) {
            return false;
        }
        if self.ecs_length > 0 {
            return true; // The first one counts.
        }
        self.ecs[..value.len()].copy_from_slice(value);
        self.ecs[3] = 0;
        self.ecs_length = value.len() as u8;
        true
    }
}

/// Where the records begin after questions that are not looked at; none if that cannot be told.
fn skip_questions(message: &[u8], questions: u16) -> Option<usize> {
    (0..questions).try_fold(HEADER_BYTES, |at, _| Some(skip_name(message, at)? + 4))
}

/// Where the bytes after a name begin; a compression pointer ends it, and is not followed.
pub fn skip_name(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *message.get(at)? {
            0 => return Some(at + 1),
            length @ 1..=63 => at += 1 + usize::from(length),
            192.. => return message.get(at + 1).map(|_| at + 2),
            _ => return None,
        }
    }
}

fn read_option(data: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let head: &[u8; 4] = data.first_chunk()?;
    let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
    let value = data.get(4..4 + length)?;
    Some((u16::from_be_bytes([head[0], head[1]]), value, &data[4 + length..]))
}

/// Bytes of a header. Source: RFC 1035 section 4.1.1.
pub const HEADER_BYTES: usize = 12;

/// Most labels in a name: 127 of one byte each and the root. Source: RFC 1035 section 2.3.4.
const LABELS_MAX: usize = 127;

/// Longest client subnet option: 4 bytes and an IPv6 address. Source: RFC 7871 section 6.
const ECS_MAX_BYTES: usize = 20;

#[cfg(test)]
#[path = "query_tests.rs"]
mod tests;
