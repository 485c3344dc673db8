//! Health checks of a service: what `CHECK_` keys ask for, and what Docker's `HEALTHCHECK` says.
//!
//! | key | check |
//! |---|---|
//! | `CHECK_HTTP=/path`, `CHECK_HTTPS=/path` | of that path, by `CHECK_HTTP_METHOD`, `CHECK_HTTPS_METHOD`, `CHECK_METHOD` (GET) |
//! | `CHECK_CMD=command` | `check-cmd <container> <port> <command>` on this host |
//! | `CHECK_SCRIPT=command` | the command on this host: words in quotes as in a shell, which does not read it, `$SERVICE_IP` and `$SERVICE_PORT` put in |
//! | `CHECK_TTL=30s` | a check deadline |
//! | `CHECK_TCP=true` (any value) | a TCP connect |
//! | `CHECK_GRPC=true` (any value), `CHECK_GRPC_USE_TLS` | gRPC's health protocol |
//!
//! The first of these that is given is the one check. For all: `CHECK_INTERVAL` (10 s, at least 1 s), `CHECK_TIMEOUT` (10 s),
//! `CHECK_INITIAL_STATUS` (critical), `CHECK_DEREGISTER_AFTER` (at least 1 minute), `CHECK_TLS_SKIP_VERIFY`. Probed is the address that
//! is registered, else that in a Docker network. What cannot be read is left out with a warning, and the service
//! is registered; by Registrator, Consul refused it as a whole.
//!
//! Commands are run only with `enable_script_checks`: who starts a container then runs programs on its host. Otherwise such a check
//! passes, and its output says that it is not run.
//!
//! `HEALTHCHECK`: healthy passes; unhealthy and starting are critical, as for swarm's own routing. A check by key goes beside it.

use std::{sync::Arc, time::Duration};

use super::{
    inspect::Container,
    map::Warnings,
    metadata::{Entry, Metadata},
    words::words,
};
use crate::catalog::{
    change::Origin,
    check::{Check, CheckDefinition, CheckKind, CheckStatus, ClientTls, HttpCheck, OUTPUT_MAX_BYTES, ScriptCheck},
    duration::{format_duration, parse_duration},
    names::{CheckId, Text},
    policy::ScriptChecks,
    service::Instance,
};

/// A service whose checks are wanted.
pub(super) struct Checked<'a> {
    pub(super) container: &'a Container,
    pub(super) metadata: &'a Metadata,
    pub(super) instance: &'a Instance,
    /// Where it is probed.
    pub(super) target: Option<(std::net::IpAddr, u16)>,
    /// The container's own port.
    pub(super) own_port: Option<u16>,
    /// Whose checks may run commands.
    pub(super) script_checks: ScriptChecks,
}

