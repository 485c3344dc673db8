//! What can be wrong with the file, and what is told of it.

use std::{io, path::Path};

use crate::publish::journal::{JournalError, decode::RecordError};

/// What went wrong at the file.
#[derive(Debug)]
pub(super) enum Problem {
    Redb(Box<redb::Error>),
    Record { table: &'static str, error: RecordError },
    Torn(String),
    Foreign(String),
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            // What the system said, without redb's words around it.
            Problem::Redb(error) => match &**error {
                redb::Error::Io(error) => error.fmt(f),
                error => error.fmt(f),
            },
            Problem::Record { table, error } => write!(f, "table {table}: {error}"),
            Problem::Torn(text) | Problem::Foreign(text) => f.write_str(text),
        }
    }
}

macro_rules! from_redb {
    ($($error:ty),*) => {
        $(impl From<$error> for Problem {
            fn from(error: $error) -> Problem {
                Problem::Redb(Box::new(redb::Error::from(error)))
            }
        })*
    };
}

from_redb!(
    io::Error,
    redb::Error,
    redb::DatabaseError,
    redb::TransactionError,
    redb::TableError,
    redb::StorageError,
    redb::CommitError
);

/// Why the journal is not opened, given what went wrong.
pub(super) fn refusal(path: &Path, problem: Problem) -> JournalError {
    use redb::Error;

    let directory = || path.parent().unwrap_or(path).to_owned();
    let text = problem.to_string();
    let path = path.to_owned();
    let error = match problem {
        Problem::Foreign(problem) => return JournalError::Foreign { path, problem },
        Problem::Torn(_) | Problem::Record { .. } => return JournalError::Torn { path, problem: text },
        Problem::Redb(error) => *error,
    };
    match error {
        Error::DatabaseAlreadyOpen => JournalError::InUse { directory: directory() },
        Error::Io(source) => match source.kind() {
            // redb's word for a file that does not begin as its files do.
            io::ErrorKind::InvalidData => JournalError::Foreign { path, problem: text },
            io::ErrorKind::UnexpectedEof => JournalError::Torn { path, problem: "it ends early".to_owned() },
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                JournalError::Unwritable { directory: directory(), problem: source }
            }
            _ => JournalError::Disk { path, problem: text },
        },
        Error::UpgradeRequired(_)
        | Error::TableDoesNotExist(_)
        | Error::TableTypeMismatch { .. }
        | Error::TypeDefinitionChanged { .. }
        | Error::TableIsMultimap(_) => JournalError::Foreign { path, problem: text },
        Error::Corrupted(_) | Error::RepairAborted => JournalError::Torn { path, problem: text },
        _ => JournalError::Disk { path, problem: text },
    }
}
