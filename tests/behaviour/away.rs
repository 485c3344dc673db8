//! A server that was away: suspended, as with its machine or in a virtual machine that was paused, or not running.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use rustix::process::Signal;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::watch,
};

use crate::harness::{Client, serve, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[allow(clippy::disallowed_methods, reason = "the server is stopped for a while, and nothing tells of that")]
async fn nobody_leaves_the_answers_because_the_server_was_suspended() {
    let home = tempfile::tempdir().unwrap();
    let served = serve(&home, &["--ephemeral"]).await;
    let at = served.at;
    let checked = Checked::start(Mood::Answers).await;
    checked.register(at, "probed").await;
    at.register(json!({ "Name": "renewed", "Address": "192.0.2.9", "Port": 80, "Check": { "TTL": "3s" } })).await;
    until("the probed one passes", async || is_answered(at, "probed").await).await;
    checked.is_now(Mood::Holds);
    until("a probe is on its way", async || checked.held() > 0).await;
    assert_eq!(at.put("/v1/agent/check/pass/service:renewed", "").await.status, 200);
    assert!(is_answered(at, "renewed").await);

    served.signal(Signal::STOP);
    checked.is_now(Mood::Answers);
    tokio::time::sleep(Duration::from_secs(6)).await;
    served.signal(Signal::CONT);

    let since = Instant::now();
    while since.elapsed() < Duration::from_secs(2) {
        assert!(is_answered(at, "probed").await, "{}", served.complaints());
        assert!(is_answered(at, "renewed").await, "{}", served.complaints());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(served.complaints().contains("was suspended for"), "{}", served.complaints());
    until("nobody renews it in its new period", async || !is_answered(at, "renewed").await).await;
    assert!(is_answered(at, "probed").await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_restart_instances_are_as_they_were_until_their_first_result() {
    let (home, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let arguments = ["--data-dir", data.path().to_str().unwrap()];
    let mut served = serve(&home, &arguments).await;
    let (good, bad) = (Checked::start(Mood::Answers).await, Checked::start(Mood::HangsUp).await);
    good.register(served.at, "good").await;
    bad.register(served.at, "bad").await;
    let output = async |at: Client, service: &str| {
        let checks = at.json(&format!("/v1/health/checks/{service}")).await;
        (checks[0]["Status"].as_str().unwrap().to_owned(), checks[0]["Output"].as_str().unwrap().to_owned())
    };
    until("both were probed", async || {
        let (good, bad) = (output(served.at, "good").await, output(served.at, "bad").await);
        good.0 == "passing" && bad.0 == "critical" && !bad.1.is_empty()
    })
    .await;
    let before = (output(served.at, "good").await, output(served.at, "bad").await);
    assert!(served.stop().await.success());

    good.is_now(Mood::Holds);
    bad.is_now(Mood::Holds);
    let (held_good, held_bad) = (good.held(), bad.held());
    let mut served = serve(&home, &arguments).await;
    let at = served.at;
    until("both are being probed", async || {
        assert_eq!((is_answered(at, "good").await, is_answered(at, "bad").await), (true, false));
        good.held() > held_good && bad.held() > held_bad
    })
    .await;
    assert_eq!((output(at, "good").await, output(at, "bad").await), before);
    assert_eq!((is_answered(at, "good").await, is_answered(at, "bad").await), (true, false));

    good.is_now(Mood::HangsUp);
    bad.is_now(Mood::Answers);
    until("the good one has failed", async || !is_answered(at, "good").await).await;
    until("the bad one has passed", async || is_answered(at, "bad").await).await;
    assert!(served.stop().await.success());
}

async fn is_answered(at: Client, service: &str) -> bool {
    !at.addresses(&format!("{service}.service.internal.")).await.is_empty()
}

/// A server that is checked.
struct Checked {
    address: SocketAddr,
    mood: watch::Sender<Mood>,
    held: Arc<AtomicUsize>,
}

/// What a checked server does with requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mood {
    Answers,
    /// Leaves them waiting, and ends their connections when the mood is another one.
    Holds,
    /// Ends their connections.
    HangsUp,
}

impl Checked {
    async fn start(mood: Mood) -> Checked {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (mood, moods) = watch::channel(mood);
        let held = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&held);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (mut moods, held) = (moods.clone(), Arc::clone(&counted));
                tokio::spawn(async move {
                    let mut head = [0; 4096];
                    while stream.read(&mut head).await.is_ok_and(|length| length > 0) {
                        let mood = *moods.borrow_and_update();
                        if mood == Mood::Holds {
                            held.fetch_add(1, SeqCst);
                            let _ = moods.changed().await;
                        }
                        if mood != Mood::Answers {
                            return;
                        }
                        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
                    }
                });
            }
        });
        Checked { address, mood, held }
    }

    /// Registers an instance with a check of this server.
    async fn register(&self, at: Client, service: &str) {
        let check = json!({ "HTTP": format!("http://{}/", self.address), "Interval": "1s", "Timeout": "10s" });
        at.register(json!({ "Name": service, "Address": "192.0.2.8", "Port": 80, "Check": check })).await;
    }

    fn is_now(&self, mood: Mood) {
        self.mood.send(mood).unwrap();
    }

    /// How many requests have been left waiting so far.
    fn held(&self) -> usize {
        self.held.load(SeqCst)
    }
}
