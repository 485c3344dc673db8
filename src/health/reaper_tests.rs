use super::*;

const MINUTE: Duration = Duration::from_secs(60);

/// Looks at slot 0 whenever the reaper wants to, for ten minutes, and tells after how many seconds it is to be
/// deregistered. `critical_index` says at which second it is critical by which change.
fn deregistered_after(patience: Duration, critical_index: impl Fn(u64) -> Option<u64>) -> Option<u64> {
    let start = Instant::now();
    let mut reaper = Reaper::default();
    reaper.watch(0, patience, start);
    while let Some(next) = reaper.next().filter(|next| *next < start + 10 * MINUTE) {
        let slot = reaper.pop(next).expect("a check is due when it is said to be");
        if reaper.look(slot, critical_index((next - start).as_secs()), next) {
            return Some((next - start).as_secs());
        }
    }
    None
}

#[test]
fn a_check_critical_from_the_start_waits_exactly_its_time() {
    assert_eq!(deregistered_after(MINUTE, |_| Some(1)), Some(60));
    assert_eq!(deregistered_after(MINUTE * 2 + Duration::from_secs(7), |_| Some(1)), Some(127));
}

#[test]
fn a_check_that_is_not_critical_is_never_deregistered() {
    assert_eq!(deregistered_after(MINUTE, |_| None), None);
}

#[test]
fn the_time_begins_again_after_each_change() {
    assert_eq!(deregistered_after(MINUTE, |second| Some(if second < 50 { 1 } else { 2 })), Some(60 + 60));
    assert_eq!(deregistered_after(MINUTE, |second| (second % 50 < 40).then_some(second / 50)), None);
}

#[test]
fn what_the_scheduler_turned_critical_is_seen_soon() {
    let start = Instant::now();
    let mut reaper = Reaper::default();
    reaper.watch(0, MINUTE, start);
    reaper.pop(start);
    reaper.look(0, None, start);
    reaper.turned_critical(0, start + Duration::from_secs(1));
    assert!(reaper.next() < Some(start + Duration::from_secs(2)));
}

#[test]
fn one_that_could_not_be_deregistered_is_asked_for_again() {
    let start = Instant::now();
    let mut reaper = Reaper::default();
    reaper.watch(0, MINUTE, start);
    let mut asked = 0;
    while let Some(next) = reaper.next().filter(|next| *next <= start + 2 * MINUTE) {
        reaper.pop(next);
        asked += u32::from(reaper.look(0, Some(1), next));
    }
    assert!(asked > 2);
}

#[test]
fn a_forgotten_check_is_not_looked_at() {
    let start = Instant::now();
    let mut reaper = Reaper::default();
    reaper.watch(0, MINUTE, start);
    reaper.forget(0);
    reaper.turned_critical(0, start);
    assert_eq!((reaper.next(), reaper.look(0, Some(1), start)), (None, false));
}

#[test]
fn time_in_which_we_were_away_does_not_count() {
    let start = Instant::now();
    let mut reaper = Reaper::default();
    reaper.watch(0, MINUTE, start);
    let looked = |reaper: &mut Reaper, now| reaper.pop(now).is_some_and(|slot| reaper.look(slot, Some(1), now));
    assert!(!looked(&mut reaper, start));
    let back = start + 60 * MINUTE;
    reaper.begin_anew();
    assert!(!looked(&mut reaper, back));
    assert!(!looked(&mut reaper, back + MINUTE / 2));
    assert!(looked(&mut reaper, back + MINUTE));
}
