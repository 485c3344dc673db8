//! Commands that probes run, each in a process group of its own, which never outlives its probe.
//!
//! | bound | value |
//! |---|---|
//! | commands at once | 64; further ones wait, which does not count into their time |
//! | time | the timeout; then, or if the probe is dropped, the whole group gets SIGKILL |
//! | output kept | what the caller says, each of stdout and stderr; the rest is read and thrown away |
//! | pipe held open after the end | 100 ms: by something that has left the group |
//! | environment | `PATH` and, where they are set, `HOME`, `LANG`, `LC_ALL`, `TZ`; working directory `/`; stdin empty |
//!
//! What a command leaves behind in its group is killed when the command itself has ended; whoever wants to outlive it
//! leaves the group (setsid). The group is signalled before its leader is reaped, while its number cannot be another's.

use std::{
    ffi::OsString,
    io,
    os::unix::{fs::PermissionsExt, process::ExitStatusExt},
    path::{Path, PathBuf},
    pin::pin,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::Child,
    signal::unix::{Signal as Signals, SignalKind, signal},
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};

use super::probe::{deadline, within};

/// Runs commands. Shared by all probes that run some.
#[derive(Debug)]
pub(super) struct Commands {
    places: Semaphore,
    /// Where programs without a slash in their name are looked for; handed to them too.
    path: OsString,
}

/// What came of a command.
#[derive(Debug)]
pub(super) struct Ended {
    /// How it ended; none if it was killed when its time was over.
    pub(super) status: Option<ExitStatus>,
    /// The beginning of what it wrote to its standard output.
    pub(super) stdout: Vec<u8>,
    /// The beginning of what it wrote to its standard error.
    pub(super) stderr: Vec<u8>,
}

/// How long a command may take, and how much it may say.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) timeout: Duration,
    pub(super) output_max_bytes: usize,
}

/// Why a command was not run.
#[derive(Debug, thiserror::Error)]
pub(super) enum CommandError {
    /// It cannot be executed.
    #[error("cannot execute {0}: {1}")]
    Unusable(String, io::Error),
    /// It might be, but this machine or process has run out of something, or the program is just being written.
    #[error("cannot execute {0} now: {1}")]
    NotNow(String, io::Error),
}

impl Commands {
    /// Programs are looked for in these directories, as in the variable of that name; those of this process's if none.
    pub(super) fn new(path: Option<OsString>) -> Commands {
        let path = path.or_else(|| std::env::var_os("PATH")).unwrap_or_else(|| PATH.into());
        Commands { places: Semaphore::new(AT_ONCE_MAX), path }
    }

    /// Waits for a place among the commands that run; it is given back when dropped.
    pub(super) async fn place(&self) -> SemaphorePermit<'_> {
        self.places.acquire().await.expect("it is never closed")
    }

    /// Runs a command: the program, found as a shell would, and its arguments.
    pub(super) async fn run(&self, argv: &[&str], bounds: Bounds) -> Result<Ended, CommandError> {
        let _place = self.place().await;
        let name = argv.first().copied().unwrap_or_default();
        let program = self.find(name).map_err(|error| CommandError::Unusable(name.to_owned(), error))?;
        let mut command = std::process::Command::new(&program);
        command.args(argv.iter().skip(1)).current_dir("/").env_clear().env("PATH", &self.path);
        command.envs(KEPT.into_iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let failed = |error: io::Error| {
            let of = if error.raw_os_error().is_some_and(|code| FOR_NOW.contains(&code)) {
                CommandError::NotNow
            } else {
                CommandError::Unusable
            };
            of(program.display().to_string(), error)
        };
        // Begins before the program does, and in a thread that may wait: a program may lie on a disk that hangs.
        let starting = tokio::task::spawn_blocking(move || Group::start(command));
        let started = starting.await.unwrap_or_else(|error| Err(io::Error::other(error)));
        Ok(started.map_err(failed)?.end(bounds).await)
    }

    /// The program of this name.
    fn find(&self, name: &str) -> io::Result<PathBuf> {
        if name.contains('/') {
            return Ok(Path::new("/").join(name));
        }
        let candidates = std::env::split_paths(&self.path).filter(|folder| folder.is_absolute());
        let is_program = |path: &PathBuf| {
            path.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
        };
        let problem = || io::Error::new(io::ErrorKind::NotFound, "no such program in PATH");
        candidates.map(|folder| folder.join(name)).find(is_program).ok_or_else(problem)
    }
}

