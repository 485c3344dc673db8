use super::*;

const MINUTE: Duration = Duration::from_secs(60);

fn answered(now: Instant, millis: u64) -> Latency {
    let mut latency = Latency::new(now);
    latency.answered(Duration::from_millis(millis));
    latency
}

#[test]
fn the_fastest_comes_first_and_the_list_decides_at_first() {
    let now = Instant::now();
    assert_eq!(order(&[answered(now, 30), answered(now, 10), answered(now, 20)], MINUTE, now), (vec![1, 2, 0], 1));
    assert_eq!(order(&[Latency::new(now), Latency::new(now)], MINUTE, now), (vec![0, 1], 1));
}

#[test]
fn one_that_failed_comes_last_until_it_answers() {
    let now = Instant::now();
    let mut latencies = [answered(now, 10), answered(now, 20)];
    latencies[0].failed();
    assert_eq!(order(&latencies, MINUTE, now).0, [1, 0]);
    latencies[0].answered(Duration::from_millis(10));
    assert_eq!(order(&latencies, MINUTE, now).0, [0, 1]);
}

#[test]
fn three_errors_in_a_row_count_as_a_failure() {
    let now = Instant::now();
    let mut latencies = [answered(now, 10), answered(now, 20)];
    latencies[0].refused();
    latencies[0].refused();
    assert_eq!(order(&latencies, MINUTE, now).0, [0, 1]);
    latencies[0].refused();
    assert_eq!(order(&latencies, MINUTE, now).0, [1, 0]);
}

#[test]
fn one_that_kept_us_waiting_is_at_least_as_slow_as_that() {
    let now = Instant::now();
    let mut latencies = [answered(now, 10), answered(now, 20)];
    latencies[0].slow(Duration::from_millis(1500));
    assert_eq!(order(&latencies, MINUTE, now).0, [1, 0]);
}

#[test]
fn one_not_asked_for_a_minute_is_asked_besides_the_first() {
    let start = Instant::now();
    let mut latencies = [answered(start, 10), answered(start, 20), answered(start, 30)];
    let now = start + MINUTE;
    latencies[0].asked(now);
    latencies[1].asked(now);
    assert_eq!(order(&latencies, MINUTE, now), (vec![0, 2, 1], 2));
    latencies[2].asked(now);
    assert_eq!(order(&latencies, MINUTE, now), (vec![0, 1, 2], 1));
}
