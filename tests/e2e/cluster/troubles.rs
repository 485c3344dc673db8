//! When nodes are touched by faults, or were so until a while ago.

use std::time::Duration;

use super::history::{Fault, What};

/// A stretch of time, its ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    pub from: Duration,
    pub to: Duration,
}

impl Span {
    /// Whether any of it is between these times.
    pub fn touches(&self, from: Duration, to: Duration) -> bool {
        self.from <= to && from <= self.to
    }
}

/// Spans in order, none of which touches another.
#[derive(Debug, Default, Clone)]
pub struct Spans(Vec<Span>);

impl Spans {
    /// Puts together what touches.
    pub fn of(spans: impl IntoIterator<Item = Span>) -> Spans {
        let mut all: Vec<_> = spans.into_iter().collect();
        all.sort_by_key(|span| span.from);
        let mut merged: Vec<Span> = Vec::new();
        for span in all {
            match merged.last_mut() {
                Some(last) if span.from <= last.to => last.to = last.to.max(span.to),
                _ => merged.push(span),
            }
        }
        Spans(merged)
    }

    /// The first that touches the time between these.
    pub fn touching(&self, from: Duration, to: Duration) -> Option<Span> {
        self.0.iter().find(|span| span.touches(from, to)).copied()
    }

    /// When what happened at `from`, and takes `needs` without faults, has happened in spite of them: the end of the
    /// last that hinders it.
    pub fn done_by(&self, from: Duration, needs: Duration) -> Duration {
        let hinders = |done: Duration, span: &Span| if span.touches(from, done) { done.max(span.to) } else { done };
        self.0.iter().fold(from + needs, hinders)
    }
}

/// When instances of this node may be missing elsewhere: its own faults. What etcd loses the others keep until it is
/// written back.
pub fn absences(faults: &[Fault], node: u8) -> Spans {
    Spans::of(faults.iter().filter_map(|fault| match fault.what {
        What::Killed(its) | What::Stopped(its) | What::Frozen(its) | What::CutOff(its) if its == node => {
            Some(Span { from: fault.from, to: fault.healed + RECOVERED_AFTER })
        }
        _ => None,
    }))
}

/// When changes may take longer between etcd and this node.
pub fn delays(faults: &[Fault], node: u8) -> Vec<Span> {
    let spans = |fault: &Fault| match fault.what {
        What::Killed(its) | What::Stopped(its) | What::Frozen(its) | What::CutOff(its) if its != node => Vec::new(),
        What::LinkLost(its) if its != node => Vec::new(),
        // Who has found another member is as well off as before.
        What::LinkLost(_) | What::MemberAway => vec![
            Span { from: fault.from, to: fault.began + RECOVERED_AFTER },
            Span { from: fault.ends, to: fault.healed + RECOVERED_AFTER },
        ],
        What::Wiped => vec![Span { from: fault.from, to: fault.healed + REWRITTEN_AFTER }],
        _ => vec![Span { from: fault.from, to: fault.healed + RECOVERED_AFTER }],
    };
    faults.iter().flat_map(spans).collect()
}

/// How long a dead node's instances are kept. Source: nameplate's default, `store_lease`.
pub const LEASE: Duration = Duration::from_secs(10);

/// How long after a fault everything is as if there had been none: the lease and 10 s.
pub const RECOVERED_AFTER: Duration = Duration::from_secs(20);

/// How long after etcd lost everything it has everything again.
pub const REWRITTEN_AFTER: Duration = Duration::from_secs(30);
