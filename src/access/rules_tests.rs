use super::*;

#[track_caller]
fn reads(text: &str, rules: &[(Resource, Scope, Level)]) {
    let read = Rules::parse(text).unwrap();
    let read: Vec<_> = read.iter().map(|rule| (rule.resource, rule.scope.clone(), rule.level)).collect();
    assert_eq!(read, rules);
}

#[track_caller]
fn refuses(text: &str, error: &str) {
    assert_eq!(Rules::parse(text).unwrap_err().to_string(), error);
}

fn exact(name: &str) -> Scope {
    Scope::Exact(name.into())
}

fn prefix(name: &str) -> Scope {
    Scope::Prefix(name.into())
}

#[test]
fn json_and_hcl_say_the_same() {
    let rules = [
        (Resource::Service, exact("web"), Level::Write),
        (Resource::Service, prefix(""), Level::Read),
        (Resource::Key, prefix("a/b"), Level::List),
        (Resource::Operator, Scope::Whole, Level::Read),
    ];
    let hcl = "service \"web\" { policy = \"write\" }\nservice_prefix \"\" {\n  policy = \"read\"\n}\n\
               key_prefix \"a/b\" { policy = \"list\" } operator = \"read\"";
    reads(hcl, &rules);
    let json = r#"{"service": {"web": {"policy": "write"}}, "service_prefix": {"": {"policy": "read"}},
                   "key_prefix": {"a/b": {"policy": "list"}}, "operator": "read"}"#;
    reads(json, &rules);
}

#[test]
fn blocks_as_a_list_of_objects_are_blocks() {
    let rules = [(Resource::Node, exact("a"), Level::Read), (Resource::Node, exact("b"), Level::Deny)];
    reads(r#"{"node": [{"a": {"policy": "read"}}, {"b": [{"policy": "deny"}]}]}"#, &rules);
}

#[test]
fn no_text_has_no_rules() {
    reads("", &[]);
    reads("  # nothing\n", &[]);
    reads("{}", &[]);
}

#[test]
fn what_rules_over_nothing_here_is_read() {
    let text = "service \"web\" { policy = \"read\" intentions = \"write\" }\nmesh = \"read\"\n\
                key \"a\" { policy = \"write\" sentinel { code = \"x\" enforcementlevel = \"soft\" } }";
    let rules = [
        (Resource::Service, exact("web"), Level::Read),
        (Resource::Mesh, Scope::Whole, Level::Read),
        (Resource::Key, exact("a"), Level::Write),
    ];
    reads(text, &rules);
}

#[test]
fn an_error_names_the_line_and_the_cure() {
    refuses(
        "\n\nservise \"web\" { policy = \"read\" }",
        r#"rules line 3: unknown rule "servise"; did you mean "service"?"#,
    );
    refuses(
        "operator_prefix \"\" { policy = \"read\" }",
        r#"rules line 1: operator has no names; write operator = "read""#,
    );
    refuses("service = \"read\"", r#"rules line 1: service needs a name: write service "NAME" { policy = "read" }"#);
    refuses(
        "service \"web\" {\n  policy = \"reed\"\n}",
        r#"rules line 2: service: expected "read", "write" or "deny", got "reed""#,
    );
    refuses(
        "service \"web\" {}",
        "rules line 1: service: no policy is given; write policy = \"read\", \"write\" or \"deny\"",
    );
    refuses("service \"web\" { polcy = \"read\" }", r#"rules line 1: service: unknown field "polcy"; there is policy"#);
    refuses(
        "service \"web\" { policy = \"list\" }",
        "rules line 1: service: \"list\" is for keys only; write \"read\"",
    );
    refuses(
        "operator { policy = \"read\" }",
        "rules line 1: operator: expected \"read\", \"write\" or \"deny\", got an object",
    );
    refuses("{\"operator\":\n 1}", "rules line 1: operator: expected \"read\", \"write\" or \"deny\", got 1");
    refuses("{\"operator\"", "rules line 1: EOF while parsing an object at line 1 column 11");
}

#[test]
fn all_rules_are_every_resource() {
    assert_eq!(Rules::all().iter().count(), RESOURCES.len());
    assert!(Rules::all().iter().all(|rule| rule.level == Level::Write));
}

#[test]
fn words_are_read_back() {
    for (word, level) in LEVELS {
        assert_eq!((Level::parse(word), level.word()), (Some(level), word));
    }
    for (word, resource) in RESOURCES {
        assert_eq!(resource.word(), word);
    }
}
