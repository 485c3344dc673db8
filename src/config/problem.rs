//! What is wrong with a setting, and where it was given.

use std::{fmt, sync::Arc};

/// Where a setting was given. The order is that of precedence, the lowest first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// In reference.toml, or found out from the machine.
    Default,
    /// In the configuration file.
    File {
        /// The file, as it was named.
        path: Arc<str>,
        /// The line, from 1.
        line: usize,
    },
    /// In a variable of the environment, by its name.
    Variable(String),
    /// On the command line, by the flag with its dashes.
    Flag(String),
}

impl Place {
    /// Whether nobody chose the value.
    pub fn is_default(&self) -> bool {
        *self == Place::Default
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Default => f.write_str("default"),
            Place::File { path, line } => write!(f, "{path} line {line}"),
            Place::Variable(name) | Place::Flag(name) => f.write_str(name),
        }
    }
}

/// One wrong setting: one clear line that names where it is, what it is, and what was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigProblem {
    /// Where it was given.
    pub place: Place,
    /// Its key, with the table it stands in; none for what is no setting.
    pub key: Option<String>,
    /// What is wrong, and the cure.
    pub problem: String,
}

impl fmt::Display for ConfigProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.place, &self.key) {
            // A flag or variable is its key.
            (Place::Flag(name) | Place::Variable(name), _) => write!(f, "{name}: {}", self.problem),
            (Place::Default, Some(key)) => write!(f, "{key}: {}", self.problem),
            (place, Some(key)) => write!(f, "{place}: {key}: {}", self.problem),
            (place, None) => write!(f, "{place}: {}", self.problem),
        }
    }
}
