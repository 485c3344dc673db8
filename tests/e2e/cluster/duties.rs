//! What a node has to say about an instance at a time: what all promises are judged by.

use std::{collections::BTreeMap, time::Duration};

use super::{
    history::{Answer, Fault, History, Instance, Seen, State, Way, What},
    levels::{Level, levels},
    troubles::{LEASE, RECOVERED_AFTER, Span, Spans, absences, delays},
};

/// A history, and what follows from it for every answer.
pub struct Duties<'a> {
    pub history: &'a History,
    /// In the order in which they were asked for, by node and way.
    pub answers: BTreeMap<(u8, Way), Vec<&'a Answer>>,
    /// By instance, the levels in order.
    pub levels: BTreeMap<Instance, Vec<Known>>,
    /// By node, when its instances may be missing elsewhere.
    absences: BTreeMap<u8, Spans>,
    /// By node, when changes are late between it and etcd.
    delays: BTreeMap<u8, Spans>,
}

/// A level, and since when each node knows it.
pub struct Known {
    pub level: Level,
    pub by: BTreeMap<u8, Duration>,
}

/// What an answer has to say about an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Duty {
    pub state: State,
    /// Since when it is so.
    pub since: Duration,
    /// Since when the node has to say so.
    pub known: Duration,
    pub why: Why,
}

/// Why an answer has to say that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// It is the node's own instance.
    Own,
    /// It was acknowledged long enough ago on a node that lives.
    Known,
    /// The same, and its node is away, but not long enough to be given up.
    Leased,
    /// Its node is gone.
    Gone,
}

