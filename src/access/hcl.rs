//! Reads the part of HCL that Consul's documentation writes rules in.
//!
//! ```text
//! body  = { name ( "=" value | { "text" } "{" body "}" ) [ "," ] }
//! value = "text" | number | true | false | "{" body "}" | "[" [ value { "," value } ] "]"
//! ```
//!
//! Comments are `#`, `//` to the end of the line, and `/* */`. A name may stand in quotes, and a name or a block may stand
//! several times.
//!
//! **Limits:** no heredocs, no interpolation (`${` is text like any other); nested at most [`DEPTH_MAX`] deep.
//!
//! **Source:** the HCL 1 syntax of hashicorp/hcl, as far as those examples use it.

use super::rules::RulesError;
use crate::catalog::definition::tree::{Tree, TreeValue};

/// Reads a whole text as the members of one object.
pub fn parse(text: &str) -> Result<Tree, RulesError> {
    let mut reader = Reader { rest: text, line: 1 };
    let body = reader.body(0)?;
    match reader.rest.chars().next() {
        None => Ok(body),
        Some(_) => Err(reader.wrong("a } without its {")),
    }
}

struct Reader<'a> {
    rest: &'a str,
    line: u32,
}

impl<'a> Reader<'a> {
    /// The members up to a closing brace, which is left, or to the end.
    fn body(&mut self, depth: u32) -> Result<Tree, RulesError> {
        if depth > DEPTH_MAX {
            return Err(self.wrong(&format!("nested more than {DEPTH_MAX} deep")));
        }
        let line = self.line;
        let mut members = Vec::new();
        loop {
            self.skip_blank()?;
            if self.rest.is_empty() || self.rest.starts_with('}') {
                return Ok(Tree { line, value: TreeValue::Map(members) });
            }
            members.push(self.member(depth)?);
            self.skip_blank()?;
            self.take(",");
        }
    }

    fn member(&mut self, depth: u32) -> Result<(String, Tree), RulesError> {
        let name = self.name()?;
        self.skip_blank()?;
        if self.take("=") {
            self.skip_blank()?;
            return Ok((name, self.value(depth)?));
        }
        let line = self.line;
        let mut labels = Vec::new();
        while self.rest.starts_with('"') {
            if labels.len() as u32 >= DEPTH_MAX {
                return Err(self.wrong(&format!("{name} has more than {DEPTH_MAX} names")));
            }
            labels.push(self.text()?);
            self.skip_blank()?;
        }
        if !self.rest.starts_with('{') {
            let problem = format!("expected = or a block in braces after {name:?}, got {}", self.next_shown());
            return Err(self.wrong(&problem));
        }
        let mut tree = self.block(depth)?;
        for label in labels.into_iter().rev() {
            tree = Tree { line, value: TreeValue::Map(vec![(label, tree)]) };
        }
        Ok((name, tree))
    }

    fn block(&mut self, depth: u32) -> Result<Tree, RulesError> {
        let opened = self.line;
        self.take("{");
        let body = self.body(depth + 1)?;
        if self.take("}") { Ok(body) } else { Err(RulesError::new(opened, "this block has no closing }")) }
    }

    fn value(&mut self, depth: u32) -> Result<Tree, RulesError> {
        let line = self.line;
        let value = match self.rest.chars().next() {
            Some('"') => TreeValue::Text(self.text()?),
            Some('{') => return self.block(depth),
            Some('[') => self.list(depth)?,
            Some(first) if first.is_ascii_alphanumeric() || first == '-' => self.word()?,
            _ => return Err(self.wrong(&format!("expected a value in quotes, got {}", self.next_shown()))),
        };
        Ok(Tree { line, value })
    }

