use proptest::prelude::*;
use serde_json::json;

use super::*;

fn document() -> Value {
    json!({
        "Id": "4bcff63911fc0000", "Name": "/shop-web-1", "Pid": 7,
        "Config": {
            "Hostname": "h1", "Env": ["A=1", "TIER=front", "B=2"],
            "Labels": {"com.example.tier": "Front", "json": "{\"a\": {\"b\": \"deep\"}}"}
        },
        "State": {"Running": true, "Paused": false}
    })
}

#[track_caller]
fn check(text: &str, expected: &str) {
    assert_eq!(Template::parse(text).unwrap().render(&document()).unwrap(), expected, "{text}");
}

#[track_caller]
fn refused(text: &str, problem: &str) {
    assert_eq!(Template::parse(text).unwrap_err().to_string(), problem, "{text}");
}

#[track_caller]
fn fails(text: &str, problem: &str) {
    assert_eq!(Template::parse(text).unwrap().render(&document()).unwrap_err().to_string(), problem, "{text}");
}

#[test]
fn text_is_as_it_is() {
    check("", "");
    check("a,b}}", "a,b}}");
}

#[test]
fn a_path_leads_into_the_document() {
    check("{{.Config.Hostname}}", "h1");
    check("{{ .ID }},{{.Pid}}", "4bcff63911fc0000,7");
    check("{{.State.Running}}{{$.Name}}", "true/shop-web-1");
    check("[{{.Nothing.At.All}}]", "[]");
    check("{{.Config.Env}}", "[A=1 TIER=front B=2]");
}

#[test]
fn index_reads_what_no_path_can_spell() {
    check(r#"{{index .Config.Labels "com.example.tier"}}"#, "Front");
    check("{{index .Config.Env 1}}", "TIER=front");
    check(r#"{{index .Config "Labels" "com.example.tier"}}"#, "Front");
    check(r#"[{{index .Config.Labels "none"}}]"#, "[]");
    fails("{{index .Config.Env 9}}", "index: there is no item 9 of 3");
}

#[test]
fn registrators_functions_do_what_theirs_do() {
    check("{{strSlice .ID 0 12}} {{.ID | strSlice 4 8}} {{strSlice .ID 12}}", "4bcff63911fc f639 0000");
    check(r#"{{sIndex 1 (split "-" .Name)}}"#, "web");
    check(r#"{{mIndex "com.example.tier" .Config.Labels}}"#, "Front");
    check(r#"{{.Config.Hostname | toUpper}} {{toLower "ÀB"}}"#, "H1 àb");
    check(r#"{{replace -1 "-" "." .Name}} {{.Name | replace "-" "." 1}}"#, "/shop.web.1 /shop.web-1");
    check(r#"{{join "," .Config.Env}} {{.Config.Env | join ";"}}"#, "A=1,TIER=front,B=2 A=1;TIER=front;B=2");
    check(r#"{{splitIndex 1 "=" (index .Config.Env 1)}}"#, "front");
    check(r#"{{matchFirstElement "^TIER=" .Config.Env | splitIndex 1 "="}}"#, "front");
    check(r#"{{matchAllElements "^[AB]=" .Config.Env | join ","}}"#, "A=1,B=2");
    check(r#"{{(jsonParse .Config.Labels.json).a.b}}"#, "deep");
}

#[test]
fn conditions_and_loops_are_gos() {
    check("{{if .State.Running}}up{{else}}down{{end}}", "up");
    check("{{if .State.Paused}}a{{else if .State.Running}}b{{else}}c{{end}}", "b");
    check("{{if and .State.Running (not .State.Paused)}}live{{end}}", "live");
    check(r#"{{if eq .Config.Hostname "h0" "h1"}}known{{end}}{{if ne .Pid 7}}other{{end}}"#, "known");
    check("{{range .Config.Env}}{{.}};{{end}}", "A=1;TIER=front;B=2;");
    check("{{range .Nothing}}x{{else}}none{{end}}", "none");
    check("{{with .Config}}{{.Hostname}}{{$.Pid}}{{end}}{{with .Nothing}}x{{else}}-{{end}}", "h17-");
    check(r#"{{or .Nothing "default"}} {{len .Config.Env}} {{print "a" 1 true}}"#, "default 3 a1true");
}

#[test]
fn blanks_and_comments_are_taken_away_as_asked() {
    check("a {{- .Pid -}} b {{/* no */}}c", "a7b c");
    check(r#"{{"}}"}}{{`a\n`}}{{"\"\t\\"}}"#, "}}a\\n\"\t\\");
}

#[test]
fn what_is_not_understood_is_refused_when_it_is_read() {
    refused("{{.A", "{{ without }}");
    refused("{{end}}", "{{end}} ends nothing");
    refused("{{if .A}}", "{{if}} without {{end}}");
    refused("{{if .A}}{{else}}", "{{else}} of {{if}} without {{end}}");
    refused("{{}}", "a value is missing");
    refused("{{shout .A}}", "shout is not a function that is offered");
    refused("{{httpGet .A}}", "httpGet is not offered: nothing is fetched to map a container");
    refused("{{$x := .A}}", "variables are not offered");
    refused("{{split .A}}", "split is given 1 arguments");
    refused("{{.A | .B}}", "only a function can stand behind |");
    refused("{{.A .B}}", "\".B\" is not understood behind a value");
    refused("{{(.A}}", "( without )");
    refused("{{\"a}}", "{{ without }}");
    refused("{{template \"x\"}}", "template is not offered");
    refused(&"{{if .A}}".repeat(1000), "more than 32 levels");
    refused(&format!("{{{{{}.A", "(".repeat(1000)), "{{ without }}");
    refused(&format!("{{{{{}.A}}}}", "(".repeat(1000)), "more than 32 levels");
}

#[test]
fn what_fails_says_which_function_and_why() {
    fails(r#"{{sIndex 9 (split "-" .Name)}}"#, "sIndex: there is no item 9 of 3");
    fails(r#"{{matchFirstElement "(" .Config.Env}}"#, "matchFirstElement: \"(\" is not a regular expression");
    fails("{{jsonParse .Name}}", "jsonParse: not JSON: expected value at line 1 column 1");
    fails(r#"{{split "" .Name}}"#, "split: the separator is empty");
    fails("{{range .Pid}}{{end}}", "range is over a list or a map, not 7");
    fails("{{strSlice .ID -1}}", "strSlice: -1 is negative");
}

#[test]
fn what_is_rendered_is_bounded() {
    let nested = format!("{}{}", "{{range $.Config.Env}}".repeat(12), "{{end}}".repeat(12));
    fails(&nested, "a template takes more than 100000 steps");
    let long = "{{.Name}}".repeat(10_000);
    fails(&long, "a template renders more than 65536 bytes");
}

proptest! {
    #[test]
    fn any_template_ends(text in "(\\{\\{|\\}\\}|[-. |()$\"`\\\\a-cE0-9]|if |range |with |else |end|index |split |len |\u{e9}){0,24}") {
        if let Ok(template) = Template::parse(&text) {
            let _ = template.render(&document());
        }
    }
}
