//! `kill -9` again and again while clients register.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicU32, Ordering},
    },
    thread,
};

use serde_json::json;

use crate::{
    dns::{Asker, SRV},
    http,
    sandbox::{Sandbox, scenario},
    server::serve,
    until::{SOON, until},
};

#[test]
fn what_was_acknowledged_survives_kill_9() {
    scenario("kill", |sandbox| {
        let ledger = Ledger::default();
        for round in 0..ROUNDS {
            let server = start(sandbox);
            ledger.compare();
            let acknowledged = AtomicU32::new(0);
            thread::scope(|scope| {
                for client in 0..CLIENTS {
                    let (ledger, acknowledged) = (&ledger, &acknowledged);
                    scope.spawn(move || ledger.register_until_killed(client, acknowledged));
                }
                // Another number each round, so that it is killed at another place of its work.
                let enough = 5 + round * 37 % 200;
                until("enough is registered", SOON, || (acknowledged.load(Ordering::Relaxed) >= enough).then_some(()));
                server.kill();
            });
        }
        let server = start(sandbox);
        ledger.compare();
        server.kill();
    });
}

fn start(sandbox: &Sandbox) -> crate::sandbox::Process<'_> {
    serve(sandbox, "--data-dir data --forward off --dns 127.0.0.1:8600")
}

/// What was sent and what was acknowledged, by service ID.
#[derive(Default)]
struct Ledger(Mutex<BTreeMap<String, Versions>>);

/// Every registration of an ID has a higher version than the one before.
#[derive(Default)]
struct Versions {
    sent: u32,
    /// 0: none yet.
    acknowledged: u32,
}

impl Ledger {
    /// Registers in turn a new instance and the client's first one anew, until there is no response any more.
    fn register_until_killed(&self, client: u32, acknowledged: &AtomicU32) {
        loop {
            let next = self.0.lock().unwrap().range(format!("c{client}-")..format!("c{client}.")).count();
            for id in [format!("c{client}-{next}"), format!("c{client}-0")] {
                let version = {
                    let mut ledger = self.0.lock().unwrap();
                    let versions = ledger.entry(id.clone()).or_default();
                    versions.sent += 1;
                    versions.sent
                };
                let body = definition(&id, version).to_string();
                let Ok(response) = http::request("PUT", "/v1/agent/service/register", &body) else { return };
                assert_eq!(response.status, 200, "{}", response.body);
                self.0.lock().unwrap().get_mut(&id).unwrap().acknowledged = version;
                acknowledged.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Everything acknowledged is served, and all that is served was sent, whole.
    fn compare(&self) {
        let served = http::read("/v1/agent/services");
        let mut asker = Asker::new(([127, 0, 0, 1], 8600));
        for (id, versions) in self.0.lock().unwrap().iter_mut() {
            let Some(instance) = served.get(id) else {
                assert_eq!(versions.acknowledged, 0, "{id} was acknowledged and is lost");
                continue;
            };
            let version = instance["Meta"]["version"].as_str().unwrap().parse().unwrap();
            assert!((versions.acknowledged..=versions.sent).contains(&version), "{id} is served as of {version}");
            let whole = definition(id, version);
            for (served, sent) in [("Service", "Name"), ("Address", "Address"), ("Port", "Port"), ("Tags", "Tags")] {
                assert_eq!(instance[served], whole[sent], "{id} is half-written: {instance}");
            }
            let answer = asker.ask(&format!("{id}._id.web.service.internal"), SRV).unwrap();
            assert_eq!(answer.ports, [port(version)], "{id} in DNS");
            // What was read from disk once will be there the next time too.
            versions.acknowledged = version;
        }
        let known = self.0.lock().unwrap();
        for id in served.as_object().unwrap().keys().filter(|id| *id != "nameplate") {
            assert!(known.contains_key(id), "{id} is served and was never sent");
        }
    }
}

/// A registration whose every part tells the version.
fn definition(id: &str, version: u32) -> serde_json::Value {
    json!({
        "Name": "web", "ID": id, "Address": format!("192.0.2.{}", 1 + version % 250), "Port": port(version),
        "Tags": [format!("v{version}"), "x".repeat(version as usize % 50 + 1)], "Meta": { "version": version.to_string() },
    })
}

fn port(version: u32) -> u16 {
    u16::try_from(1_024 + version % 60_000).unwrap()
}

/// How often it is killed. Source: none, chosen: half a second each.
const ROUNDS: u32 = 20;

/// How many register at a time.
const CLIENTS: u32 = 8;
