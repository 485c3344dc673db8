//! Reads a zone file and what it includes into records.
//!
//! | directive | meaning |
//! |---|---|
//! | `$ORIGIN name` | completes names without a dot at their end, until the next or the end of the file |
//! | `$TTL time` | TTL of records without one, until the next (RFC 2308 section 4) |
//! | `$INCLUDE file [origin]` | reads the file, found from the one it stands in; origin and owner are then as before |
//!
//! Without `$TTL` a record has the TTL of the one before it (RFC 1035), a first SOA its own MINIMUM.
//!
//! **Limits:** [`TEXT_MAX_BYTES`] with all that is included, [`INCLUDE_DEPTH_MAX`] files deep; only regular files; an
//! included file lies in the folder of the file that names it, or below. No `$GENERATE`.
//!
//! **Source:** RFC 1035 section 5.1.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::{self, Read},
    os::unix::ffi::OsStrExt,
    path::{Component, Path, PathBuf},
    sync::Arc,
};

use super::{
    problem::{Lint, Problems, ZoneFileError, shown},
    rdata::{read_rdata, read_type},
    split::{Entry, Quotes, Splitter, Token},
    text::{lacks_dot, plain, read_bytes, read_name, seconds},
};
use crate::wire::name::Name;

/// One record, and where it stands.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) owner: Name,
    pub(super) rtype: u16,
    pub(super) ttl_secs: u32,
    /// Uncompressed wire form.
    pub(super) rdata: Box<[u8]>,
    pub(super) path: Arc<Path>,
    pub(super) line: u32,
}

/// What a zone file holds.
#[derive(Debug)]
pub(super) struct ZoneText {
    pub(super) records: Vec<Record>,
    /// The origin at the first record.
    pub(super) origin: Option<Name>,
    /// The files that it includes, each once.
    pub(super) included: Vec<Arc<Path>>,
}

/// Reads the file; what cannot be read is noted as a problem and left out.
pub(super) fn read_file(path: &Arc<Path>, origin: Option<Name>, problems: &mut Problems) -> ZoneText {
    let mut reader = Reader::new(origin, problems);
    match reader.load(path) {
        Ok(text) => reader.read(&text, path),
        Err(error) => reader.problems.note(path, None, error),
    }
    reader.finish()
}

/// Reads the text as that of a file of this path; only what it includes is read from there.
pub(super) fn read_text(path: &Arc<Path>, text: &[u8], origin: Option<Name>, problems: &mut Problems) -> ZoneText {
    let mut reader = Reader::new(origin, problems);
    reader.read(text, path);
    reader.finish()
}

struct Reader<'p> {
    problems: &'p mut Problems,
    records: Vec<Record>,
    origin: Option<Name>,
    first_origin: Option<Name>,
    owner: Owner,
    default_ttl_secs: Option<u32>,
    last_ttl_secs: Option<u32>,
    budget_bytes: usize,
    depth: usize,
    includes: usize,
    included: Vec<Arc<Path>>,
}

/// The owner name last stated.
#[derive(Debug, Clone)]
enum Owner {
    None,
    /// It was wrong, which is noted; records that take it over are read but not kept.
    Bad,
    Is(Name),
}

/// A problem, and the line on which it is.
type LineError = (u32, ZoneFileError);

