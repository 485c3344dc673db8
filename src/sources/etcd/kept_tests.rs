use proptest::{collection::vec, option, prelude::*};

use super::*;

const REVISIONS: Revisions = Revisions { create: 3, modify: 7 };

fn session(id: &str) -> Session {
    Session {
        id: id.into(),
        name: "".into(),
        node: NodeName::new("n1").unwrap(),
        node_checks: vec![CheckId::derived("serfHealth")],
        service_checks: Vec::new(),
        lock_delay: Duration::from_secs(15),
        behavior: Behavior::Release,
        ttl: None,
    }
}

fn entry(value: &[u8]) -> Entry {
    Entry {
        key: "a/b".into(),
        value: value.into(),
        flags: 42,
        session: None,
        lock_index: 0,
        create_index: 3,
        modify_index: 7,
    }
}

#[test]
fn a_key_and_a_session_are_written_in_the_words_of_consul() {
    let held = Entry { session: Some("s1".into()), lock_index: 2, ..entry(b"foob") };
    let text = r#"{"Value":"Zm9vYg==","Flags":42,"Session":"s1","LockIndex":2}"#;
    assert_eq!(String::from_utf8(write_key(&held).unwrap()).unwrap(), text);
    let text = r#"{"ID":"s1","Node":"n1","NodeChecks":["serfHealth"],"LockDelay":"15s","Behavior":"release"}"#;
    assert_eq!(String::from_utf8(write_session(&session("s1")).unwrap()).unwrap(), text);
    let full = Session {
        name: "leader".into(),
        service_checks: vec![CheckId::derived("service:web-1")],
        lock_delay: Duration::from_millis(1500),
        behavior: Behavior::Delete,
        ttl: Some((Duration::from_secs(90), "90s".into())),
        ..session("s2")
    };
    let text = r#"{"ID":"s2","Name":"leader","Node":"n1","NodeChecks":["serfHealth"],"#.to_owned()
        + r#""ServiceChecks":[{"ID":"service:web-1"}],"LockDelay":"1s500ms","Behavior":"delete","TTL":"90s"}"#;
    assert_eq!(String::from_utf8(write_session(&full).unwrap()).unwrap(), text);
    assert_eq!(String::from_utf8(write_lock_delay("s1")).unwrap(), r#"{"Session":"s1"}"#);
}

#[test]
fn what_others_write_may_leave_out_what_is_as_usual() {
    let read = |text: &str| read_key(&"a/b".into(), text.as_bytes(), REVISIONS).unwrap();
    assert_eq!(read("{}"), Entry { flags: 0, ..entry(b"") });
    assert_eq!(read(r#"{"Value": null, "Session": null, "Newer": [1]}"#), Entry { flags: 0, ..entry(b"") });
    let read = |text: &str| read_session(&"s1".into(), text.as_bytes()).unwrap();
    assert_eq!(read(r#"{"Node": "n1"}"#), Session { node_checks: Vec::new(), ..session("s1") });
    assert_eq!(read(r#"{"Node": "n1", "NodeChecks": ["serfHealth"], "TTL": "0s", "ID": ""}"#), session("s1"));
}

#[test]
fn what_is_wrong_is_said_with_its_field() {
    let key = |text: &str, error: &str| {
        let problem = read_key(&"a/b".into(), text.as_bytes(), REVISIONS).unwrap_err().to_string();
        assert!(problem.contains(error), "{problem}");
    };
    key("", "EOF");
    key("{} x", "trailing characters");
    key("7", "invalid type");
    key(r#"{"Value": "?"}"#, "Value: must be a text in base64");
    key(r#"{"Value": 7}"#, "Value: invalid type");
    key(r#"{"Flags": -1}"#, "Flags: invalid value");
    key(r#"{"LockIndex": "1"}"#, "LockIndex: invalid type");
    key(&format!(r#"{{"Value": "{}"}}"#, "A".repeat(DOCUMENT_MAX_BYTES)), "at most 1048576 are read");
    let session = |text: &str, error: &str| {
        let problem = read_session(&"s1".into(), text.as_bytes()).unwrap_err().to_string();
        assert!(problem.contains(error), "{problem}");
    };
    session("{}", "missing field `Node`");
    session(r#"{"Node": ""}"#, "Node: must not be empty");
    session(r#"{"Node": "n1", "ID": "s2"}"#, "ID: must be \"s1\", as the key says");
    session(r#"{"Node": "n1", "NodeChecks": [1]}"#, "NodeChecks[0]: invalid type");
    session(r#"{"Node": "n1", "ServiceChecks": [{}]}"#, "ServiceChecks[0]: missing field `ID`");
    session(r#"{"Node": "n1", "LockDelay": "61s"}"#, "LockDelay: must be at most 1m");
    session(r#"{"Node": "n1", "LockDelay": 15}"#, "LockDelay: invalid type");
    session(r#"{"Node": "n1", "Behavior": "keep"}"#, "Behavior: unknown variant `keep`");
    session(r#"{"Node": "n1", "TTL": "25h"}"#, "TTL: must be at most 24h");
    session(r#"{"Node": "n1", "TTL": "-1s"}"#, "TTL: a duration must not be negative");
}

#[test]
fn a_value_that_is_too_large_is_not_written() {
    assert!(write_key(&entry(&vec![0; 512 << 10])).is_ok(), "what Consul's API takes");
    let error = write_key(&entry(&vec![0; 1 << 20])).unwrap_err();
    assert!(error.bytes > DOCUMENT_MAX_BYTES && error.to_string().contains("at most 1048576"), "{error}");
}

fn any_session() -> impl Strategy<Value = Session> {
    let ids = || vec(any::<String>().prop_map(|id| CheckId::derived(&id)), 0..3);
    let ttl = option::of((1_u64..=86_400_000).prop_map(|millis| {
        let span = Duration::from_millis(millis);
        (span, Text::from(format_duration(span)))
    }));
    (any::<[String; 2]>(), "[ -~]{1,20}", ids(), ids(), 0_u64..60_000_000_000, any::<bool>(), ttl).prop_map(
        |([id, name], node, node_checks, service_checks, delay, deletes, ttl)| Session {
            id: id.into(),
            name: name.into(),
            node: NodeName::new(node).unwrap(),
            node_checks,
            service_checks,
            lock_delay: Duration::from_nanos(delay),
            behavior: if deletes { Behavior::Delete } else { Behavior::Release },
            ttl,
        },
    )
}

proptest! {
    #[test]
    fn a_key_is_read_as_it_was_written(
        key: String, value: Vec<u8>, flags: u64, session in option::of(".+"), lock_index: u64,
    ) {
        let key = Text::from(key);
        let session = session.map(Text::from);
        let entry = Entry { key, value: value.into(), flags, session, lock_index, create_index: 3, modify_index: 7 };
        prop_assert_eq!(read_key(&entry.key, &write_key(&entry).unwrap(), REVISIONS), Ok(entry));
    }

    #[test]
    fn a_session_is_read_as_it_was_written(session in any_session()) {
        prop_assert_eq!(read_session(&session.id, &write_session(&session).unwrap()), Ok(session));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>, text in r#"\{("[A-Z][a-zA-Z]{1,9}": ?("[a-z0-9]*"|[0-9]|null|\[\]),?){0,4}\}"#) {
        let _ = read_key(&"a".into(), &bytes, REVISIONS);
        let _ = read_session(&"a".into(), &bytes);
        let _ = read_key(&"a".into(), text.as_bytes(), REVISIONS);
        let _ = read_session(&"a".into(), text.as_bytes());
    }
}
