//! Definitions of checks.

use std::{sync::Arc, time::Duration};

use super::{
    DefinitionError, Owner, Problem,
    fields::{Field, Fields},
};
use crate::catalog::{
    check::{Check, CheckDefinition, CheckKind, CheckResult, CheckStatus, ClientTls, HttpCheck, OUTPUT_MAX_BYTES},
    duration::format_duration,
    names::{CheckId, ServiceId, Text},
    node::Address,
};

/// What a check is called, and whom it is about, where its own definition does not say.
pub(super) struct CheckDefaults<'a> {
    pub(super) id: CheckId,
    pub(super) name: String,
    pub(super) service_id: &'a ServiceId,
}

/// Reads a check that stands by itself: its name is required, and its ID if not given is its name.
pub(super) fn read_alone(
    object: &Field<'_>,
    owner: &Owner,
    notices: &mut Vec<String>,
) -> Result<Check, DefinitionError> {
    let fields = Fields::read(object, FIELDS)?;
    let named = fields.filled("Name").ok_or_else(|| fields.wrong("Name", Problem::Missing))?;
    let id = fields.filled("ID").unwrap_or(named).identifier(CheckId::new)?;
    let name = named.text()?;
    let service_id = match fields.filled("ServiceID") {
        Some(field) => Some(field.identifier(ServiceId::new)?),
        None => None,
    };
    finish(&fields, (id, name, service_id), owner, notices)
}

/// Reads a check in the definition of a service. None if nothing is said in it, as Go's clients send it.
pub(super) fn read_of_service(
    object: &Field<'_>,
    defaults: &CheckDefaults<'_>,
    owner: &Owner,
    notices: &mut Vec<String>,
) -> Result<Option<Check>, DefinitionError> {
    let fields = Fields::read(object, FIELDS)?;
    if object.tree.is_empty() {
        return Ok(None);
    }
    let name = fields.text("Name")?.unwrap_or(&defaults.name);
    finish(&fields, (defaults.id.clone(), name, Some(defaults.service_id.clone())), owner, notices).map(Some)
}

/// Reads a status with its output.
pub(super) fn read_status_update(object: &Field<'_>) -> Result<CheckResult, DefinitionError> {
    let fields = Fields::read(object, &["Status", "Output"])?;
    let status = status(&fields)?.ok_or_else(|| fields.wrong("Status", Problem::Missing))?;
    Ok(CheckResult { status, output: fields.text("Output")?.unwrap_or_default().into() })
}

/// The check of (ID if not given, name, service ID).
fn finish(
    fields: &Fields<'_>,
    (id, name, service_id): (CheckId, &str, Option<ServiceId>),
    owner: &Owner,
    notices: &mut Vec<String>,
) -> Result<Check, DefinitionError> {
    only_default(fields)?;
    let id = match fields.filled("CheckID").or_else(|| fields.filled("ID")) {
        Some(field) => field.identifier(CheckId::new)?,
        None => id,
    };
    let status = status(fields)?.unwrap_or(CheckStatus::Critical);
    let (target, definition) = definition(fields, None, notices)?;
    Ok(Check {
        node: owner.node.clone(),
        id,
        service_id,
        name: name.into(),
        notes: fields.text("Notes")?.unwrap_or_default().into(),
        status,
        output: "".into(),
        target,
        definition: Arc::new(definition),
        origin: owner.origin,
    })
}

pub(super) fn status(fields: &Fields<'_>) -> Result<Option<CheckStatus>, DefinitionError> {
    let Some(text) = fields.text("Status")? else { return Ok(None) };
    match CheckStatus::parse(text) {
        Some(status) => Ok(Some(status)),
        None => Err(expected(fields, "Status", "\"passing\", \"warning\" or \"critical\"")),
    }
}

/// Reads the `Definition` of a check of the catalog: where its probes go, and how. Without HTTP, TCP and TTL the status is
/// set from outside.
pub(super) fn read_definition(
    object: &Field<'_>,
    notices: &mut Vec<String>,
) -> Result<(Text, CheckDefinition), DefinitionError> {
    let fields = Fields::read(object, FIELDS)?;
    let probed = NOT_OFFERED.iter().chain(&["HTTP", "TCP"]).any(|name| fields.filled(name).is_some());
    if probed || fields.duration("TTL")?.is_some() {
        return definition(&fields, Some(CATALOG_INTERVAL_DEFAULT), notices);
    }
    let after = deregister_after(&fields, notices)?;
    let unprobed = CheckDefinition::unprobed(CheckKind::External);
    Ok(("".into(), CheckDefinition { deregister_critical_service_after: after, ..unprobed }))
}

