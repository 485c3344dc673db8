use std::{sync::Arc, time::Duration};

use super::*;
use crate::{
    catalog::{change::Origin, check::CheckKind, policy::ScriptChecks},
    health::{
        probe::Prober,
        testing::{definition, resolver},
    },
};

const BOUNDS: Bounds = Bounds { timeout: Duration::from_secs(20), output_max_bytes: 4096 };

async fn run(argv: &[&str], bounds: Bounds) -> Outcome {
    let check = ScriptCheck { args: argv.iter().map(|arg| Arc::from(*arg)).collect() };
    probe(&Commands::new(None), &check, bounds).await
}

async fn check(script: &str, status: CheckStatus, output: &str) {
    let outcome = run(&["/bin/sh", "-c", script], BOUNDS).await;
    assert_eq!(outcome, Outcome::Done { status, output: output.to_owned() });
}

#[tokio::test]
async fn the_exit_status_is_the_verdict() {
    check("echo OK", CheckStatus::Passing, "OK").await;
    check("echo slow; exit 1", CheckStatus::Warning, "slow").await;
    check("echo down; exit 2", CheckStatus::Critical, "down").await;
    check("echo what; exit 3", CheckStatus::Critical, "what").await;
    check("echo far; exit 255", CheckStatus::Critical, "far").await;
    check("echo last words; kill -SEGV $$", CheckStatus::Critical, "killed by signal 11\nlast words").await;
}

#[tokio::test]
async fn who_says_nothing_is_told_by_his_end() {
    check("exit 2", CheckStatus::Critical, "exit status 2, and no output").await;
    check("printf '\\n  \\n'; exit 0", CheckStatus::Passing, "exit status 0, and no output").await;
    check("kill -KILL $$", CheckStatus::Critical, "killed by signal 9").await;
}

#[tokio::test]
async fn the_first_line_is_shown_and_perfdata_stands_apart() {
    check(
        "echo 'DISK OK - 3 GB free | /=2643MB;5948;5958'",
        CheckStatus::Passing,
        "DISK OK - 3 GB free\nperfdata: /=2643MB;5948;5958",
    )
    .await;
    check("echo one; echo two '|' a=1", CheckStatus::Passing, "one").await;
    check("echo 'one |'", CheckStatus::Passing, "one").await;
    check("echo only errors >&2; exit 2", CheckStatus::Critical, "only errors").await;
    check("echo hidden >&2; echo shown", CheckStatus::Passing, "shown").await;
    check("printf 'a\\377b'", CheckStatus::Passing, "a\u{fffd}b").await;
}

#[tokio::test]
async fn a_flood_is_cut() {
    let bounds = Bounds { output_max_bytes: 10, ..BOUNDS };
    let script = "i=0; while [ $i -lt 20000 ]; do echo 0123456789abcdef; i=$((i+1)); done; exit 1";
    let outcome = run(&["/bin/sh", "-c", script], bounds).await;
    assert_eq!(outcome, Outcome::Done { status: CheckStatus::Warning, output: "0123456789".to_owned() });
}

#[tokio::test]
async fn what_hangs_is_critical_with_what_it_said() {
    let bounds = Bounds { timeout: Duration::from_millis(1500), ..BOUNDS };
    let outcome = run(&["/bin/sh", "-c", "echo halfway; sleep 1000"], bounds).await;
    assert_eq!(outcome, Outcome::critical("timed out after 1.5s\nhalfway"));
}

#[tokio::test]
async fn what_cannot_be_executed_is_critical_with_its_path() {
    let outcome = run(&["/nonexistent/check", "x"], BOUNDS).await;
    let Outcome::Done { status: CheckStatus::Critical, output } = outcome else { panic!("{outcome:?}") };
    assert!(output.starts_with("cannot execute /nonexistent/check: "), "{output}");
}

#[test]
fn what_is_lacking_here_is_no_verdict() {
    let error = CommandError::NotNow("/x".to_owned(), std::io::Error::from_raw_os_error(libc::EAGAIN));
    assert!(matches!(refused(&error), Outcome::NotMade(_)));
}

#[test]
fn files_of_this_machine_are_trusted_apart_from_the_rest() {
    let allowed = |scripts: ScriptChecks| {
        [Origin::Server, Origin::Api, Origin::File, Origin::Cluster, Origin::Docker, Origin::Registry]
            .map(|origin| scripts.allows(origin))
    };
    assert_eq!(allowed(ScriptChecks::Off), [false; 6]);
    assert_eq!(allowed(ScriptChecks::Files), [false, false, true, false, false, false]);
    assert_eq!(allowed(ScriptChecks::All), [true; 6]);
}

#[tokio::test]
async fn a_command_that_may_not_run_is_no_verdict() {
    let run = async |scripts: ScriptChecks, origin: Origin| {
        let prober = Arc::new(Prober::new(resolver(), None).with_commands(scripts, Vec::new()));
        let kind = CheckKind::Script(ScriptCheck { args: Box::new([Arc::<str>::from("true")]) });
        let definition = definition(kind, Duration::from_secs(1), BOUNDS.timeout);
        prober.run("".into(), Arc::new(definition), origin).await
    };
    let off = Some(Outcome::NotMade("script checks are off; set enable_script_checks".to_owned()));
    assert_eq!(run(ScriptChecks::Off, Origin::File).await, off);
    assert_eq!(run(ScriptChecks::Files, Origin::Api).await, off);
    assert!(matches!(
        run(ScriptChecks::Files, Origin::File).await,
        Some(Outcome::Done { status: CheckStatus::Passing, .. })
    ));
}
