use std::{collections::BTreeMap, time::Duration};

use proptest::prelude::*;

use super::*;
use crate::{
    catalog::{names::NodeName, table::Seed},
    kv::{
        At,
        operation::{Content, Operation, Problem, Verb},
        query::{Query, Template},
        session::Behavior,
    },
};

fn entry(key: &str, session: Option<&str>, (create_index, modify_index): (u64, u64)) -> Entry {
    let value = format!("{modify_index}").into_bytes().into();
    let session = session.map(Text::from);
    Entry { key: key.into(), value, flags: 0, session, lock_index: 0, create_index, modify_index }
}

fn session(id: &str) -> Box<Session> {
    Box::new(Session {
        id: id.into(),
        name: "".into(),
        node: NodeName::new("n1").unwrap(),
        node_checks: Vec::new(),
        service_checks: Vec::new(),
        lock_delay: Duration::ZERO,
        behavior: Behavior::Release,
        ttl: None,
    })
}

fn put(key: &str, session: Option<&str>, indexes: (u64, u64)) -> Event {
    Event::Key(Box::new(entry(key, session, indexes)))
}

struct Stage(Store);

impl Stage {
    fn new() -> Stage {
        let mut store = Store::new(Seed(1), 1000);
        store.share();
        Stage(store)
    }

    #[track_caller]
    fn check(&mut self, revision: u64, told: Told, events: Vec<Event>, touched: &[Touched]) {
        let mut done = self.0.follow(Followed { revision, told, events }).touched;
        done.sort();
        assert_eq!(done, touched);
        assert_eq!(self.0.revision(), Some(revision));
    }

    fn held(&self, id: &str) -> Vec<&str> {
        self.0.session(id).unwrap().held.iter().map(|(key, ())| key.as_str()).collect()
    }
}

fn key(key: &str) -> Touched {
    Touched::Key(key.into())
}

fn of(id: &str) -> Touched {
    Touched::Session(id.into())
}

#[test]
fn indexes_are_revisions_and_what_went_is_remembered() {
    let mut stage = Stage::new();
    assert_eq!((stage.0.revision(), stage.0.prefix_index("")), (Some(0), 0));
    stage.check(5, Told::Everything, vec![put("a", None, (3, 5))], &[key("a"), Touched::Revision]);
    stage.check(6, Told::Changes, vec![put("a/b", None, (6, 6))], &[key("a/b"), Touched::Revision]);
    stage.check(7, Told::Changes, vec![Event::NoKey("a".into(), 7)], &[key("a"), Touched::Revision]);
    let Stage(store) = &stage;
    assert_eq!((store.key_index("a"), store.key_index("a/b"), store.prefix_index("a")), (7, 6, 7));
    assert_eq!((store.key("a"), store.key("a/b").unwrap().create_index), (None, 6));
}

#[test]
fn what_is_known_already_touches_nothing_and_what_is_not_listed_is_gone() {
    let mut stage = Stage::new();
    let listed = || vec![Event::Session(session("s"), 2), put("a", None, (3, 3)), put("b", Some("s"), (4, 4))];
    stage.check(5, Told::Everything, listed(), &[key("a"), key("b"), of("s"), Touched::Revision]);
    stage.check(5, Told::Everything, listed(), &[]);
    stage.check(9, Told::Everything, vec![put("a", None, (3, 3))], &[key("b"), of("s"), Touched::Revision]);
    let Stage(store) = &stage;
    assert_eq!((store.key_index("b"), store.sessions_index(), store.session_count()), (9, 9, 0));
}

#[test]
fn a_session_holds_what_its_keys_say() {
    let mut stage = Stage::new();
    stage.check(2, Told::Changes, vec![Event::Session(session("s"), 2)], &[of("s"), Touched::Revision]);
    stage.check(
        4,
        Told::Changes,
        vec![put("a", Some("s"), (3, 3)), put("b", Some("s"), (4, 4))],
        &[key("a"), key("b"), Touched::Revision],
    );
    assert_eq!(stage.held("s"), ["a", "b"]);
    stage.check(5, Told::Changes, vec![put("a", None, (3, 5))], &[key("a"), Touched::Revision]);
    // Written anew by another program.
    stage.check(6, Told::Changes, vec![Event::Session(session("s"), 6)], &[of("s"), Touched::Revision]);
    assert_eq!(stage.held("s"), ["b"]);
    let ended = vec![put("b", None, (4, 7)), Event::NoSession("s".into(), 7)];
    stage.check(7, Told::Changes, ended, &[key("b"), of("s"), Touched::Revision]);
    assert_eq!((stage.0.sessions_index(), stage.0.sessions_of(&NodeName::new("n1").unwrap()).len()), (7, 0));
}

