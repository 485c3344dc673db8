//! A daemon's API over HTTP/1.1: plain requests, each on a connection of its own, so that one that died unseen is never
//! mistaken for a daemon that is away.
//!
//! | bound | value |
//! |---|---|
//! | a request, from connecting to the end of its document | 10 s |
//! | a document | 64 MiB |
//! | an object of a stream | 1 MiB |
//!
//! The version of the API is agreed on once a [`Client`]: the daemon's, but not newer than the newest known here.
//!
//! **Limits:** no TLS and no SSH; a daemon elsewhere is reached over plain TCP, which only a network that is trusted should
//! carry.
//!
//! **Source:** Docker's Engine API 1.24 to 1.52; Podman's compatible part of its own.

use std::{
    fmt,
    future::poll_fn,
    io,
    path::{Path, PathBuf},
    pin::Pin,
    str::FromStr,
    sync::Arc,
    time::Duration,
};

use hyper::{
    Method, Request, Response, StatusCode,
    body::{Body, Bytes, Incoming},
    client::conn::http1,
    header,
};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use socket2::{SockRef, TcpKeepalive};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
    time::timeout,
};

use super::stream::Objects;

/// Where a daemon is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// A socket in the file system.
    Unix(PathBuf),
    /// A host and port; plain HTTP.
    Tcp(String, u16),
}

/// Why a text is no endpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// It begins like none.
    #[error("expected unix:///PATH, tcp://HOST:PORT or http://HOST:PORT")]
    Form,
    /// It would need a protocol that is not spoken here.
    #[error("{0} is not spoken here; name a socket (unix:///PATH) or a port without TLS (tcp://HOST:PORT)")]
    Protocol(&'static str),
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Endpoint, EndpointError> {
        let (scheme, rest) = text.split_once("://").ok_or(EndpointError::Form)?;
        match scheme {
            "unix" if rest.starts_with('/') => Ok(Endpoint::Unix(PathBuf::from(rest))),
            "tcp" | "http" => {
                let (host, port) = rest.trim_end_matches('/').rsplit_once(':').ok_or(EndpointError::Form)?;
                let port = port.parse().ok().filter(|port| *port > 0).ok_or(EndpointError::Form)?;
                let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
                let host = bare.unwrap_or(host);
                let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
                let is_host = !host.is_empty() && host.bytes().all(legal) && bare.is_none();
                if !is_host && host.parse::<std::net::Ipv6Addr>().is_err() {
                    return Err(EndpointError::Form);
                }
                Ok(Endpoint::Tcp(host.to_owned(), port))
            }
            "https" => Err(EndpointError::Protocol("TLS")),
            "ssh" => Err(EndpointError::Protocol("SSH")),
            _ => Err(EndpointError::Form),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Endpoint::Unix(path) => write!(f, "unix://{}", path.display()),
            Endpoint::Tcp(host, port) if host.contains(':') => write!(f, "tcp://[{host}]:{port}"),
            Endpoint::Tcp(host, port) => write!(f, "tcp://{host}:{port}"),
        }
    }
}

/// A version of the API, as `1.41`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ApiVersion(u16, u16);

impl ApiVersion {
    fn parse(text: &str) -> Option<ApiVersion> {
        let (major, minor) = text.trim().split_once('.')?;
        Some(ApiVersion(major.parse().ok()?, minor.parse().ok()?))
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

/// Why a daemon did not answer as it should.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The socket is there, but not for us.
    #[error(
        "{0}: permission denied; run nameplate as root, or as a user of the group that owns the socket (usermod -aG docker \
         USER), or set docker = \"off\""
    )]
    Forbidden(Endpoint),
    /// Nobody listens.
    #[error("{0}: cannot connect: {1}")]
    Connect(Endpoint, io::Error),
    /// It did not answer in time.
    #[error("{0}: no answer to {1} within {2:?}")]
    Silent(Endpoint, String, Duration),
    /// The connection broke, or what came is no HTTP.
    #[error("{0}: {1}: {2}")]
    Broken(Endpoint, String, hyper::Error),
    /// It said no.
    #[error("{endpoint}: {path}: {status}: {message}")]
    Refused {
        /// Who.
        endpoint: Endpoint,
        /// What was asked for.
        path: String,
        /// HTTP's word.
        status: StatusCode,
        /// Its own.
        message: String,
    },
    /// What came is longer than it may be.
    #[error("{0}: {1}: more than {2} bytes came")]
    TooLong(Endpoint, String, usize),
    /// What came is not JSON.
    #[error("{0}: {1}: what came is not JSON: {2}")]
    NotJson(Endpoint, String, serde_json::Error),
    /// It is no daemon, or one of another time.
    #[error("{0}: its API has version {1}, but {OLDEST} at least is needed")]
    TooOld(Endpoint, ApiVersion),
    /// It is no daemon.
    #[error("{0}: no container engine answers there: it tells no version of its API")]
    NoVersion(Endpoint),
}

