use serde_json::json;

use super::*;

#[track_caller]
fn check(filter: &str, keeps: bool) {
    let element = json!({
        "ServiceName": "web-1",
        "ServiceTags": ["blue", "v1"],
        "Meta": { "rack": "r7", "a.b": "x" },
        "Port": 80,
        "Native": false,
        "Checks": [{ "Status": "passing" }, { "Status": "warning" }],
        "Nothing": [],
    });
    assert_eq!(Filter::parse(filter).and_then(|read| read.keeps(&element)), Ok(keeps), "{filter}");
}

#[track_caller]
fn refused(filter: &str, message: &str) {
    assert_eq!(Filter::parse(filter).map(|_| ()).unwrap_err(), message);
}

#[test]
fn values_are_compared_as_their_type() {
    check(r#"ServiceName == "web-1""#, true);
    check("ServiceName==web-1", true);
    check("ServiceName != `web-1`", false);
    check("Port == 80", true);
    check(r#"Port == "81""#, false);
    check("Native == false", true);
    check("Native != true", true);
}

#[test]
fn lists_maps_and_texts_contain() {
    check(r#""blue" in ServiceTags"#, true);
    check("green not in ServiceTags", true);
    check("ServiceTags contains v1", true);
    check("ServiceTags not contains v1", false);
    check("rack in Meta", true);
    check(r#"ServiceName contains "eb-""#, true);
    check("ServiceTags is empty", false);
    check("ServiceTags is not empty", true);
    check("Nothing is empty", true);
}

#[test]
fn paths_lead_into_maps_and_lists() {
    check("Meta.rack == r7", true);
    check(r#"Meta["a.b"] == x"#, true);
    check(r#""/Meta/rack" == r7"#, true);
    check("Meta.row == r7", false);
    check("Meta.row != r7", true);
    check("Meta.row is empty", true);
    check("Checks.Status == warning", true);
    check("Checks.Status == critical", false);
    check(r#"Kind == """#, true);
    check("Kind != connect-proxy", true);
}

#[test]
fn texts_match_regular_expressions() {
    check(r#"ServiceName matches "^web-\d$""#, true);
    check("ServiceName not matches `^db`", true);
}

#[test]
fn or_binds_weaker_than_and_and_that_weaker_than_not() {
    check("Port == 80 or Port == 81 and Port == 82", true);
    check("(Port == 80 or Port == 81) and Port == 82", false);
    check("not Port == 81 and Port == 80", true);
    check("not (Port == 80)", false);
    check("not not Port == 80", true);
}

#[test]
fn what_is_wrong_is_said() {
    refused("Port", "expected ==, !=, in, is, contains or matches after \"Port\", not the end");
    refused("Port = 80", "expected == or !=, not '='");
    refused("Port == ", "expected a value, not the end");
    refused("(Port == 80", "expected \")\", not the end");
    refused("Port == 80 80", "expected \"and\", \"or\" or the end, not \"80\"");
    refused("Port is full", "expected \"empty\", not \"full\"");
    refused("Port == \"80", "a text that begins with \" has no end");
    refused("Port ? 80", "\"?\" has no meaning here");
    refused(&"(".repeat(100), "is nested deeper than 32");
    refused(&"x".repeat(5000), "must be at most 4096 bytes");
    assert!(Filter::parse("Port matches \"(\"").unwrap_err().starts_with("matches: "));
    let wrong = |filter: &str| Filter::parse(filter).unwrap().keeps(&json!({"Tags": []})).unwrap_err();
    assert_eq!(wrong("Tgas contains x"), "Tgas: no such field");
    assert_eq!(wrong("Tags == x"), "== and != compare texts, numbers and booleans only");
}
