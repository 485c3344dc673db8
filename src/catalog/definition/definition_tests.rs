use std::{sync::Arc, time::Duration};

use proptest::prelude::*;

use super::*;
use crate::catalog::{
    check::{CheckKind, CheckStatus},
    node::Address,
    service::Weights,
};

fn owner() -> Owner {
    Owner { node: NodeName::new("n1").unwrap(), origin: Origin::Api }
}

fn read(text: &str) -> Result<Decoded<Registration>, DefinitionError> {
    service(&json::parse(text.as_bytes()).unwrap(), "", &owner())
}

#[track_caller]
fn accepted(text: &str) -> Registration {
    read(text).unwrap().value
}

#[track_caller]
fn refused(text: &str, message: &str) {
    assert_eq!(read(text).unwrap_err().to_string(), message);
}

/// Registers `web` with these further members.
#[track_caller]
fn refused_with(members: &str, message: &str) {
    refused(&format!(r#"{{"Name": "web", {members}}}"#), message);
}

#[track_caller]
fn check_of(members: &str) -> Check {
    accepted(&format!(r#"{{"Name": "web", "Check": {{{members}}}}}"#)).checks.remove(0)
}

#[test]
fn a_name_is_enough() {
    let registration = accepted(r#"{"Name": "web"}"#);
    let instance = registration.instance;
    assert_eq!((instance.id.as_str(), instance.service.as_str()), ("web", "web"));
    assert_eq!((instance.address, instance.ports.len(), instance.weights), (None, 0, Weights::default()));
    assert!(registration.checks.is_empty());
}

#[test]
fn keys_are_read_in_any_case_and_with_underscores() {
    let instance = accepted(
        r#"{"name": "web", "id": "w1", "enabletagoverride": true, "tagged_addresses":
            {"lan": {"address": "192.0.2.7", "port": 81}}, "tags": ["a", "b", "a"], "PORT": 80}"#,
    )
    .instance;
    assert!(instance.enable_tag_override);
    assert_eq!(instance.tagged_address("lan").map(|tagged| tagged.port), Some(81));
    assert_eq!(instance.tags.iter().map(|tag| tag.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(instance.default_port().map(|port| port.number), Some(80));
    let check = check_of(r#""ttl": "30s", "deregister_critical_service_after": "90m""#);
    assert_eq!(check.definition.deregister_critical_service_after, Some(Duration::from_secs(5400)));
    assert_eq!(check.definition.timeout, Duration::ZERO, "nothing is probed");
}

#[test]
fn what_go_clients_send_for_nothing_is_nothing() {
    let registration = accepted(
        r#"{"Kind": "", "ID": "", "Name": "web", "Tags": null, "Port": 0, "Address": "", "Check": null,
            "Checks": [{}, {"Interval": "", "Notes": ""}], "Meta": null, "Weights": null, "Proxy": null,
            "Connect": {"Native": false}, "Locality": {"Region": "r"}, "Namespace": "default", "Partition": ""}"#,
    );
    assert!(registration.checks.is_empty());
    assert!(registration.instance.ports.is_empty());
}

#[test]
fn an_unknown_field_is_named_with_the_nearest_known_one() {
    refused_with(r#""Prot": 80"#, "Prot: unknown field; did you mean Port?");
    refused_with(
        r#""Check": {"TTL": "1s", "Intervall": "1s"}"#,
        "Check.Intervall: unknown field; did you mean Interval?",
    );
    refused_with(r#""Qqqqqqqqqqqqqqqqqqqqqq": 80"#, "Qqqqqqqqqqqqqqqqqqqqqq: unknown field");
}

#[test]
fn a_field_is_named_without_control_characters() {
    refused_with(r#""\u001b[2J\n": 1"#, r"\u{1b}[2J\n: unknown field");
    refused_with(r#""Meta": {"\r": "x"}"#, r"Meta.\r: a key must be 1 to 128 of the characters A-Z a-z 0-9 - _");
}

#[test]
fn a_wrong_type_names_the_field_and_what_was_expected() {
    refused("[]", "expected an object, not a list");
    refused("{}", "Name: must be given");
    refused(r#"{"Name": ""}"#, "Name: must be given");
    refused(r#"{"Name": 7}"#, "Name: expected a text, not 7");
    refused(r#"{"Name": "a", "name": "b"}"#, "name: is given twice");
    assert_eq!(accepted(r#"{"Name": "web", "Port": 80.0}"#).instance.default_port().map(|port| port.number), Some(80));
    refused_with(r#""Port": 80.5"#, "Port: expected a number from 0 to 65535, not 80.5");
    refused_with(r#""Port": 1e9"#, "Port: expected a number from 0 to 65535, not 1000000000");
    refused_with(r#""Port": "80""#, "Port: expected a number from 0 to 65535, not \"80\"");
    refused_with(r#""Port": 65536"#, "Port: expected a number from 0 to 65535, not 65536");
    refused_with(r#""Port": -1"#, "Port: expected a number from 0 to 65535, not -1");
    refused_with(r#""Tags": "a""#, "Tags: expected a list, not \"a\"");
    refused_with(r#""Tags": [1]"#, "Tags[0]: expected a text, not 1");
    refused_with(r#""Meta": {"a": 1}"#, "Meta.a: expected a text, not 1");
    refused_with(r#""Weights": {"Passing": 0}"#, "Weights.Passing: expected a number from 1 to 65535, not 0");
    refused_with(
        r#""Checks": [{"TTL": "1s"}, {"HTTP": "http://192.0.2.1/", "Interval": "ten"}]"#,
        "Checks[1].Interval: expected a duration such as \"10s\", not \"ten\"",
    );
    refused_with(r#""Namespace": "other""#, "Namespace: expected \"default\", the only one there is, not \"other\"");
}

#[test]
fn an_error_knows_its_line() {
    let error = read("{\n\"Name\": \"web\",\n\"Check\": {\n\"TTL\": true\n}}").unwrap_err();
    assert_eq!((error.line, error.path.as_str()), (4, "Check.TTL"));
}

#[test]
fn an_address_that_nobody_can_connect_to_is_refused() {
    for address in ["0.0.0.0", "::", "[::]"] {
        let error = read(&format!(r#"{{"Name": "web", "Address": "{address}"}}"#)).unwrap_err().to_string();
        assert!(error.starts_with("Address: must not be the unspecified address"), "{error}");
    }
    let instance = accepted(r#"{"Name": "web", "Address": "db.example"}"#).instance;
    assert_eq!(instance.address, Some(Address::Host(Arc::from("db.example"))));
}

#[test]
fn tagged_addresses_are_of_the_family_that_their_role_names() {
    refused_with(
        r#""TaggedAddresses": {"lan_ipv4": {"Address": "2001:db8::1"}}"#,
        "TaggedAddresses.lan_ipv4.Address: expected an IPv4 address, not \"2001:db8::1\"",
    );
    refused_with(r#""TaggedAddresses": {"wan": {"Port": 80}}"#, "TaggedAddresses.wan.Address: must be given");
}

#[test]
fn meta_keeps_to_consuls_limits() {
    refused_with(r#""Meta": {"a b": ""}"#, "Meta.a b: a key must be 1 to 128 of the characters A-Z a-z 0-9 - _");
    refused_with(r#""Meta": {"consul-x": ""}"#, "Meta.consul-x: keys that begin with consul- are reserved");
    let long = "v".repeat(513);
    refused_with(&format!(r#""Meta": {{"a": "{long}"}}"#), "Meta.a: must be at most 512 bytes, not 513");
    let many: Vec<String> = (0..65).map(|at| format!(r#""k{at}": """#)).collect();
    refused_with(&format!(r#""Meta": {{{}}}"#, many.join(",")), "Meta: must have at most 64 pairs, not 65");
}

#[test]
fn meta_that_dns_ignores_is_noticed() {
    let decoded = read(r#"{"Name": "web", "Meta": {"dns-ttl": "soon", "dns-priority": "2"}}"#).unwrap();
    assert_eq!(decoded.notices, ["Meta.dns-ttl: ignored, because it is not a number from 0 to 86400"]);
}

#[test]
fn several_ports_have_names_and_one_default() {
    let two = r#""Ports": [{"Name": "http", "Port": 80}, {"Name": "admin", "Port": 81}]"#;
    let instance = accepted(&format!(r#"{{"Name": "web", {two}}}"#)).instance;
    assert_eq!(instance.default_port().map(|port| port.number), Some(80));
    let instance = accepted(&format!(r#"{{"Name": "web", "Port": 81, {two}}}"#)).instance;
    assert_eq!((instance.ports.len(), instance.default_port().map(|port| port.number)), (2, Some(81)));
    let instance = accepted(&format!(r#"{{"Name": "web", "Port": 90, {two}}}"#)).instance;
    assert_eq!((instance.ports.len(), instance.default_port().map(|port| port.number)), (3, Some(90)));
    refused_with(
        r#""Ports": [{"Name": "a", "Port": 80}, {"Name": "A", "Port": 81}]"#,
        "Ports[1].Name: another port has this name",
    );
    refused_with(
        r#""Ports": [{"Name": "a", "Port": 80, "Default": true}, {"Name": "b", "Port": 81, "Default": true}]"#,
        "Ports[1].Default: another port is the default one",
    );
    refused_with(r#""Ports": [{"Name": "a", "Port": 0}]"#, "Ports[0].Port: expected a number from 1 to 65535, not 0");
    refused_with(r#""Ports": [{"Port": 1}]"#, "Ports[0].Name: must be given");
    refused_with(
        r#""Port": 1, "Ports": [{"Name": "a", "Port": 80, "Default": true}]"#,
        "Port: must be 80, the number of the default port in Ports",
    );
}

#[test]
fn checks_are_called_after_their_service() {
    let ids = |text: &str| accepted(text).checks.iter().map(|check| check.id.to_string()).collect::<Vec<_>>();
    assert_eq!(ids(r#"{"Name": "web", "ID": "w1", "Check": {"TTL": "1s"}}"#), ["service:w1"]);
    assert_eq!(
        ids(
            r#"{"Name": "web", "ID": "w1", "Check": {"TTL": "1s"}, "Checks": [{"TTL": "2s"}, {"TTL": "3s", "CheckID": "x"}]}"#
        ),
        ["service:w1:1", "service:w1:2", "x"]
    );
    let check = check_of(r#""TTL": 1500000000"#);
    assert_eq!(&*check.name, "Service 'web' check");
    assert_eq!(check.definition.kind, CheckKind::Deadline(Duration::from_millis(1500)));
    refused_with(
        r#""Checks": [{"TTL": "1s", "CheckID": "x"}, {"TTL": "1s", "CheckID": "x"}]"#,
        "Checks[1]: another check has the ID \"x\"",
    );
}

#[test]
fn a_check_is_critical_until_it_passes_unless_it_says_else() {
    assert_eq!(check_of(r#""TTL": "1s""#).status, CheckStatus::Critical);
    assert_eq!(check_of(r#""TTL": "1s", "Status": "passing""#).status, CheckStatus::Passing);
    refused_with(
        r#""Check": {"TTL": "1s", "Status": "up"}"#,
        "Check.Status: expected \"passing\", \"warning\" or \"critical\", not \"up\"",
    );
}

#[test]
fn an_http_check_has_all_its_parts() {
    let check = check_of(
        r#""HTTP": "https://192.0.2.1:8443/health", "Method": "post", "Header": {"X-A": ["1", "2"]}, "Body": "x",
           "DisableRedirects": true, "TLSSkipVerify": true, "TLSServerName": "web.example", "Interval": "10s",
           "Timeout": "2s", "SuccessBeforePassing": 2, "FailuresBeforeWarning": 1, "FailuresBeforeCritical": 3"#,
    );
    let CheckKind::Http(http) = &check.definition.kind else { panic!("an HTTP check was given") };
    assert_eq!(check.target, "https://192.0.2.1:8443/health");
    assert_eq!((&*http.method, http.headers.len(), &*http.body), ("POST", 2, "x"));
    assert!(http.disable_redirects && http.tls_skip_verify);
    assert_eq!(http.tls_server_name.as_deref(), Some("web.example"));
    let definition = &check.definition;
    assert_eq!((definition.interval, definition.timeout), (Duration::from_secs(10), Duration::from_secs(2)));
    assert_eq!((definition.failures_before_warning, definition.failures_before_critical), (1, 3));
}

#[test]
fn targets_of_checks_are_looked_at() {
    for url in ["", "192.0.2.1", "ftp://192.0.2.1/", "http://", "http:///x", "http://a b/", "é"] {
        let text = format!(r#"{{"Name": "web", "Check": {{"HTTP": "{url}", "Interval": "1s"}}}}"#);
        assert!(read(&text).unwrap_err().path.starts_with("Check.HTTP"), "{url}");
    }
    for target in ["192.0.2.1", "192.0.2.1:0", "2001:db8::1:80", ":80", "192.0.2.1:http"] {
        let text = format!(r#"{{"Name": "web", "Check": {{"TCP": "{target}", "Interval": "1s"}}}}"#);
        assert_eq!(read(&text).unwrap_err().path, "Check.TCP", "{target}");
    }
    for target in ["192.0.2.1:80", "[2001:db8::1]:80", "db.example:5432"] {
        let check = check_of(&format!(r#""TCP": "{target}", "Interval": "1s""#));
        assert!(matches!(check.definition.kind, CheckKind::Tcp(_)) && check.target == target);
    }
}

#[test]
fn a_check_is_of_one_kind_with_what_it_needs() {
    refused_with(
        r#""Check": {"Name": "x"}"#,
        "Check.HTTP: one of TTL, HTTP, TCP, UDP, GRPC, H2PING, Redis, MySQL, Postgres, AMQP, ICMP, DNS, DockerContainerID, \
         ScriptArgs, OSService, AliasService and AliasNode must be given",
    );
    refused_with(
        r#""Check": {"TTL": "1s", "Interval": "1s"}"#,
        "Check.Interval: Interval and TTL cannot both be given",
    );
    refused_with(
        r#""Check": {"TCP": "192.0.2.1:80"}"#,
        "Check.Interval: must be given, such as \"10s\": the time between two probes",
    );
    refused_with(
        r#""Check": {"TCP": "192.0.2.1:80", "HTTP": "http://192.0.2.1/", "Interval": "1s"}"#,
        "Check.TCP: cannot be given together with HTTP",
    );
    refused_with(
        r#""Check": {"TTL": "1s", "FailuresBeforeWarning": 3, "FailuresBeforeCritical": 2}"#,
        "Check.FailuresBeforeWarning: must not be above FailuresBeforeCritical, which is 2",
    );
}

#[test]
fn spans_below_the_least_are_raised_with_a_notice() {
    let decoded = read(
        r#"{"Name": "web", "Check": {"TCP": "192.0.2.1:80", "Interval": "100ms", "DeregisterCriticalServiceAfter": "5s"}}"#,
    )
    .unwrap();
    let definition = &decoded.value.checks[0].definition;
    assert_eq!(definition.interval, Duration::from_secs(1));
    assert_eq!(definition.deregister_critical_service_after, Some(Duration::from_secs(60)));
    assert_eq!(decoded.notices.len(), 2);
    assert!(decoded.notices.contains(&"Check.Interval: raised from 100ms to 1s".to_owned()));
}

#[test]
fn a_check_by_itself_has_a_name_and_perhaps_a_service() {
    let alone = |text: &str| check(&json::parse(text.as_bytes()).unwrap(), "", &owner()).map(|decoded| decoded.value);
    let disk = alone(r#"{"Name": "disk", "TTL": "1m"}"#).unwrap();
    assert_eq!((disk.id.as_str(), disk.service_id), ("disk", None));
    let web = alone(r#"{"ID": "c1", "Name": "alive", "ServiceID": "w1", "TTL": "1m"}"#).unwrap();
    assert_eq!((web.id.as_str(), web.service_id.as_ref().map(|id| id.as_str())), ("c1", Some("w1")));
    assert_eq!(alone(r#"{"TTL": "1m"}"#).unwrap_err().to_string(), "Name: must be given");
}

#[test]
fn lists_have_limits() {
    let many = |item: &str, count: usize| vec![item; count].join(",");
    refused_with(&format!(r#""Tags": [{}]"#, many("\"a\"", 1025)), "Tags: must have at most 1024 items, not 1025");
    refused_with(&format!(r#""Checks": [{}]"#, many("{}", 129)), "Checks: must have at most 128 items, not 129");
    refused_with(&format!(r#""Ports": [{}]"#, many("{}", 257)), "Ports: must have at most 256 items, not 257");
}

/// Some JSON under names that are known.
fn some_json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        any::<i64>().prop_map(|number| number.to_string()),
        any::<u32>().prop_map(|number| format!("{number}e9")),
        "[a-z0-9:./ ]{0,12}".prop_map(|text| format!("\"{text}\"")),
        prop_oneof![Just("\"10s\""), Just("\"192.0.2.1:80\""), Just("\"http://192.0.2.1/\"")].prop_map(str::to_owned),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        let name = prop_oneof![
            Just("name"),
            Just("ID"),
            Just("Check"),
            Just("checks"),
            Just("TTL"),
            Just("HTTP"),
            Just("Interval"),
            Just("tcp"),
            Just("GRPC"),
            Just("ScriptArgs"),
            Just("DockerContainerID"),
            Just("AliasService"),
            Just("OSService"),
            Just("DNS"),
            Just("Server"),
            Just("Rise"),
            Just("OutputMaxSize"),
            Just("Ports"),
            Just("Port"),
            Just("Meta"),
            Just("Weights"),
            Just("Passing"),
            Just("Tags"),
            Just("TaggedAddresses"),
            Just("Address"),
            Just("Header"),
            Just("FailuresBeforeWarning"),
            Just("Timeout"),
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::vec((name, inner), 0..6).prop_map(|members| {
                let members: Vec<_> = members.iter().map(|(name, value)| format!("\"{name}\": {value}")).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

proptest! {
    #[test]
    fn whatever_is_written_is_read_or_refused(text in some_json()) {
        let tree = json::parse(text.as_bytes()).unwrap();
        if let Ok(decoded) = service(&tree, "", &owner()) {
            prop_assert!(decoded.value.checks.iter().all(|check| check.definition.interval <= Duration::from_secs(3_162_240_000)));
        }
        let _ = (check(&tree, "", &owner()), file(&tree, &owner()), status_update(&tree));
    }

    #[test]
    fn any_bytes_are_json_or_not(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let ours = json::parse(&bytes).is_ok();
        prop_assert_eq!(ours, serde_json::from_slice::<serde_json::Value>(&bytes).is_ok());
    }
}