#[test]
fn the_end_of_a_sessions_time_is_told_by_its_session() {
    let mut stage = Stage::new();
    let began = vec![Event::Session(session("s"), 2), Event::Lease("s".into(), 77)];
    stage.check(2, Told::Changes, began, &[of("s"), Touched::Revision]);
    assert_eq!((stage.0.lease("s"), stage.0.lease("t")), (Some(77), None));
    stage.check(3, Told::Changes, vec![Event::NoLease("s".into())], &[of("s"), Touched::Revision]);
    assert_eq!(stage.0.lease("s"), None);
    stage.check(4, Told::Changes, vec![Event::Lease("s".into(), 78)], &[Touched::Revision]);
    stage.check(5, Told::Everything, vec![Event::Session(session("s"), 2)], &[of("s"), Touched::Revision]);
}

#[test]
fn a_delay_lasts_until_it_is_told_to_be_over() {
    let mut stage = Stage::new();
    let lock = |stage: &Stage| {
        let at = At { index: 99, now: Duration::from_secs(1 << 40) };
        let verb = Verb::Lock(Content::default(), "s".into());
        stage.0.clone().operate(Operation { key: "a".into(), verb }, at).map(drop)
    };
    let delayed = vec![Event::Session(session("s"), 2), Event::Delay("a".into())];
    stage.check(2, Told::Changes, delayed, &[of("s"), Touched::Revision]);
    assert_eq!(lock(&stage), Err(Problem::Delayed("a".into())));
    stage.check(3, Told::Changes, vec![Event::NoDelay("a".into())], &[Touched::Revision]);
    assert_eq!(lock(&stage), Ok(()));
}

#[test]
fn a_shared_store_that_was_set_back_is_followed_from_there() {
    let mut stage = Stage::new();
    stage.check(90, Told::Everything, vec![put("a", None, (3, 80))], &[key("a"), Touched::Revision]);
    stage.check(91, Told::Changes, vec![Event::NoKey("a".into(), 91)], &[key("a"), Touched::Revision]);
    stage.check(4, Told::Everything, vec![put("b", None, (4, 4))], &[key("b"), Touched::Revision]);
    assert_eq!((stage.0.prefix_index(""), stage.0.key_index("a"), stage.0.sessions_index()), (4, 4, 4));
}

#[test]
fn what_was_shared_can_be_this_machines_alone_again() {
    let mut stage = Stage::new();
    stage.check(
        9,
        Told::Everything,
        vec![put("a", None, (3, 9)), Event::Delay("a".into())],
        &[key("a"), Touched::Revision],
    );
    stage.0.part(100);
    let Stage(store) = &stage;
    assert_eq!(
        (store.revision(), store.key_index("a"), store.key_index("b"), store.prefix_index("")),
        (None, 9, 100, 100)
    );
    assert!(!store.is_delayed("a", Duration::ZERO));
}

fn query(id: &str, name: &str, indexes: (u64, u64)) -> QueryEntry {
    let query = Query { id: id.into(), name: name.into(), session: "s".into(), ..Query::default() };
    QueryEntry { query: Arc::new(query), create_index: indexes.0, modify_index: indexes.1 }
}

fn any_name() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&["", "a", "A", "a.b", "b"][..])
}

fn asked(id: &str) -> Touched {
    Touched::Query(id.into())
}

#[test]
fn a_query_has_the_revisions_of_its_key_and_goes_when_that_is_told() {
    let mut stage = Stage::new();
    let found = |stage: &Stage, name: &str| stage.0.find_query(name).map(|entry| entry.query.id.to_string());
    let began = vec![Event::Session(session("s"), 2), Event::Query(query("1", "Web", (2, 2)))];
    stage.check(2, Told::Changes, began, &[of("s"), asked("1"), Touched::Revision]);
    stage.check(2, Told::Changes, vec![Event::Query(query("1", "Web", (2, 2)))], &[]);
    assert_eq!((found(&stage, "wEB"), stage.0.queries_index()), (Some("1".to_owned()), 2));
    // Another name, and the one before is free again.
    let renamed = vec![Event::Query(query("1", "db", (2, 4)))];
    stage.check(4, Told::Changes, renamed, &[asked("1"), Touched::Revision]);
    assert_eq!((found(&stage, "web"), found(&stage, "db"), stage.0.queries_index()), (None, Some("1".to_owned()), 4));
    // What became of it is told by itself.
    stage.check(6, Told::Changes, vec![Event::NoSession("s".into(), 6)], &[of("s"), Touched::Revision]);
    assert!(found(&stage, "db").is_some());
    stage.check(7, Told::Changes, vec![Event::NoQuery("1".into(), 7)], &[asked("1"), Touched::Revision]);
    stage.check(8, Told::Changes, vec![Event::NoQuery("1".into(), 8)], &[Touched::Revision]);
    assert_eq!((found(&stage, "db"), stage.0.queries_index()), (None, 7));
    let listed = vec![Event::Query(query("2", "a", (3, 9)))];
    stage.check(9, Told::Everything, listed, &[asked("2"), Touched::Revision]);
    stage.check(10, Told::Everything, Vec::new(), &[asked("2"), Touched::Revision]);
    assert_eq!((stage.0.query_count(), stage.0.queries_index()), (0, 10));
    // The shared store was set back.
    stage.check(3, Told::Everything, Vec::new(), &[Touched::Revision]);
    assert_eq!(stage.0.queries_index(), 3);
}

