//! The functions of templates.
//!
//! An argument is known by its type where the types differ: `strSlice .ID 0 12` and `.ID | strSlice 0 12` say the same.

use regex::Regex;
use serde_json::Value;

use super::eval::{is_true, shown};

/// A function by its place in [`FUNCTIONS`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Function(usize);

type Call = fn(Arguments) -> Result<Value, String>;

impl Function {
    /// The function of this name.
    pub(super) fn named(name: &str) -> Result<Function, String> {
        match FUNCTIONS.iter().position(|(known, ..)| *known == name) {
            Some(at) => Ok(Function(at)),
            None if name == "httpGet" => {
                Err("httpGet is not offered: nothing is fetched to map a container".to_owned())
            }
            None => Err(format!("{name} is not a function that is offered")),
        }
    }

    /// Whether it takes so many arguments.
    pub(super) fn check(self, count: usize) -> Result<(), String> {
        let (name, least, most, _) = FUNCTIONS[self.0];
        if (least..=most).contains(&count) { Ok(()) } else { Err(format!("{name} is given {count} arguments")) }
    }

    /// What it makes of its arguments.
    pub(super) fn call(self, arguments: Vec<Value>) -> Result<Value, String> {
        let (name, _, _, call) = FUNCTIONS[self.0];
        call(Arguments(arguments)).map_err(|problem| format!("{name}: {problem}"))
    }
}

/// What a function is given.
struct Arguments(Vec<Value>);

impl Arguments {
    /// The numbers, in their order.
    fn numbers(&self) -> Vec<i64> {
        self.0.iter().filter_map(Value::as_i64).collect()
    }

    /// The next argument that is not a number; a missing one is nothing.
    fn next(&mut self) -> Value {
        let at = self.0.iter().position(|value| !value.is_number());
        at.map_or(Value::Null, |at| self.0.remove(at))
    }

    fn next_text(&mut self) -> String {
        shown(&self.next())
    }

    /// The texts of a list.
    fn next_list(&mut self) -> Result<Vec<String>, String> {
        texts(self.next())
    }

    fn number(&self) -> Result<i64, String> {
        self.numbers().first().copied().ok_or_else(|| "a number is missing".to_owned())
    }
}

fn texts(value: Value) -> Result<Vec<String>, String> {
    match value {
        Value::Array(items) => Ok(items.iter().map(shown).collect()),
        Value::Null => Ok(Vec::new()),
        other => Err(format!("{:?} is not a list", shown(&other))),
    }
}

/// The item at a place; negative ones and those behind the end are problems, as in Go.
fn item(items: &[String], at: i64) -> Result<Value, String> {
    let found = usize::try_from(at).ok().and_then(|at| items.get(at));
    found.map(|text| Value::from(text.as_str())).ok_or_else(|| format!("there is no item {at} of {}", items.len()))
}

/// A text from a place to a place, in characters, cut to what there is.
fn str_slice(mut arguments: Arguments) -> Result<Value, String> {
    let numbers = arguments.numbers();
    let place = |at: usize, default: usize| match numbers.get(at) {
        Some(number) => usize::try_from(*number).map_err(|_| format!("{number} is negative")),
        None => Ok(default),
    };
    let text = arguments.next_text();
    let (from, to) = (place(0, 0)?, place(1, usize::MAX)?);
    Ok(text.chars().take(to).skip(from).collect::<String>().into())
}

fn replace(mut arguments: Arguments) -> Result<Value, String> {
    let most = arguments.numbers().first().copied().unwrap_or(-1);
    let (from, to, text) = (arguments.next_text(), arguments.next_text(), arguments.next_text());
    if from.is_empty() {
        return Err("what is replaced is empty".to_owned());
    }
    Ok(match usize::try_from(most) {
        Ok(most) => text.replacen(&from, &to, most),
        Err(_) => text.replace(&from, &to),
    }
    .into())
}

fn split(mut arguments: Arguments) -> Result<Vec<String>, String> {
    let (separator, text) = (arguments.next_text(), arguments.next_text());
    if separator.is_empty() {
        return Err("the separator is empty".to_owned());
    }
    Ok(text.split(&separator).map(str::to_owned).collect())
}

/// The separator and the list, in either order.
fn join(arguments: Arguments) -> Result<Value, String> {
    let (lists, others): (Vec<Value>, Vec<Value>) = arguments.0.into_iter().partition(Value::is_array);
    let separator = others.iter().find(|value| value.is_string()).map(shown).unwrap_or_default();
    let list = lists.into_iter().next().unwrap_or_default();
    Ok(texts(list)?.join(&separator).into())
}

