//! Who we are, as etcd wants to know it.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use super::{
    Client, Error, Login, Refusal, Settings, Status, Txn,
    fake::{Answer, Asked, Fake, message, settings, well},
    messages::{AuthenticateRequest, AuthenticateResponse},
};

fn connect(fake: &Fake) -> Client {
    let login = Login { user: "nameplate".to_owned(), password: "secret".to_owned() };
    Client::connect(Settings { login: Some(login), ..settings(vec![fake.host()]) })
}

/// A member that gives out tokens 1, 2, ... and takes the last one alone; `words` say that another is no good.
fn members_tokens(words: (u32, &'static str)) -> impl Fn(&Asked) -> Option<Answer> + Send + Sync {
    let last = Arc::new(AtomicUsize::new(0));
    move |asked: &Asked| match asked.method.as_str() {
        "Authenticate" => {
            let request: AuthenticateRequest = asked.read();
            assert_eq!((request.name.as_str(), request.password.as_str()), ("nameplate", "secret"));
            let number = last.fetch_add(1, Ordering::Relaxed) + 1;
            Some(message(&AuthenticateResponse { token: number.to_string() }))
        }
        // Forgets who was there.
        "LeaseRevoke" => {
            last.fetch_add(1, Ordering::Relaxed);
            None
        }
        _ if asked.token() == Some(&last.load(Ordering::Relaxed).to_string()) => None,
        _ => Some(Answer::Status(words.0, words.1)),
    }
}

#[tokio::test]
async fn a_token_that_is_no_longer_good_is_renewed_and_the_call_made_again() {
    for words in [(16, "etcdserver: invalid auth token"), (3, "etcdserver: revision of auth store is old")] {
        let fake = Fake::start(members_tokens(words)).await;
        let client = connect(&fake);
        client.txn(Txn::default()).await.unwrap();
        client.revoke(1).await.unwrap();
        let (one, other) = tokio::join!(client.txn(Txn::default()), client.get(b"/a"));
        assert!(one.is_ok() && other.is_ok(), "{one:?}, {other:?}");
        assert_eq!((fake.proofs(), fake.count("Txn")), (1, 3), "on the same connection");
        assert_eq!(fake.count("Authenticate"), 2);
    }
}

#[tokio::test]
async fn a_cluster_that_asks_nobody_is_used_without_a_token() {
    let fake = Fake::start(|asked| {
        assert_eq!(asked.token(), None);
        (asked.method == "Authenticate").then_some(Answer::Status(9, "etcdserver: authentication is not enabled"))
    });
    connect(&fake.await).txn(Txn::default()).await.unwrap();
}

#[tokio::test]
async fn a_wrong_password_is_told_with_its_cure() {
    let fake = Fake::start(|asked| {
        let words = "etcdserver: authentication failed, invalid user ID or password";
        (asked.method == "Authenticate").then_some(Answer::Status(3, words))
    });
    let fake = fake.await;
    let client = connect(&fake);
    let error = client.txn(Txn::default()).await.unwrap_err();
    assert_eq!(error, Error::Refused(Refusal::Password));
    assert!(error.to_string().contains("store_password_file"));
    assert_eq!(fake.count("Txn"), 0);
}

#[tokio::test]
async fn a_cluster_that_wants_a_user_is_told_as_such() {
    let fake = Fake::start(|_| Some(Answer::Status(3, "etcdserver: user name is empty"))).await;
    let client = Client::connect(settings(vec![fake.host()]));
    assert_eq!(client.get(b"/a").await.unwrap_err(), Error::Refused(Refusal::NoUser));
}

#[tokio::test]
async fn a_user_who_may_not_read_a_key_that_nobody_has_is_connected() {
    let fake = Fake::start(|asked| asked.is_proof().then_some(Answer::Status(7, "etcdserver: permission denied")));
    let fake = fake.await;
    let client = connect(&fake);
    client.connected().await;
    assert_eq!(client.status(), Status::Connected { endpoint: fake.host().to_string() });
}

#[tokio::test]
async fn neither_password_nor_token_is_shown() {
    let fake = Fake::start(well).await;
    let login = Login { user: "nameplate".to_owned(), password: "secret".to_owned() };
    let settings = Settings { login: Some(login), ..settings(vec![fake.host()]) };
    let shown = format!("{settings:?} {:?}", Client::connect(settings.clone()));
    assert!(shown.contains("nameplate") && !shown.contains("secret"), "{shown}");
}
