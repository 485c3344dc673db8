//! Reads a template.

use serde_json::Value;

use super::functions::Function;

/// A part of a template.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    Text(String),
    Print(Pipe),
    If { condition: Pipe, then: Vec<Node>, otherwise: Vec<Node> },
    Range { over: Pipe, body: Vec<Node>, otherwise: Vec<Node> },
    With { value: Pipe, body: Vec<Node>, otherwise: Vec<Node> },
}

/// Commands, each of which gets the value of the one before as its last argument. Never empty.
pub(super) type Pipe = Vec<Command>;

/// A function with arguments, or one value alone.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Command {
    Call(Function, Vec<Operand>),
    Value(Operand),
}

/// A value: where it begins, and the path from there.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Operand {
    pub(super) start: Start,
    pub(super) path: Vec<String>,
}

/// Where a value begins.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Start {
    Dot,
    Document,
    Literal(Value),
    Pipe(Pipe),
}

pub(super) fn parse(text: &str) -> Result<Vec<Node>, String> {
    let mut parser = Parser { pieces: pieces(text)?.into_iter(), depth: 0 };
    match parser.nodes()? {
        (nodes, None) => Ok(nodes),
        (_, Some(end)) => Err(format!("{{{{{}}}}} ends nothing", end.text())),
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Piece {
    Text(String),
    Action(String),
}

/// Texts and what stands between braces.
fn pieces(text: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut rest = text;
    let mut trim = false;
    while let Some((before, after)) = rest.split_once("{{") {
        let (after, trims) = match after.strip_prefix("- ") {
            Some(after) => (after, true),
            None => (after, false),
        };
        let before = if trim { before.trim_start() } else { before };
        pieces.push(Piece::Text(if trims { before.trim_end() } else { before }.to_owned()));
        let end = action_end(after).ok_or("{{ without }}")?;
        let (action, behind) = (&after[..end], &after[end + 2..]);
        let action = match action.strip_suffix(" -") {
            Some(action) => {
                trim = true;
                action
            }
            None => {
                trim = false;
                action
            }
        };
        pieces.push(Piece::Action(action.trim().to_owned()));
        rest = behind;
    }
    pieces.push(Piece::Text(if trim { rest.trim_start() } else { rest }.to_owned()));
    Ok(pieces)
}

/// Where the `}}` of an action stands that is not in a text of it.
fn action_end(action: &str) -> Option<usize> {
    let mut quote = None;
    let mut escaped = false;
    for (at, character) in action.char_indices() {
        match quote {
            Some('"') if escaped => escaped = false,
            Some('"') if character == '\\' => escaped = true,
            Some(open) if character == open => quote = None,
            Some(_) => {}
            None if matches!(character, '"' | '`') => quote = Some(character),
            None if action[at..].starts_with("}}") => return Some(at),
            None => {}
        }
    }
    None
}

/// What ends a list of nodes.
enum End {
    End,
    Else(String),
}

impl End {
    fn text(&self) -> &'static str {
        match self {
            End::End => "end",
            End::Else(_) => "else",
        }
    }
}

struct Parser {
    pieces: std::vec::IntoIter<Piece>,
    depth: usize,
}

impl Parser {
    /// Nodes up to their end.
    fn nodes(&mut self) -> Result<(Vec<Node>, Option<End>), String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(format!("more than {DEPTH_MAX} levels"));
        }
        let mut nodes = Vec::new();
        let mut end = None;
        while end.is_none() {
            let Some(piece) = self.pieces.next() else { break };
            match piece {
                Piece::Text(text) if text.is_empty() => {}
                Piece::Text(text) => nodes.push(Node::Text(text)),
                Piece::Action(action) => match self.action(&action)? {
                    Action::Node(node) => nodes.push(node),
                    Action::Nothing => {}
                    Action::End(found) => end = Some(found),
                },
            }
        }
        self.depth -= 1;
        Ok((nodes, end))
    }

    fn action(&mut self, action: &str) -> Result<Action, String> {
        let (word, rest) = action.split_once(char::is_whitespace).unwrap_or((action, ""));
        Ok(match word {
            _ if action.starts_with("/*") => Action::Nothing,
            "end" => Action::End(End::End),
            "else" => Action::End(End::Else(rest.trim().to_owned())),
            "if" | "range" | "with" => Action::Node(self.block(word, rest)?),
            "define" | "block" | "template" | "break" | "continue" => {
                return Err(format!("{word} is not offered"));
            }
            _ => Action::Node(Node::Print(pipe(action)?)),
        })
    }

    fn block(&mut self, word: &str, rest: &str) -> Result<Node, String> {
        let head = pipe(rest)?;
        let (body, end) = self.nodes()?;
        let otherwise = match end {
            None => return Err(format!("{{{{{word}}}}} without {{{{end}}}}")),
            Some(End::End) => Vec::new(),
            Some(End::Else(next)) if next.is_empty() => match self.nodes()? {
                (nodes, Some(End::End)) => nodes,
                _ => return Err(format!("{{{{else}}}} of {{{{{word}}}}} without {{{{end}}}}")),
            },
            Some(End::Else(next)) => {
                let (word, rest) = next.split_once(char::is_whitespace).unwrap_or((&next, ""));
                if !matches!(word, "if" | "with") {
                    return Err(format!("{{{{else {next}}}}} is not understood"));
                }
                self.depth += 1;
                if self.depth > DEPTH_MAX {
                    return Err(format!("more than {DEPTH_MAX} levels"));
                }
                let node = self.block(word, rest)?;
                self.depth -= 1;
                vec![node]
            }
        };
        Ok(match word {
            "if" => Node::If { condition: head, then: body, otherwise },
            "range" => Node::Range { over: head, body, otherwise },
            _ => Node::With { value: head, body, otherwise },
        })
    }
}

