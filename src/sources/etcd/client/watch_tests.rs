use prost::Message;

use super::{
    super::fake::{Answer, Asked, Fake, SHORT, client, header},
    *,
};

fn created(revision: i64) -> WatchResponse {
    WatchResponse { header: header(revision), created: true, ..WatchResponse::default() }
}

fn put(key: &str, mod_revision: i64) -> WatchEvent {
    WatchEvent { kind: 0, kv: Some(KeyValue { key: key.into(), mod_revision, ..KeyValue::default() }) }
}

fn deletion(key: &str, mod_revision: i64) -> WatchEvent {
    WatchEvent { kind: 1, ..put(key, mod_revision) }
}

fn events(revision: i64, events: Vec<WatchEvent>) -> WatchResponse {
    let events = events.iter().map(|event| event.encode_to_vec().into()).collect();
    WatchResponse { header: header(revision), events, ..WatchResponse::default() }
}

/// A member whose watch says this.
fn says(messages: Vec<WatchResponse>) -> impl Fn(&Asked) -> Option<Answer> + Send + Sync {
    move |asked: &Asked| {
        let request = (asked.method == "Watch").then(|| asked.read::<WatchRequest>())?;
        let Some(WatchAsk::Create(create)) = request.ask else { panic!("{request:?}") };
        assert_eq!((create.key.as_slice(), create.range_end.as_slice()), (&b"/p"[..], &b"/q"[..]));
        Some(Answer::Watch(messages.clone(), 15))
    }
}

async fn watch(messages: Vec<WatchResponse>) -> (Fake, Watch) {
    let fake = Fake::start(says([vec![created(10)], messages].concat())).await;
    let watch = client([&fake]).watch(b"/p", 11).await.unwrap();
    (fake, watch)
}

#[tokio::test]
async fn what_changed_at_once_comes_at_once() {
    let put = put("/p1", 11);
    let (_fake, mut watch) = watch(vec![events(11, vec![put.clone(), deletion("/p2", 11)])]).await;
    assert_eq!((watch.header().revision, watch.next_revision()), (10, 11));
    let deletion = Event::Delete { key: b"/p2".into(), mod_revision: 11 };
    assert_eq!(
        watch.next().await.unwrap(),
        Batch { revision: 11, events: vec![Event::Put(put.kv.unwrap()), deletion] }
    );
    assert_eq!(watch.next_revision(), 12);
}

#[tokio::test]
async fn what_catches_up_is_gone_on_from_its_last_event() {
    // etcd tells where it is itself, though there is more to come.
    let (_fake, mut watch) = watch(vec![events(900, vec![put("/p1", 11), put("/p2", 500)])]).await;
    assert_eq!(watch.next().await.unwrap().revision, 500);
    assert_eq!(watch.next_revision(), 501);
}

#[tokio::test]
async fn a_silent_watch_tells_each_second_how_far_the_member_is() {
    let (fake, mut watch) = watch(Vec::new()).await;
    for _ in 0..2 {
        assert_eq!(watch.next().await.unwrap(), Batch { revision: 15, events: Vec::new() });
    }
    assert_eq!((watch.next_revision(), fake.count("Watch")), (11, 1));
}

#[tokio::test]
async fn a_member_that_hangs_is_noticed_and_left() {
    let mute = |asked: &Asked| (asked.method == "Watch").then(|| Answer::MuteWatch(vec![created(10)]));
    let fake = Fake::start(mute).await;
    let client = client([&fake]);
    let mut watch = client.watch(b"/p", 11).await.unwrap();
    let started = Instant::now();
    let end = watch.next().await.unwrap_err();
    assert!(matches!(&end, WatchEnd::Lost(Error::Unavailable { .. })), "{end}");
    assert!(started.elapsed() < SHORT + 2 * ASK_EVERY + SHORT, "{:?}", started.elapsed());
    assert!(watch.connection.is_retired());
    client.connected().await;
    assert_eq!(fake.proofs(), 2);
}

#[tokio::test]
async fn a_reader_that_was_away_goes_on() {
    // More than is sent ahead, each in a frame of its own.
    let many = (11..60_000).map(|revision| events(revision, vec![put("/p1", revision)])).collect();
    let (_fake, mut watch) = watch(many).await;
    watch.next().await.unwrap();
    let away = Instant::now() + 2 * SHORT;
    tokio::time::sleep_until(away).await;
    while watch.next_revision() < 60_000 {
        watch.next().await.unwrap();
    }
    assert_eq!(watch.next().await.unwrap().events, []);
}

#[tokio::test]
async fn a_reader_that_looks_aside_loses_nothing() {
    let many = (11..60).map(|revision| events(revision, vec![put("/p1", revision); 1000])).collect();
    let (_fake, mut watch) = watch(many).await;
    let mut found = 0;
    while watch.next_revision() < 60 {
        tokio::select! {
            biased;
            batch = watch.next() => found += batch.unwrap().events.len(),
            () = tokio::task::yield_now() => {}
        }
    }
    assert_eq!(found, 49_000);
}

