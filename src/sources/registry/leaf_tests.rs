use proptest::prelude::*;

use super::*;

#[track_caller]
fn check(value: &str, address: &str, port: Option<u16>, tags: &[&str]) {
    let leaf = read(value.as_bytes()).unwrap();
    assert_eq!((leaf.address.to_string().as_str(), leaf.port), (address, port), "{value}");
    assert_eq!(leaf.tags.iter().map(Tag::as_str).collect::<Vec<_>>(), tags, "{value}");
}

#[track_caller]
fn wrong(value: &[u8], expected: &str) {
    let error = read(value).unwrap_err().to_string();
    assert!(error.starts_with(expected), "{}: {error}", String::from_utf8_lossy(value));
}

#[test]
fn a_text_is_a_host_and_a_port() {
    check("192.0.2.7:80", "192.0.2.7", Some(80), &[]);
    check("[2001:db8::7]:80", "2001:db8::7", Some(80), &[]);
    check("web1.example:80\n", "web1.example", Some(80), &[]);
    check("\"192.0.2.7:80\"", "192.0.2.7", Some(80), &[]);
}

#[test]
fn an_address_needs_no_port_but_a_name_does() {
    check("192.0.2.7", "192.0.2.7", None, &[]);
    check("2001:db8::7", "2001:db8::7", None, &[]);
    check("192.0.2.7:0", "192.0.2.7", None, &[]);
    for word in ["running", "", "web1.example", "[2001:db8::7]", "a:b:80"] {
        wrong(word.as_bytes(), "is neither");
    }
}

#[test]
fn json_says_it_in_many_words() {
    check(r#"{"host": "192.0.2.7", "port": 80}"#, "192.0.2.7", Some(80), &[]);
    check(r#"{"host": "core-01", "port": 8081, "version": "52c7248a14"}"#, "core-01", Some(8081), &[]);
    check(r#"{"Address": "192.0.2.7", "Port": "80", "Tags": ["a", "b", "a"]}"#, "192.0.2.7", Some(80), &["a", "b"]);
    check(r#"{"IP": "2001:db8::7", "tags": "a, b,"}"#, "2001:db8::7", None, &["a", "b"]);
    check(r#"{"addr": "192.0.2.7:80", "port": null}"#, "192.0.2.7", Some(80), &[]);
    check(r#"{"addr": "192.0.2.7:80", "port": 81, "tags": null}"#, "192.0.2.7", Some(81), &[]);
    check(r#"{"host": "", "ip": "192.0.2.7", "port": ""}"#, "192.0.2.7", None, &[]);
}

#[test]
fn what_is_wrong_is_named() {
    wrong(b"\xff", "is not UTF-8");
    wrong(b"{\"host\": ", "is no JSON: EOF");
    wrong(b"\"x", "is no JSON");
    wrong(b"[1]", "is neither");
    wrong(b"{}", "has none of the fields");
    wrong(br#"{"host": 7}"#, "host: expected a text, got 7");
    wrong(br#"{"host": "a_b c"}"#, "must be an IP address or a host name");
    wrong(br#"{"host": "0.0.0.0"}"#, "must not be the unspecified address");
    wrong(br#"{"host": "a", "port": 65536}"#, "port: expected a number from 1 to 65535");
    wrong(br#"{"host": "a", "port": "+8"}"#, "port: expected a number from 1 to 65535");
    wrong(br#"{"host": "a", "port": [1]}"#, "port: expected a number, got [1]");
    wrong(br#"{"host": "a", "tags": [1]}"#, "tags: expected texts, got 1");
    wrong(br#"{"host": "a", "tags": {}}"#, "tags: expected a list of texts");
    wrong(b"web:http", "port: expected a number");
    wrong(&vec![b'a'; LEAF_MAX_BYTES + 1], "has 65537 bytes");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_written_is_read_or_refused(
        value in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..40),
            r#"[\[\]a-f0-9:."{} ,]{0,30}"#.prop_map(String::into_bytes),
            r#"\{"(host|ip|Port|tags)": ?("[a-z0-9.:]{0,9}"|[0-9]{1,6}|null|\["a"\])(, "port": (-?[0-9]{1,6}|"[0-9]{0,6}"))?\}"#
                .prop_map(String::into_bytes),
        ],
    ) {
        if let Ok(leaf) = read(&value) {
            prop_assert!(leaf.port != Some(0));
        }
    }
}
