//! One execution of a check, whatever its kind: what it may need, and what comes of it.
//!
//! A new kind of probe is a file of its own beside `http` and `tcp`, and a line in [`Prober::run`].

use std::{
    error::Error,
    future::Future,
    io,
    net::IpAddr,
    path::PathBuf,
    pin::{Pin, pin},
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::time::timeout_at;

use super::{
    amqp,
    command::{Bounds, Commands},
    connect::Connector,
    dns, docker, grpc, h2ping,
    http::HttpProber,
    icmp,
    kept::Kept,
    mysql, postgres, redis, script, systemd, tcp,
    tls::Tls,
    udp,
};
use crate::{
    catalog::{
        change::Origin,
        check::{CheckDefinition, CheckKind, CheckStatus, OUTPUT_MAX_BYTES},
        names::Text,
        policy::ScriptChecks,
    },
    sources::docker::client::Endpoint,
};

/// Resolves the host name of a probe's target to its addresses, best first, or says why it cannot.
///
/// Neither the system's resolver nor that of a library is ever asked.
pub type TargetResolver = Arc<dyn Fn(String) -> Resolving + Send + Sync>;

/// What a [`TargetResolver`] returns.
pub type Resolving = Pin<Box<dyn Future<Output = Result<Vec<IpAddr>, String>> + Send>>;

/// What came of a probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It says this about its target.
    Done {
        /// The status, thresholds not applied.
        status: CheckStatus,
        /// For people.
        output: String,
    },
    /// It could not be made, for this reason, which lies with us; it says nothing about its target.
    NotMade(String),
}

impl Outcome {
    /// The target is not as it should be.
    pub(super) fn critical(output: impl Into<String>) -> Outcome {
        Outcome::Done { status: CheckStatus::Critical, output: output.into() }
    }

