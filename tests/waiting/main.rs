//! Fifteen thousand reads that wait over HTTP/1.1, and fifty thousand over HTTP/2: what each costs the server in memory, and how
//! soon they know of a change. A program of its own, so that client and server have their open files each.
//!
//! It needs 16,000 open files for each (`ulimit -H -n`), and a machine that does nothing else.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../behaviour/connection.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod connection;
#[path = "../behaviour/harness.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod harness;
#[path = "../behaviour/waiters.rs"]
mod waiters;

use std::time::Duration;

use rustix::process::{Resource, getrlimit, setrlimit};
use serde_json::json;
use tempfile::tempdir;
use tokio::sync::Mutex;

use harness::{Served, serve};
use waiters::Waiters;

/// Has all of them wait, and then looks.
async fn check(kind: &str, add: impl AsyncFnOnce(&mut Waiters)) {
    let _alone = ALONE.lock().await;
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
    assert!(limit.maximum.is_none_or(|most| most >= FILES), "{FILES} open files are needed: ulimit -H -n");
    let home = tempdir().unwrap();
    let mut served = serve(&home, &["--ephemeral"]).await;
    let mut waiters = Waiters::prepare(served.at, SERVICES).await;
    let before = resident_bytes(&served);
    add(&mut waiters).await;
    let count = waiters.waiting();
    let each = (resident_bytes(&served) - before) / count;
    println!("{kind}: {count} wait, {each} bytes of memory each");
    assert!(each <= BYTES_MAX, "{each} bytes each");

    let (woken, made) = (counter(&served, "woken").await, counter(&served, "results_made").await);
    served.at.register(json!({ "Name": "nobody-waits", "Port": 80 })).await;
    assert_eq!(counter(&served, "woken").await, woken, "another service wakes nobody");
    let mut slowest = Duration::ZERO;
    for number in 0..CHANGES {
        let reached = waiters.change(number * SERVICES / CHANGES, 2).await;
        assert!(reached <= REACHED_MAX, "{reached:?}");
        slowest = slowest.max(reached);
    }
    let all = CHANGES * waiters.of_each();
    println!("{kind}: the {} of a service know within {slowest:?} at most, of {CHANGES} changes", waiters.of_each());
    assert_eq!(counter(&served, "woken").await - woken, all);
    let made = counter(&served, "results_made").await - made;
    assert!((CHANGES..=2 * CHANGES).contains(&made), "{made} results for {CHANGES} changes");
    assert_eq!(served.at.metric("nameplate_http_blocked").await as usize, count - all);
    drop(waiters);
    assert_eq!(served.stop().await.code(), Some(0));
}

fn resident_bytes(served: &Served) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", served.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10
}

async fn counter(served: &Served, name: &str) -> usize {
    served.at.metric(&format!("nameplate_http_{name}_total")).await as usize
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifteen_thousand_wait_on_connections_of_http_1() {
    check("HTTP/1.1", async |waiters| waiters.add_http1(15_000, 150).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_thousand_wait_as_streams_of_http_2() {
    check("HTTP/2", async |waiters| waiters.add_http2(50_000, 250, 100).await).await;
}

/// One after the other: both are measured.
static ALONE: Mutex<()> = Mutex::const_new(());

const SERVICES: usize = 1_000;
const CHANGES: usize = 50;

/// What a waiting read may cost, and how soon all who wait for a service are to know of its change. Source: the requirements.
const BYTES_MAX: usize = 32 << 10;
const REACHED_MAX: Duration = Duration::from_millis(100);

/// Open files of each side. Source: 15,000 connections, and what else there is.
const FILES: u64 = 16_000;
