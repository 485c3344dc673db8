//! An answering side for tests, which does what the first label of the name asked says.
//!
//! | first label | what comes of it |
//! |---|---|
//! | `drop` | no response |
//! | `panic` | a panic |
//! | `work` | a response after 0.2 ms of work |
//! | `big` | a response of 60,000 bytes, or of the whole buffer |
//! | `slow...` | a response when [`Stub::release`] gives one |
//! | `slowpanic` | a panic of the slow path |
//! | else | the query with QR set |

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use tokio::sync::Semaphore;

use super::{
    Observer, Transport, TransportSettings,
    engine::{Engine, SlowQuery},
};
use crate::{
    answer::{Buffer, Client, Need, Slow, TOGETHER_MAX, Trail, Verdict},
    observe::metrics::Metrics,
};

pub struct Stub {
    /// Gives as many slow responses as it has permits.
    pub release: Semaphore,
    pub refreshes: AtomicUsize,
    /// How many queries for `web` it was told of before they were answered.
    pub warmed: AtomicUsize,
}

impl Engine for Stub {
    type Reader = ();

    fn reader(&self) {}

    fn refresh(&self, (): &mut ()) {
        self.refreshes.fetch_add(1, SeqCst);
    }

    fn warm<'m>(&self, (): &mut (), messages: impl Iterator<Item = (&'m [u8], u64)>) -> [Trail; TOGETHER_MAX] {
        self.warmed.fetch_add(
            messages.filter(|(message, _)| message.get(12..).is_some_and(|name| name.starts_with(b"\x03web"))).count(),
            SeqCst,
        );
        [Trail::NONE; TOGETHER_MAX]
    }

    fn respond(&self, (): &mut (), buffer: &mut Buffer, query_len: usize, client: &Client) -> Verdict {
        let bytes = buffer.bytes_mut();
        if query_len < 12 || bytes[2] & 0x80 != 0 || client.port == 0 || client.own_listener {
            return Verdict::Drop;
        }
        let label = bytes[13..13 + usize::from(bytes[12])].to_vec();
        match label.as_slice() {
            b"drop" => return Verdict::Drop,
            b"panic" => panic!("as the query asked"),
            b"work" => {
                let started = Instant::now();
                while started.elapsed() < Duration::from_micros(200) {}
                bytes[2] |= 0x80;
            }
            [b's', b'l', b'o', b'w', ..] => return Verdict::Slow(Slow { query_len, need: Need::Forward, limit: 512 }),
            _ => bytes[2] |= 0x80,
        }
        if label == b"big" {
            let length = bytes.len().min(60_000);
            bytes[query_len..length].fill(7);
            return Verdict::Response(length);
        }
        Verdict::Response(query_len)
    }

    fn busy(&self, (): &mut (), buffer: &mut Buffer, query_len: usize, _: &Client) -> Verdict {
        buffer.bytes_mut()[2] |= 0x80;
        buffer.bytes_mut()[3] |= 2;
        Verdict::Response(query_len)
    }

    async fn finish(&self, query: SlowQuery) -> Vec<u8> {
        assert!(!query.message[13..].starts_with(b"slowpanic"), "as the query asked");
        self.release.acquire().await.expect("the semaphore is never closed").forget();
        let mut response = query.message;
        response[2] |= 0x80;
        response
    }
}

pub struct Started {
    pub transport: Transport<Stub>,
    pub stub: Arc<Stub>,
    pub metrics: Arc<Metrics>,
}

impl Started {
    /// The only address that is listened on.
    #[track_caller]
    pub fn address(&self) -> SocketAddr {
        let addresses = self.transport.local_addresses();
        assert_eq!(addresses.len(), 1);
        addresses[0]
    }

    /// The value of one series of the metrics, as text.
    pub fn metric(&self, series: &str) -> String {
        let text = self.metrics.encode(crate::observe::exposition::Exposition::OpenMetrics);
        let line =
            text.lines().find_map(|line| line.strip_prefix(series)).unwrap_or_else(|| panic!("{series}: {text}"));
        line.trim().to_owned()
    }
}

pub fn loopback() -> TransportSettings {
    TransportSettings::new(vec!["127.0.0.1:0".parse().unwrap()], 1)
}

pub fn start(settings: TransportSettings) -> Started {
    let metrics = Arc::new(Metrics::new());
    let stub =
        Arc::new(Stub { release: Semaphore::new(0), refreshes: AtomicUsize::new(0), warmed: AtomicUsize::new(0) });
    let observer = Observer { metrics: Arc::clone(&metrics), query_log: None };
    let transport = Transport::start(settings, Arc::clone(&stub), observer).unwrap();
    Started { transport, stub, metrics }
}

/// A query for A of one label.
pub fn query(id: u16, label: &str) -> Vec<u8> {
    let mut bytes = id.to_be_bytes().to_vec();
    bytes.extend_from_slice(&[1, 0, 0, 1, 0, 0, 0, 0, 0, 0, label.len() as u8]);
    bytes.extend_from_slice(label.as_bytes());
    bytes.extend_from_slice(&[0, 0, 1, 0, 1]);
    bytes
}

/// What the stub answers to [`query`].
pub fn response(id: u16, label: &str) -> Vec<u8> {
    let mut bytes = query(id, label);
    bytes[2] |= 0x80;
    bytes
}
