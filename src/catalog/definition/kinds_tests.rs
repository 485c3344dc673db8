use std::time::Duration;

use super::*;
use crate::catalog::{
    check::{CheckDefinition, CheckKind, ClientTls},
    names::ServiceId,
};

fn read(members: &str) -> Result<Decoded<Check>, DefinitionError> {
    let owner = Owner { node: NodeName::new("n1").unwrap(), origin: Origin::Api };
    check(&json::parse(format!(r#"{{"Name": "c", {members}}}"#).as_bytes()).unwrap(), "", &owner)
}

/// A check that is probed every 10 s: its target and its definition.
#[track_caller]
fn probed(members: &str) -> (String, CheckDefinition) {
    let check = read(&format!(r#"{members}, "Interval": "10s""#)).unwrap().value;
    assert_eq!(check.definition.interval, Duration::from_secs(10));
    (check.target.to_string(), CheckDefinition::clone(&check.definition))
}

#[track_caller]
fn refused(members: &str, message: &str) {
    assert_eq!(read(&format!(r#"{members}, "Interval": "10s""#)).unwrap_err().to_string(), message);
}

#[test]
fn what_listens_on_a_port_is_named_by_host_and_port() {
    for (field, kind) in [
        ("UDP", CheckKind::Udp),
        ("Redis", CheckKind::Redis),
        ("MySQL", CheckKind::MySql),
        ("Postgres", CheckKind::Postgres),
        ("AMQP", CheckKind::Amqp),
    ] {
        let (target, definition) = probed(&format!(r#""{field}": "[2001:db8::1]:99""#));
        assert_eq!((target.as_str(), definition.kind), ("[2001:db8::1]:99", kind));
        assert_eq!(definition.timeout, Duration::from_secs(10));
        for wrong in ["192.0.2.1", "2001:db8::1:99", "192.0.2.1:0", "x y:1", ":1"] {
            let host = "expected host:port (an IPv6 address in brackets)";
            refused(&format!(r#""{field}": "{wrong}""#), &format!("{field}: {host}, not {wrong:?}"));
        }
        refused(&format!(r#""{field}": "a:1", "TCP": "a:1""#), &format!("{field}: cannot be given together with TCP"));
    }
}

#[test]
fn icmp_needs_a_host_alone() {
    assert_eq!(probed(r#""ICMP": "db.example""#).0, "db.example");
    assert_eq!(probed(r#""ICMP": "2001:db8::1""#).1.kind, CheckKind::Icmp);
    assert_eq!(read(r#""ICMP": "a b", "Interval": "1s""#).unwrap_err().path, "ICMP");
    assert_eq!(read(r#""ICMP": "192.0.2.1:80", "Interval": "1s""#).unwrap_err().path, "ICMP");
}

#[test]
fn grpc_may_name_a_service_and_tls() {
    let (target, definition) = probed(r#""GRPC": "192.0.2.1:80/shop.Cart""#);
    assert_eq!((target.as_str(), definition.kind), ("192.0.2.1:80/shop.Cart", CheckKind::Grpc(ClientTls::default())));
    let members =
        r#""grpc": "a.example:443", "grpc_use_tls": true, "tls_skip_verify": true, "tls_server_name": "b.example""#;
    let tls = ClientTls { use_tls: true, tls_skip_verify: true, tls_server_name: Some("b.example".into()) };
    assert_eq!(probed(members).1.kind, CheckKind::Grpc(tls));
    refused(r#""GRPC": "a:1/b c""#, "GRPC: expected host:port/service, the service without blanks, not \"a:1/b c\"");
    refused(r#""GRPC": "a/b""#, "GRPC: expected host:port (an IPv6 address in brackets), not \"a/b\"");
    refused(r#""GRPC": "a:1", "GRPCUseTLS": 1"#, "GRPCUseTLS: expected true or false, not 1");
}

#[test]
fn h2ping_speaks_tls_unless_it_says_else() {
    let uses_tls = |members: &str| match probed(members).1.kind {
        CheckKind::H2Ping(tls) => tls.use_tls,
        other => panic!("{other:?}"),
    };
    assert!(uses_tls(r#""H2PING": "192.0.2.1:443""#));
    assert!(!uses_tls(r#""H2PING": "192.0.2.1:80", "H2PingUseTLS": false"#));
}

#[test]
fn a_script_is_a_list_of_arguments() {
    for field in ["ScriptArgs", "Args", "script_args"] {
        let (target, definition) = probed(&format!(r#""{field}": ["/bin/probe", "", "-x y"]"#));
        let CheckKind::Script(script) = &definition.kind else { panic!("{definition:?}") };
        assert_eq!(script.args.iter().map(|arg| &**arg).collect::<Vec<_>>(), ["/bin/probe", "", "-x y"]);
        assert_eq!((target.as_str(), definition.timeout), ("", Duration::from_secs(30)));
    }
    let cure = "a command is a list of its arguments, which no shell reads; give ScriptArgs, such as [\"/bin/sh\", \"-c\", \"...\"]";
    refused(r#""Script": "probe | grep x""#, &format!("Script: {cure}"));
    refused(r#""ScriptArgs": "probe""#, "ScriptArgs: expected a list, not \"probe\"");
    refused(r#""ScriptArgs": [""]"#, "ScriptArgs[0]: expected the name or path of a program, not \"\"");
    refused(r#""ScriptArgs": ["a", 1]"#, "ScriptArgs[1]: expected a text, not 1");
    refused(r#""ScriptArgs": ["a\u0000"]"#, "ScriptArgs[0]: expected a text without zero bytes, not \"a\\0\"");
    refused(r#""ScriptArgs": ["a"], "Args": ["b"]"#, "Args: cannot be given together with ScriptArgs");
    refused(
        r#""ScriptArgs": ["a"], "Shell": "/bin/sh""#,
        "Shell: is for DockerContainerID; elsewhere a shell is the first of ScriptArgs",
    );
    refused(r#""ScriptArgs": ["a"], "HTTP": "http://a/""#, "ScriptArgs: cannot be given together with HTTP");
    let many = vec!["\"a\""; 257].join(",");
    refused(&format!(r#""ScriptArgs": [{many}]"#), "ScriptArgs: must have at most 256 items, not 257");
}

#[test]
fn a_command_in_a_container_is_read_by_a_shell_there() {
    let args = |members: &str| match probed(members).1.kind {
        CheckKind::DockerExec(exec) => {
            (exec.container.to_string(), exec.args.iter().map(|arg| arg.to_string()).collect())
        }
        other => panic!("{other:?}"),
    };
    let words = |words: [&str; 3]| -> Vec<String> { words.map(str::to_owned).into() };
    assert_eq!(
        args(r#""DockerContainerID": "web_1", "ScriptArgs": ["probe", "-x"]"#),
        ("web_1".to_owned(), words(["/bin/sh", "-c", "probe -x"]))
    );
    assert_eq!(
        args(r#""DockerContainerID": "web_1", "Shell": "/bin/bash", "Args": ["probe -y"]"#),
        ("web_1".to_owned(), words(["/bin/bash", "-c", "probe -y"]))
    );
    assert_eq!(probed(r#""DockerContainerID": "w", "Args": ["a"]"#).1.timeout, Duration::from_secs(30));
    refused(r#""DockerContainerID": "w""#, "ScriptArgs: must be given");
    refused(
        r#""DockerContainerID": "../w", "Args": ["a"]"#,
        "DockerContainerID: expected the ID or name of a container, not \"../w\"",
    );
    refused(
        r#""DockerContainerID": "w", "Args": ["a"], "ScriptArgs": ["a"]"#,
        "Args: cannot be given together with ScriptArgs",
    );
    refused(
        r#""DockerContainerID": "w", "Args": ["a"], "Redis": "a:1""#,
        "DockerContainerID: cannot be given together with Redis",
    );
}

#[test]
fn an_alias_names_an_instance_or_a_node_and_has_no_interval() {
    let alias = |members: &str| {
        let check = read(members).unwrap().value;
        assert_eq!((check.definition.interval, check.definition.timeout), (Duration::ZERO, Duration::ZERO));
        match &check.definition.kind {
            CheckKind::Alias(alias) => (alias.node.clone(), alias.service_id.clone()),
            other => panic!("{other:?}"),
        }
    };
    let (node, id) = (NodeName::new("n2").unwrap(), ServiceId::new("db-1").unwrap());
    assert_eq!(alias(r#""AliasService": "db-1""#), (None, Some(id.clone())));
    assert_eq!(alias(r#""AliasNode": "n2""#), (Some(node.clone()), None));
    assert_eq!(alias(r#""AliasNode": "n2", "AliasService": "db-1", "Timeout": "1s""#), (Some(node), Some(id)));
    refused(r#""AliasService": "db-1""#, "Interval: a check that is as another one has no Interval");
    refused(r#""AliasService": "db-1", "TCP": "a:1""#, "AliasService: cannot be given together with TCP");
    let long = "n".repeat(600);
    assert_eq!(read(&format!(r#""AliasNode": "{long}""#)).unwrap_err().path, "AliasNode");
}

#[test]
fn a_unit_is_a_name_and_no_option_of_a_program() {
    let (target, definition) = probed(r#""OSService": "nginx.service""#);
    assert_eq!(
        (target.as_str(), definition.kind, definition.timeout.as_secs()),
        ("nginx.service", CheckKind::Systemd, 30)
    );
    for wrong in ["--host=x", "a b", "a/b"] {
        let unit = "expected the name of a systemd unit, such as \"nginx.service\"";
        refused(&format!(r#""OSService": "{wrong}""#), &format!("OSService: {unit}, not {wrong:?}"));
    }
}

#[test]
fn a_dns_query_has_a_server_and_a_name() {
    let dns = |members: &str| match probed(&format!(
        r#""DNS": {{"Server": "192.0.2.53:53", "Name": "web.example", {members}}}"#
    )) {
        (target, CheckDefinition { kind: CheckKind::Dns(dns), .. }) => {
            let expected = dns.expected.iter().map(|text| text.to_string()).collect::<Vec<_>>();
            (target, dns.name.to_string(), dns.record_type.to_string(), expected)
        }
        other => panic!("{other:?}"),
    };
    let of = |record_type: &str, expected: &[&str]| {
        let expected = expected.iter().map(|text| text.to_string()).collect::<Vec<_>>();
        ("192.0.2.53:53".to_owned(), "web.example".to_owned(), record_type.to_owned(), expected)
    };
    assert_eq!(dns(r#""Type": """#), of("A", &[]));
    assert_eq!(dns(r#""Type": "aaaa", "Expected": "2001:db8::1""#), of("AAAA", &["2001:db8::1"]));
    assert_eq!(dns(r#""Expected": ["192.0.2.1", "192.0.2.2"]"#), of("A", &["192.0.2.1", "192.0.2.2"]));
    refused(r#""DNS": "192.0.2.53""#, "DNS: expected an object, not \"192.0.2.53\"");
    refused(r#""DNS": {"Name": "a"}"#, "DNS.Server: must be given");
    refused(r#""DNS": {"Server": "192.0.2.53:53"}"#, "DNS.Name: must be given");
    refused(
        r#""DNS": {"Server": "192.0.2.53", "Name": "a"}"#,
        "DNS.Server: expected host:port (an IPv6 address in brackets), not \"192.0.2.53\"",
    );
    refused(r#""DNS": {"Server": "a:53", "Name": "a b"}"#, "DNS.Name: expected a name of the DNS, not \"a b\"");
    refused(
        r#""DNS": {"Server": "a:53", "Name": "a", "Type": "A B"}"#,
        "DNS.Type: expected a type of records such as \"A\", not \"A B\"",
    );
    refused(
        r#""DNS": {"Server": "a:53", "Name": "a", "Expected": ["b", ""]}"#,
        "DNS.Expected[1]: expected a text that is not empty, not \"\"",
    );
    refused(
        r#""DNS": {"Server": "a:53", "Name": "a", "Expects": "b"}"#,
        "DNS.Expects: unknown field; did you mean Expected?",
    );
}

#[test]
fn thresholds_have_nerves_names_too() {
    let counts = |members: &str| {
        let (_, definition) = probed(&format!(r#""Redis": "a:1", {members}"#));
        (definition.success_before_passing, definition.failures_before_warning, definition.failures_before_critical)
    };
    assert_eq!(counts(r#""rise": 2, "fall": 3"#), (2, 3, 3));
    assert_eq!(counts(r#""Rise": 2, "FailuresBeforeCritical": 3, "FailuresBeforeWarning": 1, "Fall": 0"#), (2, 1, 3));
    refused(
        r#""TCP": "a:1", "Rise": 1, "SuccessBeforePassing": 1"#,
        "Rise: cannot be given together with SuccessBeforePassing, of which it is another name",
    );
    refused(
        r#""TCP": "a:1", "Fall": 1, "FailuresBeforeCritical": 1"#,
        "Fall: cannot be given together with FailuresBeforeCritical, of which it is another name",
    );
}

#[test]
fn so_much_of_the_output_is_kept() {
    let kept = |size: &str| {
        let read = read(&format!(r#""TCP": "a:1", "Interval": "1s", "OutputMaxSize": {size}"#)).unwrap();
        (read.value.definition.output_max_bytes, read.notices)
    };
    assert_eq!((kept("1"), kept("0"), kept("4096")), ((1, vec![]), (4096, vec![]), (4096, vec![])));
    assert_eq!(kept("70000"), (4096, vec!["OutputMaxSize: cut from 70000 to 4096".to_owned()]));
    refused(r#""TCP": "a:1", "OutputMaxSize": -1"#, "OutputMaxSize: expected a number from 1 to 4096, not -1");
}
