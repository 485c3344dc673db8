//! Settings of access control.

use std::path::PathBuf;

use super::{
    Config,
    print::quoted,
    problem::ConfigProblem,
    read::Reader,
    values::{self, word},
};
use crate::access::Level;

/// Access control. The fields are named and explained in reference.toml, with `access_` before them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// Whether tokens count.
    pub is_on: bool,
    /// What tokens may do where none of their rules says.
    pub default: Level,
    /// What callers without a token may do where no rule says, if somebody chose it.
    pub anonymous: Option<Level>,
    /// Whether reading all keys below a prefix takes `list`.
    pub key_list: bool,
    /// The tokens file.
    pub tokens: Option<PathBuf>,
}

/// Reads the settings.
pub(super) fn read(reader: &mut Reader) -> Access {
    let levels = [("deny", Level::Deny), ("read", Level::Read), ("write", Level::Write)];
    Access {
        is_on: reader.set("access", word(&[("off", false), ("on", true)])),
        default: reader.set("access_default", word(&[("deny", Level::Deny), ("allow", Level::Write)])),
        anonymous: reader.one("access_anonymous", word(&levels)),
        key_list: reader.set("access_key_list", values::boolean),
        tokens: reader.one("access_tokens", values::path),
    }
}

impl Access {
    /// Each setting with its value as TOML.
    pub(super) fn entries(&self) -> Vec<(&'static str, Option<String>)> {
        let default = if self.default == Level::Deny { "deny" } else { "allow" };
        vec![
            ("access", Some(quoted(if self.is_on { "on" } else { "off" }))),
            ("access_default", Some(quoted(default))),
            ("access_anonymous", self.anonymous.map(|level| quoted(level.word()))),
            ("access_key_list", Some(self.key_list.to_string())),
            ("access_tokens", self.tokens.as_ref().map(|path| quoted(path.display()))),
        ]
    }
}

impl Config {
    /// What callers without a token may do where no rule says. Where only this machine reaches the API, everything, unless tokens
    /// count.
    pub fn anonymous(&self) -> Level {
        let unset = match (self.access.is_on, self.http.ip().is_loopback()) {
            (true, _) => self.access.default,
            (false, true) => Level::Write,
            (false, false) => Level::Deny,
        };
        self.access.anonymous.unwrap_or(unset)
    }
}

/// What is allowed and yet likely a mistake.
pub(super) fn warning(config: &Config, reader: &Reader) -> Option<ConfigProblem> {
    let Access { is_on, anonymous, ref tokens, .. } = config.access;
    let (key, problem) = if tokens.is_some() && !is_on {
        ("access_tokens", "has no effect while access control is off; set access = \"on\" too".to_owned())
    } else if !is_on && anonymous.is_none() && !config.http.ip().is_loopback() {
        let problem = format!(
            "{} is reached from elsewhere and access control is off, so that all requests are refused; set access = \"on\", or \
             access_anonymous = \"read\" or \"write\" where everybody there may",
            config.http
        );
        ("http", problem)
    } else {
        return None;
    };
    Some(ConfigProblem { place: reader.place(key), key: Some(key.to_owned()), problem })
}
