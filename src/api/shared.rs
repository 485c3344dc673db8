//! Answers of reads, each made once for all who ask alike.
//!
//! Reads that are spelled alike, by callers of the same rights, have the same answer from the same snapshot: the first of them
//! makes it, and the others, those that were woken together and those that come later, get the same bytes, compressed once
//! if at all. An answer is worth nothing when another snapshot is published, or a heartbeat said something new, which is in no
//! snapshot.
//!
//! **Limits:** at most 64 MiB and 16,384 answers are kept, those that were asked for last; one over 4 MiB only while somebody
//! is being sent it. Reads that mean the same and are spelled otherwise share nothing.

use std::{
    hash::{BuildHasher, Hash},
    io::Write as _,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
};
use flate2::{Compression, write::GzEncoder};
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use tokio::sync::OnceCell;

use super::{
    Api,
    respond::{ApiError, made},
};
use crate::{
    access::Authorizer,
    publish::{snapshot::Snapshot, watch::Published},
};

/// All that an answer depends on, besides what is published.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Question {
    /// The route.
    pub(super) path: &'static str,
    /// Its open part.
    pub(super) last: Option<String>,
    /// The parameters, without those that only tell for how long to wait, and who asks.
    pub(super) parameters: Vec<(String, String)>,
    /// What the caller may do.
    pub(super) authorizer: Arc<Authorizer>,
}

/// A question, and how the caller wants the answer.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) question: Question,
    /// Whether it may be compressed.
    pub(super) gzip: bool,
}

/// Answers a question about the current snapshot with a response of so many elements.
pub(super) async fn shared(
    api: &Api,
    asked: Asked,
    elements: usize,
    make: impl FnOnce(&Snapshot) -> Result<Response, ApiError> + Send + 'static,
) -> Result<Response, ApiError> {
    let Asked { question, gzip } = asked;
    // First, so that what is said meanwhile counts against the answer.
    let said = (api.parts.said)();
    let (answer, snapshot) = api.answers.answer(&question, &api.parts.published, said);
    let mut own = false;
    let making = answer.made.get_or_try_init(async || {
        own = true;
        Ok::<_, ApiError>(Made::of(made(api, snapshot, elements, make).await?).await)
    });
    let made = making.await?;
    if own {
        api.parts.metrics.http_results_made.inc();
        api.answers.grown(&question, &answer, made.body.len());
    } else {
        api.parts.metrics.http_results_shared.inc();
    }
    let compressed = match gzip && made.body.len() >= usize::from(GZIP_LEAST_BYTES) {
        true => Some(answer.gzip.get_or_init(|| compressed(made.body.clone())).await.clone()),
        false => None,
    };
    Ok(made.response(compressed))
}

/// The answers that are kept.
#[derive(Debug)]
pub(super) struct Answers {
    hasher: RandomState,
    shards: [Mutex<Shard>; SHARDS],
}

/// Answers in two halves: when the younger is full, the older goes, but for what was asked for meanwhile.
#[derive(Debug, Default)]
struct Shard {
    young: HashMap<Question, Arc<Answer>, RandomState>,
    /// What the young ones take, roughly.
    young_bytes: usize,
    old: HashMap<Question, Arc<Answer>, RandomState>,
}

/// An answer, when it has been made.
#[derive(Debug)]
struct Answer {
    /// What it is about. Weak: the snapshot itself is let go, only its place in memory is not given to another.
    snapshot: Weak<Snapshot>,
    /// How much heartbeats had said.
    said: u64,
    /// What is an error is made anew by each.
    made: OnceCell<Made>,
    gzip: OnceCell<Bytes>,
}

/// A response of which there may be many.
#[derive(Debug)]
struct Made {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Answers {
    pub(super) fn new() -> Answers {
        Answers { hasher: RandomState::default(), shards: Default::default() }
    }

    /// The answer about the snapshot that is current now, made or not, and that snapshot.
    fn answer(&self, question: &Question, published: &Published, said: u64) -> (Arc<Answer>, Arc<Snapshot>) {
        let mut shard = self.shard(question);
        // Under the lock, so that an answer about an earlier snapshot never takes the place of one about a later.
        let now = published.load();
        let holds = |answer: &&Arc<Answer>| answer.said >= said && std::ptr::eq(answer.snapshot.as_ptr(), &*now);
        if let Some(answer) = shard.young.get(question).filter(holds) {
            return (Arc::clone(answer), now);
        }
        let kept = shard.old.remove(question);
        let answer = kept.filter(|answer| holds(&answer)).unwrap_or_else(|| Arc::new(Answer::about(&now, said)));
        shard.put(question.clone(), Arc::clone(&answer));
        (answer, now)
    }

