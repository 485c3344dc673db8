use super::*;

fn node(number: u32) -> NodeName {
    NodeName::new(format!("n{number}")).unwrap()
}

fn first(nodes: &[NodeName], thing: u32) -> &NodeName {
    nodes.iter().max_by_key(|node| rank(node, &thing.to_be_bytes())).unwrap()
}

#[test]
fn things_are_spread_over_the_machines() {
    let nodes: Vec<_> = (1..=3).map(node).collect();
    for node in &nodes {
        let share = (0..3000).filter(|thing| first(&nodes, *thing) == node).count();
        assert!((850..1150).contains(&share), "{node} has {share} of 3000");
    }
}

#[test]
fn what_a_machine_had_that_is_gone_goes_to_the_others_and_nothing_else_moves() {
    let nodes: Vec<_> = (1..=4).map(node).collect();
    for thing in 0..1000 {
        let before = first(&nodes, thing);
        let after = first(&nodes[..3], thing);
        assert!(before == after || *before == nodes[3], "{thing} went from {before} to {after}");
    }
}

#[test]
fn of_all_machines_exactly_one_runs_a_check() {
    let machine = |node: &NodeName| Machine {
        node: node.clone(),
        uuid: Arc::from("u"),
        address: Address::parse("192.0.2.1").unwrap(),
        addresses: Arc::default(),
        version: Arc::from("1"),
    };
    let nodes: Vec<_> = (1..=4).map(node).collect();
    for number in 0..100 {
        let id = crate::catalog::names::CheckId::new(format!("c{number}")).unwrap();
        let check = CheckKey { node: NodeName::new("db").unwrap(), id };
        let run = |own: &&NodeName| {
            let others: Vec<_> = nodes.iter().filter(|node| node != own).map(machine).collect();
            runs(own, &others, &check)
        };
        assert_eq!(nodes.iter().filter(run).count(), 1, "{number}");
        assert!(runs(&nodes[0], &[], &check), "who is alone runs all");
        let theirs = CheckKey { node: nodes[1].clone(), ..check };
        assert!(!nodes.iter().any(|own| runs(own, &[machine(&nodes[1])], &theirs)), "a machine's checks are its own");
    }
}
