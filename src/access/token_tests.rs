use super::*;
use crate::access::Authorizer;

#[test]
fn a_secret_is_compared_whole_and_never_shown() {
    let secret = Secret::new("3f0c2b8e-0000-4000-8000-000000000001");
    assert!(secret.is("3f0c2b8e-0000-4000-8000-000000000001"));
    for other in ["", "3f0c2b8e-0000-4000-8000-000000000002", "3f0c2b8e", "3f0c2b8e-0000-4000-8000-000000000001 "] {
        assert!(!secret.is(other), "{other}");
    }
    let token = Token::new("a".into(), secret);
    assert!(!format!("{token:?}").contains("3f0c2b8e"));
}

#[test]
fn a_token_is_worth_nothing_from_its_end_on() {
    let token = Token { expires_secs: Some(100), ..Token::anonymous() };
    assert_eq!([99, 100, 101].map(|now| token.has_expired(Now::by_clock(now))), [false, true, true]);
    assert!(!Token::anonymous().has_expired(Now::by_clock(u64::MAX)));
}

#[test]
fn the_management_policy_is_what_its_text_says() {
    let policy = Policy::management();
    assert_eq!(Rules::parse(&policy.text).unwrap(), *policy.rules);
}

#[test]
fn identities_are_the_rules_that_registering_needs() {
    let token =
        Token { service_identities: vec!["web".into()], node_identities: vec!["n1".into()], ..Token::anonymous() };
    let authorizer = Authorizer::new([&token.identity_rules()], Level::Deny);
    for (resource, name, level) in [
        (Resource::Service, "web", Level::Write),
        (Resource::Service, "web-sidecar-proxy", Level::Write),
        (Resource::Service, "db", Level::Read),
        (Resource::Node, "n1", Level::Write),
        (Resource::Node, "n2", Level::Read),
        (Resource::Key, "a", Level::Deny),
    ] {
        assert_eq!(authorizer.level(resource, name), level, "{resource:?} {name}");
    }
}

#[test]
fn a_lease_goes_before_the_clock_while_the_store_is_followed() {
    let token = |lease| Token { expires_secs: Some(100), lease, ..Token::new("a".into(), Secret::new("s")) };
    let over = |lease, follows| token(lease).has_expired(Now { secs: 5000, follows });
    assert!(!over(7, true), "the store has it");
    assert!(over(7, false), "nobody tells whether the store still has it");
    assert!(over(0, true), "nothing ends it in the store");
}
