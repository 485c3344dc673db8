use std::time::Duration;

use super::{
    super::{
        client::{Op, Txn, fake::keeper::Keeper},
        kept_event::read_event,
        layout::Kept,
    },
    *,
};
use crate::{
    access::{
        directory::{AccessChange, HashKey},
        token::{Policy, Secret, Token},
    },
    catalog::{change::Origin, names::NodeName, node::Node, state::State, table::Seed, testing::instance},
    kv::{
        At,
        change::Change,
        event::Event,
        operation::{Content, Operation, Verb},
        query::Query,
        session::{Behavior, Session},
    },
    observe::metrics::Metrics,
};

/// All that was stored.
#[derive(Clone)]
struct Machine {
    store: Store,
    directory: Directory,
    nodes: Vec<StoredNode>,
    instances: Vec<Arc<InstanceEntry>>,
}

/// A machine `n1` with nothing but its node.
fn empty() -> Machine {
    Machine {
        store: Store::new(Seed(1), 0),
        directory: Directory::new(Seed(1), HashKey([1; 16])),
        nodes: vec![node("n1", Origin::Server)],
        instances: Vec::new(),
    }
}

fn node(name: &str, origin: Origin) -> StoredNode {
    let node = Arc::new(Node { origin, ..Node::example(name) });
    StoredNode { node, checks: Arc::from([]), create_index: 1, modify_index: 1 }
}

const AT: At = At { index: 7, now: Duration::ZERO };

impl Machine {
    fn put(&mut self, key: &str) {
        let content = Content { value: b"1".as_slice().into(), flags: 0 };
        self.store.operate(Operation { key: key.into(), verb: Verb::Set(content) }, AT).unwrap();
    }

    fn fire(&mut self, name: &str) {
        let event = Event { id: name.into(), name: name.into(), is_here: true, ..Event::default() };
        self.store.apply(Change::Fire(event), &State::new(Seed(1), 1), AT).unwrap();
    }

    /// A node that is no machine's, with an instance.
    fn register(&mut self, name: &str) {
        self.nodes.push(node(name, Origin::Api));
        let instance = crate::catalog::service::Instance {
            node: NodeName::new(name).unwrap(),
            origin: Origin::Api,
            ..instance("pg", "pg-1")
        };
        let entry = InstanceEntry {
            instance: Arc::new(instance),
            checks: [].into_iter().collect(),
            shadowed: [].into_iter().collect(),
            create_index: 1,
            modify_index: 1,
        };
        self.instances.push(Arc::new(entry));
    }

    /// A first token, which is deleted again.
    fn bootstrap(&mut self) {
        let token = Token::new("t1".into(), Secret::new("s"));
        self.directory.apply(AccessChange::CreateToken(token), 1).unwrap();
        self.directory.apply(AccessChange::DeleteToken("t1".into()), 2).unwrap();
    }

    async fn adopts(&mut self, keeper: &Keeper, side: Option<Side>) -> Result<usize, String> {
        let settings = EtcdSettings {
            prefix: "/nameplate".into(),
            node: NodeName::new("n1").unwrap(),
            uuid: "u".into(),
            addresses: Vec::new(),
            datacenter: "dc1".into(),
            lease: Duration::from_secs(10),
            stale_after: Duration::ZERO,
            stale_max: Duration::ZERO,
            metrics: Arc::new(Metrics::new()),
        };
        let (nodes, instances) = (&mut self.nodes, &mut self.instances);
        let own = Own { store: &self.store, directory: &self.directory, now_secs: 1000, nodes, instances };
        let writes = adopt((&settings, &keeper.client()), own, side).await;
        writes.map(|writes| writes.len()).map_err(|error| error.to_string())
    }

    fn origins(&self) -> Vec<Origin> {
        self.nodes.iter().map(|stored| stored.node.origin).collect()
    }
}

