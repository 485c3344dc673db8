use proptest::prelude::*;

use super::*;

#[track_caller]
fn check(rules: &[&str], default: Level, expected: &[(Resource, &str, Level)]) {
    let rules: Vec<Rules> = rules.iter().map(|text| Rules::parse(text).unwrap()).collect();
    let authorizer = Authorizer::new(&rules, default);
    for (resource, name, level) in expected {
        assert_eq!(authorizer.level(*resource, name), *level, "{resource:?} {name}");
    }
}

const PREFIXES: &str = r#"
    service_prefix ""     { policy = "read" }
    service_prefix "web"  { policy = "write" }
    service "web-secret"  { policy = "deny" }
    service_prefix "web-s" { policy = "write" }
    operator = "read"
"#;

#[test]
fn the_exact_name_goes_first_then_the_longest_prefix_then_the_default() {
    check(
        &[PREFIXES],
        Level::Deny,
        &[
            (Resource::Service, "db", Level::Read),
            (Resource::Service, "web", Level::Write),
            (Resource::Service, "web-1", Level::Write),
            (Resource::Service, "web-secret", Level::Deny),
            (Resource::Service, "web-secret-2", Level::Write),
            (Resource::Service, "we", Level::Read),
            (Resource::Operator, "", Level::Read),
            (Resource::Node, "n1", Level::Deny),
        ],
    );
}

#[test]
fn of_equal_rules_deny_beats_write_and_write_beats_read() {
    let of = |level: &str| format!("service \"web\" {{ policy = \"{level}\" }}\noperator = \"{level}\"");
    let (read, write, deny) = (of("read"), of("write"), of("deny"));
    let both = |level| [(Resource::Service, "web", level), (Resource::Operator, "", level)];
    check(&[&read, &write], Level::Deny, &both(Level::Write));
    check(&[&write, &read], Level::Deny, &both(Level::Write));
    check(&[&deny, &write, &read], Level::Write, &both(Level::Deny));
    check(&[&write, &deny], Level::Write, &both(Level::Deny));
}

#[test]
fn tokens_need_a_rule_whatever_the_default_is() {
    check(&[], Level::Write, &[(Resource::Acl, "", Level::Deny), (Resource::Key, "a", Level::Write)]);
    check(&["acl = \"write\""], Level::Deny, &[(Resource::Acl, "", Level::Write)]);
    let all = Rules::all();
    assert_eq!(Authorizer::new([&all], Level::Deny).level(Resource::Acl, ""), Level::Write);
}

#[test]
fn all_below_a_prefix_is_allowed_only_if_no_rule_there_says_less() {
    let rules = Rules::parse("key_prefix \"a/\" { policy = \"write\" }\nkey \"a/b/c\" { policy = \"read\" }").unwrap();
    let authorizer = Authorizer::new([&rules], Level::Deny);
    let all = |prefix, level| authorizer.allows_all_below(Resource::Key, prefix, level);
    assert!(all("a/", Level::Read) && all("a/x", Level::Write) && all("a/b/d", Level::Write));
    assert!(!all("a/", Level::Write) && !all("a/b", Level::Write) && !all("", Level::Read) && !all("a", Level::Read));
    let open = Authorizer::new([], Level::Write);
    assert!(open.allows_all_below(Resource::Key, "", Level::Write));
    assert!(!open.allows_all_below(Resource::Acl, "", Level::Read));
}

fn some_rules() -> impl Strategy<Value = Vec<(bool, String, Level)>> {
    let level = prop_oneof![Just(Level::Deny), Just(Level::Read), Just(Level::List), Just(Level::Write)];
    proptest::collection::vec((any::<bool>(), "[abä]{0,4}", level), 0..8)
}

/// What the documentation says, name by name.
fn slowly(rules: &[(bool, String, Level)], name: &str, default: Level) -> Level {
    let strongest = |found: Vec<Level>| found.into_iter().reduce(stronger);
    let exact = rules.iter().filter(|(is_exact, of, _)| *is_exact && of == name).map(|rule| rule.2).collect();
    strongest(exact)
        .or_else(|| {
            let prefixes = || rules.iter().filter(|(is_exact, of, _)| !is_exact && name.starts_with(of.as_str()));
            let longest = prefixes().map(|rule| rule.1.len()).max()?;
            strongest(prefixes().filter(|rule| rule.1.len() == longest).map(|rule| rule.2).collect())
        })
        .unwrap_or(default)
}

fn authorizer(rules: &[(bool, String, Level)]) -> Authorizer {
    let rule = |(is_exact, name, level): &(bool, String, Level)| Rule {
        resource: Resource::Key,
        scope: if *is_exact { Scope::Exact(name.as_str().into()) } else { Scope::Prefix(name.as_str().into()) },
        level: *level,
    };
    Authorizer::new([&Rules::new(rules.iter().map(rule).collect())], Level::Read)
}

proptest! {
    #[test]
    fn the_decision_is_the_documented_one(rules in some_rules(), name in "[abä]{0,5}") {
        prop_assert_eq!(authorizer(&rules).level(Resource::Key, &name), slowly(&rules, &name, Level::Read));
    }

    #[test]
    fn what_is_allowed_below_a_prefix_is_allowed_for_each_name_there(
        rules in some_rules(), prefix in "[abä]{0,2}", rest in "[abä]{0,3}",
    ) {
        let authorizer = authorizer(&rules);
        if authorizer.allows_all_below(Resource::Key, &prefix, Level::Write) {
            let name = prefix + &rest;
            prop_assert!(authorizer.allows(Resource::Key, &name, Level::Write));
        }
    }
}
