//! What is done with a query before its name is looked at.

use nameplate::wire::name::Name;

/// A query that passed the gate's reading, as far as it went.
#[derive(Debug, Clone)]
pub struct Query {
    /// Bytes 0 to 1.
    pub id: u16,
    /// The opcode.
    pub opcode: u8,
    /// Recursion desired.
    pub rd: bool,
    /// Checking disabled.
    pub cd: bool,
    /// The question section's bytes; empty where it could not be read.
    pub question: Vec<u8>,
    /// QNAME, letter case kept.
    pub name: Name,
    /// QTYPE.
    pub qtype: u16,
    /// QCLASS.
    pub class: u16,
    /// OPT, if there is one.
    pub opt: Option<Opt>,
}

/// A query's OPT.
#[derive(Debug, Clone, Default)]
pub struct Opt {
    /// Requester's payload size.
    pub size: u16,
    /// EDNS version.
    pub version: u8,
    /// The DO flag.
    pub dnssec_ok: bool,
    /// Options: code and contents.
    pub options: Vec<(u16, Vec<u8>)>,
}

/// What the gate says.
#[derive(Debug, Clone)]
pub enum Gate {
    /// Nothing is sent.
    Drop,
    /// An error, with what could be read.
    Error(u16, Box<Query>),
    /// The name decides.
    Pass(Box<Query>),
}

/// RCODEs, extended ones included.
pub const NOERROR: u16 = 0;
/// Malformed.
pub const FORMERR: u16 = 1;
/// Cannot answer now.
pub const SERVFAIL: u16 = 2;
/// No such name.
pub const NXDOMAIN: u16 = 3;
/// Not done here.
pub const NOTIMP: u16 = 4;
/// Not for you.
pub const REFUSED: u16 = 5;
/// Not authoritative for the zone.
pub const NOTAUTH: u16 = 9;
/// EDNS version not done here.
pub const BADVERS: u16 = 16;

/// The option of a client's subnet.
pub const CLIENT_SUBNET: u16 = 8;
/// Option code of the server's identifier.
pub const NSID: u16 = 3;
/// The option of cookies.
pub const COOKIE: u16 = 10;
/// Standard query.
pub const QUERY: u8 = 0;
/// NOTIFY.
pub const NOTIFY: u8 = 4;
/// UPDATE.
pub const UPDATE: u8 = 5;

/// Reads a query in the order that the rules give.
pub fn gate(bytes: &[u8], tcp: bool) -> Gate {
    if bytes.len() < 12 || bytes[2] & 0x80 != 0 {
        return Gate::Drop;
    }
    let count = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    let mut query = Query {
        id: count(0),
        opcode: bytes[2] >> 3 & 15,
        rd: bytes[2] & 1 != 0,
        cd: bytes[3] & 0x10 != 0,
        question: Vec::new(),
        name: Name::root(),
        qtype: 0,
        class: 1,
        opt: None,
    };
    let known = [QUERY, UPDATE, NOTIFY].contains(&query.opcode);
    let (questions, answers, authorities, additionals) = (count(4), count(6), count(8), count(10));
    let question_end = if questions == 0 { None } else { read_question(bytes, &mut query) };
    if !known {
        return Gate::Error(NOTIMP, Box::new(query));
    }
    if questions != 1 {
        return Gate::Error(FORMERR, Box::new(query));
    }
    let Some(end) = question_end else { return Gate::Error(FORMERR, Box::new(query)) };
    if query.opcode == QUERY && answers > 0 {
        return Gate::Error(FORMERR, Box::new(query));
    }
    let records = usize::from(answers) + usize::from(authorities);
    let Some((opts, misplaced)) = read_records(bytes, end, (records, usize::from(additionals)), &mut query) else {
        return Gate::Error(FORMERR, Box::new(query));
    };
    if opts > 1 || misplaced {
        return Gate::Error(FORMERR, Box::new(query));
    }
    match &query.opt {
        Some(opt) if opt.version > 0 => return Gate::Error(BADVERS, Box::new(query)),
        Some(opt) if !opt.options.iter().all(legal) => return Gate::Error(FORMERR, Box::new(query)),
        _ => {}
    }
    if query.opcode != QUERY {
        return Gate::Pass(Box::new(query));
    }
    match (query.class, query.qtype) {
        (1, 41 | 250 | 249 | 254 | 253) => Gate::Error(NOTIMP, Box::new(query)),
        (1, 252) if !tcp => Gate::Error(FORMERR, Box::new(query)),
        (1, 251 | 252) => Gate::Error(REFUSED, Box::new(query)),
        (1 | 3, _) => Gate::Pass(Box::new(query)),
        _ => Gate::Error(REFUSED, Box::new(query)),
    }
}

