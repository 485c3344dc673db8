use std::{path::Path, sync::Arc};

use tokio::{
    io::AsyncWriteExt,
    net::{UnixListener, UnixStream},
};

use super::*;
use crate::{
    catalog::{
        check::{Check, CheckKind, CheckStatus},
        policy::ScriptChecks,
    },
    health::{
        HealthSettings,
        testing::{Catalog, check_of, definition, request, until},
        tests::{self as health, settings},
    },
};

const BOUNDS: Bounds = Bounds { timeout: Duration::from_secs(20), output_max_bytes: 20 };

/// What a daemon of the test's own says: to exec create, to start (raw), to inspect.
#[derive(Debug, Clone)]
struct Daemon {
    create: (&'static str, &'static str),
    start: (&'static str, Vec<u8>),
    inspect: &'static str,
    /// Answers nothing to a path that contains this.
    hangs_at: &'static str,
}

impl Daemon {
    /// One in whose container the command says this and ends so.
    fn running(said: &[(u8, &[u8])], inspect: &'static str) -> Daemon {
        let frames = said.iter().flat_map(|(stream, text)| {
            let length = u32::try_from(text.len()).unwrap().to_be_bytes();
            [&[*stream, 0, 0, 0][..], &length[..], *text].concat()
        });
        Daemon {
            create: ("201 Created", r#"{"Id":"e1"}"#),
            start: ("200 OK", frames.collect()),
            inspect,
            hangs_at: "nothing",
        }
    }

    async fn answer(self, mut stream: UnixStream) {
        let request = request(&mut stream).await;
        let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
        if path.contains(self.hangs_at) {
            std::future::pending::<()>().await;
        }
        let json = |status: &str, body: &str| {
            format!("HTTP/1.1 {status}\r\nApi-Version: 1.43\r\nContent-Length: {}\r\n\r\n{body}", body.len())
                .into_bytes()
        };
        let response = if path == "/_ping" {
            json("200 OK", "OK")
        } else if path == "/v1.43/containers/web-1/exec" {
            assert!(request.contains("content-type: application/json"), "{request}");
            assert!(request.contains(r#""Cmd":["check","-x"]"#), "{request}");
            json(self.create.0, self.create.1)
        } else if path == "/v1.43/exec/e1/start" {
            let head = format!("HTTP/1.1 {}\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n", self.start.0);
            [head.into_bytes(), self.start.1].concat()
        } else if path == "/v1.43/exec/e1/json" {
            json("200 OK", self.inspect)
        } else {
            json("500 Internal Server Error", r#"{"message":"unexpected"}"#)
        };
        // In pieces, so that frames come in parts.
        for piece in response.chunks(5000) {
            let _ = stream.write_all(piece).await;
            tokio::task::yield_now().await;
        }
        if self.hangs_at == "after the output" && path.contains("start") {
            std::future::pending::<()>().await;
        }
    }
}

fn start(daemon: Daemon, folder: &Path) -> Vec<Endpoint> {
    let path = folder.join("docker.sock");
    let listener = UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(daemon.clone().answer(stream));
        }
    });
    vec![Endpoint::Unix(path)]
}

/// A command in a container.
fn in_container(container: &str) -> DockerExecCheck {
    DockerExecCheck { container: container.into(), args: Box::new(["check", "-x"].map(Arc::<str>::from)) }
}

async fn run_in(container: &str, daemon: Daemon, bounds: Bounds) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    probe(&start(daemon, folder.path()), &Commands::new(None), &in_container(container), bounds).await
}

async fn check(daemon: Daemon, status: CheckStatus, output: &str) {
    let outcome = run_in("web-1", daemon, BOUNDS).await;
    assert_eq!(outcome, Outcome::Done { status, output: output.to_owned() });
}

async fn check_not_made(daemon: Daemon, words: &str) {
    let outcome = run_in("web-1", daemon, Bounds { timeout: Duration::from_millis(300), ..BOUNDS }).await;
    assert!(matches!(&outcome, Outcome::NotMade(reason) if reason.contains(words)), "{outcome:?}");
}

const ENDED: &str = r#"{"Running":false,"ExitCode":0,"Pid":0}"#;

#[tokio::test]
async fn the_exit_status_is_the_verdict() {
    let ended = |code| Daemon::running(&[(1, b"fine | a=1\nmore\n")], code);
    check(ended(ENDED), CheckStatus::Passing, "fine\nperfdata: a=1").await;
    check(ended(r#"{"Running":false,"ExitCode":1}"#), CheckStatus::Warning, "fine\nperfdata: a=1").await;
    check(ended(r#"{"Running":false,"ExitCode":137}"#), CheckStatus::Critical, "fine\nperfdata: a=1").await;
    let both = Daemon::running(&[(2, b"err\n"), (1, b""), (1, b"o"), (1, b"ut\n")], ENDED);
    check(both, CheckStatus::Passing, "out").await;
    check(Daemon::running(&[(2, b"err\n")], ENDED), CheckStatus::Passing, "err").await;
    check(Daemon::running(&[], ENDED), CheckStatus::Passing, "exit status 0, and n").await;
}

#[tokio::test]
async fn a_flood_is_cut() {
    let daemon = Daemon::running(&[(1, &[b'x'; 300_000]), (2, &[b'y'; 300_000]), (1, b"\n")], ENDED);
    check(daemon, CheckStatus::Passing, "xxxxxxxxxxxxxxxxxxxx").await;
}

#[tokio::test]
async fn a_container_that_cannot_run_it_is_critical() {
    let good = Daemon::running(&[], ENDED);
    for (create, words) in [
        (("404 Not Found", r#"{"message":"No such container: web-1"}"#), "container web-1: No such container: web-1"),
        (("409 Conflict", r#"{"message":"container is not running"}"#), "container web-1: container is not running"),
    ] {
        let outcome = run_in("web-1", Daemon { create, ..good.clone() }, BOUNDS).await;
        assert_eq!(outcome, Outcome::critical(words));
    }
    let refused =
        Daemon { start: ("400 Bad Request", b"{\"message\":\"executable file not found\"}".to_vec()), ..good.clone() };
    assert_eq!(run_in("web-1", refused, BOUNDS).await, Outcome::critical("container web-1: executable file not found"));
    for name in ["", "../x", "a b", "a?b"] {
        let outcome = run_in(name, good.clone(), BOUNDS).await;
        assert_eq!(outcome, Outcome::critical(format!("{name:?} cannot be the name of a container")));
    }
}

#[tokio::test]
async fn a_command_that_hangs_is_critical_with_what_it_said() {
    let bounds = Bounds { timeout: Duration::from_millis(500), output_max_bytes: 4096 };
    let daemon = Daemon { hangs_at: "after the output", ..Daemon::running(&[(1, b"halfway\n")], ENDED) };
    assert_eq!(run_in("web-1", daemon, bounds).await, Outcome::critical("timed out after 500ms\nhalfway"));
    let going_on = Daemon::running(&[], r#"{"Running":true,"ExitCode":null}"#);
    assert_eq!(run_in("web-1", going_on, bounds).await, Outcome::critical("timed out after 500ms"));
}

#[tokio::test]
async fn a_daemon_that_tells_nothing_is_no_verdict() {
    let good = Daemon::running(&[], ENDED);
    check_not_made(Daemon { hangs_at: "_ping", ..good.clone() }, "no answer within 300ms").await;
    check_not_made(Daemon { hangs_at: "containers", ..good.clone() }, "no answer within 300ms").await;
    check_not_made(Daemon { create: ("500 Oops", "{}"), ..good.clone() }, "500").await;
    check_not_made(Daemon { create: ("201 Created", "garbage"), ..good.clone() }, "unknown").await;
    check_not_made(Daemon { create: ("201 Created", r#"{"Id":"../x"}"#), ..good.clone() }, "ID of a command").await;
    check_not_made(Daemon { start: ("200 OK", b"garbage, not frames".to_vec()), ..good }, "no output of a command")
        .await;
    let check = DockerExecCheck { container: "web-1".into(), args: Box::new([Arc::<str>::from("check")]) };
    let nowhere = [Endpoint::Unix("/nonexistent/docker.sock".into())];
    let outcome = probe(&nowhere, &Commands::new(None), &check, BOUNDS).await;
    assert_eq!(outcome, Outcome::NotMade("no Docker daemon is known here".to_owned()));
    let folder = tempfile::tempdir().unwrap();
    let closed = folder.path().join("docker.sock");
    drop(UnixListener::bind(&closed).unwrap());
    let outcome = probe(&[Endpoint::Unix(closed)], &Commands::new(None), &check, BOUNDS).await;
    assert!(matches!(&outcome, Outcome::NotMade(reason) if reason.contains("cannot connect")), "{outcome:?}");
}

#[tokio::test]
async fn a_check_that_is_not_probed_says_why_until_it_is_and_wakes_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let docker = vec![Endpoint::Unix(folder.path().join("docker.sock"))];
    let catalog = Catalog::start().await;
    let settings = HealthSettings { scripts: ScriptChecks::All, docker, ..settings(0) };
    let metrics = Arc::clone(&settings.metrics);
    let _health = health::start(&catalog, settings);
    let kind = CheckKind::DockerExec(Box::new(in_container("web-1")));
    let definition = definition(kind, Duration::from_millis(100), BOUNDS.timeout);
    let check = Check { status: CheckStatus::Passing, ..check_of("exec", (String::new(), definition)) };
    catalog.register("n1", vec![check]).await;
    let index = catalog.published.load().index();
    let is = |output: &str| catalog.status("exec") == Some((CheckStatus::Passing, output.to_owned()));
    until("it says why", || is("not probed: no Docker daemon is known here")).await;
    let serial = catalog.published.load().serial;
    until("some more could not be made", || metrics.checks_not_made.get() > 5).await;
    start(Daemon::running(&[(1, b"fine\n")], ENDED), folder.path());
    until("it says what the command said", || is("fine")).await;
    let snapshot = catalog.published.load();
    assert_eq!((snapshot.index(), snapshot.serial), (index, serial), "a text is no change");
}
