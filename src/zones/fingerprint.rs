//! Tells whether the files of a folder changed: by name, size, inode and time of modification.
//!
//! ```no_run
//! use nameplate::zones::fingerprint::Fingerprint;
//! let before = Fingerprint::of("zones".as_ref(), &["zone"])?;
//! // a second later
//! let has_changed = Fingerprint::of("zones".as_ref(), &["zone"])? != before;
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! Taken before and after reading the files, it also tells whether they were being written meanwhile: then what was read
//! may be half of a file, and is read again.
//!
//! **Limits:** 10,000 files; a change that keeps size, inode and time is not seen. Costs one `stat` a file.

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// The state of some files at one moment; equal as long as none of them changed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fingerprint {
    /// None for a file that is not there or cannot be looked at.
    files: BTreeMap<PathBuf, Option<FileState>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileState {
    device: u64,
    inode: u64,
    size_bytes: u64,
    modified_secs: i64,
    modified_nanos: i64,
}

impl Fingerprint {
    /// The state of all files of a folder whose names end in `.` and one of the extensions; names that begin with a
    /// dot are left out. Links are followed.
    pub fn of(dir: &Path, extensions: &[&str]) -> io::Result<Fingerprint> {
        let mut fingerprint = Fingerprint::default();
        for entry in fs::read_dir(dir)? {
            let path = entry?.path();
            let is_hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
            let extension = path.extension().and_then(|extension| extension.to_str());
            if is_hidden || !extension.is_some_and(|extension| extensions.contains(&extension)) {
                continue;
            }
            if fingerprint.files.len() >= FILES_MAX {
                return Err(io::Error::other(format!("more than {FILES_MAX} files to watch in {}", dir.display())));
            }
            fingerprint.add_file(&path);
        }
        Ok(fingerprint)
    }

    /// Watches one file more, wherever it is; it need not exist.
    pub fn add_file(&mut self, path: &Path) {
        let state = fs::metadata(path).ok().map(|metadata| FileState {
            device: metadata.dev(),
            inode: metadata.ino(),
            size_bytes: metadata.size(),
            modified_secs: metadata.mtime(),
            modified_nanos: metadata.mtime_nsec(),
        });
        self.files.insert(path.to_path_buf(), state);
    }
}

/// Most files of one folder. Source: none, chosen: each is looked at every second.
const FILES_MAX: usize = 10_000;

#[cfg(test)]
#[path = "fingerprint_tests.rs"]
mod tests;
