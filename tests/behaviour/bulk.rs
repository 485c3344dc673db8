//! `nameplate export` and `import`, as a shell runs them.

use std::fs;

use serde_json::{Value, json};
use tempfile::tempdir;

use crate::harness::{program, serve};

/// Registers more than one transaction takes, on this node and on another.
fn registrations() -> String {
    let mut lines = vec![json!({ "Node": { "Verb": "set", "Node": { "Node": "db1", "Address": "192.0.2.9" } } })];
    for at in 0..100 {
        let (id, node) = (format!("web-{at:03}"), if at % 2 == 0 { Value::Null } else { json!("db1") });
        let service = json!({ "ID": id, "Service": "web", "Port": 80 + at, "Tags": ["blue"] });
        lines.push(json!({ "Service": { "Verb": "set", "Node": node, "Service": service } }));
        let check = json!({ "Node": node, "CheckID": id, "ServiceID": id, "Status": "passing", "Output": "fine" });
        lines.push(json!({ "Check": { "Verb": "set", "Check": check } }));
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_exported_can_be_imported_elsewhere_and_exported_again() {
    let home = tempdir().unwrap();
    let file = home.path().join("all.jsonl");
    let path = file.to_str().unwrap();
    fs::write(&file, registrations()).unwrap();
    let (first, second) = (serve(&home, &["--ephemeral"]).await, tempdir().unwrap());
    let told = "imported 1 nodes, 100 services, 100 checks\n".to_owned();
    assert_eq!(first.verb(&["import", path]), (0, told, String::new()));
    assert_eq!(first.at.put("/v1/agent/service/maintenance/web-000?enable=true&reason=disk", "").await.status, 200);
    let (code, exported, told) = first.verb(&["export"]);
    assert_eq!((code, told.as_str()), (0, "exported 1 nodes, 100 services, 101 checks\n"));
    let (code, told, _) = first.verb(&["export", path, "--json"]);
    let counts = json!({ "Nodes": 1, "Services": 100, "Checks": 101, "LeftOut": 0 });
    assert_eq!((code, serde_json::from_str::<Value>(&told).unwrap()), (0, counts));
    assert_eq!(fs::read_to_string(&file).unwrap(), exported);

    let second = serve(&second, &["--ephemeral"]).await;
    let (code, told, _) = second.verb(&["import", path, "--json"]);
    let counts = json!({ "Nodes": 1, "Services": 100, "Checks": 101 });
    assert_eq!((code, serde_json::from_str::<Value>(&told).unwrap()), (0, counts));
    assert_eq!(second.verb(&["export"]).1, exported);
    let output = program(&first.home)
        .args(["import", "--server", &format!("http://{}", second.at.http)])
        .stdin(fs::File::open(&file).unwrap())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "from standard input too");
    assert_eq!(second.verb(&["export"]).1, exported);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_line_is_named_with_what_was_done() {
    let home = tempdir().unwrap();
    let file = home.path().join("all.jsonl");
    let path = file.to_str().unwrap();
    let served = serve(&home, &["--ephemeral"]).await;
    let with = |bad: &str| fs::write(&file, format!("{}\n{bad}\n", registrations())).unwrap();
    for (bad, problem) in [
        ("{\"Service\": ", "line 203: not JSON as export writes it: EOF while parsing"),
        (
            "{\"Service\": {\"Verb\": \"set\", \"Service\": {\"Service\": \"x\", \"Port\": \"http\"}}}",
            "line 203: Service.Service.Port: expected a number from 0 to 65535, not \"http\"",
        ),
        (
            "{\"Service\": {\"Verb\": \"set\", \"Node\": \"nobody\", \"Service\": {\"Service\": \"x\"}}}",
            "line 203: unknown node \"nobody\"; register it first",
        ),
        ("{\"KV\": {}}", "line 203: must be an object with one of Node, Service and Check"),
    ] {
        with(bad);
        let (code, out, told) = served.verb(&["import", path]);
        assert!(code == 2 && out.is_empty() && told.contains(problem), "{code} {out}{told}");
        assert!(told.contains("mend that line") && told.contains("lines 1 to 192 are in force"), "{told}");
    }
    with("");
    assert_eq!(served.verb(&["import", path]).0, 0);
    let (code, _, told) = served.verb(&["import", "missing.jsonl"]);
    assert!(code == 2 && told.contains("missing.jsonl"), "{told}");
    for verb in ["import", "export"] {
        let output = program(&served.home).args([verb, "--server", "http://127.0.0.1:9"]).output().unwrap();
        assert_eq!(output.status.code(), Some(3), "{verb}");
    }
    let readonly = served.verb(&["export", "/nonexistent/all.jsonl"]);
    assert!(readonly.0 == 2 && readonly.2.contains("/nonexistent/all.jsonl"), "{readonly:?}");
}
