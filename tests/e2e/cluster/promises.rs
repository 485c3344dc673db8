//! What is promised of several machines, each promise as a function over a history.
//!
//! A promise is kept if nothing in a history breaks it and something in it was held against it: a history in which
//! nothing happens keeps none.

use std::{
    collections::BTreeMap,
    fmt::{self, Display, Formatter},
    time::Duration,
};

use super::{
    duties::{Duties, Duty, NODES, PASSED_ON_WITHIN, Why},
    history::{Answer, Fault, Instance, Outcome, Seen, State, Way, What},
};

/// Every promise, by what holds.
pub const PROMISES: [Promise; 9] = [
    ("a change is answered by other nodes within 100 ms (p99) where there are no faults", changes_arrive),
    ("a node answers what was acknowledged on it", own_instances_are_answered),
    ("a node answers the instances of all nodes that live", others_instances_are_answered),
    ("no instance is missing before its node's lease has ended", leases_are_kept),
    ("the instances of a dead node are gone after its lease", the_dead_leave),
    ("what is deregistered is not answered again", ghosts_stay_away),
    ("once all faults are healed, all nodes answer exactly what is registered", all_agree),
    ("a service with a living instance is answered, and not with nothing", answers_are_not_empty),
    ("a node that lives answers, and takes calls, whatever becomes of etcd", the_living_answer),
];

/// What holds, and the function that finds out.
pub type Promise = (&'static str, fn(&Duties<'_>) -> Findings);

/// What was found about one promise.
#[derive(Debug, Default, Clone)]
pub struct Findings {
    /// How much was held against it.
    pub held: usize,
    /// How much of it broke the promise.
    pub broke: usize,
    /// The first that broke it, as sentences.
    pub reasons: Vec<String>,
}

impl Findings {
    fn broke(&mut self, reason: impl FnOnce() -> String) {
        self.broke += 1;
        if self.reasons.len() < REASONS_MAX {
            self.reasons.push(reason());
        }
    }

    /// Adds what was found in another history.
    pub fn add(&mut self, more: Findings) {
        self.held += more.held;
        self.broke += more.broke;
        self.reasons.extend(more.reasons);
    }
}

/// What was found about all promises.
#[derive(Debug, Default)]
pub struct Verdict(pub BTreeMap<&'static str, Findings>);

impl Verdict {
    /// Holds the history against every promise.
    pub fn of(duties: &Duties<'_>) -> Verdict {
        Verdict(PROMISES.iter().map(|(what, find)| (*what, find(duties))).collect())
    }

    /// Adds what was found in another history.
    pub fn add(&mut self, more: Verdict) {
        more.0.into_iter().for_each(|(what, findings)| self.0.entry(what).or_default().add(findings));
    }

    /// Whether nothing broke a promise.
    pub fn is_unbroken(&self) -> bool {
        self.0.values().all(|findings| findings.broke == 0)
    }

    /// Whether all promises are kept, and each was put to the test.
    pub fn is_kept(&self) -> bool {
        let kept = |what| self.0.get(what).is_some_and(|findings: &Findings| findings.broke == 0 && findings.held > 0);
        PROMISES.iter().all(|(what, _)| kept(what))
    }
}

impl Display for Verdict {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        for (what, findings) in &self.0 {
            let word = match findings {
                Findings { held: 0, broke: 0, .. } => "NOT TESTED",
                Findings { broke: 0, .. } => "kept",
                _ => "BROKEN",
            };
            writeln!(formatter, "{word}: {what} ({} of {} broke it)", findings.broke, findings.held)?;
            findings.reasons.iter().try_for_each(|reason| writeln!(formatter, "    {reason}"))?;
        }
        Ok(())
    }
}

/// Of the changes acknowledged while neither node nor etcd had a fault, 99 of 100 are told by another node by then.
///
/// How long one took is counted up to the last answer that was asked for after it and does not have it.
fn changes_arrive(duties: &Duties<'_>) -> Findings {
    let mut took = Vec::new();
    for (instance, node) in duties.levels.keys().flat_map(|instance| NODES.map(|node| (*instance, node))) {
        let levels = duties.levels[&instance].iter().map(|known| &known.level);
        for level in levels.filter(|level| level.from > Duration::ZERO && node != instance.node) {
            let (from, until) = (level.from, level.until.min(level.from + PASSED_ON_WITHIN));
            let Some(state) = level.state().filter(|_| until - from >= LASTS_MIN) else { continue };
            if !duties.is_quiet([instance.node, node], from, until) {
                continue;
            }
            let duty = Duty { state, since: from, known: from, why: Why::Known };
            let answers =
                [Way::Dns, Way::Http].iter().filter_map(|way| duties.answers.get(&(node, *way))).flat_map(|answers| {
                    let first = answers.partition_point(|answer| answer.asked < from);
                    answers[first..].iter().take_while(|answer| answer.asked <= until && answer.answered < level.until)
                });
            let late = answers.map(|answer| {
                let late = duty.is_broken_by(instance, answer).then_some(answer);
                (late.map_or(Duration::ZERO, |answer| answer.asked - from), late)
            });
            took.extend(late.max_by_key(|(took, _)| *took).map(|(took, late)| (took, late, instance, duty)));
        }
    }
    took.sort_by_key(|(took, ..)| *took);
    let mut findings = Findings { held: took.len(), ..Findings::default() };
    let allowed = took.len() / 100;
    let late: Vec<_> = took.iter().rev().take_while(|(took, ..)| *took > ARRIVES_WITHIN).collect();
    if late.len() > allowed {
        for (took, answer, instance, duty) in late {
            let answer = answer.expect("what is late was seen in an answer");
            findings.broke(|| format!("{took:?} late: {}", told(duties, *instance, answer, *duty)));
        }
    }
    findings
}

