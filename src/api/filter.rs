//! Consul's filter language: which elements of a list are wanted.
//!
//! ```text
//! ServiceName matches "^web-" and "blue" in ServiceTags
//! Meta["rack"] == r7 or not (Port == 80)
//! Checks is not empty
//! all Checks as check { check.Status == passing }
//! ```
//!
//! `or` binds weaker than `and`, `and` weaker than `not`. A selector is a path of field names as they stand in the
//! JSON of an element; an element is what the filter's list would have, also where the answer is a map. A key that a
//! map does not have equals nothing and is empty; a field that is left out is as Go's zero value: empty, 0, false. A path that leads into a list of objects holds if it holds for one of
//! them; a number picks one.
//!
//! **Limits:** 4 KiB of text, 32 deep; regular expressions are Rust's (RE2's language but for rarities) and may take
//! 1 MiB compiled. A field is known to be wrong only where there is an element that has not got it.
//!
//! **Source:** Consul's documentation, `api-docs/features/filtering`, and the grammar of go-bexpr.

use regex::Regex;
use serde_json::Value;

use super::call::parse_bool;

mod parse;

/// A filter, read.
#[derive(Debug)]
pub struct Filter(Expression);

#[derive(Debug)]
enum Expression {
    Or(Vec<Expression>),
    And(Vec<Expression>),
    Not(Box<Expression>),
    Match(Selector, Test),
    /// Whether one element of a list or map is so, or all are.
    Each {
        all: bool,
        of: Selector,
        binding: Binding,
        inner: Box<Expression>,
    },
}

/// Where in an element to look.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Selector {
    /// In the filter's text, from 1.
    column: usize,
    /// Field names from the outermost.
    path: Vec<String>,
}

/// By which names the inner expression knows what it is about; `_` is nothing.
#[derive(Debug)]
enum Binding {
    /// An element of a list, a key of a map.
    One(String),
    /// Number and element of a list, key and value of a map.
    Two(String, String),
}

#[derive(Debug)]
enum Test {
    Equals(String),
    /// A list has it, a map has it as a key, or a text has it within.
    Contains(String),
    /// It is one of these.
    OneOf(Vec<String>),
    Empty,
    Matches(Regex),
}

/// A name that an expression about each element gave to something.
struct Scope<'a> {
    name: &'a str,
    value: &'a Value,
    outer: Option<&'a Scope<'a>>,
}

impl Filter {
    /// Reads a filter, or says where it is wrong and what was expected.
    pub fn parse(text: &str) -> Result<Filter, String> {
        if text.len() > TEXT_MAX_BYTES {
            return Err(format!("must be at most {TEXT_MAX_BYTES} bytes"));
        }
        parse::expression(text).map(Filter)
    }

    /// Whether the element is wanted, or why that cannot be told.
    pub fn keeps(&self, element: &Value) -> Result<bool, String> {
        self.0.holds(element, None)
    }
}

