//! What a call ends with when it does not succeed.

use std::fmt;

/// Why a call has no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No member answers, or the one that was asked broke off or was too slow; what was asked may have been done. Later it
    /// may succeed.
    #[error("etcd {endpoint}: {problem}")]
    Unavailable {
        /// The member, or all of them.
        endpoint: String,
        /// What it did.
        problem: String,
    },
    /// The member knows no leader, so that nothing was done. Later it may succeed.
    #[error("etcd {endpoint}: it knows no leader; more than half of the members must run and reach each other")]
    NoLeader {
        /// The member.
        endpoint: String,
    },
    /// The state that was asked for is no longer kept.
    #[error("etcd has compacted this revision")]
    Compacted,
    /// The state that is to be gone on from is not there yet: this etcd was wiped, or is another one.
    #[error("etcd is at revision {revision}, before what it once had; it was wiped, or restored from a backup")]
    WentBack {
        /// Where it is.
        revision: i64,
    },
    /// There is no such lease, or no longer.
    #[error("etcd knows no such lease")]
    LeaseGone,
    /// It does not do this, and will not later.
    #[error("etcd refuses: {0}")]
    Refused(Refusal),
    /// What came is not what etcd says.
    #[error("etcd {endpoint}: what came is nothing of an etcd 3.4 or later: {problem}")]
    Broken {
        /// The member.
        endpoint: String,
        /// What is wrong with it.
        problem: String,
    },
}

/// What an etcd does not do, and what helps.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It knows no such user, or another password.
    #[error("user or password is wrong; check the user in store (etcd://USER@HOST) and the file store_password_file")]
    Password,
    /// It wants to know who asks.
    #[error(
        "it wants a user; name one in store (etcd://USER@HOST) with its password in store_password_file, or show a \
         certificate whose common name is a user"
    )]
    NoUser,
    /// The user may not do this.
    #[error("the user may not; allow it: etcdctl role grant-permission ROLE --prefix=true readwrite PREFIX/")]
    Permission,
    /// What was sent is too large for it.
    #[error("the request is too large for it; raise its --max-request-bytes, or write less in one value")]
    TooLarge,
    /// A transaction has too many operations for it.
    #[error("the transaction has too many operations for it; raise its --max-txn-ops")]
    TooManyOperations,
    /// Its database is full.
    #[error(
        "its database is full; compact and defragment it and disarm the alarm (etcdctl compact, defrag, alarm disarm), or \
         raise its --quota-backend-bytes"
    )]
    NoSpace,
    /// What it would answer is too large for us.
    #[error("an answer has more than {0} bytes; one value of that size is not for a catalog")]
    AnswerTooLarge(usize),
    /// It says so itself.
    #[error("{0}")]
    Other(String),
}

impl Error {
    /// Whether it was for the member or its cluster alone, so that the same may succeed later or elsewhere.
    pub fn is_passing(&self) -> bool {
        matches!(self, Error::Unavailable { .. } | Error::NoLeader { .. } | Error::Broken { .. })
    }
}

/// Why one attempt at one member failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    /// The connection had ended before.
    NotSent(String),
    /// The connection ended, or the stream.
    BrokenOff(String),
    /// Nothing came in time.
    Silent,
    /// It said no: gRPC's code, and etcd's words.
    Status(u32, String),
    /// A message is longer than it may be: than so many bytes.
    TooLong(usize),
    /// What came is not gRPC, or not the message that it should be.
    Malformed(String),
}

impl Failure {
    pub(super) fn malformed(problem: impl fmt::Display) -> Failure {
        Failure::Malformed(problem.to_string())
    }

    /// Whether what was asked for was certainly not done.
    pub(super) fn is_undone(&self) -> bool {
        match self {
            Failure::NotSent(_) => true,
            Failure::Status(_, message) => message.contains(NO_LEADER) || message.contains(TOO_MANY_REQUESTS),
            _ => false,
        }
    }

    /// Whether a new token may help. etcd asks for a name where it was given none.
    pub(super) fn is_of_the_token(&self) -> bool {
        match self {
            Failure::Status(UNAUTHENTICATED, _) => true,
            Failure::Status(_, message) => [OLD_TOKEN, NO_USER].iter().any(|words| message.contains(words)),
            _ => false,
        }
    }

    /// Whether the cluster asks nobody who he is.
    pub(super) fn is_without_users(&self) -> bool {
        matches!(self, Failure::Status(_, message) if message.contains("authentication is not enabled"))
    }

    /// What it means for the caller.
    pub(super) fn at(self, endpoint: &str) -> Error {
        let endpoint = endpoint.to_owned();
        match self {
            Failure::NotSent(problem) | Failure::BrokenOff(problem) => Error::Unavailable { endpoint, problem },
            Failure::Silent => Error::Unavailable { endpoint, problem: "no answer in time".to_owned() },
            Failure::TooLong(max_bytes) => Error::Refused(Refusal::AnswerTooLarge(max_bytes)),
            Failure::Malformed(problem) => Error::Broken { endpoint, problem },
            Failure::Status(code, message) => of_status(endpoint, code, message),
        }
    }
}

fn of_status(endpoint: String, code: u32, message: String) -> Error {
    let says = |words: &str| message.contains(words);
    match code {
        UNAVAILABLE if says(NO_LEADER) => Error::NoLeader { endpoint },
        UNIMPLEMENTED => Error::Broken { endpoint, problem: message },
        _ if code == PERMISSION_DENIED || says("permission denied") => Error::Refused(Refusal::Permission),
        _ if says("requested lease not found") => Error::LeaseGone,
        _ if says(COMPACTED) => Error::Compacted,
        _ if says("invalid user ID or password") => Error::Refused(Refusal::Password),
        _ if says(NO_USER) => Error::Refused(Refusal::NoUser),
        _ if says("request is too large") || says("larger than max") => Error::Refused(Refusal::TooLarge),
        _ if says("too many operations") => Error::Refused(Refusal::TooManyOperations),
        _ if says("database space exceeded") => Error::Refused(Refusal::NoSpace),
        _ if says(TOO_MANY_REQUESTS) || says("not leader") || says(OLD_TOKEN) => {
            Error::Unavailable { endpoint, problem: message }
        }
        CANCELLED | UNKNOWN | DEADLINE_EXCEEDED | INTERNAL | UNAVAILABLE | UNAUTHENTICATED => {
            Error::Unavailable { endpoint, problem: message }
        }
        _ => Error::Refused(Refusal::Other(message)),
    }
}

/// Source: gRPC's list of status codes.
const CANCELLED: u32 = 1;
pub(super) const UNKNOWN: u32 = 2;
const DEADLINE_EXCEEDED: u32 = 4;
const PERMISSION_DENIED: u32 = 7;
pub(super) const ABORTED: u32 = 10;
pub(super) const OUT_OF_RANGE: u32 = 11;
const UNIMPLEMENTED: u32 = 12;
const INTERNAL: u32 = 13;
pub(super) const UNAVAILABLE: u32 = 14;
const UNAUTHENTICATED: u32 = 16;

/// Source: etcd's errors, as its clients tell them apart: by their words.
pub(super) const NO_LEADER: &str = "etcdserver: no leader";
pub(super) const COMPACTED: &str = "revision has been compacted";
const TOO_MANY_REQUESTS: &str = "too many requests";
const OLD_TOKEN: &str = "revision of auth store is old";
const NO_USER: &str = "user name is empty";
