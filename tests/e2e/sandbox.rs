//! Namespaces of a scenario's own: network, mounts and processes.
//!
//! An empty folder `/tmp/npe2e-PID-NAME` is all that is seen of a sandbox outside. Inside, it is a tmpfs; `/run` is a
//! tmpfs too, and `/etc`, `/var/lib` are the machine's with a layer on top that takes what is written. The sandbox's
//! first process waits for the end of its input, whose other end is ours: when a scenario ends, panics or is killed,
//! that process ends, and the kernel ends all others, the mounts and the network with it.
//!
//! What runs inside, but for containers, is in one control group of the scenario's own, beside those of its containers. Else each
//! process of the machine would count as much as all containers together, and whatever runs in one would starve.
//!
//! **Limits:** the folder, and control groups of containers, outlive a killed run; the next run takes them away.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::fd::AsFd,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Output, Stdio},
    sync::{PoisonError, RwLock},
    thread,
    time::Duration,
};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::until::{SOON, until};

/// Runs a scenario in a sandbox. Its thread, and threads it starts, are in the sandbox's network; files are reached
/// by [`Sandbox::file`], programs by [`Sandbox::run`] and [`Sandbox::start`].
pub fn scenario(name: &str, body: impl FnOnce(&Sandbox) + Send) {
    // What a scenario that failed leaves behind has ended with it.
    let _beside_others = RUNNING.read().unwrap_or_else(PoisonError::into_inner);
    run(name, body);
}

/// The same while no other scenario runs, for times that are promised of a machine that has time.
pub fn scenario_alone(name: &str, body: impl FnOnce(&Sandbox) + Send) {
    let _alone = RUNNING.write().unwrap_or_else(PoisonError::into_inner);
    run(name, body);
}

fn run(name: &str, body: impl FnOnce(&Sandbox) + Send) {
    let sandbox = Sandbox::new(name);
    let sandbox = &sandbox;
    let ended = thread::scope(|scope| {
        let entered = scope.spawn(move || {
            let network = fs::File::open(format!("/proc/{}/ns/net", sandbox.keeper.id())).unwrap();
            move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
            body(sandbox);
        });
        entered.join()
    });
    if let Err(panic) = ended {
        eprintln!("{}", sandbox.logs());
        std::panic::resume_unwind(panic);
    }
}

/// Held by each scenario that runs, for itself by one that wants to be alone.
static RUNNING: RwLock<()> = RwLock::new(());

/// A scenario's namespaces.
pub struct Sandbox {
    keeper: Child,
    lifeline: Option<ChildStdin>,
    folder: PathBuf,
    /// Where a process puts itself in the control group; nowhere on a machine without any.
    group: PathBuf,
}

impl Sandbox {
    fn new(name: &str) -> Sandbox {
        assert!(rustix::process::getuid().is_root(), "namespaces need root: run this as root");
        clear_leftovers();
        let folder = std::env::temp_dir().join(format!("{PREFIX}{}-{name}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        let mut keeper = Command::new("unshare")
            .args(["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "bash", "-c", INSIDE, "bash"])
            .arg(&folder)
            .env_clear()
            .env("PATH", PATH)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare is there: Debian package util-linux");
        let lifeline = keeper.stdin.take();
        let mut line = String::new();
        let told = BufReader::new(keeper.stdout.take().unwrap()).read_line(&mut line);
        let group = make_group(&folder).unwrap_or_else(|| PathBuf::from("/dev/null"));
        let sandbox = Sandbox { keeper, lifeline, folder, group };
        assert!(told.is_ok() && line == "ready\n", "the sandbox cannot be made; what it said is above");
        for script in ["nameplate", "cargo"] {
            sandbox.make_script(script);
        }
        sandbox
    }

    /// The folder that is the scenario's own, as it is called inside.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A file of the sandbox, by its path inside (relative ones are in the folder), as it is reached from here.
    pub fn file(&self, path: impl AsRef<Path>) -> PathBuf {
        let inside = self.folder.join(path);
        let relative = inside.strip_prefix("/").expect("the folder is absolute");
        PathBuf::from(format!("/proc/{}/root", self.keeper.id())).join(relative)
    }

    /// Writes a file, and the folders it is in.
    pub fn write(&self, path: impl AsRef<Path>, text: &str) {
        let file = self.file(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }

    /// A command that runs a shell script inside, in the folder.
    pub fn command(&self, script: &str) -> Command {
        let keeper = self.keeper.id();
        let (folder, group) = (self.folder.display(), self.group.display());
        let mut command = Command::new("nsenter");
        command
            .args([&format!("--target={keeper}"), "--net", "--mount"])
            .arg(format!("--pid=/proc/{keeper}/ns/pid_for_children"))
            .args(["sh", "-c", &format!("echo 0 >{group}; cd {folder}; {script}")])
            .env_clear()
            .env("PATH", format!("{folder}/bin:{PATH}"))
            .env("HOME", &self.folder)
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::null());
        command
    }

    /// Runs a shell script inside, at most [`RUN_MAX`], and returns how it ended.
    pub fn attempt(&self, script: &str) -> Output {
        self.attempt_for(RUN_MAX, script)
    }

    /// Runs a shell script inside, at most this long, and returns how it ended.
    pub fn attempt_for(&self, limit: Duration, script: &str) -> Output {
        let quoted = script.replace('\'', r"'\''");
        self.command(&format!("exec timeout -k 1 {} sh -c '{quoted}'", limit.as_secs())).output().unwrap()
    }

    /// Runs a shell script inside and returns what it printed; panics if it fails.
    #[track_caller]
    pub fn run(&self, script: &str) -> String {
        let output = self.attempt(script);
        let printed = String::from_utf8(output.stdout).unwrap();
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "$ {script}\n{printed}{complaint}({})", output.status);
        printed
    }

    /// Starts a program inside, which writes to `NAME.log`.
    pub fn start(&self, name: &str, command: &str) -> Process<'_> {
        let script = format!("echo $$ >{name}.pid; exec {command} >>{name}.log 2>&1");
        let child = self.command(&script).spawn().unwrap();
        Process { sandbox: self, child, name: name.to_owned() }
    }

    /// Fails unless these programs are there; `package` is the Debian package that has them.
    #[track_caller]
    pub fn needs(&self, programs: &[&str], package: &str) {
        for program in programs {
            let found = self.attempt(&format!("command -v {program}")).status.success();
            assert!(found, "{program} is missing: apt-get install --no-install-recommends {package}");
        }
    }

    /// The ends of all logs, for who looks into a failure.
    fn logs(&self) -> String {
        let output = self.attempt("tail -n 40 *.log 2>&1");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Puts the program in the sandbox's path: by its name, and as what `cargo run -- ARGS` runs.
    fn make_script(&self, name: &str) {
        let program = std::env::var("NAMEPLATE_E2E_PROGRAM");
        let program = program.as_deref().unwrap_or(env!("CARGO_BIN_EXE_nameplate"));
        let text = match name {
            "cargo" => format!("#!/bin/sh\nwhile [ \"$1\" != -- ]; do shift; done\nshift\nexec {program} \"$@\"\n"),
            _ => format!("#!/bin/sh\nexec {program} \"$@\"\n"),
        };
        self.write(format!("bin/{name}"), &text);
        self.run(&format!("chmod +x bin/{name}"));
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        drop(self.lifeline.take());
        if !thread::panicking() {
            until("the sandbox has ended", SOON, || self.keeper.try_wait().unwrap());
        }
        // In order already if it has ended; by force if not.
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
        let name = self.folder.file_name().expect("the folder has a name");
        take_away(&self.folder);
        groups().for_each(|groups| take_away(&groups.join(name)));
    }
}

/// A program that runs in a sandbox. Dropped, it is killed.
pub struct Process<'a> {
    sandbox: &'a Sandbox,
    child: Child,
    name: String,
}

impl Process<'_> {
    /// Sends it a signal, by the signal's name without SIG.
    pub fn signal(&self, signal: &str) {
        let pid =
            || fs::read_to_string(self.sandbox.file(format!("{}.pid", self.name))).ok().filter(|pid| !pid.is_empty());
        let pid = until("the program has started", SOON, pid);
        self.sandbox.run(&format!("kill -{signal} {pid}"));
    }

    /// Kills it as `kill -9` does, and returns when it is gone.
    pub fn kill(mut self) {
        self.signal("KILL");
        self.wait();
    }

    /// Waits until it has ended.
    pub fn wait(&mut self) -> std::process::ExitStatus {
        // Whoever entered the namespaces for it stopped when it was stopped, and would not see it end.
        let _ =
            rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), rustix::process::Signal::CONT);
        until("the program has ended", SOON, || self.child.try_wait().unwrap())
    }
}

