use super::*;
use crate::access::token::Secret;

fn directory() -> Directory {
    Directory::new(Seed(7), HashKey([3; 16]))
}

fn policy(id: &str, name: &str) -> Policy {
    Policy { id: id.into(), name: name.into(), ..Policy::management() }
}

fn token(accessor_id: &str, secret: &str) -> Token {
    Token::new(accessor_id.into(), Secret::new(secret))
}

#[track_caller]
fn applies(directory: &mut Directory, change: AccessChange, index: u64) {
    directory.apply(change, index).unwrap();
}

#[test]
fn a_token_is_found_by_its_accessor_and_by_its_secret_alone() {
    let mut directory = directory();
    for at in 0..200 {
        applies(&mut directory, AccessChange::CreateToken(token(&format!("a{at}"), &format!("s{at}"))), at);
    }
    let changed = Token { description: "changed".into(), ..token("a7", "other") };
    applies(&mut directory, AccessChange::UpdateToken(changed.clone()), 300);
    let accessor = |secret: &str| directory.token_by_secret(secret).map(|token| token.accessor_id.to_string());
    assert_eq!(accessor("s8"), Some("a8".to_owned()));
    assert_eq!(accessor("s7"), Some("a7".to_owned()));
    assert_eq!((accessor("other"), accessor("")), (None, None), "an update leaves the secret as it is");
    assert_eq!(directory.apply(AccessChange::UpdateToken(changed), 301), Ok(Vec::new()), "it is so already");
    let found = directory.token("a7").unwrap();
    assert_eq!((found.create_index, found.modify_index, directory.index()), (7, 300, 300));
}

#[test]
fn a_deleted_token_is_found_no_more() {
    let mut directory = directory();
    applies(&mut directory, AccessChange::CreateToken(token("a", "s")), 1);
    applies(&mut directory, AccessChange::DeleteToken("a".into()), 2);
    assert!(directory.token("a").is_none() && directory.token_by_secret("s").is_none());
    assert_eq!(directory.apply(AccessChange::DeleteToken("a".into()), 3), Err(AccessError::UnknownToken("a".into())));
    assert_eq!(directory.index(), 2);
}

#[test]
fn two_tokens_never_share_a_secret_and_two_policies_never_a_name() {
    let mut directory = directory();
    applies(&mut directory, AccessChange::CreateToken(token("a", "s")), 1);
    assert_eq!(directory.apply(AccessChange::CreateToken(token("b", "s")), 2), Err(AccessError::SecretTaken));
    applies(&mut directory, AccessChange::CreatePolicy(policy("p1", "web")), 3);
    let taken = directory.apply(AccessChange::CreatePolicy(policy("p2", "web")), 4);
    assert_eq!(taken, Err(AccessError::NameTaken("web".into())));
    assert_eq!(directory.apply(AccessChange::UpdatePolicy(policy("p1", "web")), 5), Ok(Vec::new()));
    applies(&mut directory, AccessChange::UpdatePolicy(policy("p1", "db")), 6);
    assert_eq!((directory.policies().count(), directory.tokens().count()), (1, 1));
    assert!(directory.policy_by_name("web").is_none() && directory.policy_by_name("db").is_some());
    let unknown = directory.apply(AccessChange::UpdatePolicy(policy("p3", "x")), 7);
    assert_eq!(unknown, Err(AccessError::UnknownPolicy("p3".into())));
}

#[test]
fn the_first_token_of_management_is_made_once() {
    let mut directory = directory();
    applies(&mut directory, AccessChange::Bootstrap(token("a", "s")), 9);
    let again = directory.apply(AccessChange::Bootstrap(token("b", "t")), 10);
    assert_eq!(again.unwrap_err().to_string(), "ACL bootstrap no longer allowed (reset index: 9)");
    assert!(directory.token("b").is_none());
}

#[test]
fn what_is_built_in_stays() {
    let mut directory = directory();
    let refused = |change| directory.apply(change, 1).unwrap_err().to_string();
    let mut refused = refused;
    assert_eq!(
        refused(AccessChange::DeletePolicy(MANAGEMENT_POLICY_ID.into())),
        "the policy global-management is built in and stays"
    );
    assert_eq!(
        refused(AccessChange::UpdatePolicy(Policy::management())),
        "the policy global-management is built in and stays"
    );
    assert_eq!(
        refused(AccessChange::DeleteToken(ANONYMOUS_ACCESSOR_ID.into())),
        "the anonymous token is built in and stays"
    );
}

#[test]
fn a_clone_does_not_see_what_comes_later() {
    let mut directory = directory();
    applies(&mut directory, AccessChange::CreateToken(token("a", "s")), 1);
    let before = directory.clone();
    applies(&mut directory, AccessChange::DeleteToken("a".into()), 2);
    assert!(before.token_by_secret("s").is_some());
}

#[test]
fn rules_are_those_of_the_policies_that_are_there() {
    let mut directory = directory();
    applies(&mut directory, AccessChange::CreatePolicy(policy("p1", "web")), 1);
    let of =
        Token { policies: vec!["p1".into(), "gone".into()], service_identities: vec!["web".into()], ..token("a", "s") };
    assert_eq!(rules_of(&of, |id| directory.policy(id)).len(), 2);
    assert_eq!(rules_of(&token("a", "s"), |id| directory.policy(id)).len(), 0);
}
