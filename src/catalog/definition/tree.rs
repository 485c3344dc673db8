//! A definition as it was written: names, values, and the lines they stand on.

/// A value of JSON or TOML, with the line that it begins on.
#[derive(Debug, Clone, PartialEq)]
pub struct Tree {
    /// The line, from 1.
    pub line: u32,
    /// The value.
    pub value: TreeValue,
}

/// What a [`Tree`] holds.
#[derive(Debug, Clone, PartialEq)]
pub enum TreeValue {
    /// JSON's `null`: as if the field were not there.
    Null,
    /// `true` or `false`.
    Flag(bool),
    /// A whole number.
    Integer(i64),
    /// Any other number.
    Fraction(f64),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Tree>),
    /// An object (JSON) or table (TOML), in the order written; a name may stand twice.
    Map(Vec<(String, Tree)>),
    /// A date or time of TOML, which no field takes.
    Time,
}

impl Tree {
    /// Whether nothing is said: null, an empty text, list or object, zero or false.
    pub fn is_empty(&self) -> bool {
        match &self.value {
            TreeValue::Null => true,
            TreeValue::Flag(flag) => !flag,
            TreeValue::Integer(number) => *number == 0,
            TreeValue::Fraction(number) => *number == 0.0,
            TreeValue::Text(text) => text.is_empty(),
            TreeValue::List(items) => items.is_empty(),
            TreeValue::Map(members) => members.iter().all(|(_, member)| member.is_empty()),
            TreeValue::Time => false,
        }
    }

    /// What it is, for a message: `"ten"`, `12`, `a list`; a long text is cut.
    pub fn describe(&self) -> String {
        match &self.value {
            TreeValue::Null => "null".to_owned(),
            TreeValue::Flag(flag) => flag.to_string(),
            TreeValue::Integer(number) => number.to_string(),
            TreeValue::Fraction(number) => number.to_string(),
            TreeValue::Text(text) => {
                let cut: String = text.chars().take(SHOWN_MAX_CHARS).collect();
                if cut.len() < text.len() { format!("{cut:?}...") } else { format!("{cut:?}") }
            }
            TreeValue::List(_) => "a list".to_owned(),
            TreeValue::Map(_) => "an object".to_owned(),
            TreeValue::Time => "a time".to_owned(),
        }
    }
}

/// Most characters of a wrong text that a message repeats. Source: none, chosen.
const SHOWN_MAX_CHARS: usize = 60;