#[test]
fn queries_stay_when_a_machine_is_alone_again() {
    let mut stage = Stage::new();
    stage.check(90, Told::Changes, vec![Event::Query(query("1", "a", (2, 90)))], &[asked("1"), Touched::Revision]);
    assert_eq!(stage.0.newest_index(), 90);
    stage.0.part(100);
    assert_eq!((stage.0.query("1").unwrap().modify_index, stage.0.queries_index()), (90, 100));
}

#[derive(Debug, Clone)]
enum Step {
    Put(u8, Option<u8>),
    Delete(u8),
    Begin(u8),
    End(u8),
    /// Changes were missed from here to the next list.
    Lost,
    List,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..5_u8, prop::option::of(0..3_u8)).prop_map(|(key, session)| Step::Put(key, session)),
        2 => (0..5_u8).prop_map(Step::Delete),
        2 => (0..3_u8).prop_map(Step::Begin),
        1 => (0..3_u8).prop_map(Step::End),
        1 => Just(Step::Lost),
        1 => Just(Step::List),
    ]
}

/// A store elsewhere, as plain as can be.
#[derive(Default)]
struct Model {
    revision: u64,
    keys: BTreeMap<String, Entry>,
    sessions: BTreeMap<String, u64>,
}

impl Model {
    fn act(&mut self, step: &Step) -> Vec<Event> {
        self.revision += 1;
        let revision = self.revision;
        match step {
            Step::Put(number, holder) => {
                let (key, holder) = (format!("k{number}"), holder.map(|holder| format!("s{holder}")));
                let holder = holder.filter(|holder| self.sessions.contains_key(holder));
                let create = self.keys.get(&key).map_or(revision, |entry| entry.create_index);
                let entry = entry(&key, holder.as_deref(), (create, revision));
                self.keys.insert(key, entry.clone());
                vec![Event::Key(Box::new(entry))]
            }
            Step::Delete(number) => {
                let key = format!("k{number}");
                let gone = self.keys.remove(&key);
                gone.map(|_| Event::NoKey(key.as_str().into(), revision)).into_iter().collect()
            }
            Step::Begin(number) => {
                let id = format!("s{number}");
                if self.sessions.contains_key(&id) {
                    return Vec::new();
                }
                self.sessions.insert(id.clone(), revision);
                vec![Event::Session(session(&id), revision)]
            }
            Step::End(number) => {
                let id = format!("s{number}");
                if self.sessions.remove(&id).is_none() {
                    return Vec::new();
                }
                let held = self.keys.values_mut().filter(|entry| entry.session.as_deref() == Some(&id));
                let released = held.map(|entry| {
                    (entry.session, entry.modify_index) = (None, revision);
                    Event::Key(Box::new(entry.clone()))
                });
                let mut events: Vec<Event> = released.collect();
                events.insert(events.len() / 2, Event::NoSession(id.as_str().into(), revision));
                events
            }
            Step::Lost | Step::List => Vec::new(),
        }
    }

    fn listed(&self) -> Vec<Event> {
        let sessions = self.sessions.iter().map(|(id, revision)| Event::Session(session(id), *revision));
        sessions.chain(self.keys.values().map(|entry| Event::Key(Box::new(entry.clone())))).collect()
    }