impl ClientError {
    /// Whether it said that there is no such thing.
    pub fn is_not_found(&self) -> bool {
        matches!(self, ClientError::Refused { status: StatusCode::NOT_FOUND, .. })
    }

    /// Whether it answered, though not with what was asked for: it is not away.
    pub fn is_of_the_request(&self) -> bool {
        matches!(
            self,
            ClientError::Refused { .. } | ClientError::Silent(..) | ClientError::TooLong(..) | ClientError::NotJson(..)
        )
    }
}

/// A daemon whose version is agreed on.
#[derive(Debug, Clone)]
pub struct Client {
    endpoint: Arc<Endpoint>,
    version: ApiVersion,
}

impl Client {
    /// Agrees on a version with a daemon.
    pub async fn connect(endpoint: Endpoint) -> Result<Client, ClientError> {
        // Asked without a version, for which it does not matter.
        let mut client = Client { endpoint: Arc::new(endpoint), version: NEWEST };
        let pinged = client.within("/_ping", client.send(Method::GET, "/_ping", String::new())).await?;
        let told = pinged.headers().get("Api-Version").and_then(|value| value.to_str().ok()).map(str::to_owned);
        let told = match told {
            Some(told) => Some(told),
            None => client.told_version().await?,
        };
        let daemons = told.as_deref().and_then(ApiVersion::parse);
        let daemons = daemons.ok_or_else(|| ClientError::NoVersion(Endpoint::clone(&client.endpoint)))?;
        if daemons < OLDEST {
            return Err(ClientError::TooOld(Endpoint::clone(&client.endpoint), daemons));
        }
        client.version = daemons.min(NEWEST);
        Ok(client)
    }

    /// Where it is.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The version that both know.
    pub fn version(&self) -> ApiVersion {
        self.version
    }

    /// The document at a path, which begins with a slash and has no version.
    pub async fn get(&self, path: &str) -> Result<Vec<u8>, ClientError> {
        let path = self.versioned(path);
        self.document(&path).await
    }

    /// The document that is answered to one which is sent to a path.
    pub async fn post(&self, path: &str, document: &Value) -> Result<Vec<u8>, ClientError> {
        let path = self.versioned(path);
        self.within(&path, async {
            let response = self.send(Method::POST, &path, document.to_string()).await?;
            let response = self.accepted(&path, response).await?;
            self.body(&path, response, DOCUMENT_MAX_BYTES).await
        })
        .await
    }

    /// The bytes that are answered to a document which is sent to a path, for as long as they come.
    pub async fn post_for_pieces(&self, path: &str, document: &Value) -> Result<Pieces, ClientError> {
        let path = self.versioned(path);
        let response = self.within(&path, self.send(Method::POST, &path, document.to_string())).await?;
        let response = self.accepted(&path, response).await?;
        Ok(Pieces { client: self.clone(), path, body: response.into_body() })
    }

    /// The document at a path, read by this function.
    pub async fn read<T>(
        &self,
        path: &str,
        read: impl FnOnce(&[u8]) -> Result<T, serde_json::Error>,
    ) -> Result<T, ClientError> {
        let document = self.get(path).await?;
        let not_json = |error| ClientError::NotJson(Endpoint::clone(&self.endpoint), path.to_owned(), error);
        read(&document).map_err(not_json)
    }

