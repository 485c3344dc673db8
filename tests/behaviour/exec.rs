//! `nameplate exec`: a program that is registered while it lives.

use std::{
    fs::{self, File},
    io::Write,
    path::Path,
    process::{Child, Command, Stdio},
};

use rustix::{
    process::{Pid, Signal, kill_process},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
};
use serde_json::json;
use tempfile::{TempDir, tempdir};

use crate::harness::{Client, program, run, serve, until};

/// `nameplate exec` with these options; the program is a shell script.
struct Executed {
    child: Child,
    home: TempDir,
}

impl Executed {
    fn start(server: &str, options: &str, script: &str) -> Executed {
        let home = tempdir().unwrap();
        let mut command = program(home.path());
        command.args(["exec", "--server", server]).args(options.split_whitespace()).args(["--", "sh", "-c", script]);
        command.env("PATH", "/usr/bin:/bin").stdout(Stdio::null());
        command.stderr(File::create(home.path().join("complained")).unwrap());
        Executed { child: command.spawn().unwrap(), home }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// What it, or its program, has written to a file.
    fn written(&self, file: &str) -> String {
        fs::read_to_string(self.home.path().join(file)).unwrap_or_default()
    }

    async fn until_written(&self, file: &str, text: &str) {
        until(&format!("{file} has {text:?}"), async || self.written(file).contains(text)).await;
    }

    async fn code(&mut self) -> Option<i32> {
        until("it has ended", async || self.child.try_wait().unwrap().is_some()).await;
        self.child.wait().unwrap().code()
    }
}

impl Drop for Executed {
    fn drop(&mut self) {
        // It may have ended already. Its program is told to end by what it reads or by the test.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn url(at: Client) -> String {
    format!("http://{}", at.http)
}

async fn until_answered(at: Client, name: &str, addresses: &[&str]) {
    until(&format!("{name} is {addresses:?}"), async || at.addresses(name).await == addresses).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_is_registered_while_it_lives() {
    let home = tempdir().unwrap();
    let served = serve(&home, &["--ephemeral"]).await;
    let options = "--name web --port 80 --address 192.0.2.7 --tag blue --meta k=v";
    let mut executed = Executed::start(&url(served.at), options, &format!("{SERVES}; exit 7"));
    until_answered(served.at, "blue.web.service.internal.", &["192.0.2.7"]).await;
    let all = served.at.json("/v1/agent/services").await;
    assert_eq!((all["web-80"]["Port"].as_u64(), all["web-80"]["Meta"]["k"].as_str()), (Some(80), Some("v")), "{all}");
    fs::write(executed.home.path().join("end"), "").unwrap();
    assert_eq!(executed.code().await, Some(7));
    assert_eq!(served.at.get("/v1/agent/service/web-80").await.status, 404, "it ended after it had left");
    assert_eq!(executed.written("complained"), "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_leaves_the_answers_before_its_stop_signal_comes() {
    let home = tempdir().unwrap();
    let served = serve(&home, &["--ephemeral"]).await;
    for (signal, name) in [(Signal::TERM, "TERM"), (Signal::INT, "INT"), (Signal::QUIT, "QUIT")] {
        // The program asks with its last breath whether it is still registered.
        let asks = format!("{} instances web --server {}", env!("CARGO_BIN_EXE_nameplate"), url(served.at));
        let script = format!("trap 'echo got >got; {asks} >found 2>&1; exit 3' {name}; echo up >up; {SERVES}");
        let mut executed = Executed::start(&url(served.at), "--name web --port 80 --address 192.0.2.7", &script);
        until_answered(served.at, "web.service.internal.", &["192.0.2.7"]).await;
        executed.until_written("up", "up").await;
        executed.signal(signal);
        assert_eq!(executed.code().await, Some(3), "{name}");
        assert_eq!(executed.written("got"), "got\n", "{name}: once");
        assert!(executed.written("found").contains("no instance of web"), "{name}: {}", executed.written("found"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_signals_are_passed_on_and_it_stays_registered() {
    let home = tempdir().unwrap();
    let served = serve(&home, &["--ephemeral"]).await;
    let names = ["HUP", "USR1", "USR2", "WINCH"];
    let traps: String = names.iter().map(|name| format!("trap 'echo {name} >>got' {name}; ")).collect();
    let script = format!("{traps} trap 'exit 0' TERM; echo up >up; {SERVES}");
    let mut executed = Executed::start(&url(served.at), "--name web --port 80 --address 192.0.2.7", &script);
    until_answered(served.at, "web.service.internal.", &["192.0.2.7"]).await;
    executed.until_written("up", "up").await;
    for (signal, name) in [Signal::HUP, Signal::USR1, Signal::USR2, Signal::WINCH].into_iter().zip(names) {
        executed.signal(signal);
        executed.until_written("got", name).await;
    }
    assert_eq!(executed.written("got"), "HUP\nUSR1\nUSR2\nWINCH\n");
    assert_eq!(served.at.addresses("web.service.internal.").await, ["192.0.2.7"]);
    executed.signal(Signal::TERM);
    assert_eq!(executed.code().await, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_terminal_sends_comes_once_and_what_a_process_sends_is_passed_on() {
    let home = tempdir().unwrap();
    let served = serve(&home, &["--ephemeral"]).await;
    let (mut terminal, line) = terminal();
    let script = format!("trap 'echo INT >>got' INT; trap 'exit 5' TERM; echo $$ $PPID >up; {SERVES}");
    let mut command = Command::new("setsid");
    command.args(["--ctty", "--wait", env!("CARGO_BIN_EXE_nameplate"), "exec", "--server", &url(served.at)]);
    command.args(["--name", "web", "--port", "80", "--address", "192.0.2.7", "--", "sh", "-c", &script]);
    command.current_dir(home.path()).stdin(line);
    let mut session = command.spawn().unwrap();
    until_answered(served.at, "web.service.internal.", &["192.0.2.7"]).await;
    let written = |file| fs::read_to_string(home.path().join(file)).unwrap_or_default();
    until("it is up", async || written("up").ends_with('\n')).await;
    terminal.write_all(b"\x03").unwrap();
    until("it has got INT", async || !written("got").is_empty()).await;
    // Who supervises gets the terminal's signal at the same time as this one, and passes on but one of them.
    let supervisor =
        written("up").split_whitespace().nth(1).and_then(|pid| Pid::from_raw(pid.parse().unwrap())).unwrap();
    kill_process(supervisor, Signal::INT).unwrap();
    until("it has got the second", async || written("got").lines().count() >= 2).await;
    kill_process(supervisor, Signal::TERM).unwrap();
    until("the session has ended", async || session.try_wait().unwrap().is_some()).await;
    assert_eq!(session.wait().unwrap().code(), Some(5));
    assert_eq!(written("got"), "INT\nINT\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_terminal_stops_both_and_the_shell_continues_both() {
    let home = tempdir().unwrap();
    let served = serve(&home, &["--ephemeral"]).await;
    let (mut terminal, line) = terminal();
    fs::write(home.path().join("job"), format!("trap 'exit 5' TERM; echo $$ $PPID >up; {SERVES}")).unwrap();
    let mut command = Command::new("setsid");
    command.args(["--ctty", "--wait", "sh", "-i"]).current_dir(home.path()).stdin(line);
    let mut shell = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let (program, server) = (env!("CARGO_BIN_EXE_nameplate"), url(served.at));
    let options = "--name web --port 80 --address 192.0.2.7 --check-ttl 1s";
    writeln!(terminal, "{program} exec --server {server} {options} -- sh job").unwrap();
    until_answered(served.at, "web.service.internal.", &["192.0.2.7"]).await;
    let written = || fs::read_to_string(home.path().join("up")).unwrap_or_default();
    until("it is up", async || written().ends_with('\n')).await;
    let both: Vec<i32> = written().split_whitespace().map(|pid| pid.parse().unwrap()).collect();
    let stopped = |pid: &i32| fs::read_to_string(format!("/proc/{pid}/stat")).unwrap().contains(") T ");

    terminal.write_all(b"\x1a").unwrap();
    until("both are stopped", async || both.iter().all(stopped)).await;
    // Nobody serves, and nobody renews the deadline.
    until_answered(served.at, "web.service.internal.", &[]).await;
    terminal.write_all(b"fg\n").unwrap();
    until("both go on", async || !both.iter().any(stopped)).await;
    until_answered(served.at, "web.service.internal.", &["192.0.2.7"]).await;

    kill_process(Pid::from_raw(both[1]).unwrap(), Signal::TERM).unwrap();
    writeln!(terminal, "exit $?").unwrap();
    until("the shell has ended", async || shell.try_wait().unwrap().is_some()).await;
    assert_eq!(shell.wait().unwrap().code(), Some(5));
}

/// A terminal's two ends: what is typed into the first comes out of the second.
fn terminal() -> (File, File) {
    let terminal = File::from(openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap());
    grantpt(&terminal).unwrap();
    unlockpt(&terminal).unwrap();
    let line = ptsname(&terminal, Vec::new()).unwrap().into_string().unwrap();
    (terminal, File::options().read(true).write(true).open(line).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_exit_code_is_the_programs() {
    let home = tempdir().unwrap();
    let said = |arguments: &[&str]| {
        let output =
            run(home.path(), &[&["exec", "--name", "web", "--port", "80", "--server", NOWHERE], arguments].concat());
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(said(&["--", "/bin/sh", "-c", "exit 0"]).0, Some(0));
    assert_eq!(said(&["/bin/sh", "-c", "exit 42"]).0, Some(42), "without the two dashes");
    assert_eq!(said(&["--", "/bin/sh", "-c", "kill -KILL $$"]).0, Some(137));
    assert_eq!(said(&["--", "/bin/sh", "-c", "kill -TERM $$"]).0, Some(143));
    assert_eq!(said(&["--", "/bin/sh", "-c", "exit $#", "sh", "a b", "", "$x"]).0, Some(3), "no shell reads them");
    let (code, error) = said(&["--", "./missing"]);
    assert!(code == Some(127) && error.contains("cannot run ./missing: No such file"), "{code:?} {error}");
    fs::write(home.path().join("text"), "text").unwrap();
    let (code, error) = said(&["--", "./text"]);
    assert!(code == Some(126) && error.contains("cannot run ./text: Permission denied"), "{code:?} {error}");
    for wrong in [&[][..], &["--id", "x", "--"], &["--check-http", "/", "--check-ttl", "3s", "--", "true"]] {
        assert_eq!(said(wrong).0, Some(2), "{wrong:?}");
    }
    for wrong in [&["--", "true"][..], &["--name", "web", "--", "true"], &["--port", "80", "--", "true"]] {
        assert_eq!(run(home.path(), &[&["exec"], wrong].concat()).status.code(), Some(2), "{wrong:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_runs_without_a_server_and_is_registered_when_it_comes_or_has_forgotten() {
    let home = tempdir().unwrap();
    let http = format!("127.0.0.1:{}", free_port());
    let server = format!("http://{http}");
    let mut executed = Executed::start(
        &server,
        "--name web --port 80 --address 192.0.2.7",
        &format!("trap 'exit 0' TERM; echo up >up; {SERVES}"),
    );
    executed.until_written("up", "up").await;
    executed.until_written("complained", "web runs, but is not known to be registered yet: cannot reach").await;
    for start in ["first", "second, with an empty catalog"] {
        let mut served = serve(&home, &["--ephemeral", "--http", &http]).await;
        until_answered(served.at, "web.service.internal.", &["192.0.2.7"]).await;
        executed.until_written("complained", "web is registered as web-80").await;
        assert!(served.stop().await.success(), "{start}");
    }
    executed.signal(Signal::TERM);
    assert_eq!(executed.code().await, Some(0), "it ends without a server too");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_deadline_is_renewed_while_the_program_lives() {
    let home = tempdir().unwrap();
    let served = serve(&home, &["--ephemeral"]).await;
    let options = "--name web --port 80 --address 192.0.2.7 --id one --check-ttl 1s";
    let executed = Executed::start(&url(served.at), options, &format!("echo $$ >pid; {SERVES}"));
    until_answered(served.at, "web.service.internal.", &["192.0.2.7"]).await;
    // Twice the deadline.
    assert_eq!(Executed::start(&url(served.at), "--name other --port 80", "sleep 2").code().await, Some(0));
    assert_eq!(served.at.addresses("web.service.internal.").await, ["192.0.2.7"]);
    // Killed, it renews nothing any more, though the program lives on.
    executed.signal(Signal::KILL);
    until_answered(served.at, "web.service.internal.", &[]).await;
    let lives = || Path::new(&format!("/proc/{}", executed.written("pid").trim())).exists();
    assert!(lives());
    fs::write(executed.home.path().join("end"), "").unwrap();
    until("the program has ended", async || !lives()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_path_is_checked_at_the_instances_own_address_and_port() {
    let home = tempdir().unwrap();
    let served = serve(&home, &["--ephemeral"]).await;
    let port = served.at.http.port();
    let options = format!("--name api --port {port} --address 127.0.0.1 --check-http /v1/status/leader --interval 1s");
    let mut executed = Executed::start(&url(served.at), &options, &format!("trap 'exit 0' TERM; {SERVES}"));
    until_answered(served.at, "api.service.internal.", &["127.0.0.1"]).await;
    executed.signal(Signal::TERM);
    assert_eq!(executed.code().await, Some(0));
    // Without an address it is the node's.
    assert_eq!(served.verb(&["register", "api", "--port", "80", "--check-http", "/health"]).0, 0);
    let node = served.at.json("/v1/agent/self").await["Member"]["Addr"].as_str().unwrap().to_owned();
    let exported = served.at.get("/v1/export").await.body;
    assert!(exported.contains(&format!("\"HTTP\":\"http://{node}:80/health\"")), "{exported}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_tells_the_program_where_a_service_is() {
    let home = tempdir().unwrap();
    let served = serve(&home, &["--ephemeral", "--docker", "off"]).await;
    let linked = |server: &str, link: &str| {
        let mut command = program(home.path());
        command.args(["exec", "--server", server, "--link", link, "--", "/usr/bin/env"]);
        // No Docker daemon of this machine is asked.
        let output = command.env("DOCKER_HOST", "unix:///nowhere").env("PG_PORT", "inherited").output().unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        let mut lines: Vec<_> = printed.lines().filter(|line| line.starts_with("PG_")).map(str::to_owned).collect();
        lines.sort();
        (output.status.code(), lines, String::from_utf8(output.stderr).unwrap())
    };
    let server = url(served.at);
    let (code, lines, error) = linked(&server, "db:pg");
    assert!(code == Some(1) && lines.is_empty() && error.contains("no instance of that service passes"), "{error}");
    served
        .at
        .register(json!({ "Name": "db", "ID": "a", "Address": "192.0.2.1", "Port": 1, "Check": { "TTL": "1m" } }))
        .await;
    assert_eq!(linked(&server, "db:pg").0, Some(1), "it is critical");
    served.at.register(json!({ "Name": "db", "ID": "b", "Address": "192.0.2.2", "Port": 5432 })).await;
    let (code, lines, error) = linked(&server, "db:pg");
    let expected = [
        "PG_NAME=/env/pg",
        "PG_PORT=tcp://192.0.2.2:5432",
        "PG_PORT_5432_TCP=tcp://192.0.2.2:5432",
        "PG_PORT_5432_TCP_ADDR=192.0.2.2",
        "PG_PORT_5432_TCP_PORT=5432",
        "PG_PORT_5432_TCP_PROTO=tcp",
    ];
    assert_eq!((code, lines.iter().map(String::as_str).collect()), (Some(0), expected.to_vec()), "{error}");
    assert!(error.contains("--link db: Docker is not asked: unix:///nowhere: cannot connect"), "{error}");
    assert_eq!(linked(NOWHERE, "db:pg").0, Some(3));
    let twice = ["exec", "--link", "db:my-pg", "--link", "db:MY_PG", "--", "true"];
    assert_eq!(run(home.path(), &twice).status.code(), Some(2));
}

/// A port that nobody listens on.
fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// What a script does until it is told to end; a while at the most, so that none outlives a test that failed.
const SERVES: &str = "i=0; while [ ! -e end ] && [ $i -lt 400 ]; do i=$((i + 1)); sleep 0.05; done";

/// Where no server is: the port for what is thrown away.
const NOWHERE: &str = "http://127.0.0.1:9";
