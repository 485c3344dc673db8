//! What is held back of what probes found, and what is told of that: to operators, in checks' outputs, in answers.

use std::{collections::HashSet, sync::Arc, time::Instant};

use tokio::sync::{mpsc, watch};

use super::{Scheduler, Watched};
use crate::{
    catalog::{
        check::{CheckDefinition, CheckResult, CheckStatus},
        names::ServiceName,
        output::Output,
    },
    health::{
        guard::{Guard, Held, Probed, Turn},
        probe::{TargetResolver, cut},
        references::{GuardSettings, Heard, References},
        schedule::Slot,
    },
    publish::feed::Feed,
};

/// The guard, those whom it asks, and who is told.
pub(super) struct Guarding {
    guard: Guard,
    /// None if nothing is guarded.
    references: Option<Arc<References>>,
    asked: Option<mpsc::Receiver<Heard>>,
    /// The services with instances whose failures are held, for answers to say so.
    services: watch::Sender<HashSet<ServiceName>>,
    /// Whether it was told that there is nobody to ask.
    told_nobody: bool,
    /// When the probe began whose result is looked at.
    began: Instant,
}

impl Guarding {
    pub(super) fn new(settings: Option<GuardSettings>, resolver: TargetResolver, feed: Feed) -> Guarding {
        let references = settings.map(|settings| Arc::new(References::new(settings, resolver)));
        if let Some(references) = &references {
            tokio::spawn(Arc::clone(references).follow());
        }
        let (services, mut newest) = watch::channel(HashSet::new());
        tokio::spawn(async move {
            while newest.changed().await.is_ok() {
                let services = newest.borrow_and_update().clone();
                if let Err(error) = feed.set_held(services).await {
                    tracing::debug!(%error, "answers do not tell which checks are held");
                }
            }
        });
        Guarding {
            guard: Guard::default(),
            references,
            asked: None,
            services,
            told_nobody: false,
            began: Instant::now(),
        }
    }

    /// A check is probed from now on, or probed otherwise.
    pub(super) fn watch(&mut self, slot: Slot, target: &str, definition: &CheckDefinition) {
        if self.references.is_some() {
            self.guard.watch(slot, target, definition);
        }
    }

    /// What was told of a check stands, whatever is heard.
    pub(super) fn stands(&mut self, slot: Slot) {
        self.guard.passed(slot);
    }

    /// A check is gone.
    pub(super) fn forget(&mut self, slot: Slot) {
        self.guard.forget(slot);
    }

    /// The probe whose result is reported next began at this time.
    pub(super) fn began(&mut self, at: Instant) {
        self.began = at;
    }

    /// What comes of asking; never returns while nobody is asked.
    pub(super) async fn heard(&mut self) -> Heard {
        match &mut self.asked {
            // Who asks ends with a word, unless it broke off.
            Some(asked) => asked.recv().await.unwrap_or(Heard::Over),
            None => std::future::pending().await,
        }
    }

    /// After an absence of this process or machine: what was heard, or not, meanwhile counts for nothing.
    pub(super) fn begin_anew(&mut self) {
        if self.asked.is_some() {
            self.ask();
        }
    }

    fn ask(&mut self) {
        if let Some(references) = &self.references {
            let (tell, asked) = mpsc::channel(1);
            tokio::spawn(Arc::clone(references).ask_on(tell));
            self.asked = Some(asked);
        }
    }
}

impl Scheduler {
    /// Reports what a probe found, unless that is held back.
    pub(super) fn report(&mut self, slot: Slot, result: CheckResult, now: Instant) {
        if let Some(result) = self.not_held(slot, result, now) {
            self.damp(slot, result, now);
        }
    }

    /// The result, if it is to be reported now.
    fn not_held(&mut self, slot: Slot, result: CheckResult, now: Instant) -> Option<CheckResult> {
        let Scheduler { guarding, checks, shared, .. } = self;
        if !guarding.guard.counts(slot) {
            return Some(result);
        }
        let (key, watched) = checks.get_mut(slot)?;
        if result.status != CheckStatus::Critical {
            if guarding.guard.passed(slot) {
                // What the output says of holding goes at once.
                watched.output_held_secs = 0;
                self.held_changed();
            }
            return Some(result);
        }
        let former = match watched.reported {
            Some(reported) => reported,
            None => shared.published.load().catalog.check(key)?.check.status,
        };
        if former == CheckStatus::Critical {
            return Some(result);
        }
        let probed = Probed { interval: watched.definition.interval, began: guarding.began, ended: now };
        match guarding.guard.turn(slot, Held { former, result }, probed) {
            Turn::Report(result) => {
                self.held_changed();
                return Some(result);
            }
            Turn::Ask => {
                tracing::info!("most checks fail at once: asking the reference targets whether it is us");
                guarding.ask();
            }
            Turn::Hold => {}
            Turn::Show(held) => {
                self.show_held(slot, &held);
                self.held_changed();
            }
        }
        None
    }

