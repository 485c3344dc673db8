use std::collections::BTreeSet;

use super::*;
use crate::api::routes::ROUTES;

#[test]
fn every_route_states_its_right() {
    let routes: BTreeSet<(&str, &str)> = ROUTES.iter().map(|route| (route.method.as_str(), route.path)).collect();
    let stated: BTreeSet<(&str, &str)> = RIGHTS.iter().map(|(method, path, _)| (*method, *path)).collect();
    assert_eq!(stated.len(), RIGHTS.len(), "no route stands twice");
    assert_eq!(routes.difference(&stated).collect::<Vec<_>>(), Vec::<&(&str, &str)>::new(), "routes without a right");
    assert_eq!(stated.difference(&routes).collect::<Vec<_>>(), Vec::<&(&str, &str)>::new(), "rights without a route");
}
