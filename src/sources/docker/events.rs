//! What a daemon says has happened, and what that means here. Pure.
//!
//! An event is a hint: what holds is in the document that is read after it. Only what cannot wait for that is taken from the
//! event itself: that a container was sent a signal, and that it ended.
//!
//! | event | means |
//! |---|---|
//! | container `kill` with a signal | if it is one that stops it, it leaves the answers |
//! | container `die`, Podman's `died` | its services end, as `docker_deregister` says |
//! | container `destroy`, Podman's `remove` | it is gone |
//! | container `start`, `restart` | it is not stopping any more; look at it |
//! | container `stop`, `pause`, `unpause`, `rename`, `update`, `health_status`, `cleanup`, ... | look at it |
//! | container `exec_create`, `attach`, `top`, `create`, `oom`, ... | nothing |
//! | network `connect`, `disconnect` | look at the container |
//! | network `create`, `update`, `destroy`, `remove`, `prune` | look at all networks |
//! | daemon, Podman's system | look at everything |
//!
//! Two shapes are read: `Type`, `Action`, `Actor`, and the older `status`, `id`, which API 1.52 left out.
//!
//! **Limits:** swarm's events are not asked for: tasks have none, so that swarm is looked at time and again.

use serde_json::Value;

/// What has happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Event {
    /// A container was started.
    Started(String),
    /// Something else about a container may have changed.
    Changed(String),
    /// A container was sent a signal, by number or name.
    Signalled(String, String),
    /// A container ended, with this exit code if it is told.
    Ended(String, Option<i64>),
    /// A container is no more.
    Removed(String),
    /// A network came, changed or went.
    Networks,
    /// Anything may have changed.
    Anything,
}

impl Event {
    /// Reads an event; none if it means nothing here.
    pub(super) fn read(event: &Value) -> Option<Event> {
        let text = |value: &'_ Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        let kind = text(&event["Type"]).unwrap_or_else(|| "container".to_owned());
        let action = text(&event["Action"]).or_else(|| text(&event["status"]))?;
        let attributes = &event["Actor"]["Attributes"];
        // What follows a colon is a detail: `health_status: healthy`, `exec_start: sh`.
        let action = action.split(':').next().unwrap_or_default();
        match kind.as_str() {
            "container" => {
                let id = text(&event["Actor"]["ID"]).or_else(|| text(&event["id"])).filter(|id| is_id(id))?;
                Event::of_container(id, action, attributes)
            }
            "network" => match action {
                "connect" | "disconnect" => text(&attributes["container"]).filter(|id| is_id(id)).map(Event::Changed),
                _ => Some(Event::Networks),
            },
            "daemon" | "system" => Some(Event::Anything),
            _ => None,
        }
    }

    fn of_container(id: String, action: &str, attributes: &Value) -> Option<Event> {
        Some(match action {
            "start" | "restart" => Event::Started(id),
            "kill" => match &attributes["signal"] {
                Value::String(signal) => Event::Signalled(id, signal.clone()),
                Value::Number(signal) => Event::Signalled(id, signal.to_string()),
                _ => Event::Changed(id),
            },
            "die" | "died" => Event::Ended(id, exit_code(attributes)),
            "destroy" | "remove" => Event::Removed(id),
            _ if UNHEARD.contains(&action) => return None,
            _ => Event::Changed(id),
        })
    }
}

/// Podman has it under a name of its own.
fn exit_code(attributes: &Value) -> Option<i64> {
    let told = ["exitCode", "containerExitCode"].iter().map(|key| &attributes[key]).find(|value| !value.is_null())?;
    told.as_i64().or_else(|| told.as_str()?.parse().ok())
}

/// Whether it can stand in a path as it is.
pub(super) fn is_id(text: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    (1..=ID_MAX_BYTES).contains(&text.len()) && text.bytes().all(legal) && !text.starts_with('.')
}

/// What happens to a container without changing anything that counts here. `create` is followed by `start`.
const UNHEARD: &[&str] = &[
    "archive-path",
    "attach",
    "checkpoint",
    "commit",
    "copy",
    "create",
    "detach",
    "exec",
    "exec_create",
    "exec_detach",
    "exec_die",
    "exec_died",
    "exec_start",
    "export",
    "extract-to-dir",
    "init",
    "mount",
    "oom",
    "prune",
    "resize",
    "sync",
    "top",
    "unmount",
];

/// Longest ID. Source: twice that of Docker's, which have 64.
const ID_MAX_BYTES: usize = 128;

#[cfg(test)]
#[path = "events_tests.rs"]
mod tests;
