use std::time::Duration;

use super::*;
use crate::{
    catalog::{change::Change, check::CheckDefinition, names::ServiceId, node::Node},
    health::testing::{Catalog, check_of, definition, key},
    observe::exposition::Exposition,
};

const SECOND: Duration = Duration::from_secs(1);

fn alias(id: &str, (node, service_id): (Option<&str>, Option<&str>)) -> Check {
    let node = node.map(|name| NodeName::new(name).unwrap());
    let service_id = service_id.map(|id| ServiceId::new(id).unwrap());
    let kind = CheckKind::Alias(Box::new(AliasCheck { node, service_id }));
    Check { service_id: None, ..check_of(id, (String::new(), definition(kind, Duration::ZERO, SECOND))) }
}

fn set_from_outside(id: &str) -> Check {
    check_of(id, (String::new(), CheckDefinition::unprobed(CheckKind::External)))
}

fn follow_all(catalog: &Catalog, checks: &[Check]) -> Vec<Following> {
    checks.iter().map(|check| follow(check, || means(catalog)).unwrap()).collect()
}

fn means(catalog: &Catalog) -> Means {
    let (published, feed) = (Arc::clone(&catalog.published), catalog.feed.clone());
    Means { published, feed, metrics: Arc::new(Metrics::new()) }
}

async fn set(catalog: &Catalog, id: &str, status: CheckStatus) {
    catalog.feed.report(key(id), CheckResult { status, output: "said".into() });
    catalog.until("it is set", |catalog| catalog.status(id).is_some_and(|(now, _)| now == status)).await;
}

async fn is(catalog: &Catalog, id: &str, status: CheckStatus, output: &str) {
    let expected = Some((status, output.to_owned()));
    catalog.until(&format!("{id} is {expected:?}"), |catalog| catalog.status(id) == expected).await;
}

#[tokio::test]
async fn an_instance_is_followed_with_its_node() {
    let catalog = Catalog::start().await;
    catalog.register("n1", vec![set_from_outside("own")]).await;
    let check = alias("alias", (None, Some("web-1")));
    catalog.submit(Change::RegisterCheck(Box::new(check.clone()))).await;
    let _following = follow_all(&catalog, &[check]);
    is(&catalog, "alias", CheckStatus::Critical, "Aliased check \"own\" failing: ").await;
    set(&catalog, "own", CheckStatus::Passing).await;
    is(&catalog, "alias", CheckStatus::Passing, "All checks passing.").await;
    set(&catalog, "own", CheckStatus::Warning).await;
    is(&catalog, "alias", CheckStatus::Warning, "Aliased check \"own\" failing: said").await;
    let of_node = Check { service_id: None, ..set_from_outside("disk") };
    catalog.submit(Change::RegisterCheck(Box::new(of_node))).await;
    is(&catalog, "alias", CheckStatus::Critical, "Aliased check \"disk\" failing: ").await;
}

#[tokio::test]
async fn what_is_not_there_is_critical_until_it_comes() {
    let catalog = Catalog::start().await;
    let checks = [alias("service", (None, Some("db-1"))), alias("node", (Some("n2"), None))];
    for check in &checks {
        catalog.submit(Change::RegisterCheck(Box::new(check.clone()))).await;
    }
    let _following = follow_all(&catalog, &checks);
    is(&catalog, "service", CheckStatus::Critical, "Service db-1 could not be found on node n1").await;
    is(&catalog, "node", CheckStatus::Critical, "Node n2 could not be found").await;
    catalog.submit(Change::RegisterNode(Node::example("n2"))).await;
    is(&catalog, "node", CheckStatus::Passing, "No checks found.").await;
}

#[tokio::test]
async fn a_ring_of_aliases_does_not_hold_itself_up() {
    let catalog = Catalog::start().await;
    let own = Check { service_id: Some(ServiceId::new("web-1").unwrap()), ..alias("self", (None, Some("web-1"))) };
    catalog.register("n1", vec![own.clone()]).await;
    let _following = follow_all(&catalog, &[own]);
    is(&catalog, "self", CheckStatus::Passing, "No checks found.").await;
}

#[tokio::test]
async fn nothing_is_reported_once_it_is_dropped() {
    let catalog = Catalog::start().await;
    catalog.register("n1", vec![set_from_outside("own")]).await;
    let checks = [alias("dropped", (None, Some("web-1"))), alias("kept", (None, Some("web-1")))];
    for check in &checks {
        catalog.submit(Change::RegisterCheck(Box::new(check.clone()))).await;
    }
    let mut following = follow_all(&catalog, &checks);
    let critical = "Aliased check \"own\" failing: ";
    is(&catalog, "dropped", CheckStatus::Critical, critical).await;
    drop(following.remove(0));
    set(&catalog, "own", CheckStatus::Passing).await;
    is(&catalog, "kept", CheckStatus::Passing, "All checks passing.").await;
    is(&catalog, "dropped", CheckStatus::Critical, critical).await;
}

#[tokio::test]
async fn the_scheduler_follows_what_is_registered() {
    let catalog = Catalog::start().await;
    let settings = crate::health::tests::settings(0);
    let metrics = Arc::clone(&settings.metrics);
    let _health = crate::health::tests::start(&catalog, settings);
    catalog.register("n1", vec![set_from_outside("own")]).await;
    set(&catalog, "own", CheckStatus::Passing).await;
    catalog.submit(Change::RegisterCheck(Box::new(alias("alias", (None, Some("web-1")))))).await;
    is(&catalog, "alias", CheckStatus::Passing, "All checks passing.").await;
    set(&catalog, "own", CheckStatus::Critical).await;
    is(&catalog, "alias", CheckStatus::Critical, "Aliased check \"own\" failing: said").await;
    let counted = metrics.encode(Exposition::Text);
    for status in ["passing", "critical"] {
        let row = format!("nameplate_checks_total{{kind=\"alias\",status=\"{status}\"}} 1\n");
        assert!(counted.contains(&row), "{row} is not in {counted}");
    }
}
