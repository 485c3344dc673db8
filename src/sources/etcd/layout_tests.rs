use proptest::prelude::*;

use super::*;

fn layout() -> Layout {
    Layout::new("/nameplate")
}

fn node(name: &str) -> Place {
    Place::Node(NodeName::new(name).unwrap())
}

fn instance(node: &str, id: &str) -> Place {
    Place::Instance(InstanceKey { node: NodeName::new(node).unwrap(), id: ServiceId::new(id).unwrap() })
}

#[test]
fn a_node_and_an_instance_have_their_keys() {
    let check = |place: Place, key: &str| {
        assert_eq!(layout().key(&place), key);
        assert_eq!(layout().place(key.as_bytes()), Some(place));
    };
    check(node("n1"), "/nameplate/v1/nodes/n1");
    check(instance("n1", "web-1"), "/nameplate/v1/services/n1/web-1");
    check(instance("rack/1", "web%2F 1"), "/nameplate/v1/services/rack%2F1/web%252F 1");
    check(instance("größe", ".."), "/nameplate/v1/services/größe/..");
}

#[test]
fn a_prefix_may_be_anything() {
    for (prefix, key) in [("", "/v1/nodes/n1"), ("/", "/v1/nodes/n1"), ("a/b//", "a/b/v1/nodes/n1")] {
        assert_eq!(Layout::new(prefix).key(&node("n1")), key);
        assert_eq!(Layout::new(prefix).place(key.as_bytes()), Some(node("n1")));
    }
}

#[test]
fn folders_hold_the_keys_and_those_of_one_node_no_others() {
    let [nodes, services] = layout().folders();
    assert_eq!((nodes.as_str(), services.as_str()), ("/nameplate/v1/nodes/", "/nameplate/v1/services/"));
    let of = layout().instances_of(&NodeName::new("n/1").unwrap());
    assert!(layout().key(&instance("n/1", "x")).starts_with(&of));
    assert!(!layout().key(&instance("n", "1/x")).starts_with(&of));
}

#[test]
fn what_is_of_no_node_has_its_keys() {
    let check = |kept: Kept, key: &str| {
        assert_eq!(layout().kept_key(&kept), key);
        assert_eq!(layout().kept(key.as_bytes()), Some(kept));
        assert_eq!(layout().place(key.as_bytes()), None);
    };
    check(Kept::Key("a".into()), "/nameplate/v1/kv/a");
    // As it is, so that prefixes are prefixes.
    check(Kept::Key("a//%2F\n/".into()), "/nameplate/v1/kv/a//%2F\n/");
    check(Kept::Key("/".into()), "/nameplate/v1/kv//");
    check(Kept::LockDelay("a/b".into()), "/nameplate/v1/lock-delays/a/b");
    check(Kept::Session("s/1".into()), "/nameplate/v1/sessions/s%2F1");
    check(Kept::SessionTtl("s1".into()), "/nameplate/v1/session-ttls/s1");
    for (kept, key) in
        [(Kept::Event(7), "events/7"), (Kept::Event(255), "events/255"), (Kept::Bootstrap, "bootstrap/acl")]
    {
        let key = format!("/nameplate/v1/{key}");
        assert_eq!(layout().kept_key(&kept), key);
        assert_eq!(layout().kept(key.as_bytes()), Some(kept));
    }
    assert_eq!(layout().keys_below("a/"), "/nameplate/v1/kv/a/");
    assert_eq!(layout().events(), "/nameplate/v1/events/");
    let folders = layout().kept_folders();
    assert_eq!(
        folders.map(|folder| folder["/nameplate/v1/".len()..].to_owned()),
        ["sessions/", "session-ttls/", "lock-delays/", "kv/", "queries/"]
    );
}

