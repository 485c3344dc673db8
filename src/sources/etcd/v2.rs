//! A client of etcd's API of version 2, over HTTP, in which old programs write: reading and following keys.
//!
//! | what | how |
//! |---|---|
//! | all below a prefix | `GET /v2/keys/PREFIX?recursive=true`, of one state, which `X-Etcd-Index` numbers |
//! | the next change | `GET ...&wait=true&waitIndex=N`, which is held until there is one |
//! | a folder that goes | all is listed again, because what was in it is not told |
//! | a change that etcd keeps no more (it keeps 1,000, of any key) | all is listed again |
//! | a member that fails | the next one is asked |
//!
//! **Source:** etcd's documentation of 2.3, `api.md`.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use reqwest::{Response, redirect::Policy};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use serde::Deserialize;
use tokio::time::{timeout, timeout_at};

use super::client::{Batch, Error, Event, Header, KeyValue, Listing, Refusal, Settings, WatchEnd};

/// A client; its clones share connections.
#[derive(Debug, Clone)]
pub struct ClientV2 {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    http: reqwest::Client,
    settings: Settings,
    /// Which member is asked, modulo their number.
    member: AtomicUsize,
}

/// Follows what is below a prefix.
#[derive(Debug)]
pub struct WatchV2 {
    client: ClientV2,
    path: String,
    next: i64,
}

/// What a member said.
struct Said {
    /// Its number of the last change, of any key.
    index: i64,
    response: Response,
}

