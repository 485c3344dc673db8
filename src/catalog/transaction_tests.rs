use super::*;
use crate::catalog::{
    change::Origin,
    check::CheckStatus::{Critical, Passing},
    model::Model,
    table::Seed,
    testing::{check, check_key, instance, key, register, registration, set_status},
};

fn catalog() -> State {
    let mut state = State::new(Seed(7), 100);
    state.apply(Change::RegisterNode(Node::example("n1"))).unwrap();
    state
}

fn node(name: &str) -> Subject {
    Subject::Node(NodeName::new(name).unwrap())
}

fn set_node(name: &str, expected: Option<u64>) -> Operation {
    let changes = vec![Change::RegisterNode(Node::example(name))];
    Operation { subject: node(name), action: Action::Set { changes, expected } }
}

fn set(service: &str, id: &str, expected: Option<u64>) -> Operation {
    let changes = vec![register(registration(instance(service, id), vec![]))];
    Operation { subject: Subject::Instance(key("n1", id)), action: Action::Set { changes, expected } }
}

fn delete(id: &str, expected: Option<u64>) -> Operation {
    let change = Change::Deregister { key: key("n1", id), origin: Origin::Api };
    Operation { subject: Subject::Instance(key("n1", id)), action: Action::Delete { change, expected } }
}

fn delete_node(name: &str, expected: Option<u64>) -> Operation {
    let change = Change::DeregisterNode { name: NodeName::new(name).unwrap(), origin: Origin::Api };
    Operation { subject: node(name), action: Action::Delete { change, expected } }
}

fn get(subject: Subject) -> Operation {
    Operation { subject, action: Action::Get }
}

/// Which operations fail, and why; nothing may have changed then.
#[track_caller]
fn refused(state: &mut State, operations: Vec<Operation>) -> Vec<(usize, String)> {
    let (before, index) = (Model::of(state), state.index());
    let errors = state.transact(operations).unwrap_err();
    assert_eq!((Model::of(state), state.index()), (before, index));
    errors.into_iter().map(|error| (error.at, error.problem.to_string())).collect()
}

#[test]
fn all_operations_take_effect_or_none_does() {
    let mut state = catalog();
    let errors = refused(&mut state, vec![set("web", "web-1", None), get(node("n9")), set_node("n2", Some(7))]);
    let stale =
        "failed to set node \"n2\", index is stale; read it again, and set it with the ModifyIndex that it has now";
    assert_eq!(errors, [(1, "node \"n9\" doesn't exist".to_owned()), (2, stale.to_owned())]);
    state.transact(vec![set("web", "web-1", None), set_node("n2", Some(0))]).unwrap();
    assert_eq!((state.instance_count(), state.node_count()), (1, 2));
}

#[test]
fn an_operation_sees_what_those_before_it_did() {
    let mut state = catalog();
    let web = || Subject::Instance(key("n1", "web-1"));
    let done = state.transact(vec![set("web", "web-1", Some(0)), get(web()), delete("web-1", None)]).unwrap();
    assert_eq!((done.found.len(), done.effects.len()), (2, 2));
    let errors = refused(&mut state, vec![set("web", "web-1", None), delete("web-1", None), get(web())]);
    assert_eq!(errors, [(2, "service \"web-1\" on node \"n1\" doesn't exist".to_owned())]);
}

#[test]
fn compare_and_set_wants_the_index_of_the_last_change() {
    let mut state = catalog();
    state.transact(vec![set("web", "web-1", None)]).unwrap();
    let index = state.instance(&key("n1", "web-1")).unwrap().modify_index;
    for stale in [0, index - 1, index + 1] {
        assert_eq!(refused(&mut state, vec![set("db", "web-1", Some(stale))]).len(), 1, "{stale}");
        assert_eq!(refused(&mut state, vec![delete("web-1", Some(stale))]).len(), 1, "{stale}");
    }
    state.transact(vec![set("db", "web-1", Some(index))]).unwrap();
    let index = state.instance(&key("n1", "web-1")).unwrap().modify_index;
    state.transact(vec![delete("web-1", Some(index))]).unwrap();
    assert_eq!(state.instance_count(), 0);
    assert_eq!(refused(&mut state, vec![delete("web-1", Some(index))]).len(), 1, "nothing is there any more");
}

#[test]
fn what_is_not_there_need_not_be_taken_away() {
    let mut state = catalog();
    let index = state.index();
    let done = state.transact(vec![delete("web-1", None), delete_node("n9", None)]).unwrap();
    assert_eq!((done.found.len(), done.effects.len(), state.index()), (0, 0, index));
}

#[test]
fn a_node_goes_with_all_that_is_on_it() {
    let mut state = catalog();
    let checked = registration(instance("web", "web-1"), vec![check("c", Some("web-1"), Passing)]);
    state.apply(register(checked)).unwrap();
    state.apply(Change::RegisterCheck(Box::new(check("disk", None, Critical)))).unwrap();
    state.transact(vec![delete_node("n1", None)]).unwrap();
    assert_eq!((state.node_count(), state.instance_count(), state.check_count()), (0, 0, 0));
    assert_eq!(state.nodes_index(), state.index());
}

#[test]
fn a_node_stays_while_another_source_has_something_on_it() {
    let mut state = catalog();
    state.apply(register(registration(Instance { origin: Origin::File, ..instance("web", "web-1") }, vec![]))).unwrap();
    let why = "what is on node \"n1\" was registered by the file source; change it there";
    assert_eq!(refused(&mut state, vec![delete_node("n1", None)]), [(0, why.to_owned())]);
}

#[test]
fn a_check_is_found_with_its_instance() {
    let mut state = catalog();
    state.transact(vec![set("web", "web-1", None)]).unwrap();
    let changes = vec![
        Change::RegisterCheck(Box::new(check("c", Some("web-1"), Critical))),
        set_status("n1", "c", Passing, "fine"),
    ];
    let subject = Subject::Check(check_key("n1", "c"));
    let action = Action::Set { changes, expected: Some(0) };
    let done = state.transact(vec![Operation { subject, action }]).unwrap();
    let [Found::Check { entry, instance: Some(instance) }] = &done.found[..] else { panic!("{:?}", done.found) };
    assert_eq!((entry.check.status, &*entry.check.shown_output(), instance.id.as_str()), (Passing, "fine", "web-1"));
}