#[tokio::test]
async fn what_is_compacted_or_canceled_ends_with_its_reason() {
    let canceled = WatchResponse { header: header(20), canceled: true, ..WatchResponse::default() };
    let reason = |words: &str| WatchResponse { cancel_reason: words.to_owned(), ..canceled.clone() };
    let compacted =
        WatchResponse { compact_revision: 18, ..reason("etcdserver: mvcc: required revision has been compacted") };
    let (_fake, mut compacted) = watch(vec![compacted]).await;
    assert_eq!(compacted.next().await.unwrap_err(), WatchEnd::Compacted { compact_revision: 18 });
    let (_fake, mut other) = watch(vec![reason("because")]).await;
    assert_eq!(other.next().await.unwrap_err(), WatchEnd::Canceled("because".to_owned()));
    let (_fake, mut no_leader) = watch(vec![reason("etcdserver: no leader")]).await;
    assert!(matches!(no_leader.next().await.unwrap_err(), WatchEnd::Lost(Error::NoLeader { .. })));
}

#[tokio::test]
async fn a_watch_that_may_not_begin_is_refused() {
    let denied = WatchResponse {
        canceled: true,
        cancel_reason: "rpc error: code = PermissionDenied desc = etcdserver: permission denied".to_owned(),
        ..created(10)
    };
    let compacted = WatchResponse { canceled: true, compact_revision: 9, ..created(10) };
    let no_watch = events(10, vec![put("/p1", 11)]);
    for (first, is_expected) in [
        (denied, (|error| matches!(error, Error::Refused(super::super::Refusal::Permission))) as fn(&Error) -> bool),
        (compacted, |error| matches!(error, Error::Compacted)),
        (no_watch, |error| matches!(error, Error::Broken { .. })),
    ] {
        let fake = Fake::start(says(vec![first])).await;
        let error = client([&fake]).watch(b"/p", 11).await.unwrap_err();
        assert!(is_expected(&error), "{error:?}");
    }
}

#[tokio::test]
async fn an_etcd_that_was_wiped_is_noticed_before_it_is_watched() {
    let fake = Fake::start(says(vec![created(10)])).await;
    let client = client([&fake]);
    assert_eq!(client.watch(b"/p", 12).await.unwrap_err(), Error::WentBack { revision: 10 });
    assert!(client.watch(b"/p", 11).await.is_ok(), "the next that there will be");
}

#[tokio::test]
async fn a_stream_that_breaks_or_cannot_be_read_is_lost() {
    let wrong_kind = WatchEvent { kind: 2, ..put("/p1", 11) };
    let no_key = WatchEvent { kind: 0, kv: None };
    for (response, is_told) in [
        (events(11, vec![wrong_kind]), "unknown kind"),
        (events(11, vec![no_key]), "of no key"),
        (events(11, vec![put("/p1", 10)]), "before the watch"),
    ] {
        let (_fake, mut watch) = watch(vec![response]).await;
        let end = watch.next().await.unwrap_err();
        assert!(matches!(&end, WatchEnd::Lost(Error::Broken { .. })) && end.to_string().contains(is_told), "{end}");
    }
    let (fake, mut watch) = watch(Vec::new()).await;
    drop(fake);
    let end = watch.next().await.unwrap_err();
    assert!(matches!(end, WatchEnd::Lost(Error::Unavailable { .. })), "{end}");
}

#[tokio::test]
async fn a_lease_of_a_hundred_thousand_keys_ends_as_one_change() {
    let key = |number: usize| format!("/p/v1/services/node-1/instance-{number:06}");
    let all = (0..100_000).map(|number| deletion(&key(number), 11)).collect();
    let (_fake, mut watch) = watch(vec![events(11, all)]).await;
    let batch = loop {
        let batch = watch.next().await.unwrap();
        if !batch.events.is_empty() {
            break batch;
        }
    };
    assert_eq!((batch.revision, batch.events.len()), (11, 100_000));
    let last = Event::Delete { key: key(99_999).into(), mod_revision: 11 };
    assert_eq!(batch.events.last(), Some(&last));
}

#[tokio::test]
async fn what_is_more_than_is_held_ends_the_watch_and_not_the_connection() {
    // Small on the wire, as large as any other in memory.
    let empty = WatchEvent { kind: 0, kv: Some(KeyValue::default()) }.encode_to_vec();
    let mut response = events(11, Vec::new());
    response.events = vec![empty.into(); HELD_MAX_BYTES / size_of::<Event>() + 1];
    let (_fake, mut watch) = watch(Vec::new()).await;
    assert_eq!(watch.take(response), Err(WatchEnd::TooLarge));
    assert!(!watch.connection.is_retired());
}

#[test]
fn a_watch_asks_for_progress_by_its_field() {
    let request = WatchRequest { ask: Some(WatchAsk::Progress(WatchProgressRequest {})) };
    assert_eq!(framed(&request), &b"\0\0\0\0\x02\x1a\0"[..]);
}
