//! docs/api.md tells of every route, in the table's order, and of no other.

use std::sync::Arc;

use super::{LocalNode, acl_body, harness, query_body, routes::routes, session, txn};
use crate::{
    access::{
        Realm,
        directory::{Directory, HashKey},
        file,
    },
    catalog::{
        change::Origin,
        definition::{self, Owner, json},
        table::Seed,
    },
};

const PAGE: &str = include_str!("../../docs/api.md");

/// The blocks of the page in this language.
fn blocks(language: &str) -> Vec<&'static str> {
    let fence = format!("```{language}\n");
    PAGE.split(fence.as_str()).skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

fn owner() -> Owner {
    let LocalNode { node, .. } = harness::local();
    Owner { node, origin: Origin::Api }
}

/// With the policies that the examples name.
fn realm() -> Realm {
    let directory = || Directory::new(Seed(1), HashKey([1; 16]));
    let file = file::read("[policy.deploy]\nrules = ''\n[policy.look]\nrules = ''", directory()).unwrap();
    Realm { file: Arc::new(file), stored: directory() }
}

#[test]
fn the_page_has_every_route_and_no_other() {
    let told: Vec<&str> =
        PAGE.lines().filter_map(|line| line.strip_prefix("### `")).filter_map(|rest| rest.strip_suffix('`')).collect();
    let routes: Vec<String> =
        routes().map(|route| format!("{route:?}").replace("{*", ":").replace('{', ":").replace('}', "")).collect();
    assert_eq!(told, routes);
}

#[test]
fn every_route_has_an_example_that_calls_it() {
    let examples = blocks("sh");
    for route in routes() {
        let path = route.path.split('{').next().unwrap_or_default();
        let end = route.path.split('}').nth(1).unwrap_or_default();
        let calls = |example: &&str| {
            let method = example.split("-X ").nth(1).map_or("GET", |rest| rest.split(' ').next().unwrap_or_default());
            example.contains(&format!("$N{path}")) && example.contains(end) && route.method == method
        };
        assert!(examples.iter().any(calls), "{route:?}");
    }
}

#[test]
fn the_bodies_of_the_examples_are_accepted() {
    for example in blocks("sh").iter().filter(|example| example.contains("-d '")) {
        let body = example.split('\'').nth(1).unwrap();
        let tree = json::parse(body.as_bytes()).unwrap();
        let read = if example.contains("service/register") {
            definition::service(&tree, "", &owner()).map(|_| ())
        } else if example.contains("check/register") {
            definition::check(&tree, "", &owner()).map(|_| ())
        } else if example.contains("catalog/register") {
            definition::catalog_registration(&tree, Origin::Api).map(|_| ())
        } else if example.contains("catalog/deregister") {
            definition::catalog_deregistration(&tree).map(|_| ())
        } else if example.contains("/v1/txn") {
            txn::operations(&tree, &owner()).map(|_| ()).map_err(|error| panic!("{error}"))
        } else if example.contains("/v1/acl/token") {
            acl_body::token(&tree, &realm(), "dc1").map(|_| ())
        } else if example.contains("/v1/acl/policy") {
            acl_body::policy(&tree, "dc1").map(|_| ())
        } else if example.contains("/v1/query") {
            query_body::decoded(&tree, "q".into()).map(|_| ())
        } else if example.contains("session/create") {
            session::decoded(&tree, &owner().node, "s".into()).map(|_| ())
        } else {
            definition::status_update(&tree).map(|_| ())
        };
        assert_eq!(read, Ok(()), "{example}");
    }
}
