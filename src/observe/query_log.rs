//! A line a query, to a file of its own, for those who ask for it. Never delays a query.
//!
//! ```text
//! 2026-01-31T12:00:00.250Z udp 192.0.2.7:40001 web.service.internal. A NOERROR 3 0.000012
//! ```
//!
//! Time, transport, client, name and type asked, RCODE, records in the answer section, seconds.
//!
//! | bound | value |
//! |---|---|
//! | lines waiting for the writer | 1,024; more are dropped and counted |
//! | lines a second | 1,000; more are dropped and counted |
//!
//! **Limits:** no rotation of its own: move the file away and send SIGHUP.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufWriter, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicU64, Ordering::Relaxed},
        mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel},
    },
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use prometheus_client::metrics::counter::Counter;

use super::{
    clock::rfc3339,
    dns::{Proto, rcode_name, type_name},
};

/// Which queries are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueryLogMode {
    /// None.
    Off,
    /// Those whose RCODE is neither NOERROR nor NXDOMAIN.
    Errors,
    /// All.
    All,
}

/// One query and how it was answered.
#[derive(Debug, Clone)]
pub struct QueryLine {
    /// The transport.
    pub proto: Proto,
    /// Who asked.
    pub client: SocketAddr,
    /// QNAME in uncompressed wire form; empty if it could not be read.
    pub qname: Box<[u8]>,
    /// QTYPE.
    pub qtype: u16,
    /// RCODE, with its extended bits.
    pub rcode: u16,
    /// Records in the answer section.
    pub answers: u16,
    /// Time from receiving to sending.
    pub duration: Duration,
}

/// Hands lines to the thread that writes them. Clones share one file.
#[derive(Debug, Clone)]
pub struct QueryLog {
    shared: Arc<Shared>,
    sender: SyncSender<Message>,
}

#[derive(Debug)]
struct Shared {
    mode: AtomicU8,
    /// The second that is being counted, in the upper 32 bits, and its lines in the lower.
    rate: AtomicU64,
    dropped: Counter,
}

#[derive(Debug)]
enum Message {
    Line(SystemTime, Box<QueryLine>),
    Open(PathBuf, SyncSender<io::Result<()>>),
}

impl QueryLog {
    /// Starts the writer thread, with the log off. It ends when the last clone is dropped.
    pub fn start(dropped: Counter) -> io::Result<QueryLog> {
        let shared =
            Arc::new(Shared { mode: AtomicU8::new(QueryLogMode::Off as u8), rate: AtomicU64::new(0), dropped });
        let (sender, receiver) = sync_channel(WAITING_MAX_LINES);
        let lost = shared.dropped.clone();
        thread::Builder::new()
            .name("query-log".to_owned())
            .spawn(move || Writer { file: None, lost }.run(&receiver))?;
        Ok(QueryLog { shared, sender })
    }

    /// Opens the file, anew if it was open (SIGHUP after it was moved away), and puts the mode into force. Waits
    /// for the writer: not for DNS workers.
    pub fn set(&self, mode: QueryLogMode, path: Option<&Path>) -> io::Result<()> {
        if let (QueryLogMode::Errors | QueryLogMode::All, Some(path)) = (mode, path) {
            let (answer, opened) = sync_channel(1);
            let gone = || io::Error::other("the query log's writer has ended");
            self.sender.send(Message::Open(path.to_owned(), answer)).map_err(|_| gone())?;
            opened.recv().map_err(|_| gone())??;
        }
        self.shared.mode.store(mode as u8, Relaxed);
        Ok(())
    }

    /// Whether a query with this RCODE is written. One relaxed load: ask before making a line.
    pub fn wants(&self, rcode: u16) -> bool {
        let mode = self.shared.mode.load(Relaxed);
        mode == QueryLogMode::All as u8 || (mode == QueryLogMode::Errors as u8 && !matches!(rcode, 0 | 3))
    }