    /// The JSON objects that come at a path, for as long as they come.
    pub async fn stream(&self, path: &str) -> Result<Stream, ClientError> {
        let path = self.versioned(path);
        let response = self.within(&path, self.send(Method::GET, &path, String::new())).await?;
        let response = self.accepted(&path, response).await?;
        let (endpoint, path) = (Arc::clone(&self.endpoint), without_query(&path).to_owned());
        Ok(Stream { endpoint, path, body: response.into_body(), objects: Objects::new(OBJECT_MAX_BYTES) })
    }

    fn versioned(&self, path: &str) -> String {
        format!("/v{}{path}", self.version)
    }

    /// What a daemon says that puts no version into the answer to a ping.
    async fn told_version(&self) -> Result<Option<String>, ClientError> {
        let document = match self.document("/version").await {
            Err(error) if error.is_not_found() => return Ok(None),
            document => document?,
        };
        let document: Value = serde_json::from_slice(&document).unwrap_or_default();
        Ok(document["ApiVersion"].as_str().map(str::to_owned))
    }

    async fn document(&self, path: &str) -> Result<Vec<u8>, ClientError> {
        self.within(path, async {
            let response = self.send(Method::GET, path, String::new()).await?;
            let response = self.accepted(path, response).await?;
            self.body(path, response, DOCUMENT_MAX_BYTES).await
        })
        .await
    }

    async fn within<T>(
        &self,
        path: &str,
        asked: impl Future<Output = Result<T, ClientError>>,
    ) -> Result<T, ClientError> {
        let path = without_query(path).to_owned();
        let silent = |_| ClientError::Silent(Endpoint::clone(&self.endpoint), path, REQUEST_MAX);
        timeout(REQUEST_MAX, asked).await.map_err(silent)?
    }

    async fn send(&self, method: Method, path: &str, body: String) -> Result<Response<Incoming>, ClientError> {
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::PermissionDenied => ClientError::Forbidden(Endpoint::clone(&self.endpoint)),
            _ => ClientError::Connect(Endpoint::clone(&self.endpoint), error),
        };
        match &*self.endpoint {
            Endpoint::Unix(socket) => {
                let stream = UnixStream::connect(socket).await.map_err(failed)?;
                self.exchange(stream, method, path, body).await
            }
            Endpoint::Tcp(host, port) => {
                let stream = TcpStream::connect((host.as_str(), *port)).await.map_err(failed)?;
                // Events may not come for hours, from a machine that is long gone.
                SockRef::from(&stream).set_tcp_keepalive(&keepalive()).map_err(failed)?;
                self.exchange(stream, method, path, body).await
            }
        }
    }

    async fn exchange(
        &self,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        method: Method,
        path: &str,
        body: String,
    ) -> Result<Response<Incoming>, ClientError> {
        let broken = |error| self.broken(path, error);
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        // Ends with the last of the sender and the body; what went wrong is told to both.
        tokio::spawn(connection);
        let host = match &*self.endpoint {
            Endpoint::Unix(_) => "localhost".to_owned(),
            Endpoint::Tcp(host, port) if host.contains(':') => format!("[{host}]:{port}"),
            Endpoint::Tcp(host, port) => format!("{host}:{port}"),
        };
        let mut request = Request::builder().method(method).uri(path).header(header::HOST, host);
        if !body.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let request = request.body(body);
        sender.send_request(request.expect("paths of ours are those of URIs")).await.map_err(broken)
    }

    /// The response, if it is one of those that say yes.
    async fn accepted(&self, path: &str, response: Response<Incoming>) -> Result<Response<Incoming>, ClientError> {
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let body = self.body(path, response, REFUSAL_MAX_BYTES).await.unwrap_or_default();
        let document: Value = serde_json::from_slice(&body).unwrap_or_default();
        let message = match document["message"].as_str() {
            Some(message) => message.to_owned(),
            None => String::from_utf8_lossy(&body).trim().to_owned(),
        };
        let endpoint = Endpoint::clone(&self.endpoint);
        Err(ClientError::Refused { endpoint, path: without_query(path).to_owned(), status, message })
    }

    async fn body(&self, path: &str, response: Response<Incoming>, most: usize) -> Result<Vec<u8>, ClientError> {
        let mut body = response.into_body();
        let mut document = Vec::new();
        while let Some(piece) = next_piece(&mut body).await {
            document.extend_from_slice(&piece.map_err(|error| self.broken(path, error))?);
            if document.len() > most {
                return Err(ClientError::TooLong(Endpoint::clone(&self.endpoint), path.to_owned(), most));
            }
        }
        Ok(document)
    }

    fn broken(&self, path: &str, error: hyper::Error) -> ClientError {
        ClientError::Broken(Endpoint::clone(&self.endpoint), without_query(path).to_owned(), error)
    }
}

