use super::*;

#[track_caller]
fn check(document: &str, expected: Option<Event>) {
    assert_eq!(Event::read(&serde_json::from_str(document).unwrap()), expected, "{document}");
}

/// An event of container `4bcf` as API 1.52 has it, and as those before had it, mean the same.
#[track_caller]
fn check_both(action: &str, attributes: &str, expected: Option<Event>) {
    let new = format!(
        r#"{{"Type": "container", "Action": "{action}", "Actor": {{"ID": "4bcf", "Attributes": {attributes}}},
            "scope": "local", "time": 1795284000, "timeNano": 1795284000123456789}}"#
    );
    check(&new, expected.clone());
    let mut old: Value = serde_json::from_str(&new).unwrap();
    for (key, value) in [("status", action), ("id", "4bcf"), ("from", "nginx:1")] {
        old[key] = value.into();
    }
    check(&old.to_string(), expected);
}

fn id() -> String {
    "4bcf".to_owned()
}

#[test]
fn what_happens_to_a_container_means_the_same_in_both_shapes() {
    check_both("start", r#"{"image": "nginx", "name": "web"}"#, Some(Event::Started(id())));
    check_both("kill", r#"{"signal": "15"}"#, Some(Event::Signalled(id(), "15".to_owned())));
    check_both("kill", r#"{"signal": "SIGTERM"}"#, Some(Event::Signalled(id(), "SIGTERM".to_owned())));
    check_both("die", r#"{"exitCode": "137", "execDuration": "3"}"#, Some(Event::Ended(id(), Some(137))));
    check_both("stop", "{}", Some(Event::Changed(id())));
    check_both("destroy", "{}", Some(Event::Removed(id())));
    check_both("rename", r#"{"name": "web2", "oldName": "/web"}"#, Some(Event::Changed(id())));
    check_both("pause", "{}", Some(Event::Changed(id())));
    check_both("health_status: unhealthy", "{}", Some(Event::Changed(id())));
    for action in ["exec_start: sh -c true", "exec_die", "create", "attach", "oom"] {
        check_both(action, "{}", None);
    }
}

/// Recorded from Docker 20.10 (API 1.41).
#[test]
fn an_event_of_docker_20_10_is_read() {
    check(
        r#"{"status":"die","id":"9db1eaa3f0f2d5a8a9eb5d3b6df5a2d6a1a9b30fa9f7d7fd3a4a8f1c9b3e3ad0","from":"busybox:t","Type":"container",
            "Action":"die","Actor":{"ID":"9db1eaa3f0f2d5a8a9eb5d3b6df5a2d6a1a9b30fa9f7d7fd3a4a8f1c9b3e3ad0","Attributes":{"exitCode":"137",
            "image":"busybox:t","name":"web"}},"scope":"local","time":1795286131,"timeNano":1795286131712845930}"#,
        Some(Event::Ended("9db1eaa3f0f2d5a8a9eb5d3b6df5a2d6a1a9b30fa9f7d7fd3a4a8f1c9b3e3ad0".to_owned(), Some(137))),
    );
    check(
        r#"{"Type":"network","Action":"connect","Actor":{"ID":"5d1c","Attributes":{"container":"9db1eaa3","name":"shop","type":"bridge"}},
            "scope":"local","time":1795286131,"timeNano":1795286131712845930}"#,
        Some(Event::Changed("9db1eaa3".to_owned())),
    );
}

/// Recorded from Podman 4.3.1.
#[test]
fn podmans_events_are_read() {
    let id = "33a04813dd19fd44160cc183252bfdee58ed118ea2b840fd06f8adf4bf729bc9";
    let recorded = |action: &str, code: &str| {
        format!(
            r#"{{"status":"{action}","id":"{id}","from":"localhost/busybox:t","Type":"container","Action":"{action}","Actor":{{"ID":"{id}",
                "Attributes":{{"containerExitCode":"0",{code}"image":"localhost/busybox:t","name":"pweb2","podId":""}}}},"scope":"local",
                "time":1795286883,"timeNano":1795286883611358077}}"#
        )
    };
    let id = id.to_owned();
    check(&recorded("create", ""), None);
    check(&recorded("init", ""), None);
    check(&recorded("start", ""), Some(Event::Started(id.clone())));
    // It does not tell the signal.
    check(&recorded("kill", ""), Some(Event::Changed(id.clone())));
    check(&recorded("die", r#""exitCode":"137","#), Some(Event::Ended(id.clone(), Some(137))));
    check(&recorded("cleanup", ""), Some(Event::Changed(id.clone())));
    check(&recorded("pause", ""), Some(Event::Changed(id.clone())));
    check(&recorded("remove", ""), Some(Event::Removed(id)));
}

#[test]
fn podmans_own_words_are_known_too() {
    check_both("died", r#"{"containerExitCode": "2"}"#, Some(Event::Ended(id(), Some(2))));
    check_both("died", r#"{"containerExitCode": 2}"#, Some(Event::Ended(id(), Some(2))));
    check_both("died", "{}", Some(Event::Ended(id(), None)));
    check(r#"{"Type": "system", "Action": "refresh"}"#, Some(Event::Anything));
}

#[test]
fn networks_and_the_daemon_are_heard_of() {
    let network = |action: &str| {
        let attributes = r#"{"container": "4bcf", "name": "app", "type": "bridge"}"#;
        format!(r#"{{"Type": "network", "Action": "{action}", "Actor": {{"ID": "77", "Attributes": {attributes}}}}}"#)
    };
    check(&network("connect"), Some(Event::Changed(id())));
    check(&network("disconnect"), Some(Event::Changed(id())));
    check(&network("create"), Some(Event::Networks));
    check(&network("destroy"), Some(Event::Networks));
    check(r#"{"Type": "daemon", "Action": "reload", "Actor": {"ID": "x"}}"#, Some(Event::Anything));
    check(r#"{"Type": "image", "Action": "pull", "Actor": {"ID": "nginx"}}"#, None);
}

#[test]
fn an_event_that_names_nobody_is_none() {
    for document in [
        "{}",
        "[]",
        "1",
        r#"{"Type": "container", "Action": "die"}"#,
        r#"{"Type": "container", "Action": "die", "Actor": null}"#,
        r#"{"Type": "container", "Action": "die", "Actor": {"ID": "../../images"}}"#,
        r#"{"Type": "container", "Action": "die", "Actor": {"ID": ""}}"#,
        r#"{"Type": 1, "Action": 2}"#,
    ] {
        check(document, None);
    }
}
