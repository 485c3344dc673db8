//! `nameplate import`: registers what lines of JSON say, while the server goes on.
//!
//! Lines are sent in transactions, one after the other, because a line may need what one before it registers. With a
//! store that machines share, what is of the server's own node and what is of others goes apart, because they are written to
//! different places.
//!
//! **Limits:** a line is at most 1 MiB.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufRead, BufReader, IsTerminal, Read},
    path::Path,
    time::{Duration, Instant},
};

use anyhow::Context;
use serde::{Deserialize, de::IgnoredAny};
use serde_json::{Value, json};

use super::{Verdict, args::ImportArgs, print};
use crate::api::client::{Client, ClientError};

/// Registers what the lines of a file or of standard input say.
pub(super) async fn import(client: &Client, args: &ImportArgs) -> anyhow::Result<Verdict> {
    let file = args.file.as_deref().filter(|path| *path != Path::new("-"));
    let input: Box<dyn Read> = match file {
        Some(path) => Box::new(File::open(path).with_context(|| format!("cannot read {}", path.display()))?),
        None => Box::new(io::stdin().lock()),
    };
    let told = !args.server.json && io::stderr().is_terminal();
    let (most, own) = about(client).await?;
    let mut import = Import::new(client, most, told);
    let mut lines = Lines { input: BufReader::new(input), number: 0 };
    while let Some((number, line)) = lines.next().map_err(|problem| import.stopped(problem))? {
        let kind = kind(&line).map_err(|problem| import.stopped(format!("line {number}: {problem}")))?;
        let is_of_others = own.as_ref().is_some_and(|own| is_of_others(&line, own));
        if import.is_full(&line) || import.is_of_others != is_of_others {
            import.send().await?;
        }
        import.is_of_others = is_of_others;
        import.add(number, &line, kind);
    }
    import.send().await?;
    print(&if args.server.json { format!("{:#}\n", import.counts.json()) } else { import.counts.text() })
}

/// How many operations the server takes at a time, and, if it shares a store, what its own node is called.
async fn about(client: &Client) -> Result<(usize, Option<String>), ClientError> {
    let about: Value = client.get(&["agent", "self"], &[]).await?;
    let number = |name| about.pointer(name).and_then(|most| most.as_str()?.parse().ok());
    let shared = number("/Stats/nameplate/txn_max_shared_ops");
    let most = shared.or_else(|| number("/Stats/nameplate/txn_max_ops"));
    let own = about.pointer("/Config/NodeName").and_then(Value::as_str).unwrap_or_default();
    Ok((most.unwrap_or(OPERATIONS_DEFAULT), shared.map(|_| own.to_owned())))
}

/// Whether a line is about another node than the server's own.
fn is_of_others(line: &str, own: &str) -> bool {
    let line: Value = serde_json::from_str(line).unwrap_or_default();
    let nodes = ["/Node/Node/Node", "/Service/Node", "/Check/Check/Node"];
    nodes.iter().filter_map(|place| line.pointer(place)?.as_str()).any(|node| !node.is_empty() && node != own)
}

/// What a line is about, by its only key.
fn kind(line: &str) -> Result<Kind, String> {
    let keys: BTreeMap<String, IgnoredAny> =
        serde_json::from_str(line).map_err(|problem| format!("not JSON as export writes it: {problem}"))?;
    let known = [("Node", Kind::Node), ("Service", Kind::Service), ("Check", Kind::Check)];
    let of = |key: &String| known.iter().find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, kind)| *kind);
    keys.keys().find_map(of).ok_or_else(|| "must be an object with one of Node, Service and Check".to_owned())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Node,
    Service,
    Check,
}

/// Lines with their numbers, blank ones left out.
struct Lines<R> {
    input: R,
    number: u64,
}

impl<R: BufRead> Lines<R> {
    fn next(&mut self) -> Result<Option<(u64, String)>, String> {
        loop {
            self.number += 1;
            let number = self.number;
            let mut bytes = Vec::new();
            let read = (&mut self.input).take(LINE_MAX_BYTES + 1).read_until(b'\n', &mut bytes);
            read.map_err(|error| format!("line {number}: cannot be read: {error}"))?;
            if bytes.len() as u64 > LINE_MAX_BYTES {
                return Err(format!("line {number}: must be at most 1 MiB"));
            }
            if bytes.is_empty() {
                return Ok(None);
            }
            let line = String::from_utf8(bytes).map_err(|_| format!("line {number}: is not UTF-8"))?;
            if !line.trim().is_empty() {
                return Ok(Some((number, line.trim().to_owned())));
            }
        }
    }
}

/// An import at work.
struct Import<'a> {
    client: &'a Client,
    most: usize,
    /// Whether the next transaction is about other nodes than the server's own.
    is_of_others: bool,
    /// The next transaction, and the lines in it.
    body: String,
    lines: Vec<(u64, Kind)>,
    counts: Counts,
    /// The last line that is in force.
    done: u64,
    /// When progress is told next; none: it is not.
    tell_at: Option<Instant>,
}

