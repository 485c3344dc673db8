use proptest::prelude::*;

use super::*;

#[track_caller]
fn refuses(text: &str, error: &str) {
    assert_eq!(parse(text).unwrap_err().to_string(), error);
}

/// A tree without its lines.
fn plain(tree: &Tree) -> String {
    match &tree.value {
        TreeValue::Map(members) => {
            let members: Vec<String> = members.iter().map(|(name, value)| format!("{name}={}", plain(value))).collect();
            format!("{{{}}}", members.join(","))
        }
        TreeValue::List(items) => format!("[{}]", items.iter().map(plain).collect::<Vec<_>>().join(",")),
        TreeValue::Text(text) => format!("{text:?}"),
        TreeValue::Integer(number) => number.to_string(),
        other => format!("{other:?}"),
    }
}

#[track_caller]
fn reads(text: &str, tree: &str) {
    assert_eq!(plain(&parse(text).unwrap()), tree);
}

#[test]
fn names_blocks_and_values_are_read() {
    reads("a = \"b\"", r#"{a="b"}"#);
    reads("a \"b\" \"c\" { d = 1, e = true }", r#"{a={b={c={d=1,e=Flag(true)}}}}"#);
    reads("\"a\" \"\" {}\na \"\" {}", r#"{a={={}},a={={}}}"#);
    reads("a = [\"b\", \"c\",]\nd = { e = \"f\" }", r#"{a=["b","c"],d={e="f"}}"#);
    reads(r#"a = "b\"c\\d\n${e}""#, "{a=\"b\\\"c\\\\d\\n${e}\"}");
}

#[test]
fn comments_are_left_out() {
    reads("# a\n// b\n/* c\n d */ e = \"f\" # g\n", r#"{e="f"}"#);
}

#[test]
fn lines_are_counted_through_comments_and_blocks() {
    let tree = parse("/* a\n\n*/\nb \"c\" {\n  d = \"e\"\n}").unwrap();
    let TreeValue::Map(members) = &tree.value else { panic!("a body is a map") };
    assert_eq!(members[0].1.line, 4);
    refuses("a {\n b = \"c\"\n", "rules line 1: this block has no closing }");
}

#[test]
fn an_error_names_what_was_expected() {
    refuses("a", "rules line 1: expected = or a block in braces after \"a\", got the end");
    refuses("a = ", "rules line 1: expected a value in quotes, got the end");
    refuses("a = read", "rules line 1: expected a value in quotes: \"read\"");
    refuses("a = \"b", "rules line 1: a text has no closing quote on its line");
    refuses("a = \"b\\x\"", "rules line 1: unknown escape \\x; write \\\\ for a backslash");
    refuses("a = \"b\\\n\"", "rules line 1: unknown escape \\\\n; write \\\\ for a backslash");
    refuses("a {} }", "rules line 1: a } without its {");
    refuses("= 1", "rules line 1: expected the name of a rule, got '='");
    refuses("a = [\"b\" \"c\"]", "rules line 1: expected a comma or ] in the list, got '\"'");
    refuses("\n/* a", "rules line 2: this comment has no closing */");
    refuses(&"a {".repeat(100), "rules line 1: nested more than 8 deep");
    refuses(&format!("a = {}", "[".repeat(100)), "rules line 1: nested more than 8 deep");
    refuses(
        &format!("a {} {{}}", "\"b\"".repeat(9)),
        "rules line 1: \"a\" has more than 8 names".replace('"', "").as_str(),
    );
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "[a-z\"={}\\[\\],#/*\\\\ \n]{0,200}") {
        let _ = parse(&text);
    }

    #[test]
    fn any_text_in_quotes_is_that_text(text in "[^\n\"\\\\]{0,40}") {
        let tree = parse(&format!("a = \"{text}\"")).unwrap();
        let TreeValue::Map(members) = tree.value else { panic!("a body is a map") };
        prop_assert_eq!(&members[0].1.value, &TreeValue::Text(text));
    }
}
