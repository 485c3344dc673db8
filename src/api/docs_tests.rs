//! docs/api.md tells of every route, in the table's order, and of no other. What its examples answer is told by tests/behaviour/openapi.rs.

use super::routes::routes;

const PAGE: &str = include_str!("../../docs/api.md");

/// The blocks of the page in this language.
fn blocks(language: &str) -> Vec<&'static str> {
    let fence = format!("```{language}\n");
    PAGE.split(fence.as_str()).skip(1).filter_map(|rest| rest.split("```").next()).collect()
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
