use super::*;
use crate::{
    catalog::{
        check::CheckStatus,
        few::Few,
        testing::{check, instance, registration},
    },
    sources::etcd::layout::Layout,
};

fn nodes(origins: &[(&str, Origin)]) -> Vec<StoredNode> {
    let stored = |(name, origin): &(&str, Origin)| StoredNode {
        node: Arc::new(Node { origin: *origin, ..Node::example(name) }),
        checks: Arc::from([entry_of(Check { origin: *origin, ..check("alive", None, CheckStatus::Passing) })]),
        create_index: 1,
        modify_index: 1,
    };
    origins.iter().map(stored).collect()
}

fn entry_of(check: Check) -> CheckEntry {
    CheckEntry { check: Arc::new(check), create_index: 1, modify_index: 1 }
}

fn entry(node: &str, origin: Origin, aside: &[Origin]) -> Arc<InstanceEntry> {
    let web = |origin| Instance { node: NodeName::new(node).unwrap(), origin, ..instance("web", "web-1") };
    let aside = aside.iter().map(|origin| Arc::new(registration(web(*origin), vec![])));
    let checks: Few<_> = [entry_of(Check { origin: Origin::Api, ..check("h", Some("web-1"), CheckStatus::Critical) })]
        .into_iter()
        .collect();
    Arc::new(InstanceEntry {
        instance: Arc::new(web(origin)),
        checks,
        shadowed: aside.collect(),
        create_index: 1,
        modify_index: 1,
    })
}

fn others(own: &NodeName) -> OtherNodes<'_> {
    OtherNodes { own, datacenter: "dc1" }
}

#[test]
fn what_clients_registered_becomes_the_stores() {
    let stored = [("db", Origin::Api), ("n1", Origin::Server), ("n2", Origin::Cluster)];
    let mut nodes = nodes(&stored);
    let own = entry("n1", Origin::Api, &[]);
    let mut instances = vec![
        entry("db", Origin::Api, &[Origin::Cluster, Origin::Registry]),
        own.clone(),
        entry("n2", Origin::Api, &[]),
    ];
    let n1 = NodeName::new("n1").unwrap();
    let adopted = others(&n1).names(&nodes);
    assert_eq!(adopted, [NodeName::new("db").unwrap()].into());
    let writes = others(&n1).take_back(&adopted, (&mut nodes, &mut instances));
    let origins = |nodes: &[StoredNode]| nodes.iter().map(|stored| stored.node.origin).collect::<Vec<_>>();
    assert_eq!(origins(&nodes), [Origin::Cluster, Origin::Server, Origin::Cluster]);
    assert_eq!(nodes[0].checks[0].check.origin, Origin::Cluster);
    // On another machine's node it could not stay.
    assert_eq!((instances.len(), &instances[1]), (2, &own));
    assert_eq!(instances[0].instance.origin, Origin::Cluster);
    assert_eq!(instances[0].checks[0].check.origin, Origin::Cluster);
    let aside: Vec<_> = instances[0].shadowed.iter().map(|aside| aside.instance.origin).collect();
    assert_eq!(aside, [Origin::Registry]);
    assert_eq!(writes.len(), 3, "{writes:?}");
    let documents = others(&n1).documents(&adopted, (&nodes, &instances)).unwrap();
    let places: Vec<_> = documents.iter().map(|(place, _)| Layout::new("/x").key(place)).collect();
    assert_eq!(places, ["/x/v1/nodes/db", "/x/v1/services/db/web-1"]);
}

#[test]
fn where_the_stores_holds_nothing_of_clients_is_left() {
    let mut nodes = nodes(&[("db", Origin::Api), ("n1", Origin::Server)]);
    let theirs = entry("x", Origin::Registry, &[]);
    let mut instances = vec![entry("db", Origin::Api, &[]), entry("n1", Origin::Api, &[]), theirs];
    let n1 = NodeName::new("n1").unwrap();
    let writes = others(&n1).take_back(&BTreeSet::new(), (&mut nodes, &mut instances));
    assert_eq!((nodes.len(), instances.len()), (1, 2));
    assert!(instances[1].checks.is_empty(), "a check that a client added goes");
    let forgotten = |write: &Write| matches!(write, Write::ForgetNode(name) if name.as_str() == "db");
    assert!(writes.iter().any(forgotten), "{writes:?}");
}
