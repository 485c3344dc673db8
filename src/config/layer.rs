//! What one place says: the command line, the environment, or a file, as it was written and not yet understood.

use std::{fmt, ops::Range, sync::Arc};

use toml::de::{DeTable, DeValue};

use super::{
    keys::{self, KEYS, Key, Shape},
    problem::{ConfigProblem, Place},
};
use crate::catalog::nearest::nearest;

/// A value as it was written.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Item {
    /// From a flag or a variable, which know no types.
    Untyped(String),
    /// A TOML string.
    Text(String),
    /// A TOML integer.
    Integer(i64),
    /// A TOML boolean.
    Boolean(bool),
    /// A TOML value that no setting takes, in words.
    Other(&'static str),
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Item::Untyped(text) | Item::Text(text) => write!(f, "{text:?}"),
            Item::Integer(number) => write!(f, "{number}"),
            Item::Boolean(truth) => write!(f, "{truth}"),
            Item::Other(what) => f.write_str(what),
        }
    }
}

/// One setting as one place gives it.
#[derive(Debug, Clone)]
pub(super) struct Given {
    /// The key.
    pub key: &'static str,
    /// In a table: the name it is for, as in `[service."web*"]`.
    pub entry: Option<String>,
    /// In a table of tables: the key there.
    pub field: Option<&'static str>,
    /// Its values; exactly one where the shape asks for one.
    pub items: Vec<Item>,
    /// Where.
    pub place: Place,
}

impl Given {
    /// How a message names it: `service."web*".ttl`.
    pub fn path(&self) -> String {
        let mut path = self.key.to_owned();
        if let Some(entry) = &self.entry {
            path.push_str(&format!(".{entry:?}"));
        }
        if let Some(field) = self.field {
            path.push_str(&format!(".{field}"));
        }
        path
    }

    /// A problem of this setting.
    pub fn problem(&self, problem: impl Into<String>) -> ConfigProblem {
        ConfigProblem { place: self.place.clone(), key: Some(self.path()), problem: problem.into() }
    }
}

/// What the command line says: keys with the values of their flags.
pub(super) fn of_flags(flags: &[(&'static str, Vec<String>)], problems: &mut Vec<ConfigProblem>) -> Vec<Given> {
    let mut given = Vec::new();
    for (name, values) in flags {
        let key = keys::key(name).expect("the command line offers only flags that are settings");
        let place = Place::Flag(format!("--{}", name.replace('_', "-")));
        given.extend(of_text(key, values.iter().map(String::as_str), &place, problems));
    }
    given
}

/// What the environment says. Unknown `NAMEPLATE_` variables are warnings: others may have set them, as Kubernetes does
/// for a service of that name.
pub(super) fn of_variables(
    variables: &[(String, String)],
    problems: &mut Vec<ConfigProblem>,
    warnings: &mut Vec<ConfigProblem>,
) -> Vec<Given> {
    let mut given = Vec::new();
    for (name, value) in variables {
        let Some(word) = name.strip_prefix(VARIABLE_PREFIX) else { continue };
        let settable = |key: &&Key| !matches!(key.shape, Shape::Tables(_));
        let lowered = word.to_ascii_lowercase();
        let place = Place::Variable(name.clone());
        match keys::key(&lowered).filter(settable).filter(|_| word == word.to_ascii_uppercase()) {
            // An empty variable is as good as none: compose files and units often hand on what is not set.
            Some(_) if value.is_empty() => {}
            Some(key) => given.extend(of_text(key, [value.as_str()].into_iter(), &place, problems)),
            None if VARIABLES_OF_OTHERS.iter().any(|known| word.starts_with(known)) => {}
            None => {
                let near = nearest(&lowered, KEYS.iter().filter(settable).map(|key| key.name));
                let cure = near.map_or(String::new(), |key| {
                    format!("; did you mean {VARIABLE_PREFIX}{}?", key.to_ascii_uppercase())
                });
                let problem = format!("no setting has this name, so it has no effect{cure}");
                warnings.push(ConfigProblem { place, key: None, problem });
            }
        }
    }
    given
}

/// What text without types says about a key.
fn of_text<'a>(
    key: &'static Key,
    values: impl Iterator<Item = &'a str>,
    place: &Place,
    problems: &mut Vec<ConfigProblem>,
) -> Vec<Given> {
    let parts = |value: &'a str| value.split(',').map(str::trim).filter(|part| !part.is_empty());
    let whole = |entry: Option<String>, items: Vec<Item>| Given {
        key: key.name,
        entry,
        field: None,
        items,
        place: place.clone(),
    };
    let untyped = |text: &str| Item::Untyped(text.to_owned());
    match key.shape {
        Shape::One => vec![whole(None, values.map(untyped).collect())],
        Shape::List | Shape::Tables(_) => vec![whole(None, values.flat_map(parts).map(untyped).collect())],
        Shape::Pairs => {
            let mut given = Vec::new();
            for part in values.flat_map(parts) {
                match part.split_once('=') {
                    Some((name, value)) => {
                        given.push(whole(Some(name.trim().to_owned()), vec![untyped(value.trim())]));
                    }
                    None => {
                        problems.push(whole(None, Vec::new()).problem(format!("expected NAME=VALUE, got {part:?}")))
                    }
                }
            }
            given
        }
    }
}

/// What a file says; every problem of its syntax and its keys is added.
pub(super) fn of_file(path: &str, text: &str, problems: &mut Vec<ConfigProblem>) -> Vec<Given> {
    let mut reader = FileReader { path: Arc::from(path), text, broken: Vec::new(), given: Vec::new(), problems };
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut broken = Vec::new();
    for error in errors {
        let span = error.span().unwrap_or(0..0);
        let problem = match error.message() {
            "duplicate key" => format!("{} stands twice", text.get(span.clone()).unwrap_or("a key")),
            message => message.to_owned(),
        };
        broken.push(reader.line(&span));
        reader.report(span, None, problem);
    }
    reader.broken = broken;
    reader.read(table.get_ref());
    reader.given
}

/// Reads one file.
struct FileReader<'a> {
    path: Arc<str>,
    text: &'a str,
    /// Lines that are no TOML and are told of; what the parser makes of them is not what was meant.
    broken: Vec<usize>,
    given: Vec<Given>,
    problems: &'a mut Vec<ConfigProblem>,
}