impl Drop for Process<'_> {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            let _ = self.sandbox.attempt(&format!("kill -KILL $(cat {}.pid)", self.name));
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Takes away what a run that was killed left behind: folders and control groups with the number of a process that
/// is no more.
fn clear_leftovers() {
    for parent in groups().chain([std::env::temp_dir()]) {
        for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let pid = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
            if pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
                take_away(&entry.path());
            }
        }
    }
}

/// Makes the control group of what runs in a sandbox, beside those of its containers.
fn make_group(folder: &Path) -> Option<PathBuf> {
    let has = |file: &'static str| groups().find(|groups| groups.join(file).exists());
    // Of version 1 the hierarchy that shares out the cores; of version 2 there is one hierarchy.
    let group = has("cpu.shares").or_else(|| has("cgroup.controllers"))?.join(folder.file_name()?).join("host");
    fs::create_dir_all(&group).ok()?;
    // It counts as much as some processes of the machine; one of these files is there.
    for (file, weight) in [("cpu.shares", "8192"), ("cpu.weight", "800")] {
        let file = group.with_file_name(file);
        if file.exists() {
            fs::write(file, weight).ok()?;
        }
    }
    Some(group.join("cgroup.procs"))
}

/// Where control groups are: one hierarchy (version 2), or one for each controller (version 1).
fn groups() -> impl Iterator<Item = PathBuf> {
    let root = PathBuf::from("/sys/fs/cgroup");
    let each = fs::read_dir(&root).into_iter().flatten().flatten().map(|entry| entry.path());
    each.chain([root])
}

/// Takes away a folder of empty folders: what is left of a mount, or a control group.
fn take_away(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            take_away(&entry.path());
        }
    }
    // One that is in use, or holds what nobody expected, stays.
    let _ = fs::remove_dir(folder);
}

/// What the first process of a sandbox does.
const INSIDE: &str = r#"
set -e
mount -t tmpfs -o mode=0755 none "$1"
layers=$1/.layers
for over in /etc /var/lib; do
    mkdir -p "$layers$over" "$layers/work$over"
    mount -t overlay -o "lowerdir=$over,upperdir=$layers$over,workdir=$layers/work$over" overlay $over
done
rm -f /etc/resolv.conf
: >/etc/resolv.conf
mount -t tmpfs -o mode=0755 none /run
mkdir /run/lock
ip link set lo up
echo ready
read -r _
"#;

/// Start of the names of all that is seen outside; the number of the test's process follows.
const PREFIX: &str = "npe2e-";

/// Where programs are looked for, besides the sandbox's own.
const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// Most time for one script. Source: none, chosen: the longest takes 3 s.
const RUN_MAX: Duration = Duration::from_secs(60);
