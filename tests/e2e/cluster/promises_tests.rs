//! Histories made by hand: one that keeps every promise, and that one with something wrong in it.

use std::{collections::BTreeMap, ops::Range, sync::Arc, time::Duration};

use super::{
    duties::{Duties, NODES},
    history::{Answer, Fault, History, Instance, Operation, Outcome, Seen, State, Verb, Way, What},
    promises::{PROMISES, Verdict},
};

#[test]
fn a_history_in_which_all_goes_well_keeps_every_promise() {
    breaks(|_| {}, &[]);
    assert!(judge(&good()).is_kept());
}

#[test]
fn an_empty_history_keeps_no_promise() {
    let verdict = judge(&History::default());
    assert!(!verdict.is_kept());
    assert!(verdict.0.values().all(|findings| findings.held == 0));
    assert!(!Verdict::default().is_kept());
}

#[test]
fn a_history_in_which_one_promise_is_not_tested_keeps_not_all() {
    let untested = |mutate: fn(&mut History), promise: &str| {
        let mut history = good();
        mutate(&mut history);
        let verdict = judge(&history);
        let findings = verdict.0.iter().find(|(what, _)| what.contains(promise)).unwrap().1;
        assert!(findings.held == 0 && !verdict.is_kept(), "{promise}\n{verdict}");
    };
    untested(|history| history.faults.clear(), "after its lease");
    untested(|history| history.faults.clear(), "before its node's lease");
    untested(|history| history.answers.retain(|answer| answer.by == Way::Http), "not with nothing");
    untested(
        |history| {
            history.operations.clear();
            history.answers.retain(|answer| answer.asked > s(150));
        },
        "within 100 ms",
    );
}

#[test]
fn histories_add_up() {
    let mut verdict = Verdict::default();
    verdict.add(judge(&good()));
    verdict.add(judge(&good()));
    assert!(verdict.is_kept());
    let mut wrong = good();
    forget(&mut wrong, 1, BORN, s(150)..s(151));
    verdict.add(judge(&wrong));
    assert!(!verdict.is_kept() && !verdict.is_unbroken());
}

#[test]
fn an_own_instance_is_never_missing() {
    breaks(|history| forget(history, 1, STAYS, ms(5_000)..ms(5_030)), &["a node answers what"]);
    // Not at the first moment after it was acknowledged, either.
    breaks(|history| forget(history, 1, BORN, ms(4_050)..ms(4_110)), &["a node answers what"]);
    // Nor when the process is back after it was killed.
    breaks(|history| forget(history, 3, DIES, ms(40_000)..ms(40_100)), &["a node answers what"]);
}

#[test]
fn an_instance_of_a_living_node_is_never_missing_elsewhere() {
    breaks(|history| forget(history, 2, STAYS, s(65)..ms(65_100)), &["a node answers the instances of all"]);
    // While another node dies, either.
    breaks(|history| forget(history, 2, STAYS, s(20)..ms(20_100)), &["a node answers the instances of all"]);
}

#[test]
fn what_befalls_etcd_takes_no_instance_away() {
    let with = |what: What, wrong: bool, broken: &[&str]| {
        breaks(
            |history| {
                history.faults.push(fault(what, s(64), s(70)));
                if wrong {
                    forget(history, 2, STAYS, s(65)..ms(65_100));
                }
            },
            broken,
        );
    };
    with(What::MemberAway, true, &["a node answers the instances of all"]);
    with(What::NoQuorum, true, &["a node answers the instances of all"]);
    with(What::LinkLost(1), true, &["a node answers the instances of all"]);
    with(What::MemberAway, false, &[]);
    with(What::Wiped, true, &["a node answers the instances of all"]);
    // A node whose lease may have ended explains it.
    with(What::CutOff(1), true, &["no instance is missing before"]);
}

#[test]
fn a_change_takes_no_longer_than_100_ms() {
    let slow = &["a change is answered by other nodes within 100 ms"];
    // BORN is registered at 4 s, and passed on by 4.02 s.
    breaks(|history| forget(history, 2, BORN, s(4)..ms(4_300)), slow);
    breaks(|history| tell(history, 2, BORN, State::Critical, ms(110_000)..ms(110_300)), slow);
    // By a cut that is healed it is explained for a while.
    breaks(
        |history| {
            history.faults.push(fault(What::CutOff(2), ms(109_000), ms(109_950)));
            tell(history, 2, BORN, State::Critical, ms(110_000)..ms(112_000));
        },
        &[],
    );
}