    /// The probe failed with this error; `what` says which probe it was.
    pub(super) fn failed(what: &str, error: &(dyn Error + 'static)) -> Outcome {
        let mut innermost = error;
        let mut ours = false;
        loop {
            let io = innermost.downcast_ref::<io::Error>();
            ours |= io.is_some_and(lies_with_us);
            // An I/O error names what it wraps here, and only what lies below that as its source.
            let wrapped = io.and_then(io::Error::get_ref).map(|wrapped| wrapped as &(dyn Error + 'static));
            match wrapped.or_else(|| innermost.source()) {
                Some(source) => innermost = source,
                None => break,
            }
        }
        let text = format!("{what}: {innermost}");
        if ours { Outcome::NotMade(text) } else { Outcome::critical(text) }
    }
}

/// Executes probes. Shared by all that run.
#[derive(Debug)]
pub(super) struct Prober {
    http: HttpProber,
    connector: Connector,
    kept: Kept,
    none_kept: Kept,
    commands: Commands,
    scripts: ScriptChecks,
    docker: Vec<Endpoint>,
}

impl Prober {
    /// A prober that resolves names by this resolver, and looks for CA certificates as [`Tls`] says.
    pub(super) fn new(resolver: TargetResolver, ca_bundle: Option<PathBuf>) -> Prober {
        let tls = Arc::new(Tls::new(ca_bundle));
        Prober {
            http: HttpProber::new(Arc::clone(&resolver), Arc::clone(&tls)),
            connector: Connector::new(resolver, tls),
            kept: Kept::new(0),
            none_kept: Kept::new(0),
            commands: Commands::new(None),
            scripts: ScriptChecks::default(),
            docker: Vec::new(),
        }
    }

    /// How many connections may be kept from one probe to another.
    pub(super) fn keeping(self, most: usize) -> Prober {
        Prober { kept: Kept::new(most), ..self }
    }

    /// Whose checks may run commands, and where the Docker daemon may be in whose containers they do.
    pub(super) fn with_commands(self, scripts: ScriptChecks, docker: Vec<Endpoint>) -> Prober {
        Prober { scripts, docker, ..self }
    }

    /// Why checks of this origin are not probed, if they are not.
    pub(super) fn forbids(&self, definition: &CheckDefinition, origin: Origin) -> Option<&'static str> {
        let runs_command = matches!(definition.kind, CheckKind::Script(_) | CheckKind::DockerExec(_));
        (runs_command && !self.scripts.allows(origin)).then_some(SCRIPTS_OFF)
    }

    /// Probes a target once, within the definition's timeout, which begins when this is first polled: in that same poll
    /// the connection to an address is asked for; that of a command begins with the command. None if it is of a kind that
    /// is not probed.
    pub(super) async fn run(
        self: Arc<Self>,
        target: Text,
        definition: Arc<CheckDefinition>,
        origin: Origin,
    ) -> Option<Outcome> {
        if let Some(reason) = self.forbids(&definition, origin) {
            return Some(Outcome::NotMade(reason.to_owned()));
        }
        let timeout = timeout_of(&definition);
        let bounds = Bounds { timeout, output_max_bytes: definition.output_max_bytes.into() };
        match &definition.kind {
            CheckKind::Http(check) => Some(self.http.probe(&target, check, timeout).await),
            CheckKind::Tcp(check) => Some(tcp::probe(&self.connector, &target, check, timeout).await),
            CheckKind::Udp => Some(udp::probe(&self.connector, &target, timeout).await),
            CheckKind::Redis => Some(redis::probe(&self.connector, &target, timeout).await),
            CheckKind::MySql => Some(mysql::probe(&self.connector, &target, timeout).await),
            CheckKind::Postgres => Some(postgres::probe(&self.connector, &target, timeout).await),
            CheckKind::Amqp => Some(amqp::probe(&self.connector, &target, timeout).await),
            CheckKind::Dns(check) => Some(dns::probe(&self.connector, &target, check, timeout).await),
            CheckKind::Icmp => Some(icmp::probe(&self.connector, &target, timeout).await),
            CheckKind::Grpc(check) => {
                let kept = if self.kept.suffices(definition.interval) { &self.kept } else { &self.none_kept };
                Some(grpc::probe((&self.connector, kept), &target, check, timeout).await)
            }
            CheckKind::H2Ping(check) => Some(h2ping::probe(&self.connector, &target, check, timeout).await),
            CheckKind::Script(check) => Some(script::probe(&self.commands, check, bounds).await),
            CheckKind::DockerExec(check) => Some(docker::probe(&self.docker, &self.commands, check, bounds).await),
            CheckKind::Systemd => Some(systemd::probe(&self.commands, &target, bounds).await),
            _ => None,
        }
    }
}

/// The addresses of a host: itself if it is one (an IPv6 one may stand in brackets), else what the resolver says.
pub(super) async fn addresses(resolver: &TargetResolver, host: &str) -> Result<Vec<IpAddr>, String> {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    if let Ok(address) = bare.parse() {
        return Ok(vec![address]);
    }
    match resolver(host.to_owned()).await {
        Ok(addresses) if addresses.is_empty() => Err(format!("{host} has no addresses")),
        Ok(addresses) => Ok(addresses),
        Err(problem) => Err(format!("{host} cannot be resolved: {problem}")),
    }
}

/// An output cut to the length that is kept, between characters.
pub(super) fn cut(output: &str) -> &str {
    cut_to(output, OUTPUT_MAX_BYTES)
}

/// A text cut to so many bytes, between characters.
pub(super) fn cut_to(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}

/// The longest time of a probe of this check.
fn timeout_of(definition: &CheckDefinition) -> Duration {
    match &definition.kind {
        _ if !definition.timeout.is_zero() => definition.timeout,
        CheckKind::Script(_) | CheckKind::Systemd | CheckKind::DockerExec(_) => COMMAND_TIMEOUT,
        _ => TIMEOUT,
    }
}

/// When a timeout that begins now ends.
pub(super) fn deadline(timeout: Duration) -> tokio::time::Instant {
    tokio::time::Instant::from_std(super::schedule::after(Instant::now(), timeout))
}

/// Awaits a probe until this time, or tells that it was not done by then.
///
/// Where this process saw the end late, for want of the processor, the probe goes on for as long again: what its target
/// sent meanwhile has come, but was not yet looked at.
pub(super) async fn within<T>(deadline: tokio::time::Instant, probe: impl Future<Output = T>) -> Option<T> {
    let mut probe = pin!(probe);
    if let Ok(done) = timeout_at(deadline, &mut probe).await {
        return Some(done);
    }
    let now = tokio::time::Instant::now();
    timeout_at(now + now.saturating_duration_since(deadline).min(LATE_MAX), probe).await.ok()
}

/// Whether the error says that this process or machine has run out of something.
fn lies_with_us(error: &io::Error) -> bool {
    let exhausted = [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM];
    error.raw_os_error().is_some_and(|code| exhausted.contains(&code))
}

/// A probe whose end was seen late goes on for this long at most.
///
/// Source: none, chosen: after an absence of hours, what came meanwhile is read in milliseconds.
const LATE_MAX: Duration = Duration::from_secs(5);

/// Longest time of a probe whose definition names none. Source: Consul's default.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The same of a command. Source: Consul's default for scripts and services of the system; it has none for Docker.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(30);

/// Why a command is not run.
const SCRIPTS_OFF: &str = "script checks are off; set enable_script_checks";

#[cfg(test)]
#[path = "probe_tests.rs"]
mod tests;
