//! What an upstream said, in our own form: sections of RRs with nothing compressed, and how long they
//! may be kept. Pure.
//!
//! **Source:** RFC 2181 section 8 (TTL), RFC 2308 (negative answers).

use hickory_proto::{
    op::ResponseCode,
    rr::Record,
    serialize::binary::{BinEncodable, BinEncoder, NameEncoding},
};

use crate::wire::name::Name;

/// One resource record, its RDATA uncompressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rr {
    pub(super) owner: Name,
    pub(super) rtype: u16,
    pub(super) class: u16,
    pub(super) ttl_secs: u32,
    pub(super) rdata: Vec<u8>,
}

/// An answer that can be given to any client that asks the same; RCODE is NOERROR or NXDOMAIN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) rcode: u8,
    pub(super) answers: Vec<Rr>,
    pub(super) authorities: Vec<Rr>,
    pub(super) additionals: Vec<Rr>,
    /// Seconds for which it may be given again; none if it must not be kept.
    pub(super) keep_secs: Option<u32>,
}

/// The sections as hickory has read them; a NODATA or NXDOMAIN comes with the authority section only.
pub(super) struct Sections<'a> {
    pub(super) rcode: ResponseCode,
    pub(super) answers: &'a [Record],
    pub(super) authorities: &'a [Record],
    pub(super) additionals: &'a [Record],
}

impl Answer {
    /// Copies the sections of a response to a question of type `qtype`; none if an RR can't be written.
    pub(super) fn new(sections: &Sections<'_>, qtype: u16) -> Option<Answer> {
        let mut answer = Answer {
            rcode: sections.rcode.low(),
            answers: copy_section(sections.answers)?,
            authorities: copy_section(sections.authorities)?,
            additionals: copy_section(sections.additionals)?,
            keep_secs: None,
        };
        if answer.is_negative(qtype) {
            answer.cap_soa();
        }
        answer.keep_secs = answer.lifetime(qtype);
        Some(answer)
    }

    /// Whether it says that there is no RR of type `qtype`: NXDOMAIN or NODATA, at the end of a CNAME chain too.
    pub(super) fn is_negative(&self, qtype: u16) -> bool {
        let found = |rr: &Rr| rr.rtype == qtype || qtype == ANY;
        self.rcode == NXDOMAIN || !self.answers.iter().any(found)
    }

    /// Bytes that it takes in memory, about.
    pub(super) fn size_bytes(&self) -> usize {
        let size = |rr: &Rr| size_of::<Rr>() + rr.owner.as_wire().len() + rr.rdata.len();
        size_of::<Answer>() + self.records().map(size).sum::<usize>()
    }

    fn records(&self) -> impl Iterator<Item = &Rr> {
        self.answers.iter().chain(&self.authorities).chain(&self.additionals)
    }

    /// Bytes that it takes on the wire without compression.
    fn wire_bytes(&self) -> usize {
        self.records().map(|rr| rr.owner.as_wire().len() + RR_FIXED_BYTES + rr.rdata.len()).sum()
    }

    // The TTL of a negative answer's SOA is the smaller of its own and its MINIMUM (RFC 2308 section 5).
    fn cap_soa(&mut self) {
        for soa in self.authorities.iter_mut().filter(|rr| rr.rtype == SOA) {
            if let Some(minimum) = soa.rdata.last_chunk::<4>() {
                soa.ttl_secs = soa.ttl_secs.min(u32::from_be_bytes(*minimum)).min(NEGATIVE_MAX_SECS);
            }
        }
    }

    fn lifetime(&self, qtype: u16) -> Option<u32> {
        let without_soa = !self.authorities.iter().any(|rr| rr.rtype == SOA);
        if self.is_negative(qtype) && without_soa || self.wire_bytes() > ANSWER_MAX_BYTES {
            return None;
        }
        self.records().map(|rr| rr.ttl_secs).min().filter(|&ttl_secs| ttl_secs > 0)
    }
}

fn copy_section(records: &[Record]) -> Option<Vec<Rr>> {
    records.iter().map(copy_record).collect()
}

fn copy_record(record: &Record) -> Option<Rr> {
    Some(Rr {
        owner: Name::from_wire(&encode(&record.name)?).ok()?,
        rtype: record.record_type().into(),
        class: record.dns_class.into(),
        // A TTL with the highest bit set counts as zero (RFC 2181 section 8).
        ttl_secs: if record.ttl > i32::MAX as u32 { 0 } else { record.ttl.min(TTL_MAX_SECS) },
        rdata: encode(&record.data)?,
    })
}

/// The bytes of a name or of RDATA with no name in it compressed.
fn encode(part: &impl BinEncodable) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut encoder = BinEncoder::new(&mut bytes);
    encoder.set_name_encoding(NameEncoding::Uncompressed);
    part.emit(&mut encoder).ok()?;
    Some(bytes)
}

/// RCODE of a name that does not exist. Source: RFC 1035 section 4.1.1.
pub(super) const NXDOMAIN: u8 = 3;

/// RR type CNAME. Source: RFC 1035 section 3.2.2.
pub(super) const CNAME: u16 = 5;

/// RR type SOA. Source: RFC 1035 section 3.2.2.
pub(super) const SOA: u16 = 6;

/// QTYPE `*`. Source: RFC 1035 section 3.2.3.
const ANY: u16 = 255;

/// Type, class, TTL and RDLENGTH. Source: RFC 1035 section 3.2.1.
const RR_FIXED_BYTES: usize = 10;

/// Longest time that anything is kept. Source: DNS.md, "Forwarding".
const TTL_MAX_SECS: u32 = 86_400;

/// Longest time that a negative answer is kept. Source: DNS.md, "Forwarding".
const NEGATIVE_MAX_SECS: u32 = 3_600;

/// Largest answer that is kept. Source: DNS.md, "Forwarding".
const ANSWER_MAX_BYTES: usize = 16 << 10;

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
