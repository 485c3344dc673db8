use super::*;

/// Variables, labels, port: the values by name.
#[track_caller]
fn check(env: &[&str], labels: &[(&str, &str)], port: Option<u16>, expected: &[(&str, &str)]) {
    let config = Config {
        env: env.iter().map(|variable| (*variable).to_owned()).collect(),
        labels: labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        ..Config::default()
    };
    let metadata = Metadata::of(&config, port);
    let found: Vec<_> = metadata.0.iter().map(|(name, entry)| (name.as_str(), entry.value.as_str())).collect();
    assert_eq!(found, expected);
}

#[test]
fn only_keys_that_begin_in_upper_case_count() {
    check(&["SERVICE_NAME=a", "service_id=b", "Service_Tags=c", "XSERVICE_ID=d"], &[], None, &[("name", "a")]);
    check(&["SERVICE_Region=eu"], &[("SERVICE_rack", "r7")], None, &[("rack", "r7"), ("region", "eu")]);
    check(&["SERVICE_", "SERVICE_NAME", "SERVICE_=x", "SERVICE_80_=x"], &[], Some(80), &[]);
}

#[test]
fn a_key_of_a_port_holds_for_that_port_alone() {
    let env = ["SERVICE_80_NAME=web", "SERVICE_443_NAME=tls", "SERVICE_080_ID=x"];
    check(&env, &[], Some(80), &[("name", "web")]);
    check(&env, &[], Some(443), &[("name", "tls")]);
    check(&env, &[], Some(8080), &[]);
    check(&env, &[], None, &[]);
}

#[test]
fn a_key_of_a_port_beats_the_general_one_in_any_order() {
    check(&["SERVICE_80_NAME=web", "SERVICE_NAME=all"], &[], Some(80), &[("name", "web")]);
    check(&["SERVICE_NAME=all", "SERVICE_80_NAME=web"], &[], Some(80), &[("name", "web")]);
    check(&["SERVICE_80_NAME=web"], &[("SERVICE_NAME", "all")], Some(80), &[("name", "web")]);
}

#[test]
fn the_later_of_one_rank_counts_and_labels_come_later() {
    check(&["SERVICE_NAME=a", "SERVICE_NAME=b"], &[], None, &[("name", "b")]);
    check(&["SERVICE_NAME=a"], &[("SERVICE_NAME", "b")], None, &[("name", "b")]);
    check(&["SERVICE_80_NAME=a"], &[("SERVICE_80_NAME", "b")], Some(80), &[("name", "b")]);
    check(&[], &[("SERVICE_name", "lower"), ("SERVICE_NAME", "upper")], None, &[("name", "lower")]);
}

#[test]
fn digits_alone_are_a_general_key() {
    check(&["SERVICE_8080=x"], &[], Some(80), &[("8080", "x")]);
}

#[test]
fn a_value_may_have_equals_signs_and_an_empty_one_is_none() {
    check(&["SERVICE_QUERY=a=b"], &[], None, &[("query", "a=b")]);
    let config = Config { env: vec!["SERVICE_NAME=".to_owned()], ..Config::default() };
    assert_eq!(Metadata::of(&config, None).get("name"), None);
}
