use super::*;

#[test]
fn each_member_and_item_knows_its_line() {
    let tree = parse(b"{\n  \"a\": 1,\n  \"b\": [\n    true,\n\n    \"x\"\n  ]\n}").unwrap();
    let TreeValue::Map(members) = tree.value else { panic!("an object was given") };
    assert_eq!(tree.line, 1);
    assert_eq!((members[0].0.as_str(), members[0].1.line), ("a", 2));
    assert_eq!((members[1].0.as_str(), members[1].1.line), ("b", 3));
    let TreeValue::List(items) = &members[1].1.value else { panic!("a list was given") };
    assert_eq!((items[0].line, items[1].line), (4, 6));
}

#[test]
fn a_syntax_error_names_its_line() {
    let error = parse(b"{\n\"a\": 1,\n}").unwrap_err();
    assert_eq!(error.line, 3);
    assert!(error.to_string().starts_with("not JSON: "), "{error}");
    assert_eq!(parse(b"{}\n{}").unwrap_err().line, 2);
}

#[test]
fn deep_nesting_is_an_error_and_not_a_crash() {
    let deep = "[".repeat(100_000);
    assert!(parse(deep.as_bytes()).unwrap_err().problem.contains("recursion"));
}

#[test]
fn bytes_that_are_not_text_are_an_error() {
    assert!(parse(&[b'"', 0xff, b'"']).is_err());
    assert!(parse(b"").is_err());
}
