//! From the command line, the environment and the file to a [`Config`].

use std::{fmt, fs, path::Path};

use anyhow::Context;

use super::{Verdict, args::ServeArgs, print};
use crate::config::{Config, ConfigFile, ConfigProblem, Host, Inputs};

/// Everything that is wrong with the settings, a line each.
#[derive(Debug)]
struct WrongSettings(Vec<ConfigProblem>);

impl fmt::Display for WrongSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for WrongSettings {}

/// The settings in force for these flags. Warnings go to standard error.
pub fn load(flags: &ServeArgs) -> anyhow::Result<Config> {
    let config = reload(flags)?;
    for warning in &config.warnings {
        eprintln!("nameplate: warning: {warning}");
    }
    Ok(config)
}

/// The same, read anew and without printing anything: for a server that reloads.
pub fn reload(flags: &ServeArgs) -> anyhow::Result<Config> {
    let file = flags.config.as_deref().filter(|path| !path.as_os_str().is_empty()).map(read_file).transpose()?;
    let inputs = Inputs { flags: flags.flags(), variables: environment(), file, host: Host::read() };
    Config::load(&inputs).map_err(|problems| WrongSettings(problems).into())
}

/// Checks a file by itself: neither flags nor our variables count.
pub(super) fn check(path: &Path) -> anyhow::Result<Verdict> {
    let variables = environment().into_iter().filter(|(name, _)| !name.starts_with("NAMEPLATE_")).collect();
    let inputs = Inputs { flags: Vec::new(), variables, file: Some(read_file(path)?), host: Host::read() };
    let config = Config::load(&inputs).map_err(WrongSettings)?;
    let mut text: String = config.warnings.iter().map(|warning| format!("warning: {warning}\n")).collect();
    text.push_str(&format!("{}: ok\n", path.display()));
    print(&text)
}

fn read_file(path: &Path) -> anyhow::Result<ConfigFile> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(ConfigFile { path: path.display().to_string(), text })
}

/// The environment, as far as it is text.
fn environment() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}