fn own_instances_are_answered(duties: &Duties<'_>) -> Findings {
    each_duty(duties, |duty| duty.why == Why::Own && duty.state != State::Absent)
}

fn others_instances_are_answered(duties: &Duties<'_>) -> Findings {
    each_duty(duties, |duty| duty.why == Why::Known && duty.state != State::Absent)
}

fn leases_are_kept(duties: &Duties<'_>) -> Findings {
    each_duty(duties, |duty| duty.why == Why::Leased)
}

fn the_dead_leave(duties: &Duties<'_>) -> Findings {
    each_duty(duties, |duty| duty.why == Why::Gone)
}

/// What nobody ever registered counts as deregistered.
fn ghosts_stay_away(duties: &Duties<'_>) -> Findings {
    let mut findings = each_duty(duties, |duty| duty.why != Why::Gone && duty.state == State::Absent);
    for answer in &duties.history.answers {
        let Seen::Instances(seen) = &answer.seen else { continue };
        for instance in seen.keys().filter(|instance| !duties.levels.contains_key(instance)) {
            findings.broke(|| format!("n{} told of {instance}, which is nobody's", answer.node));
        }
    }
    findings
}

/// Nothing that was acknowledged is lost, and nothing is left of what went: by every node, each way.
fn all_agree(duties: &Duties<'_>) -> Findings {
    let mut findings = Findings::default();
    let settled = duties.settled();
    let ways = NODES.iter().flat_map(|node| [(*node, Way::Dns), (*node, Way::Http)]);
    for (node, by) in ways {
        let answers = duties.answers.get(&(node, by)).map_or(&[][..], Vec::as_slice);
        let late = &answers[answers.partition_point(|answer| answer.asked < settled)..];
        let told = late.iter().filter(|answer| !matches!(answer.seen, Seen::Failed(_)));
        let mut instances = 0;
        for (answer, instance) in told.flat_map(|answer| duties.levels.keys().map(move |instance| (answer, instance))) {
            // No fault explains anything any more, and what changes is late by no more than a change may be.
            let levels = &duties.levels[instance];
            let at = levels.partition_point(|known| known.level.from <= answer.asked).saturating_sub(1);
            let level = &levels[at].level;
            let holds = answer.answered < level.until && level.from + PASSED_ON_WITHIN <= answer.asked;
            let Some(state) = level.state().filter(|_| holds || level.from == Duration::ZERO) else { continue };
            let duty = Duty { state, since: level.from, known: level.from + PASSED_ON_WITHIN, why: Why::Known };
            instances += 1;
            findings.held += 1;
            if duty.is_broken_by(*instance, answer) {
                findings.broke(|| self::told(duties, *instance, answer, duty));
            }
        }
        if instances == 0 {
            let settled = settled.as_secs_f64();
            findings.broke(|| format!("n{node} told nothing by {by:?} after {settled:.3} s, when all was healed"));
        }
    }
    findings
}

/// Where one instance must be answered by DNS, the answer is neither empty nor that there is no such name.
fn answers_are_not_empty(duties: &Duties<'_>) -> Findings {
    let mut findings = Findings::default();
    for (node, _) in duties.answers.keys().filter(|(_, way)| *way == Way::Dns) {
        for answer in &duties.answers[&(*node, Way::Dns)] {
            let must = duties.levels.keys().find_map(|instance| {
                let duty = duties.duty(*instance, answer).filter(|duty| duty.state == State::Passing)?;
                Some((*instance, duty))
            });
            let Some((instance, duty)) = must else { continue };
            findings.held += 1;
            match &answer.seen {
                Seen::Instances(instances) if !instances.is_empty() => {}
                Seen::Failed(error) if !is_error(error) => {}
                seen => findings.broke(|| format!("{seen:?}: {}", told(duties, instance, answer, duty))),
            }
        }
    }
    findings
}