    /// What a round of asking has brought.
    pub(super) fn heard(&mut self, heard: Heard) {
        let (held, counted) = (self.guarding.guard.held().len(), self.guarding.guard.counted());
        match heard {
            Heard::Silence => return self.doubt(),
            Heard::Answer(who) => return self.answered(&who),
            Heard::Over => {
                tracing::warn!(
                    held,
                    counted,
                    "failures were held for long enough and are reported, whoever's they are"
                );
            }
            Heard::Nobody => {
                if !self.guarding.told_nobody {
                    tracing::warn!(
                        "most checks fail at once, and there is neither a gateway nor an upstream to ask whether it is us: \
                         failures count; set mass_failure_targets"
                    );
                }
                self.guarding.told_nobody = true;
            }
        }
        let all = self.guarding.guard.believe();
        self.tell_all(all);
    }

    /// A reference target answers.
    fn answered(&mut self, who: &str) {
        let guard = &mut self.guarding.guard;
        let (held, counted) = (guard.held().len(), guard.counted());
        if guard.is_holding() {
            tracing::warn!(held, counted, "{who} answers again: what is held counts as soon as it is found again");
        } else {
            tracing::warn!(counted, "{who} answers: that most checks fail at once is real, and they count");
        }
        let all = guard.answered(Instant::now());
        self.tell_all(all);
    }

    fn tell_all(&mut self, all: Vec<(Slot, CheckResult)>) {
        let now = Instant::now();
        for (slot, result) in all {
            self.damp(slot, result, now);
        }
        self.held_changed();
    }

    /// No reference target answers: what is held is shown as such.
    fn doubt(&mut self) {
        let shown = self.guarding.guard.doubt();
        if !shown.is_empty() {
            let (held, counted) = (shown.len(), self.guarding.guard.counted());
            tracing::warn!(
                held,
                counted,
                "{held} of {counted} checks failed at once and no reference target answers: we may be cut off, so they stay as \
                 they were for now"
            );
        }
        for (slot, held) in &shown {
            self.show_held(*slot, held);
        }
        self.held_changed();
        self.tell_services();
    }

    /// Gives a check the status that it had, with an output that says why.
    fn show_held(&mut self, slot: Slot, held: &Held) {
        let Some((key, watched)) = self.checks.get_mut(slot) else { return };
        let said = format!("{HELD}{}", held.result.output.shown(&watched.target));
        watched.reported = Some(held.former);
        let output = Output::new(cut(&said), &watched.target);
        self.shared.feed.report(key.clone(), CheckResult { status: held.former, output });
        self.undo(slot, held.former);
    }

    /// Tells operators how many are held, and ends the asking where none is.
    pub(super) fn held_changed(&mut self) {
        let guard = &self.guarding.guard;
        let held = if guard.is_holding() { guard.held().len() } else { 0 };
        let before = self.settings.metrics.checks_held.set(held as i64);
        if before > 0 && held == 0 {
            tracing::warn!("no check is held any more");
        }
        if guard.is_watching() && self.guarding.asked.take().is_some() {
            self.tell_services();
        }
    }

    /// Tells which services have instances whose failures are held.
    fn tell_services(&self) {
        let guard = &self.guarding.guard;
        let mut services = HashSet::new();
        if guard.is_holding() {
            let snapshot = self.shared.published.load();
            let catalog = &snapshot.catalog;
            for (key, Watched { .. }) in guard.held().filter_map(|slot| self.checks.get(slot)) {
                let Some(entry) = catalog.check(key) else { continue };
                let node = catalog.node(&key.node).into_iter();
                let is_meant = |id| entry.check.service_id.as_ref().is_none_or(|own| *own == id);
                let keys = node.flat_map(|node| node.instances().map(|instance| instance.key()));
                for entry in keys.filter(|key| is_meant(key.id.clone())).filter_map(|key| catalog.instance(&key)) {
                    services.insert(entry.instance.service.clone());
                    services.extend(entry.instance.further_names.iter().map(|further| further.name.clone()));
                }
            }
        }
        self.guarding.services.send_if_modified(|known| {
            let is_news = *known != services;
            *known = services;
            is_news
        });
    }
}

/// What the output of a check begins with whose failure is held.
const HELD: &str = "held: most checks failed at once and no reference target answers, so this does not count yet: ";

#[cfg(test)]
#[path = "guarding_tests.rs"]
mod tests;
