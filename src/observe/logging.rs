//! Events for people and log collectors: text or JSON on standard error, nothing per query.
//!
//! **Limits:** one subscriber a process; the level can be changed while running, the format cannot.

use std::io;

use tracing_subscriber::{
    EnvFilter, Registry,
    fmt::{self, format::FmtSpan},
    layer::SubscriberExt,
    reload,
    util::SubscriberInitExt,
};

/// How an event is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// A line for people; coloured only on a terminal.
    Text,
    /// A JSON object a line.
    Json,
}

/// Why logging could not begin or change.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter is not one.
    #[error(
        "log: expected a level (error, warn, info, debug, trace) or a filter such as info,nameplate::forward=debug, got {text:?}"
    )]
    Filter {
        /// What was given.
        text: String,
        /// What the parser said.
        source: tracing_subscriber::filter::ParseError,
    },
    /// A subscriber is installed already.
    #[error("logging was begun twice")]
    Twice,
}

/// Changes the level while running.
#[derive(Debug, Clone)]
pub struct LogHandle {
    filter: reload::Handle<EnvFilter, Registry>,
}

impl LogHandle {
    /// Puts another filter into force.
    pub fn set_filter(&self, text: &str) -> Result<(), LogError> {
        // The handle fails only when the subscriber is gone, and it lives as long as the process.
        self.filter.reload(filter(text)?).map_err(|_| LogError::Twice)
    }
}

/// Begins logging to standard error. `level` is a level or a filter by module (`info,nameplate::forward=debug`).
pub fn init(level: &str, format: LogFormat) -> Result<LogHandle, LogError> {
    let (filter, handle) = reload::Layer::new(filter(level)?);
    let registry = tracing_subscriber::registry().with(filter);
    let text = fmt::layer().with_writer(io::stderr).with_span_events(FmtSpan::NONE);
    let begun = match format {
        LogFormat::Text => {
            let colours = std::io::IsTerminal::is_terminal(&io::stderr()) && std::env::var_os("NO_COLOR").is_none();
            registry.with(text.with_ansi(colours)).try_init()
        }
        LogFormat::Json => registry.with(text.json().flatten_event(true)).try_init(),
    };
    begun.map_err(|_| LogError::Twice)?;
    Ok(LogHandle { filter: handle })
}

fn filter(text: &str) -> Result<EnvFilter, LogError> {
    // What upstreams send can make these libraries warn, and no bytes from the network cause a line above debug.
    let quiet = QUIET.iter().filter(|target| !text.contains(**target)).map(|target| format!(",{target}=off"));
    let whole = text.to_owned() + &quiet.collect::<String>();
    EnvFilter::builder().parse(whole).map_err(|source| LogError::Filter { text: text.to_owned(), source })
}

/// Targets that are off unless the filter names them.
const QUIET: [&str; 2] = ["hickory_net", "hickory_resolver"];

#[cfg(test)]
#[path = "logging_tests.rs"]
mod tests;
