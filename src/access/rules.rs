//! Rules as they are written: Consul's JSON, or the HCL of its documentation.
//!
//! ```text
//! service_prefix "" { policy = "read" }        {"service_prefix": {"": {"policy": "read"}},
//! operator = "read"                             "operator": "read"}
//! ```

use super::hcl;
use crate::catalog::{
    definition::{
        json,
        tree::{Tree, TreeValue},
    },
    nearest::nearest,
};

/// What may be done. Each level includes those before it; none of them is included in [`Level::Deny`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Nothing.
    Deny,
    /// Reading what is named.
    Read,
    /// Reading, and reading all keys below a prefix.
    List,
    /// Reading and changing.
    Write,
}

/// What a rule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resource {
    /// Tokens and policies.
    Acl,
    /// The agent of a node, by the node's name.
    Agent,
    /// Events, by name.
    Event,
    /// Keys, by path.
    Key,
    /// Keys of gossip, of which there are none here.
    Keyring,
    /// The service mesh, of which there is none here.
    Mesh,
    /// Nodes, by name.
    Node,
    /// The server as such.
    Operator,
    /// Peerings of clusters, of which there are none here.
    Peering,
    /// Prepared queries, by name.
    Query,
    /// Services, by name.
    Service,
    /// Sessions, by the node's name.
    Session,
}

/// Which names a rule is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// The resource has no names.
    Whole,
    /// This name alone.
    Exact(Box<str>),
    /// All names that begin so.
    Prefix(Box<str>),
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// What it is about.
    pub resource: Resource,
    /// Which of them.
    pub scope: Scope,
    /// What may be done.
    pub level: Level,
}

/// The rules of one policy.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rules(Vec<Rule>);

/// Why a text is no rules.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("rules line {line}: {problem}")]
pub struct RulesError {
    /// The line, from 1.
    pub line: u32,
    /// What is wrong, and the cure.
    pub problem: String,
}

impl RulesError {
    /// What it quotes of the text, whatever that is, stays on one line.
    pub(super) fn new(line: u32, problem: impl Into<String>) -> RulesError {
        let problem: String = problem.into();
        let shown = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
        let problem = if problem.contains(char::is_control) { problem.chars().map(shown).collect() } else { problem };
        RulesError { line, problem }
    }
}

impl Rules {
    /// Reads a text: JSON if it begins with a brace, else HCL. An empty text has no rules.
    pub fn parse(text: &str) -> Result<Rules, RulesError> {
        let tree = if text.trim_start().starts_with('{') {
            json::parse(text.as_bytes()).map_err(|error| RulesError::new(error.line, error.problem))?
        } else {
            hcl::parse(text)?
        };
        let mut rules = Vec::new();
        for (name, value) in members(&tree, "the rules")? {
            read(name, value, &mut rules)?;
        }
        Ok(Rules(rules))
    }

    /// Rules made here.
    pub fn new(rules: Vec<Rule>) -> Rules {
        Rules(rules)
    }

    /// Everything is allowed.
    pub fn all() -> Rules {
        let of = |(_, resource): &(&str, Resource)| Rule {
            resource: *resource,
            scope: if resource.has_names() { Scope::Prefix("".into()) } else { Scope::Whole },
            level: Level::Write,
        };
        Rules(RESOURCES.iter().map(of).collect())
    }

    /// Each rule, in the order written.
    pub fn iter(&self) -> impl Iterator<Item = &Rule> {
        self.0.iter()
    }
}

impl Level {
    /// Reads Consul's word for it.
    pub fn parse(word: &str) -> Option<Level> {
        LEVELS.iter().find(|(known, _)| *known == word).map(|(_, level)| *level)
    }

    /// Consul's word for it.
    pub fn word(self) -> &'static str {
        LEVELS.iter().find(|(_, level)| *level == self).map_or("", |(word, _)| word)
    }
}

impl Resource {
    /// Consul's word for it.
    pub fn word(self) -> &'static str {
        RESOURCES.iter().find(|(_, resource)| *resource == self).map_or("", |(word, _)| word)
    }

    /// Whether rules are for names of it, or for the whole.
    pub fn has_names(self) -> bool {
        !matches!(self, Resource::Acl | Resource::Keyring | Resource::Mesh | Resource::Operator | Resource::Peering)
    }
}