/// Where the probes go (empty where nothing is probed), and how; at this interval where none is given.
fn definition(
    fields: &Fields<'_>,
    interval_default: Option<Duration>,
    notices: &mut Vec<String>,
) -> Result<(Text, CheckDefinition), DefinitionError> {
    let (target, kind) = kind(fields)?;
    let success_before_passing = count(fields, "SuccessBeforePassing")?;
    let failures_before_critical = count(fields, "FailuresBeforeCritical")?;
    // Not given, it is the same as the other, so that nothing warns before it is critical (Consul).
    let failures_before_warning = match count(fields, "FailuresBeforeWarning")? {
        0 => failures_before_critical,
        given => given,
    };
    if failures_before_warning > failures_before_critical {
        let rule = format!("must not be above FailuresBeforeCritical, which is {failures_before_critical}");
        return Err(fields.wrong("FailuresBeforeWarning", Problem::Rule(rule)));
    }
    let timeout = fields.duration("Timeout")?;
    let definition = CheckDefinition {
        interval: interval(fields, &kind, interval_default, notices)?,
        timeout: match kind {
            CheckKind::Deadline(_) => Duration::ZERO,
            _ => timeout.unwrap_or(TIMEOUT_DEFAULT),
        },
        kind,
        success_before_passing,
        failures_before_warning,
        failures_before_critical,
        deregister_critical_service_after: deregister_after(fields, notices)?,
        output_max_bytes: OUTPUT_MAX_BYTES as u16,
    };
    Ok((target, definition))
}

fn deregister_after(fields: &Fields<'_>, notices: &mut Vec<String>) -> Result<Option<Duration>, DefinitionError> {
    let name = "DeregisterCriticalServiceAfter";
    Ok(fields.duration(name)?.map(|span| raised(fields, (name, span, DEREGISTER_AFTER_MIN), notices)))
}

fn kind(fields: &Fields<'_>) -> Result<(Text, CheckKind), DefinitionError> {
    if let Some(field) = NOT_OFFERED.iter().find_map(|name| fields.filled(name)) {
        let rule = "this kind of check is not offered; there are HTTP, TCP and TTL checks";
        return Err(field.wrong(Problem::Rule(rule.to_owned())));
    }
    let deadline = fields.duration("TTL")?;
    match (fields.filled("HTTP"), fields.filled("TCP"), deadline) {
        (Some(url), None, None) => Ok((checked_url(url)?, CheckKind::Http(Box::new(http(fields)?)))),
        (None, Some(target), None) => Ok((checked_host_and_port(target)?, CheckKind::Tcp(tcp(fields)?))),
        (None, None, Some(_)) if fields.duration("Interval")?.is_some() => {
            Err(fields.wrong("Interval", Problem::Rule("Interval and TTL cannot both be given".to_owned())))
        }
        (None, None, Some(span)) => Ok((Text::new(), CheckKind::Deadline(span))),
        (None, None, None) => Err(fields.wrong("HTTP", Problem::Rule("one of HTTP, TCP and TTL must be given".into()))),
        (Some(other), _, Some(_)) | (_, Some(other), Some(_)) => {
            Err(other.wrong(Problem::Rule("cannot be given together with TTL".to_owned())))
        }
        (Some(_), Some(tcp), None) => Err(tcp.wrong(Problem::Rule("cannot be given together with HTTP".to_owned()))),
    }
}

fn checked_url(url: &Field<'_>) -> Result<Text, DefinitionError> {
    let text = url.text()?;
    let rest = ["http://", "https://"].iter().find_map(|scheme| {
        let (head, rest) = text.split_at_checked(scheme.len())?;
        head.eq_ignore_ascii_case(scheme).then_some(rest)
    });
    let host = rest.map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default());
    let blank = |character: char| character.is_whitespace() || character.is_control();
    if host.is_none_or(|host| host.is_empty() || host.starts_with(':')) || text.contains(blank) {
        return Err(url.expected("a URL that begins with http:// or https:// and a host"));
    }
    Ok(Text::from(text))
}

fn http(fields: &Fields<'_>) -> Result<HttpCheck, DefinitionError> {
    let method = fields.text("Method")?.unwrap_or("GET");
    if !method.bytes().all(is_token_byte) {
        return Err(expected(fields, "Method", "a request method such as \"GET\""));
    }
    Ok(HttpCheck {
        method: Arc::from(method.to_ascii_uppercase()),
        headers: headers(fields)?,
        body: Arc::from(fields.text("Body")?.unwrap_or_default()),
        disable_redirects: fields.flag("DisableRedirects")?,
        tls_skip_verify: fields.flag("TLSSkipVerify")?,
        tls_server_name: fields.text("TLSServerName")?.map(Arc::from),
    })
}

fn headers(fields: &Fields<'_>) -> Result<Headers, DefinitionError> {
    let mut headers = Headers::new();
    let Some(field) = fields.field("Header") else { return Ok(headers) };
    for (name, values) in field.members()? {
        if name.is_empty() || !name.bytes().all(is_token_byte) {
            return Err(values.wrong(Problem::Rule("is not the name of an HTTP header".to_owned())));
        }
        for value in values.items()? {
            let text = value.text()?;
            if text.chars().any(|character| character.is_control() && character != '\t') {
                return Err(value.wrong(Problem::Rule("must not contain control characters".to_owned())));
            }
            headers.push((Arc::from(name), Arc::from(text)));
        }
    }
    Ok(headers)
}

