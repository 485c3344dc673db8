use std::time::Duration;

use proptest::{collection::vec, option, prelude::*};

use super::{
    super::{
        Ended,
        tests::{Etcd, layout},
    },
    *,
};
use crate::kv::{query::Template, session::Behavior, template::Expression};

/// How a change of queries ended.
#[derive(Debug, Clone, PartialEq)]
enum Outcome {
    Done,
    Refused(ChangeError),
    Stale,
}

fn query(id: &str, name: &str, session: &str) -> Query {
    Query { id: id.into(), name: name.into(), session: session.into(), service: "web".into(), ..Query::default() }
}

fn template(id: &str, name: &str) -> Query {
    let template = Template { regexp: Expression::default(), remove_empty_tags: false };
    Query { template: Some(template), ..query(id, name, "") }
}

/// Sets a query as a machine plans it that knows this much.
fn set(etcd: &mut Etcd, store: &Store, query: &Query) -> Outcome {
    let (plan, outcome) = Plan::set_query(&layout(), store, query).unwrap();
    let done = etcd.txn(plan.txn(0));
    match (plan.ended(&done), outcome) {
        (Ended::Stale, _) => Outcome::Stale,
        (Ended::Done { .. }, Ok(())) => Outcome::Done,
        (Ended::Done { .. }, Err(refused)) => Outcome::Refused(refused),
        (Ended::Refused(errors), _) => panic!("{errors:?}"),
    }
}

fn delete(etcd: &mut Etcd, id: &str) {
    let plan = Plan::delete_query(&layout(), &id.into());
    let done = etcd.txn(plan.txn(0));
    assert!(matches!(plan.ended(&done), Ended::Done { .. }));
}

fn known(etcd: &Etcd, id: &str) -> Option<(u64, u64)> {
    etcd.followed().query(id).map(|entry| (entry.create_index, entry.modify_index))
}

#[test]
fn a_query_has_the_revisions_of_its_transactions() {
    let mut etcd = Etcd { revision: 40, ..Etcd::default() };
    for (name, indexes) in [("a", (41, 41)), ("b", (41, 42)), ("b", (41, 42))] {
        let store = etcd.followed();
        assert_eq!(set(&mut etcd, &store, &query("1", name, "")), Outcome::Done);
        assert_eq!((known(&etcd, "1"), etcd.followed().queries_index()), (Some(indexes), indexes.1));
    }
    delete(&mut etcd, "1");
    delete(&mut etcd, "1");
    assert_eq!((known(&etcd, "1"), etcd.revision), (None, 43));
}

#[test]
fn a_name_is_given_once_by_machines_that_have_not_heard_of_each_other() {
    let mut etcd = Etcd::default();
    let nothing = etcd.followed();
    assert_eq!(set(&mut etcd, &nothing, &query("1", "Web", "")), Outcome::Done);
    assert_eq!(set(&mut etcd, &nothing, &query("2", "wEB", "")), Outcome::Stale);
    let taken = Outcome::Refused(ChangeError::NameTaken("wEB".into()));
    let first = etcd.followed();
    assert_eq!(set(&mut etcd, &first, &query("2", "wEB", "")), taken);
    // A template of that name is another matter.
    assert_eq!(set(&mut etcd, &first, &template("3", "web")), Outcome::Done);
    // It was given back, of which this machine has not heard.
    delete(&mut etcd, "1");
    assert_eq!(set(&mut etcd, &first, &query("2", "wEB", "")), Outcome::Stale);
    let now = etcd.followed();
    assert_eq!(set(&mut etcd, &now, &query("2", "wEB", "")), Outcome::Done);
    assert_eq!(etcd.names(), ["queries/2", "queries/3"]);
}

#[test]
fn a_query_needs_its_session_and_goes_with_it() {
    let mut etcd = Etcd::default();
    let nothing = etcd.followed();
    let unknown = Outcome::Refused(ChangeError::UnknownSession("s1".into()));
    assert_eq!(set(&mut etcd, &nothing, &query("1", "a", "s1")), unknown);
    etcd.begin("s1", Behavior::Release);
    assert_eq!(set(&mut etcd, &nothing, &query("1", "a", "s1")), Outcome::Stale, "it is there");
    let before = etcd.followed();
    assert_eq!(set(&mut etcd, &before, &query("1", "a", "s1")), Outcome::Done);
    assert_eq!(etcd.end(&before, "s1"), Err(0), "a query was bound to it");
    let bound = etcd.followed();
    // Changed again, the session stays as it is; its end knows that the query is not as it was.
    assert_eq!(set(&mut etcd, &bound, &query("1", "b", "s1")), Outcome::Done);
    assert_eq!(etcd.end(&bound, "s1"), Err(0));
    let changed = etcd.followed();
    assert_eq!(set(&mut etcd, &changed, &query("2", "c", "")), Outcome::Done);
    assert_eq!(etcd.end(&changed, "s1"), Ok(1));
    assert_eq!(etcd.names(), ["queries/2"]);
    assert_eq!(set(&mut etcd, &changed, &query("3", "d", "s1")), Outcome::Stale, "it has ended");
}

