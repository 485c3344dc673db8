//! How a check is probed, in Consul's words.

use std::sync::Arc;

use serde::{Serialize, Serializer, ser::SerializeMap};

use crate::catalog::{
    check::{Check, CheckDefinition, CheckKind, ClientTls, DockerExecCheck, HttpCheck, OUTPUT_MAX_BYTES},
    duration::go_duration,
};

/// What is probed, and when its result counts; empty where the status is set from outside.
#[derive(Debug, Default)]
pub struct DefinitionDocument<'a>(Option<&'a Check>);

impl<'a> DefinitionDocument<'a> {
    /// What is said of how a check is probed.
    pub fn new(check: &'a Check) -> DefinitionDocument<'a> {
        let definition = &*check.definition;
        let empty = match definition.kind {
            CheckKind::External | CheckKind::Maintenance => {
                *definition == CheckDefinition::unprobed(definition.kind.clone())
            }
            _ => false,
        };
        DefinitionDocument((!empty).then_some(check))
    }

    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }
}

impl Serialize for DefinitionDocument<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        let Some(check) = self.0 else { return map.end() };
        let definition = &check.definition;
        match &definition.kind {
            CheckKind::Http(http) => {
                map.serialize_entry("HTTP", &*check.target)?;
                http_entries(&mut map, http)?;
            }
            CheckKind::Tcp(tcp) => {
                map.serialize_entry("TCP", &*check.target)?;
                flag(&mut map, "TCPUseTLS", tcp.use_tls)?;
                certificate(&mut map, tcp)?;
            }
            CheckKind::Deadline(period) => map.serialize_entry("TTL", &go_duration(*period))?,
            CheckKind::External | CheckKind::Maintenance => {}
            CheckKind::Grpc(grpc) => {
                map.serialize_entry("GRPC", &*check.target)?;
                flag(&mut map, "GRPCUseTLS", grpc.use_tls)?;
                certificate(&mut map, grpc)?;
            }
            CheckKind::H2Ping(ping) => {
                map.serialize_entry("H2PING", &*check.target)?;
                // Not given, it is true (Consul).
                map.serialize_entry("H2PingUseTLS", &ping.use_tls)?;
                certificate(&mut map, ping)?;
            }
            CheckKind::DockerExec(exec) => exec_entries(&mut map, exec)?,
            CheckKind::Alias(alias) => {
                text(&mut map, "AliasNode", alias.node.as_ref().map_or("", |node| node.as_str()))?;
                text(&mut map, "AliasService", alias.service_id.as_ref().map_or("", |id| id.as_str()))?;
            }
            CheckKind::Dns(dns) => {
                let (name, r#type) = (&*dns.name, &*dns.record_type);
                let body = DnsBody { server: &check.target, name, r#type, expected: &dns.expected };
                map.serialize_entry("DNS", &body)?;
            }
            CheckKind::Udp => map.serialize_entry("UDP", &*check.target)?,
            CheckKind::Systemd => map.serialize_entry("OSService", &*check.target)?,
            CheckKind::MySql => map.serialize_entry("MySQL", &*check.target)?,
            CheckKind::Redis => map.serialize_entry("Redis", &*check.target)?,
            CheckKind::Postgres => map.serialize_entry("Postgres", &*check.target)?,
            CheckKind::Amqp => map.serialize_entry("AMQP", &*check.target)?,
            CheckKind::Icmp => map.serialize_entry("ICMP", &*check.target)?,
            CheckKind::Script(script) => map.serialize_entry("ScriptArgs", &script.args)?,
        }
        for (name, span) in [("Interval", definition.interval), ("Timeout", definition.timeout)] {
            if !span.is_zero() {
                map.serialize_entry(name, &go_duration(span))?;
            }
        }
        for (name, count) in [
            ("SuccessBeforePassing", definition.success_before_passing),
            ("FailuresBeforeWarning", definition.failures_before_warning),
            ("FailuresBeforeCritical", definition.failures_before_critical),
        ] {
            if count > 0 {
                map.serialize_entry(name, &count)?;
            }
        }
        if usize::from(definition.output_max_bytes) != OUTPUT_MAX_BYTES {
            map.serialize_entry("OutputMaxSize", &definition.output_max_bytes)?;
        }
        if let Some(span) = definition.deregister_critical_service_after {
            map.serialize_entry("DeregisterCriticalServiceAfter", &go_duration(span))?;
        }
        map.end()
    }
}

fn http_entries<M: SerializeMap>(map: &mut M, http: &HttpCheck) -> Result<(), M::Error> {
    map.serialize_entry("Method", &*http.method)?;
    if !http.headers.is_empty() {
        map.serialize_entry("Header", &HeaderBody(http))?;
    }
    text(map, "Body", &http.body)?;
    flag(map, "DisableRedirects", http.disable_redirects)?;
    flag(map, "TLSSkipVerify", http.tls_skip_verify)?;
    text(map, "TLSServerName", http.tls_server_name.as_deref().unwrap_or_default())
}

/// Written as it is read, a shell with the one text that it reads.
fn exec_entries<M: SerializeMap>(map: &mut M, exec: &DockerExecCheck) -> Result<(), M::Error> {
    map.serialize_entry("DockerContainerID", &exec.container)?;
    match &exec.args[..] {
        [shell, option, command] if &**option == "-c" => {
            map.serialize_entry("Shell", shell)?;
            map.serialize_entry("ScriptArgs", &[command])
        }
        args => map.serialize_entry("ScriptArgs", args),
    }
}

/// What a probe over TLS asks of the certificate.
fn certificate<M: SerializeMap>(map: &mut M, tls: &ClientTls) -> Result<(), M::Error> {
    flag(map, "TLSSkipVerify", tls.tls_skip_verify)?;
    text(map, "TLSServerName", tls.tls_server_name.as_deref().unwrap_or_default())
}

/// The query of a DNS check.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct DnsBody<'a> {
    server: &'a str,
    name: &'a str,
    r#type: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    expected: &'a [Arc<str>],
}

fn text<M: SerializeMap>(map: &mut M, name: &str, value: &str) -> Result<(), M::Error> {
    if value.is_empty() { Ok(()) } else { map.serialize_entry(name, value) }
}

fn flag<M: SerializeMap>(map: &mut M, name: &str, value: bool) -> Result<(), M::Error> {
    if value { map.serialize_entry(name, &true) } else { Ok(()) }
}

/// Headers with the values of each, in their order.
struct HeaderBody<'a>(&'a HttpCheck);

impl Serialize for HeaderBody<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let groups = self.0.headers.chunk_by(|(name, _), (next, _)| name == next);
        serializer.collect_map(groups.map(|group| {
            let values: Vec<&str> = group.iter().map(|(_, value)| &**value).collect();
            (&*group[0].0, values)
        }))
    }
}