/// Some of each kind. Of the tokens one ends in five minutes, and one has ended.
fn some() -> Machine {
    let mut machine = empty();
    machine.put("app/a");
    let session = Session {
        id: "s1".into(),
        name: "".into(),
        node: NodeName::new("n1").unwrap(),
        node_checks: Vec::new(),
        service_checks: Vec::new(),
        lock_delay: Duration::ZERO,
        behavior: Behavior::Release,
        ttl: Some((Duration::from_secs(30), "30s".into())),
    };
    let mut catalog = State::new(Seed(1), 1);
    catalog.apply(crate::catalog::change::Change::RegisterNode(Node::example("n1"))).unwrap();
    machine.store.apply(Change::CreateSession(Box::new(session)), &catalog, AT).unwrap();
    let query = Query { id: "q1".into(), service: "web".into(), session: "s1".into(), ..Query::default() };
    machine.store.apply(Change::SetQuery(Box::new(query)), &catalog, AT).unwrap();
    machine.fire("deploy");
    machine.fire("restart");
    let policy = Policy { id: "p1".into(), name: "deploy".into(), ..Policy::management() };
    machine.directory.apply(AccessChange::CreatePolicy(policy), 1).unwrap();
    for (number, expires_secs) in [(1, None), (2, Some(1300)), (3, Some(1000))] {
        let secret = Secret::new(format!("secret-{number}"));
        let token = Token { expires_secs, ..Token::new(Arc::from(format!("t{number}")), secret) };
        machine.directory.apply(AccessChange::CreateToken(token), 2).unwrap();
    }
    machine.register("db");
    machine
}

/// How a refusal counts all that [`some`] has.
const COUNTS: &str =
    "1 keys, 1 sessions, 1 prepared queries, 2 events, 1 policies, 2 tokens, 1 nodes that are no machine's";

/// What lies there of all that [`some`] has, and the seconds of the leases.
const COPIED: [(&str, i64); 12] = [
    ("/nameplate/v1/bootstrap/acl", 0),
    ("/nameplate/v1/events/1", 0),
    ("/nameplate/v1/events/2", 0),
    ("/nameplate/v1/kv/app/a", 0),
    ("/nameplate/v1/nodes/db", 0),
    ("/nameplate/v1/policies/p1", 0),
    ("/nameplate/v1/queries/q1", 0),
    ("/nameplate/v1/services/db/pg-1", 0),
    ("/nameplate/v1/session-ttls/s1", 30),
    ("/nameplate/v1/sessions/s1", 0),
    ("/nameplate/v1/tokens/t1", 0),
    ("/nameplate/v1/tokens/t2", 300),
];

fn copied() -> Vec<(String, i64)> {
    COPIED.map(|(key, secs)| (key.to_owned(), secs)).into()
}

/// The key of a machine that lives, with its lease.
const LIVING: (&str, i64) = ("/nameplate/v1/nodes/n2", 9);

async fn live(keeper: &Keeper) {
    let client = keeper.client();
    let (key, value, lease) = (LIVING.0.into(), b"{}".to_vec(), client.grant(9).await.unwrap().id);
    client.txn(Txn { then: vec![Op::Put { key, value, lease }], ..Txn::default() }).await.unwrap();
}

#[tokio::test]
async fn what_a_machine_has_goes_where_nothing_is() {
    let keeper = Keeper::start(&[]).await;
    // What is of a machine is no matter of it.
    live(&keeper).await;
    let mut machine = some();
    assert_eq!(machine.adopts(&keeper, None).await, Ok(2));
    let mut expected = copied();
    expected.insert(5, (LIVING.0.to_owned(), LIVING.1));
    assert_eq!(keeper.keys(), expected);
    assert_eq!(machine.origins(), [Origin::Server, Origin::Cluster]);
    assert_eq!(machine.instances[0].instance.origin, Origin::Cluster);
}

#[tokio::test]
async fn much_is_copied_in_several_transactions() {
    let keeper = Keeper::start(&[]).await;
    let mut machine = empty();
    (0..300).for_each(|number| machine.put(&format!("{number}")));
    (0..300).for_each(|_| machine.fire("deploy"));
    assert_eq!(machine.adopts(&keeper, None).await, Ok(0));
    assert_eq!(keeper.keys().len(), 300 + 256);
}

#[tokio::test]
async fn a_machine_that_has_nothing_leaves_all_as_it_is() {
    let theirs = ["/nameplate/v1/events/7", "/nameplate/v1/kv/theirs", "/nameplate/v1/nodes/theirs"];
    let keeper = Keeper::start(&theirs).await;
    let before = keeper.keys();
    let mut bootstrapped = empty();
    bootstrapped.bootstrap();
    for side in [None, Some(Side::Remote), Some(Side::Local)] {
        assert_eq!(empty().adopts(&keeper, side).await, Ok(0));
        assert_eq!(bootstrapped.adopts(&keeper, side).await, Ok(0));
        assert_eq!(keeper.keys(), before);
    }
}

#[tokio::test]
async fn that_a_first_token_was_made_goes_where_nothing_is() {
    let keeper = Keeper::start(&[]).await;
    let mut machine = empty();
    machine.bootstrap();
    machine.adopts(&keeper, None).await.unwrap();
    assert_eq!(keeper.keys(), [("/nameplate/v1/bootstrap/acl".to_owned(), 0)]);
}

