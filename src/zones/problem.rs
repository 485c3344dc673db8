//! What is wrong with a zone file, with path, line and cure.
//!
//! ```text
//! zones/example.zone line 7: www.example. has a CNAME beside other records; take one of them out
//! ```
//!
//! **Limits:** at most [`PROBLEMS_MAX`] errors and as many warnings are kept of one file; the last then says so.

use std::{fmt, path::Path, sync::Arc};

use crate::wire::name::{Name, NameError};

/// One problem of a zone file, or of the directory of zone files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file, or the directory.
    pub path: Arc<Path>,
    /// The line, counted from 1; none where the problem is the whole file's.
    pub line: Option<u32>,
    /// What is wrong.
    pub fault: Fault,
}

impl Problem {
    /// Whether it keeps the zone out of service.
    pub fn severity(&self) -> Severity {
        match self.fault {
            Fault::Error(_) => Severity::Error,
            Fault::Lint(_) => Severity::Warning,
        }
    }

    /// Whether it keeps the zone out of service.
    pub fn is_error(&self) -> bool {
        self.severity() == Severity::Error
    }
}

/// `PATH line N: what is wrong; the cure`.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if let Some(line) = self.line {
            write!(f, " line {line}")?;
        }
        match &self.fault {
            Fault::Error(error) => write!(f, ": {error}"),
            Fault::Lint(lint) => write!(f, ": {lint}"),
        }
    }
}

/// Whether a problem keeps a zone out of service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The zone is refused; the last good state of its file stays in service.
    Error,
    /// The zone is served.
    Warning,
}

impl Severity {
    /// `error` or `warning`.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        }
    }
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The zone is refused.
    Error(ZoneFileError),
    /// The zone is served, but is probably not what was meant.
    Lint(Lint),
}

impl From<ZoneFileError> for Fault {
    fn from(error: ZoneFileError) -> Fault {
        Fault::Error(error)
    }
}

impl From<Lint> for Fault {
    fn from(lint: Lint) -> Fault {
        Fault::Lint(lint)
    }
}

/// Why a zone file was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)] // Each variant's message is its documentation.
pub enum ZoneFileError {
    #[error("cannot be read: {problem}")]
    Read { problem: String },
    #[error("the folder of zones cannot be read: {problem}; name another with --zones, or none with --zones off")]
    ReadFolder { problem: String },
    #[error("is not a regular file; put the text into a plain file")]
    NotAFile,
    #[error("is longer than {max} bytes with what it includes; split it into several zones")]
    TooLong { max: usize },
    #[error("more than {max} names; split it into several zones")]
    TooManyNames { max: usize },
    #[error("more than {max} errors; the rest of the file is not looked at")]
    TooManyProblems { max: usize },
    #[error("zone {origin} is in two files, also in {other}; take one of them out")]
    SecondFile { origin: Name, other: String },

    #[error("the parenthesis is never closed; add `)`")]
    UnclosedParenthesis,
    #[error("a `)` without `(`; take it out, or write it as `\\)`")]
    UnopenedParenthesis,
    #[error("the quoted string does not end on its line; add `\"`, and write a line break inside it as `\\010`")]
    UnclosedQuote,
    #[error("control character {byte} in the text; write it as `\\{byte:03}`")]
    ControlCharacter { byte: u8 },
    #[error("the entry is longer than {max} bytes")]
    EntryTooLong { max: usize },

    #[error("{directive} is not known; there are $ORIGIN, $TTL and $INCLUDE")]
    UnknownDirective { directive: String },
    #[error("$GENERATE is not supported; write the records out")]
    Generate,
    #[error("{directive} takes {expected}")]
    DirectiveArguments { directive: &'static str, expected: &'static str },
    #[error("$INCLUDE goes deeper than {max} files; does a file include itself?")]
    IncludeTooDeep { max: usize },
    #[error("more than {max} $INCLUDE in one zone")]
    TooManyIncludes { max: usize },
    #[error("$INCLUDE {file} leaves the folder of the zone file; name a file in it or below it")]
    IncludeOutside { file: String },

