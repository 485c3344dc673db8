//! Tokens and policies as JSON.

use std::{sync::Arc, time::Duration};

use serde::Serialize;

use crate::{
    access::{
        Realm, Rules, time,
        token::{Policy, Token},
    },
    catalog::{
        definition::{
            DefinitionError, Problem,
            fields::{Field, Fields, root},
            tree::Tree,
        },
        uuid::is_uuid,
    },
};

/// What a client wants of a token. Not to be shown by `Debug`: it may hold a secret.
pub(super) struct TokenGiven {
    /// In lower case.
    pub(super) accessor_id: Option<String>,
    pub(super) secret: Option<String>,
    pub(super) description: Option<Arc<str>>,
    /// IDs of policies that are there, each once.
    pub(super) policies: Vec<Arc<str>>,
    pub(super) service_identities: Vec<Arc<str>>,
    pub(super) node_identities: Vec<Arc<str>>,
    pub(super) is_local: bool,
    /// In seconds since 1970.
    pub(super) expires_secs: Option<u64>,
    pub(super) expires_after: Option<Duration>,
}

/// Reads a token; what of Consul's is not here is refused where it would matter. `datacenter` is ours.
pub(super) fn token(tree: &Tree, realm: &Realm, datacenter: &str) -> Result<TokenGiven, DefinitionError> {
    let object = root(tree, "");
    let fields = Fields::read(&object, TOKEN_FIELDS)?;
    nothing(&fields, &["Roles", "TemplatedPolicies", "AuthMethod", "Rules", "Type"])?;
    let mut policies: Vec<Arc<str>> = Vec::new();
    for link in fields.items("Policies", LINKS_MAX)? {
        let id = policy_link(&link, realm)?;
        if !policies.contains(&id) {
            policies.push(id);
        }
    }
    Ok(TokenGiven {
        accessor_id: fields.filled("AccessorID").map(id).transpose()?.map(str::to_ascii_lowercase),
        secret: fields.filled("SecretID").map(id).transpose()?.map(str::to_owned),
        description: description(&fields)?,
        policies,
        service_identities: identities(&fields, ["ServiceIdentities", "ServiceName", "Datacenters"], datacenter)?,
        node_identities: identities(&fields, ["NodeIdentities", "NodeName", "Datacenter"], datacenter)?,
        is_local: fields.flag("Local")?,
        expires_secs: fields.filled("ExpirationTime").map(moment).transpose()?.flatten(),
        expires_after: fields.duration("ExpirationTTL")?,
    })
}

/// The secret that a client wants for the first token, if it wants one.
pub(super) fn bootstrap_secret(tree: &Tree) -> Result<Option<String>, DefinitionError> {
    let object = root(tree, "");
    let fields = Fields::read(&object, &["BootstrapSecret"])?;
    Ok(fields.filled("BootstrapSecret").map(id).transpose()?.map(str::to_owned))
}

/// Refuses what is not there at all, if a client relies on it.
fn nothing(fields: &Fields<'_>, names: &[&str]) -> Result<(), DefinitionError> {
    match names.iter().find_map(|name| fields.filled(name)) {
        Some(field) => Err(field.wrong(Problem::Rule("is not known here; give the token policies instead".to_owned()))),
        None => Ok(()),
    }
}

fn policy_link(link: &Field<'_>, realm: &Realm) -> Result<Arc<str>, DefinitionError> {
    let fields = Fields::read(link, &["ID", "Name"])?;
    let (found, what) = match (fields.text("ID")?, fields.text("Name")?) {
        (Some(id), _) => (realm.policy(&id.to_ascii_lowercase()), format!("ID {id:?}")),
        (None, Some(name)) => (realm.policy_by_name(name), format!("name {name:?}")),
        (None, None) => return Err(fields.wrong("ID", Problem::Missing)),
    };
    let found = found.map(|policy| Arc::clone(&policy.id));
    found.ok_or_else(|| link.wrong(Problem::Rule(format!("No such ACL policy with {what}"))))
}