#[test]
fn a_change_that_is_late_after_a_fault_is_found() {
    // Healed at 109.9 s: 20 s later all is in order, and others are in order all the time.
    let cut = |node: u8, broken: &[&str]| {
        breaks(
            |history| {
                history.faults.push(fault(What::CutOff(1), ms(109_000), ms(109_950)));
                tell(history, node, BORN, State::Critical, ms(110_000)..ms(131_000));
            },
            broken,
        );
    };
    cut(2, &["a node answers the instances of all"]);
    cut(1, &["a node answers what"]);
}

#[test]
fn an_instance_stays_until_the_lease_of_its_node_has_ended() {
    breaks(|history| forget(history, 1, DIES, ms(10_100)..ms(10_300)), &["no instance is missing before"]);
    // What befalls etcd later is no excuse.
    breaks(
        |history| {
            history.faults.push(fault(What::MemberAway, s(30), s(31)));
            forget(history, 1, DIES, ms(10_100)..ms(10_300));
        },
        &["no instance is missing before"],
    );
    // After a clean stop it goes at once.
    breaks(
        |history| {
            history.faults[0].what = What::Stopped(3);
            forget(history, 1, DIES, ms(10_100)..s(22));
            forget(history, 2, DIES, ms(10_100)..s(22));
        },
        &[],
    );
}

#[test]
fn an_instance_of_a_dead_node_goes() {
    for what in [What::Killed(3), What::Frozen(3), What::CutOff(3)] {
        let stays = |until: u64, broken: &[&str]| {
            breaks(
                |history| {
                    history.faults[0].what = what;
                    tell(history, 2, DIES, State::Passing, s(22)..s(until));
                },
                broken,
            );
        };
        stays(26, &["the instances of a dead node"]);
        stays(25, &[]);
    }
    // After a clean stop it is to go at once, and here it stays for the lease.
    breaks(|history| history.faults[0].what = What::Stopped(3), &["the instances of a dead node"]);
}

#[test]
fn an_instance_of_a_node_that_is_back_is_answered_again() {
    breaks(|history| forget(history, 2, DIES, s(41)..s(59)), &[]);
    breaks(|history| forget(history, 2, DIES, s(41)..s(62)), &["a node answers the instances of all"]);
}

#[test]
fn what_is_deregistered_stays_away() {
    // GOES is deregistered at 6 s.
    breaks(|history| tell(history, 2, GOES, State::Passing, s(6)..ms(6_300)), &["what is deregistered"]);
    breaks(|history| tell(history, 2, GOES, State::Passing, s(50)..ms(50_100)), &["what is deregistered"]);
    let nobodys = Instance { node: 2, slot: 77 };
    breaks(|history| tell(history, 1, nobodys, State::Passing, s(50)..ms(50_100)), &["what is deregistered"]);
}

#[test]
fn in_the_end_all_nodes_agree() {
    let late = s(170);
    breaks(
        |history| forget(history, 3, STAYS, late..s(180)),
        &["a node answers the instances of all", "once all faults are healed"],
    );
    breaks(
        |history| tell(history, 3, GOES, State::Passing, late..s(180)),
        &["once all faults are healed", "what is deregistered"],
    );
    breaks(|history| forget(history, 3, DIES, late..s(180)), &["a node answers what", "once all faults are healed"]);
    breaks(
        |history| history.answers.retain(|answer| answer.node != 3 || answer.asked < s(60)),
        &["once all faults are healed"],
    );
}

#[test]
fn an_answer_is_not_empty() {
    let say = |seen: Seen, broken: &[&str]| {
        breaks(
            |history| {
                let at = history.answers.iter_mut().find(|answer| at(answer, 2, Way::Dns, s(90))).unwrap();
                at.seen = seen;
            },
            broken,
        );
    };
    say(
        Seen::Instances(Arc::default()),
        &["a node answers the instances of all", "a service with a", "once all faults"],
    );
    say(Seen::NoName, &["a node answers the instances of all", "a service with a", "once all faults"]);
    say(Seen::Failed("rcode 2".into()), &["a node that lives", "a service with a"]);
    say(Seen::Failed("timed out".into()), &["a node that lives"]);
}

