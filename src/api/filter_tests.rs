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
        "Definition": { "TCP": "192.0.2.9:80" },
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
    check(r#"Proxy.DestinationServiceName != """#, false);
    check("Connect.Native == false and Proxy is empty", true);
    check("Connect.Native == true or Ports contains http or any Ports as p { p.Port == 80 }", false);
    check(r#"Definition.TCP matches ":80$" and Definition.HTTP is empty"#, true);
    check("Definition.TLSSkipVerify == true", false);
    check("Definition.TLSSkipVerify != true", true);
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
fn elements_of_lists_and_maps_are_spoken_of() {
    check("any Checks as c { c.Status == warning }", true);
    check("all Checks as c { c.Status == passing }", false);
    check("all Checks as c { c.Status != critical and Port == 80 }", true);
    check("any ServiceTags as tag { tag matches `^v` }", true);
    check("all Nothing as x { x == y }", true);
    check("any Nothing as x { x == y }", false);
    check("any Meta as key { key == rack }", true);
    check("any Meta as key, value { key == rack and value == r7 }", true);
    check("any ServiceTags as at, _ { at == 1 }", true);
    check("any Checks as c { any ServiceTags as t { t == c.Status } }", false);
    check("not any Checks as c { c.Status == critical }", true);
    check(r#"Port in ["80", "81"]"#, true);
    check("ServiceName not in [ `web-1` ,`web-2`]", false);
    check("Checks.0.Status == passing and Checks.1.Status == warning", true);
    check(r#"Meta[ "a.b" ] is not empty"#, true);
}

#[test]
fn what_is_wrong_is_said_with_its_place_and_what_was_expected() {
    let operators = r#""==", "!=", "in", "contains", "matches", "is" or "not""#;
    refused("Port", &format!("column 5: expected {operators}, not the end"));
    refused("Port 80", &format!("column 6: expected {operators}, not \"80\""));
    refused("Port not empty", "column 10: expected \"in\", \"contains\" or \"matches\", not \"empty\"");
    refused("Port = 80", "column 6: expected \"==\" or \"!=\", not \"=\"");
    refused("Port == ", "column 9: expected a value, not the end");
    refused("80 in (Tags)", "column 7: expected a field, not \"(\"");
    refused(r#""Port" == 80"#, "column 1: expected a field, not \"Port\"");
    refused("Port == 80 and", "column 15: expected a field or a value, not the end");
    refused("(Port == 80", "column 12: expected \")\", not the end");
    refused("Port == 80 80", "column 12: expected \"and\", \"or\" or the end, not \"80\"");
    refused("Port is full", "column 9: expected \"empty\", not \"full\"");
    refused("Port == \"80", "column 9: a text that begins with \" has no end");
    refused("Port ? 80", "column 6: \"?\" has no meaning here");
    refused("Meta[rack] == r7", "column 1: expected a quoted text");
    refused("Port in [\"80\" \"81\"]", "column 9: expected \",\" or \"]\" in a list");
    refused("any Checks as c.d { x == y }", "column 15: expected a name, not \"c.d\"");
    refused("any Checks as c x == y", "column 17: expected \"{\", not \"x\"");
    refused("any Checks as c { x == y", "column 25: expected \"}\", not the end");
    refused(&"(".repeat(100), "column 33: is nested deeper than 32");
    refused(&"x".repeat(5000), "must be at most 4096 bytes");
    refused("Port matches \"(\"", "column 14: unclosed group");
}

#[test]
fn what_an_element_does_not_have_is_said_with_what_it_has() {
    let wrong = |filter: &str| {
        let element = json!({ "Tags": [], "Port": 80, "Native": true, "Meta": {}, "Node": { "ID": "x" }, "Checks": [{ "Status": "x" }] });
        Filter::parse(filter).unwrap().keeps(&element).unwrap_err()
    };
    assert_eq!(
        wrong("Tgas contains x"),
        "column 1: Tgas: no such field; there are Checks, Meta, Native, Node, Port, Tags"
    );
    assert_eq!(wrong("Port == 80 and Node.Id == x"), "column 16: Id: no such field; there are ID");
    assert_eq!(wrong("Checks.State == x"), "column 1: State: no such field; there are Status");
    assert_eq!(wrong("Port.Number == 80"), "column 1: Number: what is before it has no fields");
    assert_eq!(wrong("Tags == x"), "column 1: == and != compare texts, numbers and booleans only");
    assert_eq!(wrong("Port == high"), "column 1: it is a number, which \"high\" is not");
    assert_eq!(wrong("Native != maybe"), "column 1: it is true or false, which \"maybe\" is not");
    assert_eq!(wrong("all Port as x { x == 1 }"), "column 5: any and all look into lists and maps only");
    assert_eq!(wrong("any Checks as c { c.State == x }"), "column 19: State: no such field; there are Status");
}
