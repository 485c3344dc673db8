use serde_json::json;

use super::*;

fn node(name: &str) -> NodeName {
    NodeName::new(name).unwrap()
}

fn document(address: &str) -> Vec<u8> {
    let nameplate = json!({ "Addresses": [address, "127.0.0.1"], "Version": "1.2.3" });
    json!({ "Node": { "Address": address }, "Nameplate": nameplate }).to_string().into_bytes()
}

#[track_caller]
fn check(alive: &mut Alive, expected: &[(&str, &str)]) {
    if let Some(news) = alive.news() {
        assert_eq!(alive.news().as_ref(), Some(&news), "until it is told");
        alive.told(news);
    }
    assert_eq!(alive.news(), None, "it is told once");
    let machines = &alive.told;
    let told: Vec<_> = machines.iter().map(|one| (one.node.as_str(), one.addresses[0].to_string())).collect();
    let expected: Vec<_> = expected.iter().map(|(name, address)| (*name, (*address).to_owned())).collect();
    assert_eq!(told, expected);
}

#[test]
fn a_machine_lives_as_long_as_its_key_is_there() {
    let mut alive = Alive::default();
    alive.take(node("n3"), Some(&document("192.0.2.3")));
    alive.take(node("n2"), Some(&document("192.0.2.2")));
    check(&mut alive, &[("n2", "192.0.2.2"), ("n3", "192.0.2.3")]);
    alive.take(node("n2"), Some(&document("2001:db8::2")));
    check(&mut alive, &[("n2", "2001:db8::2"), ("n3", "192.0.2.3")]);
    alive.take(node("n3"), None);
    check(&mut alive, &[("n2", "2001:db8::2")]);
    alive.clear();
    alive.take(node("n2"), Some(&document("2001:db8::2")));
    assert_eq!(alive.news(), None, "a list of the same is no news");
    alive.clear();
    check(&mut alive, &[]);
}

#[test]
fn a_node_without_a_nameplate_is_no_machine() {
    let mut alive = Alive::default();
    let bare = br#"{"Node": {"Address": "192.0.2.2"}}"#;
    alive.take(node("n2"), Some(bare));
    check(&mut alive, &[]);
    alive.take(node("n2"), Some(&document("192.0.2.2")));
    alive.take(node("n2"), Some(bare));
    check(&mut alive, &[]);
}

#[test]
fn a_machine_that_tells_what_cannot_be_read_stays_as_it_was() {
    let mut alive = Alive::default();
    alive.take(node("n2"), Some(&document("192.0.2.2")));
    alive.take(node("n2"), Some(br#"{"Node": {"Address": "192.0.2.2"}, "Nameplate": {"Addresses": ["here"]}}"#));
    check(&mut alive, &[("n2", "192.0.2.2")]);
}

#[test]
fn addresses_at_which_nobody_else_reaches_it_are_left_out() {
    let mut alive = Alive::default();
    alive.take(node("n2"), Some(&document("192.0.2.2")));
    assert_eq!(alive.news().unwrap()[0].addresses.len(), 1);
}

#[test]
fn machines_that_came_are_told_of_before_those_that_went() {
    let mut alive = Alive::default();
    alive.take(node("n2"), Some(&document("192.0.2.2")));
    alive.take(node("n3"), Some(&document("192.0.2.3")));
    check(&mut alive, &[("n2", "192.0.2.2"), ("n3", "192.0.2.3")]);
    assert_eq!(alive.coming(), None);
    alive.take(node("n2"), None);
    assert_eq!(alive.coming(), None, "none came");
    alive.take(node("n1"), Some(&document("192.0.2.1")));
    let coming = alive.coming().unwrap();
    assert_eq!(coming.iter().map(|one| one.node.as_str()).collect::<Vec<_>>(), ["n1", "n2", "n3"]);
    alive.told(coming);
    assert_eq!(alive.coming(), None);
    check(&mut alive, &[("n1", "192.0.2.1"), ("n3", "192.0.2.3")]);
}
