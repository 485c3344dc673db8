//! Checks as serde reads them, and what they say.

use std::{fmt, sync::Arc, time::Duration};

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, Visitor},
};

use super::{DocumentError, or_default, wrong};
use crate::catalog::{
    check::{
        AliasCheck, Check, CheckDefinition, CheckKind, CheckStatus, ClientTls, DnsCheck, DockerExecCheck, HttpCheck,
        OUTPUT_MAX_BYTES, ScriptCheck,
    },
    definition::Owner,
    duration::parse_duration,
    names::{CheckId, NodeName, ServiceId, Text},
    output::Output,
};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CheckShape {
    #[serde(rename = "CheckID")]
    id: String,
    #[serde(default, deserialize_with = "or_default")]
    name: String,
    #[serde(default, deserialize_with = "or_default")]
    status: String,
    #[serde(default, deserialize_with = "or_default")]
    notes: String,
    #[serde(default, deserialize_with = "or_default")]
    output: String,
    #[serde(default, rename = "Type", deserialize_with = "or_default")]
    kind: String,
    #[serde(default, deserialize_with = "or_default")]
    definition: DefinitionFields,
}

impl CheckShape {
    /// The check of this instance, or of the node.
    pub(super) fn check(self, service_id: Option<&ServiceId>, owner: &Owner) -> Result<Check, DocumentError> {
        let is_long = self.id.len() > CHECK_ID_MAX_BYTES;
        if self.id.is_empty() || is_long || self.id.chars().any(char::is_control) {
            let rule = format!("must be 1 to {CHECK_ID_MAX_BYTES} bytes without control characters");
            return Err(wrong("CheckID", rule));
        }
        let status = match &*self.status {
            "" => CheckStatus::Critical,
            text => CheckStatus::parse(text)
                .ok_or_else(|| wrong("Status", "must be \"passing\", \"warning\" or \"critical\""))?,
        };
        let (target, definition) = self.definition.definition(&self.kind)?;
        let said = beginning(&self.output, OUTPUT_MAX_BYTES);
        Ok(Check {
            node: owner.node.clone(),
            id: CheckId::derived(&self.id),
            service_id: service_id.cloned(),
            name: self.name.into(),
            notes: self.notes.into(),
            status,
            output: Output::new(said, &target),
            target,
            definition: Arc::new(definition),
            origin: owner.origin,
        })
    }
}

/// How a check is probed; all of it may be left out.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct DefinitionFields {
    #[serde(rename = "HTTP")]
    http: Option<String>,
    method: Option<Arc<str>>,
    header: Option<Headers>,
    body: Option<Arc<str>>,
    disable_redirects: Option<bool>,
    #[serde(rename = "TCP")]
    tcp: Option<String>,
    #[serde(rename = "TCPUseTLS")]
    tcp_use_tls: Option<bool>,
    #[serde(rename = "TLSSkipVerify")]
    tls_skip_verify: Option<bool>,
    #[serde(rename = "TLSServerName")]
    tls_server_name: Option<Arc<str>>,
    #[serde(rename = "TTL")]
    ttl: Option<Span>,
    #[serde(rename = "GRPC")]
    grpc: Option<String>,
    #[serde(rename = "GRPCUseTLS")]
    grpc_use_tls: Option<bool>,
    #[serde(rename = "H2PING")]
    h2ping: Option<String>,
    #[serde(rename = "H2PingUseTLS")]
    h2ping_use_tls: Option<bool>,
    #[serde(rename = "DockerContainerID")]
    docker_container_id: Option<Arc<str>>,
    shell: Option<Arc<str>>,
    script_args: Option<Vec<Arc<str>>>,
    alias_node: Option<String>,
    alias_service: Option<String>,
    #[serde(rename = "DNS")]
    dns: Option<DnsFields>,
    #[serde(rename = "UDP")]
    udp: Option<String>,
    #[serde(rename = "OSService")]
    os_service: Option<String>,
    #[serde(rename = "MySQL")]
    mysql: Option<String>,
    redis: Option<String>,
    postgres: Option<String>,
    #[serde(rename = "AMQP")]
    amqp: Option<String>,
    #[serde(rename = "ICMP")]
    icmp: Option<String>,
    interval: Option<Span>,
    timeout: Option<Span>,
    success_before_passing: Option<u32>,
    failures_before_warning: Option<u32>,
    failures_before_critical: Option<u32>,
    output_max_size: Option<u16>,
    deregister_critical_service_after: Option<Span>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DnsFields {
    server: String,
    name: Arc<str>,
    r#type: Arc<str>,
    #[serde(default, deserialize_with = "or_default")]
    expected: Vec<Arc<str>>,
}

impl DefinitionFields {
    fn definition(mut self, kind: &str) -> Result<(Text, CheckDefinition), DocumentError> {
        let span = |span: Option<Span>| span.map(|Span(span)| span);
        let output_max_bytes = self.output_max_size.unwrap_or(u16::MAX).clamp(1, OUTPUT_MAX_BYTES as u16);
        let definition = CheckDefinition {
            interval: span(self.interval.take()).unwrap_or_default(),
            timeout: span(self.timeout.take()).unwrap_or_default(),
            success_before_passing: self.success_before_passing.unwrap_or_default(),
            failures_before_warning: self.failures_before_warning.unwrap_or_default(),
            failures_before_critical: self.failures_before_critical.unwrap_or_default(),
            deregister_critical_service_after: span(self.deregister_critical_service_after.take()),
            output_max_bytes,
            kind: CheckKind::External,
        };
        let (target, kind) = match kind {
            "maintenance" => (Text::new(), CheckKind::Maintenance),
            "alias" => self.alias()?,
            _ => self.probed()?,
        };
        Ok((target, CheckDefinition { kind, ..definition }))
    }

