use std::{collections::BTreeMap, time::Duration};

use super::*;
use crate::catalog::{
    change::Origin,
    check::{CheckKind, CheckStatus},
    names::*,
    service::Weights,
};

fn registration(id: &str, tag: &str) -> Registration {
    let node = NodeName::new("n1").unwrap();
    let instance = Instance {
        node: node.clone(),
        id: ServiceId::new(id).unwrap(),
        service: ServiceName::new("web").unwrap(),
        address: None,
        ports: Arc::default(),
        tags: Arc::from([Tag::new(tag).unwrap()]),
        meta: Arc::new(BTreeMap::from([(Arc::from("version"), Arc::from("1"))])),
        weights: Weights::default(),
        tagged_addresses: Default::default(),
        network_addresses: Default::default(),
        further_names: Default::default(),
        enable_tag_override: false,
        origin: Origin::Api,
    };
    let check = Check {
        node,
        id: CheckId::derived(&format!("service:{id}")),
        service_id: Some(ServiceId::new(id).unwrap()),
        name: "Service 'web' check".into(),
        notes: "".into(),
        status: CheckStatus::Critical,
        output: "".into(),
        target: "".into(),
        definition: Arc::new(CheckDefinition::unprobed(CheckKind::Deadline(Duration::from_secs(30)))),
        origin: Origin::Api,
    };
    Registration { instance, checks: vec![check], replace_existing_checks: false }
}

fn interned(interner: &mut Interner, registration: Registration) -> Registration {
    let mut change = Change::Register(Box::new(registration));
    interner.change(&mut change);
    match change {
        Change::Register(registration) => *registration,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_registration_says_the_same_as_before_it_was_interned() {
    let mut interner = Interner::new(Seed(7));
    for id in ["web-1", "web-2", "web-1"] {
        assert_eq!(interned(&mut interner, registration(id, "blue")), registration(id, "blue"));
    }
}

#[test]
fn what_two_registrations_say_alike_is_in_memory_once() {
    let mut interner = Interner::new(Seed(7));
    let [one, two] = ["web-1", "web-2"].map(|id| interned(&mut interner, registration(id, "blue")));
    assert!(Arc::ptr_eq(&one.instance.tags, &two.instance.tags));
    assert!(Arc::ptr_eq(&one.instance.meta, &two.instance.meta));
    assert!(Arc::ptr_eq(&one.checks[0].definition, &two.checks[0].definition));
    assert!(Text::ptr_eq(&one.checks[0].name, &two.checks[0].name));
    assert!(Text::ptr_eq(&one.checks[0].notes, one.checks[0].output.clone().text_mut()));
}

#[test]
fn what_nobody_holds_any_more_is_let_go() {
    let mut interner = Interner::new(Seed(7));
    let held = interned(&mut interner, registration("web-1", "held"));
    for number in 0..10 * KEPT_MIN {
        interned(&mut interner, registration("web-1", &format!("tag-{number}")));
    }
    assert!(interner.tags.values.len() <= KEPT_MIN);
    let again = interned(&mut interner, registration("web-2", "held"));
    assert!(Arc::ptr_eq(&held.instance.tags, &again.instance.tags));
}