fn checked_host_and_port(field: &Field<'_>) -> Result<Text, DefinitionError> {
    let target = field.text()?;
    let legal = target.rsplit_once(':').is_some_and(|(host, port)| {
        let bare_v6 = host.contains(':') && !host.starts_with('[');
        port.parse::<u16>().is_ok_and(|port| port > 0) && !bare_v6 && Address::parse(host).is_ok()
    });
    if !legal {
        return Err(field.expected("host:port (an IPv6 address in brackets)"));
    }
    Ok(Text::from(target))
}

fn tcp(fields: &Fields<'_>) -> Result<ClientTls, DefinitionError> {
    Ok(ClientTls {
        use_tls: fields.flag("TCPUseTLS")?,
        tls_skip_verify: fields.flag("TLSSkipVerify")?,
        tls_server_name: fields.text("TLSServerName")?.map(Arc::from),
    })
}

fn interval(
    fields: &Fields<'_>,
    kind: &CheckKind,
    default: Option<Duration>,
    notices: &mut Vec<String>,
) -> Result<Duration, DefinitionError> {
    if matches!(kind, CheckKind::Deadline(_)) {
        return Ok(Duration::ZERO);
    }
    let span = fields.duration("Interval")?.or(default).ok_or_else(|| {
        fields.wrong("Interval", Problem::Rule("must be given for an HTTP or TCP check, such as \"10s\"".to_owned()))
    })?;
    Ok(raised(fields, ("Interval", span, INTERVAL_MIN), notices))
}

/// The span of (field, span, least span), raised to the least one with a notice.
fn raised(fields: &Fields<'_>, (name, span, least): (&str, Duration, Duration), notices: &mut Vec<String>) -> Duration {
    if span < least {
        let path = fields.wrong(name, Problem::Missing).path;
        notices.push(format!("{path}: raised from {} to {}", format_duration(span), format_duration(least)));
    }
    span.max(least)
}

fn count(fields: &Fields<'_>, name: &str) -> Result<u32, DefinitionError> {
    Ok(fields.field(name).map(|field| field.number(0..=u16::MAX)).transpose()?.map_or(0, u32::from))
}

fn expected(fields: &Fields<'_>, name: &str, expected: &str) -> DefinitionError {
    match fields.field(name) {
        Some(field) => field.expected(expected),
        None => fields.wrong(name, Problem::Missing),
    }
}

/// Refuses a namespace or partition other than the one there is.
pub(super) fn only_default(fields: &Fields<'_>) -> Result<(), DefinitionError> {
    for name in ["Namespace", "Partition"] {
        if fields.text(name)?.is_some_and(|text| !text.eq_ignore_ascii_case("default")) {
            return Err(expected(fields, name, "\"default\", the only one there is"));
        }
    }
    Ok(())
}

/// Names and values of HTTP headers, in the order given.
type Headers = Vec<(Arc<str>, Arc<str>)>;

/// RFC 9110 section 5.6.2.
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Least interval. Source: Consul's; a shorter one is raised.
const INTERVAL_MIN: Duration = Duration::from_secs(1);

/// Interval of a check of the catalog that names none. Source: that of consul-esm, which runs such checks for Consul.
const CATALOG_INTERVAL_DEFAULT: Duration = Duration::from_secs(30);

/// Least time after which a critical instance is deregistered. Source: Consul's; a shorter one is raised.
const DEREGISTER_AFTER_MIN: Duration = Duration::from_secs(60);

/// Timeout if none is given. Source: Consul's, for HTTP and TCP.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);

/// Fields by which Consul knows kinds of checks that are not offered here.
const NOT_OFFERED: &[&str] = &[
    "UDP",
    "GRPC",
    "H2PING",
    "ScriptArgs",
    "Args",
    "Script",
    "DockerContainerID",
    "AliasNode",
    "AliasService",
    "OSService",
];

/// All known fields; those below the empty comment are accepted without effect.
const FIELDS: &[&str] = &[
    "CheckID",
    "ID",
    "Name",
    "Notes",
    "Status",
    "ServiceID",
    "HTTP",
    "Method",
    "Header",
    "Body",
    "DisableRedirects",
    "TCP",
    "TCPUseTLS",
    "TLSSkipVerify",
    "TLSServerName",
    "TTL",
    "Interval",
    "Timeout",
    "SuccessBeforePassing",
    "FailuresBeforeWarning",
    "FailuresBeforeCritical",
    "DeregisterCriticalServiceAfter",
    "Namespace",
    "Partition",
    "UDP",
    "GRPC",
    "H2PING",
    "ScriptArgs",
    "Args",
    "Script",
    "DockerContainerID",
    "AliasNode",
    "AliasService",
    "OSService",
    //
    "GRPCUseTLS",
    "H2PingUseTLS",
    "Shell",
    "OutputMaxSize",
    "ProxyHTTP",
    "ProxyGRPC",
    "Token",
    "Type",
];
