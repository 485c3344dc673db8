use std::{collections::HashSet, fs, sync::Arc, time::Instant};

use super::*;

fn commands() -> Commands {
    Commands::new(None)
}

const LONG: Duration = Duration::from_secs(20);

const BOUNDS: Bounds = Bounds { timeout: LONG, output_max_bytes: 4096 };

async fn shell(script: &str, bounds: Bounds) -> Ended {
    commands().run(&["/bin/sh", "-c", script], bounds).await.unwrap()
}

/// The state of a process, as in `Z` for a zombie; none if there is none.
fn state(id: &str) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

/// Waits until these processes are gone, or dead and left to be reaped by whoever has inherited them; at most 10 s.
async fn until_gone(ids: &[String]) {
    let end = Instant::now() + Duration::from_secs(10);
    while ids.iter().any(|id| !matches!(state(id), None | Some('Z' | 'X'))) {
        assert!(Instant::now() < end, "still there: {ids:?}");
        tokio::task::yield_now().await;
    }
}

/// The processes that a script has written into a file, once there are so many; at most 10 s.
async fn written(path: &Path, count: usize) -> Vec<String> {
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        let text = fs::read_to_string(path).unwrap_or_default();
        let ids: Vec<String> = text.lines().map(str::to_owned).collect();
        if ids.len() == count && text.ends_with('\n') {
            return ids;
        }
        assert!(Instant::now() < end, "{text:?} in {}", path.display());
        tokio::task::yield_now().await;
    }
}

fn open_files() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Our own children that have ended and were not reaped.
fn zombies() -> HashSet<String> {
    let ours = std::process::id().to_string();
    let ids = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let is_ours = |id: &String| {
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        let mut words = stat.rsplit_once(") ").map(|(_, rest)| rest).unwrap_or_default().split(' ');
        (words.next(), words.next()) == (Some("Z"), Some(&ours))
    };
    ids.filter(|id| id.bytes().all(|byte| byte.is_ascii_digit())).filter(is_ours).collect()
}

#[tokio::test]
async fn both_outputs_and_the_exit_status_are_told() {
    let ended = shell("echo out; echo err >&2; exit 3", BOUNDS).await;
    assert_eq!(ended.status.unwrap().code(), Some(3));
    assert_eq!((ended.stdout.as_slice(), ended.stderr.as_slice()), (&b"out\n"[..], &b"err\n"[..]));
}

#[tokio::test]
async fn arguments_are_not_read_by_a_shell() {
    let ended = commands().run(&["printf", "%s;", "$HOME", "a b", "`id`", "*"], BOUNDS).await.unwrap();
    assert_eq!(String::from_utf8(ended.stdout).unwrap(), "$HOME;a b;`id`;*;");
}

#[tokio::test]
async fn little_of_our_environment_is_handed_on() {
    let ended = Commands::new(Some("/usr/bin:/bin".into())).run(&["env"], BOUNDS).await.unwrap();
    let text = String::from_utf8(ended.stdout).unwrap();
    let names: HashSet<&str> = text.lines().map(|line| line.split('=').next().unwrap()).collect();
    assert!(names.contains("PATH") && text.contains("PATH=/usr/bin:/bin\n"), "{text}");
    assert!(names.iter().all(|name| *name == "PATH" || KEPT.contains(name)), "{text}");
    assert_eq!(shell("pwd; cat; readlink /proc/self/fd/0", BOUNDS).await.stdout, b"/\n/dev/null\n");
}

#[tokio::test]
async fn a_flood_is_read_to_its_end_and_cut() {
    let bounds = Bounds { output_max_bytes: 100, ..BOUNDS };
    let ended = shell("head -c 3000000 /dev/zero; head -c 3000000 /dev/zero >&2; exit 1", bounds).await;
    assert_eq!(ended.status.unwrap().code(), Some(1));
    assert_eq!((ended.stdout.len(), ended.stderr.len()), (100, 100));
}

#[tokio::test]
async fn what_hangs_is_killed_with_all_of_its_group() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ids");
    let script = format!("echo said; (sleep 1000 & sleep 1000) & echo $$ > {0}; echo $! >> {0}; wait", file.display());
    let began = Instant::now();
    let ended = shell(&script, Bounds { timeout: Duration::from_secs(1), ..BOUNDS }).await;
    assert!(ended.status.is_none() && began.elapsed() < Duration::from_secs(10), "{ended:?}");
    assert_eq!(ended.stdout, b"said\n");
    until_gone(&written(&file, 2).await).await;
}