    #[error("the first record has no owner name; write a name, or `@` for the origin, at the start of the line")]
    NoOwner,
    #[error("the record has no type; expected `name [TTL] [IN] TYPE data`")]
    NoType,
    #[error("no TTL; put `$TTL 3600` at the head of the file")]
    NoTtl,
    #[error("{text} is not a TTL; expected seconds up to 2147483647, or such as 1h30m")]
    BadTtl { text: String },
    #[error("class {class} is not supported; only IN is")]
    Class { class: String },
    #[error("type {text} cannot be read; write it as `TYPEnnn \\# length hex` (RFC 3597) if it must be served")]
    UnknownType { text: String },
    #[error("DNAME is not supported; write a wildcard CNAME or the records instead")]
    Dname,
    #[error("type {text} belongs to signed zones, and zones are not signed here; take it out")]
    Signed { text: String },
    #[error("type {text} is for queries only and cannot be in a zone")]
    MetaType { text: String },

    #[error("the name {text} is wrong: {problem}")]
    BadName { text: String, problem: NameError },
    #[error("the name {text} has bytes beyond ASCII; write it in its xn-- form")]
    NonAsciiName { text: String },
    #[error("the name {text} is in quotes; write it without")]
    QuotedName { text: String },
    #[error("a name is empty; write `@` for the origin")]
    EmptyName,
    #[error("{text} has a quote inside a word; put a space before it, or write it as `\\\"`")]
    QuoteInWord { text: String },
    #[error("a backslash must be followed by a character or by three digits up to 255")]
    BadEscape,
    #[error("{field} is missing at the end of the record")]
    MissingField { field: &'static str },
    #[error("{text} is too much; the record ends before it")]
    ExcessField { text: String },
    #[error("{text} is not {field}")]
    BadField { text: String, field: &'static str },
    #[error("a string has {length} bytes and at most 255 are possible; split it into several quoted strings")]
    StringTooLong { length: usize },
    #[error("the data of the record has {length} bytes and at most {max} fit into a response")]
    RdataTooLong { length: usize, max: usize },
    #[error("`\\#` is followed by {said} as length and {found} bytes of data")]
    GenericLength { said: usize, found: usize },
    #[error("the bytes after `\\#` are not data of type {rtype}")]
    GenericData { rtype: u16 },
    #[error("the data cannot be read: {problem}")]
    Rdata { problem: String },
    #[error("parameter {key} stands twice")]
    RepeatedParameter { key: String },
    #[error("parameter {key} is wrong: expected {expected}")]
    BadParameter { key: String, expected: &'static str },

    #[error("the zone's name cannot be taken from the file name; name the file ORIGIN.zone or begin it with $ORIGIN")]
    NoOrigin,
    #[error("zone {origin} has no SOA at its apex; add one as the first record")]
    NoSoa { origin: Name },
    #[error("a second SOA; a zone has one, at its apex {origin}")]
    SecondSoa { origin: Name },
    #[error("{owner} lies outside zone {origin}; is a dot at the end too much, or is it another zone's?")]
    OutOfZone { owner: Name, origin: Name },
    #[error("{owner} has a CNAME beside other records (line {other}); take one of them out")]
    CnameAndOther { owner: Name, other: u32 },
    #[error("{owner} has a second CNAME (the first in line {other}); a name has one")]
    SecondCname { owner: Name, other: u32 },
    #[error("a wildcard cannot delegate (RFC 4592 4.2); write the names out")]
    WildcardNs,
    #[error("{owner} is answered from the service catalog; only *.service.{domain} may be in the file")]
    CatalogName { owner: Name, domain: Name },
}

/// What is probably not meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)] // Each variant's message is its documentation.
pub enum Lint {
    #[error("the same record stands in line {first}; one is kept")]
    Duplicate { first: u32 },
    #[error(
        "TTL {ttl_secs} differs from {first_secs} in line {first} of the same RRset; the smallest holds (RFC 2181 5.2)"
    )]
    TtlDiffers { ttl_secs: u32, first_secs: u32, first: u32 },
    #[error("TTL 0: the record is asked for again each time, and some resolvers do not take it")]
    TtlZero,
    #[error("{name} has no dot at its end and so stands for {absolute}; add the dot if {name}. is meant")]
    MissingDot { name: String, absolute: Name },
    #[error("zone {origin} has no NS at its apex; add one (RFC 1034 4.2.1)")]
    NoNs { origin: Name },
    #[error("NS target {target} has no address in the zone; add its A or AAAA")]
    NsWithoutAddress { target: Name },
    #[error("NS target {target} of the delegation {cut} lies below it and has no glue; add its A or AAAA")]
    MissingGlue { target: Name, cut: Name },
    #[error("target {target} does not exist in the zone")]
    NoSuchTarget { target: Name },
    #[error("{rtype} target {target} is a CNAME; name the end of it instead (RFC 2181 10.3)")]
    TargetIsCname { rtype: &'static str, target: Name },
    #[error("the CNAMEs from {owner} lead back to themselves")]
    CnameLoop { owner: Name },
    #[error("{owner} lies below the delegation {cut} and is not glue: it is never answered")]
    BelowCut { owner: Name, cut: Name },
    #[error("{owner} stands beside the NS of a delegation: it is never answered from here")]
    BesideCut { owner: Name },
    #[error("{owner} takes the name out of {wildcard}: types not written here are not answered by the wildcard")]
    ShadowsWildcard { owner: Name, wildcard: Name },
    #[error("{owner} has a `*` that is not its first label, and so is no wildcard")]
    InnerAsterisk { owner: Name },
    #[error("SOA {timer} of {secs} s: usual is {usual}")]
    SoaTimer { timer: &'static str, secs: u32, usual: &'static str },
    #[error("SOA of zone {origin}: expire must be longer than refresh and retry together")]
    SoaExpire { origin: Name },
    #[error("more than {max} warnings; the rest is not shown")]
    TooManyWarnings { max: usize },
    #[error("SOA serial 0: a secondary may never see a change")]
    SoaSerialZero,
}

/// Most errors, and most warnings, kept of one file.
///
/// Source: none, chosen: nobody reads more, and a file of nonsense must not fill the memory.
pub const PROBLEMS_MAX: usize = 500;

/// The problems found so far in one file and what it includes.
#[derive(Debug, Default)]
pub(super) struct Problems {
    errors: Vec<Problem>,
    lints: Vec<Problem>,
}

impl Problems {
    /// Notes a problem; beyond the limit only that there are more. Warnings never crowd out errors.
    pub(super) fn note(&mut self, path: &Arc<Path>, line: Option<u32>, fault: impl Into<Fault>) {
        let fault = fault.into();
        let (list, more) = match fault {
            Fault::Error(_) => (&mut self.errors, Fault::Error(ZoneFileError::TooManyProblems { max: PROBLEMS_MAX })),
            Fault::Lint(_) => (&mut self.lints, Fault::Lint(Lint::TooManyWarnings { max: PROBLEMS_MAX })),
        };
        if list.len() <= PROBLEMS_MAX {
            let fault = if list.len() < PROBLEMS_MAX { fault } else { more };
            list.push(Problem { path: Arc::clone(path), line, fault });
        }
    }

    /// Whether there is no room for more errors, so that reading on is of no use.
    pub(super) fn is_full(&self) -> bool {
        self.errors.len() > PROBLEMS_MAX
    }

    /// Whether one of them keeps the zone out of service.
    pub(super) fn has_errors(&self) -> bool {
        !self.errors.is_empty()
    }

    /// All problems, by file and line.
    pub(super) fn into_sorted(self) -> Vec<Problem> {
        let mut list = self.errors;
        list.extend(self.lints);
        list.sort_by(|a, b| (&a.path, a.line).cmp(&(&b.path, b.line)));
        list
    }
}

/// Text of a file for a message: at most 64 bytes of it, control characters escaped.
pub(super) fn shown(raw: &[u8]) -> String {
    const SHOWN_MAX_BYTES: usize = 64;
    let cut = &raw[..raw.len().min(SHOWN_MAX_BYTES)];
    let mut text: String = String::from_utf8_lossy(cut)
        .chars()
        .flat_map(|letter| if letter.is_control() { letter.escape_default().collect::<Vec<_>>() } else { vec![letter] })
        .collect();
    if cut.len() < raw.len() {
        text.push_str("...");
    }
    text
}
