use super::*;
use crate::forward::answer::Rr;

fn key(name: &str) -> Key {
    Key { name: Name::parse(name).unwrap(), rtype: 1, class: 1, dnssec_ok: false, checking_disabled: false }
}

fn answer(keep_secs: Option<u32>) -> Arc<Answer> {
    let rr = Rr { owner: Name::root(), rtype: 1, class: 1, ttl_secs: 60, rdata: vec![192, 0, 2, 1] };
    Arc::new(Answer { rcode: 0, answers: vec![rr], authorities: vec![], additionals: vec![], keep_secs })
}

const ERROR: ExtendedError = ExtendedError { code: 22, text: "" };

/// What an answer kept for 60 s, or a failure, is worth after `secs`.
#[track_caller]
fn check(outcome: &Outcome, secs: u64, expected: State) {
    let start = Instant::now();
    assert_eq!(Entry::new(outcome.clone(), start).state(start + Duration::from_secs(secs)), expected);
}

#[test]
fn an_answer_is_fresh_then_stale_for_an_hour_then_gone() {
    let answer = answer(Some(60));
    let outcome = Ok(Arc::clone(&answer));
    check(&outcome, 0, State::Fresh(Arc::clone(&answer), 0));
    check(&outcome, 59, State::Fresh(Arc::clone(&answer), 59));
    check(&outcome, 60, State::Stale(Arc::clone(&answer), false));
    check(&outcome, 60 + 3_599, State::Stale(answer, false));
    check(&outcome, 60 + 3_600, State::Gone);
}

#[test]
fn a_failure_is_remembered_for_five_seconds() {
    check(&Err(ERROR), 4, State::Failed(ERROR));
    check(&Err(ERROR), 5, State::Gone);
}

#[test]
fn a_failure_leaves_an_expired_answer_and_keeps_upstreams_alone_for_five_seconds() {
    let (cache, start) = (Cache::new(&Limits::default()), Instant::now());
    let answer = answer(Some(60));
    cache.keep(&key("web.example"), &Ok(Arc::clone(&answer)), start);
    let failed_at = start + Duration::from_secs(100);
    cache.keep(&key("web.example"), &Err(ERROR), failed_at);
    let state = |secs| cache.state(&key("web.example"), failed_at + Duration::from_secs(secs));
    assert_eq!(state(4), State::Stale(Arc::clone(&answer), true));
    assert_eq!(state(5), State::Stale(answer, false));
}

#[test]
fn an_answer_that_must_not_be_kept_displaces_the_one_before() {
    let (cache, now) = (Cache::new(&Limits::default()), Instant::now());
    cache.keep(&key("web.example"), &Ok(answer(Some(60))), now);
    cache.keep(&key("web.example"), &Ok(answer(None)), now);
    assert_eq!(cache.state(&key("web.example"), now), State::Gone);
}

#[test]
fn a_flush_takes_the_name_and_all_below_it() {
    let (cache, now) = (Cache::new(&Limits::default()), Instant::now());
    for name in ["example", "web.example", "a.web.example", "other.test"] {
        cache.keep(&key(name), &Ok(answer(Some(60))), now);
    }
    assert_eq!(cache.flush(Some(&Name::parse("Web.example").unwrap())), 2);
    assert_eq!(cache.state(&key("a.web.example"), now), State::Gone);
    assert!(matches!(cache.state(&key("example"), now), State::Fresh(..)));
    assert_eq!(cache.flush(None), 2);
    assert_eq!(cache.state(&key("example"), now), State::Gone);
}

#[test]
fn the_number_of_entries_is_bounded() {
    let cache = Cache::new(&Limits { cache_max_entries: 10, ..Limits::default() });
    for number in 0..1_000 {
        cache.keep(&key(&format!("{number}.example")), &Ok(answer(Some(60))), Instant::now());
    }
    cache.entries.run_pending_tasks();
    assert!(cache.len() <= 10, "{} entries", cache.len());
}
