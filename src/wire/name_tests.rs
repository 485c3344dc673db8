use super::*;

#[track_caller]
fn check(text: &str, labels: &[&str]) {
    let name = Name::parse(text).unwrap();
    let expected: Vec<_> = labels.iter().map(|label| label.as_bytes()).collect();
    assert_eq!(name.labels().collect::<Vec<_>>(), expected);
    assert_eq!(Name::parse(&name.to_string()).unwrap(), name, "text -> wire -> text is stable");
}

#[track_caller]
fn refuse(text: &str, why: NameError) {
    assert_eq!(Name::parse(text).unwrap_err(), why);
}

#[test]
fn a_trailing_dot_may_be_left_out() {
    check("web.example", &["web", "example"]);
    check("web.example.", &["web", "example"]);
    check(".", &[]);
}

#[test]
fn an_escaped_dot_stays_inside_its_label() {
    check(r"a\.b.example.", &["a.b", "example"]);
    check(r"\046.example.", &[".", "example"]);
}

#[test]
fn lengths_are_limited_to_63_and_255_bytes() {
    let label = "a".repeat(63);
    check(&format!("{label}.example."), &[&label, "example"]);
    refuse(&format!("{label}a.example."), NameError::LabelTooLong);
    let longest = format!("{label}.{label}.{label}.{}", "a".repeat(61));
    assert_eq!(Name::parse(&longest).unwrap().as_wire().len(), 255);
    refuse(&format!("{longest}a"), NameError::NameTooLong);
}

#[test]
fn malformed_text_is_refused() {
    refuse("a..b", NameError::EmptyLabel);
    refuse(".a", NameError::EmptyLabel);
    refuse(r"a\25", NameError::BadEscape);
    refuse(r"a\256", NameError::BadEscape);
    refuse("a\\", NameError::BadEscape);
}

#[test]
fn comparison_ignores_letter_case() {
    let (lower, upper) = (Name::parse("a.example").unwrap(), Name::parse("A.EXAMPLE").unwrap());
    assert_eq!(lower, upper);
    assert_eq!(lower.cmp(&upper), Ordering::Equal);
    assert_eq!(upper.to_lowercase().as_wire(), lower.as_wire());
}

#[test]
fn a_name_lies_below_its_ancestors_only() {
    let name = Name::parse("a.b.example").unwrap();
    assert!(name.is_at_or_below(&Name::root()));
    assert!(name.is_at_or_below(&Name::parse("B.example").unwrap()));
    assert!(name.is_at_or_below(&name));
    assert!(!name.is_at_or_below(&Name::parse("x.a.b.example").unwrap()));
    assert!(!Name::parse("xb.example").unwrap().is_at_or_below(&Name::parse("b.example").unwrap()));
}

#[test]
fn wire_form_must_be_one_whole_name() {
    assert_eq!(Name::from_wire(b"\x01a\x00").unwrap(), Name::parse("a").unwrap());
    for bytes in [&b""[..], b"\x01a", b"\x01a\x00\x00", b"\xc0\x0c", b"\x05a\x00"] {
        assert_eq!(Name::from_wire(bytes).unwrap_err(), NameError::Malformed);
    }
}
