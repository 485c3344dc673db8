use std::collections::BTreeMap;

use proptest::{collection::vec, prelude::*};

use super::{
    super::{
        super::{client, retell},
        Ended,
        tests::{Etcd, layout},
    },
    *,
};
use crate::{
    access::{
        Rules,
        directory::HashKey,
        file,
        follow::Followed,
        token::{ANONYMOUS_ACCESSOR_ID, Secret, Token},
    },
    catalog::{followed::Told, table::Seed},
};

/// A machine that has heard of all up to a revision.
type Machine = (Realm, u64);

fn empty() -> Directory {
    Directory::new(Seed(7), HashKey([3; 16]))
}

/// A machine that has heard of all that is there.
fn heard(etcd: &Etcd) -> Machine {
    let mut complaints = Vec::new();
    let events = etcd.keys.values().cloned().map(client::Event::Put);
    let events = events.filter_map(|event| retell::access::told(&layout(), &event, &mut complaints)).collect();
    assert!(complaints.is_empty(), "{}", complaints[0]);
    let revision = u64::try_from(etcd.revision).unwrap();
    let mut realm = Realm::of(empty());
    let followed = Followed { revision, told: Told::Everything, events };
    realm.apply(AccessChange::Follow(Box::new(followed)), 1).unwrap();
    (realm, revision)
}

/// Makes a change, planned on what a machine knows: what came of it; none where etcd is newer.
fn change(etcd: &mut Etcd, (realm, revision): &Machine, change: &AccessChange) -> Option<Result<(), AccessError>> {
    let (plan, outcome) = Plan::access(&layout(), (realm, *revision), change).unwrap();
    if plan.is_empty() {
        return Some(outcome);
    }
    let done = etcd.txn(plan.txn(GRANTED));
    match plan.ended(&done) {
        Ended::Done { .. } => Some(outcome),
        Ended::Stale => None,
        other => panic!("{other:?}"),
    }
}

/// The same on a machine that has heard of all.
#[track_caller]
fn does(etcd: &mut Etcd, wanted: AccessChange) {
    let machine = heard(etcd);
    assert_eq!(change(etcd, &machine, &wanted), Some(Ok(())));
}

fn names(etcd: &Etcd) -> Vec<String> {
    let root = layout().root().len();
    etcd.keys.keys().map(|key| String::from_utf8_lossy(&key[root..]).into_owned()).collect()
}

fn id(number: u8) -> Arc<str> {
    format!("{number:08}-0000-4000-8000-000000000000").into()
}

fn policy(number: u8, name: &str) -> Policy {
    let text = "service \"web\" { policy = \"write\" }";
    let rules = Arc::new(Rules::parse(text).unwrap());
    Policy { id: id(number), name: name.into(), text: text.into(), rules, ..Policy::management() }
}

fn token(number: u8, secret: u8) -> Token {
    Token::new(id(number), Secret::new(format!("secret-secret-{secret:02}")))
}

/// The lease that is granted for a transaction.
const GRANTED: i64 = 9;

#[test]
fn two_machines_never_give_one_name_or_one_secret_twice() {
    let mut etcd = Etcd::default();
    let before = heard(&etcd);
    does(&mut etcd, AccessChange::CreatePolicy(policy(1, "deploy")));
    let second = AccessChange::CreatePolicy(policy(2, "deploy"));
    assert_eq!(change(&mut etcd, &before, &second), None, "this machine has not heard of the first");
    let now = heard(&etcd);
    assert_eq!(change(&mut etcd, &now, &second), Some(Err(AccessError::NameTaken("deploy".into()))));
    does(&mut etcd, AccessChange::CreateToken(token(1, 1)));
    let second = AccessChange::CreateToken(token(2, 1));
    assert_eq!(change(&mut etcd, &now, &second), None);
    let now = heard(&etcd);
    assert_eq!(change(&mut etcd, &now, &second), Some(Err(AccessError::SecretTaken)));
    does(&mut etcd, AccessChange::DeleteToken(id(1)));
    assert_eq!(change(&mut etcd, &now, &second), None, "the secret is free again");
    does(&mut etcd, second);
}

#[test]
fn of_two_first_tokens_one_is_made() {
    let mut etcd = Etcd::default();
    let before = heard(&etcd);
    assert_eq!(change(&mut etcd, &before, &AccessChange::Bootstrap(token(1, 1))), Some(Ok(())));
    assert_eq!(names(&etcd), ["bootstrap/acl".to_owned(), format!("tokens/{}", id(1))]);
    let second = AccessChange::Bootstrap(token(2, 2));
    assert_eq!(change(&mut etcd, &before, &second), None);
    let now = heard(&etcd);
    assert_eq!(change(&mut etcd, &now, &second), Some(Err(AccessError::Bootstrapped(1))));
    // An operator who lost all tokens takes the mark away.
    etcd.txn(client::Txn {
        then: vec![client::Op::Delete(b"/nameplate/v1/bootstrap/acl".into())],
        ..client::Txn::default()
    });
    assert_eq!(change(&mut etcd, &now, &second), None);
    does(&mut etcd, second);
}

