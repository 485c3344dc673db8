//! Loads the zone files of a folder, each by itself: a bad one leaves its last good state in service.
//!
//! **Limits:** [`ZONES_MAX`] files; names that begin with a dot are left out (editors and volume mounts put theirs
//! there).

use std::{fs, io, path::Path, path::PathBuf, sync::Arc};

use super::{
    build::build,
    file::{read_file, read_text},
    problem::{Problem, Problems, ZoneFileError},
    zone::{Zone, Zones},
};
use crate::wire::name::Name;

/// What loading needs to know of the rest.
#[derive(Debug, Clone)]
pub struct ZoneContext {
    /// D.
    pub domain: Name,
    /// ADs.
    pub alt_domains: Vec<Name>,
    /// Our datacenter's label.
    pub datacenter: Arc<str>,
    /// The zones in service; none at the start.
    pub previous: Zones,
}

impl ZoneContext {
    /// Whether a zone of this origin is D or an alternative domain.
    pub fn is_domain(&self, origin: &Name) -> bool {
        self.domain == *origin || self.alt_domains.contains(origin)
    }

    /// The zone in service that was read from the file.
    fn previous_of(&self, file: &Path) -> Option<&Arc<Zone>> {
        self.previous.iter().find(|zone| zone.file() == file)
    }
}

/// The zones that hold now, and what is wrong.
#[derive(Debug)]
pub struct LoadOutcome {
    /// The zones to put into service.
    pub zones: Zones,
    /// Errors and warnings, by file and line.
    pub problems: Vec<Problem>,
    /// Files that are included, to be watched too.
    pub included: Vec<PathBuf>,
}

impl LoadOutcome {
    /// Whether a file was refused.
    pub fn has_errors(&self) -> bool {
        self.problems.iter().any(Problem::is_error)
    }
}

/// Reads every `*.zone` of the folder. A file that is refused leaves the zone that was read from it before; a folder
/// that cannot be read leaves all.
pub fn load(dir: &Path, context: &ZoneContext) -> LoadOutcome {
    let files = match zone_files(dir) {
        Ok(files) => files,
        Err(error) => {
            let mut problems = Problems::default();
            problems.note(&dir.into(), None, ZoneFileError::ReadFolder { problem: error.to_string() });
            let included = context.previous.iter().flat_map(|zone| zone.included()).map(|path| path.to_path_buf());
            let included = included.collect();
            return LoadOutcome { zones: context.previous.clone(), problems: problems.into_sorted(), included };
        }
    };
    let mut outcome = LoadOutcome { zones: Zones::default(), problems: Vec::new(), included: Vec::new() };
    let mut zones: Vec<Arc<Zone>> = Vec::new();
    for file in files {
        let mut problems = Problems::default();
        let read = read_zone(&file, context, &mut problems);
        let first = read.zone.as_ref().and_then(|zone| zones.iter().find(|other| other.origin() == zone.origin()));
        if let (Some(first), Some(zone)) = (first, &read.zone) {
            let other = first.file().display().to_string();
            problems.note(&file, None, ZoneFileError::SecondFile { origin: zone.origin().clone(), other });
        }
        let kept = if problems.has_errors() { context.previous_of(&file).cloned() } else { read.zone };
        // The last good state of a refused file gives way where another file has its origin now.
        zones.extend(kept.filter(|zone| zones.iter().all(|other| other.origin() != zone.origin())));
        outcome.included.extend(read.included.iter().map(|path| path.to_path_buf()));
        outcome.problems.extend(problems.into_sorted());
    }
    outcome.included.sort();
    outcome.included.dedup();
    outcome.zones = Zones::new(zones);
    outcome
}

/// What `nameplate zone check` says of one file.
#[derive(Debug)]
pub struct Report {
    /// The zone, if it would be served.
    pub zone: Option<Arc<Zone>>,
    /// Errors and warnings, by file and line.
    pub problems: Vec<Problem>,
}

impl Report {
    /// Whether the file would be refused.
    pub fn has_errors(&self) -> bool {
        self.problems.iter().any(Problem::is_error)
    }
}

/// Reads one zone file as `load` does. Its name may end in anything; `.zone` is taken off for the origin.
pub fn check_file(path: &Path, context: &ZoneContext) -> Report {
    let mut problems = Problems::default();
    let read = read_zone(&path.into(), context, &mut problems);
    Report { zone: read.zone, problems: problems.into_sorted() }
}

/// Reads a text as if it were in the file of this path, which need not exist.
pub fn check_text(path: &Path, text: &[u8], context: &ZoneContext) -> Report {
    let (path, mut problems) = (path.into(), Problems::default());
    let text = read_text(&path, text, origin_of(&path), &mut problems);
    let zone = build(&path, text, context, &mut problems);
    Report { zone, problems: problems.into_sorted() }
}

struct ReadZone {
    zone: Option<Arc<Zone>>,
    included: Vec<Arc<Path>>,
}

fn read_zone(file: &Arc<Path>, context: &ZoneContext, problems: &mut Problems) -> ReadZone {
    let text = read_file(file, origin_of(file), problems);
    let included = text.included.clone();
    ReadZone { zone: build(file, text, context, problems), included }
}

/// The origin that a file's name gives: `example.com.zone` is `example.com.`.
fn origin_of(file: &Path) -> Option<Name> {
    let name = file.file_name()?.to_str()?;
    let origin = name.strip_suffix(SUFFIX).unwrap_or(name);
    Name::parse(origin).ok().filter(|name| !name.is_root())
}

/// The zone files of a folder by name, so that every start reads them in the same order.
fn zone_files(dir: &Path) -> io::Result<Vec<Arc<Path>>> {
    let mut files: Vec<Arc<Path>> = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.ends_with(SUFFIX) && !name.starts_with('.') {
            files.push(path.into());
        }
        if files.len() > ZONES_MAX {
            return Err(io::Error::other(format!("more than {ZONES_MAX} zone files")));
        }
    }
    files.sort();
    Ok(files)
}

const SUFFIX: &str = ".zone";

/// Most zone files of a folder. Source: none, chosen: each is looked at every second.
const ZONES_MAX: usize = 10_000;

#[cfg(test)]
#[path = "load_tests.rs"]
mod tests;