/// The key and the map, in either order.
fn member(arguments: Arguments) -> Result<Value, String> {
    let key = arguments.0.iter().find(|value| value.is_string()).map(shown).unwrap_or_default();
    let map = arguments.0.iter().find_map(Value::as_object);
    Ok(map.and_then(|map| map.get(&key)).cloned().unwrap_or_default())
}

fn matches(mut arguments: Arguments) -> Result<Vec<String>, String> {
    let pattern = arguments.next_text();
    let regex = Regex::new(&pattern).map_err(|_| format!("{pattern:?} is not a regular expression"))?;
    Ok(arguments.next_list()?.into_iter().filter(|text| regex.is_match(text)).collect())
}

/// Go's `index`: a list by number, a map by key, one after the other.
fn index(arguments: Arguments) -> Result<Value, String> {
    let mut all = arguments.0.into_iter();
    let mut value = all.next().unwrap_or_default();
    for key in all {
        value = match (&value, &key) {
            (Value::Array(items), Value::Number(_)) => {
                let at = key.as_i64().and_then(|at| usize::try_from(at).ok());
                let found = at.and_then(|at| items.get(at)).cloned();
                found.ok_or_else(|| format!("there is no item {key} of {}", items.len()))?
            }
            (Value::Object(pairs), Value::String(key)) => pairs.get(key).cloned().unwrap_or_default(),
            (Value::Null, _) => Value::Null,
            _ => return Err(format!("{:?} has no {:?}", shown(&value), shown(&key))),
        };
    }
    Ok(value)
}

fn len(arguments: Arguments) -> Result<Value, String> {
    Ok(match &arguments.0[0] {
        Value::String(text) => text.len(),
        Value::Array(items) => items.len(),
        Value::Object(pairs) => pairs.len(),
        Value::Null => 0,
        other => return Err(format!("{other} has no length")),
    }
    .into())
}

/// The first for which it holds, else the last.
fn first_that(arguments: Arguments, holds: fn(&Value) -> bool) -> Value {
    let last = arguments.0.len().saturating_sub(1);
    let found = arguments.0.into_iter().enumerate().find(|(at, value)| *at == last || holds(value));
    found.map(|(_, value)| value).unwrap_or_default()
}

fn is_equal(arguments: &Arguments) -> bool {
    arguments.0.iter().skip(1).any(|other| *other == arguments.0[0])
}

/// Name, least and most arguments, what it does.
const FUNCTIONS: &[(&str, usize, usize, Call)] = &[
    ("strSlice", 1, 3, str_slice),
    ("sIndex", 2, 2, |mut arguments| {
        let at = arguments.number()?;
        item(&arguments.next_list()?, at)
    }),
    ("mIndex", 2, 2, member),
    ("toUpper", 1, 1, |mut arguments| Ok(arguments.next_text().to_uppercase().into())),
    ("toLower", 1, 1, |mut arguments| Ok(arguments.next_text().to_lowercase().into())),
    ("replace", 3, 4, replace),
    ("join", 2, 2, join),
    ("split", 2, 2, |arguments| split(arguments).map(Value::from)),
    ("splitIndex", 3, 3, |arguments| {
        let at = arguments.number()?;
        item(&split(arguments)?, at)
    }),
    ("matchFirstElement", 2, 2, |arguments| {
        Ok(matches(arguments)?.into_iter().next().map(Value::from).unwrap_or_default())
    }),
    ("matchAllElements", 2, 2, |arguments| matches(arguments).map(Value::from)),
    ("jsonParse", 1, 1, |mut arguments| {
        serde_json::from_str(&arguments.next_text()).map_err(|problem| format!("not JSON: {problem}"))
    }),
    ("index", 1, usize::MAX, index),
    ("len", 1, 1, len),
    ("print", 0, usize::MAX, |arguments| Ok(arguments.0.iter().map(shown).collect::<String>().into())),
    ("and", 1, usize::MAX, |arguments| Ok(first_that(arguments, |value| !is_true(value)))),
    ("or", 1, usize::MAX, |arguments| Ok(first_that(arguments, is_true))),
    ("not", 1, 1, |arguments| Ok(Value::Bool(!is_true(&arguments.0[0])))),
    ("eq", 2, usize::MAX, |arguments| Ok(Value::Bool(is_equal(&arguments)))),
    ("ne", 2, 2, |arguments| Ok(Value::Bool(!is_equal(&arguments)))),
];