impl Expression {
    fn holds(&self, element: &Value, scope: Option<&Scope<'_>>) -> Result<bool, String> {
        match self {
            Expression::Or(any) => {
                for expression in any {
                    if expression.holds(element, scope)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Expression::And(all) => {
                for expression in all {
                    if !expression.holds(element, scope)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Expression::Not(expression) => Ok(!expression.holds(element, scope)?),
            Expression::Match(selector, test) => {
                let (value, path) = selector.start(element, scope);
                let test = |found: Option<&Value>| test.holds(found).map_err(|problem| selector.wrong(&problem));
                selector.reach((value, FieldsAre::Known), path, &test)
            }
            Expression::Each { all, of, binding, inner } => {
                let (value, path) = of.start(element, scope);
                let each = |found: Option<&Value>| match found {
                    None => Ok(*all),
                    Some(value) => binding
                        .each(value, of, |one| Ok(inner.holds(element, one)? != *all), scope)
                        .map(|found| found != *all),
                };
                of.reach((value, FieldsAre::Known), path, &each)
            }
        }
    }
}

impl Binding {
    /// Whether this holds with one of the elements of a list or map bound.
    fn each(
        &self,
        value: &Value,
        of: &Selector,
        holds: impl Fn(Option<&Scope<'_>>) -> Result<bool, String>,
        outer: Option<&Scope<'_>>,
    ) -> Result<bool, String> {
        let pairs: Vec<(Value, &Value)> = match value {
            Value::Array(items) => items.iter().enumerate().map(|(at, item)| (Value::from(at), item)).collect(),
            Value::Object(members) => members.iter().map(|(key, item)| (Value::from(key.as_str()), item)).collect(),
            Value::Null => Vec::new(),
            _ => return Err(of.wrong("any and all look into lists and maps only")),
        };
        for (key, item) in &pairs {
            let found = match self {
                Binding::One(name) => {
                    let value = if value.is_array() { item } else { key };
                    holds(Some(&Scope { name, value, outer }))?
                }
                Binding::Two(first, second) => {
                    let outer = Scope { name: first, value: key, outer };
                    holds(Some(&Scope { name: second, value: item, outer: Some(&outer) }))?
                }
            };
            if found {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// What the fields of an object are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FieldsAre {
    /// Those of its type, all of them.
    Known,
    /// Those of its type that say something.
    Sparse,
    /// Whatever somebody put in.
    Free,
}

impl FieldsAre {
    /// What those of an object are that is found by this name among such fields.
    fn below(self, name: &str) -> FieldsAre {
        match self {
            FieldsAre::Free => FieldsAre::Known,
            _ if FREE.contains(&name) => FieldsAre::Free,
            _ if name == DEFINITION => FieldsAre::Sparse,
            _ => FieldsAre::Known,
        }
    }
}

impl Selector {
    /// What it begins at, and the rest of its path.
    fn start<'a>(&'a self, element: &'a Value, scope: Option<&'a Scope<'_>>) -> (&'a Value, &'a [String]) {
        let mut scopes = std::iter::successors(scope, |scope| scope.outer);
        match scopes.find(|scope| self.path.first().is_some_and(|first| first == scope.name && first != "_")) {
            Some(scope) => (scope.value, &self.path[1..]),
            None => (element, &self.path),
        }
    }

    /// Whether the test holds for what the path leads to, or for one of those; it may lead to nothing.
    fn reach(
        &self,
        (value, fields): (&Value, FieldsAre),
        path: &[String],
        test: &dyn Fn(Option<&Value>) -> Result<bool, String>,
    ) -> Result<bool, String> {
        let Some((first, rest)) = path.split_first() else { return test(Some(value)) };
        match value {
            Value::Array(items) => {
                if let Ok(at) = first.parse::<usize>() {
                    return items.get(at).map_or_else(|| test(None), |item| self.reach((item, fields), rest, test));
                }
                for item in items {
                    if self.reach((item, fields), path, test)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Value::Object(members) => match members.get(first) {
                Some(inner) => self.reach((inner, fields.below(first)), rest, test),
                None if fields == FieldsAre::Free => test(None),
                None if fields == FieldsAre::Sparse || LEFT_OUT_WHEN_EMPTY.contains(&first.as_str()) => {
                    test(Some(&Value::Null))
                }
                None => {
                    let known: Vec<&str> = members.keys().map(String::as_str).collect();
                    Err(self.wrong(&format!("{first}: no such field; there are {}", known.join(", "))))
                }
            },
            Value::Null => test(Some(value)),
            _ => Err(self.wrong(&format!("{first}: what is before it has no fields"))),
        }
    }

    fn wrong(&self, problem: &str) -> String {
        format!("column {}: {problem}", self.column)
    }
}

impl Test {
    fn holds(&self, value: Option<&Value>) -> Result<bool, String> {
        let Some(value) = value else { return Ok(matches!(self, Test::Empty)) };
        match (self, value) {
            (Test::Contains(_), Value::Null) => Ok(false),
            (Test::Matches(regex), Value::Null) => Ok(regex.is_match("")),
            (Test::Equals(text), value) => equals(value, text),
            (Test::OneOf(texts), value) => {
                texts.iter().try_fold(false, |found, text| Ok(found || equals(value, text)?))
            }
            (Test::Contains(text), Value::String(value)) => Ok(value.contains(text.as_str())),
            (Test::Contains(text), Value::Array(items)) => Ok(items.iter().any(|item| item.as_str() == Some(text))),
            (Test::Contains(text), Value::Object(members)) => Ok(members.contains_key(text)),
            (Test::Contains(_), _) => Err("in and contains look into texts, lists and maps only".to_owned()),
            (Test::Empty, Value::String(value)) => Ok(value.is_empty()),
            (Test::Empty, Value::Array(items)) => Ok(items.is_empty()),
            (Test::Empty, Value::Object(members)) => Ok(members.is_empty()),
            (Test::Empty, Value::Null) => Ok(true),
            (Test::Empty, _) => Err("texts, lists and maps only can be empty".to_owned()),
            (Test::Matches(regex), Value::String(value)) => Ok(regex.is_match(value)),
            (Test::Matches(_), _) => Err("matches looks at texts only".to_owned()),
        }
    }
}

fn equals(value: &Value, text: &str) -> Result<bool, String> {
    match value {
        Value::String(value) => Ok(value == text),
        // Left out, because it says nothing.
        Value::Null => Ok(text.is_empty() || parse_bool(text) == Some(false)),
        Value::Bool(value) => match parse_bool(text) {
            Some(wanted) => Ok(wanted == *value),
            None => Err(format!("it is true or false, which {text:?} is not")),
        },
        Value::Number(value) => match text.parse::<f64>() {
            Ok(wanted) => Ok(Some(wanted) == value.as_f64()),
            Err(_) => Err(format!("it is a number, which {text:?} is not")),
        },
        _ => Err("== and != compare texts, numbers and booleans only".to_owned()),
    }
}

/// Fields whose own fields are whatever somebody put in.
const FREE: [&str; 8] = [
    "Meta",
    "NodeMeta",
    "ServiceMeta",
    "TaggedAddresses",
    "ServiceTaggedAddresses",
    "Header",
    // Of a member.
    "Tags",
    "Labels",
];

/// Of a check: what is not said is left out of it.
const DEFINITION: &str = "Definition";

/// Fields that a body has only where they say something, or that Consul has and a plain service leaves empty.
const LEFT_OUT_WHEN_EMPTY: [&str; 14] = [
    "Kind",
    "Ports",
    "Shadowed",
    "ServicePorts",
    "Proxy",
    "Connect",
    "Namespace",
    "Partition",
    "PeerName",
    "SocketPath",
    "Locality",
    "ServiceLocality",
    "ContentHash",
    "SamenessGroup",
];

/// Longest filter. Source: none, chosen.
const TEXT_MAX_BYTES: usize = 4096;

#[cfg(test)]
#[path = "filter_tests.rs"]
mod tests;