/// A command that runs, and all that it has started within its group.
struct Group {
    child: Child,
    /// The child, for as long as it has not been reaped, so that the group's number is its own.
    leader: Option<Pid>,
    /// Comes when any child of ours has ended.
    ends: Signals,
}

impl Group {
    /// Starts it; in a thread that knows the runtime.
    fn start(command: std::process::Command) -> io::Result<Group> {
        let ends = signal(SignalKind::child())?;
        let mut command = tokio::process::Command::from(command);
        let child = command.process_group(0).kill_on_drop(true).spawn()?;
        let leader = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        Ok(Group { child, leader, ends })
    }

    /// Waits for its end, or brings it about.
    async fn end(mut self, bounds: Bounds) -> Ended {
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let pipes = (self.child.stdout.take(), self.child.stderr.take());
        let most = bounds.output_max_bytes;
        let status = {
            let mut drained = pin!(async {
                tokio::join!(drain(pipes.0, &mut stdout, most), drain(pipes.1, &mut stderr, most));
            });
            let mut all_drained = false;
            let ended = within(deadline(bounds.timeout), async {
                let mut ended = pin!(self.ended());
                loop {
                    tokio::select! {
                        () = &mut ended => return,
                        () = &mut drained, if !all_drained => all_drained = true,
                    }
                }
            })
            .await;
            self.kill();
            let status = match ended {
                // It has ended, but this runtime may be late to see it.
                Some(()) => Some(self.child.wait().await.unwrap_or_else(|_| ExitStatus::from_raw(libc::SIGKILL))),
                None => {
                    let _ = timeout(LINGER, self.child.wait()).await;
                    None
                }
            };
            if !all_drained {
                // What has left the group may hold the pipes for as long as it likes.
                let _ = within(deadline(LINGER), drained).await;
            }
            status
        };
        Ended { status, stdout, stderr }
    }

    /// Returns when the command itself has ended; it is not reaped.
    async fn ended(&mut self) {
        while !self.leader.is_none_or(has_ended) && self.ends.recv().await.is_some() {}
    }

    /// Kills what is left of it. Once: when its leader has been reaped its number may be another's.
    fn kill(&mut self) {
        if let Some(leader) = self.leader.take() {
            // Nothing is left in it, or nothing that we may kill.
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Whether a child has ended, which is not reaped by the question.
fn has_ended(child: Pid) -> bool {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    !matches!(waitid(WaitId::Pid(child), options), Ok(None) | Err(rustix::io::Errno::INTR))
}

/// Reads a pipe to its end and keeps the beginning.
async fn drain(pipe: Option<impl AsyncRead + Unpin>, kept: &mut Vec<u8>, most: usize) {
    let Some(mut pipe) = pipe else { return };
    let mut chunk = [0; 4096];
    while let Ok(count @ 1..) = pipe.read(&mut chunk).await {
        let room = most.saturating_sub(kept.len()).min(count);
        kept.extend_from_slice(&chunk[..room]);
    }
}

/// Most commands at once. Source: none, chosen: a process is megabytes and a share of a core, a probe of ours neither.
const AT_ONCE_MAX: usize = 64;

/// How long the end of a killed process, and of its pipes, is waited for. Source: none, chosen.
const LINGER: Duration = Duration::from_millis(100);

/// What is handed on of our environment besides `PATH`. Source: none, chosen: what decides where plugins keep things and how
/// they write numbers and times; Consul hands on all of its own, tokens included.
const KEPT: [&str; 4] = ["HOME", "LANG", "LC_ALL", "TZ"];

/// Where programs are looked for if this process was not told. Source: Debian's login.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What keeps a program from being executed that says nothing of it.
const FOR_NOW: [i32; 6] = [libc::EAGAIN, libc::EMFILE, libc::ENFILE, libc::ENOMEM, libc::ENOBUFS, libc::ETXTBSY];

#[cfg(test)]
#[path = "command_tests.rs"]
mod tests;