#[tokio::test]
async fn a_probe_that_is_dropped_takes_its_group_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ids");
    let script = format!("sleep 1000 & echo $$ > {0}; echo $! >> {0}; wait", file.display());
    let running = tokio::spawn(async move { shell(&script, BOUNDS).await });
    let ids = written(&file, 2).await;
    running.abort();
    assert!(running.await.unwrap_err().is_cancelled());
    until_gone(&ids).await;
}

#[tokio::test]
async fn what_a_command_leaves_behind_holds_up_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ids");
    let began = Instant::now();
    // It holds both pipes.
    let ended = shell(&format!("sleep 1000 & echo $! > {}; echo said", file.display()), BOUNDS).await;
    assert_eq!((ended.status.unwrap().code(), ended.stdout.as_slice()), (Some(0), &b"said\n"[..]));
    until_gone(&written(&file, 1).await).await;
    // This one has left the group; it lives on, and is not waited for.
    let script = format!(
        "setsid sh -c 'echo $$ > {0}.2; exec sleep 1000' & while ! test -s {0}.2; do :; done; echo said",
        file.display()
    );
    let ended = shell(&script, BOUNDS).await;
    assert_eq!((ended.status.unwrap().code(), ended.stdout.as_slice()), (Some(0), &b"said\n"[..]));
    assert!(began.elapsed() < LONG / 2);
    let left = written(&file.with_extension("2"), 1).await;
    assert!(matches!(state(&left[0]), Some('S' | 'R' | 'D')));
    let id = Pid::from_raw(left[0].parse().unwrap()).unwrap();
    rustix::process::kill_process(id, Signal::KILL).unwrap();
}

#[tokio::test]
async fn what_cannot_be_executed_is_told_with_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let plain = folder.path().join("plain");
    fs::write(&plain, "text").unwrap();
    for (name, words) in [
        ("/nonexistent/check", "cannot execute /nonexistent/check: No such file"),
        (plain.to_str().unwrap(), "Permission denied"),
        ("no-such-program", "cannot execute no-such-program: no such program in PATH"),
        ("", "no such program in PATH"),
        ("/", "Permission denied"),
        ("/bin/\0", "nul byte"),
    ] {
        let error = commands().run(&[name], BOUNDS).await.unwrap_err();
        assert!(matches!(error, CommandError::Unusable(..)) && error.to_string().contains(words), "{error}");
    }
}

#[tokio::test]
async fn a_program_that_is_being_written_is_not_its_fault() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("program");
    fs::copy("/bin/true", &program).unwrap();
    let _writing = fs::OpenOptions::new().append(true).open(&program).unwrap();
    let error = commands().run(&[program.to_str().unwrap()], BOUNDS).await.unwrap_err();
    assert!(matches!(error, CommandError::NotNow(..)), "{error}");
}

#[tokio::test]
async fn commands_beyond_the_limit_wait_and_have_their_whole_time() {
    let commands = Arc::new(Commands { places: Semaphore::new(1), path: PATH.into() });
    let bounds = Bounds { timeout: Duration::from_secs(2), ..BOUNDS };
    let runs = (0..4).map(|_| {
        let commands = Arc::clone(&commands);
        tokio::spawn(async move { commands.run(&["sleep", "0.8"], bounds).await.unwrap().status })
    });
    for run in runs.collect::<Vec<_>>() {
        assert!(run.await.unwrap().is_some_and(|status| status.success()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_runs_leave_no_zombie_and_no_open_file() {
    let commands = Arc::new(commands());
    let quick = Bounds { timeout: Duration::from_millis(1), ..BOUNDS };
    commands.run(&["true"], BOUNDS).await.unwrap();
    let before = open_files();
    for round in 0..20 {
        let runs = (0..50).map(|run| {
            let commands = Arc::clone(&commands);
            let (argv, bounds) =
                if run % 5 == round % 5 { (["sleep", "1000"], quick) } else { (["echo", "x"], BOUNDS) };
            tokio::spawn(async move { commands.run(&argv, bounds).await.unwrap().status })
        });
        for run in runs.collect::<Vec<_>>() {
            run.await.unwrap();
        }
    }
    let end = Instant::now() + Duration::from_secs(10);
    // Tests beside this one have files and processes too, which come and go.
    while open_files() > before + 100 || zombies().intersection(&zombies()).count() > 20 {
        assert!(Instant::now() < end, "{} files instead of {before}, zombies: {:?}", open_files(), zombies());
        tokio::task::yield_now().await;
    }
}
