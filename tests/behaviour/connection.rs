//! A connection of HTTP/2, as a client has it.

use axum::body::Body;
use hyper::{client::conn::http2, header};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    task::JoinHandle,
    time::timeout,
};

use crate::harness::{Client, PATIENCE, Page};

/// A connection of HTTP/2.
pub struct Connection {
    requests: http2::SendRequest<Body>,
    /// Ends when the connection does.
    pub driver: JoinHandle<()>,
}

impl Connection {
    /// In clear, by one who knows that HTTP/2 is spoken.
    pub async fn open(at: Client) -> Connection {
        Connection::over(TcpStream::connect(at.http).await.unwrap()).await
    }

    pub async fn over(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Connection {
        let builder = http2::Builder::new(TokioExecutor::new()).initial_stream_window_size(WINDOW_BYTES).clone();
        let (requests, connection) = builder.handshake(TokioIo::new(stream)).await.unwrap();
        let driver = tokio::spawn(async move {
            // However it ends, it has ended.
            let _ = connection.await;
        });
        Connection { requests, driver }
    }

    /// Sends a request; the response's body comes as it is taken.
    pub async fn send(&self, path: &str) -> hyper::Result<hyper::Response<hyper::body::Incoming>> {
        let request = hyper::Request::get(format!("http://nameplate{path}")).body(Body::empty()).unwrap();
        let mut requests = self.requests.clone();
        requests.ready().await?;
        requests.send_request(request).await
    }

    pub async fn get(&self, path: &str) -> Page {
        timeout(PATIENCE, self.wait_for(path)).await.expect("a response comes").unwrap()
    }

    /// The same, however long it takes.
    pub async fn wait_for(&self, path: &str) -> hyper::Result<Page> {
        let (head, body) = self.send(path).await?.into_parts();
        let body = axum::body::to_bytes(Body::new(body), usize::MAX).await.unwrap();
        let pair = |(name, value): (&header::HeaderName, &header::HeaderValue)| {
            (name.to_string(), value.to_str().unwrap().to_owned())
        };
        let body = String::from_utf8(body.to_vec()).unwrap();
        Ok(Page { status: head.status.as_u16(), headers: head.headers.iter().map(pair).collect(), body })
    }
}

/// Source: the protocol's default.
const WINDOW_BYTES: u32 = 65_535;
