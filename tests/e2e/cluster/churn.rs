//! Clients register and resolve on all nodes while nodes, members of etcd and links fail, at random; then everything
//! that was told is held against the promises.
//!
//! | variable | |
//! |---|---|
//! | `NAMEPLATE_CLUSTER_SECONDS` | how long, in stretches of a minute and a half each; 180 |
//! | `NAMEPLATE_CLUSTER_SEED` | what is done when, as a run before printed it |
//!
//! **Limits:** a seed repeats what is done and about when, not how the machine's cores are shared out meanwhile. Of a stretch
//! that breaks a promise the history is written to a file, as JSON lines; that of others is forgotten.

use std::{
    collections::BTreeMap,
    env, fs, io,
    panic::resume_unwind,
    path::PathBuf,
    sync::atomic::Ordering,
    thread,
    time::{Duration, SystemTime},
};

use super::{
    duties::{Duties, NODES},
    faults::{Decks, Plan, run},
    history::{History, Instance, State},
    hosts::Cluster,
    load::{Load, Record, absent},
    net::Host,
    promises::Verdict,
    troubles::RECOVERED_AFTER,
};
use crate::{rng::Rng, sandbox::scenario_alone, until::pause};

#[test]
fn what_is_promised_holds_whatever_is_killed_frozen_or_cut_off() {
    let seed = variable("NAMEPLATE_CLUSTER_SEED").unwrap_or_else(new_seed);
    let length = Duration::from_secs(variable("NAMEPLATE_CLUSTER_SECONDS").unwrap_or(180));
    println!("NAMEPLATE_CLUSTER_SEED={seed} repeats this");
    scenario_alone("cluster-churn", |sandbox| {
        let cluster = Cluster::with_members(sandbox);
        cluster.start_sharing(&Host::NODES);
        let stretches = u32::try_from(length.as_secs() / STRETCH.as_secs()).expect("it is small").max(1);
        let (mut rng, mut decks) = (Rng::new(seed), Decks::new());
        let mut verdict = Verdict::default();
        let mut states = absent();
        for number in 0..stretches {
            let faults_end = (length / stretches).max(SHORTEST) - AFTERWARDS;
            let plan = decks.plan(&mut rng, BEFORE, faults_end);
            println!("stretch {number}: {plan:#?}");
            let history;
            (history, states) = stretch(&cluster, &plan, states, &mut rng);
            let found = Verdict::of(&Duties::of(&history));
            println!("stretch {number}:\n{found}");
            if !found.is_unbroken() {
                let file = write(&history, seed, number).unwrap();
                panic!("promises are broken; the history is in {}; the seed is {seed}\n{found}", file.display());
            }
            verdict.add(found);
        }
        assert!(verdict.is_kept(), "some promise was not put to the test; the seed is {seed}\n{verdict}");
    });
}

/// Runs one stretch, and returns its history and what is registered at its end.
fn stretch(
    cluster: &Cluster<'_>,
    plan: &Plan,
    begin: BTreeMap<Instance, State>,
    rng: &mut Rng,
) -> (History, BTreeMap<Instance, State>) {
    let load = Load::new(cluster);
    let mut history = History { begin, ..History::default() };
    let mut states = BTreeMap::new();
    thread::scope(|scope| {
        let clients: Vec<_> = NODES.iter().flat_map(|node| load.start(scope, *node, &history.begin, rng)).collect();
        let faults = [&plan.nodes, &plan.members].map(|steps| scope.spawn(|| run(&load, steps)));
        let faults = faults.map(|lane| lane.join());
        if faults.iter().all(Result::is_ok) {
            pause(RECOVERED_AFTER + CALM);
            load.changes.store(false, Ordering::Relaxed);
            pause(AFTERWARDS - RECOVERED_AFTER - CALM);
        }
        // Whatever failed, the clients are to end.
        load.changes.store(false, Ordering::Relaxed);
        load.asks.store(false, Ordering::Relaxed);
        history.faults.extend(faults.into_iter().flat_map(|lane| lane.unwrap_or_else(|panic| resume_unwind(panic))));
        for client in clients {
            let Record { operations, answers, states: its } =
                client.join().unwrap_or_else(|panic| resume_unwind(panic));
            history.operations.extend(operations);
            history.answers.extend(answers);
            states.extend(its);
        }
    });
    (history, states)
}

fn write(history: &History, seed: u64, stretch: u32) -> io::Result<PathBuf> {
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("cluster-{seed}-{stretch}.jsonl"));
    history.write(io::BufWriter::new(fs::File::create(&file)?))?;
    Ok(file)
}

fn variable(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is a number, not {text}")))
}

#[allow(clippy::disallowed_methods, reason = "a seed that is never the same twice")]
fn new_seed() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.expect("it is after 1970").as_millis().try_into().expect("it is long until then")
}

/// About how long a stretch is: its history is in memory. Source: none, chosen: some 30,000 answers.
const STRETCH: Duration = Duration::from_secs(90);

/// The shortest stretch: a node is away for longer than its lease in it.
const SHORTEST: Duration = Duration::from_secs(75);

/// How long a stretch is without faults at its begin. Source: none, chosen: some 500 changes.
const BEFORE: Duration = Duration::from_secs(8);

/// How long it is without faults at its end: for what they leave behind, for changes, and for answers without.
const AFTERWARDS: Duration = Duration::from_secs(34);

/// How long clients go on with changes when all is as if there had been no faults. Source: none, chosen, as above.
const CALM: Duration = Duration::from_secs(8);
