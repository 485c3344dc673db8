//! Clients of two machines want one lock, for a minute, while machines are killed and cut off: never two hold it.
//!
//! A client holds the lock from the answer that says so until it begins to let go, and no longer than its session lasts for
//! certain: for its TTL from when it last asked to renew it with success.
//!
//! | variable | |
//! |---|---|
//! | `NAMEPLATE_CLUSTER_SEED` | what is done when; drawn |

use std::{
    env,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant, SystemTime},
};

use serde_json::Value;

use super::{
    holders::{Held, two_holders},
    hosts::{Cluster, store},
    net::{Host, between},
};
use crate::{rng::Rng, sandbox::scenario, until::pause};

#[test]
fn two_machines_never_hold_one_lock_at_once() {
    let seed = env::var("NAMEPLATE_CLUSTER_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(new_seed);
    println!("NAMEPLATE_CLUSTER_SEED={seed} repeats this");
    scenario("cluster-locks", |sandbox| {
        let cluster = Cluster::with_members(sandbox);
        let nodes = [Host::Node(1), Host::Node(2)];
        cluster.start_sharing(&nodes);
        let mut rng = Rng::new(seed);
        let (began, wanted) = (Instant::now(), AtomicBool::new(true));
        let history: Vec<Held> = thread::scope(|scope| {
            let clients: Vec<_> = nodes
                .into_iter()
                .flat_map(|node| (0..CLIENTS).map(move |number| (node, number)))
                .map(|(node, number)| {
                    let rng = Rng::new(rng.next());
                    let (name, cluster, wanted) = (format!("{node}/{number}"), &cluster, &wanted);
                    let client = Client { name, cluster, node, began, rng, held: Vec::new() };
                    scope.spawn(move || client.run(wanted))
                })
                .collect();
            let faults = scope.spawn(|| faults(&cluster, &mut Rng::new(seed), began)).join();
            wanted.store(false, Ordering::Relaxed);
            let held = clients.into_iter().flat_map(|client| client.join().unwrap()).collect();
            faults.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            held
        });
        if let Some((one, other)) = two_holders(&history) {
            panic!("two hold the lock at once; the seed is {seed}\n{one:?}\n{other:?}\n{history:#?}");
        }
        for node in nodes {
            let count = history.iter().filter(|held| held.client.starts_with(&node.to_string())).count();
            println!("{node} had the lock {count} times");
            assert!(count >= LEAST, "clients of {node} had the lock {count} times; the seed is {seed}");
        }
        let late = history.iter().filter(|held| held.from > LENGTH).count();
        assert!(late > 0, "nobody had the lock after the faults; the seed is {seed}");
    });
}

/// Kills and cuts off, one after the other, until the time is over.
fn faults(cluster: &Cluster<'_>, rng: &mut Rng, began: Instant) {
    let away = |host: Host, lasts: Duration| {
        let pairs = between(host, &Host::MEMBERS);
        cluster.net.cut(&pairs);
        pause(lasts);
        cluster.net.heal(&pairs);
    };
    pause(Duration::from_secs(4));
    // Longer than a session lasts that nobody can renew.
    println!("{:?}: n1 is cut off for long", began.elapsed());
    away(Host::Node(1), Duration::from_secs(14));
    while began.elapsed() < LENGTH {
        let (node, member) = (Host::Node(1 + u8::from(rng.one_in(2))), Host::MEMBERS[rng.below(3)]);
        let lasts = Duration::from_millis(300 + 10 * u64::try_from(rng.below(270)).expect("it is small"));
        let deed = rng.below(5);
        println!("{:?}: deed {deed}, {node}, {member}, {lasts:?}", began.elapsed());
        match deed {
            0 => {
                cluster.kill(node);
                pause(lasts);
                cluster.start_node(node, &store());
            }
            1 => away(node, lasts),
            2 => {
                cluster.kill(member);
                pause(lasts);
                cluster.start_member(member);
                cluster.until_members_serve(&[member]);
            }
            3 => away(member, lasts),
            _ => {
                let all = [Host::MEMBERS[0], Host::MEMBERS[1]].map(|member| between(member, &Host::MEMBERS)).concat();
                cluster.net.cut(&all);
                pause(lasts);
                cluster.net.heal(&all);
            }
        }
        pause(Duration::from_millis(500 + 10 * u64::try_from(rng.below(200)).expect("it is small")));
    }
    Host::NODES[..2].iter().for_each(|node| cluster.until_ready(*node));
    pause(AFTERWARDS);
}

/// Who wants the lock, over and over.
struct Client<'a, 'sandbox> {
    name: String,
    cluster: &'a Cluster<'sandbox>,
    node: Host,
    began: Instant,
    rng: Rng,
    held: Vec<Held>,
}

/// A session, and until when it lasts for certain.
struct Session {
    id: String,
    renewed: Duration,
}

impl Session {
    fn until(&self) -> Duration {
        self.renewed + TTL
    }
}

impl Client<'_, '_> {
    fn run(mut self, wanted: &AtomicBool) -> Vec<Held> {
        while wanted.load(Ordering::Relaxed) {
            let Some(mut session) = self.begin() else { continue };
            while wanted.load(Ordering::Relaxed) && self.now() < session.until() {
                match self.put(&format!("/v1/kv/lock?acquire={}", session.id)).as_deref() {
                    Some("true") if !self.hold(&mut session) => break,
                    Some("ended") => break,
                    _ => pause(PACE),
                }
                if self.now() > session.renewed + TTL / 4 && !self.renew(&mut session) {
                    break;
                }
            }
            self.put(&format!("/v1/session/destroy/{}", session.id));
        }
        self.held
    }

    /// Holds the lock for a while, and lets go of it; whether that is known to be done. If not, it may still be done later: the
    /// session is not to be held with any more.
    fn hold(&mut self, session: &mut Session) -> bool {
        let from = self.now();
        let long = self.rng.one_in(10);
        let lasts =
            Duration::from_millis(if long { 4_000 } else { u64::try_from(self.rng.below(120)).expect("small") });
        while self.now() < from + lasts && self.now() < session.until() {
            if self.now() > session.renewed + TTL / 4 && !self.renew(session) {
                break;
            }
            pause(Duration::from_millis(1));
        }
        let to = self.now().min(session.until());
        self.held.push(Held { client: self.name.clone(), session: session.id.clone(), from, to });
        self.put(&format!("/v1/kv/lock?release={}", session.id)).is_some()
    }

    fn begin(&self) -> Option<Session> {
        let renewed = self.now();
        let body = r#"{"TTL": "10s", "LockDelay": "1s"}"#;
        let response = self.cluster.http(self.node, "PUT", "/v1/session/create", body);
        let made = response.ok().filter(|response| response.status == 200).map(|response| response.body);
        let Some(made) = made.and_then(|made| serde_json::from_str::<Value>(&made).ok()) else {
            pause(PACE);
            return None;
        };
        Some(Session { id: made["ID"].as_str()?.to_owned(), renewed })
    }

    /// Whether the session is there still, as far as is known.
    fn renew(&self, session: &mut Session) -> bool {
        let asked = self.now();
        match self.put(&format!("/v1/session/renew/{}", session.id)) {
            Some(answer) if answer == "gone" => false,
            Some(_) => {
                session.renewed = asked;
                true
            }
            None => true,
        }
    }

    /// What was answered; `ended` if there is no such session, `gone` if nothing is there; none if it is not known.
    fn put(&self, path: &str) -> Option<String> {
        let response = self.cluster.http(self.node, "PUT", path, &self.name).ok()?;
        match response.status {
            200 => Some(response.body.trim().to_owned()),
            404 => Some("gone".to_owned()),
            500 if response.body.contains("invalid session") => Some("ended".to_owned()),
            _ => None,
        }
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }
}

#[allow(clippy::disallowed_methods, reason = "a seed that is never the same twice")]
fn new_seed() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.expect("it is after 1970").as_millis().try_into().expect("it is long until then")
}

/// How many clients each machine has. Source: none, chosen: two, so that there is also a fight on one machine.
const CLIENTS: u8 = 2;

/// A session lasts so long at least from when it was last renewed. Source: the shortest TTL of Consul.
const TTL: Duration = Duration::from_secs(10);

/// For how long there are faults. Source: none, chosen.
const LENGTH: Duration = Duration::from_secs(46);

/// For how long there are none after them: a session that nobody renews ends, and its lock delay, and 2 s.
const AFTERWARDS: Duration = Duration::from_secs(14);

/// The time between two attempts. Source: none, chosen.
const PACE: Duration = Duration::from_millis(20);

/// So often at least the clients of a machine have the lock, for the test to say something. Source: none, chosen: a tenth of
/// what was seen.
const LEAST: usize = 5;
