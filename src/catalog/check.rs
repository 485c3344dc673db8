//! Checks: how an instance or a node is.

use std::{borrow::Cow, sync::Arc, time::Duration};

use super::{
    change::Origin,
    names::{CheckId, NodeName, ServiceId, Text},
    output::Output,
    service::InstanceKey,
};

/// Identifies a check: its ID is unique on its node.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CheckKey {
    /// The node that the check belongs to.
    pub node: NodeName,
    /// Its ID there.
    pub id: CheckId,
}

/// How something is. The order is from best to worst, so that the status of several checks is their maximum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CheckStatus {
    /// As it should be.
    Passing,
    /// Answered still, unless configured otherwise.
    Warning,
    /// Not answered.
    Critical,
}

impl CheckStatus {
    /// Consul's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            CheckStatus::Passing => "passing",
            CheckStatus::Warning => "warning",
            CheckStatus::Critical => "critical",
        }
    }

    /// Reads Consul's word, in lower case.
    pub fn parse(text: &str) -> Option<CheckStatus> {
        match text {
            "passing" => Some(CheckStatus::Passing),
            "warning" => Some(CheckStatus::Warning),
            "critical" => Some(CheckStatus::Critical),
            _ => None,
        }
    }
}

/// A check and its last known result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// The node that it belongs to.
    pub node: NodeName,
    /// Its ID, unique on the node.
    pub id: CheckId,
    /// The instance it is about; none means the whole node.
    pub service_id: Option<ServiceId>,
    /// For people.
    pub name: Text,
    /// For people.
    pub notes: Text,
    /// The last known status.
    pub status: CheckStatus,
    /// What the last result said; at most [`OUTPUT_MAX_BYTES`].
    pub output: Output,
    /// Where its probes go: a URL, `host:port` (an IPv6 address in brackets), a host, or a systemd unit; empty where
    /// nothing is probed and where the kind names it.
    pub target: Text,
    /// How it is probed, and when; shared between equal ones.
    pub definition: Arc<CheckDefinition>,
    /// Who registered it.
    pub origin: Origin,
}

impl Check {
    /// What identifies it.
    pub fn key(&self) -> CheckKey {
        CheckKey { node: self.node.clone(), id: self.id.clone() }
    }

    /// What the last result said.
    pub fn shown_output(&self) -> Cow<'_, str> {
        self.output.shown(&self.target)
    }

    /// The same output for a check with this target.
    pub(super) fn output_for(&self, target: &str) -> Output {
        if *self.target == *target { self.output.clone() } else { Output::new(&self.shown_output(), target) }
    }

    /// Takes the instance's own spelling of its ID, which it equals, in place of the check's.
    pub(super) fn share_id(&mut self, id: &ServiceId) {
        self.service_id = Some(id.clone());
        let derived = CheckId::of_service(id);
        if self.id == derived {
            self.id = derived;
        }
    }

    /// The check that keeps an instance in maintenance.
    pub fn maintenance(instance: &InstanceKey, reason: Arc<str>) -> Check {
        Check {
            node: instance.node.clone(),
            id: Check::maintenance_id(&instance.id),
            service_id: Some(instance.id.clone()),
            name: "Service Maintenance Mode".into(),
            notes: reason.into(),
            status: CheckStatus::Critical,
            output: "".into(),
            target: "".into(),
            definition: Arc::new(CheckDefinition::unprobed(CheckKind::Maintenance)),
            origin: Origin::Api,
        }
    }

    /// The ID of that check.
    pub fn maintenance_id(instance: &ServiceId) -> CheckId {
        CheckId::derived(&format!("{SERVICE_MAINTENANCE_PREFIX}{instance}"))
    }

    /// Whether it is a maintenance check: administratively hidden.
    pub fn is_maintenance(&self) -> bool {
        matches!(self.definition.kind, CheckKind::Maintenance)
    }

    /// Whether results change it: maintenance is critical while it lasts.
    pub(super) fn takes_results(&self) -> bool {
        !self.is_maintenance()
    }

    /// Takes over the last result of the check whose place it takes, if it takes any.
    pub(super) fn keep_result(&mut self, before: &Check) {
        if self.takes_results() {
            (self.status, self.output) = (before.status, before.output_for(&self.target));
        }
    }
}

/// How something is probed, when, and when its result counts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CheckDefinition {
    /// What is probed.
    pub kind: CheckKind,
    /// Time from the start of a probe to the start of the next; at least 1 s; unused where nothing is probed.
    pub interval: Duration,
    /// Longest time that a probe may take.
    pub timeout: Duration,
    /// So many successes in a row make it pass; 0 and 1 both mean that the first one counts.
    pub success_before_passing: u32,
    /// So many failures in a row make it warn; at most `failures_before_critical`, and 0 means as many.
    pub failures_before_warning: u32,
    /// So many failures in a row make it critical; 0 and 1 both mean that the first one counts.
    pub failures_before_critical: u32,
    /// Deregisters the instance after it was critical for so long.
    pub deregister_critical_service_after: Option<Duration>,
    /// So many bytes of a probe's output are kept; at least 1, at most [`OUTPUT_MAX_BYTES`].
    pub output_max_bytes: u16,
}

impl CheckDefinition {
    /// A check whose status is only ever set from outside.
    pub fn unprobed(kind: CheckKind) -> CheckDefinition {
        CheckDefinition {
            kind,
            interval: Duration::ZERO,
            timeout: Duration::ZERO,
            success_before_passing: 0,
            failures_before_warning: 0,
            failures_before_critical: 0,
            deregister_critical_service_after: None,
            output_max_bytes: OUTPUT_MAX_BYTES as u16,
        }
    }
}

