use proptest::{collection::vec, prelude::*};

use super::{
    super::{
        client::{Header, KeyValue},
        kept::{Revisions, read_key, read_session},
        kept_event::read_event,
        kept_query::read_query,
    },
    *,
};
use crate::{
    catalog::{
        followed::Told,
        names::{CheckId, NodeName},
        state::State,
        table::Seed,
    },
    kv::{
        change::Change,
        follow::{Event, Followed},
        operation::Content,
    },
};

/// An etcd as its reference tells of transactions.
#[derive(Debug, Clone, Default)]
pub(super) struct Etcd {
    pub(super) revision: i64,
    pub(super) keys: BTreeMap<Vec<u8>, KeyValue>,
}

impl Etcd {
    pub(super) fn txn(&mut self, txn: Txn) -> TxnDone {
        assert!(txn.compares.len() <= OPERATIONS_MAX && txn.then.len() <= OPERATIONS_MAX);
        let succeeded = txn.compares.iter().all(|compare| self.holds(compare));
        let revision = self.revision + 1;
        let mut done = Vec::new();
        let mut changed = BTreeSet::new();
        for op in if succeeded { txn.then } else { txn.otherwise } {
            done.push(match op {
                Op::Put { key, value, lease } => {
                    assert!(changed.insert(key.clone()), "duplicate key given in txn request");
                    let before = self.keys.get(&key).map_or((revision, 0), |one| (one.create_revision, one.version));
                    let (create_revision, version) = (before.0, before.1 + 1);
                    let put =
                        KeyValue { key: key.clone(), create_revision, mod_revision: revision, version, value, lease };
                    self.keys.insert(key, put);
                    Done::Put
                }
                Op::Replace { key, value } => {
                    assert!(changed.insert(key.clone()), "duplicate key given in txn request");
                    let before = self.keys.get_mut(&key).expect("key is not there");
                    (before.mod_revision, before.version, before.value) = (revision, before.version + 1, value);
                    Done::Put
                }
                Op::Delete(key) => {
                    assert!(changed.insert(key.clone()), "duplicate key given in txn request");
                    Done::Deleted(self.keys.remove(&key).into_iter().count() as u64)
                }
                Op::DeletePrefix(prefix) => {
                    assert!(!changed.iter().any(|key| key.starts_with(&prefix)), "duplicate key given in txn request");
                    let before = self.keys.len();
                    self.keys.retain(|key, _| !key.starts_with(&prefix));
                    Done::Deleted((before - self.keys.len()) as u64)
                }
                Op::Get(_) | Op::Range(..) => unreachable!("nothing is read"),
            });
        }
        if done.iter().any(|done| matches!(done, Done::Put | Done::Deleted(1..))) {
            self.revision = revision;
        }
        let header = Header { cluster_id: 7, member_id: 1, revision: self.revision, raft_term: 1 };
        TxnDone { header, succeeded, done }
    }

    fn holds(&self, compare: &Compare) -> bool {
        let of = |one: Option<&KeyValue>| {
            let (has, with) = match compare.with {
                With::CreateRevision(with) => (one.map_or(0, |one| one.create_revision), with),
                With::ModRevision(with) => (one.map_or(0, |one| one.mod_revision), with),
                _ => unreachable!("only revisions are compared"),
            };
            match compare.is {
                Is::Equal => has == with,
                Is::Greater => has > with,
                Is::Less => has < with,
                Is::NotEqual => has != with,
            }
        };
        if compare.end.is_empty() {
            return of(self.keys.get(&compare.key));
        }
        let mut range = self.keys.range(compare.key.clone()..compare.end.clone()).peekable();
        if range.peek().is_none() { of(None) } else { range.all(|(_, one)| of(Some(one))) }
    }

    /// The store of a machine that has heard of all that is here.
    pub(super) fn followed(&self) -> Store {
        let layout = layout();
        let revisions = |one: &KeyValue| Revisions {
            create: u64::try_from(one.create_revision).unwrap(),
            modify: u64::try_from(one.mod_revision).unwrap(),
        };
        let mut events: Vec<Event> = Vec::new();
        let mut keys = Vec::new();
        for one in self.keys.values() {
            match layout.kept(&one.key).unwrap() {
                Kept::Key(key) => {
                    let entry = read_key(&key, &one.value, revisions(one)).unwrap();
                    keys.push(Event::Key(Box::new(entry)));
                }
                Kept::Session(id) => {
                    let session = read_session(&id, &one.value).unwrap();
                    events.push(Event::Session(Box::new(session), revisions(one).create));
                }
                Kept::SessionTtl(id) => events.push(Event::Lease(id, one.lease)),
                Kept::LockDelay(key) => events.push(Event::Delay(key)),
                Kept::Query(id) => events.push(Event::Query(read_query(&id, &one.value, revisions(one)).unwrap())),
                Kept::Event(slot) => events.push(Event::Fired(Box::new(read_event(slot, &one.value).unwrap()))),
                other => panic!("no plan writes {other:?}"),
            }
        }
        events.extend(keys);
        let followed = Followed { revision: u64::try_from(self.revision).unwrap(), told: Told::Everything, events };
        let mut store = Store::new(Seed(1), 0);
        store.share();
        let at = At { index: 1, now: Duration::ZERO };
        store.apply(Change::Follow(Box::new(followed)), &State::new(Seed(1), 1), at).unwrap();
        store
    }