/// Calls and questions to a node that ran all the while were answered in time, calls by taking effect.
fn the_living_answer(duties: &Duties<'_>) -> Findings {
    let mut findings = Findings::default();
    let faults = &duties.history.faults;
    let lived = |node: u8, from: Duration, to: Duration| {
        !faults.iter().any(|fault| match fault.what {
            What::Killed(its) | What::Stopped(its) | What::Frozen(its) => {
                its == node && fault.from <= to && from <= fault.healed
            }
            _ => false,
        })
    };
    for operation in &duties.history.operations {
        let (instance, from, to) = (operation.instance, operation.started, operation.ended);
        if lived(instance.node, from, to) {
            findings.held += 1;
            let failed = operation.outcome != Outcome::Acknowledged;
            if failed || to - from > ANSWERED_WITHIN {
                findings.broke(|| {
                    let (verb, outcome) = (operation.verb, &operation.outcome);
                    format!(
                        "n{}: {verb:?} of {instance} at {:.3} s, by {:.3} s: {outcome:?}; {}",
                        instance.node,
                        from.as_secs_f64(),
                        to.as_secs_f64(),
                        around(faults, from, to)
                    )
                });
            }
        }
    }
    for answer in duties.history.answers.iter().filter(|answer| lived(answer.node, answer.asked, answer.answered)) {
        findings.held += 1;
        let failed = matches!(answer.seen, Seen::Failed(_));
        if failed || answer.answered - answer.asked > ANSWERED_WITHIN {
            findings.broke(|| {
                format!(
                    "n{} asked by {:?} at {:.3} s, by {:.3} s: {:?}; {}",
                    answer.node,
                    answer.by,
                    answer.asked.as_secs_f64(),
                    answer.answered.as_secs_f64(),
                    answer.seen,
                    around(faults, answer.asked, answer.answered)
                )
            });
        }
    }
    findings
}

/// Holds all answers against the duties of a kind.
fn each_duty(duties: &Duties<'_>, of_kind: impl Fn(&Duty) -> bool) -> Findings {
    let mut findings = Findings::default();
    for answer in duties.history.answers.iter().filter(|answer| !matches!(answer.seen, Seen::Failed(_))) {
        for instance in duties.levels.keys() {
            let Some(duty) = duties.duty(*instance, answer).filter(&of_kind) else { continue };
            findings.held += 1;
            if duty.is_broken_by(*instance, answer) {
                findings.broke(|| told(duties, *instance, answer, duty));
            }
        }
    }
    findings
}

/// What an answer says and ought to say about an instance.
fn told(duties: &Duties<'_>, instance: Instance, answer: &Answer, duty: Duty) -> String {
    let seen = match &answer.seen {
        Seen::Instances(instances) => instances.get(&instance).map_or("absent".into(), |state| format!("{state:?}")),
        other => format!("{other:?}"),
    };
    let (asked, since, known) = (answer.asked.as_secs_f64(), duty.since.as_secs_f64(), duty.known.as_secs_f64());
    let faults = around(&duties.history.faults, answer.asked.saturating_sub(LOOK_BACK), answer.answered);
    let state = match duty.why {
        Why::Gone => "gone, with its node,".to_owned(),
        _ => format!("{:?}", duty.state),
    };
    format!(
        "n{} asked by {:?} at {asked:.3} s told {instance} {seen}: it is {state} since {since:.3} s, which n{} had to tell \
         from {known:.3} s on; {faults}",
        answer.node, answer.by, answer.node
    )
}

/// The faults of a time, for people.
fn around(faults: &[Fault], from: Duration, to: Duration) -> String {
    let then = faults.iter().filter(|fault| fault.from <= to && from <= fault.healed);
    let then: Vec<_> = then
        .map(|fault| format!("{} {:.3}..{:.3} s", fault.how, fault.from.as_secs_f64(), fault.healed.as_secs_f64()))
        .collect();
    if then.is_empty() { "no faults".into() } else { then.join(", ") }
}

/// Whether a failure is an answer, and not that there was none.
fn is_error(failure: &str) -> bool {
    failure.starts_with("rcode")
}

/// Within what time 99 of 100 changes arrive. Source: what is promised.
const ARRIVES_WITHIN: Duration = Duration::from_millis(100);

/// How long a state lasts at least whose arrival is measured. Source: none, chosen: more than twice the above.
const LASTS_MIN: Duration = Duration::from_millis(250);

/// Most time for a call or question. Source: the server's own for a busy writer.
const ANSWERED_WITHIN: Duration = Duration::from_secs(5);

/// How far before an answer faults are told. Source: none, chosen: those that may still matter.
const LOOK_BACK: Duration = Duration::from_secs(30);

/// Most sentences for a promise in one history.
const REASONS_MAX: usize = 5;
