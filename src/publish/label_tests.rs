use super::*;

#[track_caller]
fn check(name: &str, plain: &str, hashed: &str, dashed: &str) {
    let keys = service_keys(&ServiceName::new(name).unwrap());
    let text = |key: Option<Key>| key.map_or(String::new(), |key| key.to_string());
    assert_eq!((&*text(keys.plain), &*text(keys.hashed), &*text(keys.dashed)), (plain, hashed, dashed));
}

#[test]
fn a_name_that_dns_can_carry_is_only_lower_cased() {
    check("web", "web", "", "");
    check("Web.Shop", "web.shop", "", "");
}

#[test]
fn underscores_stay_and_may_be_asked_as_dashes() {
    check("my_web", "my_web", "", "my-web");
}

#[test]
fn other_bytes_become_dashes_and_the_name_gets_a_form_of_its_own() {
    check("web@1", "web-1", "web-1-f2ec55b6", "");
    check("a..b", "a.-.b", "a-91beab8e.-.b", "");
}

#[test]
fn more_than_four_labels_are_joined() {
    let keys = service_keys(&ServiceName::new("a.b.c.d.e").unwrap());
    assert_eq!(keys.plain.unwrap().to_string(), "a.b.c.d-e");
    assert!(keys.hashed.is_some());
}

#[test]
fn a_long_id_is_cut_and_stays_apart_from_others() {
    let (one, two) = (id_key(&format!("{}1", "a".repeat(70))), id_key(&format!("{}2", "a".repeat(70))));
    assert_eq!(one.as_wire().len(), 64);
    assert_ne!(one, two);
    assert_eq!(id_key("Web-1"), id_key("web-1"));
    assert_ne!(id_key("web.1"), id_key("web-1"));
}

#[test]
fn ancestors_are_what_lies_between_a_name_and_its_domain() {
    let key = dotted_key("a.b.c");
    assert_eq!(key.ancestors().collect::<Vec<_>>(), [&b"\x01b\x01c"[..], b"\x01c"]);
}

#[test]
fn what_stays_as_it_is_has_the_labels_of_its_plain_form() {
    let long = "x".repeat(63);
    let dotted = [&long[..], &long].join(".");
    for name in
        ["web", "Web_1", "web.shop", "a.b.c.d", "a.b.c.d.e", "a..b", ".", "a b", &long, &format!("{long}x"), &dotted]
    {
        let keys = service_keys(&ServiceName::new(name).unwrap());
        let expected = keys.plain.filter(|_| keys.hashed.is_none());
        let mut buffer = [0; KEY_MAX_BYTES];
        assert_eq!(unchanged(name, &mut buffer), expected.as_ref().map(Key::as_wire), "{name}");
    }
}
