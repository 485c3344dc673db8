use super::*;
use crate::catalog::{
    change::Change,
    check::{CheckKind, CheckStatus},
    transaction::{Action, Subject},
};

fn read(text: &str) -> Result<Vec<Operation>, DefinitionError> {
    let owner = Owner { node: NodeName::new("n1").unwrap(), origin: Origin::Api };
    let tree = json::parse(text.as_bytes()).unwrap();
    root(&tree, "").items()?.iter().map(|item| operation(item, &owner, &mut Vec::new())).collect()
}

#[track_caller]
fn refused(operation: &str, message: &str) {
    assert_eq!(read(&format!("[{operation}]")).unwrap_err().to_string(), message);
}

/// The changes and the expected index of an operation that sets something.
#[track_caller]
fn set(operation: &str) -> (Vec<Change>, Option<u64>) {
    match read(&format!("[{operation}]")).unwrap().remove(0).action {
        Action::Set { changes, expected } => (changes, expected),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn check(members: &str) -> (Check, Option<CheckResult>) {
    let (changes, _) = set(&format!(r#"{{"Check": {{"Verb": "set", "Check": {{{members}}}}}}}"#));
    let mut changes = changes.into_iter();
    let Some(Change::RegisterCheck(check)) = changes.next() else { panic!("a check is registered first") };
    let result = changes.next().map(|change| match change {
        Change::SetStatus { key, result } if key == check.key() => result,
        other => panic!("{other:?}"),
    });
    (*check, result)
}

#[test]
fn a_node_is_read_as_gos_client_writes_it() {
    let (changes, expected) = set(
        r#"{"KV": null, "Node": {"Verb": "set", "Node": {"ID": "6E9C1A4E-0000-4000-8000-000000000001", "Node": "n2",
            "Address": "192.0.2.2", "Datacenter": "", "TaggedAddresses": {"lan_ipv6": "2001:db8::2"},
            "Meta": {"consul-network-segment": ""}, "CreateIndex": 0, "ModifyIndex": 0}}, "Service": null, "Check": null}"#,
    );
    let [Change::RegisterNode(node)] = &changes[..] else { panic!("{changes:?}") };
    assert_eq!((node.name.as_str(), &*node.uuid), ("n2", "6e9c1a4e-0000-4000-8000-000000000001"));
    assert_eq!((node.tagged_addresses.len(), node.meta.len(), expected), (1, 1, None));
}

#[test]
fn a_service_is_read_as_gos_client_writes_it() {
    let (changes, expected) =
        set(r#"{"Service": {"Verb": "cas", "Node": "n2", "Service": {"Kind": "", "ID": "web-1", "Service": "web",
            "Tags": ["blue"], "Meta": null, "Port": 80, "Address": "", "Weights": {"Passing": 0, "Warning": 0},
            "EnableTagOverride": false, "CreateIndex": 7, "ModifyIndex": 12, "Proxy": null, "Connect": {}}}}"#);
    let [Change::Register(registration)] = &changes[..] else { panic!("{changes:?}") };
    let instance = &registration.instance;
    assert_eq!((instance.node.as_str(), instance.id.as_str(), instance.service.as_str()), ("n2", "web-1", "web"));
    assert_eq!((instance.weights.passing, &instance.address, expected), (1, &None, Some(12)));
}

#[test]
fn what_has_no_node_is_on_our_own() {
    let all = r#"[{"Service": {"Verb": "get", "Service": {"ID": "web"}}}, {"Check": {"Verb": "get", "Check": {"CheckID": "c"}}}]"#;
    for operation in read(all).unwrap() {
        match operation.subject {
            Subject::Instance(key) => assert_eq!((key.node.as_str(), key.id.as_str()), ("n1", "web")),
            Subject::Check(key) => assert_eq!((key.node.as_str(), key.id.as_str()), ("n1", "c")),
            Subject::Node(name) => panic!("{name}"),
        }
    }
}