enum Action {
    Node(Node),
    Nothing,
    End(End),
}

/// Reads a whole pipe.
fn pipe(text: &str) -> Result<Pipe, String> {
    let mut reader = Reader { rest: text, depth: 0 };
    let pipe = reader.pipe()?;
    if reader.rest.is_empty() { Ok(pipe) } else { Err(format!("{:?} is not understood", reader.rest)) }
}

struct Reader<'a> {
    rest: &'a str,
    depth: usize,
}

impl Reader<'_> {
    /// A pipe up to its end, or to a closing parenthesis.
    fn pipe(&mut self) -> Result<Pipe, String> {
        let mut pipe = Vec::new();
        loop {
            pipe.push(self.command(!pipe.is_empty())?);
            if !self.skip('|') {
                return Ok(pipe);
            }
        }
    }

    fn command(&mut self, is_piped: bool) -> Result<Command, String> {
        self.blanks();
        if self.rest.starts_with(|first: char| first.is_ascii_alphabetic()) {
            let word = self.word();
            return match word.as_str() {
                "true" | "false" => self.value(Start::Literal(Value::Bool(word == "true"))),
                "nil" => self.value(Start::Literal(Value::Null)),
                name => {
                    let function = Function::named(name)?;
                    let mut arguments = Vec::new();
                    while let Some(argument) = self.operand()? {
                        arguments.push(argument);
                    }
                    function.check(arguments.len() + usize::from(is_piped))?;
                    Ok(Command::Call(function, arguments))
                }
            };
        }
        match self.operand()? {
            None => Err("a value is missing".to_owned()),
            Some(_) if is_piped => Err("only a function can stand behind |".to_owned()),
            Some(operand) => self.alone(operand),
        }
    }

    fn value(&mut self, start: Start) -> Result<Command, String> {
        self.alone(Operand { start, path: Vec::new() })
    }

    /// A value that has nothing behind it.
    fn alone(&mut self, operand: Operand) -> Result<Command, String> {
        self.blanks();
        match self.rest.chars().next() {
            None | Some('|' | ')') => Ok(Command::Value(operand)),
            Some(_) => Err(format!("{:?} is not understood behind a value", self.rest)),
        }
    }

    /// The next operand, if there is one.
    fn operand(&mut self) -> Result<Option<Operand>, String> {
        self.blanks();
        let start = match self.rest.chars().next() {
            None | Some('|' | ')') => return Ok(None),
            Some('.') => Start::Dot,
            Some('$') => {
                self.rest = &self.rest[1..];
                if self.rest.starts_with(|next: char| next.is_ascii_alphanumeric() || next == '_') {
                    return Err("variables are not offered".to_owned());
                }
                Start::Document
            }
            Some('(') => {
                self.rest = &self.rest[1..];
                self.depth += 1;
                if self.depth > DEPTH_MAX {
                    return Err(format!("more than {DEPTH_MAX} levels"));
                }
                let pipe = self.pipe()?;
                self.depth -= 1;
                if !self.skip(')') {
                    return Err("( without )".to_owned());
                }
                Start::Pipe(pipe)
            }
            Some('"' | '`') => Start::Literal(Value::String(self.text()?)),
            Some(first) if first.is_ascii_digit() || first == '-' => Start::Literal(self.number()?),
            Some(first) if first.is_ascii_alphabetic() => {
                let word = self.word();
                match word.as_str() {
                    "true" | "false" => Start::Literal(Value::Bool(word == "true")),
                    "nil" => Start::Literal(Value::Null),
                    _ => return Err(format!("put {word} and what it is given in parentheses")),
                }
            }
            Some(_) => return Err(format!("{:?} is not understood", self.rest)),
        };
        Ok(Some(Operand { path: self.path(), start }))
    }

    /// `.Config.Labels`
    fn path(&mut self) -> Vec<String> {
        let mut path = Vec::new();
        while let Some(after) = self.rest.strip_prefix('.') {
            self.rest = after;
            let name = self.word();
            if !name.is_empty() {
                path.push(name);
            }
        }
        path
    }

    fn word(&mut self) -> String {
        let end = self.rest.find(|next: char| !next.is_alphanumeric() && next != '_').unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word.to_owned()
    }

    fn number(&mut self) -> Result<Value, String> {
        let end = self.rest[1..].find(|next: char| !next.is_ascii_digit()).map_or(self.rest.len(), |end| end + 1);
        let (number, rest) = self.rest.split_at(end);
        self.rest = rest;
        number.parse::<i64>().map(Value::from).map_err(|_| format!("{number:?} is not a number"))
    }

    fn text(&mut self) -> Result<String, String> {
        let raw = self.rest.starts_with('`');
        let mut text = String::new();
        let mut characters = self.rest.char_indices().skip(1);
        while let Some((at, character)) = characters.next() {
            match character {
                '`' if raw => {}
                '"' if !raw => {}
                '\\' if !raw => {
                    text.push(match characters.next() {
                        Some((_, 'n')) => '\n',
                        Some((_, 't')) => '\t',
                        Some((_, same @ ('"' | '\\'))) => same,
                        _ => return Err("in a text only \\n, \\t, \\\" and \\\\ are known".to_owned()),
                    });
                    continue;
                }
                _ => {
                    text.push(character);
                    continue;
                }
            }
            self.rest = &self.rest[at + 1..];
            return Ok(text);
        }
        Err("a text has no end".to_owned())
    }

    fn skip(&mut self, character: char) -> bool {
        self.blanks();
        match self.rest.strip_prefix(character) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn blanks(&mut self) {
        self.rest = self.rest.trim_start();
    }
}

/// Most levels of blocks or parentheses. Source: none, chosen: nobody reads as many.
const DEPTH_MAX: usize = 32;
