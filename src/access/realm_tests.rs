use super::*;
use crate::{
    access::{
        directory::HashKey,
        file,
        token::{ANONYMOUS_SECRET, Secret},
    },
    catalog::table::Seed,
};

const FILE: &str = r#"
[policy.look]
rules = 'node_prefix "" { policy = "read" }'
[token.ci]
secret = "file-file-file-file"
policies = ["look"]
"#;

fn realm(file: &str) -> Realm {
    let empty = || Directory::new(Seed(7), HashKey([3; 16]));
    Realm { file: Arc::new(file::read(file, empty()).unwrap()), stored: empty() }
}

fn token(accessor_id: &str, secret: &str) -> Token {
    Token::new(accessor_id.into(), Secret::new(secret))
}

fn policy(id: &str, name: &str) -> Policy {
    Policy { id: id.into(), name: name.into(), ..Policy::management() }
}

#[track_caller]
fn refused(realm: &mut Realm, change: AccessChange) -> String {
    let before = format!("{realm:?}");
    let error = realm.apply(change, 9).unwrap_err().to_string();
    assert_eq!(format!("{realm:?}"), before, "nothing of it was done");
    error
}

#[test]
fn what_stands_in_the_file_is_changed_there() {
    let mut realm = realm(FILE);
    let look = realm.policy_by_name("look").unwrap().id.clone();
    let ci = realm.token_by_secret("file-file-file-file", Now::by_clock(0)).unwrap().accessor_id.clone();
    for change in [
        AccessChange::UpdatePolicy(policy(&look, "look")),
        AccessChange::DeletePolicy(look),
        AccessChange::UpdateToken(token(&ci, "s")),
        AccessChange::DeleteToken(ci.clone()),
    ] {
        assert!(refused(&mut realm, change).contains("of the file that access_tokens names"));
    }
    assert!(refused(&mut realm, AccessChange::CreatePolicy(policy("p", "look"))).contains("\"look\" already exists"));
    assert!(refused(&mut realm, AccessChange::CreateToken(token(&ci, "s"))).contains("already in use"));
    assert!(refused(&mut realm, AccessChange::CreateToken(token("a", "file-file-file-file"))).contains("SecretID"));
    assert!(refused(&mut realm, AccessChange::CreateToken(token("a", &ci))).contains("SecretID"), "that is no secret");
}

#[test]
fn tokens_of_both_are_found_and_have_policies_of_both() {
    let mut realm = realm(FILE);
    let look = realm.policy_by_name("look").unwrap().id.clone();
    realm.apply(AccessChange::CreatePolicy(policy("p", "all")), 5).unwrap();
    realm.apply(AccessChange::CreateToken(Token { policies: vec![look], ..token("a", "stored") }), 6).unwrap();
    let found = realm.token_by_secret("stored", Now::by_clock(0)).unwrap();
    let authorizer = realm.authorizer(found, Level::Deny);
    assert!(
        authorizer.allows(Resource::Node, "n1", Level::Read) && !authorizer.allows(Resource::Key, "a", Level::Read)
    );
    assert_eq!((realm.tokens(Now::by_clock(0)).count(), realm.policies().count()), (3, 3), "with what is built in");
}

#[test]
fn the_anonymous_token_is_built_in_until_it_is_changed() {
    let mut realm = realm("");
    let change = |policies: &[&str]| {
        let policies = policies.iter().map(|id| Arc::from(*id)).collect();
        AccessChange::UpdateToken(Token { policies, ..token(ANONYMOUS_ACCESSOR_ID, "other") })
    };
    let touched = realm.apply(change(&[MANAGEMENT_POLICY_ID]), 5).unwrap();
    assert_eq!(touched, [Touched::Token(ANONYMOUS_ACCESSOR_ID.into()), Touched::Bootstrap]);
    let anonymous = realm.anonymous();
    assert_eq!(&**anonymous.secret.reveal(), ANONYMOUS_SECRET, "a secret is never changed");
    assert!(realm.authorizer(anonymous, Level::Deny).allows(Resource::Acl, "", Level::Write));
    realm.apply(change(&[]), 6).unwrap();
    assert!(!realm.authorizer(realm.anonymous(), Level::Deny).allows(Resource::Key, "", Level::Read));
    assert_eq!(realm.tokens(Now::by_clock(0)).count(), 1);
    let of_file = "[anonymous]\npolicies = []";
    let mut realm = self::realm(of_file);
    assert!(refused(&mut realm, change(&[])).contains("access_tokens"));
}

#[test]
fn who_has_a_manager_in_the_file_needs_no_first_token() {
    let manager = "[token.admin]\nsecret = \"admin-admin-admin\"\npolicies = [\"global-management\"]";
    let mut with_manager = realm(manager);
    let first = || AccessChange::Bootstrap(token("a", "first"));
    assert_eq!(refused(&mut with_manager, first()), "ACL bootstrap no longer allowed (reset index: 1)");
    let mut without = realm(FILE);
    without.apply(first(), 5).unwrap();
    let second = AccessChange::Bootstrap(token("b", "second"));
    assert_eq!(refused(&mut without, second), "ACL bootstrap no longer allowed (reset index: 5)");
}

#[test]
fn who_made_a_token_needs_no_first_one() {
    let mut realm = realm(FILE);
    realm.apply(AccessChange::CreateToken(token("a", "s")), 5).unwrap();
    realm.apply(AccessChange::DeleteToken("a".into()), 6).unwrap();
    let first = AccessChange::Bootstrap(token("b", "first"));
    assert_eq!(refused(&mut realm, first), "ACL bootstrap no longer allowed (reset index: 5)");
}

#[test]
fn a_token_is_worth_nothing_from_its_time_on_and_then_goes() {
    let mut realm = realm(FILE);
    for (id, expires_secs) in [("a", Some(100)), ("b", Some(101)), ("c", None)] {
        realm
            .apply(AccessChange::CreateToken(Token { expires_secs, ..token(id, &format!("secret-{id}")) }), 5)
            .unwrap();
    }
    assert!(
        realm.token_by_secret("secret-a", Now::by_clock(99)).is_some()
            && realm.token_by_secret("secret-a", Now::by_clock(100)).is_none()
    );
    assert_eq!(realm.tokens(Now::by_clock(100)).count(), 4);
    assert_eq!(realm.apply(AccessChange::Expire(99), 6), Ok(Vec::new()));
    assert_eq!(realm.stored.index(), 5, "nothing went");
    assert_eq!(realm.apply(AccessChange::Expire(100), 7), Ok(vec![Touched::Token("a".into())]));
    assert!(realm.stored.token("a").is_none() && realm.stored.token("b").is_some());
    assert_eq!(realm.stored.index(), 7);
}
