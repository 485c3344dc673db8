//! The document by itself; tests/behaviour/openapi.rs holds it against what a server answers.

use std::collections::BTreeSet;

use super::*;
use crate::api::{harness::start, routes::routes};

#[tokio::test]
async fn each_route_is_told_and_nothing_else() {
    let server = start().await;
    let document = server.get("/v1/openapi.json").await.json();
    let mut told = BTreeSet::new();
    let mut ids = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap().iter().filter(|(key, _)| *key != "parameters") {
            told.insert((path.clone(), method.to_uppercase()));
            assert!(ids.insert(operation["operationId"].as_str().unwrap()), "{operation}");
        }
    }
    let routes: BTreeSet<_> = routes().map(|route| (route.template(), route.method.to_string())).collect();
    assert_eq!(told, routes);
    let again = server.get("/v1/openapi.json").await;
    assert_eq!(again.json(), document, "it is made once");
    assert_eq!(server.get("/v1/openapi.json?pretty").await.json(), document);
}

#[test]
fn what_is_referred_to_is_there() {
    let document = document("dc1");
    let text = document.to_string();
    for reference in text.split("{\"$ref\":\"#").skip(1).filter_map(|rest| rest.split('"').next()) {
        assert!(document.pointer(reference).is_some(), "{reference}");
    }
    assert_eq!(document["components"]["parameters"]["dc"]["schema"]["enum"], json!(["dc1"]));
}