/// Bytes as they come.
#[derive(Debug)]
pub struct Pieces {
    client: Client,
    path: String,
    body: Incoming,
}

impl Pieces {
    /// The next ones; none at the end.
    pub async fn next(&mut self) -> Option<Result<Bytes, ClientError>> {
        let piece = next_piece(&mut self.body).await?;
        Some(piece.map_err(|error| self.client.broken(&self.path, error)))
    }
}

/// JSON objects as they come.
#[derive(Debug)]
pub struct Stream {
    endpoint: Arc<Endpoint>,
    path: String,
    body: Incoming,
    objects: Objects,
}

impl Stream {
    /// The next one, whenever it comes; none at the end. What has come is not lost when this is dropped.
    pub async fn next(&mut self) -> Option<Result<Value, ClientError>> {
        loop {
            match self.objects.next() {
                Ok(Some(object)) => return Some(Ok(object)),
                Ok(None) => {}
                Err(error) => {
                    let endpoint = Endpoint::clone(&self.endpoint);
                    return Some(Err(ClientError::NotJson(endpoint, self.path.clone(), error)));
                }
            }
            match next_piece(&mut self.body).await? {
                Ok(piece) if self.objects.push(&piece) => {}
                Ok(_) => {
                    let endpoint = Endpoint::clone(&self.endpoint);
                    return Some(Err(ClientError::TooLong(endpoint, self.path.clone(), OBJECT_MAX_BYTES)));
                }
                Err(error) => {
                    let endpoint = Endpoint::clone(&self.endpoint);
                    return Some(Err(ClientError::Broken(endpoint, self.path.clone(), error)));
                }
            }
        }
    }
}

fn keepalive() -> TcpKeepalive {
    TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE).with_retries(KEEPALIVE_RETRIES)
}

/// A path as people read it.
fn without_query(path: &str) -> &str {
    path.split('?').next().unwrap_or(path)
}

/// The next bytes of a body; none at its end.
async fn next_piece(body: &mut Incoming) -> Option<Result<Bytes, hyper::Error>> {
    loop {
        match poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await? {
            // Trailers say nothing to us.
            Ok(frame) => match frame.into_data() {
                Ok(bytes) => return Some(Ok(bytes)),
                Err(_) => continue,
            },
            Err(error) => return Some(Err(error)),
        }
    }
}

/// The first of these sockets that is there.
pub fn first_socket(candidates: &[Endpoint]) -> Option<&Endpoint> {
    candidates.iter().find(|candidate| match candidate {
        Endpoint::Unix(path) => Path::new(path).exists(),
        Endpoint::Tcp(..) => true,
    })
}

/// The newest version that is known here. Source: Docker 29.
const NEWEST: ApiVersion = ApiVersion(1, 52);

/// The oldest that is spoken. Source: the oldest that Docker's own clients of the last years speak; events carry `Type` and
/// `Action` since 1.22.
const OLDEST: ApiVersion = ApiVersion(1, 24);

/// Longest wait for a document. Source: none, chosen: an inspect waits while its container is being started or removed.
const REQUEST_MAX: Duration = Duration::from_secs(10);

/// After so much silence the other end is asked whether it is there, and so often. Source: none, chosen: as often as everything is
/// listed, and a minute to be sure.
const KEEPALIVE: Duration = Duration::from_secs(20);
const KEEPALIVE_RETRIES: u32 = 3;

/// Largest document. Source: none, chosen: a list of 10,000 containers with long labels is a quarter of it.
const DOCUMENT_MAX_BYTES: usize = 64 << 20;

/// Largest object of a stream. Source: none, chosen: an event carries all labels of its container, often a kilobyte.
const OBJECT_MAX_BYTES: usize = 1 << 20;

/// Most of a refusal that is read. Source: none, chosen: it is a sentence.
const REFUSAL_MAX_BYTES: usize = 64 << 10;

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
