use super::*;
use crate::{
    catalog::{
        change::{Change, Origin},
        node::Node,
        table::Seed,
        testing::{check, instance, register, registration, set_status},
    },
    kv::operation::{Content, Operation, Problem, Verb},
};

/// Node `n1` with the passing node check `alive`, and instance `web-1` with the passing check `service:web-1`.
struct Stage {
    catalog: State,
    store: Store,
    now: Duration,
}

fn session(id: &str, behavior: Behavior) -> Session {
    Session {
        id: id.into(),
        name: "".into(),
        node: NodeName::new("n1").unwrap(),
        node_checks: vec![CheckId::derived("alive")],
        service_checks: vec![CheckId::derived("service:web-1")],
        lock_delay: Duration::from_secs(15),
        behavior,
        ttl: None,
    }
}

impl Stage {
    fn new() -> Stage {
        let mut catalog = State::new(Seed(1), 1);
        for change in [
            Change::RegisterNode(Node::example("n1")),
            Change::RegisterCheck(Box::new(check("alive", None, CheckStatus::Passing))),
            register(registration(
                instance("web", "web-1"),
                vec![check("service:web-1", Some("web-1"), CheckStatus::Passing)],
            )),
        ] {
            catalog.apply(change).unwrap();
        }
        Stage { catalog, store: Store::new(Seed(1), 1), now: Duration::ZERO }
    }

    fn with(sessions: &[(&str, Behavior)]) -> Stage {
        let mut stage = Stage::new();
        for (id, behavior) in sessions {
            stage.create(session(id, *behavior)).unwrap();
        }
        stage
    }

    fn at(&mut self) -> At {
        At { index: self.catalog.advance(), now: self.now }
    }

    fn create(&mut self, session: Session) -> Result<Done, ChangeError> {
        let at = self.at();
        self.store.create_session(session, &self.catalog, at)
    }

    fn operate(&mut self, key: &str, verb: Verb) -> Result<Done, Problem> {
        let at = self.at();
        self.store.operate(Operation { key: key.into(), verb }, at)
    }

    fn lock(&mut self, key: &str, session: &str) -> Result<Done, Problem> {
        self.operate(key, Verb::Lock(Content::default(), session.into()))
    }

    fn destroy(&mut self, id: &str) -> Vec<Touched> {
        let at = self.at();
        self.store.destroy_session(id, at).touched
    }

    /// Applies a change of the catalog, and tells which sessions end by it.
    fn lapses(&mut self, change: Change) -> Vec<String> {
        let effects = self.catalog.apply(change).unwrap();
        self.store.lapsed(&effects, &self.catalog).iter().map(ToString::to_string).collect()
    }

    fn holder(&self, key: &str) -> Option<&str> {
        self.store.key(key).unwrap().session.as_deref()
    }
}

use Behavior::{Delete, Release};

#[test]
fn a_session_needs_its_node_and_its_checks_not_critical() {
    let mut stage = Stage::new();
    let elsewhere = Session { node: NodeName::new("n2").unwrap(), ..session("s", Release) };
    assert_eq!(stage.create(elsewhere).unwrap_err(), ChangeError::MissingNode);
    let unknown = Session { node_checks: vec![CheckId::derived("none")], ..session("s", Release) };
    assert_eq!(stage.create(unknown).unwrap_err(), ChangeError::MissingCheck(CheckId::derived("none")));
    stage.catalog.apply(set_status("n1", "alive", CheckStatus::Critical, "")).unwrap();
    let refused = stage.create(session("s", Release)).unwrap_err();
    assert_eq!(refused, ChangeError::CriticalCheck(CheckId::derived("alive")));
    assert_eq!(stage.store.session_count(), 0);
    stage.catalog.apply(set_status("n1", "alive", CheckStatus::Warning, "")).unwrap();
    stage.create(session("s", Release)).unwrap();
}

#[test]
fn a_key_is_locked_by_one_session_at_a_time() {
    let mut stage = Stage::with(&[("one", Release), ("two", Release)]);
    assert_eq!(stage.lock("k", "nobody").unwrap_err(), Problem::UnknownSession("nobody".into()));
    stage.lock("k", "one").unwrap();
    assert_eq!((stage.holder("k"), stage.store.key("k").unwrap().lock_index), (Some("one"), 1));
    assert_eq!(stage.lock("k", "two").unwrap_err(), Problem::Held("k".into()));
    let index = stage.store.key_index("k");
    assert!(stage.lock("k", "one").unwrap().touched.is_empty(), "who holds it locks it again without a change");
    assert_eq!((stage.store.key_index("k"), stage.store.key("k").unwrap().lock_index), (index, 1));
    let unlock = |session: &str| Verb::Unlock(Content::default(), session.into());
    assert_eq!(stage.operate("k", unlock("two")).unwrap_err(), Problem::NotHeld("k".into()));
    stage.operate("k", unlock("one")).unwrap();
    assert_eq!(stage.holder("k"), None);
    assert_eq!(stage.operate("k", unlock("one")).unwrap_err(), Problem::NotHeld("k".into()));
    stage.lock("k", "two").unwrap();
    assert_eq!((stage.holder("k"), stage.store.key("k").unwrap().lock_index), (Some("two"), 2));
}