impl<'p> Reader<'p> {
    fn new(origin: Option<Name>, problems: &'p mut Problems) -> Reader<'p> {
        Reader {
            problems,
            records: Vec::new(),
            origin,
            first_origin: None,
            owner: Owner::None,
            default_ttl_secs: None,
            last_ttl_secs: None,
            budget_bytes: TEXT_MAX_BYTES,
            depth: 0,
            includes: 0,
            included: Vec::new(),
        }
    }

    fn finish(self) -> ZoneText {
        ZoneText { records: self.records, origin: self.first_origin.or(self.origin), included: self.included }
    }

    fn read(&mut self, text: &[u8], path: &Arc<Path>) {
        for entry in Splitter::new(text) {
            if self.problems.is_full() {
                break;
            }
            if let Err((line, error)) = entry.and_then(|entry| self.entry(&entry, path)) {
                self.problems.note(path, Some(line), error);
            }
        }
    }

    fn entry(&mut self, entry: &Entry<'_>, path: &Arc<Path>) -> Result<(), LineError> {
        let (first, arguments) = entry.tokens.split_first().expect("an entry has a token");
        if first.raw.first() != Some(&b'$') || first.quotes != Quotes::None {
            return self.record(entry, path);
        }
        let at_line = |error| (entry.line, error);
        match first.raw.to_ascii_uppercase().as_slice() {
            b"$TTL" => self.ttl_directive(arguments).map_err(at_line),
            b"$ORIGIN" => self.origin_directive(arguments).map_err(at_line),
            b"$INCLUDE" => self.include(arguments, path).map_err(at_line),
            b"$GENERATE" => Err(at_line(ZoneFileError::Generate)),
            _ => Err(at_line(ZoneFileError::UnknownDirective { directive: shown(first.raw) })),
        }
    }

    fn ttl_directive(&mut self, arguments: &[Token<'_>]) -> Result<(), ZoneFileError> {
        let [time] = arguments else {
            return Err(ZoneFileError::DirectiveArguments { directive: "$TTL", expected: "one time" });
        };
        self.default_ttl_secs = Some(read_ttl(time)?);
        Ok(())
    }

    fn origin_directive(&mut self, arguments: &[Token<'_>]) -> Result<(), ZoneFileError> {
        let [name] = arguments else {
            return Err(ZoneFileError::DirectiveArguments { directive: "$ORIGIN", expected: "one name" });
        };
        self.origin = Some(self.origin_from(name)?);
        Ok(())
    }

    /// An origin may itself be relative to the one before it.
    fn origin_from(&self, token: &Token<'_>) -> Result<Name, ZoneFileError> {
        let read = read_name(token, &self.origin.clone().unwrap_or_else(Name::root))?;
        if read.is_relative && self.origin.is_none() {
            return Err(ZoneFileError::NoOrigin);
        }
        Ok(read.name)
    }

    fn include(&mut self, arguments: &[Token<'_>], path: &Arc<Path>) -> Result<(), ZoneFileError> {
        let (file, origin) = match arguments {
            [file] => (file, self.origin.clone()),
            [file, origin] => (file, Some(self.origin_from(origin)?)),
            _ => {
                let expected = "a file name, and perhaps an origin";
                return Err(ZoneFileError::DirectiveArguments { directive: "$INCLUDE", expected });
            }
        };
        let name = read_bytes(file)?;
        let relative = Path::new(OsStr::from_bytes(&name));
        let is_inside = relative.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        if !is_inside || name.is_empty() {
            return Err(ZoneFileError::IncludeOutside { file: shown(&name) });
        }
        if self.depth >= INCLUDE_DEPTH_MAX {
            return Err(ZoneFileError::IncludeTooDeep { max: INCLUDE_DEPTH_MAX });
        }
        if self.includes >= INCLUDES_MAX {
            return Err(ZoneFileError::TooManyIncludes { max: INCLUDES_MAX });
        }
        self.includes += 1;
        let included: Arc<Path> = path.parent().map_or_else(PathBuf::new, Path::to_path_buf).join(relative).into();
        if !self.included.contains(&included) {
            // Noted before it is read: a missing file is watched too.
            self.included.push(Arc::clone(&included));
        }
        let text = self.load(&included).map_err(|error| match error {
            ZoneFileError::Read { problem } => {
                ZoneFileError::Read { problem: format!("$INCLUDE {}: {problem}", included.display()) }
            }
            other => other,
        })?;
        let (outer_origin, outer_owner) = (std::mem::replace(&mut self.origin, origin), self.owner.clone());
        self.depth += 1;
        self.read(&text, &included);
        self.depth -= 1;
        (self.origin, self.owner) = (outer_origin, outer_owner);
        Ok(())
    }

    /// Reads a regular file whole, within the bytes that are left for the zone.
    fn load(&mut self, path: &Path) -> Result<Vec<u8>, ZoneFileError> {
        let failed = |error: io::Error| ZoneFileError::Read { problem: error.to_string() };
        // A pipe would be waited for, and a device never ends.
        if !fs::metadata(path).map_err(failed)?.is_file() {
            return Err(ZoneFileError::NotAFile);
        }
        let mut text = Vec::new();
        let limit = self.budget_bytes as u64 + 1;
        File::open(path).and_then(|file| file.take(limit).read_to_end(&mut text)).map_err(failed)?;
        self.budget_bytes = match self.budget_bytes.checked_sub(text.len()) {
            Some(left) => left,
            None => return Err(ZoneFileError::TooLong { max: TEXT_MAX_BYTES }),
        };
        Ok(text)
    }

    fn record(&mut self, entry: &Entry<'_>, path: &Arc<Path>) -> Result<(), LineError> {
        let Some(origin) = self.origin.clone() else {
            // Said once; what follows is read as if the file had begun with `$ORIGIN .`.
            self.origin = Some(Name::root());
            return Err((entry.line, ZoneFileError::NoOrigin));
        };
        self.first_origin.get_or_insert_with(|| origin.clone());
        let at_line = |error| (entry.line, error);
        let mut rest = entry.tokens.as_slice();
        if !entry.is_indented {
            let (token, after) = rest.split_first().expect("an entry has a token");
            rest = after;
            self.owner = Owner::Bad;
            let read = read_name(token, &origin).map_err(at_line)?;
            if read.is_relative {
                self.note_missing_dot(&read.name, &origin, path, token.line);
            }
            self.owner = Owner::Is(read.name);
        }
        let head = read_head(rest).map_err(at_line)?;
        let rdata = read_rdata(head.rtype, head.data, &origin).map_err(at_line)?;
        for name in &rdata.relative_names {
            self.note_missing_dot(name, &origin, path, entry.line);
        }
        let ttl_secs = self.ttl_for(&head, &rdata.wire).map_err(at_line)?;
        let owner = match &self.owner {
            Owner::Is(name) => name.clone(),
            Owner::Bad => return Ok(()),
            Owner::None => return Err(at_line(ZoneFileError::NoOwner)),
        };
        let (rtype, rdata) = (head.rtype, rdata.wire.into());
        self.records.push(Record { owner, rtype, ttl_secs, rdata, path: Arc::clone(path), line: entry.line });
        Ok(())
    }

    fn ttl_for(&mut self, head: &Head<'_, '_>, rdata: &[u8]) -> Result<u32, ZoneFileError> {
        let minimum = || match (head.rtype, rdata.last_chunk::<4>()) {
            (SOA, Some(bytes)) => Some(u32::from_be_bytes(*bytes)),
            _ => None,
        };
        let ttl_secs = head.ttl_secs.or(self.default_ttl_secs).or(self.last_ttl_secs).or_else(minimum);
        self.last_ttl_secs = ttl_secs.or(self.last_ttl_secs);
        ttl_secs.ok_or(ZoneFileError::NoTtl)
    }

    fn note_missing_dot(&mut self, name: &Name, origin: &Name, path: &Arc<Path>, line: u32) {
        if lacks_dot(name, origin) {
            let whole = name.to_string();
            let suffix = if origin.is_root() { ".".to_owned() } else { format!(".{origin}") };
            let written = whole.strip_suffix(&suffix).unwrap_or(&whole).to_owned();
            self.problems.note(path, Some(line), Lint::MissingDot { name: written, absolute: name.clone() });
        }
    }
}

/// What stands between owner and data.
struct Head<'e, 'a> {
    ttl_secs: Option<u32>,
    rtype: u16,
    data: &'e [Token<'a>],
}

/// Reads `[TTL] [class] type`, TTL and class in any order.
fn read_head<'e, 'a>(tokens: &'e [Token<'a>]) -> Result<Head<'e, 'a>, ZoneFileError> {
    let mut ttl_secs = None;
    let mut has_class = false;
    let mut rest = tokens;
    loop {
        let (token, after) = rest.split_first().ok_or(ZoneFileError::NoType)?;
        let word = plain(token).unwrap_or_default().to_ascii_uppercase();
        if ttl_secs.is_none() && word.starts_with(|first: char| first.is_ascii_digit()) {
            ttl_secs = Some(read_ttl(token)?);
        } else if !has_class && word == "IN" {
            has_class = true;
        } else if !has_class && matches!(word.as_str(), "CH" | "HS" | "CS" | "CHAOS" | "HESIOD") {
            return Err(ZoneFileError::Class { class: word });
        } else {
            return Ok(Head { ttl_secs, rtype: read_type(token)?, data: after });
        }
        rest = after;
    }
}

fn read_ttl(token: &Token<'_>) -> Result<u32, ZoneFileError> {
    plain(token).and_then(seconds).ok_or_else(|| ZoneFileError::BadTtl { text: shown(token.raw) })
}

const SOA: u16 = 6;

/// Most text of one zone with all that it includes, a file that is included twice counted twice.
///
/// Source: none, chosen: a million records, and no zone file fills the memory.
const TEXT_MAX_BYTES: usize = 64 * 1024 * 1024;

/// How deep files may include each other.
///
/// Source: none, chosen: more is a file that includes itself.
const INCLUDE_DEPTH_MAX: usize = 8;

/// How many `$INCLUDE` one zone may have, those in included files counted each time.
///
/// Source: none, chosen: opening files takes time that their text does not tell.
const INCLUDES_MAX: usize = 1000;

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
