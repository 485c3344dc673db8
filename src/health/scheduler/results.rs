//! What becomes of the results of probes: thresholds first, then the guard against mass failure (`guarding`), then flap
//! damping, and what is left is told. Damping comes behind the guard, so that an outage of ours is no flapping of theirs.

use std::{borrow::Cow, time::Instant};

use super::Scheduler;
use crate::{
    catalog::{
        check::{Check, CheckResult, CheckStatus},
        output::Output,
        service::InstanceKey,
    },
    health::{
        damping::{Damped, Hold},
        probe::{Outcome, cut},
        schedule::Slot,
        stats::ProbeResult,
    },
    observe::clock,
    publish::snapshot::Snapshot,
};

impl Scheduler {
    /// Takes what came of a probe.
    pub(super) fn conclude(&mut self, slot: Slot, outcome: Outcome, now: Instant) {
        let Some((key, watched)) = self.checks.get_mut(slot) else { return };
        match outcome {
            Outcome::Done { status, output } => {
                self.shared.stats.count_ended(ProbeResult::Status(status));
                self.settings.metrics.check_result(watched.definition.kind.as_str(), status.as_str());
                if std::mem::take(&mut watched.says_unprobed) {
                    watched.output_held_secs = 0;
                }
                if let Some(status) = watched.thresholds.count(&watched.definition, status) {
                    let output = Output::new(cut(&output), &watched.target);
                    self.report(slot, CheckResult { status, output }, now);
                }
            }
            Outcome::NotMade(reason) => {
                self.shared.stats.count_ended(ProbeResult::NotMade);
                self.settings.metrics.checks_not_made.inc();
                tracing::debug!(check = %key.id, reason, "a probe could not be made; the status of its check stays");
                self.tell_unprobed(slot, &reason, now);
            }
        }
    }

    /// Has the output of a check say why it is not probed: at once, but not again and again where some probes can be made.
    fn tell_unprobed(&mut self, slot: Slot, reason: &str, now: Instant) {
        let (since_began, held_until) = self.output_hold(now);
        let Some((key, watched)) = self.checks.get_mut(slot) else { return };
        let snapshot = self.shared.published.load();
        let Some(status) = snapshot.catalog.check(key).map(|entry| entry.check.status) else { return };
        // What was reported is not published yet, or the output says until when the check is held.
        if watched.reported.is_some_and(|reported| reported != status) || self.damping.is_held(slot) {
            return;
        }
        if !watched.says_unprobed {
            if since_began < watched.unprobed_held_secs {
                return;
            }
            (watched.says_unprobed, watched.unprobed_held_secs) = (true, held_until);
            watched.output_held_secs = 0;
        }
        let output = Output::new(cut(&format!("not probed: {reason}")), &watched.target);
        self.tell(slot, CheckResult { status, output }, now);
    }

    /// Tells a result, or that its check is held for flapping.
    pub(super) fn damp(&mut self, slot: Slot, result: CheckResult, now: Instant) {
        let Some((key, watched)) = self.checks.get_mut(slot) else { return };
        let snapshot = self.shared.published.load();
        let Some(entry) = snapshot.catalog.check(key) else { return };
        let answered = is_answered(&snapshot, &entry.check, result.status);
        let changes = watched.answered.replace(answered).is_some_and(|before| before != answered);
        match self.damping.count(slot, changes, &result, now) {
            Damped::Counts => self.tell(slot, result, now),
            Damped::Held(hold) => self.tell_damped(slot, hold, &result, now),
            Damped::Begins(hold) => {
                // It stays out, whoever's fault this change was.
                self.guarding.stands(slot);
                self.hold(slot, hold, &result, now);
            }
        }
    }

    /// A failure that was told is none for now: its check is as it was before, and has not changed.
    pub(super) fn undo(&mut self, slot: Slot, former: CheckStatus) {
        let Some((key, watched)) = self.checks.get_mut(slot) else { return };
        let snapshot = self.shared.published.load();
        let Some(entry) = snapshot.catalog.check(key) else { return };
        let answered = is_answered(&snapshot, &entry.check, former);
        if watched.answered.replace(answered).is_some_and(|since| since != answered) {
            self.damping.take_back(slot);
        }
    }

    /// Ends the holds whose time is over: what their checks said last counts now.
    pub(super) fn end_holds(&mut self, now: Instant) {
        while let Some((slot, result, further)) = self.damping.pop(now) {
            match further {
                Some(hold) => self.hold(slot, hold, &result, now),
                None => {
                    self.release_output(slot);
                    self.tell(slot, result, now);
                }
            }
        }
    }

    fn hold(&mut self, slot: Slot, hold: Hold, result: &CheckResult, now: Instant) {
        let Some((key, _)) = self.checks.get_mut(slot) else { return };
        let (seconds, changes) = (hold.until.saturating_duration_since(now).as_secs(), hold.changes);
        let id = &key.id;
        tracing::warn!(node = %key.node, check = %id, seconds, changes, "check {id} flaps and is held critical for {seconds} s");
        self.settings.metrics.check_holds.inc();
        self.release_output(slot);
        self.tell_damped(slot, hold, result, now);
    }

    fn tell_damped(&mut self, slot: Slot, hold: Hold, result: &CheckResult, now: Instant) {
        let Some((_, watched)) = self.checks.get_mut(slot) else { return };
        let told = held_output(hold, &result.output.shown(&watched.target), now);
        let output = Output::new(cut(&told), &watched.target);
        self.tell(slot, CheckResult { status: CheckStatus::Critical, output }, now);
    }

    /// Lets the next output be told, though the last one was told a moment ago.
    fn release_output(&mut self, slot: Slot) {
        if let Some((_, watched)) = self.checks.get_mut(slot) {
            watched.output_held_secs = 0;
        }
    }
}

/// Whether an instance whose checks are so may be answered.
fn is_answered(snapshot: &Snapshot, check: &Check, status: CheckStatus) -> bool {
    match status {
        CheckStatus::Passing => true,
        CheckStatus::Critical => false,
        CheckStatus::Warning => {
            let key = check.service_id.clone().map(|id| InstanceKey { node: check.node.clone(), id });
            let entry = key.and_then(|key| snapshot.catalog.instance(&key));
            let rule = entry.map_or(Cow::Borrowed(&snapshot.settings.default_rule), |entry| {
                Cow::Owned(snapshot.settings.rule(entry.instance.service.as_str()))
            });
            !rule.only_passing
        }
    }
}

fn held_output(hold: Hold, said: &str, now: Instant) -> String {
    let until = clock::time_of_day_in(hold.until.saturating_duration_since(now));
    let (changes, seconds) = (hold.changes, hold.within.as_secs_f64().ceil());
    format!("held out until {until} UTC after {changes} changes in {seconds} s; the last probe said: {said}")
}
