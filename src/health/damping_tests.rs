use super::*;
use crate::catalog::check::CheckStatus;

const SECOND: Duration = Duration::from_secs(1);

const SETTINGS: DampingSettings = DampingSettings {
    changes: 5,
    window: Duration::from_secs(120),
    hold: Duration::from_secs(30),
    hold_max: Duration::from_secs(600),
};

fn result(passing: bool) -> CheckResult {
    let status = if passing { CheckStatus::Passing } else { CheckStatus::Critical };
    CheckResult { status, output: "".into() }
}

/// A check of which results come, each with the second in which it comes.
struct Check {
    start: Instant,
    damping: Damping,
    last: Option<bool>,
}

impl Check {
    fn new(settings: DampingSettings) -> Check {
        Check { start: Instant::now(), damping: Damping::new(settings), last: None }
    }

    fn result(&mut self, second: u32, passing: bool) -> Damped {
        let changes = self.last.is_some_and(|last| last != passing);
        self.last = Some(passing);
        self.damping.count(3, changes, &result(passing), self.start + SECOND * second)
    }

    /// Alternates every so many seconds; returns when it was held, and for how long.
    fn alternate(&mut self, every: u32, (from, to): (u32, u32)) -> Vec<(u32, u64)> {
        let mut holds = Vec::new();
        for second in from..to {
            let now = self.start + SECOND * second;
            while let Some((_, _, hold)) = self.damping.pop(now) {
                holds.extend(hold.map(|hold| (second, (hold.until - now).as_secs())));
            }
            if second.is_multiple_of(every)
                && let Damped::Begins(hold) = self.result(second, (second / every).is_multiple_of(2))
            {
                holds.push((second, (hold.until - now).as_secs()));
            }
        }
        holds
    }
}

#[test]
fn a_check_that_alternates_every_ten_seconds_is_caught_within_a_minute() {
    let mut check = Check::new(SETTINGS);
    let holds = check.alternate(10, (0, 70));
    assert_eq!(holds, [(60, 30)], "the first result is no change, the sixth change is one too many");
    assert_eq!(check.damping.held(), 1);
}

#[test]
fn each_further_hold_is_twice_as_long_up_to_a_most() {
    let mut check = Check::new(SETTINGS);
    let spans: Vec<u64> = check.alternate(10, (0, 4000)).into_iter().map(|(_, span)| span).collect();
    assert_eq!(spans[..8], [30, 60, 120, 240, 480, 600, 600, 600]);
}

#[test]
fn a_check_that_changes_seldom_is_never_held() {
    assert_eq!(Check::new(SETTINGS).alternate(30, (0, 10_000)), []);
    assert_eq!(Check::new(DampingSettings { changes: 0, ..SETTINGS }).alternate(1, (0, 1000)), []);
}

#[test]
fn the_last_result_of_a_check_that_was_held_counts_when_the_hold_ends() {
    let mut check = Check::new(SETTINGS);
    check.alternate(10, (0, 61));
    for (second, passing) in [(70, false), (80, true)] {
        assert!(matches!(check.result(second, passing), Damped::Held(_)));
    }
    let end = check.start + SECOND * 90;
    assert_eq!((check.damping.next(), check.damping.pop(end - SECOND)), (Some(end), None));
    assert_eq!(check.damping.pop(end), Some((3, result(true), None)));
    assert_eq!((check.damping.held(), check.damping.next()), (0, None));
    assert_eq!(check.result(91, false), Damped::Counts);
}

#[test]
fn after_a_quiet_window_the_next_hold_is_a_first_one() {
    let mut check = Check::new(SETTINGS);
    assert_eq!(check.alternate(10, (0, 91)), [(60, 30)]);
    let quiet = 91 + 149;
    for second in (100..quiet).step_by(10) {
        check.result(second, true);
    }
    assert!(check.damping.flapping.is_empty(), "nothing is kept of it");
    let again = check.alternate(10, (quiet + 9, quiet + 89));
    assert_eq!(again.iter().map(|(_, span)| *span).collect::<Vec<_>>(), [30]);
}

#[test]
fn what_was_long_ago_does_not_count_and_what_is_told_is_what_counted() {
    let mut check = Check::new(DampingSettings { changes: 1, ..SETTINGS });
    check.result(0, true);
    assert_eq!(check.result(1, false), Damped::Counts);
    assert_eq!(check.result(122, true), Damped::Counts, "two changes, more than two minutes apart");
    let hold = Hold { until: check.start + SECOND * 170, changes: 2, within: SECOND * 18 };
    assert_eq!(check.result(140, false), Damped::Begins(hold));
}

#[test]
fn a_check_that_is_forgotten_is_held_no_more() {
    let mut check = Check::new(SETTINGS);
    check.alternate(10, (0, 61));
    check.damping.forget(3);
    check.damping.forget(3);
    assert_eq!((check.damping.held(), check.damping.next()), (0, None));
    assert_eq!(check.result(62, true), Damped::Counts);
}

#[test]
fn a_change_that_is_taken_back_does_not_count() {
    let mut check = Check::new(DampingSettings { changes: 1, ..SETTINGS });
    check.damping.take_back(3);
    check.result(0, true);
    assert_eq!(check.result(1, false), Damped::Counts);
    check.damping.take_back(3);
    assert_eq!(check.result(2, true), Damped::Counts);
    assert!(matches!(check.result(3, false), Damped::Begins(_)));
}