    fn list(&mut self, depth: u32) -> Result<TreeValue, RulesError> {
        if depth >= DEPTH_MAX {
            return Err(self.wrong(&format!("nested more than {DEPTH_MAX} deep")));
        }
        self.take("[");
        let mut items = Vec::new();
        loop {
            self.skip_blank()?;
            if self.take("]") {
                return Ok(TreeValue::List(items));
            }
            if !items.is_empty() && !self.take(",") {
                return Err(self.wrong(&format!("expected a comma or ] in the list, got {}", self.next_shown())));
            }
            self.skip_blank()?;
            if self.take("]") {
                return Ok(TreeValue::List(items));
            }
            items.push(self.value(depth + 1)?);
        }
    }

    /// A value without quotes.
    fn word(&mut self) -> Result<TreeValue, RulesError> {
        let end = self.rest.find(|c: char| !is_name_part(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        let value = match word {
            "true" => TreeValue::Flag(true),
            "false" => TreeValue::Flag(false),
            number => match number.parse() {
                Ok(number) => TreeValue::Integer(number),
                Err(_) => return Err(self.wrong(&format!("expected a value in quotes: \"{word}\""))),
            },
        };
        self.rest = rest;
        Ok(value)
    }

    fn name(&mut self) -> Result<String, RulesError> {
        if self.rest.starts_with('"') {
            return self.text();
        }
        let end = self.rest.find(|c: char| !is_name_part(c)).unwrap_or(self.rest.len());
        if end == 0 {
            return Err(self.wrong(&format!("expected the name of a rule, got {}", self.next_shown())));
        }
        let (name, rest) = self.rest.split_at(end);
        self.rest = rest;
        Ok(name.to_owned())
    }

    /// A text in quotes; it ends on its line.
    fn text(&mut self) -> Result<String, RulesError> {
        self.take("\"");
        let mut text = String::new();
        let mut characters = self.rest.char_indices();
        while let Some((at, character)) = characters.next() {
            match character {
                '"' => {
                    self.rest = &self.rest[at + 1..];
                    return Ok(text);
                }
                '\n' => break,
                '\\' => match characters.next().map(|(_, escaped)| escaped) {
                    Some(escaped @ ('"' | '\\')) => text.push(escaped),
                    Some('n') => text.push('\n'),
                    Some('t') => text.push('\t'),
                    other => {
                        let other = other.map(String::from).unwrap_or_default();
                        return Err(self.wrong(&format!("unknown escape \\{other}; write \\\\ for a backslash")));
                    }
                },
                other => text.push(other),
            }
        }
        Err(self.wrong("a text has no closing quote on its line"))
    }

    /// Leaves out blanks, ends of lines and comments.
    fn skip_blank(&mut self) -> Result<(), RulesError> {
        loop {
            let blank = self.rest.find(|c: char| !c.is_whitespace()).unwrap_or(self.rest.len());
            self.skip(blank);
            let comment = if self.rest.starts_with('#') || self.rest.starts_with("//") {
                self.rest.find('\n').unwrap_or(self.rest.len())
            } else if self.rest.starts_with("/*") {
                let end = self.rest.find("*/").ok_or_else(|| self.wrong("this comment has no closing */"))?;
                end + "*/".len()
            } else {
                return Ok(());
            };
            self.skip(comment);
        }
    }

    fn skip(&mut self, bytes: usize) {
        let (skipped, rest) = self.rest.split_at(bytes);
        self.line += skipped.bytes().filter(|byte| *byte == b'\n').count() as u32;
        self.rest = rest;
    }

    fn take(&mut self, wanted: &str) -> bool {
        let rest = self.rest.strip_prefix(wanted);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn next_shown(&self) -> String {
        self.rest.chars().next().map_or("the end".to_owned(), |next| format!("{next:?}"))
    }

    fn wrong(&self, problem: &str) -> RulesError {
        RulesError::new(self.line, problem)
    }
}

fn is_name_part(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')
}

/// Most blocks within each other. Source: none, chosen: rules need two.
pub const DEPTH_MAX: u32 = 8;

#[cfg(test)]
#[path = "hcl_tests.rs"]
mod tests;
