//! Where the journal's file is: how it is made, kept for this process alone, and opened.

use std::{
    fs::{DirBuilder, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use redb::{Builder, Database, StorageBackend};

use crate::publish::journal::{
    FILE_NAME, JournalError, Place, Tuning,
    problem::{Problem, refusal},
    store::{guarded, initialise},
};

/// Where the file is.
#[derive(Debug)]
pub(super) enum Site {
    Directory {
        file: PathBuf,
        /// Held while the journal is open, also between closing the file and opening it anew.
        _lock: File,
    },
    Backend(Arc<Box<dyn StorageBackend>>),
}

impl Site {
    /// Sees to it that there is a file; tells whether it was made just now.
    pub(super) fn prepare(place: Place, tuning: Tuning) -> Result<(Site, bool), JournalError> {
        match place {
            Place::Directory(directory) => {
                let lock = lock(&directory)?;
                let file = directory.join(FILE_NAME);
                let fresh = match file.symlink_metadata() {
                    Ok(_) => false,
                    Err(error) if error.kind() == io::ErrorKind::NotFound => true,
                    Err(problem) => return Err(JournalError::Unwritable { directory, problem }),
                };
                if fresh {
                    make(&directory, &file, tuning)?;
                }
                Ok((Site::Directory { file, _lock: lock }, fresh))
            }
            Place::Backend(backend) => {
                let site = Site::Backend(Arc::new(backend));
                let fresh = guarded(|| site.make_if_empty(tuning)).map_err(|problem| refusal(&site.path(), problem))?;
                Ok((site, fresh))
            }
            Place::Ephemeral { .. } => unreachable!("memory alone has no file"),
        }
    }

    fn make_if_empty(&self, tuning: Tuning) -> Result<bool, Problem> {
        match self {
            Site::Backend(backend) if backend.len()? == 0 => {
                let database = builder().create_with_backend(Handle(Arc::clone(backend)))?;
                initialise(&database, tuning)?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    pub(super) fn open(&self) -> Result<Database, Problem> {
        match self {
            Site::Directory { file, .. } => {
                if file.metadata()?.len() == 0 {
                    return Err(Problem::Torn("it is empty".to_owned()));
                }
                Ok(builder().open(file)?)
            }
            Site::Backend(backend) => Ok(builder().create_with_backend(Handle(Arc::clone(backend)))?),
        }
    }

    pub(super) fn path(&self) -> PathBuf {
        match self {
            Site::Directory { file, .. } => file.clone(),
            Site::Backend(_) => PathBuf::from(FILE_NAME),
        }
    }
}

/// The caller's storage, which redb closes when it fails, and which must outlive that.
#[derive(Debug)]
struct Handle(Arc<Box<dyn StorageBackend>>);

impl StorageBackend for Handle {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write(offset, data)
    }
}

/// Makes the directory if it is missing, and keeps other processes out of it.
fn lock(directory: &Path) -> Result<File, JournalError> {
    let unwritable = |problem| JournalError::Unwritable { directory: directory.to_owned(), problem };
    DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(unwritable)?;
    let lock = File::open(directory).map_err(unwritable)?;
    match lock.try_lock() {
        Err(TryLockError::WouldBlock) => Err(JournalError::InUse { directory: directory.to_owned() }),
        // Some file systems lock no directories; redb locks the file besides.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(lock),
    }
}

/// Makes the file under another name first, so that under its own it is always whole.
fn make(directory: &Path, file: &Path, tuning: Tuning) -> Result<(), JournalError> {
    let unwritable = |problem| JournalError::Unwritable { directory: directory.to_owned(), problem };
    let new = directory.join(format!("{FILE_NAME}.new"));
    let options = {
        let mut options = OpenOptions::new();
        // What an interrupted start left is of no worth: nothing was acknowledged yet.
        options.read(true).write(true).create(true).truncate(true).mode(0o600);
        options
    };
    let empty = options.open(&new).map_err(unwritable)?;
    guarded(|| {
        let database = builder().create_file(empty)?;
        initialise(&database, tuning)?;
        Ok(())
    })
    .map_err(|problem| refusal(&new, problem))?;
    File::open(&new).and_then(|made| made.sync_all()).map_err(unwritable)?;
    std::fs::rename(&new, file).map_err(unwritable)?;
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(unwritable)
}

fn builder() -> Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

/// Memory for pages of the file. Source: DESIGN.md; redb's own default is 1 GiB.
const CACHE_BYTES: usize = 32 << 20;
