//! Takes a response apart. hickory-proto must be able to read it; the records are then walked byte by byte, since
//! sizes and letter case matter here.

use hickory_proto::{op::Message, serialize::binary::DecodeError};

/// A response, taken apart.
#[derive(Debug, Clone)]
pub struct Parsed {
    /// Bytes 0 to 1.
    pub id: u16,
    /// Bytes 2 to 3.
    pub flags: u16,
    /// The question section's bytes.
    pub question: Vec<u8>,
    /// The answer, authority and additional sections; OPT is not among them.
    pub sections: [Vec<Rr>; 3],
    /// OPT.
    pub opt: Option<ParsedOpt>,
    /// Bytes after the last record.
    pub rest: usize,
}

/// A record as sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rr {
    /// Owner name, letter case kept.
    pub owner: Vec<u8>,
    /// Type.
    pub rtype: u16,
    /// Class.
    pub class: u16,
    /// TTL in seconds.
    pub ttl: u32,
    /// RDATA, names in it uncompressed and in lower case.
    pub rdata: Vec<u8>,
    /// Bytes of RDATA as sent.
    pub rdata_size: usize,
    /// Bytes of the whole record as sent.
    pub size: usize,
}

/// A response's OPT.
#[derive(Debug, Clone)]
pub struct ParsedOpt {
    /// Our payload size.
    pub size: u16,
    /// TTL field: extended RCODE, version, flags.
    pub ttl: u32,
    /// Options.
    pub options: Vec<(u16, Vec<u8>)>,
}

/// Takes a response apart, or says what is wrong with it.
pub fn parse(bytes: &[u8]) -> Result<Parsed, String> {
    read(bytes).map_err(|error| format!("hickory-proto cannot read it: {error}"))?;
    let number = |at: usize| -> Result<u16, String> {
        Ok(u16::from_be_bytes([*bytes.get(at).ok_or("too short")?, *bytes.get(at + 1).ok_or("too short")?]))
    };
    let mut at = 12;
    for _ in 0..number(4)? {
        at = name_at(bytes, at)?.1 + 4;
    }
    let question = bytes.get(12..at).ok_or("question cut")?.to_vec();
    let mut parsed = Parsed {
        id: number(0)?,
        flags: number(2)?,
        question,
        sections: [Vec::new(), Vec::new(), Vec::new()],
        opt: None,
        rest: 0,
    };
    for section in 0..3 {
        for _ in 0..number(6 + 2 * section)? {
            let start = at;
            let (owner, end) = name_at(bytes, at)?;
            let (rtype, class) = (number(end)?, number(end + 2)?);
            let ttl = u32::from(number(end + 4)?) << 16 | u32::from(number(end + 6)?);
            let rdata_size = usize::from(number(end + 8)?);
            at = end + 10 + rdata_size;
            let raw = bytes.get(end + 10..at).ok_or("RDATA cut")?;
            if rtype == OPT {
                if section != 2 || parsed.opt.is_some() || owner != [0] {
                    return Err("an OPT where none belongs".into());
                }
                parsed.opt = Some(ParsedOpt { size: class, ttl, options: options(raw)? });
                continue;
            }
            let rdata = expand(bytes, rtype, end + 10, rdata_size)?;
            let size = at - start;
            parsed.sections[section].push(Rr { owner, rtype, class, ttl, rdata, rdata_size, size });
        }
    }
    parsed.rest = bytes.len() - at;
    Ok(parsed)
}

/// The response as hickory-proto reads it. It knows no client subnet without a family, so that is read as an empty one
/// of IPv4.
pub fn read(bytes: &[u8]) -> Result<Message, DecodeError> {
    const WITHOUT_FAMILY: [u8; 8] = [0, 8, 0, 4, 0, 0, 0, 0];
    Message::from_vec(bytes).or_else(|error| {
        let at = bytes.windows(WITHOUT_FAMILY.len()).rposition(|window| window == WITHOUT_FAMILY).ok_or(error)?;
        let mut bytes = bytes.to_vec();
        bytes[at + 5] = 1;
        Message::from_vec(&bytes)
    })
}

fn options(mut rdata: &[u8]) -> Result<Vec<(u16, Vec<u8>)>, String> {
    let mut options = Vec::new();
    while !rdata.is_empty() {
        let head = rdata.get(..4).ok_or("option cut")?;
        let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
        let contents = rdata.get(4..4 + length).ok_or("option cut")?;
        options.push((u16::from_be_bytes([head[0], head[1]]), contents.to_vec()));
        rdata = &rdata[4 + length..];
    }
    Ok(options)
}

/// A name, pointers followed, and where it ends.
fn name_at(bytes: &[u8], start: usize) -> Result<(Vec<u8>, usize), String> {
    let (mut at, mut end, mut wire) = (start, None, Vec::new());
    loop {
        let length = usize::from(*bytes.get(at).ok_or("name cut")?);
        if length >= 192 {
            let low = usize::from(*bytes.get(at + 1).ok_or("pointer cut")?);
            let target = (length & 0x3f) << 8 | low;
            if target >= at {
                return Err("a pointer does not point back".into());
            }
            end = end.or(Some(at + 2));
            at = target;
        } else {
            wire.extend_from_slice(bytes.get(at..at + 1 + length).ok_or("label cut")?);
            at += 1 + length;
            if length == 0 {
                return Ok((wire, end.unwrap_or(at)));
            }
        }
        if wire.len() > 255 {
            return Err("a name is too long".into());
        }
    }
}

/// RDATA with its names uncompressed and in lower case.
fn expand(bytes: &[u8], rtype: u16, at: usize, size: usize) -> Result<Vec<u8>, String> {
    let raw = &bytes[at..at + size];
    let Some((before, names)) = names_in(rtype) else { return Ok(raw.to_vec()) };
    let mut rdata = raw.get(..before).ok_or("RDATA cut")?.to_vec();
    let mut next = at + before;
    for _ in 0..names {
        let (name, end) = name_at(bytes, next)?;
        rdata.extend(name.to_ascii_lowercase());
        next = end;
    }
    rdata.extend_from_slice(bytes.get(next..at + size).ok_or("RDATA too long")?);
    Ok(rdata)
}

/// RDATA of uncompressed names, the names in lower case.
pub fn canonical(rtype: u16, rdata: &[u8]) -> Vec<u8> {
    expand(rdata, rtype, 0, rdata.len()).unwrap_or_else(|_| rdata.to_vec())
}

/// Bytes before the names in RDATA of a type, and how many names there are.
fn names_in(rtype: u16) -> Option<(usize, usize)> {
    match rtype {
        2 | 5 | 12 | 39 => Some((0, 1)),
        6 => Some((0, 2)),
        15 => Some((2, 1)),
        33 => Some((6, 1)),
        _ => None,
    }
}

const OPT: u16 = 41;