/// Reads what one name at the top says: `operator = "read"`, or `service "web" { ... }`.
fn read(name: &str, value: &Tree, rules: &mut Vec<Rule>) -> Result<(), RulesError> {
    let (word, is_prefix) = name.strip_suffix("_prefix").map_or((name, false), |word| (word, true));
    let found = RESOURCES.iter().find(|(known, resource)| *known == word && (!is_prefix || resource.has_names()));
    let Some((_, resource)) = found else {
        return Err(RulesError::new(value.line, unknown(name)));
    };
    if !resource.has_names() {
        rules.push(Rule { resource: *resource, scope: Scope::Whole, level: level(name, value)? });
        return Ok(());
    }
    if let TreeValue::Text(_) = value.value {
        let problem = format!("{name} needs a name: write {name} \"NAME\" {{ policy = \"read\" }}");
        return Err(RulesError::new(value.line, problem));
    }
    for (label, body) in members(value, name)? {
        let scope = if is_prefix { Scope::Prefix(label.into()) } else { Scope::Exact(label.into()) };
        rules.push(Rule { resource: *resource, scope, level: body_level(*resource, name, body)? });
    }
    Ok(())
}

/// The level in `{ policy = "read" }`.
fn body_level(resource: Resource, name: &str, body: &Tree) -> Result<Level, RulesError> {
    let mut found = None;
    for (field, value) in members(body, name)? {
        match field {
            "policy" => found = Some(level(name, value)?),
            // Of Consul's service mesh and Enterprise edition: they rule over what is not here.
            "intentions" if resource == Resource::Service => {
                level("intentions", value)?;
            }
            "sentinel" => {}
            other => {
                let problem = format!("{name}: unknown field {other:?}; there is policy");
                return Err(RulesError::new(value.line, problem));
            }
        }
    }
    let level = found.ok_or_else(|| {
        let problem = format!("{name}: no policy is given; write policy = \"read\", \"write\" or \"deny\"");
        RulesError::new(body.line, problem)
    })?;
    if level == Level::List && resource != Resource::Key {
        return Err(RulesError::new(body.line, format!("{name}: \"list\" is for keys only; write \"read\"")));
    }
    Ok(level)
}

fn level(name: &str, value: &Tree) -> Result<Level, RulesError> {
    let wrong = || {
        let problem = format!("{name}: expected \"read\", \"write\" or \"deny\", got {}", value.describe());
        RulesError::new(value.line, problem)
    };
    match &value.value {
        TreeValue::Text(word) => Level::parse(word).ok_or_else(wrong),
        _ => Err(wrong()),
    }
}

/// The members of an object, or of each object of a list, which is how HCL writes blocks as JSON.
fn members<'a>(tree: &'a Tree, what: &str) -> Result<Vec<(&'a str, &'a Tree)>, RulesError> {
    match &tree.value {
        TreeValue::Map(members) => Ok(members.iter().map(|(name, value)| (name.as_str(), value)).collect()),
        TreeValue::List(items) if items.iter().all(|item| matches!(item.value, TreeValue::Map(_))) => {
            let each = items.iter().map(|item| members(item, what));
            Ok(each.collect::<Result<Vec<_>, _>>()?.concat())
        }
        TreeValue::Null => Ok(Vec::new()),
        _ => Err(RulesError::new(tree.line, format!("{what}: expected a block, got {}", tree.describe()))),
    }
}

fn unknown(name: &str) -> String {
    let word = name.strip_suffix("_prefix").unwrap_or(name);
    if RESOURCES.iter().any(|(known, _)| *known == word) {
        return format!("{word} has no names; write {word} = \"read\"");
    }
    let prefixes = RESOURCES.iter().filter(|(_, resource)| resource.has_names());
    let prefixes: Vec<String> = prefixes.map(|(word, _)| format!("{word}_prefix")).collect();
    let known = RESOURCES.iter().map(|(word, _)| *word).chain(prefixes.iter().map(String::as_str));
    match nearest(name, known) {
        Some(near) => format!("unknown rule {name:?}; did you mean {near:?}?"),
        None => {
            let words: Vec<&str> = RESOURCES.iter().map(|(word, _)| *word).collect();
            format!("unknown rule {name:?}; there are {}, and most of them with _prefix", words.join(", "))
        }
    }
}

/// Source: Consul's documentation, "ACL rules".
const RESOURCES: [(&str, Resource); 12] = [
    ("acl", Resource::Acl),
    ("agent", Resource::Agent),
    ("event", Resource::Event),
    ("key", Resource::Key),
    ("keyring", Resource::Keyring),
    ("mesh", Resource::Mesh),
    ("node", Resource::Node),
    ("operator", Resource::Operator),
    ("peering", Resource::Peering),
    ("query", Resource::Query),
    ("service", Resource::Service),
    ("session", Resource::Session),
];

const LEVELS: [(&str, Level); 4] =
    [("deny", Level::Deny), ("read", Level::Read), ("list", Level::List), ("write", Level::Write)];

#[cfg(test)]
#[path = "rules_tests.rs"]
mod tests;
