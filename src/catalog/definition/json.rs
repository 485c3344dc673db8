//! Reads JSON into a [`Tree`] that knows its lines.
//!
//! **Limits:** nesting at most 128 deep (serde_json's own limit).

use std::{cell::Cell, fmt, io};

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::tree::{Tree, TreeValue};

/// Why a text is not JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not JSON: {problem}")]
pub struct JsonError {
    /// The line, from 1.
    pub line: u32,
    /// What is wrong, with line and column.
    pub problem: String,
}

/// Reads one JSON value; nothing may follow it.
pub fn parse(bytes: &[u8]) -> Result<Tree, JsonError> {
    let line = Cell::new(1);
    if !bytes.contains(&b'\n') {
        // One line, as programs write it, need not be read byte by byte.
        return read(&mut serde_json::Deserializer::from_slice(bytes), &line);
    }
    read(&mut serde_json::Deserializer::from_reader(LineReader { bytes, line: &line }), &line)
}

fn read<'de, R: serde_json::de::Read<'de>>(
    deserializer: &mut serde_json::Deserializer<R>,
    line: &Cell<u32>,
) -> Result<Tree, JsonError> {
    let refused = |error: serde_json::Error| JsonError {
        line: u32::try_from(error.line()).unwrap_or(u32::MAX).max(1),
        problem: error.to_string(),
    };
    let tree = TreeSeed { line }.deserialize(&mut *deserializer).map_err(refused)?;
    deserializer.end().map_err(refused)?;
    Ok(tree)
}

/// Hands out one byte at a time, so that `line` is the line of the byte read last.
struct LineReader<'a> {
    bytes: &'a [u8],
    line: &'a Cell<u32>,
}

impl io::Read for LineReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (Some((first, rest)), Some(slot)) = (self.bytes.split_first(), buffer.first_mut()) else {
            return Ok(0);
        };
        *slot = *first;
        self.bytes = rest;
        if *first == b'\n' {
            self.line.set(self.line.get().saturating_add(1));
        }
        Ok(1)
    }
}

/// Reads a value. It is made when the parser stands before the value, so its line is the value's
/// (of a member: that of the colon before it).
#[derive(Clone, Copy)]
struct TreeSeed<'a> {
    line: &'a Cell<u32>,
}

impl<'de> DeserializeSeed<'de> for TreeSeed<'_> {
    type Value = Tree;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Tree, D::Error> {
        let line = self.line.get();
        Ok(Tree { line, value: deserializer.deserialize_any(self)? })
    }
}

impl<'de> Visitor<'de> for TreeSeed<'_> {
    type Value = TreeValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<TreeValue, E> {
        Ok(TreeValue::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<TreeValue, E> {
        Ok(TreeValue::Flag(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<TreeValue, E> {
        Ok(TreeValue::Integer(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<TreeValue, E> {
        Ok(i64::try_from(number).map_or(TreeValue::Fraction(number as f64), TreeValue::Integer))
    }

    fn visit_f64<E>(self, number: f64) -> Result<TreeValue, E> {
        Ok(TreeValue::Fraction(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<TreeValue, E> {
        Ok(TreeValue::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<TreeValue, E> {
        Ok(TreeValue::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<TreeValue, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element_seed(self)? {
            items.push(item);
        }
        Ok(TreeValue::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<TreeValue, A::Error> {
        let mut members = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            members.push((name, map.next_value_seed(self)?));
        }
        Ok(TreeValue::Map(members))
    }
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