/// An answer of 409.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Conflict {
    errors: Vec<OperationFailure>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct OperationFailure {
    op_index: usize,
    what: String,
}

impl Import<'_> {
    fn new(client: &Client, most: usize, told: bool) -> Import<'_> {
        let tell_at = told.then(|| Instant::now() + TELL_EVERY);
        Import {
            client,
            most,
            is_of_others: false,
            body: String::new(),
            lines: Vec::new(),
            counts: Counts::default(),
            done: 0,
            tell_at,
        }
    }

    fn is_full(&self, line: &str) -> bool {
        self.lines.len() >= self.most || self.body.len() + line.len() + 2 > BODY_MAX_BYTES
    }

    fn add(&mut self, number: u64, line: &str, kind: Kind) {
        self.body.push(if self.lines.is_empty() { '[' } else { ',' });
        self.body.push_str(line);
        self.lines.push((number, kind));
    }

    async fn send(&mut self) -> anyhow::Result<()> {
        if self.lines.is_empty() {
            return Ok(());
        }
        self.body.push(']');
        let sent = self.client.put_text(&["txn"], std::mem::take(&mut self.body)).await;
        if let Err(error) = sent {
            return Err(self.refused(error));
        }
        for (number, kind) in self.lines.drain(..) {
            self.counts.count(kind);
            self.done = number;
        }
        if self.tell_at.is_some_and(|at| at <= Instant::now()) {
            eprintln!("imported {} lines", self.counts.lines());
            self.tell_at = Some(Instant::now() + TELL_EVERY);
        }
        Ok(())
    }

    /// Which line is at fault, and what was done.
    fn refused(&self, error: ClientError) -> anyhow::Error {
        let problem = match &error {
            ClientError::Refused { status: 409, message } => serde_json::from_str::<Conflict>(message)
                .ok()
                .and_then(|conflict| conflict.errors.into_iter().next())
                .and_then(|failure| Some(format!("line {}: {}", self.lines.get(failure.op_index)?.0, failure.what))),
            ClientError::Refused { status: 400, message } => self.field(message),
            _ => None,
        };
        match problem {
            Some(problem) => self.stopped(problem),
            None => {
                let number = |line: Option<&(u64, Kind)>| line.map_or(0, |line| line.0);
                let (first, last) = (number(self.lines.first()), number(self.lines.last()));
                let these = match error {
                    ClientError::Refused { status: 400..=499, .. } => "were refused",
                    _ => "may be in force or not",
                };
                let state = self.state();
                anyhow::Error::new(error).context(format!("{state}; lines {first} to {last} {these}"))
            }
        }
    }

    /// `[3].Service.Service.Port: expected ...`, with the line in the place of the number.
    fn field(&self, message: &str) -> Option<String> {
        let (at, rest) = message.strip_prefix('[')?.split_once(']')?;
        let (number, _) = self.lines.get(at.parse::<usize>().ok()?)?;
        Some(format!("line {number}: {}", rest.trim_start_matches(['.', ':', ' '])))
    }

    fn stopped(&self, problem: String) -> anyhow::Error {
        let cure = "mend that line and import all of it again: what is registered already is not changed by that";
        anyhow::anyhow!("{problem}; {cure}\n{}", self.state())
    }

    fn state(&self) -> String {
        match self.done {
            0 => "nothing was imported".to_owned(),
            done => format!("lines 1 to {done} are in force"),
        }
    }
}

/// How many lines of each kind are in force.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    nodes: u64,
    services: u64,
    checks: u64,
}

impl Counts {
    fn count(&mut self, kind: Kind) {
        *match kind {
            Kind::Node => &mut self.nodes,
            Kind::Service => &mut self.services,
            Kind::Check => &mut self.checks,
        } += 1;
    }

    fn lines(self) -> u64 {
        self.nodes + self.services + self.checks
    }

    fn json(self) -> Value {
        json!({ "Nodes": self.nodes, "Services": self.services, "Checks": self.checks })
    }

    fn text(self) -> String {
        format!("imported {} nodes, {} services, {} checks\n", self.nodes, self.services, self.checks)
    }
}

/// Operations in a transaction if the server does not say. Source: Consul's limit.
const OPERATIONS_DEFAULT: usize = 64;

/// Most bytes of a transaction's body. Source: docs/api.md.
const BODY_MAX_BYTES: usize = 4 * 1024 * 1024;

/// Longest line. Source: none, chosen: the largest registration.
const LINE_MAX_BYTES: u64 = 1024 * 1024;

/// How often progress is told. Source: none, chosen.
const TELL_EVERY: Duration = Duration::from_secs(2);

#[cfg(test)]
#[path = "import_tests.rs"]
mod tests;
