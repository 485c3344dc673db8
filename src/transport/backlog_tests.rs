use std::collections::VecDeque;

use super::*;

const SHORT: Duration = Duration::from_micros(100);
const LONG: Duration = Duration::from_millis(6);

fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// Judges a batch each `step` for so long; returns how many were answered, and the last buffer that was asked for.
fn run(
    backlog: &mut Backlog,
    now: &mut Instant,
    (step, span): (Duration, Duration),
    waited: Duration,
) -> (u64, Option<usize>) {
    let (mut answered, mut buffer) = (0, None);
    let end = *now + span;
    while *now < end {
        *now += step;
        let advice = backlog.judge(waited, *now);
        answered += u64::from(advice.answer);
        buffer = advice.buffer_bytes.or(buffer);
    }
    (answered, buffer)
}

#[test]
fn what_waited_while_the_worker_was_away_is_answered() {
    let (mut backlog, mut now) = (Backlog::new(), Instant::now());
    for _ in 0..100 {
        // Away for 20 ms, at four fifths of what can be answered: the wait falls by a fifth of the time.
        now += millis(20);
        for fallen in 0..100 {
            now += millis(1);
            let waited = millis(20).saturating_sub(millis(fallen) / 5);
            assert_eq!(backlog.judge(waited, now), Advice { answer: true, buffer_bytes: None });
        }
    }
}

#[test]
fn a_worker_that_is_away_again_and_again_drops_nothing_at_first() {
    let (mut backlog, mut now) = (Backlog::new(), Instant::now());
    let away = (millis(3), millis(99));
    assert_eq!(run(&mut backlog, &mut now, away, LONG), (33, None));
    assert_eq!(run(&mut backlog, &mut now, (millis(1), millis(1)), SHORT), (1, None));
    assert_eq!(run(&mut backlog, &mut now, away, LONG), (33, None));
    // But not for ever.
    assert!(run(&mut backlog, &mut now, away, LONG).0 < 3);
}

#[test]
fn what_does_not_get_shorter_by_work_is_dropped_soon() {
    let (mut backlog, mut now) = (Backlog::new(), Instant::now());
    let (answered, buffer) = run(&mut backlog, &mut now, (millis(1), millis(20)), LONG);
    assert_eq!(answered, 10);
    let bytes = buffer.expect("it shrinks at once");
    let pace = Duration::from_nanos(PACE_FIRST_NANOS.into());
    assert_eq!(bytes, WAIT_WANTED.div_duration_f64(pace) as usize * QUERY_BYTES);
    assert_eq!(run(&mut backlog, &mut now, (millis(1), millis(2_000)), LONG), (0, Some(RECEIVE_BUFFER_MIN_BYTES)));
}

#[test]
fn under_overload_what_is_in_time_is_answered_and_what_is_late_is_not() {
    let (mut backlog, mut now) = (Backlog::new(), Instant::now());
    run(&mut backlog, &mut now, (millis(1), millis(20)), LONG);
    for _ in 0..100 {
        // A full buffer that is drained in 3 ms: still more comes in than can be answered.
        assert_eq!(run(&mut backlog, &mut now, (millis(1), millis(100)), WAIT_WANTED), (100, None));
        assert_eq!(run(&mut backlog, &mut now, (millis(1), millis(1)), LONG).0, 0);
    }
    assert!(backlog.is_overloaded());
}

#[test]
fn after_a_second_without_wait_the_buffer_is_whole_again() {
    let (mut backlog, mut now) = (Backlog::new(), Instant::now());
    run(&mut backlog, &mut now, (millis(1), millis(500)), LONG);
    assert_eq!(run(&mut backlog, &mut now, (millis(1), millis(990)), SHORT).0, 990);
    assert!(backlog.is_overloaded());
    assert_eq!(run(&mut backlog, &mut now, (millis(1), millis(20)), SHORT), (20, Some(RECEIVE_BUFFER_BYTES)));
    assert!(!backlog.is_overloaded());
    assert_eq!(run(&mut backlog, &mut now, (millis(1), millis(10)), LONG), (10, None));
}

#[test]
fn a_batch_is_what_is_answered_in_half_a_millisecond() {
    let mut backlog = Backlog::new();
    for (micros, most) in [(4, BATCH_MAX), (25, 20), (200, 2), (5_000, 1), (4, BATCH_MAX)] {
        for _ in 0..100 {
            backlog.answered(10, Duration::from_micros(10 * micros));
        }
        assert!(backlog.batch_max().abs_diff(most) <= 1, "{micros} us: {}", backlog.batch_max());
    }
    backlog.answered(1, millis(20));
    assert!(backlog.batch_max() >= 32, "a moment off the processor: {}", backlog.batch_max());
}

/// A worker that takes `pace` for each answer, a tenth of that for one that it drops, and gets three times as much.
/// Returns the part of its time that went into answers, and the longest wait but for one of a hundred.
fn overload(pace: Duration, began: Instant, lasts: Duration) -> (f64, Duration) {
    let (mut backlog, mut now, mut arrived) = (Backlog::new(), began, began);
    let mut buffer = RECEIVE_BUFFER_BYTES;
    let mut queue: VecDeque<Instant> = VecDeque::new();
    let mut waits: Vec<Duration> = Vec::new();
    while now < began + lasts {
        while arrived <= now {
            if queue.len() * 768 < 2 * buffer {
                queue.push_back(arrived);
            }
            arrived += pace / 3;
        }
        let count = queue.len().min(backlog.batch_max());
        let oldest = queue.front().copied().unwrap_or(now);
        let advice = backlog.judge(now - oldest, now);
        buffer = advice.buffer_bytes.unwrap_or(buffer);
        let batch = queue.drain(..count);
        let took = (if advice.answer { pace } else { pace / 10 }) * count as u32;
        now += took.max(Duration::from_micros(1));
        if advice.answer {
            waits.extend(batch.map(|arrived| now - arrived));
            backlog.answered(count, took);
        }
    }
    waits.sort_unstable();
    (waits.len() as f64 * pace.as_secs_f64() / lasts.as_secs_f64(), waits[waits.len() * 99 / 100])
}

#[test]
fn at_three_times_the_load_answers_come_in_time_and_are_as_many() {
    for micros in [1, 4, 30, 100] {
        let (part, wait) = overload(Duration::from_micros(micros), Instant::now(), millis(3_000));
        assert!(part >= 0.95 && wait <= WAIT_MAX, "{micros} us: {part:.3} of the time, p99 {wait:?}");
    }
}