#[tokio::test]
async fn where_both_have_some_an_operator_says_which_hold() {
    for kind in ["kv/", "sessions/", "queries/", "events/", "policies/", "tokens/", "bootstrap/", "nodes/"] {
        let place = format!("/nameplate/v1/{kind}");
        let keeper = Keeper::start(&[&format!("{place}7")]).await;
        let before = keeper.keys();
        let mut machine = some();
        let refused = machine.adopts(&keeper, None).await.unwrap_err();
        assert!(refused.starts_with(&format!("this machine has {COUNTS} of its own, and etcd has some in {place};")));
        assert!(refused.contains("--store-adopt local") && refused.contains("--store-adopt remote"), "{refused}");
        assert_eq!((keeper.keys(), machine.origins()), (before.clone(), some().origins()));
        assert_eq!(machine.adopts(&keeper, Some(Side::Remote)).await, Ok(2));
        assert_eq!((keeper.keys(), machine.origins()), (before, vec![Origin::Server]));
        assert!(machine.instances.is_empty());
        assert_eq!(some().adopts(&keeper, Some(Side::Local)).await, Ok(2));
        assert_eq!(keeper.keys(), copied());
    }
}

#[tokio::test]
async fn events_alone_are_some() {
    let mut machine = empty();
    machine.fire("deploy");
    let keeper = Keeper::start(&["/nameplate/v1/kv/theirs", "/nameplate/v1/nodes/theirs"]).await;
    let refused = machine.adopts(&keeper, None).await.unwrap_err();
    let expected =
        "this machine has 1 events of its own, and etcd has some in /nameplate/v1/kv/, /nameplate/v1/nodes/;";
    assert!(refused.starts_with(expected), "{refused}");
    assert_eq!(machine.adopts(&keeper, Some(Side::Remote)).await, Ok(0));
    assert_eq!(keeper.keys().len(), 2, "none is copied though there are no events");
    assert_eq!(machine.adopts(&keeper, Some(Side::Local)).await, Ok(0));
    assert_eq!(keeper.keys(), [("/nameplate/v1/events/1".to_owned(), 0)]);
    let layout = Layout::new("/nameplate");
    let value = keeper.value(&layout.kept_key(&Kept::Event(1))).unwrap();
    assert_eq!(&*read_event(1, &value).unwrap().name, "deploy");
}

#[tokio::test]
async fn a_start_that_was_cut_short_is_done_anew_when_told_so() {
    let parts = copied();
    for part in 1..parts.len() {
        let keys: Vec<&str> = parts[..part].iter().map(|(key, _)| &**key).collect();
        let keeper = Keeper::start(&keys).await;
        let mut machine = some();
        let refused = machine.adopts(&keeper, None).await.unwrap_err();
        assert!(refused.contains("local replaces those in etcd, also what a start that was cut short copied"));
        machine.adopts(&keeper, Some(Side::Local)).await.unwrap();
        assert_eq!(keeper.keys(), copied());
    }
}

#[tokio::test]
async fn of_machines_that_start_at_the_same_time_one_copies() {
    // What comes after this machine has looked has no name of what it has.
    for kind in ["kv/", "events/", "tokens/"] {
        let late = format!("/nameplate/v1/{kind}77");
        let keeper = Keeper::start_with(&[], Some(&late)).await;
        let refused = some().adopts(&keeper, None).await.unwrap_err();
        assert!(
            refused.contains(&format!("{COUNTS} of its own, and etcd has some in /nameplate/v1/{kind};")),
            "{refused}"
        );
        assert_eq!(keeper.keys(), [(late, 0)]);
    }
}

#[tokio::test]
async fn a_machine_that_follows_the_store_is_looked_at_for_nodes() {
    let mut machine = some();
    machine.store.share();
    let keeper = Keeper::start(&["/nameplate/v1/kv/theirs"]).await;
    assert_eq!(machine.clone().adopts(&keeper, None).await, Ok(2));
    let with_nodes = ["kv/theirs", "nodes/db", "services/db/pg-1"].map(|key| (format!("/nameplate/v1/{key}"), 0));
    assert_eq!(keeper.keys(), with_nodes);
    let refused = machine.clone().adopts(&keeper, None).await.unwrap_err();
    let expected =
        "this machine has 1 nodes that are no machine's of its own, and etcd has some in /nameplate/v1/nodes/;";
    assert!(refused.starts_with(expected), "{refused}");
    assert_eq!(machine.clone().adopts(&keeper, Some(Side::Local)).await, Ok(2));
    assert_eq!(keeper.keys(), with_nodes);
}
