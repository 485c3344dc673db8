//! An etcd of a few lines for tests: it speaks gRPC over loopback and answers what the test says.

pub(in crate::sources::etcd) mod keeper;

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use h2::{RecvStream, SendStream, server::SendResponse};
use http::{HeaderMap, HeaderValue, Request, Response};
use prost::{
    Message,
    bytes::{Buf, Bytes, BytesMut},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};

use super::{
    Client, Host, Settings, Timeouts,
    grpc::framed,
    messages::{Header, RangeResponse, WatchResponse},
};

/// What a call asked.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    /// The last part of the method's path.
    pub(super) method: String,
    /// Its first message.
    pub(super) message: Bytes,
    pub(super) head: HeaderMap,
}

impl Asked {
    pub(super) fn read<M: Message + Default>(&self) -> M {
        M::decode(self.message.clone()).unwrap()
    }

    /// Whether it is what a new connection begins with.
    pub(super) fn is_proof(&self) -> bool {
        self.method == "Range" && self.read::<super::messages::RangeRequest>().key == [0]
    }

    pub(super) fn token(&self) -> Option<&str> {
        self.head.get("token").map(|token| token.to_str().unwrap())
    }
}

/// A head, bytes and trailers.
pub(super) type Reply = (Response<()>, Bytes, Option<HeaderMap>);

/// What is answered.
pub(super) enum Answer {
    /// A message, and all is well.
    Message(Bytes),
    /// gRPC's code and words.
    Status(u32, &'static str),
    /// Nothing, ever.
    Silence,
    /// These messages, and then one for each that asks for progress, at this revision.
    Watch(Vec<WatchResponse>, i64),
    /// These messages, and then nothing more.
    MuteWatch(Vec<WatchResponse>),
    /// Just this.
    Raw(Box<Reply>),
}

pub(super) fn message(message: &impl Message) -> Answer {
    Answer::Message(framed(message))
}

/// What each answer begins with here.
pub(super) fn header(revision: i64) -> Option<Header> {
    Some(Header { cluster_id: 7, member_id: 1, revision, raft_term: 1 })
}

/// Answers calls; what it leaves is answered with an empty message that has a header of revision 10.
pub(super) type Script = Arc<dyn Fn(&Asked) -> Option<Answer> + Send + Sync>;

/// A member that runs until it is dropped.
pub(super) struct Fake {
    pub(super) address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    task: JoinHandle<()>,
}

impl Fake {
    pub(super) async fn start(script: impl Fn(&Asked) -> Option<Answer> + Send + Sync + 'static) -> Fake {
        Fake::start_at("127.0.0.1:0".parse().unwrap(), script).await
    }

    pub(super) async fn start_at(
        address: SocketAddr,
        script: impl Fn(&Asked) -> Option<Answer> + Send + Sync + 'static,
    ) -> Fake {
        Fake::over(address, script, |stream| async { Some(stream) }).await
    }

    /// One whose connections are first made into others, by TLS.
    pub(super) async fn over<S: AsyncRead + AsyncWrite + Unpin + Send + 'static, F>(
        address: SocketAddr,
        script: impl Fn(&Asked) -> Option<Answer> + Send + Sync + 'static,
        wrap: impl Fn(TcpStream) -> F + Send + Sync + 'static,
    ) -> Fake
    where
        F: Future<Output = Option<S>> + Send + 'static,
    {
        // Who had the address before is ending.
        let deadline = Instant::now() + SHORT;
        let listener = loop {
            match TcpListener::bind(address).await {
                Ok(listener) => break listener,
                Err(error) if Instant::now() > deadline => panic!("{error}"),
                Err(_) => tokio::task::yield_now().await,
            }
        };
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (script, seen): (Script, _) = (Arc::new(script), Arc::clone(&asked));
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (stream, script, seen) = (wrap(stream), Arc::clone(&script), Arc::clone(&seen));
                connections.spawn(async move {
                    if let Some(stream) = stream.await {
                        serve(stream, script, seen).await;
                    }
                });
            }
        });
        Fake { address, asked, task }
    }

    pub(super) fn host(&self) -> Host {
        host(self.address)
    }

    /// How often a method was called.
    pub(super) fn count(&self, method: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|asked| asked.method == method && !asked.is_proof()).count()
    }

    pub(super) fn proofs(&self) -> usize {
        self.asked.lock().unwrap().iter().filter(|asked| asked.is_proof()).count()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Nothing out of the ordinary.
pub(super) fn well(_: &Asked) -> Option<Answer> {
    None
}

pub(super) fn host(address: SocketAddr) -> Host {
    Host { name: address.ip().to_string(), port: address.port() }
}

/// A client with short patience.
pub(super) fn client<'a>(members: impl IntoIterator<Item = &'a Fake>) -> Client {
    Client::connect(settings(members.into_iter().map(Fake::host).collect()))
}

