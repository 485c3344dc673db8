//! The one place that waits.

use std::time::{Duration, Instant};

/// Looks every 10 ms until there is something, and returns it; panics after `limit` with what was waited for.
#[track_caller]
pub fn until<T>(what: &str, limit: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(started.elapsed() < limit, "waited {limit:?} in vain until {what}");
        // What is looked at is in other processes, which wake nobody here.
        pause(Duration::from_millis(10));
    }
}

/// Lets time pass: between the calls of a load, and while a fault lasts. Nothing that is looked at depends on it.
#[allow(clippy::disallowed_methods, reason = "a pace and a fault's length are times, not levels")]
pub fn pause(duration: Duration) {
    std::thread::sleep(duration);
}

/// Most time for what takes a moment: a program's start, a level that follows from an answered call.
///
/// Source: none, chosen: a hundred times what it takes on two busy cores.
pub const SOON: Duration = Duration::from_secs(20);
