//! `nameplate exec`: runs a program, registered while it lives, and told where the services are that it needs ([`links`]).
//!
//! | when | what happens |
//! |---|---|
//! | the program has started | it is registered; if that fails, it runs all the same and registering goes on |
//! | every few seconds | the server is asked whether it still knows it, and told again if not: it may have started anew with nothing |
//! | TERM, INT or QUIT is sent | it is deregistered, then gets the signal: it leaves the answers while it still serves |
//! | HUP, USR1, USR2 or WINCH is sent | it gets the signal |
//! | it ends | it is deregistered, and its status is ours: its exit code, or 128 and the signal's number |
//!
//! It stays in our process group, so that job control is the terminal's: what the terminal sends (Ctrl-C, Ctrl-\, Ctrl-Z, a new
//! size, the end of the line) it sends to the program itself, and it is not passed on a second time. As process 1 of a container, we
//! reap whatever is left to us.
//!
//! **Limits:** of the programs that it starts in turn nothing is known. A service that must leave the answers before all of
//! its processes get the signal needs a service manager that sends it to us alone (systemd: `KillMode=mixed`). When we are
//! killed by KILL, the program goes on, and stays registered: a check deadline tells that it is no longer watched.

mod keeper;
mod links;
mod signals;

pub use self::links::Link;

use std::{
    io::{self, Write},
    path::Path,
    pin::pin,
    process::Command,
};

use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, kill_process, wait};

use self::{
    keeper::{Keeper, Leave},
    signals::Signals,
};
use super::{Verdict, args::ExecArgs};
use crate::api::client::Client;

/// Runs the program to its end.
pub(super) async fn exec(client: &Client, args: &ExecArgs) -> anyhow::Result<Verdict> {
    let keeper = Keeper::new(client, args)?;
    let (program, arguments) = args.command.split_first().expect("the command line has a program");
    let file = Path::new(program).file_name().unwrap_or(program).to_string_lossy();
    let variables = links::variables(client, &args.link, args.name.as_deref().unwrap_or(&file)).await?;
    // Before the program starts, so that none is missed.
    let signals = Signals::watch()?;
    match Command::new(program).args(arguments).envs(variables).spawn() {
        Ok(child) => {
            let code = run(Pid::from_child(&child), signals, keeper).await;
            Ok(Verdict::Ended(code))
        }
        Err(error) => {
            complain(&format!("cannot run {}: {error}", program.display()));
            let missing = error.kind() == io::ErrorKind::NotFound;
            Ok(Verdict::Ended(if missing { NOT_FOUND } else { NOT_EXECUTABLE }))
        }
    }
}

/// Passes signals on until the program has ended; returns its exit code.
async fn run(program: Pid, mut signals: Signals, keeper: Option<Keeper<'_>>) -> u8 {
    let (leave, told) = Leave::pair();
    let mut kept = pin!(async {
        if let Some(keeper) = keeper {
            keeper.keep(told).await;
        }
    });
    let (mut leave, mut left) = (Some(leave), false);
    let status = loop {
        let received = tokio::select! {
            received = signals.next() => received,
            () = &mut kept, if !left => {
                left = true;
                continue;
            }
        };
        if received.signal == Signal::CHILD {
            match reap(program) {
                Some(status) => break status,
                None => continue,
            }
        }
        if received.by_kernel {
            continue;
        }
        if [Signal::TERM, Signal::INT, Signal::QUIT].contains(&received.signal) {
            drop(leave.take());
            if !left {
                (&mut kept).await;
                left = true;
            }
        }
        // It has not been reaped, so that the number is still its own; it may have ended all the same.
        let _ = kill_process(program, received.signal);
    };
    drop(leave);
    if !left {
        kept.await;
    }
    exit_code(status)
}

/// Takes away what has ended; returns how the program ended, if it has.
fn reap(program: Pid) -> Option<WaitStatus> {
    let mut ended = None;
    // An error says that there is nobody left to wait for.
    while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
        if pid == program {
            ended = Some(status);
        }
    }
    ended
}

/// As shells tell it.
fn exit_code(status: WaitStatus) -> u8 {
    let code = status.exit_status().or_else(|| Some(BY_SIGNAL + status.terminating_signal()?));
    // The kernel gives a byte of an exit code, and signals end at 64.
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
}

/// Tells the user. Standard error may be closed, which must not end what supervises.
fn complain(text: &str) {
    let _ = writeln!(io::stderr(), "nameplate: {text}");
}

/// Source: POSIX, "Exit Status for Commands".
const NOT_EXECUTABLE: u8 = 126;

/// Source: POSIX, "Exit Status for Commands".
const NOT_FOUND: u8 = 127;

/// What is added to the number of the signal that ended a program. Source: the shells.
const BY_SIGNAL: i32 = 128;
