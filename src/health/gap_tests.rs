use super::*;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn who_is_let_run_in_time_was_never_away() {
    let (start, mut gaps) = (Instant::now(), Gaps::new(SECOND * 7));
    assert_eq!(gaps.runs(start, SECOND * 7), None);
    assert_eq!(gaps.rests(start, Some(start + SECOND * 60)), start + SECOND);
    assert_eq!(gaps.runs(start + SECOND * 3, SECOND * 7), None, "a busy machine");
    assert_eq!(gaps.rests(start, Some(start + SECOND / 4)), start + SECOND / 4);
    assert_eq!(gaps.runs(start + SECOND / 8, SECOND * 7), None, "woken early");
}

#[test]
fn who_runs_much_later_than_planned_was_away() {
    let (start, mut gaps) = (Instant::now(), Gaps::new(SECOND * 7));
    gaps.rests(start, Some(start + SECOND * 60));
    assert_eq!(gaps.runs(start + SECOND * 11, SECOND * 7), Some(SECOND * 10));
    assert_eq!(gaps.runs(start + SECOND * 11, SECOND * 7), None, "it is told once");
    assert_eq!(gaps.rests(start, None), start + SECOND);
    assert_eq!(gaps.runs(start + SECOND * 11, SECOND * 7), Some(SECOND * 10), "nothing was due, but a probe ran");
}

#[test]
fn a_machine_that_was_suspended_was_away_though_its_clock_stood() {
    let (start, mut gaps) = (Instant::now(), Gaps::new(SECOND * 7));
    gaps.rests(start, Some(start + SECOND * 60));
    assert_eq!(gaps.runs(start + SECOND, SECOND * 3607), Some(SECOND * 3600));
    assert_eq!(gaps.runs(start + SECOND, SECOND * 3607), None);
    assert_eq!(gaps.runs(start + SECOND, SECOND * 3608), None, "a second is no absence");
}

#[test]
fn the_clocks_can_be_read() {
    let before = suspended();
    assert!(suspended() < before + SECOND, "nobody suspended this machine");
}
