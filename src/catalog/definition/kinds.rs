//! What a check probes: of its fields those that name a kind and a target.

use std::{sync::Arc, time::Duration};

use super::{
    DefinitionError, Problem,
    fields::{Field, Fields},
};
use crate::catalog::{
    check::{AliasCheck, CheckKind, ClientTls, DnsCheck, DockerExecCheck, HttpCheck, ScriptCheck},
    names::{NodeName, ServiceId, Text},
    node::Address,
};

/// Whether some kind is named.
pub(super) fn is_named(fields: &Fields<'_>) -> Result<bool, DefinitionError> {
    Ok(fields.filled("Script").is_some() || !given(fields)?.is_empty())
}

/// Where the probes go (empty where nothing is probed, and where the kind says it), and what they are.
pub(super) fn kind(fields: &Fields<'_>) -> Target {
    if let Some(script) = fields.filled("Script") {
        let rule = "a command is a list of its arguments, which no shell reads; give ScriptArgs, such as \
                    [\"/bin/sh\", \"-c\", \"...\"]";
        return Err(script.wrong(Problem::Rule(rule.to_owned())));
    }
    let given = given(fields)?;
    let Some(&(Kind { name, read }, field)) = given.first() else {
        let [most @ .., last] = &KINDS;
        let most: Vec<&str> = most.iter().map(|kind| kind.name).filter(|name| *name != "Args").collect();
        let rule = format!("one of {} and {} must be given", most.join(", "), last.name);
        return Err(fields.wrong("HTTP", Problem::Rule(rule)));
    };
    if let Some((_, other)) = given[1..].iter().find(|(other, _)| !belongs_to(other.name, name)) {
        return Err(other.wrong(Problem::Rule(format!("cannot be given together with {name}"))));
    }
    if *name != "DockerContainerID" && fields.filled("Shell").is_some() {
        let rule = "is for DockerContainerID; elsewhere a shell is the first of ScriptArgs".to_owned();
        return Err(fields.wrong("Shell", Problem::Rule(rule)));
    }
    read(fields, field)
}

/// The longest time of a probe of this kind, if none is given.
pub(super) fn timeout_default(kind: &CheckKind) -> Duration {
    match kind {
        CheckKind::Script(_) | CheckKind::DockerExec(_) | CheckKind::Systemd => COMMAND_TIMEOUT_DEFAULT,
        _ => TIMEOUT_DEFAULT,
    }
}

/// The kinds that are named, in the order of [`KINDS`], with the fields that name them.
fn given<'a, 't>(fields: &'a Fields<'t>) -> Result<Vec<(&'static Kind, &'a Field<'t>)>, DefinitionError> {
    let mut given = Vec::new();
    for kind in &KINDS {
        let Some(field) = fields.filled(kind.name) else { continue };
        // A span of no length is none.
        if kind.name != "TTL" || fields.duration("TTL")?.is_some() {
            given.push((kind, field));
        }
    }
    Ok(given)
}

/// Whether a field is part of the kind that another field names.
fn belongs_to(field: &str, kind: &str) -> bool {
    matches!((kind, field), ("DockerContainerID", "ScriptArgs" | "Args") | ("AliasService", "AliasNode"))
}

fn checked_url(url: &Field<'_>) -> Result<Text, DefinitionError> {
    let text = url.text()?;
    let rest = ["http://", "https://"].iter().find_map(|scheme| {
        let (head, rest) = text.split_at_checked(scheme.len())?;
        head.eq_ignore_ascii_case(scheme).then_some(rest)
    });
    let host = rest.map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default());
    if host.is_none_or(|host| host.is_empty() || host.starts_with(':')) || text.contains(is_blank) {
        return Err(url.expected("a URL that begins with http:// or https:// and a host"));
    }
    Ok(Text::from(text))
}

fn is_blank(character: char) -> bool {
    character.is_whitespace() || character.is_control()
}

