//! The streams of one HTTP/2 connection: how many there are, and for how long there was none.

use std::{
    collections::HashMap,
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use axum::{Router, body::Body, extract::Request, response::Response};
use hyper::body::{Bytes, Frame, Incoming, SizeHint};
use tokio::sync::Notify;
use tower::Service as _;

/// How a connection is used. Shared by it and its streams.
#[derive(Debug)]
pub(super) struct Streams {
    open: AtomicUsize,
    /// How many there were altogether.
    all: AtomicU64,
    /// When the last of them ended.
    last_ended: Mutex<Instant>,
    /// Told when the last of them ends.
    none_open: Notify,
    /// The streams that have given a part of their response and have more, and when they gave the last one.
    giving: Mutex<HashMap<u64, Instant>>,
    /// Told when there is one more of these.
    gives: Notify,
}

impl Streams {
    /// Of a connection that begins.
    pub(super) fn new() -> Streams {
        Streams {
            open: AtomicUsize::new(0),
            all: AtomicU64::new(0),
            last_ended: Mutex::new(Instant::now()),
            none_open: Notify::new(),
            giving: Mutex::default(),
            gives: Notify::new(),
        }
    }

    /// Returns when there was no stream for so long.
    #[allow(clippy::disallowed_methods, reason = "what is not used for a time ends")]
    pub(super) async fn unused(&self, span: Duration) {
        loop {
            if self.open.load(Relaxed) > 0 {
                self.none_open.notified().await;
                continue;
            }
            let left = span.saturating_sub(self.last_ended().elapsed());
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left).await;
        }
    }

    /// Returns when a stream could not go on with its response for so long, because the client did not take it.
    #[allow(clippy::disallowed_methods, reason = "what does not go on for a time ends")]
    pub(super) async fn stalled(&self, span: Duration) {
        loop {
            let oldest = self.giving().values().min().copied();
            match oldest.map(|gave| span.saturating_sub(gave.elapsed())) {
                None => self.gives.notified().await,
                Some(Duration::ZERO) => return,
                Some(left) => tokio::time::sleep(left).await,
            }
        }
    }

    fn open(self: &Arc<Streams>) -> Stream {
        self.open.fetch_add(1, Relaxed);
        Stream { number: self.all.fetch_add(1, Relaxed), gives: false, streams: Arc::clone(self) }
    }

    fn last_ended(&self) -> MutexGuard<'_, Instant> {
        self.last_ended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn giving(&self) -> MutexGuard<'_, HashMap<u64, Instant>> {
        self.giving.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One stream, until its response has been handed over or it was reset.
#[derive(Debug)]
struct Stream {
    number: u64,
    /// Whether it is among those that give.
    gives: bool,
    streams: Arc<Streams>,
}

impl Stream {
    /// It gave a part of its response, or the rest of it.
    fn gave(&mut self, rest: bool) {
        if rest && !self.gives {
            return;
        }
        let mut giving = self.streams.giving();
        if rest {
            giving.remove(&self.number);
        } else if giving.insert(self.number, Instant::now()).is_none() {
            self.streams.gives.notify_one();
        }
        self.gives = !rest;
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.gave(true);
        *self.streams.last_ended() = Instant::now();
        if self.streams.open.fetch_sub(1, Relaxed) == 1 {
            self.streams.none_open.notify_one();
        }
    }
}

/// Answers the requests of a connection, and counts them.
#[derive(Debug, Clone)]
pub(super) struct Counting {
    pub(super) router: Router,
    pub(super) streams: Arc<Streams>,
}

impl hyper::service::Service<hyper::Request<Incoming>> for Counting {
    type Response = Response<CountedBody>;
    type Error = std::convert::Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn call(&self, request: hyper::Request<Incoming>) -> Self::Future {
        let stream = self.streams.open();
        // A router is always ready.
        let response = self.router.clone().call(Request::map(request, Body::new));
        Box::pin(async move { Ok(response.await?.map(|body| CountedBody { body, rest: Bytes::new(), stream })) })
    }
}

/// A response's body, in pieces, of which the client is given as many as it has room for.
#[derive(Debug)]
pub(super) struct CountedBody {
    body: Body,
    /// What is left of the body's last frame.
    rest: Bytes,
    stream: Stream,
}

impl hyper::body::Body for CountedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.rest.is_empty() {
            let frame = match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                Some(Ok(frame)) => frame.into_data(),
                other => return Poll::Ready(other),
            };
            match frame {
                Ok(data) => self.rest = data,
                Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
            }
        }
        let length = self.rest.len().min(PIECE_BYTES);
        let piece = self.rest.split_to(length);
        let was_rest = self.rest.is_empty();
        self.stream.gave(was_rest);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.rest.len() as u64;
        let mut hint = self.body.size_hint();
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper + rest);
        }
        hint.set_lower(hint.lower() + rest);
        hint
    }
}

/// Most of a response that is given away before the client has room for it. Source: the largest frame that clients take
/// unasked (RFC 9113 section 4.2).
const PIECE_BYTES: usize = 16 << 10;
