//! Consul's filter language: which elements of a list are wanted.
//!
//! ```text
//! ServiceName matches "^web-" and "blue" in ServiceTags
//! Meta["rack"] == r7 or not (Port == 80)
//! Checks is not empty
//! ```
//!
//! `or` binds weaker than `and`, `and` weaker than `not`. A selector is a path of field names as they stand in the
//! JSON of an element; an element is what the filter's list would have, also where the answer is a map. A key that a
//! map does not have equals nothing. A path that leads into a list of objects holds if it holds for one of them.
//!
//! **Limits:** 4 KiB of text, 32 deep; regular expressions are Rust's (RE2's language but for rarities) and may take
//! 1 MiB compiled.
//!
//! **Source:** Consul's documentation, `api-docs/features/filtering`.

use regex::{Regex, RegexBuilder};
use serde_json::Value;

use super::call::parse_bool;

/// A filter, read.
#[derive(Debug)]
pub(super) struct Filter(Expression);

#[derive(Debug)]
enum Expression {
    Or(Vec<Expression>),
    And(Vec<Expression>),
    Not(Box<Expression>),
    Match(Selector, Test),
}

/// Field names from the outermost.
type Selector = Vec<String>;

#[derive(Debug)]
enum Test {
    Equals(String),
    /// A list has it, a map has it as a key, or a text has it within.
    Contains(String),
    Empty,
    Matches(Regex),
}

impl Filter {
    /// Reads a filter, or says what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Filter, String> {
        if text.len() > TEXT_MAX_BYTES {
            return Err(format!("must be at most {TEXT_MAX_BYTES} bytes"));
        }
        let mut parser = Parser { tokens: tokens(text)?, at: 0, depth: 0 };
        let expression = parser.or()?;
        match parser.next() {
            None => Ok(Filter(expression)),
            Some(token) => Err(format!("expected \"and\", \"or\" or the end, not {}", token.shown())),
        }
    }

    /// Whether the element is wanted, or why that cannot be told.
    pub(super) fn keeps(&self, element: &Value) -> Result<bool, String> {
        self.0.holds(element)
    }
}