impl FileReader<'_> {
    fn read(&mut self, table: &DeTable<'_>) {
        for (name, value) in table {
            let Some(key) = keys::key(name.get_ref()) else {
                let cure = match nearest(name.get_ref(), KEYS.iter().map(|key| key.name)) {
                    Some(key) => format!("did you mean {key:?}?"),
                    None => "`nameplate config` prints all keys".to_owned(),
                };
                self.report(name.span(), None, format!("unknown key {:?}; {cure}", name.get_ref()));
                continue;
            };
            match (key.shape, value.get_ref()) {
                (Shape::One, DeValue::Array(_)) => {
                    self.report(value.span(), Some(key.name.to_owned()), "expected one value, not a list".to_owned());
                }
                (Shape::One | Shape::List, value) => self.push(key, (None, None), name.span(), value),
                (Shape::Pairs, DeValue::Table(pairs)) => {
                    for (entry, value) in pairs {
                        let entry_name = Some(entry.get_ref().to_string());
                        self.push(key, (entry_name, None), entry.span(), value.get_ref());
                    }
                }
                (Shape::Tables(fields), DeValue::Table(entries)) => {
                    for (entry, value) in entries {
                        self.read_entry(key, fields, (entry.get_ref(), entry.span()), value.get_ref());
                    }
                }
                (Shape::Pairs | Shape::Tables(_), _) => {
                    self.report(value.span(), Some(key.name.to_owned()), "expected a table".to_owned());
                }
            }
        }
    }

    /// Reads one `[service."web*"]`.
    fn read_entry(
        &mut self,
        key: &'static Key,
        fields: &'static [&'static str],
        (entry, span): (&str, Range<usize>),
        value: &DeValue<'_>,
    ) {
        let DeValue::Table(table) = value else {
            let problem = format!("expected a table [{}.\"NAME\"] with {}", key.name, fields.join(", "));
            self.report(span, Some(format!("{}.{entry}", key.name)), problem);
            return;
        };
        if table.is_empty() {
            let problem = format!("expected at least one of {}", fields.join(", "));
            self.report(span, Some(format!("{}.{entry:?}", key.name)), problem);
        }
        for (name, value) in table {
            match fields.iter().find(|field| **field == name.get_ref()) {
                Some(field) => self.push(key, (Some(entry.to_owned()), Some(field)), name.span(), value.get_ref()),
                None => {
                    let cure = match nearest(name.get_ref(), fields.iter().copied()) {
                        Some(field) => format!("did you mean {field:?}?"),
                        None => format!("there are {}", fields.join(", ")),
                    };
                    let path = Some(format!("{}.{entry:?}", key.name));
                    self.report(name.span(), path, format!("unknown key {:?}; {cure}", name.get_ref()));
                }
            }
        }
    }

    fn push(
        &mut self,
        key: &'static Key,
        (entry, field): (Option<String>, Option<&'static str>),
        span: Range<usize>,
        value: &DeValue<'_>,
    ) {
        let items = match value {
            DeValue::Array(values) => values.iter().map(|value| item(value.get_ref())).collect(),
            value => vec![item(value)],
        };
        let line = self.line(&span);
        if !self.broken.contains(&line) {
            let place = Place::File { path: Arc::clone(&self.path), line };
            self.given.push(Given { key: key.name, entry, field, items, place });
        }
    }

    fn report(&mut self, span: Range<usize>, key: Option<String>, problem: String) {
        let line = self.line(&span);
        if !self.broken.contains(&line) {
            let place = Place::File { path: Arc::clone(&self.path), line };
            self.problems.push(ConfigProblem { place, key, problem });
        }
    }

    /// The line, from 1, on which a span begins.
    fn line(&self, span: &Range<usize>) -> usize {
        let before = &self.text.as_bytes()[..span.start.min(self.text.len())];
        before.iter().filter(|byte| **byte == b'\n').count() + 1
    }
}

fn item(value: &DeValue<'_>) -> Item {
    match value {
        DeValue::String(text) => Item::Text(text.to_string()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or(Item::Other("a very large number"), Item::Integer),
        DeValue::Boolean(truth) => Item::Boolean(*truth),
        DeValue::Float(_) => Item::Other("a number with a fraction"),
        DeValue::Datetime(_) => Item::Other("a date"),
        DeValue::Array(_) => Item::Other("a list"),
        DeValue::Table(_) => Item::Other("a table"),
    }
}

/// What the name of every variable of ours begins with.
const VARIABLE_PREFIX: &str = "NAMEPLATE_";

/// Beginnings of variables that are no settings and no mistakes: those of the command line's client, the file's own,
/// and those that Kubernetes sets for a service called `nameplate`.
const VARIABLES_OF_OTHERS: [&str; 7] = ["SERVER", "TOKEN", "CA_FILE", "CLIENT_", "CONFIG", "SERVICE_", "PORT"];
