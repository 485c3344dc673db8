//! Reads TOML into a [`Tree`] that knows its lines.

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::FileProblem;
use crate::catalog::definition::tree::{Tree, TreeValue};

/// Reads a whole file.
pub(super) fn parse(text: &str) -> Result<Tree, FileProblem> {
    let lines = Lines::of(text);
    let table = DeTable::parse(text).map_err(|error| FileProblem {
        line: error.span().map_or(1, |span| lines.at(span.start)),
        problem: format!("not TOML: {}", error.message()),
    })?;
    Ok(Tree { line: 1, value: map(table.get_ref(), &lines) })
}

fn map(table: &DeTable<'_>, lines: &Lines) -> TreeValue {
    let mut members: Vec<_> = table.iter().collect();
    members.sort_unstable_by_key(|(name, _)| name.span().start);
    let member = |(name, value): (&Spanned<_>, &Spanned<DeValue<'_>>)| {
        (String::from(std::borrow::Cow::clone(name.get_ref())), tree(value, lines.at(name.span().start), lines))
    };
    TreeValue::Map(members.into_iter().map(member).collect())
}

fn tree(value: &Spanned<DeValue<'_>>, line: u32, lines: &Lines) -> Tree {
    let value = match value.get_ref() {
        DeValue::String(text) => TreeValue::Text(text.to_string()),
        DeValue::Boolean(flag) => TreeValue::Flag(*flag),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(whole) => TreeValue::Integer(whole),
            Err(_) => TreeValue::Fraction(f64::INFINITY),
        },
        DeValue::Float(number) => TreeValue::Fraction(number.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Datetime(_) => TreeValue::Time,
        DeValue::Array(items) => {
            TreeValue::List(items.iter().map(|item| tree(item, lines.at(item.span().start), lines)).collect())
        }
        DeValue::Table(table) => map(table, lines),
    };
    Tree { line, value }
}

/// Where the lines of a text begin.
struct Lines {
    ends: Vec<usize>,
}

impl Lines {
    fn of(text: &str) -> Lines {
        Lines { ends: text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at).collect() }
    }

    /// The line, from 1, of the byte at this place.
    fn at(&self, byte: usize) -> u32 {
        u32::try_from(self.ends.partition_point(|end| *end < byte)).unwrap_or(u32::MAX).saturating_add(1)
    }
}