    /// What the operations do, planned on what this machine knows.
    fn operate(&mut self, store: &Store, operations: Vec<Operation>) -> Ended {
        let plan = Plan::operations(&layout(), store, operations, Duration::ZERO).unwrap();
        let done = self.txn(plan.txn(9));
        plan.ended(&done)
    }

    /// The same, with all that is here known, and to be done.
    #[track_caller]
    fn do_all(&mut self, operations: Vec<Operation>) -> Vec<Found> {
        match self.operate(&self.followed(), operations) {
            Ended::Done { found, .. } => found,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn begin(&mut self, id: &str, behavior: Behavior) {
        let plan = Plan::new_session(&layout(), &session(id, behavior)).unwrap();
        let done = self.txn(plan.txn(9));
        assert!(matches!(plan.ended(&done), Ended::Done { revision: Some(_), .. }));
    }

    /// Ends a session as this machine knows it; how many transactions were made before one was stale, or all.
    pub(super) fn end(&mut self, store: &Store, id: &str) -> Result<usize, usize> {
        let plans = Plan::session_end(&layout(), store, &id.into()).unwrap();
        let count = plans.len();
        for (number, plan) in plans.into_iter().enumerate() {
            let done = self.txn(plan.txn(9));
            if plan.ended(&done) == Ended::Stale {
                return Err(number);
            }
        }
        Ok(count)
    }

    pub(super) fn names(&self) -> Vec<String> {
        let root = layout().root().len();
        self.keys.keys().map(|key| String::from_utf8(key[root..].to_vec()).unwrap()).collect()
    }
}

pub(super) fn layout() -> Layout {
    Layout::new("/nameplate")
}

fn session(id: &str, behavior: Behavior) -> Session {
    Session {
        id: id.into(),
        name: "".into(),
        node: NodeName::new("n1").unwrap(),
        node_checks: vec![CheckId::derived("serfHealth")],
        service_checks: Vec::new(),
        lock_delay: Duration::from_secs(15),
        behavior,
        ttl: (behavior == Behavior::Delete).then(|| (Duration::from_secs(10), "10s".into())),
    }
}

fn content(value: &str) -> Content {
    Content { value: value.as_bytes().into(), flags: 0 }
}

fn operation(key: &str, verb: Verb) -> Operation {
    Operation { key: key.into(), verb }
}

fn set(key: &str, value: &str) -> Operation {
    operation(key, Verb::Set(content(value)))
}

fn lock(key: &str, session: &str) -> Operation {
    operation(key, Verb::Lock(content("held"), session.into()))
}

#[test]
fn a_key_has_the_revisions_of_its_transactions() {
    let mut etcd = Etcd { revision: 40, ..Etcd::default() };
    let found = etcd.do_all(vec![set("a", "1"), operation("a", Verb::Get)]);
    assert_eq!(found.iter().map(|found| found.entry.modify_index).collect::<Vec<_>>(), [41, 41]);
    let found = etcd.do_all(vec![operation("a", Verb::Cas(content("2"), 41))]);
    assert_eq!((found[0].entry.create_index, found[0].entry.modify_index), (41, 42));
    assert_eq!((etcd.followed().key("a").unwrap(), etcd.revision), (&found[0].entry, 42));
    // What changes nothing has the index that it had.
    assert_eq!(etcd.do_all(vec![set("a", "2")])[0].entry, found[0].entry);
    assert_eq!(etcd.revision, 42);
    // Deleted and made again at once, it is for etcd one that changed.
    let found = etcd.do_all(vec![operation("a", Verb::Delete), set("a", "3")]);
    assert_eq!((found[0].entry.create_index, found[0].entry.modify_index), (41, 43));
    assert_eq!(etcd.followed().key("a"), Some(&found[0].entry));
}

#[test]
fn a_delete_alone_needs_to_know_nothing() {
    let mut etcd = Etcd::default();
    let nothing = etcd.followed();
    etcd.do_all(vec![set("a", "1"), set("a/b", "1"), set("b", "1")]);
    let ended = etcd.operate(&nothing, vec![operation("a", Verb::DeleteTree)]);
    assert_eq!((ended, etcd.names()), (Ended::Done { found: Vec::new(), revision: Some(2) }, vec!["kv/b".to_owned()]));
    let ended = etcd.operate(&nothing, vec![operation("b", Verb::Delete)]);
    assert_eq!(ended, Ended::Done { found: Vec::new(), revision: Some(3) });
    let ended = etcd.operate(&nothing, vec![operation("b", Verb::Delete)]);
    assert_eq!(ended, Ended::Done { found: Vec::new(), revision: None });
}

#[test]
fn a_lock_needs_the_session_and_no_delay() {
    let mut etcd = Etcd::default();
    let refused = |etcd: &mut Etcd, store: &Store, problem: Problem| {
        let error = OperationError { at: 0, problem: OperationProblem::Key(problem) };
        assert_eq!(etcd.operate(store, vec![lock("a", "s1")]), Ended::Refused(vec![error]));
    };
    let nothing = etcd.followed();
    refused(&mut etcd, &nothing, Problem::UnknownSession("s1".into()));
    etcd.begin("s1", Behavior::Release);
    // It is there, of which this machine has not heard.
    assert_eq!(etcd.operate(&nothing, vec![lock("a", "s1")]), Ended::Stale);
    let found = etcd.do_all(vec![lock("a", "s1")]);
    assert_eq!((found[0].entry.session.as_deref(), found[0].entry.lock_index), (Some("s1"), 1));
    etcd.begin("s2", Behavior::Delete);
    let before = etcd.followed();
    assert_eq!(etcd.names(), ["kv/a", "session-ttls/s2", "sessions/s1", "sessions/s2"]);
    assert_eq!(etcd.end(&before, "s1"), Ok(1));
    assert_eq!(etcd.names(), ["kv/a", "lock-delays/a", "session-ttls/s2", "sessions/s2"]);
    assert_eq!(etcd.keys[&b"/nameplate/v1/lock-delays/a"[..]].lease, 9);
    // It has ended, of which this machine has not heard.
    assert_eq!(etcd.operate(&before, vec![lock("a", "s1")]), Ended::Stale);
    let after = etcd.followed();
    refused(&mut etcd, &after, Problem::UnknownSession("s1".into()));
    let locked = etcd.operate(&after, vec![lock("a", "s2")]);
    let error = OperationError { at: 0, problem: OperationProblem::Key(Problem::Delayed("a".into())) };
    assert_eq!(locked, Ended::Refused(vec![error]));
    // The delay is over, of which this machine has not heard.
    etcd.txn(Txn { then: vec![Op::Delete(b"/nameplate/v1/lock-delays/a".into())], ..Txn::default() });
    assert_eq!(etcd.operate(&after, vec![lock("a", "s2")]), Ended::Stale);
    etcd.do_all(vec![lock("a", "s2")]);
    let before = etcd.followed();
    assert_eq!(etcd.end(&before, "s2"), Ok(1));
    assert_eq!(etcd.names(), ["lock-delays/a"]);
}

#[test]
fn the_end_of_a_session_misses_no_key_that_was_just_locked() {
    let mut etcd = Etcd::default();
    etcd.begin("s1", Behavior::Release);
    etcd.do_all(vec![lock("a", "s1")]);
    let before = etcd.followed();
    etcd.do_all(vec![lock("b", "s1")]);
    assert_eq!(etcd.end(&before, "s1"), Err(0));
    let now = etcd.followed();
    assert_eq!(etcd.end(&now, "s1"), Ok(1));
    assert!(etcd.followed().keys_below("").all(|entry| entry.session.is_none()));
    // Another machine may have been first.
    assert_eq!(etcd.end(&now, "s1"), Err(0));
    let now = etcd.followed();
    assert_eq!(etcd.end(&now, "s1"), Ok(1));
}

#[test]
fn a_session_with_many_keys_ends_in_several_transactions() {
    let mut etcd = Etcd::default();
    etcd.begin("s1", Behavior::Release);
    for number in 0..300 {
        etcd.do_all(vec![lock(&format!("k{number}"), "s1")]);
    }
    let store = etcd.followed();
    assert_eq!(etcd.end(&store, "s1"), Ok(6));
    let store = etcd.followed();
    assert!(store.session("s1").is_none() && store.keys_below("").all(|entry| entry.session.is_none()));
    assert!(store.keys_below("").all(|entry| store.is_delayed(&entry.key, Duration::ZERO)));
}

#[test]
fn a_tree_is_read_as_it_is_in_etcd() {
    let mut etcd = Etcd::default();
    let nothing = etcd.followed();
    let tree = || vec![operation("a", Verb::GetTree), set("c", "1")];
    etcd.do_all(vec![set("a/1", "1"), set("a/2", "1"), set("b", "1")]);
    assert_eq!(etcd.operate(&nothing, tree()), Ended::Stale, "there are new ones");
    let before = etcd.followed();
    etcd.do_all(vec![operation("a/1", Verb::Delete)]);
    assert_eq!(etcd.operate(&before, tree()), Ended::Stale, "one is gone");
    assert_eq!(etcd.do_all(tree()).len(), 2);
    assert_eq!(etcd.operate(&before, vec![operation("b", Verb::GetTree)]).clone(), {
        Ended::Done { found: etcd.do_all(vec![operation("b", Verb::GetTree)]), revision: None }
    });
}

#[test]
fn what_is_about_too_much_is_refused_with_how_much() {
    let mut etcd = Etcd::default();
    let sets = |count: usize| (0..count).map(|number| set(&format!("k{number}"), "1")).collect::<Vec<_>>();
    let plan = |store: &Store, operations| Plan::operations(&layout(), store, operations, Duration::ZERO);
    assert_eq!(plan(&etcd.followed(), sets(121)).unwrap_err(), PlanError::TooMany(121));
    etcd.do_all(sets(120));
    etcd.do_all(vec![set("k", "1")]);
    let full = etcd.followed();
    // As it is in etcd, as far as this can be told.
    assert_eq!(etcd.do_all(vec![operation("k", Verb::GetTree)]).len(), 121);
    assert!(plan(&full, vec![operation("k", Verb::GetTree), set("a", "1")]).is_err());
    let large = Content { value: vec![0; 512 << 10].into(), flags: 0 };
    let sets = |count: usize| {
        (0..count).map(|number| operation(&format!("k{number}"), Verb::Set(large.clone()))).collect::<Vec<_>>()
    };
    assert!(plan(&full, sets(1)).is_ok());
    let error = plan(&full, sets(2)).unwrap_err();
    assert!(error.to_string().contains("may have 1310720"), "{error}");
}

#[test]
fn what_was_a_machines_own_becomes_shared() {
    let mut etcd = Etcd::default();
    etcd.begin("s1", Behavior::Delete);
    let many = (0..250).map(|number| set(&format!("k{number}"), "1"));
    let mut store = Store::new(Seed(1), 0);
    for operation in many.chain([set("large", &"x".repeat(512 << 10)), set("larger", &"x".repeat(512 << 10))]) {
        store.operate(operation, At { index: 7, now: Duration::ZERO }).unwrap();
    }
    let sessions = [session("s2", Behavior::Delete), session("s3", Behavior::Release)];
    let entries: Vec<Arc<Entry>> = store.keys_below("").cloned().collect();
    let plans = Plan::copies(&layout(), sessions.iter(), entries.iter().map(|entry| &**entry)).unwrap();
    assert_eq!(plans.iter().map(Plan::lease).collect::<Vec<_>>()[..3], [Some(Duration::from_secs(10)), None, None]);
    for plan in plans {
        let done = etcd.txn(plan.txn(5));
        assert!(matches!(plan.ended(&done), Ended::Done { .. }));
    }
    let shared = etcd.followed();
    assert_eq!((shared.key_count(), shared.session_count(), shared.lease("s2")), (252, 3, Some(5)));
    assert!(entries.iter().all(|entry| shared.key(&entry.key).unwrap().value == entry.value));
}

/// Stands for the revision of the next transaction: no operation names it.
const NEXT: u64 = 1 << 40;

#[derive(Debug, Clone)]
enum Step {
    Operate(Vec<Operation>),
    Begin(u8),
    End(u8),
    /// A lock delay is over.
    Over(u8),
}

fn any_verb() -> impl Strategy<Value = Verb> {
    let content = "[ab]".prop_map(|value| content(&value));
    let session = (0..3_u8).prop_map(|number| Text::from(format!("s{number}")));
    prop_oneof![
        3 => content.clone().prop_map(Verb::Set),
        1 => (content.clone(), 0..12_u64).prop_map(|(content, index)| Verb::Cas(content, index)),
        4 => (content.clone(), session.clone()).prop_map(|(content, session)| Verb::Lock(content, session)),
        2 => (content, session.clone()).prop_map(|(content, session)| Verb::Unlock(content, session)),
        1 => Just(Verb::Get),
        1 => Just(Verb::GetOrEmpty),
        1 => Just(Verb::GetTree),
        1 => (0..12_u64).prop_map(Verb::CheckIndex),
        1 => session.prop_map(Verb::CheckSession),
        1 => Just(Verb::CheckNotExists),
        1 => Just(Verb::Delete),
        1 => Just(Verb::DeleteTree),
        1 => (0..12_u64).prop_map(Verb::DeleteCas),
    ]
}

fn any_step() -> impl Strategy<Value = Step> {
    let operation = ("a|b|a/b|a/|", any_verb()).prop_map(|(key, verb)| operation(&key, verb));
    let operation = operation.prop_filter("a key has a name", |one| {
        !one.key.is_empty() || matches!(one.verb, Verb::GetTree | Verb::DeleteTree)
    });
    prop_oneof![
        6 => vec(operation, 1..4).prop_map(Step::Operate),
        2 => (0..3_u8).prop_map(Step::Begin),
        1 => (0..3_u8).prop_map(Step::End),
        1 => (0..3_u8).prop_map(Step::Over),
    ]
}

/// What a store has, for comparing: each key, who holds what, and what is delayed. A key that was there before keeps its create
/// index.
fn seen(store: &Store, (before, index): (&Store, u64)) -> impl PartialEq + std::fmt::Debug + use<> {
    let keys: Vec<Entry> = store
        .keys_below("")
        .map(|entry| {
            let known = |number| if number == NEXT { index } else { number };
            let create_index = before.key(&entry.key).map_or(known(entry.create_index), |before| before.create_index);
            Entry { create_index, modify_index: known(entry.modify_index), ..Entry::clone(entry) }
        })
        .collect();
    let held: Vec<(Text, Vec<Text>)> =
        store.sessions().map(|entry| (entry.session.id.clone(), entry.held().cloned().collect())).collect();
    let delayed = ["a", "b", "a/b", "a/"].map(|key| store.is_delayed(key, Duration::ZERO));
    (keys, held, delayed)
}

proptest! {
    /// Whatever is done, by machines that may not have heard of the newest: what is not stale ends as it would on one machine.
    #[test]
    fn what_is_planned_ends_as_on_one_machine(steps in vec((any_step(), 0..3_usize), 1..40)) {
        let mut etcd = Etcd { revision: 1, ..Etcd::default() };
        let mut stores = vec![etcd.followed()];
        for (step, behind) in steps {
            let now = stores.last().unwrap().clone();
            let known = stores[stores.len().saturating_sub(behind + 1)].clone();
            let index = u64::try_from(etcd.revision + 1).unwrap();
            let at = At { index: NEXT, now: Duration::ZERO };
            let mut expected = now.clone();
            let same = known.revision() == now.revision();
            match step {
                Step::Operate(operations) => {
                    let outcome = done(&mut expected, operations.clone(), at);
                    match (etcd.operate(&known, operations), outcome) {
                        (Ended::Stale, _) => {
                            prop_assert!(!same, "it is as new as can be");
                            expected = now.clone();
                        }
                        (Ended::Refused(errors), outcome) => {
                            prop_assert_eq!(outcome.map(drop), Err(errors));
                            expected = now.clone();
                        }
                        (Ended::Done { found, .. }, outcome) => {
                            let revision = u64::try_from(etcd.revision).unwrap();
                            let told = |found| at_revision(as_in_etcd(found, &now, NEXT), NEXT, revision);
                            let told = outcome.map(|found| found.into_iter().map(told).collect());
                            prop_assert_eq!(told, Ok(found));
                        }
                    }
                }
                Step::Begin(number) => {
                    let id = format!("s{number}");
                    let behavior = if number == 0 { Behavior::Delete } else { Behavior::Release };
                    if now.session(&id).is_none() {
                        etcd.begin(&id, behavior);
                        expected = etcd.followed();
                    }
                }
                Step::End(number) => {
                    let id = format!("s{number}");
                    match etcd.end(&known, &id) {
                        Ok(_) => _ = expected.destroy_session(&id, at),
                        Err(_) => prop_assert!(!same, "it is as new as can be"),
                    }
                }
                Step::Over(number) => {
                    let key = layout().kept_key(&Kept::LockDelay(["a", "b", "a/b"][usize::from(number)].into()));
                    etcd.txn(Txn { then: vec![Op::Delete(key.into_bytes())], ..Txn::default() });
                    expected = etcd.followed();
                }
            }
            let after = etcd.followed();
            prop_assert_eq!(seen(&after, (&now, index)), seen(&expected, (&now, index)));
            stores.push(after);
        }
    }
}