#[test]
fn other_keys_are_nobodys() {
    for key in [
        "",
        "/nameplate",
        "/nameplate/v1/nodes/",
        "/nameplate/v2/nodes/n1",
        "/nameplate/v1/kv/nodes/n1",
        "/nameplate/v1/nodes/n1/x",
        "/nameplate/v1/services/n1",
        "/nameplate/v1/services/n1/",
        "/nameplate/v1/services//web-1",
        "/nameplate/v1/services/n1/web/1",
        // Each has one way in which it is written.
        "/nameplate/v1/nodes/%6e1",
        "/nameplate/v1/nodes/n%2f1",
        "/nameplate/v1/nodes/n%",
        "/nameplate/v1/nodes/n%2",
        "/nameplate/v1/nodes/n%zz",
        "/nameplate/v1/nodes/n%FF",
        "/nameplate/v1/nodes/n%0A",
        "/nameplate/v1/nodes/n\n",
    ] {
        assert_eq!(layout().place(key.as_bytes()), None, "{key}");
    }
    for key in ["", "/nameplate/v1/", "/nameplate/v1/kv", "/nameplate/v1/kv/", "/nameplate/v1/sessions/", "/v1/kv/a"] {
        assert_eq!(layout().kept(key.as_bytes()), None, "{key}");
    }
    for key in [
        "nodes/n1",
        "sessions/s/1",
        "sessions/%6e",
        "session-ttls/%2",
        "events/256",
        "events/07",
        "bootstrap/x",
        "reports/a",
    ] {
        assert_eq!(layout().kept(format!("/nameplate/v1/{key}").as_bytes()), None, "{key}");
    }
    assert_eq!(layout().kept(b"/nameplate/v1/kv/\xff"), None);
    assert_eq!(layout().place(b"/nameplate/v1/nodes/\xff"), None);
    let long = format!("/nameplate/v1/nodes/{}", "x".repeat(254));
    assert_eq!(layout().place(long.as_bytes()), None);
}

proptest! {
    #[test]
    fn every_place_has_a_key_of_its_own(prefix in "[/a-z%]{0,9}", node: String, id: Option<String>, other: String) {
        let layout = Layout::new(&prefix);
        let place = |node: &str, id: Option<&str>| {
            let node = NodeName::new(node).ok()?;
            match id {
                None => Some(Place::Node(node)),
                Some(id) => Some(Place::Instance(InstanceKey { node, id: ServiceId::new(id).ok()? })),
            }
        };
        let first = place(&node, id.as_deref());
        let second = place(&other, id.as_deref());
        if let Some(first) = &first {
            let key = layout.key(first);
            let read = layout.place(key.as_bytes());
            prop_assert_eq!(read.as_ref(), Some(first));
            if let Some(second) = second.filter(|second| second != first) {
                prop_assert_ne!(layout.key(&second), key);
            }
        }
    }

    #[test]
    fn what_is_of_no_node_has_a_key_of_its_own(prefix in "[/a-z%]{0,9}", text: String, other: String) {
        let layout = Layout::new(&prefix);
        let kinds: [fn(Text) -> Kept; 8] = [
            Kept::Key, Kept::Session, Kept::SessionTtl, Kept::LockDelay, Kept::Query, Kept::Policy, Kept::Token, Kept::Barrier,
        ];
        for kind in kinds {
            let kept = kind(Text::from(text.clone()));
            let key = layout.kept_key(&kept);
            prop_assert_eq!(layout.kept(key.as_bytes()), Some(kept).filter(|_| !text.is_empty()));
            for other_kind in kinds {
                let other = other_kind(Text::from(other.clone()));
                prop_assert_eq!(layout.kept_key(&other) == key, other == kind(Text::from(text.clone())));
            }
        }
    }

    #[test]
    fn any_bytes_are_a_key_or_nobodys(bytes: Vec<u8>, tail: String) {
        let layout = layout();
        for key in [bytes, format!("/nameplate/v1/nodes/{tail}").into(), format!("/nameplate/v1/services/{tail}").into()] {
            if let Some(place) = layout.place(&key) {
                prop_assert_eq!(layout.key(&place).into_bytes(), key);
            }
        }
    }
}