    fn check(&self, store: &Store) {
        let keys: Vec<&Entry> = store.keys_below("").map(|entry| &**entry).collect();
        assert_eq!(keys, self.keys.values().collect::<Vec<_>>());
        let sessions: Vec<_> =
            store.sessions().map(|entry| (entry.session.id.to_string(), entry.create_index)).collect();
        assert_eq!(sessions, self.sessions.clone().into_iter().collect::<Vec<_>>());
        for entry in store.sessions() {
            let id = entry.session.id.as_str();
            let held: Vec<_> = entry.held.iter().map(|(key, ())| key.as_str()).collect();
            let of_keys = self.keys.values().filter(|entry| entry.session.as_deref() == Some(id));
            assert_eq!(held, of_keys.map(|entry| entry.key.as_str()).collect::<Vec<_>>(), "{id}");
        }
    }
}

proptest! {
    /// What is followed is what there is, whatever was missed, and each index becomes another when what it is of does.
    #[test]
    fn what_is_followed_is_what_there_is(steps in prop::collection::vec(step(), 1..60)) {
        let (mut model, mut lost) = (Model::default(), false);
        let mut store = Store::new(Seed(1), 50);
        store.share();
        for step in steps {
            let events = model.act(&step);
            lost |= matches!(step, Step::Lost);
            let told = match step {
                Step::List => {
                    lost = false;
                    Followed { revision: model.revision, told: Told::Everything, events: model.listed() }
                }
                _ if lost => continue,
                _ => Followed { revision: model.revision, told: Told::Changes, events },
            };
            let before: Vec<_> = (0..5).map(|n| format!("k{n}")).map(|key| (store.key(&key).cloned(), store.key_index(&key))).collect();
            let (all_before, index_before) = (store.keys_below("").cloned().collect::<Vec<_>>(), store.prefix_index(""));
            let done = store.follow(told);
            model.check(&store);
            for (number, (entry, index)) in before.into_iter().enumerate() {
                let key = format!("k{number}");
                let same = store.key(&key).cloned() == entry;
                prop_assert!(same || store.key_index(&key) > index);
                prop_assert_eq!(same, !done.touched.contains(&Touched::Key(key.as_str().into())));
            }
            let same = store.keys_below("").cloned().collect::<Vec<_>>() == all_before;
            prop_assert!(same || store.prefix_index("") > index_before);
        }
    }

    /// A name has the lowest ID of those that have it, whatever another program writes, and in whatever order.
    #[test]
    fn a_name_has_the_first_of_its_queries(
        steps in prop::collection::vec(("[1-4]", prop::option::of((any_name(), any::<bool>())), any::<bool>()), 1..40),
    ) {
        let mut store = Store::new(Seed(1), 0);
        store.share();
        let mut model: BTreeMap<String, QueryEntry> = BTreeMap::new();
        for (revision, (id, put, lists)) in (1..).zip(steps) {
            let event = match put {
                Some((name, is_template)) => {
                    let entry = query(&id, name, (revision, revision));
                    let query = Query { template: is_template.then(Template::default), ..Query::clone(&entry.query) };
                    let entry = QueryEntry { query: Arc::new(query), ..entry };
                    model.insert(id, entry.clone());
                    Event::Query(entry)
                }
                None => {
                    model.remove(&id);
                    Event::NoQuery(id.into(), revision)
                }
            };
            let all = || model.values().cloned().map(Event::Query).collect();
            store.follow(match lists {
                true => Followed { revision, told: Told::Everything, events: all() },
                false => Followed { revision, told: Told::Changes, events: vec![event] },
            });
            prop_assert!(store.queries().map(|entry| &**entry).eq(model.values()));
            prop_assert!(store.queries_of("s").into_iter().map(|entry| &**entry).eq(model.values()));
            let named = |name: &str| {
                let is_named = |entry: &&QueryEntry| {
                    entry.query.template.is_none() && !name.is_empty() && entry.query.name.to_lowercase() == name
                };
                model.values().find(is_named)
            };
            let beginning = |name: &str| {
                let is_template = |entry: &&QueryEntry| entry.query.template.is_some();
                let of_length = |length: usize| move |entry: &&QueryEntry| entry.query.name.to_lowercase() == name[..length];
                (0..=name.len()).rev().find_map(|length| model.values().filter(is_template).find(of_length(length)))
            };
            for name in ["", "a", "a.b", "b", "ab"] {
                let expected = named(name).or_else(|| beginning(name)).map(|entry| &entry.query.id);
                prop_assert_eq!(store.find_query(name).map(|entry| &entry.query.id), expected, "{}", name);
            }
            let below: Vec<bool> = ["b.", "a.", ""].map(|end| store.has_query_below(end)).into();
            prop_assert_eq!(below, vec![named("a.b").is_some(), false, ["a", "b", "a.b"].iter().any(|name| named(name).is_some())]);
            prop_assert_eq!(store.has_templates(), model.values().any(|entry| entry.query.template.is_some()));
        }
    }
}
