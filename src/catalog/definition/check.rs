//! Definitions of checks.

use std::{sync::Arc, time::Duration};

use super::{
    DefinitionError, Owner, Problem,
    fields::{Field, Fields},
    kinds,
};
use crate::catalog::{
    check::{Check, CheckDefinition, CheckKind, CheckResult, CheckStatus, OUTPUT_MAX_BYTES},
    duration::format_duration,
    names::{CheckId, ServiceId, Text},
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
        None => Err(fields.expected("Status", "\"passing\", \"warning\" or \"critical\"")),
    }
}

/// Reads the `Definition` of a check of the catalog: where its probes go, and how. Without a kind the status is set from
/// outside.
pub(super) fn read_definition(
    object: &Field<'_>,
    notices: &mut Vec<String>,
) -> Result<(Text, CheckDefinition), DefinitionError> {
    let fields = Fields::read(object, FIELDS)?;
    if kinds::is_named(&fields)? {
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
    let (target, kind) = kinds::kind(fields)?;
    let success_before_passing = count(fields, "SuccessBeforePassing", Some("Rise"))?;
    let failures_before_critical = count(fields, "FailuresBeforeCritical", Some("Fall"))?;
    // Not given, it is the same as the other, so that nothing warns before it is critical (Consul).
    let failures_before_warning = match count(fields, "FailuresBeforeWarning", None)? {
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
        timeout: match kind.is_periodic() {
            true => timeout.unwrap_or(kinds::timeout_default(&kind)),
            false => Duration::ZERO,
        },
        kind,
        success_before_passing,
        failures_before_warning,
        failures_before_critical,
        deregister_critical_service_after: deregister_after(fields, notices)?,
        output_max_bytes: output_max_bytes(fields, notices)?,
    };
    Ok((target, definition))
}

fn deregister_after(fields: &Fields<'_>, notices: &mut Vec<String>) -> Result<Option<Duration>, DefinitionError> {
    let name = "DeregisterCriticalServiceAfter";
    Ok(fields.duration(name)?.map(|span| raised(fields, (name, span, DEREGISTER_AFTER_MIN), notices)))
}

fn interval(
    fields: &Fields<'_>,
    kind: &CheckKind,
    default: Option<Duration>,
    notices: &mut Vec<String>,
) -> Result<Duration, DefinitionError> {
    let given = fields.duration("Interval")?;
    if !kind.is_periodic() {
        let rule = match kind {
            CheckKind::Deadline(_) => "Interval and TTL cannot both be given",
            _ => "a check that is as another one has no Interval",
        };
        return match given {
            Some(_) => Err(fields.wrong("Interval", Problem::Rule(rule.to_owned()))),
            None => Ok(Duration::ZERO),
        };
    }
    let span = given.or(default).ok_or_else(|| {
        fields
            .wrong("Interval", Problem::Rule("must be given, such as \"10s\": the time between two probes".to_owned()))
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

/// The number of a field, which may have another name.
fn count(fields: &Fields<'_>, name: &str, other: Option<&str>) -> Result<u32, DefinitionError> {
    let (ours, theirs) = (fields.filled(name), other.and_then(|other| fields.filled(other)));
    if let (Some(_), Some(theirs)) = (ours, theirs) {
        let rule = format!("cannot be given together with {name}, of which it is another name");
        return Err(theirs.wrong(Problem::Rule(rule)));
    }
    Ok(ours.or(theirs).map(|field| field.number(0..=u16::MAX)).transpose()?.map_or(0, u32::from))
}

/// So much of the output is kept; what is above the most is cut to it with a notice.
fn output_max_bytes(fields: &Fields<'_>, notices: &mut Vec<String>) -> Result<u16, DefinitionError> {
    let Some(field) = fields.filled("OutputMaxSize") else { return Ok(OUTPUT_MAX_BYTES as u16) };
    let most = OUTPUT_MAX_BYTES as u64;
    let given = field.index().map_err(|_| field.expected(format!("a number from 1 to {most}")))?;
    if given > most {
        notices.push(format!("{}: cut from {given} to {most}", field.path));
    }
    Ok(given.min(most) as u16)
}

/// Refuses a namespace or partition other than the one there is.
pub(super) fn only_default(fields: &Fields<'_>) -> Result<(), DefinitionError> {
    for name in ["Namespace", "Partition"] {
        if fields.text(name)?.is_some_and(|text| !text.eq_ignore_ascii_case("default")) {
            return Err(fields.expected(name, "\"default\", the only one there is"));
        }
    }
    Ok(())
}

/// Least interval. Source: Consul's; a shorter one is raised.
const INTERVAL_MIN: Duration = Duration::from_secs(1);

/// Interval of a check of the catalog that names none. Source: that of consul-esm, which runs such checks for Consul.
const CATALOG_INTERVAL_DEFAULT: Duration = Duration::from_secs(30);

/// Least time after which a critical instance is deregistered. Source: Consul's; a shorter one is raised.
const DEREGISTER_AFTER_MIN: Duration = Duration::from_secs(60);

/// All known fields: those that name a kind, and the others.
const FIELDS: &[&str] = &all_fields();

const fn all_fields() -> [&'static str; OTHER_FIELDS.len() + kinds::KINDS.len()] {
    let mut all = [""; OTHER_FIELDS.len() + kinds::KINDS.len()];
    let mut at = 0;
    while at < all.len() {
        all[at] = match at.checked_sub(OTHER_FIELDS.len()) {
            None => OTHER_FIELDS[at],
            Some(kind) => kinds::KINDS[kind].name,
        };
        at += 1;
    }
    all
}

/// Those that name no kind; those below the empty comment are accepted without effect.
const OTHER_FIELDS: [&str; 32] = [
    "CheckID",
    "ID",
    "Name",
    "Notes",
    "Status",
    "ServiceID",
    "Method",
    "Header",
    "Body",
    "DisableRedirects",
    "TCPUseTLS",
    "TLSSkipVerify",
    "TLSServerName",
    "Interval",
    "Timeout",
    "SuccessBeforePassing",
    "FailuresBeforeWarning",
    "FailuresBeforeCritical",
    "Rise",
    "Fall",
    "DeregisterCriticalServiceAfter",
    "Namespace",
    "Partition",
    "OutputMaxSize",
    "GRPCUseTLS",
    "H2PingUseTLS",
    "Script",
    "Shell",
    //
    "ProxyHTTP",
    "ProxyGRPC",
    "Token",
    "Type",
];