#[test]
fn calls_and_questions_are_answered_by_who_lives() {
    breaks(|history| history.operations[1].outcome = Outcome::Unknown("500".into()), &["a node that lives"]);
    breaks(|history| history.operations[1].ended += s(6), &["a node that lives"]);
    breaks(
        |history| {
            let frozen = |answer: &&mut Answer| at(answer, 3, Way::Dns, s(30));
            assert!(history.answers.iter_mut().find(frozen).is_none(), "who is dead does not answer");
            let asked = ms(30_001);
            let seen = Seen::Failed("refused".into());
            history.answers.push(Answer { node: 3, by: Way::Dns, asked, answered: asked, seen });
        },
        &[],
    );
}

#[test]
fn a_call_without_an_end_may_have_taken_effect_or_not() {
    let call = Operation { outcome: Outcome::Unknown("reset".into()), ..operation(DIES, Verb::Fail, 10_000) };
    let killed = |state: Option<State>| {
        breaks(
            |history| {
                history.operations.push(call.clone());
                if let Some(state) = state {
                    tell(history, 3, DIES, state, s(40)..s(180));
                    tell(history, 1, DIES, state, s(41)..s(180));
                    tell(history, 2, DIES, state, s(41)..s(180));
                }
            },
            &[],
        );
    };
    killed(None);
    killed(Some(State::Critical));
    // Acknowledged just before it was killed it may have been lost; long before, not.
    let call = |at| Operation { outcome: Outcome::Acknowledged, ..operation(DIES, Verb::Fail, at) };
    let back = |history: &mut History, at: u64| {
        history.operations.push(call(at));
        for node in NODES {
            tell(history, node, DIES, State::Critical, ms(at)..ms(10_000));
        }
        [1, 2].into_iter().for_each(|node| tell(history, node, DIES, State::Critical, s(10)..s(22)));
    };
    breaks(|history| back(history, 9_000), &[]);
    // The client may read the response when the process is gone already.
    breaks(
        |history| {
            back(history, 9_900);
            history.operations.last_mut().unwrap().ended = ms(10_050);
        },
        &[],
    );
    breaks(
        |history| back(history, 7_000),
        &["a node answers the instances of all", "a node answers what", "once all faults are healed"],
    );
}

#[test]
fn an_instance_is_known_by_its_id_and_by_its_port() {
    for instance in [STAYS, BORN, Instance { node: 3, slot: 99 }] {
        assert_eq!(Instance::of_port(instance.port()), Some(instance));
        assert_eq!(Instance::of_id(&instance.to_string()), Some(instance));
    }
    assert!([0, 80, 10_099, 10_400].map(Instance::of_port).iter().all(Option::is_none));
    assert!(["nameplate", "n1", "web-1"].map(Instance::of_id).iter().all(Option::is_none));
}

#[test]
fn a_history_is_written_as_json_lines() {
    let mut written = Vec::new();
    let history = good();
    history.write(&mut written).unwrap();
    let lines: Vec<serde_json::Value> =
        String::from_utf8(written).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 1 + history.operations.len() + history.answers.len() + history.faults.len());
    assert_eq!(lines[0]["begin"]["n1-00"], "Passing");
    assert_eq!(lines[1]["operation"]["verb"], "Register");
    assert_eq!(lines.last().unwrap()["fault"]["how"], "Killed(3)");
}

