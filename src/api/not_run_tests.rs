use std::{sync::Arc, time::Duration};

use serde_json::json;

use super::harness::start;
use crate::catalog::{
    change::{Change, Origin, Registration},
    check::{Check, CheckDefinition, CheckKind, CheckStatus, ClientTls, NOT_RUN, ScriptCheck},
    definition::{self, Owner},
    names::{CheckId, NodeName},
};

/// `web` with these checks of it, as a source registers it.
fn web(kinds: Vec<(&str, CheckKind)>) -> Change {
    let owner = Owner { node: NodeName::new("n1").unwrap(), origin: Origin::Docker };
    let tree = definition::json::parse(br#"{"Name": "web"}"#).unwrap();
    let Registration { instance, .. } = definition::service(&tree, "", &owner).unwrap().value;
    let check = |(id, kind): (&str, CheckKind)| Check {
        node: owner.node.clone(),
        id: CheckId::new(id).unwrap(),
        service_id: Some(instance.id.clone()),
        name: "check".into(),
        notes: "".into(),
        status: CheckStatus::Passing,
        output: "".into(),
        target: if id == "grpc" { "192.0.2.7:80/web".into() } else { "".into() },
        definition: Arc::new(CheckDefinition {
            interval: Duration::from_secs(10),
            timeout: Duration::from_secs(5),
            ..CheckDefinition::unprobed(kind)
        }),
        origin: Origin::Docker,
    };
    let checks = kinds.into_iter().map(check).collect();
    Change::Register(Box::new(Registration { instance, checks, replace_existing_checks: false }))
}

#[tokio::test]
async fn a_check_that_is_not_run_is_shown_as_that_and_hides_nobody() {
    let server = start().await;
    let grpc = CheckKind::Grpc(ClientTls { use_tls: true, ..ClientTls::default() });
    let script = CheckKind::Script(ScriptCheck { args: Box::new([Arc::from("probe"), Arc::from("-x")]) });
    server.submit(web(vec![("grpc", grpc), ("script", script)])).await;
    let health = server.get("/v1/health/service/web?passing").await.json();
    let checks = health[0]["Checks"].as_array().unwrap();
    let shown = |kind: &str| checks.iter().find(|check| check["Type"] == kind).map(|check| check["Output"].clone());
    assert_eq!((shown("grpc"), shown("script")), (Some(json!(NOT_RUN)), Some(json!(NOT_RUN))));
    assert!(NOT_RUN.starts_with("not run"), "which is what the pages promise");
    let definition = |id: &str| format!(r#"[{{"Check": {{"Verb": "get", "Check": {{"CheckID": "{id}"}}}}}}]"#);
    let grpc = server.put("/v1/txn", &definition("grpc")).await.json();
    assert_eq!(
        grpc["Results"][0]["Check"]["Definition"],
        json!({"GRPC": "192.0.2.7:80/web", "GRPCUseTLS": true, "Interval": "10s", "Timeout": "5s"})
    );
    let script = server.put("/v1/txn", &definition("script")).await.json();
    assert_eq!(script["Results"][0]["Check"]["Definition"]["ScriptArgs"], json!(["probe", "-x"]));
}
