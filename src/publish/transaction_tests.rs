use super::*;
use crate::{
    catalog::{
        change::Change,
        names::NodeName,
        node::Node,
        table::Seed,
        transaction::{Action, Subject},
    },
    kv::operation::{Content, Verb},
};

fn set_node(name: &str) -> Operation {
    let action = Action::Set { changes: vec![Change::RegisterNode(Node::example(name))], expected: None };
    let subject = Subject::Node(NodeName::new(name).unwrap());
    Operation::Catalog(catalog::transaction::Operation { subject, action })
}

fn key(key: &str, verb: Verb) -> Operation {
    Operation::Key(kv::operation::Operation { key: key.into(), verb })
}

fn set(name: &str) -> Operation {
    key(name, Verb::Set(Content::default()))
}

#[test]
fn each_change_has_an_index_of_its_own_whatever_it_is_about() {
    let (mut catalog, mut store) = (State::new(Seed(1), 10), Store::new(Seed(1), 10));
    let operations = vec![set("a"), set_node("n2"), key("a", Verb::Get), set("b"), set("a")];
    let outcome = transact((&mut catalog, &mut store), operations, (Duration::ZERO, &Metrics::new())).unwrap();
    assert_eq!((store.key_index("a"), store.key_index("b"), catalog.index()), (11, 13, 13));
    assert_eq!((outcome.touched.len(), outcome.effects.len(), outcome.found.len()), (2, 1, 5));
}

#[test]
fn one_that_fails_leaves_nothing_of_the_others() {
    let (mut catalog, mut store) = (State::new(Seed(1), 10), Store::new(Seed(1), 10));
    let operations = vec![set("a"), key("b", Verb::Get), set_node("n2"), key("a", Verb::CheckNotExists)];
    let errors = transact((&mut catalog, &mut store), operations, (Duration::ZERO, &Metrics::new())).unwrap_err();
    assert_eq!(errors.iter().map(|error| error.at).collect::<Vec<_>>(), [1, 3]);
    assert_eq!((catalog.index(), catalog.node_count(), store.key_count()), (10, 0, 0));
}
