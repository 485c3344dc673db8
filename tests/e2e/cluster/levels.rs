//! What state an instance may be in at what time, by the calls of the one client that changes it.

use std::time::Duration;

use super::history::{History, Instance, Outcome, State, What};

/// A stretch of time in which an instance is in one of some states, from `from` on until just before `until`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Level {
    pub from: Duration,
    pub until: Duration,
    /// More than one: nobody but the node can tell.
    states: Vec<State>,
}

impl Level {
    /// The state, if there is but one that it can be.
    pub fn state(&self) -> Option<State> {
        match *self.states {
            [state] => Some(state),
            _ => None,
        }
    }
}

/// The levels of an instance, in order; together they are all time.
pub fn levels(history: &History, instance: Instance) -> Vec<Level> {
    let begin = history.begin.get(&instance).copied().unwrap_or(State::Absent);
    let mut levels = vec![Level { from: Duration::ZERO, until: Duration::MAX, states: vec![begin] }];
    // Since the last call that is on disk once it is acknowledged: when flips ended, and what else it could be before.
    let mut flips: Vec<(Duration, Vec<State>)> = Vec::new();
    for (at, step) in steps(history, instance) {
        let mut states = levels.last().expect("there is a first").states.clone();
        match step {
            Step::Started(state) => add(&mut states, &[state]),
            Step::Acknowledged { state, flip } => {
                if flip {
                    flips.push((at, states));
                } else {
                    flips.clear();
                }
                states = vec![state];
            }
            Step::Killed => {
                let lost = flips.iter().filter(|(ended, _)| *ended + UNSYNCED_MAX >= at);
                lost.for_each(|(_, before)| add(&mut states, before));
            }
        }
        let last = levels.last_mut().expect("there is a first");
        if last.states != states {
            last.until = at;
            levels.push(Level { from: at, until: Duration::MAX, states });
        }
    }
    levels
}

/// What changes what is known of an instance.
enum Step {
    Started(State),
    Acknowledged {
        state: State,
        flip: bool,
    },
    /// Its node's process is gone.
    Killed,
}

fn steps(history: &History, instance: Instance) -> Vec<(Duration, Step)> {
    let mut steps = Vec::new();
    let operations = || history.operations.iter().filter(|operation| operation.instance == instance);
    for operation in operations() {
        let state = operation.verb.makes();
        steps.push((operation.started, Step::Started(state)));
        if operation.outcome == Outcome::Acknowledged {
            steps.push((operation.ended, Step::Acknowledged { state, flip: operation.verb.is_flip() }));
        }
    }
    for fault in history.faults.iter().filter(|fault| fault.what == What::Killed(instance.node)) {
        // A client that reads its response a moment later was acknowledged all the same, by a process that lived.
        let by_then = operations().filter(|operation| operation.started <= fault.began);
        let told = by_then.filter(|operation| operation.outcome == Outcome::Acknowledged);
        let died = told.map(|operation| operation.ended).fold(fault.began, Duration::max);
        steps.push((died, Step::Killed));
    }
    steps.sort_by_key(|(at, _)| *at);
    steps
}

fn add(states: &mut Vec<State>, more: &[State]) {
    for state in more {
        if !states.contains(state) {
            states.push(*state);
        }
    }
}

/// How long results of checks may be on their way to the disk when the process is killed. Source: the journal takes
/// them along at the latest after 1 s; as much again for a busy disk.
const UNSYNCED_MAX: Duration = Duration::from_secs(2);