#[test]
fn whoever_makes_a_token_closes_the_way_to_a_first_one() {
    for wanted in [
        AccessChange::CreateToken(token(1, 1)),
        AccessChange::UpdateToken(Token { policies: vec![id(9)], ..Token::anonymous() }),
    ] {
        let mut etcd = Etcd::default();
        let before = heard(&etcd);
        does(&mut etcd, wanted);
        assert_eq!(names(&etcd)[0], "bootstrap/acl");
        assert_eq!(change(&mut etcd, &before, &AccessChange::Bootstrap(token(2, 2))), None);
    }
}

#[test]
fn the_anonymous_token_is_built_in_until_it_is_changed() {
    let mut etcd = Etcd::default();
    let anonymous = |policies| AccessChange::UpdateToken(Token { policies, ..Token::anonymous() });
    does(&mut etcd, anonymous(vec![id(9)]));
    assert_eq!(names(&etcd)[1], format!("tokens/{ANONYMOUS_ACCESSOR_ID}"));
    does(&mut etcd, anonymous(vec![id(8)]));
    assert_eq!(heard(&etcd).0.anonymous().policies, [id(8)]);
}

#[test]
fn what_stands_in_a_file_is_refused_without_asking() {
    let mut etcd = Etcd::default();
    let text =
        "[policy.look]\nrules = ''\n[token.ci]\nsecret = \"file-file-file-file\"\npolicies = [\"global-management\"]\n";
    let mut machine = heard(&etcd);
    machine.0.file = Arc::new(file::read(text, empty()).unwrap());
    let ci = Arc::clone(&machine.0.file.tokens().next().unwrap().accessor_id);
    for wanted in [AccessChange::DeleteToken(ci), AccessChange::DeletePolicy(Policy::management().id)] {
        let (plan, outcome) = Plan::access(&layout(), (&machine.0, 0), &wanted).unwrap();
        assert!(plan.is_empty() && outcome.is_err(), "{outcome:?}");
    }
    let first = change(&mut etcd, &machine, &AccessChange::Bootstrap(token(1, 1)));
    assert_eq!(first, Some(Err(AccessError::Bootstrapped(1))), "the file has one who may make tokens");
}

#[test]
fn a_token_ends_by_a_lease_which_changes_of_it_keep() {
    let mut etcd = Etcd::default();
    let ends = Token { created_secs: 1000, expires_secs: Some(1060), ..token(1, 1) };
    let (plan, _) = Plan::access(&layout(), (&heard(&etcd).0, 0), &AccessChange::CreateToken(ends.clone())).unwrap();
    assert_eq!(plan.lease(), Some(Duration::from_secs(60)));
    let lease_of =
        |etcd: &Etcd, number| etcd.keys[layout().kept_key(&Kept::Token((&*id(number)).into())).as_bytes()].lease;
    does(&mut etcd, AccessChange::CreateToken(ends));
    assert_eq!(lease_of(&etcd, 1), GRANTED);
    etcd.keys.values_mut().for_each(|one| one.lease = one.lease.min(77) * 11);
    let machine = heard(&etcd);
    let original = Token::clone(machine.0.token(&id(1)).unwrap());
    let changed = AccessChange::UpdateToken(Token { description: "changed".into(), ..token(1, 1) });
    let (plan, _) = Plan::access(&layout(), (&machine.0, machine.1), &changed).unwrap();
    assert_eq!(plan.lease(), None);
    does(&mut etcd, changed);
    assert_eq!(lease_of(&etcd, 1), 99);
    // A clone has the same end, and was made by whatever clock.
    let copy = Token { accessor_id: id(2), secret: token(2, 2).secret, created_secs: 9_999_999, ..original };
    does(&mut etcd, AccessChange::CreateToken(copy));
    assert_eq!(lease_of(&etcd, 2), 99);
    does(&mut etcd, AccessChange::CreateToken(token(3, 3)));
    assert_eq!(lease_of(&etcd, 3), 0);
}

#[test]
fn no_plan_shows_a_secret() {
    let (plan, _) = Plan::access(&layout(), (&Realm::of(empty()), 0), &AccessChange::CreateToken(token(1, 1))).unwrap();
    let shown = format!("{plan:?}");
    let bytes = format!("{:?}", b"secret-secret-01").replace(['[', ']'], "");
    assert!(!shown.contains("secret") && !shown.contains(&bytes), "{shown}");
}