impl Checked<'_> {
    /// The check that keys ask for.
    pub(super) fn by_keys(&self, warnings: &mut Warnings) -> Option<Check> {
        let asked = KINDS.iter().find_map(|kind| Some((*kind, self.metadata.get(kind)?)));
        let (kind, entry) = asked?;
        let (target, kind) = match self.kind(kind, entry) {
            Ok(made) => made,
            Err(problem) => {
                warnings.add(format!("{}: {problem}; the service is registered without this check", entry.key));
                return None;
            }
        };
        let id = CheckId::of_service(&self.instance.id);
        let name = Text::from(format!("Service '{}' check", self.instance.service));
        if matches!(kind, CheckKind::Script(_)) && !self.script_checks.allows(Origin::Docker) {
            let cure =
                "so that no status depends on this check; set enable_script_checks, or use CHECK_HTTP or CHECK_TCP";
            warnings.add_once("not run", format!("{}: scripts are disabled on this agent, {cure}", entry.key));
            return Some(Check { id, name, output: NOT_RUN.into(), ..self.check(CheckStatus::Passing) });
        }
        let is_periodic = !matches!(kind, CheckKind::Deadline(_));
        let interval = self.span("check_interval", INTERVAL_MIN, warnings).unwrap_or(INTERVAL);
        let timeout = self.span("check_timeout", Duration::ZERO, warnings).unwrap_or(TIMEOUT);
        let definition = CheckDefinition {
            interval: if is_periodic { interval } else { Duration::ZERO },
            timeout: if is_periodic { timeout } else { Duration::ZERO },
            deregister_critical_service_after: self.span("check_deregister_after", DEREGISTER_AFTER_MIN, warnings),
            ..CheckDefinition::unprobed(kind)
        };
        let initial = self.initial_status(warnings);
        Some(Check { id, name, target, definition: Arc::new(definition), ..self.check(initial) })
    }

    /// The check that Docker runs.
    pub(super) fn by_docker(&self) -> Option<Check> {
        let health = self.container.state.health.as_ref()?;
        let said = health.log.last().map(|result| result.output.trim()).unwrap_or_default();
        let (status, output) = match health.status.as_str() {
            "" | "none" => return None,
            "healthy" => (CheckStatus::Passing, said),
            "starting" => (CheckStatus::Critical, "starting: Docker has not found it healthy yet"),
            _ => (CheckStatus::Critical, if said.is_empty() { "unhealthy" } else { said }),
        };
        let end = (0..=output.len().min(OUTPUT_MAX_BYTES)).rev().find(|end| output.is_char_boundary(*end));
        Some(Check {
            id: CheckId::derived(&format!("docker-health:{}", self.instance.id)),
            name: "Docker HEALTHCHECK".into(),
            output: (&output[..end.unwrap_or(0)]).into(),
            ..self.check(status)
        })
    }

    /// A check of the instance with a status from outside.
    fn check(&self, status: CheckStatus) -> Check {
        Check {
            node: self.instance.node.clone(),
            id: CheckId::of_service(&self.instance.id),
            service_id: Some(self.instance.id.clone()),
            name: "".into(),
            notes: "".into(),
            status,
            output: "".into(),
            target: "".into(),
            definition: Arc::new(CheckDefinition::unprobed(CheckKind::External)),
            origin: Origin::Docker,
        }
    }

    /// Where a check's probes go, and how, or why that cannot be.
    fn kind(&self, kind: &str, entry: &Entry) -> Result<(Text, CheckKind), String> {
        let value = entry.value.as_str();
        Ok(match kind {
            "check_http" | "check_https" => {
                let scheme = if kind == "check_http" { "http" } else { "https" };
                (self.url(scheme, value)?, CheckKind::Http(Box::new(self.http(kind)?)))
            }
            "check_cmd" => {
                let port = self.own_port.map_or(String::new(), |port| port.to_string());
                let id = self.container.id.get(..12).unwrap_or(&self.container.id);
                let args = ["check-cmd", id, &port, value];
                ("".into(), script(args.map(str::to_owned).into())?)
            }
            "check_script" => {
                let (address, port) = self.host_and_port()?;
                let (address, port) = (address.to_string(), port.to_string());
                let put_in = |word: String| word.replace("$SERVICE_IP", &address).replace("$SERVICE_PORT", &port);
                ("".into(), script(words(value)?.into_iter().map(put_in).collect())?)
            }
            "check_ttl" => {
                let period = parse_duration(value).map_err(|problem| problem.to_string())?;
                if period.is_zero() {
                    return Err("a check deadline must be longer than 0s".to_owned());
                }
                ("".into(), CheckKind::Deadline(period))
            }
            "check_tcp" => {
                let check = ClientTls::default();
                (self.socket()?.into(), CheckKind::Tcp(check))
            }
            _ => {
                let use_tls = self.flag("check_grpc_use_tls");
                let tls_skip_verify = self.flag("check_tls_skip_verify");
                let check = ClientTls { use_tls, tls_skip_verify, tls_server_name: None };
                (self.socket()?.into(), CheckKind::Grpc(check))
            }
        })
    }

    fn http(&self, kind: &str) -> Result<HttpCheck, String> {
        let method = self.metadata.get(&format!("{kind}_method")).or_else(|| self.metadata.get("check_method"));
        let text = method.map_or("GET", |entry| entry.value.as_str());
        if !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)) {
            return Err(format!("{text:?} is not a request method such as GET"));
        }
        Ok(HttpCheck {
            method: Arc::from(text.to_ascii_uppercase()),
            headers: Vec::new(),
            body: Arc::from(""),
            disable_redirects: false,
            tls_skip_verify: self.flag("check_tls_skip_verify"),
            tls_server_name: None,
        })
    }

    fn url(&self, scheme: &str, path: &str) -> Result<Text, String> {
        if path.contains(|character: char| character.is_whitespace() || character.is_control()) {
            return Err(format!("{path:?} is not the path of a URL"));
        }
        let slash = if path.starts_with('/') { "" } else { "/" };
        Ok(format!("{scheme}://{}{slash}{path}", self.socket()?).into())
    }

    fn socket(&self) -> Result<String, String> {
        let (address, port) = self.host_and_port()?;
        Ok(std::net::SocketAddr::new(address, port).to_string())
    }

    fn host_and_port(&self) -> Result<(std::net::IpAddr, u16), String> {
        self.target.ok_or_else(|| "the service has no port that could be probed; name one in SERVICE_PORTS".to_owned())
    }

    fn flag(&self, name: &str) -> bool {
        self.metadata.value(name).is_some_and(|value| matches!(value.to_ascii_lowercase().as_str(), "true" | "1" | "t"))
    }

    /// A span of time, at least so long.
    fn span(&self, name: &str, least: Duration, warnings: &mut Warnings) -> Option<Duration> {
        let entry = self.metadata.get(name)?;
        match parse_duration(&entry.value) {
            Ok(span) if span < least => {
                let least = format_duration(least);
                warnings.add(format!("{}: raised from {} to {least}; set it so", entry.key, format_duration(span)));
                parse_duration(&least).ok()
            }
            Ok(span) => Some(span),
            Err(problem) => {
                warnings.add(format!("{}: {problem}; it is not used", entry.key));
                None
            }
        }
    }

    fn initial_status(&self, warnings: &mut Warnings) -> CheckStatus {
        let Some(entry) = self.metadata.get("check_initial_status") else { return CheckStatus::Critical };
        CheckStatus::parse(&entry.value).unwrap_or_else(|| {
            warnings.add(format!("{}: {:?} is not used; write passing, warning or critical", entry.key, entry.value));
            CheckStatus::Critical
        })
    }
}

fn script(args: Vec<String>) -> Result<CheckKind, String> {
    if args.iter().any(|arg| arg.contains('\0')) {
        return Err("a command must not contain zero bytes".to_owned());
    }
    Ok(CheckKind::Script(ScriptCheck { args: args.into_iter().map(Arc::from).collect() }))
}

/// What a check says that would run a command where none is.
const NOT_RUN: &str = "not run: scripts are disabled on this agent; to enable, set enable_script_checks";

/// The keys that ask for a check; the first that is given counts. Source: Registrator's order.
const KINDS: &[&str] =
    &["check_http", "check_https", "check_cmd", "check_script", "check_ttl", "check_tcp", "check_grpc"];

/// Time between probes. Source: Registrator.
const INTERVAL: Duration = Duration::from_secs(10);

/// Least time between probes. Source: Consul.
const INTERVAL_MIN: Duration = Duration::from_secs(1);

/// Longest time of a probe. Source: Consul.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Least time after which a critical instance is deregistered. Source: Consul.
const DEREGISTER_AFTER_MIN: Duration = Duration::from_secs(60);
