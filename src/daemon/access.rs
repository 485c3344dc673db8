//! Access control, from settings and the tokens file to what the API and DNS go by.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context;

use crate::{
    access::{
        Level,
        directory::{Directory, HashKey},
        file,
    },
    api::access::{AccessMode, AccessParts},
    catalog::table::Seed,
    config::Config,
    fingerprint::Fingerprint,
    publish::settings::AccessSettings,
    random,
};

/// The tokens file, and what callers without a token may do.
#[derive(Debug, Clone)]
pub struct AccessControl {
    is_on: bool,
    default: Level,
    anonymous: Level,
    path: Option<PathBuf>,
    file: Arc<Directory>,
}

impl AccessControl {
    /// Reads the tokens file, if there is one.
    pub fn load(config: &Config) -> anyhow::Result<AccessControl> {
        let path = config.access.tokens.clone();
        let directory = match &path {
            Some(path) => read(path)?,
            None => empty(),
        };
        Ok(AccessControl {
            is_on: config.access.is_on,
            default: config.access.default,
            anonymous: config.anonymous(),
            path,
            file: Arc::new(directory),
        })
    }

    /// Reads the tokens file again.
    pub fn reload(&mut self) -> anyhow::Result<()> {
        if let Some(path) = &self.path {
            self.file = Arc::new(read(path)?);
        }
        Ok(())
    }

    /// Whether there is a tokens file to follow.
    pub fn has_file(&self) -> bool {
        self.path.is_some()
    }

    /// The state of the tokens file.
    pub fn fingerprint(&self) -> Fingerprint {
        let mut fingerprint = Fingerprint::default();
        self.path.iter().for_each(|path| fingerprint.add_file(path));
        fingerprint
    }

    /// What the API goes by.
    pub fn parts(&self, config: &Config) -> AccessParts {
        let mode = match self.is_on {
            true => AccessMode::On { default: self.default, key_list: config.access.key_list },
            false => AccessMode::Off { cure: cure(config).into() },
        };
        AccessParts { mode, anonymous: self.anonymous, now_secs: super::unix_secs }
    }

    /// What the publisher goes by, where tokens count.
    pub fn settings(&self) -> Option<AccessSettings> {
        self.is_on.then(|| AccessSettings { file: Arc::clone(&self.file), anonymous: self.anonymous })
    }
}

/// Reads the tokens file of a configuration, to tell what is wrong with it.
pub fn check(config: &Config) -> anyhow::Result<()> {
    AccessControl::load(config).map(|_| ())
}

/// Why callers are refused while access control is off, and what to set.
fn cure(config: &Config) -> String {
    format!(
        "This server listens for HTTP on {}, where others reach it, and access control is off: set access = \"on\" and give \
         out tokens, or set access_anonymous = \"read\" or \"write\" if everybody there may, or listen on loopback",
        config.http
    )
}

fn read(path: &Path) -> anyhow::Result<Directory> {
    let text = fs::read_to_string(path).with_context(|| format!("access_tokens: cannot read {}", path.display()))?;
    file::read(&text, empty()).with_context(|| format!("access_tokens: {}", path.display()))
}

fn empty() -> Directory {
    Directory::new(Seed(random::number()), HashKey(random::bytes()))
}
