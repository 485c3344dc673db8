//! Reading a filter. What is wrong is said with its column and with what was expected there.
//!
//! | expression | is |
//! |---|---|
//! | `a or b`, `a and b`, `not a`, `(a)` | as usual |
//! | `field == value`, `!=` | equality |
//! | `value in field`, `field contains value`, with `not` before `in` or `contains` | membership |
//! | `field matches value`, `not matches` | a regular expression |
//! | `field is empty`, `is not empty` | |
//! | `field in ["a", "b"]`, `not in` | one of several |
//! | `any field as x { ... }`, `all field as key, value { ... }` | about what is in a list or map |
//!
//! A field is a word with dots or `["key"]` in it, or a JSON pointer (RFC 6901) in double quotes; a value is a word, a
//! number, or a text in double quotes or back-quotes.

use regex::RegexBuilder;

use super::{Binding, Expression, Selector, Test};
use crate::kv::template::reason;

/// Reads a whole expression.
pub(super) fn expression(text: &str) -> Result<Expression, String> {
    let mut parser = Parser { tokens: tokens(text)?, at: 0, depth: 0, end: text.chars().count() + 1 };
    let expression = parser.or()?;
    match parser.peek() {
        None => Ok(expression),
        Some(_) => Err(parser.expected("\"and\", \"or\" or the end")),
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    /// `(`, `)`, `{`, `}` or `,`.
    Sign(char),
    Same,
    Different,
    Quoted(String),
    /// Texts in brackets.
    List(Vec<String>),
    /// A word as written, and as a path.
    Word(String, Vec<String>),
}

impl Token {
    fn shown(&self) -> String {
        match self {
            Token::Sign(sign) => format!("{:?}", sign.to_string()),
            Token::Same => "\"==\"".to_owned(),
            Token::Different => "\"!=\"".to_owned(),
            Token::List(_) => "a list".to_owned(),
            Token::Quoted(text) | Token::Word(text, _) => format!("{text:?}"),
        }
    }
}

struct Parser {
    /// With the column of each, from 1.
    tokens: Vec<(usize, Token)>,
    at: usize,
    depth: usize,
    /// The column after the last one.
    end: usize,
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
            return Err(format!("column {}: is nested deeper than {DEPTH_MAX}", self.column()));
        }
        let expression = if self.word("not") {
            Expression::Not(Box::new(self.not()?))
        } else if self.sign('(') {
            let inner = self.or()?;
            self.needed(')')?;
            inner
        } else if let Some(all) = self.quantifier() {
            self.each(all)?
        } else {
            self.matching()?
        };
        self.depth -= 1;
        Ok(expression)
    }

    /// Takes `any` or `all` if a field follows; true for `all`. Fields of these names are fields all the same.
    fn quantifier(&mut self) -> Option<bool> {
        let Some(Token::Word(word, _)) = self.peek() else { return None };
        let all = match word.as_str() {
            "any" => false,
            "all" => true,
            _ => return None,
        };
        let (_, after) = self.tokens.get(self.at + 2)?;
        let is = matches!(after, Token::Word(word, _) if word == "as");
        self.at += usize::from(is);
        is.then_some(all)
    }

    /// `field as name { ... }`, after `any` or `all`.
    fn each(&mut self, all: bool) -> Result<Expression, String> {
        let of = self.selector()?;
        if !self.word("as") {
            return Err(self.expected("\"as\""));
        }
        let first = self.name()?;
        let binding = if self.sign(',') { Binding::Two(first, self.name()?) } else { Binding::One(first) };
        self.needed('{')?;
        let inner = Box::new(self.or()?);
        self.needed('}')?;
        Ok(Expression::Each { all, of, binding, inner })
    }

    /// `field == value`, `value in field`, `field is empty`, ...
    fn matching(&mut self) -> Result<Expression, String> {
        let left = self.at;
        if self.peek().is_none_or(|token| matches!(token, Token::Sign(_) | Token::Same | Token::Different)) {
            return Err(self.expected("a field or a value"));
        }
        self.at += 1;
        if let Some(different) = self.comparison() {
            let test = Test::Equals(self.value()?);
            return Ok(matched(self.selector_at(left)?, test, different));
        }
        if self.word("is") {
            let negated = self.word("not");
            if !self.word("empty") {
                return Err(self.expected("\"empty\""));
            }
            return Ok(matched(self.selector_at(left)?, Test::Empty, negated));
        }
        let negated = self.word("not");
        if self.word("in") {
            if let Some(Token::List(texts)) = self.peek().cloned() {
                self.at += 1;
                return Ok(matched(self.selector_at(left)?, Test::OneOf(texts), negated));
            }
            let test = Test::Contains(self.value_at(left)?);
            return Ok(matched(self.selector()?, test, negated));
        }
        if self.word("contains") {
            let test = Test::Contains(self.value()?);
            return Ok(matched(self.selector_at(left)?, test, negated));
        }
        if self.word("matches") {
            let column = self.column();
            let pattern = self.value()?;
            let regex = RegexBuilder::new(&pattern).size_limit(REGEX_MAX_BYTES).build();
            let regex = regex.map_err(|error| format!("column {column}: {}", reason(&error)))?;
            return Ok(matched(self.selector_at(left)?, Test::Matches(regex), negated));
        }
        Err(self.expected(if negated {
            "\"in\", \"contains\" or \"matches\""
        } else {
            "\"==\", \"!=\", \"in\", \"contains\", \"matches\", \"is\" or \"not\""
        }))
    }

    /// Takes `==` or `!=`; true for `!=`.
    fn comparison(&mut self) -> Option<bool> {
        let different = match self.peek() {
            Some(Token::Same) => false,
            Some(Token::Different) => true,
            _ => return None,
        };
        self.at += 1;
        Some(different)
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|(_, token)| token)
    }

    /// The column of what is next.
    fn column(&self) -> usize {
        self.tokens.get(self.at).map_or(self.end, |(column, _)| *column)
    }

    /// What is next is not this.
    fn expected(&self, what: &str) -> String {
        self.expected_at(self.at, what)
    }

    fn expected_at(&self, at: usize, what: &str) -> String {
        let (column, found) = match self.tokens.get(at) {
            Some((column, token)) => (*column, token.shown()),
            None => (self.end, "the end".to_owned()),
        };
        format!("column {column}: expected {what}, not {found}")
    }

    /// Takes this word if it is next.
    fn word(&mut self, wanted: &str) -> bool {
        let is = matches!(self.peek(), Some(Token::Word(word, _)) if word == wanted);
        self.at += usize::from(is);
        is
    }

    /// Takes this sign if it is next.
    fn sign(&mut self, wanted: char) -> bool {
        let is = self.peek() == Some(&Token::Sign(wanted));
        self.at += usize::from(is);
        is
    }

    fn needed(&mut self, wanted: char) -> Result<(), String> {
        if self.sign(wanted) { Ok(()) } else { Err(self.expected(&format!("{:?}", wanted.to_string()))) }
    }

    /// Takes a name for what an expression is about.
    fn name(&mut self) -> Result<String, String> {
        match self.peek() {
            Some(Token::Word(word, path)) if path.len() == 1 => {
                let word = word.clone();
                self.at += 1;
                Ok(word)
            }
            _ => Err(self.expected("a name")),
        }
    }

    fn selector(&mut self) -> Result<Selector, String> {
        self.at += 1;
        self.selector_at(self.at - 1)
    }

    fn selector_at(&self, at: usize) -> Result<Selector, String> {
        let column = self.tokens.get(at).map_or(self.end, |(column, _)| *column);
        match self.tokens.get(at).map(|(_, token)| token) {
            Some(Token::Word(_, path)) => Ok(Selector { column, path: path.clone() }),
            // A JSON pointer (RFC 6901).
            Some(Token::Quoted(text)) if text.starts_with('/') => {
                let parts = text.split('/').skip(1).map(|part| part.replace("~1", "/").replace("~0", "~"));
                Ok(Selector { column, path: parts.collect() })
            }
            _ => Err(self.expected_at(at, "a field")),
        }
    }

    fn value(&mut self) -> Result<String, String> {
        self.at += 1;
        self.value_at(self.at - 1)
    }

    fn value_at(&self, at: usize) -> Result<String, String> {
        match self.tokens.get(at).map(|(_, token)| token) {
            Some(Token::Word(text, _) | Token::Quoted(text)) => Ok(text.clone()),
            _ => Err(self.expected_at(at, "a value")),
        }
    }
}

