//! The signals that are passed on, and who sent them.

use std::{io, thread};

use rustix::process::Signal;
use signal_hook::{
    consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH},
    iterator::{SignalsInfo, exfiltrator::WithOrigin},
    low_level::siginfo::Cause,
};
use tokio::sync::mpsc;

/// Signals as they come.
pub(super) struct Signals {
    received: mpsc::Receiver<Received>,
}

/// A signal that we got.
#[derive(Debug, Clone, Copy)]
pub(super) struct Received {
    pub(super) signal: Signal,
    /// Not sent by a process: the terminal's, which goes to all of its foreground process group.
    pub(super) by_kernel: bool,
}

impl Signals {
    /// From now on they are here, and no longer end us.
    pub(super) fn watch() -> io::Result<Signals> {
        let mut origins = SignalsInfo::<WithOrigin>::new(WATCHED)?;
        let (tell, received) = mpsc::channel(WAITING_MAX);
        thread::Builder::new().name("signals".to_owned()).spawn(move || {
            for origin in &mut origins {
                let by_kernel = origin.cause == Cause::Kernel;
                let Some(signal) = Signal::from_named_raw(origin.signal) else { continue };
                if tell.blocking_send(Received { signal, by_kernel }).is_err() {
                    break;
                }
            }
        })?;
        Ok(Signals { received })
    }

    /// The next one.
    pub(super) async fn next(&mut self) -> Received {
        self.received.recv().await.expect("the thread ends after this")
    }
}

/// `SIGCHLD` tells that the program may have ended; the others are for it.
const WATCHED: [i32; 8] = [SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH, SIGCHLD];

/// Most signals that wait; more stay with the kernel. Source: none, chosen.
const WAITING_MAX: usize = 16;