fn http(fields: &Fields<'_>) -> Result<HttpCheck, DefinitionError> {
    let method = fields.text("Method")?.unwrap_or("GET");
    if !method.bytes().all(is_token_byte) {
        return Err(fields.expected("Method", "a request method such as \"GET\""));
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

fn tls(fields: &Fields<'_>, use_tls: bool) -> Result<ClientTls, DefinitionError> {
    Ok(ClientTls {
        use_tls,
        tls_skip_verify: fields.flag("TLSSkipVerify")?,
        tls_server_name: fields.text("TLSServerName")?.map(Arc::from),
    })
}

/// What listens at the host and port of a field.
fn on_port(field: &Field<'_>, kind: CheckKind) -> Target {
    Ok((host_and_port(field, field.text()?)?, kind))
}

/// This part of a field, as a host and a port.
fn host_and_port(field: &Field<'_>, part: &str) -> Result<Text, DefinitionError> {
    let legal = part.rsplit_once(':').is_some_and(|(host, port)| {
        let bare_v6 = host.contains(':') && !host.starts_with('[');
        port.parse::<u16>().is_ok_and(|port| port > 0) && !bare_v6 && Address::parse(host).is_ok()
    });
    if !legal {
        return Err(field.expected("host:port (an IPv6 address in brackets)"));
    }
    Ok(Text::from(part))
}

fn host(field: &Field<'_>) -> Result<Text, DefinitionError> {
    let text = field.text()?;
    Address::parse(text).map_err(|error| field.wrong(error.into()))?;
    Ok(Text::from(text))
}

fn grpc_target(field: &Field<'_>) -> Result<Text, DefinitionError> {
    let text = field.text()?;
    let (target, service) = text.split_once('/').unwrap_or((text, ""));
    host_and_port(field, target)?;
    if service.contains(is_blank) {
        return Err(field.expected("host:port/service, the service without blanks"));
    }
    Ok(Text::from(text))
}

/// The arguments of a command, the program first.
fn args(field: &Field<'_>) -> Result<Box<[Arc<str>]>, DefinitionError> {
    field.at_most(ARGS_MAX)?;
    let items = field.items()?;
    let args = items.iter().map(|item| {
        let text = item.text()?;
        let legal = !text.contains('\0');
        legal.then(|| Arc::from(text)).ok_or_else(|| item.expected("a text without zero bytes"))
    });
    let args: Box<[Arc<str>]> = args.collect::<Result<_, _>>()?;
    match (items.first(), args.first()) {
        (Some(item), Some(program)) if program.is_empty() => Err(item.expected("the name or path of a program")),
        (None, _) => Err(field.expected("a list of the program and its arguments")),
        _ => Ok(args),
    }
}

fn script(list: &Field<'_>) -> Target {
    Ok((Text::new(), CheckKind::Script(ScriptCheck { args: args(list)? })))
}

/// A command in a container, read by a shell there.
fn docker(fields: &Fields<'_>, container: &Field<'_>) -> Result<CheckKind, DefinitionError> {
    let id = container.text()?;
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    if !id.starts_with(|first: char| first.is_ascii_alphanumeric()) || !id.bytes().all(legal) {
        return Err(container.expected("the ID or name of a container"));
    }
    let list = match (fields.filled("ScriptArgs"), fields.filled("Args")) {
        (Some(_), Some(both)) => {
            return Err(both.wrong(Problem::Rule("cannot be given together with ScriptArgs".to_owned())));
        }
        (given, other) => given.or(other).ok_or_else(|| fields.wrong("ScriptArgs", Problem::Missing))?,
    };
    let command = args(list)?.join(" ");
    let shell = fields.text("Shell")?.unwrap_or(SHELL_DEFAULT);
    if shell.contains('\0') {
        return Err(fields.expected("Shell", "a text without zero bytes"));
    }
    let args = [shell, "-c", &command].map(Arc::from);
    Ok(CheckKind::DockerExec(Box::new(DockerExecCheck { container: Arc::from(id), args: args.into() })))
}

fn alias(fields: &Fields<'_>) -> Target {
    let node = fields.filled("AliasNode").map(|field| field.identifier(NodeName::new)).transpose()?;
    let service_id = fields.filled("AliasService").map(|field| field.identifier(ServiceId::new)).transpose()?;
    Ok((Text::new(), CheckKind::Alias(Box::new(AliasCheck { node, service_id }))))
}

/// A systemd unit. What looks like an option or a path is none.
fn unit(field: &Field<'_>) -> Result<Text, DefinitionError> {
    let text = field.text()?;
    if text.starts_with('-') || text.len() > UNIT_MAX_BYTES || text.contains(is_blank) || text.contains('/') {
        return Err(field.expected("the name of a systemd unit, such as \"nginx.service\""));
    }
    Ok(Text::from(text))
}

fn dns(object: &Field<'_>) -> Target {
    let fields = Fields::read(object, &["Server", "Name", "Type", "Expected"])?;
    let server = fields.filled("Server").ok_or_else(|| fields.wrong("Server", Problem::Missing))?;
    let target = host_and_port(server, server.text()?)?;
    let name = fields.filled("Name").ok_or_else(|| fields.wrong("Name", Problem::Missing))?;
    let text = name.text()?;
    if text.contains(is_blank) || text.len() > DNS_NAME_MAX_BYTES {
        return Err(name.expected("a name of the DNS"));
    }
    let record_type = fields.text("Type")?.unwrap_or("A");
    if record_type.len() > DNS_TYPE_MAX_BYTES || !record_type.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(fields.expected("Type", "a type of records such as \"A\""));
    }
    let expected = match fields.filled("Expected") {
        None => Box::default(),
        Some(field) => field.text_or_texts(EXPECTED_MAX)?,
    };
    let record_type = Arc::from(record_type.to_ascii_uppercase());
    Ok((target, CheckKind::Dns(Box::new(DnsCheck { name: Arc::from(text), record_type, expected }))))
}

/// Names and values of HTTP headers, in the order given.
type Headers = Vec<(Arc<str>, Arc<str>)>;

/// RFC 9110 section 5.6.2.
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// A kind of check, by the field that names it.
pub(super) struct Kind {
    pub(super) name: &'static str,
    read: fn(&Fields<'_>, &Field<'_>) -> Target,
}

/// Where the probes go, and what they are.
type Target = Result<(Text, CheckKind), DefinitionError>;

const fn kind_of(name: &'static str, read: fn(&Fields<'_>, &Field<'_>) -> Target) -> Kind {
    Kind { name, read }
}

/// The kinds, of which one is named; a field that belongs to another stands behind it.
pub(super) const KINDS: [Kind; 18] = [
    kind_of("TTL", |_, span| Ok((Text::new(), CheckKind::Deadline(span.duration()?)))),
    kind_of("HTTP", |fields, url| Ok((checked_url(url)?, CheckKind::Http(Box::new(http(fields)?))))),
    kind_of("TCP", |fields, field| on_port(field, CheckKind::Tcp(tls(fields, fields.flag("TCPUseTLS")?)?))),
    kind_of("UDP", |_, field| on_port(field, CheckKind::Udp)),
    kind_of("GRPC", |fields, field| {
        Ok((grpc_target(field)?, CheckKind::Grpc(tls(fields, fields.flag("GRPCUseTLS")?)?)))
    }),
    kind_of("H2PING", |fields, field| {
        let use_tls = fields.field("H2PingUseTLS").map(Field::flag).transpose()?.unwrap_or(true);
        on_port(field, CheckKind::H2Ping(tls(fields, use_tls)?))
    }),
    kind_of("Redis", |_, field| on_port(field, CheckKind::Redis)),
    kind_of("MySQL", |_, field| on_port(field, CheckKind::MySql)),
    kind_of("Postgres", |_, field| on_port(field, CheckKind::Postgres)),
    kind_of("AMQP", |_, field| on_port(field, CheckKind::Amqp)),
    kind_of("ICMP", |_, field| Ok((host(field)?, CheckKind::Icmp))),
    kind_of("DNS", |_, object| dns(object)),
    kind_of("DockerContainerID", |fields, container| Ok((Text::new(), docker(fields, container)?))),
    kind_of("ScriptArgs", |_, list| script(list)),
    kind_of("Args", |_, list| script(list)),
    kind_of("OSService", |_, field| Ok((unit(field)?, CheckKind::Systemd))),
    kind_of("AliasService", |fields, _| alias(fields)),
    kind_of("AliasNode", |fields, _| alias(fields)),
];

/// Longest time of a probe if none is given. Source: Consul's, for what goes over the network.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);

/// Longest time of a command if none is given. Source: Consul's, for scripts and systemd units; it has none for commands in
/// containers.
const COMMAND_TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);

/// What reads a command in a container if no shell is given. Source: Consul's.
const SHELL_DEFAULT: &str = "/bin/sh";

/// Most arguments of a command. Source: none, chosen.
const ARGS_MAX: usize = 256;

/// Most records that are expected of one answer. Source: none, chosen.
const EXPECTED_MAX: usize = 64;

/// Longest name of a unit. Source: systemd.unit(5).
const UNIT_MAX_BYTES: usize = 255;

/// Longest name as text: 255 bytes on the wire (RFC 1035 section 3.1), each of which may be written as `\DDD`.
const DNS_NAME_MAX_BYTES: usize = 4 * 255;

/// Longest name of a type. Source: none, chosen: the longest that is registered has ten letters.
const DNS_TYPE_MAX_BYTES: usize = 16;
