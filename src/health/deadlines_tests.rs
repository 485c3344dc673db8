use super::*;
use crate::{
    catalog::{
        change::Change,
        check::{Check, CheckDefinition},
    },
    health::testing::{Catalog, check_of, http_check, key},
};

const SECOND: Duration = Duration::from_secs(1);

fn check(id: &str, kind: CheckKind) -> Check {
    check_of(id, (String::new(), CheckDefinition::unprobed(kind)))
}

/// A catalog with the check `beat`, which must be renewed every 10 s and passes, and its deadlines.
async fn started() -> (Catalog, Deadlines, Instant) {
    let catalog = Catalog::start().await;
    let beat = Check { status: CheckStatus::Passing, ..check("beat", CheckKind::Deadline(SECOND * 10)) };
    catalog.register("n1", vec![beat]).await;
    let (deadlines, start) = (Deadlines::new(Arc::clone(&catalog.published)), Instant::now());
    deadlines.watch(&key("beat"), (created(&catalog), SECOND * 10), start);
    (catalog, deadlines, start)
}

fn created(catalog: &Catalog) -> u64 {
    catalog.published.load().catalog.check(&key("beat")).unwrap().create_index
}

fn outputs(expired: Vec<(CheckKey, CheckResult)>) -> Vec<String> {
    expired.into_iter().map(|(_, result)| result.output.shown("").into_owned()).collect()
}

#[tokio::test]
async fn a_heartbeat_of_equal_status_moves_the_deadline_only() {
    let (catalog, deadlines, start) = started().await;
    let index = catalog.published.load().index();
    for second in [5, 10, 15] {
        let heartbeat = deadlines.heartbeat_at(&key("beat"), CheckStatus::Passing, "fine", start + SECOND * second);
        assert_eq!(heartbeat, Heartbeat::Renewed);
    }
    assert_eq!(deadlines.next(), Some(start + SECOND * 25));
    assert_eq!(outputs(deadlines.expire(start + SECOND * 24)), [""; 0]);
    assert_eq!(catalog.published.load().index(), index);
}

#[tokio::test]
async fn the_newest_output_is_that_of_the_newest_heartbeat_until_its_deadline_passes() {
    let (_catalog, deadlines, start) = started().await;
    let newest = |status| deadlines.newest_output(&key("beat"), status).map(|output| output.to_string());
    let (passing, critical) = (CheckStatus::Passing, CheckStatus::Critical);
    assert_eq!(newest(passing), None);
    for said in ["fine", "finer", ""] {
        deadlines.heartbeat_at(&key("beat"), passing, said, start);
        assert_eq!((newest(passing), newest(critical)), (Some(said.to_owned()), None));
    }
    deadlines.expire(start + SECOND * 10);
    assert_eq!((newest(passing), newest(critical)), (None, None), "what is published says more");
    deadlines.heartbeat_at(&key("beat"), critical, "still down", start + SECOND * 11);
    assert_eq!(newest(critical).as_deref(), Some("still down"));
}

#[tokio::test]
async fn a_heartbeat_of_another_status_is_to_be_submitted() {
    let (_catalog, deadlines, start) = started().await;
    let changed = |status, output: &str| Heartbeat::Changed(CheckResult { status, output: output.into() });
    let heartbeat = |status, output: &str| deadlines.heartbeat_at(&key("beat"), status, output, start);
    assert_eq!(heartbeat(CheckStatus::Warning, "full"), changed(CheckStatus::Warning, "full"));
    // Also back, though the first is not published yet.
    assert_eq!(heartbeat(CheckStatus::Passing, "fine"), changed(CheckStatus::Passing, "fine"));
    assert_eq!(heartbeat(CheckStatus::Passing, "fine"), Heartbeat::Renewed);
}

