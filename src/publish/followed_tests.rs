use std::sync::Arc;

use super::*;
use crate::{
    catalog::{
        change::{Change, Origin},
        check::{Check, CheckKey, CheckResult, CheckStatus},
        names::CheckId,
        node::Node,
        service::{Instance, InstanceKey},
        testing::{check, instance, register, registration, set_status},
    },
    publish::{
        feed::Feed,
        publisher::{Publisher, Start},
        watch::Published,
    },
};

struct Bench {
    _publisher: Publisher,
    feed: Feed,
    published: Arc<Published>,
}

impl Bench {
    async fn start() -> Bench {
        let (publisher, feed, published) = Publisher::start(Start::example(1)).unwrap();
        let bench = Bench { _publisher: publisher, feed, published };
        for node in ["n1", "n2"] {
            bench.submit(Change::RegisterNode(Node::example(node))).await;
        }
        bench
    }

    async fn submit(&self, change: Change) {
        self.feed.submit(vec![change]).await.unwrap();
    }

    /// What was touched, in words.
    fn take(&self) -> String {
        let touched = self.published.take_touched_on_node();
        let mut words: Vec<&str> = touched.instances.iter().map(ServiceId::as_str).collect();
        words.sort_unstable();
        words.extend(touched.node.then_some("node"));
        words.extend(touched.all.then_some("all"));
        words.join(" ")
    }
}

fn node_name(name: &str) -> NodeName {
    NodeName::new(name).unwrap()
}

fn web(node: &str, id: &str) -> Change {
    let node = node_name(node);
    let check = Check { node: node.clone(), ..check(&format!("c-{id}"), Some(id), CheckStatus::Passing) };
    register(registration(Instance { node, ..instance("web", id) }, vec![check]))
}

#[tokio::test]
async fn what_is_touched_on_the_node_is_told_and_nothing_of_others() {
    let bench = Bench::start().await;
    bench.published.follow_node(node_name("n1"));
    assert_eq!(bench.take(), "all");
    for (change, expected) in [
        (web("n1", "web-1"), "web-1"),
        (web("n2", "web-2"), ""),
        (web("n1", "web-1"), ""),
        (set_status("n1", "c-web-1", CheckStatus::Critical, ""), "web-1"),
        (set_status("n1", "c-web-1", CheckStatus::Critical, "an output alone"), "web-1"),
        (Change::RegisterCheck(Box::new(check("d", Some("web-1"), CheckStatus::Passing))), "web-1"),
        (Change::RegisterCheck(Box::new(check("n", None, CheckStatus::Passing))), "node"),
        (set_status("n1", "n", CheckStatus::Critical, ""), "node"),
        (set_status("n1", "n", CheckStatus::Critical, "an output alone"), "node"),
        (Change::RegisterNode(Node { uuid: Arc::from("u"), ..Node::example("n1") }), "node"),
        (Change::RegisterNode(Node { uuid: Arc::from("u"), ..Node::example("n2") }), ""),
        (
            Change::Deregister {
                key: InstanceKey { node: node_name("n1"), id: ServiceId::new("web-1").unwrap() },
                origin: Origin::Api,
            },
            "web-1",
        ),
    ] {
        let what = format!("{change:?}");
        bench.submit(change).await;
        assert_eq!(bench.take(), expected, "{what}");
    }
    bench.submit(web("n1", "web-3")).await;
    tokio::time::timeout(std::time::Duration::from_secs(5), bench.published.node_touched()).await.unwrap();
    assert_eq!(bench.take(), "web-3");
}

#[tokio::test]
async fn what_a_probe_says_is_told_too() {
    let bench = Bench::start().await;
    bench.submit(web("n1", "web-1")).await;
    bench.published.follow_node(node_name("n1"));
    bench.take();
    let key = CheckKey { node: node_name("n1"), id: CheckId::new("c-web-1").unwrap() };
    bench.feed.report(key, CheckResult { status: CheckStatus::Passing, output: "fine".into() });
    let told = async {
        while bench.take() != "web-1" {
            bench.published.node_touched().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(5), told).await.unwrap();
}

#[tokio::test]
async fn nothing_is_kept_while_nobody_follows() {
    let bench = Bench::start().await;
    bench.submit(web("n1", "web-1")).await;
    assert_eq!(bench.take(), "");
}

#[test]
fn who_begins_while_a_batch_is_made_is_told_to_look_at_all() {
    let followed = Followed::default();
    let instances = || ["a"].into_iter().map(|id| ServiceId::new(id).unwrap()).collect();
    followed.touch(None, TouchedOnNode { instances: instances(), ..TouchedOnNode::default() });
    assert!(followed.take().is_empty());
    followed.follow(node_name("n1"));
    assert!(followed.take().all);
    followed.touch(None, TouchedOnNode::default());
    assert!(followed.take().all);
    followed.touch(Some(&node_name("n1")), TouchedOnNode { instances: instances(), ..TouchedOnNode::default() });
    assert_eq!(followed.take(), TouchedOnNode { instances: instances(), ..TouchedOnNode::default() });
}

#[test]
fn of_very_many_it_is_said_that_it_was_all() {
    let followed = Followed::default();
    followed.follow(node_name("n1"));
    followed.take();
    for first in (0..70_000).step_by(1000) {
        let instances = (first..first + 1000).map(|id| ServiceId::new(format!("i{id}")).unwrap()).collect();
        followed.touch(Some(&node_name("n1")), TouchedOnNode { instances, ..TouchedOnNode::default() });
    }
    let touched = followed.take();
    assert!(touched.all && touched.instances.len() < 10_000, "{}", touched.instances.len());
}
