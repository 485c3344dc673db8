//! The processes and directories that a run makes, and their end: also when it fails, panics or is interrupted.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use rustix::{
    process::{Pid, Signal, kill_process},
    thread::{CpuSet, sched_getaffinity, sched_setaffinity},
};
use tempfile::TempDir;

/// The cores of a run: one for the load, one for the server under test.
#[derive(Clone, Copy)]
pub struct Cores {
    pub load: usize,
    pub server: usize,
}

impl Cores {
    /// The first two that this process may use.
    pub fn find() -> Result<Cores> {
        let allowed = sched_getaffinity(None)?;
        let mut cores = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core));
        match (cores.next(), cores.next()) {
            (Some(load), Some(server)) => Ok(Cores { load, server }),
            _ => bail!("two cores are needed: one for the load, one for the server"),
        }
    }
}

/// Keeps the calling thread, and what it starts from now on, on one core.
pub fn pin(core: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(core);
    sched_setaffinity(None, &set).with_context(|| format!("pinning to core {core}"))
}

/// A child process on a core of its own, killed when it is dropped.
pub struct Process {
    child: Child,
    name: String,
    core: usize,
    pub started: Instant,
}

impl Process {
    pub fn start(name: &str, core: usize, command: &mut Command) -> Result<Process> {
        command.stdin(Stdio::null());
        // A child inherits the core of the thread that starts it.
        let started = Instant::now();
        let child = thread::scope(|scope| {
            let starter = || -> Result<Child> {
                pin(core)?;
                command.spawn().with_context(|| format!("starting {name}"))
            };
            scope.spawn(starter).join().unwrap_or_else(|_| bail!("the thread that starts {name} panicked"))
        })?;
        lock(&PROCESSES).push(child.id());
        Ok(Process { child, name: name.to_owned(), core, started })
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Puts all its threads back on its core: Knot gives its own to cores as it likes.
    pub fn pin(&self) -> Result<()> {
        let mut set = CpuSet::new();
        set.set(self.core);
        for id in family(self.id()) {
            for entry in fs::read_dir(format!("/proc/{id}/task"))? {
                let thread = entry?.file_name().to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw);
                sched_setaffinity(thread, &set).with_context(|| format!("pinning {}", self.name))?;
            }
        }
        Ok(())
    }

    /// Sends it a signal.
    pub fn tell(&self, what: Signal) {
        signal(self.id(), what);
    }

    /// Whether it ended by itself.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Processor time of it and of its descendants.
    pub fn cpu(&self) -> Cpu {
        family(self.id()).into_iter().filter_map(Cpu::of).fold(Cpu::default(), |sum, one| sum.plus(&one))
    }

    /// Resident memory of it and of its descendants, in bytes.
    pub fn resident_bytes(&self) -> u64 {
        family(self.id()).into_iter().filter_map(|id| status_bytes(id, "VmRSS:")).sum()
    }

    /// Asks it to end, and waits for that.
    pub fn stop(mut self) -> Result<()> {
        signal(self.id(), Signal::TERM);
        let asked = Instant::now();
        while asked.elapsed() < STOP_MAX {
            if let Some(status) = self.child.try_wait()? {
                ensure!(status.success(), "{} ended with {status}", self.name);
                return Ok(());
            }
            pause(Duration::from_millis(2));
        }
        bail!("{} did not stop within {STOP_MAX:?}", self.name)
    }

    /// Ends it at once, as kill -9 does.
    pub fn kill(self) {}
}

impl Drop for Process {
    fn drop(&mut self) {
        let id = self.id();
        let family = if matches!(self.child.try_wait(), Ok(Some(_))) { Vec::new() } else { family(id) };
        family.into_iter().for_each(|one| signal(one, Signal::KILL));
        let _ = self.child.wait();
        lock(&PROCESSES).retain(|known| *known != id);
    }
}

/// Processor time in seconds.
#[derive(Clone, Copy, Default)]
pub struct Cpu {
    pub user: f64,
    pub system: f64,
}

impl Cpu {
    /// That of a process with all its threads, also those that ended.
    fn of(id: u32) -> Option<Cpu> {
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        // Behind the name, which may have spaces: state is field 3, utime 14, stime 15.
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(14 - 3);
        let mut seconds = || Some(fields.next()?.parse::<f64>().ok()? / TICKS_A_SECOND);
        Some(Cpu { user: seconds()?, system: seconds()? })
    }

    pub fn plus(&self, other: &Cpu) -> Cpu {
        Cpu { user: self.user + other.user, system: self.system + other.system }
    }

    pub fn since(&self, before: &Cpu) -> Cpu {
        Cpu { user: self.user - before.user, system: self.system - before.system }
    }
}

/// A directory of this run, removed when it is dropped.
pub struct Room(TempDir);

impl Room {
    pub fn new() -> Result<Room> {
        let room = tempfile::Builder::new().prefix("nameplate-peers-").tempdir()?;
        lock(&ROOMS).push(room.path().to_owned());
        Ok(Room(room))
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn join(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        lock(&ROOMS).retain(|known| known != self.0.path());
    }
}

/// Makes an interrupted run end its processes and remove its directories.
pub fn watch_signals() -> Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        let code = runtime.block_on(async {
            let mut signals = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()].map(signal);
            let [Ok(interrupt), Ok(terminate), Ok(hangup)] = &mut signals else { return 1 };
            tokio::select! {
                _ = interrupt.recv() => 130,
                _ = terminate.recv() => 143,
                _ = hangup.recv() => 129,
            }
        });
        clean_up();
        std::process::exit(code);
    })?;
    Ok(())
}

/// Ends what is left of this run.
fn clean_up() {
    for id in lock(&PROCESSES).drain(..) {
        family(id).into_iter().for_each(|one| signal(one, Signal::KILL));
    }
    crate::install::clean_up();
    for room in lock(&ROOMS).drain(..) {
        let _ = fs::remove_dir_all(room);
    }
}

/// Waits for a level that is looked at every millisecond; an error if it is not reached in time.
pub fn until<T>(what: &str, limit: Duration, mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let started = Instant::now();
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        ensure!(started.elapsed() < limit, "waited {limit:?} in vain: {what}");
        pause(Duration::from_millis(1));
    }
}

#[allow(clippy::disallowed_methods, reason = "between two looks at a level, or as a part of what is measured")]
pub fn pause(duration: Duration) {
    thread::sleep(duration);
}

/// A process and its descendants.
fn family(id: u32) -> Vec<u32> {
    let mut parents = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(child) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        let parent = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse().ok());
        parents.extend(parent.map(|parent: u32| (child, parent)));
    }
    let mut found = vec![id];
    let mut at = 0;
    while at < found.len() {
        let parent = found[at];
        found.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(child, _)| *child));
        at += 1;
    }
    found
}

fn status_bytes(id: u32, field: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    Some(line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()? << 10)
}

fn signal(id: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(id).ok().and_then(Pid::from_raw) {
        // It may have ended by itself.
        let _ = kill_process(pid, signal);
    }
}

pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

static PROCESSES: Mutex<Vec<u32>> = Mutex::new(Vec::new());
static ROOMS: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Ticks of /proc/PID/stat. Source: proc(5); Linux tells user space 100, whatever the kernel counts in.
const TICKS_A_SECOND: f64 = 100.0;

/// How long a server may take to stop: a million instances are to be written out.
const STOP_MAX: Duration = Duration::from_secs(60);
