//! What may be answered: not one message, but the rules that any acceptable one keeps.

use std::collections::BTreeMap;

/// What is to happen with a query.
#[derive(Debug, Clone)]
pub enum Expected {
    /// Nothing is sent.
    Drop,
    /// The question goes to an upstream.
    Forward,
    /// One of these host names is to be resolved.
    HostName(Vec<Vec<u8>>),
    /// A CNAME chain goes on at this name, outside our data.
    Chase(Vec<u8>),
    /// A response is sent.
    Response(Box<Response>),
    /// Any of these; the pages leave room.
    AnyOf(Vec<Expected>),
}

/// The rules of a response.
#[derive(Debug, Clone)]
pub struct Response {
    /// Bytes 0 to 1.
    pub id: u16,
    /// The opcode of the query.
    pub opcode: u8,
    /// Extended RCODE.
    pub rcode: u16,
    /// Authoritative answer.
    pub aa: bool,
    /// Copied.
    pub rd: bool,
    /// Copied.
    pub cd: bool,
    /// Whether this client may recurse.
    pub ra: bool,
    /// The question section.
    pub question: Question,
    /// CNAMEs before the answer proper, in order.
    pub chain: Vec<Record>,
    /// The RRsets of the answer section.
    pub answer: Vec<RrsetRule>,
    /// The authority section.
    pub authority: Authority,
    /// The additional section, OPT aside.
    pub additional: Additional,
    /// OPT.
    pub opt: OptRule,
    /// Largest size in bytes.
    pub limit: usize,
    /// Whether it goes over TCP.
    pub tcp: bool,
    /// The form that the question was read as, for counting.
    pub form: &'static str,
}

/// What the question section holds.
#[derive(Debug, Clone)]
pub enum Question {
    /// Exactly these bytes.
    Echo(Vec<u8>),
    /// These bytes or nothing.
    EchoOrNone(Vec<u8>),
    /// Nothing.
    None,
}

/// A record: owner and RDATA in wire form, names in RDATA uncompressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Owner name.
    pub owner: Vec<u8>,
    /// Type.
    pub rtype: u16,
    /// TTL in seconds; none for any.
    pub ttl: Option<u32>,
    /// RDATA.
    pub rdata: Vec<u8>,
}

/// An RRset of the answer section and how much of it is wanted.
#[derive(Debug, Clone)]
pub struct RrsetRule {
    /// Owner name, byte for byte.
    pub owner: Vec<u8>,
    /// Type.
    pub rtype: u16,
    /// Class.
    pub class: u16,
    /// TTL in seconds; none for any.
    pub ttl: Option<u32>,
    /// Its members.
    pub members: Members,
    /// Most members that are wanted, by `max_answers`.
    pub most: Option<usize>,
}

/// The members of an RRset.
#[derive(Debug, Clone)]
pub enum Members {
    /// Each of these once; the number is the weight (0 comes last), the other the SRV priority.
    Exact(Vec<Member>),
    /// One of these groups as a whole: any single RRset may be chosen (ANY).
    OneTxt,
    /// HTTPS RRs of these instances.
    Https(Vec<HttpsMember>),
}

/// A record of an RRset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// RDATA, names in it uncompressed.
    pub rdata: Vec<u8>,
    /// How often it is to come first.
    pub weight: u32,
}

/// What an HTTPS RR is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpsMember {
    /// SvcPriority.
    pub priority: u16,
    /// ALPN list as in meta.
    pub alpn: String,
    /// Port, if the instance has one other than 443.
    pub port: Option<u16>,
    /// Its addresses.
    pub hints: Vec<std::net::IpAddr>,
}

/// The authority section.
#[derive(Debug, Clone)]
pub enum Authority {
    /// Empty.
    Empty,
    /// One SOA.
    Soa(SoaRule),
    /// The NS RRset of a zone cut.
    Referral(Vec<Record>),
    /// Empty, or an SOA of any content.
    AnySoa,
}

/// What holds for the SOA of a negative answer.
#[derive(Debug, Clone)]
pub struct SoaRule {
    /// Its owner; none for any name at or above the question.
    pub owner: Option<Vec<u8>>,
    /// TTLs that may stand there; none for any.
    pub ttls: Vec<u32>,
    /// MNAME, RNAME, SERIAL, REFRESH, RETRY, EXPIRE as far as they are known; MINIMUM is one of `ttls` or the
    /// file's.
    pub rdata: Option<SoaRdata>,
}

/// The fields of an SOA.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SoaRdata {
    /// MNAME in wire form.
    pub mname: Vec<u8>,
    /// RNAME in wire form.
    pub rname: Vec<u8>,
    /// SERIAL, REFRESH, RETRY, EXPIRE.
    pub numbers: [u32; 4],
    /// Values that MINIMUM may have.
    pub minimums: Vec<u32>,
}

/// The additional section, OPT aside.
#[derive(Debug, Clone, Default)]
pub struct Additional {
    /// Address RRsets by target name in lower case, in the order they must come in: A before AAAA.
    pub by_target: BTreeMap<Vec<u8>, Vec<Vec<Record>>>,
    /// Address records that may be there, whatever their TTL, by target name in lower case.
    pub optional: BTreeMap<Vec<u8>, Vec<Record>>,
    /// Records that must be there, or TC is set (in-domain glue).
    pub mandatory: Vec<Record>,
}

/// What holds for OPT.
#[derive(Debug, Clone)]
pub enum OptRule {
    /// There is none.
    None,
    /// There is one.
    Some(OptContents),
    /// There may be one.
    Maybe,
}

/// The contents of OPT.
#[derive(Debug, Clone)]
pub struct OptContents {
    /// The DO flag.
    pub dnssec_ok: bool,
    /// The client subnet option as it must come back; an error response may leave it out.
    pub client_subnet: Option<Vec<u8>>,
    /// Whether the server's identifier may come along.
    pub asks_identifier: bool,
    /// Extended errors.
    pub errors: Vec<ErrorRule>,
}

/// An extended error.
#[derive(Debug, Clone)]
pub struct ErrorRule {
    /// Codes of which one stands there.
    pub codes: Vec<u16>,
    /// Whether it must be there.
    pub required: bool,
    /// What its text must hold, unless there was no room.
    pub text: Option<String>,
}

impl ErrorRule {
    /// This code must be there.
    pub fn required(code: u16) -> ErrorRule {
        ErrorRule { codes: vec![code], required: true, text: None }
    }

    /// This code may be there.
    pub fn allowed(code: u16) -> ErrorRule {
        ErrorRule { codes: vec![code], required: false, text: None }
    }
}
