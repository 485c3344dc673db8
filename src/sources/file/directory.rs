//! The files of a directory: which there are, which changed, and what each last held that was good.

use std::{
    collections::BTreeMap,
    fs, io,
    io::Read,
    path::{Path, PathBuf},
};

use super::{FileProblem, toml_tree};
use crate::{
    catalog::{
        definition::{self, FileDefinitions, Owner, json},
        policy::ScriptChecks,
    },
    fingerprint::{FileState, Fingerprint, Watched},
};

/// A directory as it was last seen.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    owner: Owner,
    script_checks: ScriptChecks,
    files: BTreeMap<PathBuf, SeenFile>,
}

#[derive(Debug)]
struct SeenFile {
    /// None: to be read again.
    state: Option<FileState>,
    last_good: Option<FileDefinitions>,
    /// What is said of it: why it was refused, or what its author should know.
    reports: Vec<FileProblem>,
    refused: bool,
}

impl Directory {
    pub(super) fn new(path: PathBuf, owner: Owner, script_checks: ScriptChecks) -> Directory {
        Directory { path, owner, script_checks, files: BTreeMap::new() }
    }

    /// Looks at the directory and reads what is new or changed; says whether anything was. On an error, and then only,
    /// nothing is known of what there is now, and all stays as it was.
    pub(super) fn look(&mut self) -> io::Result<bool> {
        let present = Fingerprint::of(&self.path, WATCHED)?;
        let present: BTreeMap<&Path, FileState> = present.files().collect();
        let known = self.files.len();
        self.files.retain(|path, _| present.contains_key(path.as_path()));
        let mut changed = self.files.len() != known;
        for (path, state) in present {
            let before = self.files.get(path);
            if before.is_some_and(|seen| seen.state == Some(state)) {
                continue;
            }
            changed = true;
            let last_good = before.and_then(|seen| seen.last_good.clone());
            let read = read(path, &self.owner).and_then(|decoded| may_run(decoded, self.script_checks));
            let seen = match read {
                Ok(decoded) => SeenFile {
                    state: Some(state),
                    last_good: Some(decoded.value),
                    reports: decoded.notices.into_iter().map(|problem| FileProblem { line: 0, problem }).collect(),
                    refused: false,
                },
                Err(problem) => SeenFile { state: Some(state), last_good, reports: vec![problem], refused: true },
            };
            self.files.insert(path.to_owned(), seen);
        }
        Ok(changed)
    }

    /// Makes the next look read every file again.
    pub(super) fn forget(&mut self) {
        for seen in self.files.values_mut() {
            seen.state = None;
        }
    }

    /// The last good definitions of each file, in the order of the names.
    pub(super) fn definitions(&self) -> impl Iterator<Item = (&Path, &FileDefinitions)> + Clone {
        self.files.iter().filter_map(|(path, seen)| Some((path.as_path(), seen.last_good.as_ref()?)))
    }

    /// What is to be said of the files, and whether the file was refused for it.
    pub(super) fn reports(&self) -> impl Iterator<Item = (&Path, &FileProblem, bool)> {
        self.files
            .iter()
            .flat_map(|(path, seen)| seen.reports.iter().map(move |report| (path.as_path(), report, seen.refused)))
    }

    /// Files that were never good since the server started.
    pub(super) fn never_good(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().filter(|(_, seen)| seen.last_good.is_none()).map(|(path, _)| path.as_path())
    }
}

#[derive(Clone, Copy)]
enum Format {
    Json,
    Toml,
}

fn format(path: &Path) -> Option<Format> {
    let extension = path.extension()?.to_str()?;
    if extension.eq_ignore_ascii_case("json") {
        Some(Format::Json)
    } else if extension.eq_ignore_ascii_case("toml") {
        Some(Format::Toml)
    } else {
        None
    }
}

fn read(path: &Path, owner: &Owner) -> Result<definition::Decoded<FileDefinitions>, FileProblem> {
    let unread = |error: io::Error| FileProblem { line: 0, problem: format!("cannot be read: {error}") };
    let mut bytes = Vec::new();
    fs::File::open(path).and_then(|file| file.take(FILE_MAX_BYTES + 1).read_to_end(&mut bytes)).map_err(unread)?;
    if bytes.len() as u64 > FILE_MAX_BYTES {
        return Err(FileProblem { line: 0, problem: format!("is larger than {FILE_MAX_BYTES} bytes") });
    }
    let tree = match format(path) {
        Some(Format::Toml) => {
            let text = std::str::from_utf8(&bytes).map_err(|error| FileProblem {
                line: line_of(&bytes, error.valid_up_to()),
                problem: "is not UTF-8 text".to_owned(),
            })?;
            toml_tree::parse(text)?
        }
        _ => json::parse(&bytes).map_err(|error| FileProblem { line: error.line, problem: error.to_string() })?,
    };
    definition::file(&tree, owner).map_err(|error| FileProblem { line: error.line, problem: error.to_string() })
}

/// Refuses what runs commands where that is not enabled.
fn may_run(
    decoded: definition::Decoded<FileDefinitions>,
    scripts: ScriptChecks,
) -> Result<definition::Decoded<FileDefinitions>, FileProblem> {
    let found = &decoded.value;
    let of_services = found.services.iter().flat_map(|one| one.value.checks.iter().map(|check| (one.line, check)));
    let mut all = of_services.chain(found.checks.iter().map(|one| (one.line, &one.value)));
    match all.find_map(|(line, check)| Some((line, scripts.refusal(check)?))) {
        Some((line, problem)) => Err(FileProblem { line, problem }),
        None => Ok(decoded),
    }
}

/// The line, from 1, of the byte at this place.
fn line_of(bytes: &[u8], at: usize) -> u32 {
    let ends = bytes.iter().take(at).filter(|byte| **byte == b'\n').count();
    u32::try_from(ends).unwrap_or(u32::MAX).saturating_add(1)
}

/// Definitions, and how many files of them. Source: none, chosen.
const WATCHED: Watched<'_> = Watched { extensions: &["json", "toml"], files_max: 4096 };

/// Largest file. Source: none, chosen: as a registration's body by HTTP.
const FILE_MAX_BYTES: u64 = 1024 * 1024;
