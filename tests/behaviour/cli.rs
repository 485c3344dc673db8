//! The verbs of the command line, as a shell runs them.

use std::fs;

use serde_json::{Value, json};
use tempfile::tempdir;

use crate::harness::{program, run, serve};

/// Runs the program; returns exit code, standard output and standard error.
fn said(home: &tempfile::TempDir, arguments: &[&str]) -> (i32, String, String) {
    let output = run(home.path(), arguments);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_lives_through_the_verbs() {
    let home = tempdir().unwrap();
    let served = serve(&home, &["--ephemeral"]).await;
    let at = served.at;
    let register = ["register", "web", "--port", "80", "--address", "192.0.2.9", "--tag", "blue", "--meta", "a=b"];
    assert_eq!(served.verb(&register), (0, "registered web as web\n".to_owned(), String::new()));
    assert_eq!(at.addresses("blue.web.service.internal.").await, ["192.0.2.9"]);

    let (code, out, _) = served.verb(&["services"]);
    assert!(
        code == 0
            && out.contains("nameplate")
            && out.lines().any(|line| line.starts_with("web") && line.contains("blue")),
        "{out}"
    );
    let (code, out, _) = served.verb(&["services", "--json"]);
    assert_eq!((code, serde_json::from_str::<Value>(&out).unwrap()["web"].clone()), (0, json!(["blue"])));
    let (code, out, _) = served.verb(&["instances", "web"]);
    assert!(code == 0 && out.contains("192.0.2.9") && out.contains("passing"), "{out}");
    let (code, out, error) = served.verb(&["instances", "nobody"]);
    assert!(code == 1 && out.is_empty() && error.contains("nobody"), "{out}{error}");

    let (code, out, _) = served.verb(&["query", "web.service.internal", "SRV"]);
    assert!(code == 0 && out.starts_with("NOERROR qr aa") && out.contains("c0000209.addr.internal"), "{out}");
    assert_eq!(at.put("/v1/agent/service/maintenance/web?enable=true", "").await.status, 200);
    let (code, out, _) = served.verb(&["query", "web.service.internal"]);
    assert!(
        code == 1
            && out.contains("in maintenance")
            && out.contains("EXTENDED ERROR 0 (Other): web: 1 registered, 0 passing"),
        "{out}"
    );
    let (code, out, _) = served.verb(&["instances", "web"]);
    assert!(code == 1 && out.contains("maintenance"), "{out}");
    let (code, out, _) = served.verb(&["query", "nobody.service.internal"]);
    assert!(code == 1 && out.starts_with("NXDOMAIN"), "{out}");

    assert_eq!(served.verb(&["deregister", "web"]), (0, "deregistered web\n".to_owned(), String::new()));
    let (code, out, error) = served.verb(&["deregister", "web"]);
    assert!(code == 1 && out.is_empty() && error.contains("web"), "{error}");
    assert_eq!(served.verb(&["cache", "flush"]), (0, "flushed 0 entries\n".to_owned(), String::new()));
    assert_eq!(served.verb(&["cache", "flush", "www.example"]).0, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn checks_are_registered_with_the_instance() {
    let home = tempdir().unwrap();
    let served = serve(&home, &["--ephemeral"]).await;
    assert_eq!(served.verb(&["register", "db", "--port", "5432", "--id", "db-1", "--check-ttl", "1m"]).0, 0);
    let (code, out, _) = served.verb(&["instances", "db"]);
    assert!(code == 1 && out.contains("db-1") && out.contains("critical"), "{out}");
    assert_eq!(served.at.put("/v1/agent/check/pass/service:db-1", "").await.status, 200);
    assert_eq!(served.verb(&["instances", "db"]).0, 0);
    let (code, _, error) = served.verb(&["register", "Grüße", "--port", "80"]);
    assert!(code == 0 && error.contains("warning") && error.contains("answered as"), "{error}");
    let target = served.at.http.to_string();
    assert_eq!(served.verb(&["register", "api", "--port", "80", "--check-tcp", &target, "--interval", "1s"]).0, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_over_http_tells_each_instance_and_why() {
    let home = tempdir().unwrap();
    let served = serve(&home, &["--ephemeral"]).await;
    let at = served.at;
    at.register(json!({ "Name": "web", "ID": "a", "Address": "192.0.2.1", "Port": 80 })).await;
    at.register(json!({ "Name": "web", "ID": "b", "Address": "192.0.2.2", "Port": 80, "Check": { "TTL": "1m" } }))
        .await;
    let told = at.json("/v1/dns/query?name=web.service.internal&type=A").await;
    assert_eq!(
        (&told["Rcode"], &told["Service"], &told["Flags"]),
        (&json!("NOERROR"), &json!("web"), &json!(["qr", "aa", "rd"]))
    );
    assert_eq!(told["Answer"].as_array().unwrap().len(), 1);
    let instances = told["Instances"].as_array().unwrap();
    assert_eq!(instances.iter().map(|one| one["Answered"].clone()).collect::<Vec<_>>(), [json!(true), json!(false)]);
    assert!(instances[1]["Reason"].as_str().unwrap().contains("critical"), "{told}");
    for path in ["?name=a..b", "?name=web&type=NONSENSE", "", "?name="] {
        let page = at.get(&format!("/v1/dns/query{path}")).await;
        assert_eq!(page.status, 400, "{path}: {}", page.body);
    }
}

#[test]
fn exit_codes_tell_wrong_use_from_a_server_that_is_not_there() {
    let home = tempdir().unwrap();
    let (code, _, error) = said(&home, &["services", "--server", "http://127.0.0.1:9"]);
    assert!(code == 3 && error.contains("127.0.0.1:9") && error.contains("nameplate serve"), "{error}");
    for wrong in [
        &["register", "web"][..],
        &["register", "web", "--port", "0"],
        &["register", "web", "--port", "80", "--check-ttl", "soon"],
        &["nonsense"],
        &["services", "--server", "ftp://nowhere"],
        &["serve", "--docker", "docker.sock"],
        &["serve", "--docker-tags", "{{"],
        &["serve", "--data-dir", "x", "--ephemeral"],
        &["serve", "--http", "8500"],
        &["serve", "-c", "missing.toml"],
        &[],
    ] {
        let (code, out, error) = said(&home, wrong);
        assert!(code == 2 && out.is_empty() && !error.is_empty(), "{wrong:?}: {code} {out}{error}");
    }
    let output =
        program(home.path()).args(["services"]).env("NAMEPLATE_SERVER", "http://127.0.0.1:9").output().unwrap();
    assert_eq!(output.status.code(), Some(3), "the variable counts");
}

#[test]
fn a_zone_file_is_checked_with_line_numbers() {
    let home = tempdir().unwrap();
    let file = home.path().join("corp.zone");
    let path = file.to_str().unwrap();
    let good = "$ORIGIN corp.example.\n$TTL 60\n@ SOA ns host 1 1h 10m 1d 5m\n@ NS ns\nns A 192.0.2.53\n";
    fs::write(&file, good).unwrap();
    assert_eq!(said(&home, &["zone", "check", path]), (0, format!("{path}: ok\n"), String::new()));
    fs::write(&file, format!("{good}www A 192.0.2.300\nwww MX mail\n")).unwrap();
    let (code, out, _) = said(&home, &["zone", "check", path]);
    assert!(code == 1 && out.contains("line 6") && out.contains("line 7") && out.ends_with(": refused\n"), "{out}");
    assert_ne!(said(&home, &["zone", "check", "missing.zone"]).0, 0);
    for shipped in ["corp.example.zone", "internal.zone"] {
        let path = format!("{}/zones/{shipped}", env!("CARGO_MANIFEST_DIR"));
        assert_eq!(said(&home, &["zone", "check", &path]).0, 0, "{shipped}");
    }
}

#[test]
fn settings_are_printed_as_they_are_in_force() {
    let home = tempdir().unwrap();
    let file = home.path().join("nameplate.toml");
    fs::write(&file, "ttl = \"7s\"\ndomain = \"file.example\"\ndatacenter = \"filedc\"\n").unwrap();
    let path = file.to_str().unwrap();
    let output = program(home.path())
        .args(["config", "-c", path, "--domain", "flag.example"])
        .env("NAMEPLATE_DOMAIN", "variable.example")
        .env("NAMEPLATE_DATACENTER", "vardc")
        .output()
        .unwrap();
    let out = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0));
    let printed: toml::Table = out.parse().unwrap();
    for (key, value) in [("domain", "flag.example"), ("datacenter", "vardc"), ("ttl", "7s")] {
        assert_eq!(printed[key].as_str().map(|text| text.trim_end_matches('.')), Some(value), "{out}");
    }
    let (code, out, _) = said(&home, &["config", "check", path]);
    assert_eq!((code, out), (0, format!("{path}: ok\n")));
    fs::write(&file, out_of(&home)).unwrap();
    assert_eq!(said(&home, &["config", "check", path]).0, 0, "what is printed is a configuration");
}

fn out_of(home: &tempfile::TempDir) -> String {
    said(home, &["config"]).1
}

#[test]
fn completions_are_printed_for_each_shell() {
    let home = tempdir().unwrap();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let (code, out, error) = said(&home, &["completions", shell]);
        assert!(code == 0 && out.contains("nameplate") && out.contains("deregister") && error.is_empty(), "{shell}");
    }
    let (code, out, _) = said(&home, &["--help"]);
    assert!(code == 0 && out.contains("Exit codes"), "{out}");
    assert_eq!(said(&home, &["--version"]).1, format!("nameplate {}\n", env!("CARGO_PKG_VERSION")));
}