#[test]
fn a_plain_set_keeps_the_lock() {
    let mut stage = Stage::with(&[("one", Release)]);
    stage.lock("k", "one").unwrap();
    stage.operate("k", Verb::Set(Content { flags: 3, ..Content::default() })).unwrap();
    assert_eq!((stage.holder("k"), stage.store.key("k").unwrap().flags), (Some("one"), 3));
    stage.operate("k", Verb::CheckSession("one".into())).unwrap();
    let refused = stage.operate("k", Verb::CheckSession("two".into())).unwrap_err().to_string();
    assert_eq!(refused, "failed session check for key \"k\", current session \"one\" != \"two\"");
}

#[test]
fn what_a_session_held_is_released_or_goes_and_rests_for_the_lock_delay() {
    for (behavior, stays) in [(Release, true), (Delete, false)] {
        let mut stage = Stage::with(&[("one", behavior), ("two", Release)]);
        for key in ["a", "b"] {
            stage.lock(key, "one").unwrap();
        }
        stage.operate("a", Verb::Delete).unwrap();
        let touched = stage.destroy("one");
        assert_eq!(touched, [Touched::Session("one".into()), Touched::Key("b".into())]);
        assert_eq!(stage.store.key("b").is_some(), stays);
        assert_eq!(stage.store.key_index("b"), stage.catalog.index());
        assert_eq!(stage.lock("b", "two").unwrap_err(), Problem::Delayed("b".into()));
        stage.lock("a", "two").unwrap();
        stage.now = Duration::from_secs(15);
        stage.lock("b", "two").unwrap();
        assert!(stage.destroy("one").is_empty(), "it has ended already");
    }
}

#[test]
fn without_a_lock_delay_and_after_a_release_a_key_can_be_locked_at_once() {
    let mut stage = Stage::with(&[("two", Release)]);
    stage.create(Session { lock_delay: Duration::ZERO, ..session("one", Release) }).unwrap();
    stage.lock("k", "one").unwrap();
    stage.destroy("one");
    stage.lock("k", "two").unwrap();
}

#[test]
fn a_session_ends_with_its_checks_and_its_node() {
    let change = |change: Change| Stage::with(&[("one", Release), ("two", Delete)]).lapses(change);
    let both = ["one", "two"];
    assert_eq!(change(set_status("n1", "alive", CheckStatus::Critical, "")), both);
    assert_eq!(change(set_status("n1", "service:web-1", CheckStatus::Critical, "")), both);
    assert!(change(set_status("n1", "alive", CheckStatus::Warning, "")).is_empty());
    let key = instance("web", "web-1").key();
    assert_eq!(change(Change::Deregister { key, origin: Origin::Api }), both);
    let name = NodeName::new("n1").unwrap();
    assert_eq!(change(Change::DeregisterNode { name, origin: Origin::Api }), both);
    let mut other = registration(instance("db", "db-1"), vec![check("c", Some("db-1"), CheckStatus::Critical)]);
    other.replace_existing_checks = true;
    assert!(change(register(other)).is_empty());
}

#[test]
fn a_session_without_checks_ends_with_its_node_alone() {
    let mut stage = Stage::new();
    stage.create(Session { node_checks: vec![], service_checks: vec![], ..session("s", Release) }).unwrap();
    assert!(stage.lapses(set_status("n1", "alive", CheckStatus::Critical, "")).is_empty());
    let name = NodeName::new("n1").unwrap();
    assert_eq!(stage.lapses(Change::DeregisterNode { name, origin: Origin::Api }), ["s"]);
}

#[test]
fn what_is_restored_holds_what_it_held() {
    let mut stage = Stage::with(&[("one", Delete)]);
    stage.lock("k", "one").unwrap();
    let stored = crate::kv::store::Stored {
        entries: stage.store.keys_below("").map(|entry| Entry::clone(entry)).collect(),
        sessions: stage.store.sessions().map(|one| (Session::clone(&one.session), one.create_index)).collect(),
        ..Default::default()
    };
    stage.store = Store::restore(Seed(2), stage.catalog.index(), stored);
    assert_eq!(stage.lapses(set_status("n1", "alive", CheckStatus::Critical, "")), ["one"]);
    assert_eq!(stage.destroy("one").len(), 2);
    assert!(stage.store.key("k").is_none() && stage.store.ties.is_empty());
}

#[test]
fn lock_delays_that_are_over_do_not_pile_up() {
    let mut store = Store::new(Seed(1), 1);
    for number in 0..10 * DELAYS_TIDY_MIN as u64 {
        store.delay(&Text::from(format!("{number}")), Duration::from_secs(1), Duration::from_secs(2 * number));
    }
    assert!(store.delays.len() <= 2 * DELAYS_TIDY_MIN, "{}", store.delays.len());
}