#[derive(Debug, Deserialize)]
struct Answer {
    action: String,
    node: Node,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Node {
    key: String,
    value: Option<String>,
    dir: bool,
    nodes: Vec<Node>,
    ttl: Option<i64>,
    modified_index: i64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Failure {
    error_code: u32,
    message: String,
}

impl ClientV2 {
    /// A client of these members.
    pub fn new(settings: Settings) -> Result<ClientV2, reqwest::Error> {
        let plain = || {
            let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
            let builder = builder.with_safe_default_protocol_versions().expect("ring has the default versions");
            builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth()
        };
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(settings.tls.as_ref().map_or_else(plain, |tls| ClientConfig::clone(tls)))
            .connect_timeout(settings.timeouts.connect)
            .tcp_keepalive(settings.timeouts.silence)
            .redirect(Policy::none())
            .no_proxy()
            .build()?;
        Ok(ClientV2 { shared: Arc::new(Shared { http, settings, member: AtomicUsize::new(0) }) })
    }

    /// Reads what begins with a prefix. The lease of a key with a TTL is its seconds.
    pub async fn range(&self, prefix: &str) -> Result<Listing, Error> {
        let path = path_of(prefix);
        let said = self.ask(&format!("{path}?recursive=true&quorum=true")).await?;
        let (index, is_there) = (said.index, said.response.status().is_success());
        let latest = Instant::now() + LISTING_MAX;
        let body = self.body(said.response, LISTING_MAX_BYTES, latest).await?;
        let mut key_values = Vec::new();
        if is_there {
            let answer: Answer = self.decoded(&body)?;
            answer.node.flatten(&mut key_values);
        } else {
            let failure: Failure = self.decoded(&body)?;
            if failure.error_code != KEY_NOT_FOUND {
                return Err(refused(failure));
            }
        }
        let header = Header { revision: index, ..Header::default() };
        Ok(Listing { header, key_values })
    }

    /// Watches what begins with a prefix, from this number on.
    pub async fn watch(&self, prefix: &str, next: i64) -> Result<WatchV2, Error> {
        let said = self.ask(&format!("{}?quorum=true", path_of(prefix))).await?;
        if said.index < next - 1 {
            return Err(Error::WentBack { revision: said.index });
        }
        Ok(WatchV2 { client: self.clone(), path: path_of(prefix), next })
    }

    /// Asks one member after the other until one says something.
    async fn ask(&self, path: &str) -> Result<Said, Error> {
        let mut failed = None;
        for _ in &self.shared.settings.hosts {
            match self.ask_member(path).await {
                Ok(said) => return Ok(said),
                Err(error) => failed = Some(error),
            }
            self.shared.member.fetch_add(1, Ordering::Relaxed);
        }
        Err(failed.unwrap_or_else(|| self.unavailable("it has no members".to_owned())))
    }

    async fn ask_member(&self, path: &str) -> Result<Said, Error> {
        let scheme = if self.shared.settings.tls.is_some() { "https" } else { "http" };
        let mut request = self.shared.http.get(format!("{scheme}://{}{path}", self.endpoint()));
        if let Some(login) = &self.shared.settings.login {
            request = request.basic_auth(&login.user, Some(&login.password));
        }
        let sent = timeout(self.shared.settings.timeouts.call, request.send()).await;
        let response = match sent {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(self.unavailable(chain(&error.without_url()))),
            Err(_) => return Err(self.unavailable("no answer in time".to_owned())),
        };
        if response.status().is_server_error() {
            return Err(self.unavailable(format!("it says {}", response.status())));
        }
        if matches!(response.status().as_u16(), 401 | 403) {
            return Err(Error::Refused(Refusal::Password));
        }
        let index = response.headers().get("x-etcd-index").and_then(|value| value.to_str().ok()?.parse().ok());
        let Some(index) = index else {
            return Err(self.unavailable("it does not speak version 2 of the API (--enable-v2)".to_owned()));
        };
        Ok(Said { index, response })
    }

    /// The rest of an answer.
    async fn body(&self, mut response: Response, most: usize, latest: Instant) -> Result<Vec<u8>, Error> {
        let mut body = Vec::new();
        loop {
            match timeout_at(latest.into(), response.chunk()).await {
                Ok(Ok(Some(chunk))) if body.len() + chunk.len() <= most => body.extend_from_slice(&chunk),
                Ok(Ok(Some(_))) => return Err(Error::Refused(Refusal::AnswerTooLarge(most))),
                Ok(Ok(None)) => return Ok(body),
                Ok(Err(error)) => return Err(self.unavailable(chain(&error.without_url()))),
                Err(_) => return Err(self.unavailable("the answer did not end in time".to_owned())),
            }
        }
    }

    fn decoded<'b, T: Deserialize<'b>>(&self, body: &'b [u8]) -> Result<T, Error> {
        serde_json::from_slice(body).map_err(|error| self.unavailable(format!("what came is no answer: {error}")))
    }

    fn endpoint(&self) -> String {
        let hosts = &self.shared.settings.hosts;
        hosts[self.shared.member.load(Ordering::Relaxed) % hosts.len().max(1)].to_string()
    }

    fn unavailable(&self, problem: String) -> Error {
        Error::Unavailable { endpoint: self.endpoint(), problem }
    }
}

impl WatchV2 {
    /// From where another watch goes on after this one.
    pub fn next_revision(&self) -> i64 {
        self.next
    }

    /// Waits for the next change, or for word that there was none for a while.
    pub async fn next(&mut self) -> Result<Batch, WatchEnd> {
        let path = format!("{}?recursive=true&wait=true&waitIndex={}", self.path, self.next);
        let said = self.client.ask(&path).await.map_err(WatchEnd::Lost)?;
        if said.index < self.next - 1 {
            return Err(WatchEnd::Lost(Error::WentBack { revision: said.index }));
        }
        let quiet = Batch { revision: said.index, events: Vec::new() };
        let is_change = said.response.status().is_success();
        let latest = Instant::now() + HELD_MAX;
        let body = match self.client.body(said.response, EVENT_MAX_BYTES, latest).await {
            Ok(body) => body,
            // Asked anew, it answers if it is still there.
            Err(Error::Unavailable { .. }) if Instant::now() >= latest => return Ok(quiet),
            Err(error) => return Err(WatchEnd::Lost(error)),
        };
        if body.iter().all(u8::is_ascii_whitespace) {
            return Ok(quiet);
        }
        if !is_change {
            let failure: Failure = self.client.decoded(&body).map_err(WatchEnd::Lost)?;
            return Err(match failure.error_code {
                EVENTS_CLEARED => WatchEnd::Compacted { compact_revision: said.index },
                _ => WatchEnd::Lost(refused(failure)),
            });
        }
        let answer: Answer = self.client.decoded(&body).map_err(WatchEnd::Lost)?;
        let revision = answer.node.modified_index;
        let goes = matches!(&*answer.action, "delete" | "expire" | "compareAndDelete");
        if answer.node.dir && goes {
            return Err(WatchEnd::Canceled(format!("the folder {} is gone", answer.node.key)));
        }
        let mut events = Vec::new();
        if goes {
            events.push(Event::Delete { key: answer.node.key.into_bytes(), mod_revision: revision });
        } else {
            let mut key_values = Vec::new();
            answer.node.flatten(&mut key_values);
            events.extend(key_values.into_iter().map(Event::Put));
        }
        self.next = self.next.max(revision.saturating_add(1));
        Ok(Batch { revision, events })
    }
}

impl Node {
    /// The keys at it and below it that have values.
    fn flatten(self, into: &mut Vec<KeyValue>) {
        let mut rest = vec![self];
        while let Some(node) = rest.pop() {
            rest.extend(node.nodes);
            let Some(value) = node.value.filter(|_| !node.dir) else { continue };
            into.push(KeyValue {
                key: node.key.into_bytes(),
                value: value.into_bytes(),
                mod_revision: node.modified_index,
                lease: node.ttl.unwrap_or_default().max(0),
                ..KeyValue::default()
            });
        }
    }
}

fn path_of(prefix: &str) -> String {
    format!("/v2/keys{}", prefix.trim_end_matches('/'))
}

fn refused(failure: Failure) -> Error {
    Error::Refused(Refusal::Other(format!("{} ({})", failure.message, failure.error_code)))
}

/// An error with what caused it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}

/// Source: etcd's documentation of 2.3, `errorcode.md`.
const KEY_NOT_FOUND: u32 = 100;

/// Source: etcd's documentation of 2.3, `errorcode.md`.
const EVENTS_CLEARED: u32 = 401;

/// Most bytes of a listing. Source: none, chosen: version 2 is not for more, and has it in one answer.
const LISTING_MAX_BYTES: usize = 256 << 20;

/// Longest that a listing takes. Source: none, chosen.
const LISTING_MAX: Duration = Duration::from_secs(60);

/// Most bytes of a change: one key. Source: none, chosen: as of a message of version 3.
const EVENT_MAX_BYTES: usize = 16 << 20;

/// Longest that a question for the next change is held, before it is asked anew. Source: none, chosen: a member that is gone
/// without a word is noticed then, if the kernel has not told it before.
const HELD_MAX: Duration = Duration::from_secs(20);
