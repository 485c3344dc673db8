//! What a container's state makes of its services.
//!
//! | state | its services |
//! |---|---|
//! | not started yet | none |
//! | running | registered |
//! | paused | registered, critical: a frozen process answers nobody |
//! | sent its stop signal, not ended yet | registered, critical, so that clients leave before it does |
//! | ended, also while it waits to be started again; `docker_deregister = "always"` | gone |
//! | the same, `"on-success"`: status 0, or by a signal (the bit of 128) | gone |
//! | the same, `"on-success"`: any other status | stay registered, critical, with the status |
//! | being removed, or dead | gone |
//!
//! **Source:** Registrator 7.4 `shouldRemove`; signal(7) for the numbers.

use std::sync::Arc;

use super::{Deregister, Settings, inspect::Container};
use crate::catalog::{
    change::{Origin, Registration},
    check::{Check, CheckDefinition, CheckKind, CheckStatus},
    names::CheckId,
    service::Instance,
};

/// What becomes of a container's services.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// They are registered as the document says.
    Registered,
    /// There are none, for this reason; what there was goes.
    Gone(String),
    /// What there was stays, see [`kept`], for this reason.
    Kept(String),
}

/// What becomes of a container's services, by its state.
pub(super) fn fate(container: &Container, settings: &Settings) -> Fate {
    let state = &container.state;
    match state.status.as_str() {
        "removing" | "dead" => return Fate::Gone(format!("is {}", state.status)),
        _ if state.dead => return Fate::Gone("is dead".to_owned()),
        "restarting" | "exited" | "stopped" => {}
        _ if state.restarting => {}
        "running" | "paused" | "stopping" => return Fate::Registered,
        _ if state.running => return Fate::Registered,
        _ => return Fate::Gone("was not started yet".to_owned()),
    }
    let code = state.exit_code;
    let reason = match code.checked_sub(SIGNALLED) {
        Some(signal) if (1..=i64::from(REAL_TIME_MAX)).contains(&signal) => format!("was ended by signal {signal}"),
        _ => format!("exited with status {code}"),
    };
    let succeeded = code == 0 || code & SIGNALLED == SIGNALLED;
    if settings.deregister == Deregister::Always || succeeded { Fate::Gone(reason) } else { Fate::Kept(reason) }
}

/// Whether its process is there, so that others can use its network.
pub(super) fn runs(container: &Container) -> bool {
    let state = &container.state;
    let is_up = state.running || matches!(state.status.as_str(), "running" | "paused" | "stopping");
    is_up && !state.restarting && !state.dead
}

/// Why a running container answers nobody now.
pub(super) fn hidden(container: &Container, stopping: bool) -> Option<&'static str> {
    let state = &container.state;
    if stopping || state.status == "stopping" {
        return Some("stopping");
    }
    (state.paused || state.status == "paused").then_some("paused")
}

/// What stays of registrations whose container failed: all of it, critical.
pub fn kept(registrations: &mut [Registration], reason: &str) {
    for Registration { instance, checks, .. } in registrations {
        let check = state_check(instance, &format!("container {reason}; kept because docker_deregister is on-success"));
        checks.retain(|other| other.id != check.id);
        checks.push(check);
    }
}

/// The check that keeps an instance from being answered while its container is in some state.
pub(super) fn state_check(instance: &Instance, reason: &str) -> Check {
    Check {
        node: instance.node.clone(),
        id: CheckId::derived(&format!("docker-state:{}", instance.id)),
        service_id: Some(instance.id.clone()),
        name: "Docker container state".into(),
        notes: "".into(),
        status: CheckStatus::Critical,
        output: reason.into(),
        target: "".into(),
        definition: Arc::new(CheckDefinition::unprobed(CheckKind::External)),
        origin: Origin::Docker,
    }
}

/// Whether this signal, by number or name as a `kill` event has it, is one by which the container is stopped: its own
/// stop signal, or KILL. Others (`docker kill -s HUP`) are for the container alone to understand.
pub fn is_stop_signal(container: &Container, signal: &str) -> bool {
    let stop = match container.config.stop_signal.as_str() {
        "" => Some(TERM),
        given => signal_number(given).or(Some(TERM)),
    };
    signal_number(signal).is_some_and(|number| number == KILL || Some(number) == stop)
}

/// The number of a signal: `15`, `TERM`, `SIGTERM`, `SIGRTMIN+3`.
fn signal_number(text: &str) -> Option<u8> {
    if let Ok(number) = text.parse::<u8>() {
        return (1..=REAL_TIME_MAX).contains(&number).then_some(number);
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let real_time = |from: &str| name.strip_prefix(from).map(|rest| rest.get(1..).unwrap_or("0").parse::<u8>());
    let number = match (real_time("RTMIN"), real_time("RTMAX")) {
        (Some(up), _) => REAL_TIME_MIN.checked_add(up.ok()?)?,
        (_, Some(down)) => REAL_TIME_MAX.checked_sub(down.ok()?)?,
        _ => return NAMES.iter().find(|(known, _)| *known == name).map(|(_, number)| *number),
    };
    (REAL_TIME_MIN..=REAL_TIME_MAX).contains(&number).then_some(number)
}

/// Set in the exit code of what a signal ended. Source: Docker, as shells.
const SIGNALLED: i64 = 128;

const KILL: u8 = 9;
const TERM: u8 = 15;

/// The real-time signals that the C library leaves to programs. Source: signal(7).
const REAL_TIME_MIN: u8 = 34;
const REAL_TIME_MAX: u8 = 64;

/// Signals with which images are stopped, and their neighbours. Source: signal(7), x86 and ARM.
const NAMES: &[(&str, u8)] = &[
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ABRT", 6),
    ("KILL", KILL),
    ("USR1", 10),
    ("USR2", 12),
    ("PIPE", 13),
    ("ALRM", 14),
    ("TERM", TERM),
    ("CHLD", 17),
    ("CONT", 18),
    ("STOP", 19),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
    ("WINCH", 28),
    ("PWR", 30),
];

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
