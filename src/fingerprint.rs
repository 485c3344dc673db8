//! Tells whether the files of a folder changed: by name, size, inode and time of modification.
//!
//! ```no_run
//! use nameplate::fingerprint::{Fingerprint, Watched};
//! let watched = Watched { extensions: &["zone"], files_max: 10_000 };
//! let before = Fingerprint::of("zones".as_ref(), watched)?;
//! // a second later
//! let has_changed = Fingerprint::of("zones".as_ref(), watched)? != before;
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! Taken before and after reading the files, it also tells whether they were being written meanwhile: then what was read
//! may be half of a file, and is read again.
//!
//! **Limits:** a change that keeps size, inode and time is not seen. Costs one `stat` a file.

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// The state of some files at one moment; equal as long as none of them changed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fingerprint {
    /// None for what is not there, is no file, or cannot be looked at.
    files: BTreeMap<PathBuf, Option<FileState>>,
}

/// Which files of a folder are looked at.
#[derive(Debug, Clone, Copy)]
pub struct Watched<'a> {
    /// What their names end in, after a dot, in letters of either case.
    pub extensions: &'a [&'a str],
    /// Most of them; more are an error.
    pub files_max: usize,
}

/// The state of one file at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileState {
    device: u64,
    inode: u64,
    size_bytes: u64,
    modified_secs: i64,
    modified_nanos: i64,
}

impl Fingerprint {
    /// The state of the files of a folder that are to be looked at; names that begin with a dot are left out. Links are
    /// followed.
    pub fn of(dir: &Path, watched: Watched<'_>) -> io::Result<Fingerprint> {
        let Watched { extensions, files_max } = watched;
        let mut fingerprint = Fingerprint::default();
        for entry in fs::read_dir(dir)? {
            let path = entry?.path();
            let is_hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
            let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
            if is_hidden || !extensions.iter().any(|wanted| wanted.eq_ignore_ascii_case(extension)) {
                continue;
            }
            if fingerprint.files.len() >= files_max {
                return Err(io::Error::other(format!("more than {files_max} files to watch in {}", dir.display())));
            }
            fingerprint.add_file(&path);
        }
        Ok(fingerprint)
    }

    /// The files that are there, by name.
    pub fn files(&self) -> impl Iterator<Item = (&Path, FileState)> {
        self.files.iter().filter_map(|(path, state)| Some((path.as_path(), (*state)?)))
    }

    /// Watches one file more, wherever it is; it need not exist.
    pub fn add_file(&mut self, path: &Path) {
        let found = fs::metadata(path).ok().filter(fs::Metadata::is_file);
        let state = found.map(|metadata| FileState {
            device: metadata.dev(),
            inode: metadata.ino(),
            size_bytes: metadata.size(),
            modified_secs: metadata.mtime(),
            modified_nanos: metadata.mtime_nsec(),
        });
        self.files.insert(path.to_path_buf(), state);
    }
}

#[cfg(test)]
#[path = "fingerprint_tests.rs"]
mod tests;
