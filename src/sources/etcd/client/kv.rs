//! Reading keys, and changing them in transactions.

use super::{
    Client, Repeat,
    connection::RANGE,
    error::{Error, Refusal},
    messages::{
        CompareRequest, CompareWith, DeleteRangeRequest, Header, KeyValue, PutRequest, RangeRequest, RangeResponse,
        Request, RequestOp, Response, TxnRequest, TxnResponse,
    },
};

/// Keys that were read, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// Of which state: its revision is that of the state that was listed.
    pub header: Header,
    /// What is there.
    pub key_values: Vec<KeyValue>,
}

/// Reads what begins with a prefix in pages, all of one state: that of the first page, unless another is given.
#[derive(Debug)]
pub struct Pages {
    client: Client,
    request: RangeRequest,
    progress: Progress,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    More,
    Done,
}

/// Changes that are made as one, or not at all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Txn {
    /// What must hold, all of it.
    pub compares: Vec<Compare>,
    /// What is done if it does.
    pub then: Vec<Op>,
    /// What is done if it does not.
    pub otherwise: Vec<Op>,
}

/// What a transaction looks at. A key that is not there has revisions, version and lease 0, and compares with no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compare {
    /// The key, or the first of several.
    pub key: Vec<u8>,
    /// The first key after several, of which each must compare so; a zero: to the end of all; empty: it is the key alone.
    pub end: Vec<u8>,
    /// How it compares.
    pub is: Is,
    /// With what.
    pub with: With,
}

/// How what a key has compares with something, with the protocol's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Is {
    /// It is the same.
    Equal = 0,
    /// What the key has is greater.
    Greater = 1,
    /// What the key has is less.
    Less = 2,
    /// It is not the same.
    NotEqual = 3,
}

/// What is compared with what a key has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum With {
    /// With how often it was put.
    Version(i64),
    /// With the revision in which it came.
    CreateRevision(i64),
    /// With the revision of its last change.
    ModRevision(i64),
    /// With its value.
    Value(Vec<u8>),
    /// With its lease.
    Lease(i64),
}

/// One operation of a transaction. etcd refuses two changes of the same key in one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// Puts a value.
    Put {
        /// Of this key.
        key: Vec<u8>,
        /// It.
        value: Vec<u8>,
        /// Goes with this lease; 0 is none.
        lease: i64,
    },
    /// Puts a value at a key that is there, which goes with its lease as before. etcd refuses it where nothing is.
    Replace {
        /// Of this key.
        key: Vec<u8>,
        /// It.
        value: Vec<u8>,
    },
    /// Deletes a key.
    Delete(Vec<u8>),
    /// Deletes all keys with this prefix.
    DeletePrefix(Vec<u8>),
    /// Reads a key.
    Get(Vec<u8>),
    /// Reads keys with this prefix, at most so many.
    Range(Vec<u8>, u32),
}

/// What a transaction did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TxnDone {
    /// Its revision is that of the changes, if there were any.
    pub header: Header,
    /// Whether all that was compared held.
    pub succeeded: bool,
    /// What each operation of the branch did, in their order.
    pub done: Vec<Done>,
}

/// What an operation did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Done {
    /// A put.
    Put,
    /// So many keys were deleted.
    Deleted(u64),
    /// What was read.
    Read(Vec<KeyValue>),
}

impl Client {
    /// Reads a key, as a majority has it.
    pub async fn get(&self, key: &[u8]) -> Result<(Header, Option<KeyValue>), Error> {
        let request = RangeRequest { key: key.to_vec(), ..RangeRequest::default() };
        let answer: RangeResponse = self.call(RANGE, &request, Repeat::Always).await?;
        Ok((self.header(answer.header)?, answer.kvs.into_iter().next()))
    }

    /// Reads what begins with a prefix, in pages: the state of this revision, or the newest that a majority has.
    ///
    /// At most [`LISTING_MAX_BYTES`], which are held; [`Client::pages`] holds a page at a time.
    pub async fn range(&self, prefix: &[u8], revision: Option<i64>) -> Result<Listing, Error> {
        let mut pages = self.pages(prefix, revision);
        let mut listing: Option<Listing> = None;
        let mut bytes = 0;
        while let Some(page) = pages.next().await? {
            bytes += page.key_values.iter().map(held_bytes).sum::<usize>();
            if bytes > LISTING_MAX_BYTES {
                return Err(Error::Refused(Refusal::AnswerTooLarge(LISTING_MAX_BYTES)));
            }
            match &mut listing {
                None => listing = Some(page),
                Some(listing) => listing.key_values.extend(page.key_values),
            }
        }
        Ok(listing.expect("the first page is always there"))
    }

    /// Reads what begins with a prefix, a page each time it is asked.
    pub fn pages(&self, prefix: &[u8], revision: Option<i64>) -> Pages {
        let request = RangeRequest {
            key: start_of(prefix),
            range_end: end_of(prefix),
            limit: PAGE_KEYS,
            revision: revision.unwrap_or_default(),
            ..RangeRequest::default()
        };
        Pages { client: self.clone(), request, progress: Progress::More }
    }

