use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use tokio::net::TcpListener;

use super::{
    super::{
        Client, Status, Txn,
        fake::{Answer, Asked, Fake, SHORT, client, host, settings, well},
    },
    *,
};

/// What a member says of itself when it is cut off.
fn no_leader(_: &Asked) -> Option<Answer> {
    Some(Answer::Status(14, "etcdserver: no leader"))
}

fn endpoint(client: &Client) -> String {
    match client.status() {
        Status::Connected { endpoint } => endpoint,
        other => panic!("{other:?}"),
    }
}

/// A client that is with the first of two members.
async fn client_of_first(first: &Fake, second: &Fake) -> Client {
    loop {
        let client = client([first, second]);
        client.connected().await;
        if endpoint(&client) == first.host().to_string() {
            return client;
        }
    }
}

#[tokio::test]
async fn another_member_is_asked_when_one_is_gone() {
    let mut members = vec![Fake::start(well).await, Fake::start(well).await, Fake::start(well).await];
    let client = client(&members);
    while !members.is_empty() {
        client.get(b"/a").await.unwrap();
        let endpoint = endpoint(&client);
        members.retain(|member| member.host().to_string() != endpoint);
    }
    let error = client.get(b"/a").await.unwrap_err();
    assert!(matches!(&error, Error::Unavailable { .. }) && error.is_passing(), "{error}");
}

#[tokio::test]
async fn a_member_without_a_leader_is_left_for_one_that_has() {
    let (cut_off, fine) = (Fake::start(no_leader).await, Fake::start(well).await);
    let client = client([&cut_off, &fine]);
    client.txn(Txn::default()).await.unwrap();
    assert_eq!(endpoint(&client), fine.host().to_string());
}

#[tokio::test]
async fn what_a_member_without_a_leader_did_not_do_is_done_elsewhere() {
    let is_cut_off = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&is_cut_off);
    let first = Fake::start(move |asked| told.load(Ordering::Relaxed).then(|| no_leader(asked)).flatten());
    let (first, second) = (first.await, Fake::start(well).await);
    let client = client_of_first(&first, &second).await;
    is_cut_off.store(true, Ordering::Relaxed);
    client.txn(Txn::default()).await.unwrap();
    assert_eq!((first.count("Txn"), second.count("Txn")), (1, 1));
    assert_eq!(endpoint(&client), second.host().to_string());
}

#[tokio::test]
async fn a_member_that_hangs_is_left_and_only_reads_are_repeated() {
    let hang = |asked: &Asked| (!asked.is_proof()).then_some(Answer::Silence);
    let (first, second) = (Fake::start(hang).await, Fake::start(well).await);
    let client = client_of_first(&first, &second).await;
    client.get(b"/a").await.unwrap();
    assert_eq!((first.count("Range"), second.count("Range")), (1, 1));

    let client = client_of_first(&first, &second).await;
    let error = client.txn(Txn::default()).await.unwrap_err();
    assert!(error.to_string().ends_with("no answer in time"), "{error}");
    assert_eq!((first.count("Txn"), second.count("Txn")), (1, 0), "it may have been done");
    client.txn(Txn::default()).await.unwrap();
    assert_eq!((first.count("Txn"), second.count("Txn")), (1, 1));
}

#[tokio::test]
async fn a_member_that_says_nothing_at_all_is_left() {
    // The kernel takes connections of a program that is stopped, and nobody says anything on them.
    let stopped = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let fine = Fake::start(well).await;
    let client = Client::connect(settings(vec![host(stopped.local_addr().unwrap()), fine.host()]));
    client.connected().await;
    assert_eq!(endpoint(&client), fine.host().to_string());
}

#[tokio::test]
async fn without_members_calls_wait_a_while_and_then_fail_at_once_until_one_is_back() {
    let fake = Fake::start(well).await;
    let (address, client) = (fake.address, client([&fake]));
    client.get(b"/a").await.unwrap();
    drop(fake);
    let started = Instant::now();
    client.get(b"/a").await.unwrap_err();
    assert!(started.elapsed() >= SHORT / 2, "it might have been back");
    let mut state = client.shared.state.clone();
    state.wait_for(|state| matches!(state, State::Down(_))).await.unwrap();
    let started = Instant::now();
    let error = client.get(b"/a").await.unwrap_err();
    assert!(started.elapsed() < SHORT / 2);
    assert_eq!(client.status(), Status::Away(error.clone()));
    assert!(error.to_string().contains("refused"), "{error}");

    let _back = Fake::start_at(address, well).await;
    client.connected().await;
    client.get(b"/a").await.unwrap();
}

#[tokio::test]
async fn a_broken_connection_is_made_anew_though_nobody_asks() {
    let fake = Fake::start(well).await;
    let (address, client) = (fake.address, client([&fake]));
    client.connected().await;
    drop(fake);
    let back = Fake::start_at(address, well).await;
    let mut state = client.shared.state.clone();
    state.wait_for(|state| matches!(state, State::Up(_)) && back.proofs() > 0).await.unwrap();
}

#[tokio::test]
async fn members_that_fail_are_not_asked_without_pause() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let fake = Fake::start(move |asked| {
        counted.fetch_add(1, Ordering::Relaxed);
        no_leader(asked)
    });
    let fake = fake.await;
    let client = client([&fake]);
    let mut state = client.shared.state.clone();
    state.wait_for(|state| matches!(state, State::Down(Error::NoLeader { .. }))).await.unwrap();
    let asked = asked.load(Ordering::Relaxed);
    assert!((2..=9).contains(&asked), "asked {asked} times within {SHORT:?}");
}

#[test]
fn pauses_grow_to_two_seconds_and_differ() {
    for (beyond, most_millis) in [(0, 100), (1, 200), (4, 1600), (5, 2000), (usize::MAX, 2000)] {
        let pauses: Vec<_> = (0..50).map(|_| pause(beyond)).collect();
        let most = Duration::from_millis(most_millis);
        assert!(pauses.iter().all(|pause| (most / 2..=most).contains(pause)), "{beyond}: {pauses:?}");
        assert!(pauses.iter().any(|pause| *pause != pauses[0]));
    }
}