impl<'a> Duties<'a> {
    pub fn of(history: &'a History) -> Duties<'a> {
        let faults = &history.faults;
        let mut answers: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for answer in &history.answers {
            answers.entry((answer.node, answer.by)).or_default().push(answer);
        }
        answers.values_mut().for_each(|answers| answers.sort_by_key(|answer| answer.asked));
        let instances = history.begin.keys().copied().chain(history.operations.iter().map(|done| done.instance));
        let mut duties = Duties {
            history,
            answers,
            levels: BTreeMap::new(),
            absences: NODES.map(|node| (node, absences(faults, node))).into(),
            delays: NODES.map(|node| (node, Spans::of(delays(faults, node)))).into(),
        };
        for instance in instances {
            if !duties.levels.contains_key(&instance) {
                let levels = levels(history, instance).into_iter();
                let known = levels.map(|level| duties.known(instance, level)).collect();
                duties.levels.insert(instance, known);
            }
        }
        duties
    }

    /// What an answer has to say about an instance; none if it may be one thing or another.
    pub fn duty(&self, instance: Instance, answer: &Answer) -> Option<Duty> {
        let (asked, answered) = (answer.asked, answer.answered);
        if let Some(fault) = self.gone(instance.node, answer) {
            return Some(Duty { state: State::Absent, since: fault.began, known: asked, why: Why::Gone });
        }
        let levels = &self.levels[&instance];
        let at = levels.partition_point(|known| known.level.from <= asked).checked_sub(1)?;
        let Known { level, by } = &levels[at];
        let (state, since) = (level.state().filter(|_| answered < level.until)?, level.from);
        if instance.node == answer.node {
            return Some(Duty { state, since, known: since, why: Why::Own });
        }
        let known = by[&answer.node];
        let duty = |why| Some(Duty { state, since, known, why });
        if asked < known {
            return None;
        }
        match self.absences[&instance.node].touching(asked, answered) {
            Some(_) if state == State::Absent => duty(Why::Known),
            Some(span) if self.is_leased(instance.node, span, answered) => duty(Why::Leased),
            Some(_) => None,
            None => duty(Why::Known),
        }
    }

    /// Whether changes go at their usual pace between two nodes, all of this time.
    pub fn is_quiet(&self, nodes: [u8; 2], from: Duration, to: Duration) -> bool {
        nodes.iter().all(|node| self.delays[node].touching(from, to).is_none())
    }

    /// What the last faults left behind is in order from here on.
    pub fn settled(&self) -> Duration {
        let healed = self.history.faults.iter().map(|fault| fault.healed).max();
        healed.map_or(Duration::ZERO, |healed| healed + SETTLED_AFTER)
    }

    fn known(&self, instance: Instance, level: Level) -> Known {
        let by = |node: u8| {
            let late = Spans::of([node, instance.node].iter().flat_map(|node| delays(&self.history.faults, *node)));
            // What holds from the begin is known to all; a fault may take nothing of it away.
            let mut known = match level.from {
                Duration::ZERO => Duration::ZERO,
                from => late.done_by(from, PASSED_ON_WITHIN),
            };
            for fault in self.history.faults.iter().filter(|fault| fault.what == What::Killed(node)) {
                // What was not yet on its disk it has to be told again.
                if level.from > Duration::ZERO && (level.from..known + MIRRORED_WITHIN).contains(&fault.from) {
                    known = known.max(late.done_by(fault.from, PASSED_ON_WITHIN));
                }
            }
            (node, known)
        };
        Known { by: NODES.map(by).into(), level }
    }

    /// The fault for which all of a node's instances must be gone from an answer.
    fn gone(&self, node: u8, answer: &Answer) -> Option<&Fault> {
        let is = |fault: &&Fault| {
            let after = match fault.what {
                What::Killed(its) | What::Frozen(its) | What::CutOff(its) if its == node => LEASE + LEFT_WITHIN,
                What::Stopped(its) if its == node => PASSED_ON_WITHIN,
                _ => return false,
            };
            let in_time = fault.began + after <= answer.asked && answer.answered < fault.ends;
            // Whoever is cut off, and etcd after it was, may be late to hear of it.
            in_time && self.delays[&answer.node].touching(fault.from, answer.answered).is_none()
        };
        if node == answer.node { None } else { self.history.faults.iter().find(is) }
    }

    /// Whether the lease of a node still holds at this time, though the node is away since the span's begin.
    fn is_leased(&self, node: u8, span: Span, at: Duration) -> bool {
        let others = self.history.faults.iter().filter(|fault| fault.from <= at && span.from <= fault.healed);
        let mut theirs = others.filter(|fault| match fault.what {
            What::Stopped(its) => its == node,
            What::Wiped | What::NoQuorum | What::MemberAway => true,
            What::LinkLost(its) => its == node,
            _ => false,
        });
        // A fault shortly before may have kept it from being renewed.
        let before = span.from.saturating_sub(RECOVERED_AFTER);
        let fresh = !self.history.faults.iter().any(|fault| {
            let store = matches!(fault.what, What::Wiped | What::NoQuorum | What::MemberAway);
            let link = fault.what == What::LinkLost(node);
            (store || link) && (before..span.from).contains(&fault.healed)
        });
        let brief = span.to.saturating_sub(span.from + RECOVERED_AFTER) <= BRIEF;
        fresh && theirs.next().is_none() && (brief || at < span.from + LEASE_LEFT_MIN)
    }
}

impl Duty {
    /// Whether an answer says otherwise; false where it says nothing.
    pub fn is_broken_by(&self, instance: Instance, answer: &Answer) -> bool {
        let seen = match &answer.seen {
            Seen::Instances(instances) => instances.get(&instance).copied().unwrap_or(State::Absent),
            Seen::NoName => State::Absent,
            Seen::Failed(_) => return false,
        };
        // DNS tells the passing ones, and of others nothing.
        match answer.by {
            Way::Http => seen != self.state,
            Way::Dns => (seen == State::Passing) != (self.state == State::Passing),
        }
    }
}

/// The nodes there are.
pub const NODES: [u8; 3] = [1, 2, 3];

/// How long a change may take at most while there are no faults. Source: none, chosen: twenty times what 99 of 100 may
/// take, so that it holds on a busy machine.
pub const PASSED_ON_WITHIN: Duration = Duration::from_secs(2);

/// How long after a node's lease its instances may still be answered.
const LEFT_WITHIN: Duration = Duration::from_secs(5);

/// How long after all faults there are no differences any more.
const SETTLED_AFTER: Duration = Duration::from_secs(30);

/// How long what is mirrored may be on its way to the disk. Source: it is written behind, as results of checks are.
const MIRRORED_WITHIN: Duration = Duration::from_secs(5);

/// What at least is left of a lease. Source: it is renewed every third; 1 s for a renewal that is late.
const LEASE_LEFT_MIN: Duration = Duration::from_millis(5_600);

/// A fault that no lease ends for. Source: none, chosen: what is left of the lease, less TCP's next attempt to send.
const BRIEF: Duration = Duration::from_millis(2_500);
