//! One connection to one member.
//!
//! It is noticed when the way to the member is gone, also while nothing is asked: TCP's own probes begin after
//! [`PROBE_AFTER`], and what is not acknowledged within [`UNACKNOWLEDGED_MAX`] ends the connection. HTTP/2 pings would do the
//! same, but etcd ends connections that send them more often than every 5 s (its `--grpc-keepalive-min-time`).

use std::{fmt, io, sync::Arc, time::Duration};

use h2::{
    SendStream,
    client::{Builder, SendRequest},
};
use http::{HeaderValue, Request, Uri, uri::Scheme};
use prost::{Message, bytes::Bytes};
use rustls_pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, lookup_host},
    sync::watch,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{
    Host, Login, MESSAGE_MAX_BYTES, Settings,
    error::{Error, Failure, Refusal},
    grpc::{Answers, broken_off, framed, head},
    messages::{AuthenticateRequest, AuthenticateResponse, RangeRequest, RangeResponse},
};

/// Reads and writes the connection while it is polled.
pub(super) type Driver = h2::client::Connection<Box<dyn Stream>, Bytes>;

/// A connection that may be one over TLS.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl Stream for TcpStream {}

impl Stream for TlsStream<TcpStream> {}

/// What calls are sent by.
pub(super) struct Connection {
    /// Where it leads to.
    pub(super) endpoint: String,
    scheme: Scheme,
    requests: SendRequest<Bytes>,
    timeout: Duration,
    login: Option<Login>,
    token: watch::Sender<Token>,
    /// The number of the last token that was found to be no longer good.
    stale_token: watch::Sender<Option<u64>>,
    retired: watch::Sender<Option<Error>>,
}

/// Says who we are, until etcd forgets it.
#[derive(Debug, Clone, Default)]
struct Token {
    value: Option<HeaderValue>,
    /// How often it was renewed.
    number: u64,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

impl Connection {
    /// Connects; the member has said nothing yet.
    pub(super) async fn open(host: &Host, settings: &Settings) -> Result<(Connection, Box<Driver>), Error> {
        let endpoint = host.to_string();
        let opened = timeout(settings.timeouts.connect, open(host, settings)).await;
        let opened = opened.unwrap_or_else(|_| Err(format!("no connection within {:?}", settings.timeouts.connect)));
        let (requests, driver) =
            opened.map_err(|problem| Error::Unavailable { endpoint: endpoint.clone(), problem })?;
        let connection = Connection {
            endpoint,
            scheme: if settings.tls.is_some() { Scheme::HTTPS } else { Scheme::HTTP },
            requests,
            timeout: settings.timeouts.call,
            login: settings.login.clone(),
            token: watch::Sender::new(Token::default()),
            stale_token: watch::Sender::new(None),
            retired: watch::Sender::new(None),
        };
        Ok((connection, driver))
    }

    /// Tells etcd who we are, where a user is set; a cluster that asks nobody is fine with that.
    pub(super) async fn log_in(&self) -> Result<(), Error> {
        let Some(Login { user, password }) = &self.login else { return Ok(()) };
        let request = framed(&AuthenticateRequest { name: user.clone(), password: password.clone() });
        let value = match self.ask::<AuthenticateResponse>(AUTHENTICATE, &request, None).await {
            Ok(answer) => Some(secret(&answer.token).map_err(|failure| failure.at(&self.endpoint))?),
            Err(failure) if failure.is_without_users() => None,
            Err(failure) => return Err(failure.at(&self.endpoint)),
        };
        self.token.send_modify(|token| *token = Token { value, number: token.number + 1 });
        Ok(())
    }