pub(super) fn settings(hosts: Vec<Host>) -> Settings {
    let timeouts = Timeouts { connect: SHORT, call: SHORT, silence: SHORT };
    Settings { hosts, tls: None, login: None, timeouts }
}

/// Long enough for anything on loopback while the machine is busy, and short enough to be waited for.
pub(super) const SHORT: Duration = Duration::from_millis(700);

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, script: Script, seen: Arc<Mutex<Vec<Asked>>>) {
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    let mut calls = JoinSet::new();
    while let Some(Ok((request, respond))) = connection.accept().await {
        calls.spawn(answer(request, respond, Arc::clone(&script), Arc::clone(&seen)));
    }
}

async fn answer(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    script: Script,
    seen: Arc<Mutex<Vec<Asked>>>,
) -> Option<()> {
    let (head, mut body) = request.into_parts();
    assert_eq!(head.headers["hasleader"], "true");
    assert_eq!(head.headers["te"], "trailers");
    let mut buffer = BytesMut::new();
    let message = next(&mut body, &mut buffer).await?;
    let method = head.uri.path().rsplit('/').next().unwrap_or_default().to_owned();
    let asked = Asked { method, message, head: head.headers };
    seen.lock().unwrap().push(asked.clone());
    let ordinary = || self::message(&RangeResponse { header: header(10), ..RangeResponse::default() });
    let mut begin = |head| respond.send_response(head, false).ok();
    match script(&asked).unwrap_or_else(ordinary) {
        Answer::Message(message) => {
            let mut send = begin(ok())?;
            write(&mut send, message).await?;
            send.send_trailers(trailers(0, "")).ok()
        }
        Answer::Status(code, words) => begin(ok())?.send_trailers(trailers(code, words)).ok(),
        Answer::Silence => std::future::pending().await,
        Answer::Watch(messages, revision) => {
            let mut send = begin(ok())?;
            for message in &messages {
                write(&mut send, framed(message)).await?;
            }
            loop {
                next(&mut body, &mut buffer).await?;
                let progress = WatchResponse { header: header(revision), ..WatchResponse::default() };
                write(&mut send, framed(&progress)).await?;
            }
        }
        Answer::MuteWatch(messages) => {
            let mut send = begin(ok())?;
            for message in &messages {
                write(&mut send, framed(message)).await?;
            }
            std::future::pending().await
        }
        Answer::Raw(reply) => {
            let (head, bytes, trailers) = *reply;
            let mut send = begin(head)?;
            write(&mut send, bytes).await?;
            match trailers {
                Some(trailers) => send.send_trailers(trailers).ok(),
                None => send.send_data(Bytes::new(), true).ok(),
            }
        }
    }
}

/// Sends as fast as it is read.
async fn write(send: &mut SendStream<Bytes>, mut bytes: Bytes) -> Option<()> {
    while !bytes.is_empty() {
        send.reserve_capacity(bytes.len());
        let capacity = std::future::poll_fn(|context| send.poll_capacity(context)).await?.ok()?;
        send.send_data(bytes.split_to(capacity.min(bytes.len())), false).ok()?;
    }
    Some(())
}

async fn next(body: &mut RecvStream, buffer: &mut BytesMut) -> Option<Bytes> {
    loop {
        if let Some((&[_, length @ ..], rest)) = buffer.split_first_chunk::<5>() {
            let length = u32::from_be_bytes(length) as usize;
            if rest.len() >= length {
                buffer.advance(5);
                return Some(buffer.split_to(length).freeze());
            }
        }
        let piece = body.data().await?.ok()?;
        body.flow_control().release_capacity(piece.len()).ok()?;
        buffer.extend_from_slice(&piece);
    }
}

pub(super) fn ok() -> Response<()> {
    let mut head = Response::new(());
    head.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    head
}

pub(super) fn trailers(code: u32, words: &'static str) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from(code));
    trailers.insert("grpc-message", HeaderValue::from_static(words));
    trailers
}
