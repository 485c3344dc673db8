//! How the program starts, refuses to start, and stops.

use std::{
    fs,
    net::TcpListener,
    path::Path,
    process::{Child, Output, Stdio},
    sync::atomic::{AtomicU32, Ordering::Relaxed},
};

use rustix::process::Signal;
use serde_json::json;
use tempfile::tempdir;

use crate::harness::{Running, program, run, serve, serve_by, start, until};

/// Runs `serve` with these arguments, which must fail as a wrong setting does; returns what it said.
#[track_caller]
fn refused(home: &Path, arguments: &[&str]) -> String {
    let base = ["serve", "--forward", "off"];
    let Output { status, stdout, stderr } = run(home, &[&base[..], arguments].concat());
    let said = String::from_utf8(stderr).unwrap();
    assert_eq!((status.code(), stdout.len()), (Some(2), 0), "{said}");
    said
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_ends_the_server_with_0_and_keeps_the_catalog() {
    for signal in [Signal::TERM, Signal::INT] {
        let (home, data) = (tempdir().unwrap(), tempdir().unwrap());
        let directory = ["--data-dir", data.path().to_str().unwrap()];
        let mut served = serve(&home, &directory).await;
        served.at.register(json!({ "Name": "web", "Address": "192.0.2.9", "Port": 80 })).await;
        served.signal(signal);
        assert_eq!(served.ended().await.code(), Some(0), "{}", served.complaints());
        drop(served);
        let mut served = serve(&home, &directory).await;
        assert_eq!(served.at.addresses("web.service.internal.").await, ["192.0.2.9"]);
        assert_eq!(served.stop().await.code(), Some(0));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_operator_adds_to_the_servers_own_service_is_kept() {
    let data = tempdir().unwrap();
    let settings = format!("data_dir = {:?}\n", data.path());
    let shadowed = json!({ "ID": "nameplate", "Name": "web", "Address": "192.0.2.9", "Port": 80 });
    let check = json!({ "ID": "extra", "Name": "extra", "ServiceID": "nameplate", "TTL": "1h", "Status": "passing" });
    {
        let Running { server, at } = start(&settings).await;
        assert_eq!(at.put("/v1/agent/service/register", &shadowed.to_string()).await.status, 200);
        assert_eq!(at.put("/v1/agent/check/register", &check.to_string()).await.status, 200);
        let maintenance = "/v1/agent/service/maintenance/nameplate?enable=true&reason=tests";
        assert_eq!(at.put(maintenance, "").await.status, 200);
        server.shutdown().await;
    }
    {
        let Running { server, at } = start(&settings).await;
        let own = at.json("/v1/agent/services").await["nameplate"].clone();
        assert_eq!((&own["Origin"], &own["Shadowed"]), (&json!("server"), &json!(["api"])));
        assert_eq!(own["Port"], at.http.port(), "what it was at the last start does not count");
        let checks = at.json("/v1/agent/checks").await;
        for (id, status) in [("extra", "passing"), ("_service_maintenance:nameplate", "critical")] {
            assert_eq!(checks[id]["Status"], status, "{checks}");
        }
        server.shutdown().await;
    }
    let Running { server, at } = start(&format!("{settings}node = \"n2\"\n")).await;
    let nodes = at.json("/v1/catalog/service/nameplate").await;
    assert_eq!(nodes.as_array().unwrap().iter().map(|one| &one["Node"]).collect::<Vec<_>>(), ["n2"]);
    let own = at.json("/v1/agent/services").await["nameplate"].clone();
    assert_eq!(own["Shadowed"], json!(["api"]), "what lies aside goes with it to the new name");
    assert_eq!(at.json("/v1/agent/checks").await["extra"]["Status"], "passing");
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_under_load_loses_nothing_that_was_acknowledged() {
    let (home, data) = (tempdir().unwrap(), tempdir().unwrap());
    let directory = ["--data-dir", data.path().to_str().unwrap()];
    let mut served = serve(&home, &directory).await;
    let at = served.at;
    let acknowledged = AtomicU32::new(0);
    // Each registers until nobody listens any more; who was let in is answered.
    let register = async |client: u32| {
        for number in 0.. {
            let id = format!("{client}-{number}");
            let body = json!({ "Name": "web", "ID": id, "Address": "192.0.2.9", "Port": 80 }).to_string();
            match at.try_put("/v1/agent/service/register", &body).await {
                Some(page) => assert_eq!(page.status, 200, "{}", page.body),
                None => return number,
            }
            acknowledged.fetch_add(1, Relaxed);
        }
        0
    };
    let stop = async {
        until("there is load", async || acknowledged.load(Relaxed) >= 40).await;
        served.signal(Signal::TERM);
        served.ended().await
    };
    let (one, two, three, status) = tokio::join!(register(1), register(2), register(3), stop);
    assert_eq!(status.code(), Some(0), "{}", served.complaints());
    drop(served);
    let mut served = serve(&home, &directory).await;
    let kept = served.at.json("/v1/agent/services").await;
    for (client, count) in [(1, one), (2, two), (3, three)] {
        assert!((0..count).all(|number| !kept[format!("{client}-{number}")].is_null()), "all {count} of {client}");
    }
    assert_eq!(served.stop().await.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_whose_output_cannot_be_written_serves_all_the_same() {
    let home = tempdir().unwrap();
    let (config, complained) = (home.path().join("nameplate.toml"), home.path().join("complained"));
    fs::write(&config, "").unwrap();
    let mut command = program(home.path());
    command.args(["serve", "-c", config.to_str().unwrap(), "--dns", "127.0.0.1:0", "--http", "127.0.0.1:0"]);
    command.args(["--forward", "off", "--ephemeral"]);
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut served = Killed(command.stdout(full).stderr(fs::File::create(&complained).unwrap()).spawn().unwrap());
    let child = &mut served.0;
    let mut ttl_secs = 0;
    until("it follows its files", async || {
        ttl_secs += 1;
        fs::write(&config, format!("ttl = {ttl_secs}\n")).unwrap();
        assert_eq!(child.try_wait().unwrap(), None, "{}", fs::read_to_string(&complained).unwrap());
        fs::read_to_string(&complained).unwrap().contains("configuration read")
    })
    .await;
    rustix::process::kill_process(rustix::process::Pid::from_child(child), Signal::TERM).unwrap();
    until("it has ended", async || child.try_wait().unwrap().is_some()).await;
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sighup_during_the_start_is_no_end() {
    let home = tempdir().unwrap();
    // The start waits until somebody reads the query log.
    let log = home.path().join("queries");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &log,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
        0,
    )
    .unwrap();
    let mut command = program(home.path());
    command.env("NAMEPLATE_QUERY_LOG", "all").env("NAMEPLATE_QUERY_LOG_FILE", &log);
    command.args(["serve", "--dns", "127.0.0.1:0", "--http", "127.0.0.1:0", "--forward", "off", "--ephemeral"]);
    let said = home.path().join("said");
    let mut served = Killed(command.stdout(fs::File::create(&said).unwrap()).stderr(Stdio::null()).spawn().unwrap());
    let child = &mut served.0;
    let status = format!("/proc/{}/status", child.id());
    until("signals are watched", async || {
        let status = fs::read_to_string(&status).unwrap();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap().trim();
        u64::from_str_radix(caught, 16).unwrap() >> (Signal::HUP.as_raw() - 1) & 1 == 1
    })
    .await;
    assert_eq!(fs::read_to_string(&said).unwrap(), "", "it is not up yet");
    let process = rustix::process::Pid::from_child(child);
    rustix::process::kill_process(process, Signal::HUP).unwrap();
    let _reader = tokio::task::spawn_blocking(move || fs::File::open(log)).await.unwrap().unwrap();
    until("it is up", async || fs::read_to_string(&said).unwrap().contains("is up")).await;
    rustix::process::kill_process(process, Signal::TERM).unwrap();
    until("it has ended", async || child.try_wait().unwrap().is_some()).await;
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

/// A process that does not outlive its test.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // It has mostly ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_warning_on_settings_is_told_once() {
    let home = tempdir().unwrap();
    let mut command = program(home.path());
    command.env("NAMEPLATE_DOMIAN", "example");
    let mut served = serve_by(command, &home, &["--ephemeral", "--log-format", "json"]).await;
    let told = served.complaints();
    assert_eq!(told.matches("did you mean NAMEPLATE_DOMAIN?").count(), 1, "{told}");
    assert!(told.lines().all(|line| line.starts_with('{')), "collectors get nothing but JSON: {told}");
    assert_eq!(served.stop().await.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ephemeral_server_writes_nothing() {
    let home = tempdir().unwrap();
    let mut served = serve(&home, &["--ephemeral"]).await;
    served.at.register(json!({ "Name": "web", "Address": "192.0.2.9", "Port": 80 })).await;
    assert_eq!(served.stop().await.code(), Some(0));
    let mut files: Vec<String> =
        fs::read_dir(home.path()).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    files.sort();
    assert_eq!(files, ["complained", "said"], "but what the test itself had it write");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_that_another_program_has_is_named_with_its_holder() {
    let home = tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let me = format!("(process {})", std::process::id());
    for setting in ["--http", "--dns"] {
        let other = if setting == "--http" { "--dns" } else { "--http" };
        let said = refused(home.path(), &["--ephemeral", setting, &address, other, "127.0.0.1:0"]);
        assert!(said.contains(setting.trim_start_matches('-')), "names the setting: {said}");
        for part in [&address, &me, "choose another address"] {
            assert!(said.contains(part), "{part}: {said}");
        }
        assert_eq!(said.lines().count(), 1, "{said}");
    }
    // One that nobody has by TCP, which is opened first.
    let udp = std::iter::repeat_with(|| std::net::UdpSocket::bind("127.0.0.1:0").unwrap());
    let udp = udp.take(100).find(|udp| TcpListener::bind(udp.local_addr().unwrap()).is_ok()).unwrap();
    let address = udp.local_addr().unwrap().to_string();
    let said = refused(home.path(), &["--ephemeral", "--dns", &address, "--http", "127.0.0.1:0"]);
    assert!(said.contains("UDP") && said.contains(&me) && said.contains(&address), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_server_on_the_same_ports_or_data_is_refused() {
    let (home, data, other) = (tempdir().unwrap(), tempdir().unwrap(), tempdir().unwrap());
    let directory = data.path().to_str().unwrap();
    let mut served = serve(&home, &["--data-dir", directory]).await;
    let holder = format!("nameplate (process {})", served.pid());
    let (dns, http) = (served.at.dns.to_string(), served.at.http.to_string());
    let said = refused(other.path(), &["--ephemeral", "--dns", &dns, "--http", "127.0.0.1:0"]);
    assert!(said.contains(&holder) && said.contains(&dns), "{said}");
    let said = refused(other.path(), &["--ephemeral", "--dns", "127.0.0.1:0", "--http", &http]);
    assert!(said.contains(&holder) && said.contains(&http), "{said}");
    let said = refused(other.path(), &["--data-dir", directory, "--dns", "127.0.0.1:0", "--http", "127.0.0.1:0"]);
    assert!(said.contains(directory) && said.contains("--data-dir") && said.lines().count() == 1, "{said}");
    served.at.register(json!({ "Name": "web", "Address": "192.0.2.9", "Port": 80 })).await;
    assert_eq!(served.at.addresses("web.service.internal.").await, ["192.0.2.9"], "the first goes on");
    assert_eq!(served.stop().await.code(), Some(0));
}

#[test]
fn a_data_directory_that_cannot_be_used_is_named() {
    let home = tempdir().unwrap();
    let ports = ["--dns", "127.0.0.1:0", "--http", "127.0.0.1:0"];
    // Root may write anywhere but where nobody may: below a file, and in /proc.
    let file = home.path().join("file");
    fs::write(&file, "").unwrap();
    for directory in [file.join("below"), "/proc/nameplate".into(), file] {
        let directory = directory.to_str().unwrap();
        let said = refused(home.path(), &[&["--data-dir", directory][..], &ports].concat());
        assert!(said.contains(directory) && said.contains("--data-dir") && said.lines().count() == 1, "{said}");
        assert_eq!(said.matches("os error").count(), 1, "the cause is told once: {said}");
    }
    let said = refused(home.path(), &[&["--data-dir", "file/below"][..], &ports].concat());
    let whole = home.path().canonicalize().unwrap().join("file/below");
    assert!(said.contains(whole.to_str().unwrap()), "a relative one is told in full: {said}");
}

#[test]
fn a_file_or_folder_that_cannot_be_read_is_named_with_its_setting_and_cause() {
    let home = tempdir().unwrap();
    let config = home.path().join("nameplate.toml");
    fs::write(&config, "query_log = \"all\"\nquery_log_file = \"missing/queries\"\n").unwrap();
    let ports = ["--ephemeral", "--dns", "127.0.0.1:0", "--http", "127.0.0.1:0"];
    for (arguments, parts) in [
        (["--zones", "missing"], ["missing: ", "--zones"]),
        (["-c", "missing.toml"], ["missing.toml", "configuration file"]),
        (["-c", config.to_str().unwrap()], ["missing/queries", "query_log_file"]),
    ] {
        let said = refused(home.path(), &[&arguments[..], &ports].concat());
        for part in [parts[0], parts[1], "No such file"] {
            assert!(said.contains(part), "{part}: {said}");
        }
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_query_log_lies_in_a_data_directory_that_is_made_at_the_first_start() {
    let home = tempdir().unwrap();
    let mut command = program(home.path());
    command.env("NAMEPLATE_QUERY_LOG", "all");
    let mut served = serve_by(command, &home, &["--data-dir", "state"]).await;
    served.at.addresses("web.service.internal.").await;
    let log = home.path().join("state/query.log");
    until("the query is in the log", async || fs::read_to_string(&log).is_ok_and(|text| text.contains(" web."))).await;
    assert_eq!(served.stop().await.code(), Some(0));
}

#[test]
fn a_foreign_or_torn_journal_is_never_started_over() {
    let (home, data) = (tempdir().unwrap(), tempdir().unwrap());
    let directory = data.path().to_str().unwrap();
    let ports = ["--dns", "127.0.0.1:0", "--http", "127.0.0.1:0", "--data-dir", directory];
    let served = run(
        home.path(),
        &["serve", "--forward", "off", "--dns", "192.0.2.1:1", "--http", "127.0.0.1:0", "--data-dir", directory],
    );
    assert_eq!(served.status.code(), Some(2), "192.0.2.1 is not ours");
    let files: Vec<_> = fs::read_dir(data.path()).unwrap().map(|file| file.unwrap().path()).collect();
    let journal = files.iter().max_by_key(|path| path.metadata().unwrap().len()).unwrap();
    fs::write(journal, "this is no journal of ours, but it is somebody's ".repeat(1000)).unwrap();
    let before = fs::read(journal).unwrap();
    let said = refused(home.path(), &ports);
    assert!(said.contains(journal.to_str().unwrap()) && said.lines().count() == 1, "{said}");
    assert_eq!(fs::read(journal).unwrap(), before, "it is left as it was");
}

#[test]
fn a_bad_zone_at_the_start_is_told_with_all_its_lines() {
    let (home, zones) = (tempdir().unwrap(), tempdir().unwrap());
    let text = "$ORIGIN corp.example.\n$TTL 60\n@ SOA ns host 1 60 60 60 60\n@ NS ns\nns A 192.0.2.53\n\
                bad A 300\nworse DNAME x\n";
    fs::write(zones.path().join("corp.zone"), text).unwrap();
    let directory = zones.path().to_str().unwrap();
    let said =
        refused(home.path(), &["--ephemeral", "--dns", "127.0.0.1:0", "--http", "127.0.0.1:0", "--zones", directory]);
    for part in ["corp.zone", "line 6", "line 7", "DNAME"] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn all_problems_of_a_configuration_are_told_at_once_with_their_lines() {
    let home = tempdir().unwrap();
    let file = home.path().join("nameplate.toml");
    fs::write(&file, "ttl = \"soon\"\nhttp = \"127.0.0.1\"\ndomian = \"example\"\nmax_answers = -1\n").unwrap();
    for arguments in [["serve", "-c", file.to_str().unwrap()], ["config", "check", file.to_str().unwrap()]] {
        let output = run(home.path(), &arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        for part in ["line 1", "ttl", "line 2", "http", "line 3", "domain", "line 4", "max_answers"] {
            assert!(said.contains(part), "{part}: {said}");
        }
        assert_eq!(said.lines().count(), 4, "{said}");
    }
}