#[test]
fn what_was_a_machines_own_becomes_shared() {
    let mut own = empty();
    for number in 0..150 {
        own.apply(AccessChange::CreatePolicy(policy(number, &format!("policy-{number}"))), 1).unwrap();
        let expires_secs = [None, Some(1000), Some(1300)][usize::from(number % 3)];
        own.apply(AccessChange::CreateToken(Token { expires_secs, ..token(number, number) }), 2).unwrap();
    }
    let mut etcd = Etcd::default();
    let plans = Plan::copies_of_access(&layout(), &own, 1000).unwrap();
    assert_eq!(plans.iter().filter(|plan| plan.lease() == Some(Duration::from_secs(300))).count(), 50);
    for plan in plans {
        let done = etcd.txn(plan.txn(GRANTED));
        assert!(matches!(plan.ended(&done), Ended::Done { .. }));
    }
    let (shared, _) = heard(&etcd);
    assert_eq!((shared.stored.policies().count(), shared.stored.tokens().count()), (150, 100));
    assert!(shared.stored.bootstrap_index() > 0);
    let leased = shared.stored.tokens().filter(|token| token.lease == GRANTED && token.expires_secs == Some(1300));
    assert_eq!(leased.count(), 50);
    // Where some are, they stay.
    let plan = Plan::copies_of_access(&layout(), &own, 1000).unwrap().remove(0);
    let done = etcd.txn(plan.txn(GRANTED));
    assert_eq!(plan.ended(&done), Ended::Stale);
    assert!(Plan::copies_of_access(&layout(), &empty(), 0).unwrap().is_empty());
}

fn any_change() -> impl Strategy<Value = AccessChange> {
    let any_policy = || (1..4_u8, "[ab]").prop_map(|(number, name)| policy(number, &name));
    let any_token = || {
        (1..4_u8, 1..3_u8, "[xy]").prop_map(|(number, secret, text)| {
            let description = text.as_str().into();
            Token { description, policies: vec![id(number)], ..token(number, secret) }
        })
    };
    let number = || (1..4_u8).prop_map(id);
    prop_oneof![
        2 => any_policy().prop_map(AccessChange::CreatePolicy),
        2 => any_policy().prop_map(AccessChange::UpdatePolicy),
        1 => number().prop_map(AccessChange::DeletePolicy),
        2 => any_token().prop_map(AccessChange::CreateToken),
        2 => any_token().prop_map(AccessChange::UpdateToken),
        1 => number().prop_map(AccessChange::DeleteToken),
        1 => any_token().prop_map(AccessChange::Bootstrap),
        1 => "[xy]".prop_map(|text| AccessChange::UpdateToken(Token {
            policies: vec![text.as_str().into()],
            ..Token::anonymous()
        })),
    ]
}

/// What a machine has, for comparing; its indexes are etcd's.
fn seen(realm: &Realm) -> impl PartialEq + std::fmt::Debug + use<> {
    let policies: BTreeMap<_, _> =
        realm.stored.policies().map(|one| (one.id.to_string(), (one.name.to_string(), one.text.to_string()))).collect();
    let token = |one: &Arc<Token>| {
        let texts = (one.secret.reveal().to_string(), one.description.to_string(), one.policies.clone());
        (one.accessor_id.to_string(), texts)
    };
    let tokens: BTreeMap<_, _> = realm.stored.tokens().map(token).collect();
    (policies, tokens, realm.stored.bootstrap_index() > 0)
}

proptest! {
    /// Whatever is done, by machines that may not have heard of the newest: what is not stale ends as it would on one machine.
    #[test]
    fn what_is_planned_ends_as_on_one_machine(steps in vec((any_change(), 0..3_usize), 1..40)) {
        let mut etcd = Etcd { revision: 1, ..Etcd::default() };
        let mut machines = vec![heard(&etcd)];
        for (wanted, behind) in steps {
            let now = machines.last().unwrap().clone();
            let known = machines[machines.len().saturating_sub(behind + 1)].clone();
            let mut expected = now.0.clone();
            match change(&mut etcd, &known, &wanted) {
                None => prop_assert_ne!(known.1, now.1, "it is as new as can be"),
                Some(outcome) => {
                    // For which of several reasons it is refused, a machine that is behind may tell otherwise.
                    let told = expected.apply(wanted, 1).map(drop);
                    prop_assert!(outcome == told || (outcome.is_err() && told.is_err() && known.1 != now.1), "{:?}", outcome);
                }
            }
            let after = heard(&etcd);
            prop_assert_eq!(seen(&after.0), seen(&expected));
            machines.push(after);
        }
    }
}