    /// Counts what an answer takes, now that it was made.
    fn grown(&self, question: &Question, answer: &Arc<Answer>, bytes: usize) {
        let mut shard = self.shard(question);
        let kept = shard.young.get(question).is_some_and(|kept| Arc::ptr_eq(kept, answer));
        if kept && bytes > SHARD_MAX_BYTES {
            shard.young.remove(question);
        } else if kept {
            shard.young_bytes += bytes;
        }
    }

    fn shard(&self, question: &Question) -> MutexGuard<'_, Shard> {
        let shard = self.hasher.hash_one(question) as usize % SHARDS;
        self.shards[shard].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shard {
    fn put(&mut self, question: Question, answer: Arc<Answer>) {
        if self.young.len() >= SHARD_MAX || self.young_bytes >= SHARD_MAX_BYTES {
            (self.old, self.young_bytes) = (std::mem::take(&mut self.young), 0);
        }
        self.young_bytes += answer.bytes() + question.bytes();
        if let Some(before) = self.young.insert(question, answer) {
            self.young_bytes = self.young_bytes.saturating_sub(before.bytes());
        }
    }
}

impl Question {
    fn bytes(&self) -> usize {
        let parameters = self.parameters.iter().map(|(name, value)| name.len() + value.len());
        self.last.as_ref().map_or(0, String::len) + parameters.sum::<usize>()
    }
}

impl Answer {
    fn about(snapshot: &Arc<Snapshot>, said: u64) -> Answer {
        Answer { snapshot: Arc::downgrade(snapshot), said, made: OnceCell::new(), gzip: OnceCell::new() }
    }

    fn bytes(&self) -> usize {
        self.made.get().map_or(0, |made| made.body.len())
    }
}

impl Made {
    /// A response that is there as a whole.
    async fn of(response: Response) -> Made {
        let (head, body) = response.into_parts();
        // It comes out of memory, at once and without an error.
        let body = axum::body::to_bytes(body, usize::MAX).await.expect("a body in memory is whole");
        let mut headers = head.headers;
        if body.len() >= usize::from(GZIP_LEAST_BYTES) {
            headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
        }
        Made { status: head.status, headers, body }
    }

    fn response(&self, compressed: Option<Bytes>) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers.clone();
        *response.body_mut() = Body::from(match compressed {
            None => self.body.clone(),
            Some(compressed) => {
                response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
                compressed
            }
        });
        response
    }
}

/// The same as gzip. What takes long is done on a thread of its own.
async fn compressed(body: Bytes) -> Bytes {
    let long = body.len() > LONG_BYTES;
    let compress = move || {
        let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
        let written = encoder.write_all(&body).and_then(|()| encoder.finish());
        Bytes::from(written.expect("writing to memory does not fail"))
    };
    if !long {
        return compress();
    }
    tokio::task::spawn_blocking(compress).await.expect("compressing does not panic")
}

/// Whether a client takes gzip.
pub(super) fn accepts_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT_ENCODING).into_iter().filter_map(|value| value.to_str().ok());
    let mut codings = values.flat_map(|value| value.split(','));
    codings.any(|coding| {
        let (name, quality) = coding.split_once(';').unwrap_or((coding, "q=1"));
        let quality = quality.trim().strip_prefix("q=").and_then(|quality| quality.parse::<f32>().ok());
        ["gzip", "x-gzip", "*"].iter().any(|known| name.trim().eq_ignore_ascii_case(known))
            && quality.is_none_or(|quality| quality > 0.0)
    })
}

/// A shorter response is not compressed, whoever asks for it. Source: none, chosen: it fits into one packet.
pub(super) const GZIP_LEAST_BYTES: u16 = 1024;

/// A longer response is compressed on a thread of its own. Source: none, chosen: a millisecond of work.
const LONG_BYTES: usize = 128 << 10;

/// Parts of which each has a lock. Source: none, chosen: more than the threads that answer on a common machine.
const SHARDS: usize = 8;

/// Most answers of half a part. Source: none, chosen: 16,384 altogether.
const SHARD_MAX: usize = 1024;

/// Most bytes of half a part. Source: none, chosen: 64 MiB altogether.
const SHARD_MAX_BYTES: usize = 4 << 20;

#[cfg(test)]
#[path = "shared_tests.rs"]
mod tests;