/// Three minutes of three nodes, which look at each other every 100 ms by DNS and by HTTP.
///
/// n3 is killed at 10 s and is back at 40 s; its instance is gone elsewhere from 22 s on. BORN is registered at 4 s,
/// critical from 100 s to 110 s; GOES is deregistered at 6 s.
fn good() -> History {
    let mut history = History {
        begin: [(STAYS, State::Passing), (DIES, State::Passing), (GOES, State::Passing)].into(),
        operations: vec![
            operation(BORN, Verb::Register, 4_000),
            operation(GOES, Verb::Deregister, 6_000),
            operation(BORN, Verb::Fail, 100_000),
            operation(BORN, Verb::Pass, 110_000),
        ],
        answers: Vec::new(),
        faults: vec![fault(What::Killed(3), s(10), s(40))],
    };
    for tick in 0..1_800 {
        let at = ms(tick * 100);
        for node in NODES {
            if node == 3 && (s(10)..s(40)).contains(&at) {
                continue;
            }
            // Others are told 20 ms later.
            let after = |from: u64, owner: u8| at >= ms(from + if owner == node { 0 } else { 20 });
            let mut instances = BTreeMap::from([(STAYS, State::Passing)]);
            if after(4_000, 1) {
                let critical = after(100_000, 1) && !after(110_000, 1);
                instances.insert(BORN, if critical { State::Critical } else { State::Passing });
            }
            if !after(6_000, 2) {
                instances.insert(GOES, State::Passing);
            }
            if node == 3 || !(s(22)..ms(40_500)).contains(&at) {
                instances.insert(DIES, State::Passing);
            }
            for by in [Way::Dns, Way::Http] {
                let mut seen = instances.clone();
                seen.retain(|_, state| by == Way::Http || *state == State::Passing);
                let seen = Seen::Instances(Arc::new(seen));
                history.answers.push(Answer { node, by, asked: at, answered: at + ms(1), seen });
            }
        }
    }
    history
}

const STAYS: Instance = Instance { node: 1, slot: 0 };
const BORN: Instance = Instance { node: 1, slot: 1 };
const GOES: Instance = Instance { node: 2, slot: 0 };
const DIES: Instance = Instance { node: 3, slot: 0 };

/// With this change exactly these promises are broken, by the begin of what holds.
#[track_caller]
fn breaks(change: impl FnOnce(&mut History), broken: &[&str]) {
    let mut history = good();
    change(&mut history);
    let verdict = judge(&history);
    let found: Vec<_> = verdict.0.iter().filter(|(_, findings)| findings.broke > 0).map(|(what, _)| *what).collect();
    let same =
        found.len() == broken.len() && broken.iter().all(|start| found.iter().any(|what| what.starts_with(start)));
    assert!(same, "to be broken: {broken:?}\n{verdict}");
    let reasons = verdict.0.values().flat_map(|findings| &findings.reasons);
    reasons.for_each(|reason| assert!(reason.contains('n') && reason.contains('s'), "names node and time: {reason}"));
}

fn judge(history: &History) -> Verdict {
    let verdict = Verdict::of(&Duties::of(history));
    assert_eq!(verdict.0.len(), PROMISES.len(), "each has words of its own");
    verdict
}

/// A node does not tell of an instance then.
fn forget(history: &mut History, node: u8, instance: Instance, then: Range<Duration>) {
    tell(history, node, instance, State::Absent, then);
}

/// A node tells another state of an instance then.
fn tell(history: &mut History, node: u8, instance: Instance, state: State, then: Range<Duration>) {
    let mut changed = 0;
    for answer in &mut history.answers {
        if answer.node == node && then.contains(&answer.asked) {
            let Seen::Instances(seen) = &mut answer.seen else { continue };
            let seen = Arc::make_mut(seen);
            match (state, answer.by) {
                (State::Absent, _) | (State::Critical, Way::Dns) => drop(seen.remove(&instance)),
                _ => drop(seen.insert(instance, state)),
            }
            changed += 1;
        }
    }
    assert!(changed > 0, "there are answers then");
}

fn at(answer: &Answer, node: u8, by: Way, asked: Duration) -> bool {
    answer.node == node && answer.by == by && answer.asked == asked
}

/// Acknowledged at this time, at once.
fn operation(instance: Instance, verb: Verb, at_ms: u64) -> Operation {
    let at = ms(at_ms);
    Operation { instance, verb, started: at.saturating_sub(ms(1)), ended: at, outcome: Outcome::Acknowledged }
}

fn fault(what: What, from: Duration, healed: Duration) -> Fault {
    Fault { what, how: format!("{what:?}"), from, began: from, ends: healed, healed }
}

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}