    /// Makes changes as one. When it ends with [`Error::Unavailable`] or [`Error::Broken`], they may have been made.
    pub async fn txn(&self, txn: Txn) -> Result<TxnDone, Error> {
        let (then, otherwise) = (txn.then.len(), txn.otherwise.len());
        let operations = |ops: Vec<Op>| ops.into_iter().map(|op| RequestOp { request: Some(op.request()) }).collect();
        let request = TxnRequest {
            compare: txn.compares.into_iter().map(Compare::request).collect(),
            success: operations(txn.then),
            failure: operations(txn.otherwise),
        };
        let answer: TxnResponse = self.call(TXN, &request, Repeat::UnlessDone).await?;
        if answer.responses.len() != if answer.succeeded { then } else { otherwise } {
            return Err(self.broken("a transaction with results of other operations"));
        }
        let done = answer.responses.into_iter().map(|response| match response.response {
            Some(Response::Put(_)) => Ok(Done::Put),
            Some(Response::DeleteRange(range)) => Ok(Done::Deleted(u64::try_from(range.deleted).unwrap_or_default())),
            Some(Response::Range(range)) => Ok(Done::Read(range.kvs)),
            None => Err(self.broken("a transaction with an operation without a result")),
        });
        let done = done.collect::<Result<_, _>>()?;
        Ok(TxnDone { header: self.header(answer.header)?, succeeded: answer.succeeded, done })
    }
}

impl Pages {
    /// The next page; none after the last. The first may be empty.
    pub async fn next(&mut self) -> Result<Option<Listing>, Error> {
        if self.progress == Progress::Done {
            return Ok(None);
        }
        let answer = self.page().await?;
        let mut header = self.client.header(answer.header)?;
        if self.request.revision == 0 {
            self.request.revision = header.revision;
        }
        header.revision = self.request.revision;
        match answer.kvs.last() {
            _ if !answer.more => self.progress = Progress::Done,
            // What follows the last key is the same with a zero behind it.
            Some(last) if last.key >= self.request.key => self.request.key = [last.key.as_slice(), &[0]].concat(),
            _ => return Err(self.client.broken("a page that leads nowhere")),
        }
        Ok(Some(Listing { header, key_values: answer.kvs }))
    }

    /// The next page, made smaller until it can be read.
    async fn page(&mut self) -> Result<RangeResponse, Error> {
        loop {
            match self.client.call(RANGE, &self.request, Repeat::Always).await {
                Err(Error::Refused(Refusal::AnswerTooLarge(_))) if self.request.limit > 1 => self.request.limit /= 2,
                answered => return answered,
            }
        }
    }
}

impl Compare {
    /// That a key is not there.
    pub fn absent(key: Vec<u8>) -> Compare {
        Compare::one(key, Is::Equal, With::CreateRevision(0))
    }

    /// That a key is there.
    pub fn present(key: Vec<u8>) -> Compare {
        Compare::one(key, Is::Greater, With::CreateRevision(0))
    }

    /// That a key has not changed since this revision.
    pub fn unchanged(key: Vec<u8>, mod_revision: i64) -> Compare {
        Compare::one(key, Is::Equal, With::ModRevision(mod_revision))
    }

    /// That no key with this prefix came or changed after this revision; one may have gone.
    pub fn none_after(prefix: &[u8], revision: i64) -> Compare {
        let with = With::ModRevision(revision.saturating_add(1));
        Compare { key: start_of(prefix), end: end_of(prefix), is: Is::Less, with }
    }

    /// That a key compares so.
    pub fn one(key: Vec<u8>, is: Is, with: With) -> Compare {
        Compare { key, end: Vec::new(), is, with }
    }

    fn request(self) -> CompareRequest {
        let (target, with) = match self.with {
            With::Version(version) => (0, CompareWith::Version(version)),
            With::CreateRevision(revision) => (1, CompareWith::CreateRevision(revision)),
            With::ModRevision(revision) => (2, CompareWith::ModRevision(revision)),
            With::Value(value) => (3, CompareWith::Value(value)),
            With::Lease(lease) => (4, CompareWith::Lease(lease)),
        };
        CompareRequest { result: self.is as i32, target, key: self.key, with: Some(with), range_end: self.end }
    }
}

impl Op {
    fn request(self) -> Request {
        let range =
            |key: &[u8], range_end, limit| RangeRequest { key: key.to_vec(), range_end, limit, ..Default::default() };
        match self {
            Op::Put { key, value, lease } => Request::Put(PutRequest { key, value, lease, ignore_lease: false }),
            Op::Replace { key, value } => Request::Put(PutRequest { key, value, lease: 0, ignore_lease: true }),
            Op::Delete(key) => Request::DeleteRange(DeleteRangeRequest { key, range_end: Vec::new() }),
            Op::DeletePrefix(prefix) => {
                Request::DeleteRange(DeleteRangeRequest { key: start_of(&prefix), range_end: end_of(&prefix) })
            }
            Op::Get(key) => Request::Range(range(&key, Vec::new(), 0)),
            Op::Range(prefix, most) => {
                Request::Range(range(&start_of(&prefix), end_of(&prefix), i64::from(most.max(1))))
            }
        }
    }
}

/// What a key and its value take while they are held.
pub(super) fn held_bytes(key_value: &KeyValue) -> usize {
    size_of::<KeyValue>() + key_value.key.len() + key_value.value.len()
}

/// The first key that can have a prefix. No key is empty.
pub(super) fn start_of(prefix: &[u8]) -> Vec<u8> {
    if prefix.is_empty() { vec![0] } else { prefix.to_vec() }
}

/// The first key after all that begin with a prefix; a zero is etcd's word for the end of all.
pub(super) fn end_of(prefix: &[u8]) -> Vec<u8> {
    match prefix.iter().rposition(|byte| *byte != u8::MAX) {
        Some(last) => [&prefix[..last], &[prefix[last] + 1]].concat(),
        None => vec![0],
    }
}

const TXN: &str = "/etcdserverpb.KV/Txn";

/// Most keys of a page. Source: none, chosen: a page of instances has some hundred kilobytes, which take some milliseconds.
const PAGE_KEYS: i64 = 1000;

/// Most that [`Client::range`] holds. Source: none, chosen: a million instances of 1 KiB each.
pub const LISTING_MAX_BYTES: usize = 1 << 30;

#[cfg(test)]
#[path = "kv_tests.rs"]
mod tests;