/// The names of identities, each once.
fn identities(
    fields: &Fields<'_>,
    [list, name, datacenters]: [&'static str; 3],
    ours: &str,
) -> Result<Vec<Arc<str>>, DefinitionError> {
    let mut names: Vec<Arc<str>> = Vec::new();
    for item in fields.items(list, LINKS_MAX)? {
        let identity = Fields::read(&item, &[name, datacenters])?;
        let field = identity.filled(name).ok_or_else(|| identity.wrong(name, Problem::Missing))?;
        let text = field.text()?;
        if !is_identity(text) {
            return Err(field.expected("lower-case letters, digits, '-' and '_'"));
        }
        only_ours(&identity, datacenters, ours)?;
        if !names.iter().any(|known| **known == *text) {
            names.push(text.into());
        }
    }
    Ok(names)
}

/// Source: Consul's documentation, "service identities" and "node identities".
fn is_identity(text: &str) -> bool {
    let inner = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    let ends = [bytes.first(), bytes.last()];
    text.len() <= NAME_MAX_BYTES
        && bytes.iter().all(|byte| inner(byte) || matches!(byte, b'-' | b'_'))
        && ends.into_iter().all(|end| end.is_some_and(inner))
}

/// Refuses what would hold in other datacenters alone. Both a text and a list of them are taken.
fn only_ours(fields: &Fields<'_>, name: &str, ours: &str) -> Result<(), DefinitionError> {
    let Some(field) = fields.filled(name) else { return Ok(()) };
    let items = field.items().unwrap_or_else(|_| vec![field.clone()]);
    for item in &items {
        if item.text()?.eq_ignore_ascii_case(ours) {
            return Ok(());
        }
    }
    Err(field.expected(format!("{ours:?}, the only datacenter there is")))
}

fn id<'a>(field: &Field<'a>) -> Result<&'a str, DefinitionError> {
    let text = field.text()?;
    if !is_uuid(text) {
        // Not repeated: it may be a secret.
        return Err(field.wrong(Problem::Rule("not a valid UUID".to_owned())));
    }
    match text.starts_with(RESERVED) {
        true => Err(field.wrong(Problem::Rule(format!("UUIDs with the prefix {RESERVED:?} are reserved")))),
        false => Ok(text),
    }
}

/// A moment; none for the one that Go's programs write where they mean none.
fn moment(field: &Field<'_>) -> Result<Option<u64>, DefinitionError> {
    let text = field.text()?;
    match time::parse(text) {
        None if text.starts_with(GO_ZERO) => Ok(None),
        None => Err(field.expected("a moment such as 2027-01-01T00:00:00Z")),
        some => Ok(some),
    }
}

fn description(fields: &Fields<'_>) -> Result<Option<Arc<str>>, DefinitionError> {
    let Some(field) = fields.filled("Description") else { return Ok(None) };
    let text = field.text()?;
    if text.len() > DESCRIPTION_MAX_BYTES {
        let problem = format!("has {} bytes; at most {DESCRIPTION_MAX_BYTES} are kept", text.len());
        return Err(field.wrong(Problem::Rule(problem)));
    }
    Ok(Some(text.into()))
}

/// What a client wants of a policy.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PolicyGiven {
    /// In lower case.
    pub(super) id: Option<String>,
    pub(super) name: Arc<str>,
    pub(super) description: Arc<str>,
    pub(super) text: Arc<str>,
    pub(super) rules: Rules,
}

/// Reads a policy. `datacenter` is ours.
pub(super) fn policy(tree: &Tree, datacenter: &str) -> Result<PolicyGiven, DefinitionError> {
    let object = root(tree, "");
    let fields = Fields::read(&object, POLICY_FIELDS)?;
    only_ours(&fields, "Datacenters", datacenter)?;
    let name = fields.text("Name")?.ok_or_else(|| fields.wrong("Name", Problem::Missing))?;
    if !is_policy_name(name) {
        return Err(
            fields.wrong("Name", Problem::Rule("only letters, digits, '-', '_' and one '/' are allowed".to_owned()))
        );
    }
    let text = fields.text("Rules")?.unwrap_or_default();
    if text.len() > RULES_MAX_BYTES {
        let problem = format!("has {} bytes; at most {RULES_MAX_BYTES} are kept", text.len());
        return Err(fields.wrong("Rules", Problem::Rule(problem)));
    }
    let rules = Rules::parse(text).map_err(|error| fields.wrong("Rules", Problem::Rule(error.to_string())))?;
    Ok(PolicyGiven {
        // Not `id`: that of the policy that is built in is reserved, and refused for being that.
        id: fields.text("ID")?.map(str::to_ascii_lowercase),
        name: name.into(),
        description: description(&fields)?.unwrap_or_default(),
        text: text.into(),
        rules,
    })
}

/// Source: Consul's documentation of policies.
fn is_policy_name(name: &str) -> bool {
    let slashes = name.bytes().filter(|byte| *byte == b'/').count();
    name.len() <= POLICY_NAME_MAX_BYTES
        && !name.starts_with('/')
        && slashes <= 1
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'/'))
}