#[tokio::test]
async fn a_deadline_that_passes_is_critical_once_and_says_what_came_last() {
    let (_catalog, deadlines, start) = started().await;
    assert_eq!(outputs(deadlines.expire(start + SECOND * 10)), ["TTL expired"]);
    assert_eq!(outputs(deadlines.expire(start + SECOND * 100)), [""; 0]);
    let heartbeat = deadlines.heartbeat_at(&key("beat"), CheckStatus::Passing, "fine", start + SECOND * 100);
    assert!(matches!(heartbeat, Heartbeat::Changed(_)), "{heartbeat:?}");
    let outputs = outputs(deadlines.expire(start + SECOND * 110));
    assert_eq!(outputs, ["TTL expired (last output before timeout follows): fine"]);
}

#[tokio::test]
async fn a_check_registered_this_moment_takes_heartbeats() {
    let (catalog, deadlines, start) = started().await;
    catalog.register("n1", vec![check("new", CheckKind::Deadline(SECOND))]).await;
    let heartbeat = deadlines.heartbeat_at(&key("new"), CheckStatus::Critical, "", start);
    assert_eq!(heartbeat, Heartbeat::Renewed);
    assert_eq!(deadlines.next(), Some(start + SECOND));
}

#[tokio::test]
async fn a_check_that_is_gone_has_no_deadline() {
    let (catalog, deadlines, start) = started().await;
    let origin = crate::catalog::change::Origin::Api;
    catalog.submit(Change::DeregisterCheck { key: key("beat"), origin }).await;
    assert_eq!(deadlines.heartbeat(&key("beat"), CheckStatus::Passing, ""), Heartbeat::Unknown);
    assert_eq!(outputs(deadlines.expire(start + SECOND * 10)), [""; 0]);
    assert_eq!(deadlines.next(), None);
}

#[tokio::test]
async fn only_what_is_set_from_outside_takes_heartbeats() {
    let (catalog, deadlines, _) = started().await;
    let http = check("http", CheckKind::Http(Box::new(http_check())));
    catalog.register("n1", vec![http, check("set", CheckKind::External)]).await;
    let heartbeat = |id: &str| deadlines.heartbeat(&key(id), CheckStatus::Critical, "");
    assert_eq!(heartbeat("http"), Heartbeat::NotRenewable);
    assert_eq!(heartbeat("other"), Heartbeat::Unknown);
    assert_eq!(heartbeat("set"), Heartbeat::Renewed);
    assert!(matches!(deadlines.heartbeat(&key("set"), CheckStatus::Critical, "new"), Heartbeat::Changed(_)));
}

#[tokio::test]
async fn another_period_begins_at_once_and_the_same_one_goes_on() {
    let (catalog, deadlines, start) = started().await;
    let created = created(&catalog);
    deadlines.watch(&key("beat"), (created, SECOND * 10), start + SECOND * 5);
    assert_eq!(deadlines.next(), Some(start + SECOND * 10));
    deadlines.watch(&key("beat"), (created, SECOND * 3), start + SECOND * 5);
    assert_eq!(deadlines.next(), Some(start + SECOND * 8));
}

#[tokio::test]
async fn another_check_of_the_same_id_has_a_deadline_of_its_own() {
    let (catalog, deadlines, start) = started().await;
    deadlines.heartbeat_at(&key("beat"), CheckStatus::Passing, "fine", start);
    deadlines.expire(start + SECOND * 10);
    deadlines.watch(&key("beat"), (created(&catalog) + 1, SECOND * 10), start + SECOND * 11);
    assert_eq!(deadlines.next(), Some(start + SECOND * 21), "that of the other one rested");
    assert_eq!(deadlines.newest_output(&key("beat"), CheckStatus::Passing), None);
    assert_eq!(outputs(deadlines.expire(start + SECOND * 21)), ["TTL expired"]);
}

#[tokio::test]
async fn an_output_is_cut_between_characters() {
    let (_catalog, deadlines, _) = started().await;
    let long = "ä".repeat(10_000);
    let Heartbeat::Changed(result) = deadlines.heartbeat(&key("beat"), CheckStatus::Critical, &long) else {
        panic!("passing became critical");
    };
    assert_eq!(result.output.shown("").len(), 4096);
    let expired = deadlines.expire(Instant::now() + SECOND * 11);
    assert!(expired[0].1.output.shown("").len() <= 4096);
}