/// What is probed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum CheckKind {
    /// An HTTP request; 2xx passes, 429 warns, the rest is critical.
    Http(Box<HttpCheck>),
    /// A TCP connect, with a TLS handshake where one is asked for.
    Tcp(ClientTls),
    /// A check deadline: it must be renewed within this time or turns critical (Consul's TTL check).
    Deadline(Duration),
    /// Its status is only ever set from outside.
    External,
    /// Administratively hidden while it exists.
    Maintenance,
    /// A call of gRPC's health protocol (`grpc.health.v1`) at a host and port, which may be followed by `/` and a
    /// service's name.
    Grpc(ClientTls),
    /// A command.
    Script(ScriptCheck),
    /// A datagram; passes unless an error comes back.
    Udp,
    /// A ping of HTTP/2 (RFC 9113 section 6.7).
    H2Ping(ClientTls),
    /// A command inside a Docker container.
    DockerExec(Box<DockerExecCheck>),
    /// As another instance or node is.
    Alias(Box<AliasCheck>),
    /// Whether a systemd unit is active.
    Systemd,
    /// The greeting of a MySQL or MariaDB server.
    MySql,
    /// A PING of Redis.
    Redis,
    /// The start of a PostgreSQL session.
    Postgres,
    /// The start of an AMQP 0-9-1 connection.
    Amqp,
    /// A DNS query with an expected answer.
    Dns(Box<DnsCheck>),
    /// An ICMP echo.
    Icmp,
}

impl CheckKind {
    /// Whether something is done to find out how its target is.
    pub fn is_probed(&self) -> bool {
        use CheckKind::{Deadline, External, Maintenance};
        !matches!(self, Deadline(_) | External | Maintenance)
    }

    /// Whether it looks at the machine that it runs on, so that only the node that it is about can run it.
    pub fn is_of_its_node(&self) -> bool {
        matches!(self, CheckKind::Script(_) | CheckKind::DockerExec(_) | CheckKind::Systemd)
    }

    /// Whether its probes follow an interval.
    pub fn is_periodic(&self) -> bool {
        self.is_probed() && !matches!(self, CheckKind::Alias(_))
    }

    /// The word in `Type`: Consul's, where it has one.
    pub fn as_str(&self) -> &'static str {
        match self {
            CheckKind::Http(_) => "http",
            CheckKind::Tcp(_) => "tcp",
            CheckKind::Deadline(_) => "ttl",
            CheckKind::External => "",
            CheckKind::Maintenance => "maintenance",
            CheckKind::Grpc(_) => "grpc",
            CheckKind::Script(_) => "script",
            CheckKind::Udp => "udp",
            CheckKind::H2Ping(_) => "h2ping",
            CheckKind::DockerExec(_) => "docker",
            CheckKind::Alias(_) => "alias",
            CheckKind::Systemd => "os_service",
            CheckKind::MySql => "mysql",
            CheckKind::Redis => "redis",
            CheckKind::Postgres => "postgres",
            CheckKind::Amqp => "amqp",
            CheckKind::Dns(_) => "dns",
            CheckKind::Icmp => "icmp",
        }
    }
}

/// An HTTP probe of a URL.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HttpCheck {
    /// The request method, in upper case.
    pub method: Arc<str>,
    /// Request headers, in the order given; a header may stand several times.
    pub headers: Vec<(Arc<str>, Arc<str>)>,
    /// The request body; empty for none.
    pub body: Arc<str>,
    /// Takes a redirect for the answer instead of following it.
    pub disable_redirects: bool,
    /// Accepts any certificate.
    pub tls_skip_verify: bool,
    /// The name asked for in SNI and looked for in the certificate; none means the URL's host.
    pub tls_server_name: Option<Arc<str>>,
}

/// Whether a probe speaks TLS, and what of the certificate.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct ClientTls {
    /// Passes only if a TLS handshake succeeds too.
    pub use_tls: bool,
    /// Accepts any certificate.
    pub tls_skip_verify: bool,
    /// The name asked for in SNI and looked for in the certificate; none means the target's host.
    pub tls_server_name: Option<Arc<str>>,
}

/// A command whose exit status is the result: 0 passes, 1 warns, the rest is critical.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ScriptCheck {
    /// The program and its arguments.
    pub args: Box<[Arc<str>]>,
}

/// A command inside a Docker container; its exit status is read as a [`ScriptCheck`]'s.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DockerExecCheck {
    /// The container's ID or name.
    pub container: Arc<str>,
    /// The program inside it, and its arguments.
    pub args: Box<[Arc<str>]>,
}

/// Whose status a check has: that of an instance with its node, or of a node.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AliasCheck {
    /// The node; none means that of the check.
    pub node: Option<NodeName>,
    /// The instance there; none means the node alone.
    pub service_id: Option<ServiceId>,
}

/// A DNS query and what must be answered.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DnsCheck {
    /// The name that is asked for.
    pub name: Arc<str>,
    /// The type, such as `A`, in upper case.
    pub record_type: Arc<str>,
    /// What each of some records must say, as in a zone file; empty if any will do.
    pub expected: Box<[Arc<str>]>,
}

/// The result of one probe, or of a call that sets a status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckResult {
    /// The status that now holds, thresholds already applied.
    pub status: CheckStatus,
    /// What it said; cut to [`OUTPUT_MAX_BYTES`].
    pub output: Output,
}

/// Longest output that is kept. Source: Consul's limit of the same name.
pub const OUTPUT_MAX_BYTES: usize = 4096;

/// ID of the node check of maintenance. Source: Consul; its clients look for it.
pub const NODE_MAINTENANCE_ID: &str = "_node_maintenance";

/// What the ID of an instance's maintenance check begins with; the service ID follows. Source: Consul.
pub const SERVICE_MAINTENANCE_PREFIX: &str = "_service_maintenance:";
