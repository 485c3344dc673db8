//! Probes of systemd's units: what `systemctl is-active` says.
//!
//! | state | verdict |
//! |---|---|
//! | `active` | passing |
//! | `reloading`, `refreshing`, `activating`, `deactivating`, `maintenance`: on its way | warning |
//! | `inactive`, `failed`, `unknown`, whatever else, the timeout | critical |
//! | no systemctl in `PATH` | critical |
//!
//! **Source:** Consul's `os_service`, which there is for Windows only: running passes, paused and stopped are critical, and
//! what is between two states warns.

use super::{
    command::{Bounds, CommandError, Commands},
    probe::Outcome,
    script::{output, refused},
};
use crate::catalog::check::CheckStatus;

/// Asks for the state of a unit once.
pub(super) async fn probe(commands: &Commands, unit: &str, bounds: Bounds) -> Outcome {
    if unit.is_empty() || unit.starts_with('-') {
        return Outcome::critical(format!("{unit:?} cannot be the name of a unit"));
    }
    let ended = match commands.run(&[SYSTEMCTL, "is-active", "--", unit], bounds).await {
        Ok(ended) => ended,
        Err(CommandError::Unusable(program, _)) if program == SYSTEMCTL => {
            return Outcome::critical("no systemctl in PATH");
        }
        Err(error) => return refused(&error),
    };
    if ended.status.is_none() {
        return Outcome::critical(format!("unit {unit}: systemctl timed out after {:?}", bounds.timeout));
    }
    let said = output(&ended.stdout, &ended.stderr);
    let status = match said.as_str() {
        "active" => CheckStatus::Passing,
        "reloading" | "refreshing" | "activating" | "deactivating" | "maintenance" => CheckStatus::Warning,
        _ => CheckStatus::Critical,
    };
    let said = if said.is_empty() { "systemctl said nothing" } else { &said };
    Outcome::Done { status, output: format!("unit {unit}: {said}") }
}

const SYSTEMCTL: &str = "systemctl";

#[cfg(test)]
#[path = "systemd_tests.rs"]
mod tests;
