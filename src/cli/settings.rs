//! From the command line, the environment and the file to a [`Config`].

use std::path::Path;

use super::{Verdict, args::ServeArgs, print};
use crate::config::{Config, ConfigError, ConfigFile, Host, Inputs};

/// The settings in force for these flags; warnings go to standard error.
pub(super) fn warned(flags: &ServeArgs) -> Result<Config, ConfigError> {
    let config = load(flags)?;
    for warning in &config.warnings {
        eprintln!("nameplate: warning: {warning}");
    }
    Ok(config)
}

/// The settings in force for these flags, with warnings that are still to be told.
pub(super) fn load(flags: &ServeArgs) -> Result<Config, ConfigError> {
    // An empty variable is as good as none.
    let path = flags.config.as_deref().filter(|path| !path.as_os_str().is_empty());
    let file = path.map(ConfigFile::read).transpose()?;
    let inputs = Inputs { flags: flags.flags(), variables: environment(), file, host: Host::read() };
    Config::load(&inputs).map_err(ConfigError::Wrong)
}

/// Checks a file by itself: neither flags nor our variables count.
pub(super) fn check(path: &Path) -> anyhow::Result<Verdict> {
    let variables = environment().into_iter().filter(|(name, _)| !name.starts_with("NAMEPLATE_")).collect();
    let inputs = Inputs { flags: Vec::new(), variables, file: Some(ConfigFile::read(path)?), host: Host::read() };
    let config = Config::load(&inputs).map_err(ConfigError::Wrong)?;
    crate::daemon::check_tokens(&config)?;
    let mut text: String = config.warnings.iter().map(|warning| format!("warning: {warning}\n")).collect();
    text.push_str(&format!("{}: ok\n", path.display()));
    print(&text)
}

/// The environment, as far as it is text.
fn environment() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}
