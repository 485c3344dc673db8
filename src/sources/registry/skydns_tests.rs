use std::time::Duration;

use super::*;
use crate::{
    publish::{
        journal::{Journal, Place},
        publisher::{Publisher, Start},
        watch::Published,
    },
    sources::etcd::client::{Client, Host, Settings, Timeouts},
    wire::name::Name,
};

/// A source of `skydns.local.` that nothing was told yet, and that asks nobody.
fn source(feed: Feed) -> SkydnsSource {
    let tree = Tree::new("/skydns", [Name::parse("skydns.local").unwrap()], 5);
    let known = KnownNames { tree, serial: 0, is_whole: true };
    let hosts = vec![Host { name: "127.0.0.1".to_owned(), port: 9 }];
    let client = Client::connect(Settings { hosts, tls: None, login: None, timeouts: Timeouts::default() });
    SkydnsSource::new(Arc::from("etcd_skydns"), known, Etcd::V3(client), feed)
}

/// What changed at once: keys below the zone's, with the host that each has now, or none.
fn batch(revision: i64, events: &[(&str, Option<&str>)]) -> Batch {
    let event = |(key, host): &(&str, Option<&str>)| {
        let key = format!("/skydns/local/skydns/{key}").into_bytes();
        match host {
            Some(host) => {
                let value = format!(r#"{{"host": "{host}"}}"#).into_bytes();
                Event::Put(KeyValue { key, value, ..KeyValue::default() })
            }
            None => Event::Delete { key, mod_revision: revision },
        }
    };
    Batch { revision, events: events.iter().map(event).collect() }
}

/// The serial, and which of these names have an address.
fn answered(published: &Published, names: &[&str]) -> (u32, Vec<bool>) {
    let snapshot = published.load();
    let origin = Name::parse("skydns.local").unwrap();
    let zone = snapshot.zones.get(origin.as_wire()).unwrap();
    let has = |name: &&str| zone.node(Name::parse(&format!("{name}.skydns.local")).unwrap().as_wire()).is_some();
    (zone.soa().unwrap().serial, names.iter().map(has).collect())
}

#[tokio::test]
async fn what_comes_while_zones_rest_is_answered_together() {
    let (_publisher, feed, published) = Publisher::start(Start::example(1)).unwrap();
    let mut source = source(feed);
    source.follow(batch(7, &[("a", Some("192.0.2.1"))])).await.unwrap();
    assert_eq!(answered(&published, &["a", "b"]), (7, vec![true, false]), "the first at once");
    assert_eq!(source.due(), None);

    let later = Instant::now() + Duration::from_secs(60);
    source.rests_until = later;
    source.follow(batch(8, &[("b", Some("192.0.2.2"))])).await.unwrap();
    source.follow(batch(9, &[("a", None), ("c", Some("192.0.2.3"))])).await.unwrap();
    source.follow(batch(10, &[("c", None)])).await.unwrap();
    assert_eq!(answered(&published, &["a", "b", "c"]), (7, vec![true, false, false]));
    assert_eq!(source.due(), Some(later));
    source.act().await.unwrap();
    assert_eq!(answered(&published, &["a", "b", "c"]), (10, vec![false, true, false]));
    assert_eq!(source.due(), None);

    // What waits does not wait for an etcd that went away.
    source.rests_until = later;
    source.follow(batch(11, &[("d", Some("192.0.2.4"))])).await.unwrap();
    source.ended().await.unwrap();
    assert_eq!(answered(&published, &["b", "d"]), (11, vec![true, true]));

    // What says the same makes nothing anew, and a wiped etcd does not turn the serial back.
    source.follow(batch(12, &[("d", Some("192.0.2.4")), ("e", None)])).await.unwrap();
    assert_eq!(answered(&published, &["b", "d"]), (11, vec![true, true]));
    source.rests_until = Instant::now();
    source.follow(batch(1, &[("e", Some("192.0.2.5"))])).await.unwrap();
    assert_eq!(answered(&published, &["b", "e"]), (12, vec![true, true]));
    source.drop_all().await.unwrap();
    assert_eq!(answered(&published, &["b", "d", "e"]), (13, vec![false; 3]));
}

#[tokio::test]
async fn what_is_answered_is_what_a_restart_finds() {
    let directory = tempfile::tempdir().unwrap();
    let open = || Journal::open(Place::Directory(directory.path().to_owned())).unwrap();
    let (publisher, feed, published) = Publisher::start(Start { journal: open().0, ..Start::example(1) }).unwrap();
    let mut source = source(feed);
    source.follow(batch(7, &[("a", Some("192.0.2.1")), ("b", Some("192.0.2.2"))])).await.unwrap();
    source.rests_until = Instant::now();
    source.follow(batch(8, &[("B", None), ("c", Some("192.0.2.3"))])).await.unwrap();
    let mut tree = source.tree.clone().unwrap();
    drop((source, published));
    publisher.join();

    let empty = || Tree::new("/skydns", [Name::parse("skydns.local").unwrap()], 5);
    let (mut known, forgotten) = KnownNames::restored(empty(), &open().1);
    assert!(known.is_whole && forgotten.is_empty());
    assert_eq!((known.serial, known.tree.len()), (8, 2));
    let shown = |tree: &mut Tree| {
        let zones = tree.zones(8);
        zones.iter().map(|zone| format!("{:?}", zone.nodes().collect::<Vec<_>>())).collect::<Vec<_>>()
    };
    assert_eq!(shown(&mut known.tree), shown(&mut tree));
    // What has no place any more goes.
    let other = Tree::new("/skydns", [Name::parse("other").unwrap()], 5);
    assert_eq!(KnownNames::restored(other, &open().1).1.len(), 2);
}