#[test]
fn a_status_that_is_given_holds_and_another_is_kept() {
    let (new, result) = check(r#""Name": "disk", "Output": "new""#);
    assert_eq!(
        (new.id.as_str(), new.status, &*new.shown_output(), result),
        ("disk", CheckStatus::Critical, "new", None)
    );
    let (_, result) = check(r#""CheckID": "disk", "Status": "passing", "Output": "fine""#);
    assert_eq!(result, Some(CheckResult { status: CheckStatus::Passing, output: "fine".into() }));
}

#[test]
fn without_something_to_probe_the_status_is_set_from_outside() {
    let kind = |members: &str| check(members).0.definition.kind.clone();
    assert_eq!(kind(r#""Name": "disk""#), CheckKind::External);
    let zeros = r#""Name": "disk", "Definition": {"HTTP": "", "Interval": "0s", "Timeout": "0s", "Header": null}"#;
    assert_eq!(kind(zeros), CheckKind::External);
    assert_eq!(kind(r#""Name": "disk", "Definition": {"Redis": "192.0.2.1:6379"}"#), CheckKind::Redis);
    let deadline = r#""Name": "disk", "Definition": {"TTL": "10s"}"#;
    assert_eq!(kind(deadline), CheckKind::Deadline(std::time::Duration::from_secs(10)));
}

#[test]
fn a_check_with_the_id_of_maintenance_is_maintenance() {
    let (of_service, _) =
        check(r#""CheckID": "_service_maintenance:web", "ServiceID": "web", "Status": "passing", "Notes": "disk""#);
    assert!(of_service.is_maintenance() && of_service.status == CheckStatus::Critical && &*of_service.notes == "disk");
    assert!(check(r#""CheckID": "_node_maintenance""#).0.is_maintenance());
    assert!(!check(r#""CheckID": "_service_maintenance:web", "ServiceID": "db""#).0.is_maintenance());
}

#[test]
fn what_is_wrong_is_named_by_its_operation_and_field() {
    refused("{}", "[0]: must have one of KV, Node, Service and Check");
    refused(r#"{"Node": {}, "Check": {}}"#, "[0]: must have one of KV, Node, Service and Check");
    let kinds = "Session operations are not offered; KV, Node, Service and Check operations are";
    refused(r#"{"Session": {"Verb": "delete"}}"#, &format!("[0].Session: {kinds}"));
    let verbs = "expected \"get\", \"set\", \"cas\", \"delete\" or \"delete-cas\", not \"lock\"";
    refused(r#"{"Node": {"Verb": "lock", "Node": {"Node": "n2"}}}"#, &format!("[0].Node.Verb: {verbs}"));
    refused(r#"{"Node": {"Verb": "set", "Node": {"Node": "n2"}}}"#, "[0].Node.Node.Address: must be given");
    refused(r#"{"Node": {"Verb": "get", "Node": {}}}"#, "[0].Node.Node.Node: must be given");
    refused(
        r#"{"Node": {"Verb": "set", "Node": {"ID": "x", "Node": "n2", "Address": "192.0.2.2"}}}"#,
        "[0].Node.Node.ID: expected a UUID such as \"6e9c1a4e-0000-4000-8000-000000000001\", not \"x\"",
    );
    refused(
        r#"{"Service": {"Verb": "set", "Service": {"Service": "web", "Prot": 80}}}"#,
        "[0].Service.Service.Prot: unknown field; did you mean Port?",
    );
    refused(
        r#"{"Check": {"Verb": "cas", "Check": {"Name": "c", "ModifyIndex": -1}}}"#,
        "[0].Check.Check.ModifyIndex: expected an index, not -1",
    );
    refused(
        r#"{"Check": {"Verb": "set", "Check": {"Name": "c", "Definition": {"GRPC": "192.0.2.1"}}}}"#,
        "[0].Check.Check.Definition.GRPC: expected host:port (an IPv6 address in brackets), not \"192.0.2.1\"",
    );
}
