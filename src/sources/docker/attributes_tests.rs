use super::*;

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    assert_eq!(split(text), expected);
}

#[test]
fn tags_stand_between_commas_in_the_order_of_the_text() {
    check("b,a,c", &["b", "a", "c"]);
    check(",a,,b,", &["a", "b"]);
    check(" a , b c ", &["a", "b c"]);
    check("", &[]);
}

#[test]
fn an_escaped_comma_is_part_of_its_tag() {
    check(r"a\,b,c", &["a,b", "c"]);
    check(r"\,", &[","]);
    check(r"a\b\\,c\", &[r"a\b\,c\"]);
}