    /// What the fields name; a kind that is not known is not run here anyway.
    fn probed(mut self) -> Result<(Text, CheckKind), DocumentError> {
        if let Some(url) = self.http.take().filter(|url| !url.is_empty()) {
            return Ok((url.into(), CheckKind::Http(Box::new(self.http_check()))));
        }
        if let Some(Span(span)) = self.ttl.take().filter(|Span(span)| !span.is_zero()) {
            return Ok((Text::new(), CheckKind::Deadline(span)));
        }
        if let Some(container) = self.docker_container_id.take().filter(|id| !id.is_empty()) {
            return Ok((Text::new(), CheckKind::DockerExec(Box::new(self.docker_exec(container)))));
        }
        if let Some(args) = self.script_args.take().filter(|args| !args.is_empty()) {
            return Ok((Text::new(), CheckKind::Script(ScriptCheck { args: args.into() })));
        }
        if let Some(DnsFields { server, name, r#type, expected }) = self.dns.take() {
            let check = DnsCheck { name, record_type: r#type, expected: expected.into() };
            return Ok((server.into(), CheckKind::Dns(Box::new(check))));
        }
        if [&self.alias_node, &self.alias_service].into_iter().flatten().any(|text| !text.is_empty()) {
            return self.alias();
        }
        let tls = |use_tls: Option<bool>, default: bool| ClientTls {
            use_tls: use_tls.unwrap_or(default),
            tls_skip_verify: self.tls_skip_verify.unwrap_or_default(),
            tls_server_name: self.tls_server_name.clone(),
        };
        let over_tls = [
            (self.tcp, CheckKind::Tcp(tls(self.tcp_use_tls, false))),
            (self.grpc, CheckKind::Grpc(tls(self.grpc_use_tls, false))),
            // Not given, it is true (Consul).
            (self.h2ping, CheckKind::H2Ping(tls(self.h2ping_use_tls, true))),
        ];
        let others = [
            (self.udp, CheckKind::Udp),
            (self.os_service, CheckKind::Systemd),
            (self.mysql, CheckKind::MySql),
            (self.redis, CheckKind::Redis),
            (self.postgres, CheckKind::Postgres),
            (self.amqp, CheckKind::Amqp),
            (self.icmp, CheckKind::Icmp),
        ];
        let named =
            |(target, kind): (Option<String>, CheckKind)| Some((target.filter(|it| !it.is_empty())?.into(), kind));
        Ok(over_tls.into_iter().chain(others).find_map(named).unwrap_or((Text::new(), CheckKind::External)))
    }

    fn http_check(self) -> HttpCheck {
        HttpCheck {
            method: self.method.unwrap_or_else(|| Arc::from("GET")),
            headers: self.header.map(|Headers(headers)| headers).unwrap_or_default(),
            body: self.body.unwrap_or_default(),
            disable_redirects: self.disable_redirects.unwrap_or_default(),
            tls_skip_verify: self.tls_skip_verify.unwrap_or_default(),
            tls_server_name: self.tls_server_name,
        }
    }

    /// With a shell its arguments are what that reads; without, they are run as they are.
    fn docker_exec(self, container: Arc<str>) -> DockerExecCheck {
        let args = self.script_args.unwrap_or_default();
        let args = match self.shell {
            Some(shell) => {
                let command: Arc<str> = match &args[..] {
                    [command] => Arc::clone(command),
                    _ => Arc::from(args.join(" ")),
                };
                Box::new([shell, Arc::from("-c"), command]) as Box<[Arc<str>]>
            }
            None => args.into(),
        };
        DockerExecCheck { container, args }
    }

    fn alias(self) -> Result<(Text, CheckKind), DocumentError> {
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        let node = given(self.alias_node).map(NodeName::new).transpose();
        let service_id = given(self.alias_service).map(ServiceId::new).transpose();
        let alias = AliasCheck {
            node: node.map_err(|error| wrong("Definition.AliasNode", error))?,
            service_id: service_id.map_err(|error| wrong("Definition.AliasService", error))?,
        };
        Ok((Text::new(), CheckKind::Alias(Box::new(alias))))
    }
}

/// Names of HTTP headers with the values of each, in their order; a name may stand several times.
struct Headers(Vec<(Arc<str>, Arc<str>)>);

impl<'de> Deserialize<'de> for Headers {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Headers, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Headers;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of lists of texts")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Headers, A::Error> {
                let mut headers = Vec::new();
                while let Some((name, values)) = map.next_entry::<Arc<str>, Vec<Arc<str>>>()? {
                    headers.extend(values.into_iter().map(|value| (Arc::clone(&name), value)));
                }
                Ok(Headers(headers))
            }
        }
        from.deserialize_map(InOrder)
    }
}

/// A Go duration, or a number of nanoseconds.
struct Span(Duration);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Span, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Text(String),
            Nanoseconds(u64),
        }
        let span = match Written::deserialize(from) {
            Ok(Written::Text(text)) => parse_duration(&text).ok(),
            Ok(Written::Nanoseconds(count)) => Some(Duration::from_nanos(count)),
            Err(_) => None,
        };
        let span = span.filter(|span| *span <= SPAN_MAX);
        span.map(Span).ok_or_else(|| D::Error::custom("expected a duration such as \"10s\", of at most 100 years"))
    }
}

/// The text's beginning, of at most so many bytes.
fn beginning(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    &text[..end.unwrap_or(0)]
}

/// Longest ID. Source: none, chosen: above a maintenance check of the longest service ID, as in the journal.
const CHECK_ID_MAX_BYTES: usize = 512;

/// Longest span. Source: none, chosen: so that adding it to a clock's reading never overflows, as in definitions.
const SPAN_MAX: Duration = Duration::from_secs(100 * 366 * 86_400);