/// Whether the caller may see secrets: who may write tokens could make them anyway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Secrets {
    Shown,
    Hidden,
}

/// A token, as Consul shows it.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct TokenBody<'a> {
    /// What older clients read of the first token: its secret.
    #[serde(rename = "ID", skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<&'a str>,
    #[serde(rename = "AccessorID")]
    accessor_id: &'a str,
    #[serde(rename = "SecretID")]
    secret_id: &'a str,
    description: &'a str,
    policies: Vec<PolicyLink<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    service_identities: Vec<ServiceIdentity<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    node_identities: Vec<NodeIdentity<'a>>,
    local: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    expiration_time: Option<String>,
    create_time: String,
    create_index: u64,
    modify_index: u64,
}

#[derive(Serialize)]
struct PolicyLink<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    #[serde(rename = "Name")]
    name: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ServiceIdentity<'a> {
    service_name: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct NodeIdentity<'a> {
    node_name: &'a str,
    datacenter: &'a str,
}

impl<'a> TokenBody<'a> {
    pub(super) fn new(token: &'a Token, (realm, datacenter): (&'a Realm, &'a str), secrets: Secrets) -> TokenBody<'a> {
        let policies = token.policies.iter().filter_map(|id| realm.policy(id));
        let services = token.service_identities.iter();
        let nodes = token.node_identities.iter();
        TokenBody {
            id: None,
            accessor_id: &token.accessor_id,
            secret_id: if secrets == Secrets::Shown { token.secret.reveal() } else { HIDDEN },
            description: &token.description,
            policies: policies.map(|policy| PolicyLink { id: &policy.id, name: &policy.name }).collect(),
            service_identities: services.map(|service_name| ServiceIdentity { service_name }).collect(),
            node_identities: nodes.map(|node_name| NodeIdentity { node_name, datacenter }).collect(),
            local: token.is_local,
            expiration_time: token.expires_secs.map(time::format),
            create_time: time::format(token.created_secs),
            create_index: token.create_index,
            modify_index: token.modify_index,
        }
    }
}

/// A policy, as Consul shows it.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PolicyBody<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    name: &'a str,
    description: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    rules: Option<&'a str>,
    create_index: u64,
    modify_index: u64,
}

impl<'a> PolicyBody<'a> {
    /// Lists leave the rules out.
    pub(super) fn new(policy: &'a Policy, rules: Option<&'a str>) -> PolicyBody<'a> {
        PolicyBody {
            id: &policy.id,
            name: &policy.name,
            description: &policy.description,
            rules,
            create_index: policy.create_index,
            modify_index: policy.modify_index,
        }
    }
}

/// All known fields; those below the empty comment are accepted without effect, as they come with what was read.
const TOKEN_FIELDS: &[&str] = &[
    "AccessorID",
    "SecretID",
    "Description",
    "Policies",
    "ServiceIdentities",
    "NodeIdentities",
    "Local",
    "ExpirationTime",
    "ExpirationTTL",
    "Roles",
    "TemplatedPolicies",
    "AuthMethod",
    "Rules",
    "Type",
    //
    "ID",
    "CreateTime",
    "Hash",
    "CreateIndex",
    "ModifyIndex",
    "Legacy",
    "Namespace",
    "Partition",
    "AuthMethodNamespace",
];

/// As [`TOKEN_FIELDS`].
const POLICY_FIELDS: &[&str] = &[
    "ID",
    "Name",
    "Description",
    "Rules",
    "Datacenters",
    //
    "Hash",
    "CreateIndex",
    "ModifyIndex",
    "Namespace",
    "Partition",
];

/// IDs that begin so are for what is built in. Source: Consul.
const RESERVED: &str = "00000000-0000-0000-0000-0000000000";

/// What a time of Go's that was never set begins with.
const GO_ZERO: &str = "0001-01-01T00:00:00";

/// In place of a secret. Source: Consul.
const HIDDEN: &str = "<hidden>";

/// Longest name of an identity. Source: Consul.
const NAME_MAX_BYTES: usize = 256;

/// Longest name of a policy. Source: Consul.
const POLICY_NAME_MAX_BYTES: usize = 128;

/// Longest rules of a policy. Source: none, chosen: some hundred rules, and 256 MiB for as many policies as there may be.
const RULES_MAX_BYTES: usize = 64 * 1024;

/// Longest description. Source: none, chosen.
const DESCRIPTION_MAX_BYTES: usize = 4096;

/// Most policies of a token, and most identities of each kind. Source: none, chosen.
const LINKS_MAX: usize = 128;