fn matched(selector: Selector, test: Test, negated: bool) -> Expression {
    let expression = Expression::Match(selector, test);
    if negated { Expression::Not(Box::new(expression)) } else { expression }
}

/// The words and signs of a text, each with its column.
fn tokens(text: &str) -> Result<Vec<(usize, Token)>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let column = text[..text.len() - rest.len()].chars().count() + 1;
        let (token, after) = token(first, rest).map_err(|problem| format!("column {column}: {problem}"))?;
        tokens.push((column, token));
        rest = after.trim_start();
    }
    Ok(tokens)
}

/// The first word or sign of a text, and what follows it.
fn token(first: char, text: &str) -> Result<(Token, &str), String> {
    Ok(match first {
        '(' | ')' | '{' | '}' | ',' => (Token::Sign(first), &text[1..]),
        '"' | '`' => quoted(text).map(|(text, after)| (Token::Quoted(text), after))?,
        '=' | '!' => match (text.strip_prefix("=="), text.strip_prefix("!=")) {
            (Some(after), _) => (Token::Same, after),
            (_, Some(after)) => (Token::Different, after),
            _ => return Err(format!("expected \"==\" or \"!=\", not {:?}", first.to_string())),
        },
        '[' => list(text)?,
        _ => word(text)?,
    })
}

/// `["a", "b"]`
fn list(text: &str) -> Result<(Token, &str), String> {
    let mut texts = Vec::new();
    let mut rest = &text[1..];
    loop {
        let (item, after) = quoted(rest.trim_start())?;
        texts.push(item);
        rest = after.trim_start();
        if let Some(after) = rest.strip_prefix(']') {
            return Ok((Token::List(texts), after));
        }
        rest = rest.strip_prefix(',').ok_or_else(|| "expected \",\" or \"]\" in a list".to_owned())?;
    }
}

/// A word such as `web`, `80` or `Service.Meta["rack"]`, and what follows it.
fn word(text: &str) -> Result<(Token, &str), String> {
    let mut path = vec![String::new()];
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        match first {
            '.' => path.push(String::new()),
            '[' => {
                let (key, after) = quoted(rest[1..].trim_start())?;
                path.push(key);
                let after = after.trim_start().strip_prefix(']');
                rest = after.ok_or_else(|| "expected \"]\" after a key".to_owned())?;
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

/// Deepest nesting. Source: none, chosen.
const DEPTH_MAX: usize = 32;

/// Most memory of a compiled regular expression. Source: none, chosen.
const REGEX_MAX_BYTES: usize = 1024 * 1024;
