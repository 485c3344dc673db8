use proptest::prelude::*;
use serde_json::json;

use super::*;

/// All objects that are complete after each of these pieces.
fn objects(pieces: &[&[u8]]) -> Vec<Value> {
    let mut objects = Objects::new(1 << 20);
    let mut found = Vec::new();
    for piece in pieces {
        assert!(objects.push(piece));
        while let Some(object) = objects.next().unwrap() {
            found.push(object);
        }
    }
    found
}

#[test]
fn objects_may_stand_on_lines_behind_separators_or_side_by_side() {
    for text in [
        "{\"a\":1}\n{\"b\":{}}\r\n",
        "\u{1e}{\"a\":1}\n\u{1e}{\"b\":{}}\n",
        "{\"a\":1}{\"b\":{}}",
        " {\"a\":1} {\"b\":{}}",
    ] {
        assert_eq!(objects(&[text.as_bytes()]), [json!({"a": 1}), json!({"b": {}})], "{text:?}");
    }
}

#[test]
fn what_is_no_json_is_an_error() {
    let mut objects = Objects::new(100);
    assert!(objects.push(b"{\"a\":1}\n}{"));
    assert_eq!(objects.next().unwrap(), Some(json!({"a": 1})));
    assert!(objects.next().is_err());
}

#[test]
fn an_object_without_end_is_given_up() {
    let mut objects = Objects::new(100);
    assert!(objects.push(b"{\"a\":\""));
    assert!(objects.push(&[b'x'; 100]));
    assert_eq!(objects.next().unwrap(), None);
    assert!(!objects.push(b"x"));
}

#[test]
fn what_was_taken_does_not_count() {
    let mut objects = Objects::new(100);
    for _ in 0..100 {
        assert!(objects.push(b"{\"a\":1}\n{\"a\""));
        assert_eq!(objects.next().unwrap(), Some(json!({"a": 1})));
        assert_eq!(objects.next().unwrap(), None);
        assert!(objects.push(b":1}"));
        assert_eq!(objects.next().unwrap(), Some(json!({"a": 1})));
    }
}

proptest! {
    #[test]
    fn it_does_not_matter_where_the_pieces_end(cuts in prop::collection::vec(0..60usize, 0..6)) {
        let text = "\u{1e}{\"a\":\"}{\"}\n\n{\"b\":[{},\"\\\"é\"]}{}  \u{1e}{\"c\":-1.5e3}";
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).chain([0, text.len()]).collect();
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|ends| &text.as_bytes()[ends[0]..ends[1]]).collect();
        prop_assert_eq!(objects(&pieces), objects(&[text.as_bytes()]));
        prop_assert_eq!(objects(&pieces).len(), 4);
    }
}