#[test]
fn a_session_with_many_queries_ends_in_several_transactions() {
    let mut etcd = Etcd::default();
    etcd.begin("s1", Behavior::Delete);
    for number in 0..300 {
        let store = etcd.followed();
        assert_eq!(set(&mut etcd, &store, &query(&format!("q{number}"), "", "s1")), Outcome::Done);
    }
    let store = etcd.followed();
    assert_eq!(etcd.end(&store, "s1"), Ok(3));
    assert_eq!(etcd.names(), Vec::<String>::new());
}

#[test]
fn queries_that_were_a_machines_own_become_shared() {
    let mut etcd = Etcd::default();
    let queries: Vec<Query> = (0..250).map(|number| query(&format!("q{number:03}"), "", "")).collect();
    let plans = Plan::query_copies(&layout(), queries.iter()).unwrap();
    assert_eq!(plans.len(), 3);
    for plan in plans {
        let done = etcd.txn(plan.txn(0));
        assert!(matches!(plan.ended(&done), Ended::Done { .. }));
    }
    assert!(etcd.followed().queries().map(|entry| &*entry.query).eq(&queries));
    // Another machine copies what it has, too.
    let plans = Plan::query_copies(&layout(), queries.iter()).unwrap();
    assert!(!etcd.txn(plans[0].txn(0)).succeeded);
}

#[test]
fn a_query_that_is_too_large_is_not_planned() {
    let large = Query { service: "x".repeat(1 << 20).into(), ..query("1", "", "") };
    assert!(matches!(Plan::set_query(&layout(), &Etcd::default().followed(), &large), Err(PlanError::TooLarge(_))));
}

#[derive(Debug, Clone)]
enum Step {
    Set(Box<Query>),
    Delete(String),
    Begin(String),
    End(String),
}

fn any_step() -> impl Strategy<Value = Step> {
    let session = || (0..2_u8).prop_map(|number| format!("s{number}"));
    let any_query =
        ("[123]", "[abA]?", option::of(session()), any::<bool>()).prop_map(|(id, name, session, is_template)| {
            let template = is_template.then(Template::default);
            Box::new(Query { template, ..query(&id, &name, &session.unwrap_or_default()) })
        });
    prop_oneof![
        6 => any_query.prop_map(Step::Set),
        2 => "[123]".prop_map(Step::Delete),
        2 => session().prop_map(Step::Begin),
        1 => session().prop_map(Step::End),
    ]
}

proptest! {
    /// Whatever is done, by machines that may not have heard of the newest: what is not stale ends as it would on one machine.
    #[test]
    fn queries_are_as_on_one_machine(steps in vec((any_step(), 0..3_usize), 1..40)) {
        let mut etcd = Etcd { revision: 1, ..Etcd::default() };
        let mut stores = vec![etcd.followed()];
        for (step, behind) in steps {
            let now = stores.last().unwrap().clone();
            let known = stores[stores.len().saturating_sub(behind + 1)].clone();
            let at = At { index: 1 << 40, now: Duration::ZERO };
            let mut expected = now.clone();
            let same = known.revision() == now.revision();
            match step {
                Step::Set(query) => {
                    let outcome = set(&mut etcd, &known, &query);
                    let on_one = expected.set_query(*query, at).map(drop);
                    match outcome {
                        Outcome::Stale => {
                            prop_assert!(!same, "it is as new as can be");
                            expected = now.clone();
                        }
                        Outcome::Refused(refused) => prop_assert_eq!(on_one, Err(refused)),
                        Outcome::Done => prop_assert_eq!(on_one, Ok(())),
                    }
                }
                Step::Delete(id) => {
                    delete(&mut etcd, &id);
                    expected.delete_query(&id, at);
                }
                Step::Begin(id) if now.session(&id).is_none() => {
                    etcd.begin(&id, Behavior::Release);
                    expected = etcd.followed();
                }
                Step::Begin(_) => {}
                Step::End(id) => match etcd.end(&known, &id) {
                    Ok(_) => _ = expected.destroy_session(&id, at),
                    Err(_) => prop_assert!(!same, "it is as new as can be"),
                },
            }
            let after = etcd.followed();
            let seen = |store: &Store| {
                let queries: Vec<Query> = store.queries().map(|entry| Query::clone(&entry.query)).collect();
                let sessions: Vec<Text> = store.sessions().map(|entry| entry.session.id.clone()).collect();
                (queries, sessions)
            };
            prop_assert_eq!(seen(&after), seen(&expected));
            for entry in after.queries() {
                let is_new = now.query(&entry.query.id).is_none_or(|before| *before != *entry);
                let index = u64::try_from(etcd.revision).unwrap();
                prop_assert_eq!(is_new, entry.modify_index == index && now.revision() != after.revision());
            }
            stores.push(after);
        }
    }
}