    /// Finds out whether the member has a leader and a majority: reads what only these can tell.
    pub(super) async fn prove(&self) -> Result<(), Error> {
        let request = framed(&RangeRequest { key: vec![0], limit: 1, keys_only: true, ..RangeRequest::default() });
        let Token { value, .. } = self.token.borrow().clone();
        let answered = self.ask::<RangeResponse>(RANGE, &request, value.as_ref()).await;
        match answered.map_err(|failure| failure.at(&self.endpoint)) {
            // That key is nothing to us: who may not read it has been answered by a leader too.
            Ok(_) | Err(Error::Refused(Refusal::Permission)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Asks for one answer, with a new token if this one is no longer good.
    pub(super) async fn call<A: Message + Default>(&self, method: &'static str, request: &Bytes) -> Result<A, Failure> {
        let Token { value, number } = self.token.borrow().clone();
        match self.ask(method, request, value.as_ref()).await {
            Err(failure) if failure.is_of_the_token() && self.login.is_some() => {
                self.renewed_token(number).await?;
                let Token { value, .. } = self.token.borrow().clone();
                self.ask(method, request, value.as_ref()).await
            }
            answered => answered,
        }
    }

    /// Begins a call of many messages each way, each of those that come of at most so many bytes.
    pub(super) async fn stream(
        &self,
        method: &'static str,
        message_max_bytes: usize,
    ) -> Result<(SendStream<Bytes>, Answers), Failure> {
        let value = self.token.borrow().value.clone();
        self.send(self.head(method, value.as_ref(), None)?, message_max_bytes).await
    }

    /// Waits until the token is found to be no longer good.
    pub(super) async fn stale_token(&self) {
        let mut stale = self.stale_token.subscribe();
        let found = stale.wait_for(|stale| *stale == Some(self.token.borrow().number)).await;
        drop(found.expect("the sender is in self"));
    }

    /// Ends the connection: it is not used again, and who keeps it goes on to the next.
    pub(super) fn retire(&self, error: &Error) {
        self.retired.send_if_modified(|retired| {
            let is_first = retired.is_none();
            retired.get_or_insert_with(|| error.clone());
            is_first
        });
    }

    pub(super) fn is_retired(&self) -> bool {
        self.retired.borrow().is_some()
    }

    /// Waits for the end, and tells why.
    pub(super) async fn retired(&self) -> Error {
        let mut retired = self.retired.subscribe();
        let error = retired.wait_for(Option::is_some).await.ok().and_then(|error| error.clone());
        error.expect("the sender is in self, and a reason was waited for")
    }

    async fn ask<A: Message + Default>(
        &self,
        method: &'static str,
        request: &Bytes,
        token: Option<&HeaderValue>,
    ) -> Result<A, Failure> {
        let asked = async {
            let (mut body, mut answers) =
                self.send(self.head(method, token, Some(self.timeout))?, MESSAGE_MAX_BYTES).await?;
            body.send_data(request.clone(), true).map_err(|error| broken_off(&error))?;
            answers.only().await
        };
        timeout(self.timeout, asked).await.unwrap_or(Err(Failure::Silent))
    }

    fn head(
        &self,
        method: &'static str,
        token: Option<&HeaderValue>,
        timeout: Option<Duration>,
    ) -> Result<Request<()>, Failure> {
        let uri = Uri::builder().scheme(self.scheme.clone()).authority(self.endpoint.as_str()).path_and_query(method);
        let uri = uri.build().map_err(|error| Failure::NotSent(error.to_string()))?;
        Ok(head(uri, token, timeout))
    }

    async fn send(&self, head: Request<()>, message_max_bytes: usize) -> Result<(SendStream<Bytes>, Answers), Failure> {
        let not_sent = |error: h2::Error| Failure::NotSent(error.to_string());
        let mut requests = self.requests.clone().ready().await.map_err(not_sent)?;
        let (answer, body) = requests.send_request(head, false).map_err(not_sent)?;
        Ok((body, Answers::new(answer, message_max_bytes)))
    }

    /// Waits until the token of this number has a successor.
    async fn renewed_token(&self, number: u64) -> Result<(), Failure> {
        self.stale_token.send_replace(Some(number));
        let mut tokens = self.token.subscribe();
        let renewed = async {
            tokio::select! {
                _ = tokens.wait_for(|token| token.number != number) => Ok(()),
                error = self.retired() => Err(Failure::NotSent(error.to_string())),
            }
        };
        timeout(self.timeout, renewed).await.unwrap_or(Err(Failure::Silent))
    }
}

async fn open(host: &Host, settings: &Settings) -> Result<(SendRequest<Bytes>, Box<Driver>), String> {
    let stream = connect(host).await.map_err(|error| format!("cannot connect: {error}"))?;
    let stream: Box<dyn Stream> = match &settings.tls {
        None => Box::new(stream),
        Some(config) => {
            let name = ServerName::try_from(host.name.clone())
                .map_err(|_| format!("{:?} cannot be the name of a TLS server", host.name))?;
            let mut config = rustls::ClientConfig::clone(config);
            config.alpn_protocols = vec![b"h2".to_vec()];
            let handshake = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
            Box::new(handshake.map_err(|error| format!("TLS handshake: {error}"))?)
        }
    };
    let mut builder = Builder::new();
    builder
        .initial_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .data_frame_budget(FRAMES_MAX_BYTES)
        .max_header_list_size(HEADERS_MAX_BYTES)
        .enable_push(false);
    let (requests, driver) = builder.handshake(stream).await.map_err(|error| error.to_string())?;
    Ok((requests, Box::new(driver)))
}

/// Connects to the first address of a host that accepts, each for its even share of the time.
async fn connect(host: &Host) -> io::Result<TcpStream> {
    let addresses = lookup_host((host.name.as_str(), host.port)).await?.take(ADDRESSES_MAX);
    let mut last_error = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in addresses {
        match timeout(ADDRESS_TIMEOUT, TcpStream::connect(address)).await {
            // A port of this machine on which nobody listens may be given to the connection itself, which then meets
            // itself (RFC 9293 section 3.5, simultaneous open).
            Ok(Ok(stream)) if stream.local_addr().is_ok_and(|local| local == address) => {
                last_error = io::Error::from(io::ErrorKind::ConnectionRefused);
            }
            Ok(Ok(stream)) => {
                stream.set_nodelay(true)?;
                let probes = TcpKeepalive::new().with_time(PROBE_AFTER).with_interval(PROBE_AFTER);
                let socket = SockRef::from(&stream);
                socket.set_tcp_keepalive(&probes)?;
                socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED_MAX))?;
                return Ok(stream);
            }
            Ok(Err(error)) => last_error = error,
            Err(_) => {
                last_error = io::Error::new(io::ErrorKind::TimedOut, format!("no connection to {address} in time"))
            }
        }
    }
    Err(last_error)
}

/// A token as it is sent back, shown in no log.
fn secret(token: &str) -> Result<HeaderValue, Failure> {
    let mut value = HeaderValue::try_from(token).map_err(|_| Failure::malformed("a token that cannot be sent back"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Methods of etcd's API.
pub(super) const RANGE: &str = "/etcdserverpb.KV/Range";
const AUTHENTICATE: &str = "/etcdserverpb.Auth/Authenticate";

/// When TCP begins to ask whether a silent member is still there, and how often it does. Source: none, chosen: with
/// [`UNACKNOWLEDGED_MAX`] it is known within 4 s, well before a lease of 10 s ends.
const PROBE_AFTER: Duration = Duration::from_secs(1);

/// Source: none, chosen: a lost packet is sent again after 0.2, 0.6, 1.4 and 3 s.
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(3);

/// Most addresses of a host that are tried. Source: none, chosen: two families, and some to spare.
const ADDRESSES_MAX: usize = 8;

/// How long one address of several may take. Source: none, chosen: a first packet that is lost is sent again after 1 s.
const ADDRESS_TIMEOUT: Duration = Duration::from_millis(1500);

/// Most that is in flight to one call, read or not. Source: none, chosen: a fast link of some milliseconds is kept full.
const STREAM_WINDOW_BYTES: u32 = 2 << 20;

/// Most that is in flight to all calls: a watch that is not read leaves room for others.
const CONNECTION_WINDOW_BYTES: u32 = 8 * STREAM_WINDOW_BYTES;

/// What frames that are not read may take besides what is in them, 256 bytes each; more ends the connection.
///
/// Source: etcd's smallest changes have 55 bytes, of which as many fit in [`CONNECTION_WINDOW_BYTES`].
const FRAMES_MAX_BYTES: usize = 64 << 20;

/// Source: none, chosen: what servers of HTTP take at most.
const HEADERS_MAX_BYTES: u32 = 16 << 10;