impl Expression {
    fn holds(&self, element: &Value) -> Result<bool, String> {
        match self {
            Expression::Or(any) => {
                for expression in any {
                    if expression.holds(element)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Expression::And(all) => {
                for expression in all {
                    if !expression.holds(element)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Expression::Not(expression) => Ok(!expression.holds(element)?),
            Expression::Match(selector, test) => {
                let first = selector.first().map(String::as_str).unwrap_or_default();
                if element.get(first).is_none() && !LEFT_OUT_WHEN_EMPTY.contains(&first) {
                    return Err(format!("{first}: no such field"));
                }
                test.reach(element, selector)
            }
        }
    }
}

impl Test {
    fn reach(&self, value: &Value, path: &[String]) -> Result<bool, String> {
        let Some((first, rest)) = path.split_first() else { return self.holds(value) };
        match value {
            Value::Array(items) => {
                for item in items {
                    if self.reach(item, path)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            _ => match value.get(first) {
                Some(inner) => self.reach(inner, rest),
                None if rest.is_empty() && LEFT_OUT_WHEN_EMPTY.contains(&first.as_str()) => {
                    self.holds(&Value::String(String::new()))
                }
                None => Ok(matches!(self, Test::Empty)),
            },
        }
    }

    fn holds(&self, value: &Value) -> Result<bool, String> {
        match (self, value) {
            (Test::Equals(text), Value::String(value)) => Ok(value == text),
            (Test::Equals(text), Value::Bool(value)) => Ok(parse_bool(text) == Some(*value)),
            (Test::Equals(text), Value::Number(value)) => Ok(text.parse().ok() == value.as_f64()),
            (Test::Equals(_), _) => Err("== and != compare texts, numbers and booleans only".to_owned()),
            (Test::Contains(text), Value::String(value)) => Ok(value.contains(text.as_str())),
            (Test::Contains(text), Value::Array(items)) => Ok(items.iter().any(|item| item.as_str() == Some(text))),
            (Test::Contains(text), Value::Object(members)) => Ok(members.contains_key(text)),
            (Test::Contains(_), _) => Err("in and contains look into texts, lists and maps only".to_owned()),
            (Test::Empty, Value::String(value)) => Ok(value.is_empty()),
            (Test::Empty, Value::Array(items)) => Ok(items.is_empty()),
            (Test::Empty, Value::Object(members)) => Ok(members.is_empty()),
            (Test::Empty, _) => Err("texts, lists and maps only can be empty".to_owned()),
            (Test::Matches(regex), Value::String(value)) => Ok(regex.is_match(value)),
            (Test::Matches(_), _) => Err("matches looks at texts only".to_owned()),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Open,
    Close,
    Same,
    Different,
    Quoted(String),
    /// A word as written, and as a path.
    Word(String, Selector),
}

impl Token {
    fn shown(&self) -> String {
        match self {
            Token::Open => "\"(\"".to_owned(),
            Token::Close => "\")\"".to_owned(),
            Token::Same => "\"==\"".to_owned(),
            Token::Different => "\"!=\"".to_owned(),
            Token::Quoted(text) | Token::Word(text, _) => format!("{text:?}"),
        }
    }
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
}

impl Parser {
    fn or(&mut self) -> Result<Expression, String> {
        let mut any = vec![self.and()?];
        while self.word("or") {
            any.push(self.and()?);
        }
        Ok(if any.len() == 1 { any.remove(0) } else { Expression::Or(any) })
    }

    fn and(&mut self) -> Result<Expression, String> {
        let mut all = vec![self.not()?];
        while self.word("and") {
            all.push(self.not()?);
        }
        Ok(if all.len() == 1 { all.remove(0) } else { Expression::And(all) })
    }

    fn not(&mut self) -> Result<Expression, String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(format!("is nested deeper than {DEPTH_MAX}"));
        }
        let expression = if self.word("not") {
            Expression::Not(Box::new(self.not()?))
        } else if self.tokens.get(self.at) == Some(&Token::Open) {
            self.at += 1;
            let inner = self.or()?;
            match self.next() {
                Some(Token::Close) => inner,
                other => return Err(format!("expected \")\", not {}", shown(other.as_ref()))),
            }
        } else {
            self.matching()?
        };
        self.depth -= 1;
        Ok(expression)
    }

    /// `selector == value`, `value in selector`, `selector is empty`, ...
    fn matching(&mut self) -> Result<Expression, String> {
        let left = self.next();
        if matches!(self.tokens.get(self.at), Some(Token::Same | Token::Different)) {
            let different = self.next() == Some(Token::Different);
            let test = Test::Equals(value(self.next())?);
            return Ok(matched(selector(left)?, test, different));
        }
        if self.word("is") {
            let negated = self.word("not");
            if !self.word("empty") {
                return Err(format!("expected \"empty\", not {}", shown(self.tokens.get(self.at))));
            }
            return Ok(matched(selector(left)?, Test::Empty, negated));
        }
        let negated = self.word("not");
        if self.word("in") {
            let test = Test::Contains(value(left)?);
            return Ok(matched(selector(self.next())?, test, negated));
        }
        if self.word("contains") {
            let test = Test::Contains(value(self.next())?);
            return Ok(matched(selector(left)?, test, negated));
        }
        if self.word("matches") {
            let pattern = value(self.next())?;
            let regex = RegexBuilder::new(&pattern).size_limit(REGEX_MAX_BYTES).build();
            let regex = regex.map_err(|error| format!("matches: {error}"))?;
            return Ok(matched(selector(left)?, Test::Matches(regex), negated));
        }
        let found = shown(self.tokens.get(self.at));
        Err(format!("expected ==, !=, in, is, contains or matches after {}, not {found}", shown(left.as_ref())))
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        token
    }

    /// Takes this word if it is next.
    fn word(&mut self, wanted: &str) -> bool {
        let is = matches!(self.tokens.get(self.at), Some(Token::Word(word, _)) if word == wanted);
        self.at += usize::from(is);
        is
    }
}

fn matched(selector: Selector, test: Test, negated: bool) -> Expression {
    let expression = Expression::Match(selector, test);
    if negated { Expression::Not(Box::new(expression)) } else { expression }
}

fn selector(token: Option<Token>) -> Result<Selector, String> {
    match token {
        Some(Token::Word(_, path)) => Ok(path),
        // A JSON pointer (RFC 6901).
        Some(Token::Quoted(text)) if text.starts_with('/') => {
            Ok(text.split('/').skip(1).map(|part| part.replace("~1", "/").replace("~0", "~")).collect())
        }
        other => Err(format!("expected a field, not {}", shown(other.as_ref()))),
    }
}

fn value(token: Option<Token>) -> Result<String, String> {
    match token {
        Some(Token::Word(text, _) | Token::Quoted(text)) => Ok(text),
        other => Err(format!("expected a value, not {}", shown(other.as_ref()))),
    }
}

fn shown(token: Option<&Token>) -> String {
    token.map_or_else(|| "the end".to_owned(), Token::shown)
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, after) = match first {
            '(' => (Token::Open, &rest[1..]),
            ')' => (Token::Close, &rest[1..]),
            '"' | '`' => quoted(rest).map(|(text, after)| (Token::Quoted(text), after))?,
            '=' | '!' => match (rest.strip_prefix("=="), rest.strip_prefix("!=")) {
                (Some(after), _) => (Token::Same, after),
                (_, Some(after)) => (Token::Different, after),
                _ => return Err(format!("expected == or !=, not {first:?}")),
            },
            _ => word(rest)?,
        };
        tokens.push(token);
        rest = after.trim_start();
    }
    Ok(tokens)
}

/// A word such as `web`, `80` or `Service.Meta["rack"]`, and what follows it.
fn word(text: &str) -> Result<(Token, &str), String> {
    let mut path = vec![String::new()];
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        match first {
            '.' => path.push(String::new()),
            '[' => {
                let (key, after) = quoted(&rest[1..])?;
                path.push(key);
                rest = after.strip_prefix(']').ok_or_else(|| "expected \"]\" after a key".to_owned())?;
                continue;
            }
            _ if first.is_alphanumeric() || "_-/:~".contains(first) => {
                if let Some(last) = path.last_mut() {
                    last.push(first);
                }
            }
            _ => break,
        }
        rest = &rest[first.len_utf8()..];
    }
    let written = &text[..text.len() - rest.len()];
    if written.is_empty() {
        let first: String = text.chars().take(1).collect();
        return Err(format!("{first:?} has no meaning here"));
    }
    Ok((Token::Word(written.to_owned(), path), rest))
}

/// A text in double quotes, with escapes, or in back-quotes, as it stands; and what follows it.
fn quoted(text: &str) -> Result<(String, &str), String> {
    let Some(quote @ ('"' | '`')) = text.chars().next() else { return Err("expected a quoted text".to_owned()) };
    let mut inner = String::new();
    let mut characters = text.char_indices().skip(1);
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' if quote == '"' => match characters.next() {
                Some((_, 'n')) => inner.push('\n'),
                Some((_, 't')) => inner.push('\t'),
                Some((_, escaped @ ('"' | '\\' | '/'))) => inner.push(escaped),
                // Not an escape of texts, so one of a regular expression.
                Some((_, other)) => inner.extend(['\\', other]),
                None => break,
            },
            _ if character == quote => return Ok((inner, &text[at + 1..])),
            _ => inner.push(character),
        }
    }
    Err(format!("a text that begins with {quote} has no end"))
}

/// Fields that a body has only where they say something, or that Consul has and a plain service leaves empty.
const LEFT_OUT_WHEN_EMPTY: [&str; 12] = [
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
    "ContentHash",
];

/// Longest filter. Source: none, chosen.
const TEXT_MAX_BYTES: usize = 4096;

/// Deepest nesting. Source: none, chosen.
const DEPTH_MAX: usize = 32;

/// Most memory of a compiled regular expression. Source: none, chosen.
const REGEX_MAX_BYTES: usize = 1024 * 1024;

#[cfg(test)]
#[path = "filter_tests.rs"]
mod tests;