/// Reads the first question; none if it is malformed.
fn read_question(bytes: &[u8], query: &mut Query) -> Option<usize> {
    let mut at = 12;
    loop {
        let length = usize::from(*bytes.get(at)?);
        if length > 63 {
            return None;
        }
        at += 1 + length;
        if length == 0 {
            break;
        }
    }
    let rest = bytes.get(at..at + 4)?;
    query.name = Name::from_wire(&bytes[12..at]).ok()?;
    query.qtype = u16::from_be_bytes([rest[0], rest[1]]);
    query.class = u16::from_be_bytes([rest[2], rest[3]]);
    query.question = bytes[12..at + 4].to_vec();
    Some(at + 4)
}

/// Walks the records after the question; how many OPTs there are, and whether one is not at the root of the additional section.
fn read_records(bytes: &[u8], start: usize, counts: (usize, usize), query: &mut Query) -> Option<(usize, bool)> {
    let (mut at, mut opts, mut misplaced) = (start, 0, false);
    for number in 0..counts.0 + counts.1 {
        let owner = at;
        at = skip_name(bytes, at)?;
        let fixed = bytes.get(at..at + 10)?;
        let length = usize::from(u16::from_be_bytes([fixed[8], fixed[9]]));
        let rdata = bytes.get(at + 10..at + 10 + length)?;
        at += 10 + length;
        if fixed[..2] == [0, 41] {
            opts += 1;
            misplaced |= bytes[owner] != 0 || number < counts.0;
            let opt = Opt {
                size: u16::from_be_bytes([fixed[2], fixed[3]]),
                version: fixed[5],
                dnssec_ok: fixed[6] & 0x80 != 0,
                options: Vec::new(),
            };
            let version = opt.version;
            query.opt = Some(opt);
            let options = read_options(rdata);
            if version == 0 && opts == 1 {
                query.opt.as_mut()?.options = options?;
            }
        }
    }
    Some((opts, misplaced))
}

fn skip_name(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *bytes.get(at)? {
            0 => return Some(at + 1),
            length @ 1..=63 => at += 1 + usize::from(length),
            192.. => return bytes.get(at + 1).map(|_| at + 2),
            _ => return None,
        }
    }
}

fn read_options(mut rdata: &[u8]) -> Option<Vec<(u16, Vec<u8>)>> {
    let mut options = Vec::new();
    while !rdata.is_empty() {
        let head = rdata.get(..4)?;
        let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
        options.push((u16::from_be_bytes([head[0], head[1]]), rdata.get(4..4 + length)?.to_vec()));
        rdata = &rdata[4 + length..];
    }
    Some(options)
}

/// Whether an option has a legal length, and a client subnet a family (RFC 7871 section 6, RFC 7873 section 4).
fn legal((code, contents): &(u16, Vec<u8>)) -> bool {
    match *code {
        CLIENT_SUBNET => {
            let [high, low, source, _, address @ ..] = &contents[..] else { return false };
            let longest = match u16::from_be_bytes([*high, *low]) {
                0 => 0,
                1 => 32,
                2 => 128,
                _ => return false,
            };
            *source <= longest && address.len() == usize::from(*source).div_ceil(8)
        }
        COOKIE => contents.len() == 8 || (16..=40).contains(&contents.len()),
        _ => true,
    }
}
