use super::words;

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    assert_eq!(words(text).unwrap(), expected);
}

#[test]
fn words_are_parted_by_blanks() {
    check("  probe  -x\ty\n", &["probe", "-x", "y"]);
}

#[test]
fn quotes_keep_blanks_and_empty_words() {
    check(r#"probe 'a b' "c d" e' 'f '' "" "#, &["probe", "a b", "c d", "e f", "", ""]);
    check(r#"probe '\"' "it's""#, &["probe", r#"\""#, "it's"]);
}

#[test]
fn a_backslash_takes_what_follows_as_it_is() {
    check(r#"probe a\ b \' "\"\$\x" "#, &["probe", "a b", "'", r#""$\x"#]);
    check("probe a\\\nb", &["probe", "ab"]);
}

#[test]
fn nothing_else_has_a_meaning() {
    check("probe $(rm x) `y` > z | w; v & *", &["probe", "$(rm", "x)", "`y`", ">", "z", "|", "w;", "v", "&", "*"]);
}

#[test]
fn what_cannot_be_read_is_refused() {
    for text in ["probe 'a", "probe \"a", "probe \"a\\"] {
        assert_eq!(words(text).unwrap_err(), "a quote is not closed");
    }
    assert_eq!(words("probe \\").unwrap_err(), "a command must not end with a backslash");
    for text in ["", "  ", "''"] {
        assert_eq!(words(text).unwrap_err(), "expected a program and its arguments");
    }
}
