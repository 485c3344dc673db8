//! Script probes: commands that keep to the contract of Nagios's plugins. An argument vector, never a shell.
//!
//! | end | verdict |
//! |---|---|
//! | exit 0 | passing |
//! | exit 1 | warning |
//! | any other exit, a signal, the timeout | critical |
//! | cannot be executed (no such file, no permission) | critical, with the path |
//! | cannot be executed now (no more processes, files or memory) | none: the status stays |
//! | checks of this origin may run no commands ([`ScriptChecks`](crate::catalog::policy::ScriptChecks)) | none: the status stays |
//!
//! The output is the first line of stdout, of stderr if stdout has none; what stands after a `|` is for programs (perfdata)
//! and comes on a line of its own. How processes are bounded is said in `command`.
//!
//! **Source:** Nagios Plugins' development guidelines; Consul's script check for the verdicts, the timeout and the policy.

use std::{os::unix::process::ExitStatusExt, process::ExitStatus};

use super::{
    command::{Bounds, CommandError, Commands, Ended},
    probe::{Outcome, cut_to},
};
use crate::catalog::check::{CheckStatus, ScriptCheck};

/// Runs a check's command once.
pub(super) async fn probe(commands: &Commands, check: &ScriptCheck, bounds: Bounds) -> Outcome {
    let argv: Vec<&str> = check.args.iter().map(|arg| &**arg).collect();
    match commands.run(&argv, bounds).await {
        Ok(ended) => verdict(&ended, bounds),
        Err(error) => refused(&error),
    }
}

/// What it means that a command was not run.
pub(super) fn refused(error: &CommandError) -> Outcome {
    match error {
        CommandError::Unusable(..) => Outcome::critical(error.to_string()),
        CommandError::NotNow(..) => Outcome::NotMade(error.to_string()),
    }
}

fn verdict(ended: &Ended, bounds: Bounds) -> Outcome {
    let said = output(&ended.stdout, &ended.stderr);
    let Some(status) = ended.status else {
        let text = format!("timed out after {:?}", bounds.timeout);
        let text = if said.is_empty() { text } else { format!("{text}\n{said}") };
        return Outcome::critical(cut_to(&text, bounds.output_max_bytes));
    };
    let text = match (status.signal(), said.is_empty()) {
        (Some(signal), true) => format!("killed by signal {signal}"),
        (Some(signal), false) => format!("killed by signal {signal}\n{said}"),
        (None, true) => format!("exit status {}, and no output", status.code().unwrap_or_default()),
        (None, false) => said,
    };
    let text = cut_to(&text, bounds.output_max_bytes).to_owned();
    Outcome::Done { status: status_of(status), output: text }
}

fn status_of(status: ExitStatus) -> CheckStatus {
    status_of_code(status.code().map(i64::from))
}

/// What an exit status means; none is a signal.
pub(super) fn status_of_code(code: Option<i64>) -> CheckStatus {
    match code {
        Some(0) => CheckStatus::Passing,
        Some(1) => CheckStatus::Warning,
        _ => CheckStatus::Critical,
    }
}

/// What is shown of what a command wrote: text for people, and perfdata on a line of its own.
pub(super) fn output(stdout: &[u8], stderr: &[u8]) -> String {
    let line = [stdout, stderr].into_iter().find_map(first_line).unwrap_or_default();
    match line.split_once('|') {
        None => line,
        Some((text, perfdata)) if perfdata.trim().is_empty() => text.trim_end().to_owned(),
        Some((text, perfdata)) => format!("{}\nperfdata: {}", text.trim_end(), perfdata.trim()),
    }
}

/// The first line that has more than blanks.
fn first_line(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    text.lines().map(str::trim).find(|line| !line.is_empty()).map(str::to_owned)
}

#[cfg(test)]
#[path = "script_tests.rs"]
mod tests;
