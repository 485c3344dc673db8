use clap::Parser;

use super::*;
use crate::cli::args::{CommandLine, Verb};

#[track_caller]
fn check(arguments: &str, expected: Value) {
    let words = ["nameplate", "register"].into_iter().chain(arguments.split(' '));
    let Verb::Register(args) = CommandLine::try_parse_from(words).unwrap().verb else { panic!("not register") };
    let registration =
        Registration::new((&args.name, args.id.as_deref().map(Cow::from), args.port), &args.instance).unwrap();
    assert_eq!(serde_json::to_value(registration.checked_at("2001:db8::1")).unwrap(), expected, "{arguments}");
}

#[test]
fn a_registration_is_written_in_consuls_words() {
    check("web --port 80", json!({ "Name": "web", "Port": 80, "Tags": [], "Meta": {} }));
    check(
        "web --port 80 --address 192.0.2.1 --id web-1 --tag a --tag b --meta k=v --meta url=a=b",
        json!({ "Name": "web", "ID": "web-1", "Port": 80, "Address": "192.0.2.1", "Tags": ["a", "b"],
                "Meta": { "k": "v", "url": "a=b" } }),
    );
}

#[test]
fn a_check_has_an_interval_and_a_deadline_has_none() {
    let body = |check: Value| json!({ "Name": "web", "Port": 80, "Tags": [], "Meta": {}, "Check": check });
    let url = "http://192.0.2.1/health";
    check(&format!("web --port 80 --check-http {url}"), body(json!({ "HTTP": url, "Interval": "10s" })));
    check(
        "web --port 80 --check-tcp 192.0.2.1:80 --interval 2s",
        body(json!({ "TCP": "192.0.2.1:80", "Interval": "2s" })),
    );
    check("web --port 80 --check-ttl 30s", body(json!({ "TTL": "30s" })));
    check(
        "web --port 80 --check-http /health?deep=1",
        body(json!({ "HTTP": "http://[2001:db8::1]:80/health?deep=1", "Interval": "10s" })),
    );
}

#[test]
fn a_key_of_meta_stands_once() {
    let words = "nameplate register web --port 80 --meta k=1 --meta k=2".split(' ');
    let Verb::Register(args) = CommandLine::try_parse_from(words).unwrap().verb else { panic!("not register") };
    let refused = Registration::new((&args.name, None, args.port), &args.instance).unwrap_err();
    assert_eq!(refused.to_string(), "--meta: key \"k\" is given twice");
}
