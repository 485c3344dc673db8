use super::*;
use crate::{
    access::{
        directory::{AccessChange, HashKey},
        token::Secret,
    },
    catalog::table::Seed,
};

fn directory() -> Directory {
    Directory::new(Seed(7), HashKey([3; 16]))
}

fn policy(id: &str, name: &str) -> Policy {
    Policy { id: id.into(), name: name.into(), modify_index: 40, ..Policy::management() }
}

fn token(accessor_id: &str, secret: &str) -> Token {
    Token { modify_index: 41, lease: 7, ..Token::new(accessor_id.into(), Secret::new(secret)) }
}

fn told_policy(id: &str, name: &str) -> Event {
    Event::Policy(Box::new(policy(id, name)))
}

fn told_token(accessor_id: &str, secret: &str) -> Event {
    Event::Token(Box::new(token(accessor_id, secret)))
}

/// What became another.
#[track_caller]
fn follow(directory: &mut Directory, told: Told, events: Vec<Event>) -> Vec<Touched> {
    let index = directory.index() + 1;
    let followed = Followed { revision: 50, told, events };
    directory.apply(AccessChange::Follow(Box::new(followed)), index).unwrap()
}

fn holder(directory: &Directory, secret: &str) -> Option<String> {
    directory.token_by_secret(secret).map(|token| token.accessor_id.to_string())
}

#[test]
fn what_is_told_holds_with_its_own_indexes() {
    let mut directory = directory();
    let events = || vec![told_policy("p", "look"), told_token("a", "s"), Event::Bootstrap(39)];
    let touched = follow(&mut directory, Told::Changes, events());
    assert_eq!(touched, [Touched::Policy("p".into()), Touched::Token("a".into()), Touched::Bootstrap]);
    assert_eq!(**directory.policy("p").unwrap(), policy("p", "look"));
    assert_eq!(**directory.token_by_secret("s").unwrap(), token("a", "s"));
    assert_eq!((directory.bootstrap_index(), directory.index(), directory.newest_index()), (39, 1, 41));
    assert_eq!(follow(&mut directory, Told::Changes, events()), [], "it is so already");
    assert_eq!(directory.index(), 1);
    let gone = vec![Event::NoPolicy("p".into()), Event::NoToken("a".into()), Event::NoBootstrap];
    assert_eq!(follow(&mut directory, Told::Changes, gone.clone()), touched);
    assert_eq!(follow(&mut directory, Told::Changes, gone), []);
    assert_eq!((directory.policies().count(), directory.tokens().count(), directory.bootstrap_index()), (0, 0, 0));
    assert_eq!(holder(&directory, "s"), None);
}

#[test]
fn what_is_not_listed_is_gone() {
    let mut directory = directory();
    for index in 1..4 {
        let own = Token::new(format!("own-{index}").into(), Secret::new(format!("secret-{index}")));
        directory.apply(AccessChange::CreateToken(own), index).unwrap();
    }
    directory.apply(AccessChange::CreatePolicy(policy("own", "own")), 4).unwrap();
    follow(&mut directory, Told::Changes, vec![told_policy("p", "look"), told_token("a", "s")]);
    let touched = follow(&mut directory, Told::Everything, vec![told_token("a", "s"), told_token("own-2", "secret-2")]);
    assert_eq!(touched.len(), 6, "{touched:?}");
    assert_eq!((directory.policies().count(), directory.tokens().count(), directory.bootstrap_index()), (0, 2, 0));
    assert_eq!((holder(&directory, "secret-1"), holder(&directory, "secret-2")), (None, Some("own-2".to_owned())));
    follow(&mut directory, Told::Everything, Vec::new());
    assert_eq!((directory.tokens().count(), holder(&directory, "s")), (0, None));
}

#[test]
fn of_two_policies_of_one_name_the_name_is_that_of_the_lower_id() {
    for ids in [["1", "2"], ["2", "1"]] {
        let mut directory = directory();
        follow(&mut directory, Told::Changes, ids.map(|id| told_policy(id, "look")).into());
        let by_name = |directory: &Directory| directory.policy_by_name("look").map(|policy| policy.id.to_string());
        assert_eq!(by_name(&directory), Some("1".to_owned()));
        assert!(directory.policy("1").is_some() && directory.policy("2").is_some());
        follow(&mut directory, Told::Changes, vec![Event::NoPolicy("1".into())]);
        assert_eq!(by_name(&directory), Some("2".to_owned()));
    }
}

#[test]
fn of_two_tokens_of_one_secret_the_secret_is_that_of_the_lower_accessor() {
    for ids in [["1", "2", "3"], ["3", "1", "2"], ["2", "3", "1"], ["3", "2", "1"]] {
        let mut directory = directory();
        follow(&mut directory, Told::Changes, ids.map(|id| told_token(id, "same")).into());
        assert_eq!((holder(&directory, "same").as_deref(), directory.tokens().count()), (Some("1"), 3));
        follow(&mut directory, Told::Changes, vec![Event::NoToken("2".into())]);
        assert_eq!(holder(&directory, "same").as_deref(), Some("1"));
        // It gets another secret, and the one that is left has this.
        follow(&mut directory, Told::Changes, vec![told_token("1", "other")]);
        assert_eq!(["same", "other"].map(|secret| holder(&directory, secret).unwrap()), ["3", "1"]);
        follow(&mut directory, Told::Changes, vec![Event::NoToken("3".into())]);
        assert_eq!((holder(&directory, "same"), holder(&directory, "other").as_deref()), (None, Some("1")));
    }
}

#[test]
fn what_a_shared_store_ends_does_not_end_here() {
    let mut directory = directory();
    let leased = Token { expires_secs: Some(100), ..token("a", "s") };
    let unleased = Token { expires_secs: Some(100), lease: 0, ..token("b", "t") };
    let events = [leased, unleased].map(|token| Event::Token(Box::new(token)));
    follow(&mut directory, Told::Changes, events.into());
    assert_eq!(directory.apply(AccessChange::Expire(5000), 9), Ok(vec![Touched::Token("b".into())]));
}
