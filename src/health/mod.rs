//! Health checks: probes what our own node's checks ask for, watches over check deadlines, and deregisters what has
//! been critical for too long.
//!
//! One task, the scheduler, owns all timers and state; each probe is a task of its own, bounded by its timeout,
//! so no check ever delays another. What is due when is decided in [`schedule`], when a result counts in
//! [`thresholds`]; both know no clock. Results go into the feed; definitions come out of the published snapshot.
//!
//! | bound | value |
//! |---|---|
//! | probes in flight | 4,096, or the setting; those beyond wait for a place, the one due longest first |
//! | a probe's time | its timeout, from when it starts (10 s where none is given), name resolution included |
//! | body read | 4 KiB and 1 s beyond the head |
//! | redirects | 10 |
//! | results waiting for the publisher | one a check, the newest |
//! | instances being deregistered at once | 256; the others 200 ms later |
//! | memory | some 300 bytes a check; a probe in flight at most 0.5 MB (the HTTP library's read buffer) |
//!
//! **Limits:** only checks of our own node are run. A change of output alone is published at most every 5 minutes a
//! check, as in Consul. What a probe lacks for want of open files or memory of ours is no verdict: the status stays.
//!
//! **Source:** Consul's agent checks, as far as the API shows them.

mod http;
mod probe;
mod reaper;
mod schedule;
mod slots;
pub mod stats;
mod tcp;
mod thresholds;
mod tls;

#[cfg(test)]
mod testing;

pub use self::probe::{Resolving, TargetResolver};
