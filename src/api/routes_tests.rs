use std::collections::BTreeSet;

use super::*;

#[test]
fn no_route_stands_twice() {
    let all: Vec<String> = routes().map(|route| format!("{route:?}")).collect();
    let different: BTreeSet<&String> = all.iter().collect();
    assert_eq!(different.len(), all.len());
}