    /// Hands a line to the writer, or drops and counts it. Never waits.
    #[allow(clippy::disallowed_methods, reason = "the log tells the wall clock")]
    pub fn record(&self, line: QueryLine) {
        let now = SystemTime::now();
        if !self.shared.within_rate(now) {
            self.shared.dropped.inc();
            return;
        }
        match self.sender.try_send(Message::Line(now, Box::new(line))) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.shared.dropped.inc();
            }
        }
    }
}

impl Shared {
    /// Counts a line into its second, and says whether there is room.
    fn within_rate(&self, now: SystemTime) -> bool {
        let second = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()) & u64::from(u32::MAX);
        let counted = self.rate.fetch_update(Relaxed, Relaxed, |rate| {
            let lines = if rate >> 32 == second { rate & u64::from(u32::MAX) } else { 0 };
            (lines < RATE_MAX_LINES).then_some(second << 32 | (lines + 1))
        });
        counted.is_ok()
    }
}

/// The thread that owns the file.
struct Writer {
    file: Option<BufWriter<File>>,
    lost: Counter,
}

impl Writer {
    /// Writes until every sender is gone; what is buffered reaches the file whenever nothing waits.
    fn run(mut self, receiver: &Receiver<Message>) {
        while let Ok(first) = receiver.recv() {
            let mut next = Ok(first);
            loop {
                match next {
                    Ok(message) => self.take(message),
                    Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
                }
                next = receiver.try_recv();
            }
            let flushed = self.file.as_mut().map_or(Ok(()), Write::flush);
            self.check(flushed);
        }
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Line(at, line) => match &mut self.file {
                Some(file) => {
                    let written = file.write_all(format_line(at, &line).as_bytes());
                    self.check(written);
                }
                None => {
                    self.lost.inc();
                }
            },
            Message::Open(path, answer) => {
                let opened = OpenOptions::new().create(true).append(true).open(&path);
                let result = opened.map(|file| self.file = Some(BufWriter::new(file)));
                // Nobody listens any more only when the server is stopping.
                let _ = answer.send(result);
            }
        }
    }

    /// A file that cannot be written is let go, with one warning; the next SIGHUP tries it again.
    fn check(&mut self, written: io::Result<()>) {
        if let Err(problem) = written {
            self.file = None;
            tracing::warn!(%problem, "the query log cannot be written and is off until the next reload");
        }
    }
}

fn format_line(at: SystemTime, line: &QueryLine) -> String {
    let seconds = line.duration.as_secs_f64();
    let qtype = type_name(line.qtype).map_or_else(|| format!("TYPE{}", line.qtype), str::to_owned);
    let rcode = rcode_name(line.rcode).map_or_else(|| format!("RCODE{}", line.rcode), str::to_owned);
    format!(
        "{} {} {} {} {qtype} {rcode} {} {seconds:.6}\n",
        rfc3339(at),
        line.proto.as_str(),
        line.client,
        format_name(&line.qname),
        line.answers,
    )
}

/// Presentation format (RFC 1035 section 5.1), so that no byte of a name can forge a line; `-` for no name.
fn format_name(wire: &[u8]) -> String {
    let mut text = String::new();
    let mut rest = wire;
    while let Some((&length, after)) = rest.split_first() {
        let length = usize::from(length).min(after.len());
        if length == 0 {
            break;
        }
        for &byte in &after[..length] {
            match byte {
                b'.' | b'\\' | b'"' | b';' => text.extend(['\\', char::from(byte)]),
                0x21..=0x7e => text.push(char::from(byte)),
                _ => text.push_str(&format!("\\{byte:03}")),
            }
        }
        text.push('.');
        rest = &after[length..];
    }
    match (text.is_empty(), wire.is_empty()) {
        (true, true) => "-".to_owned(),
        (true, false) => ".".to_owned(),
        _ => text,
    }
}

/// Most lines that wait for the writer. Source: none, chosen: one second's worth.
const WAITING_MAX_LINES: usize = 1024;

/// Most lines of one second. Source: none, chosen: about 100 KB/s, which any disk takes.
const RATE_MAX_LINES: u64 = 1000;

#[cfg(test)]
#[path = "query_log_tests.rs"]
mod tests;
