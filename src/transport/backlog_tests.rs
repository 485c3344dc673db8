use super::*;

const SHORT: Duration = Duration::from_micros(100);
const LONG: Duration = Duration::from_millis(6);

/// Judges a batch a millisecond for so long; returns how many were answered, and the last buffer that was asked for.
fn run(backlog: &mut Backlog, now: &mut Instant, span_ms: u64, waited: Duration) -> (u64, Option<usize>) {
    let (mut answered, mut buffer) = (0, None);
    for _ in 0..span_ms {
        *now += Duration::from_millis(1);
        let advice = backlog.judge(waited, *now);
        answered += u64::from(advice.answer);
        buffer = advice.buffer_bytes.or(buffer);
    }
    (answered, buffer)
}

#[test]
fn what_waited_for_a_moment_is_answered() {
    let (mut backlog, mut now) = (Backlog::new(), Instant::now());
    for _ in 0..100 {
        assert_eq!(run(&mut backlog, &mut now, 90, LONG), (90, None));
        assert_eq!(run(&mut backlog, &mut now, 1, SHORT), (1, None));
    }
}

#[test]
fn what_keeps_waiting_is_dropped_and_the_buffer_shrinks_to_its_least() {
    let (mut backlog, mut now) = (Backlog::new(), Instant::now());
    let (answered, buffer) = run(&mut backlog, &mut now, 120, LONG);
    assert_eq!(answered, 100);
    assert_eq!(buffer, Some(RECEIVE_BUFFER_BYTES / 2));
    assert_eq!(run(&mut backlog, &mut now, 2_000, LONG), (0, Some(RECEIVE_BUFFER_MIN_BYTES)));
}

#[test]
fn under_overload_what_is_in_time_is_answered_and_what_is_late_is_not() {
    let (mut backlog, mut now) = (Backlog::new(), Instant::now());
    run(&mut backlog, &mut now, 110, LONG);
    for _ in 0..100 {
        // A full buffer that is drained in 3 ms: still more comes in than can be answered.
        assert_eq!(run(&mut backlog, &mut now, 100, Duration::from_millis(3)), (100, None));
        assert_eq!(run(&mut backlog, &mut now, 1, LONG).0, 0);
    }
    assert!(backlog.is_overloaded());
}

#[test]
fn after_a_second_without_wait_the_buffer_is_whole_again() {
    let (mut backlog, mut now) = (Backlog::new(), Instant::now());
    run(&mut backlog, &mut now, 500, LONG);
    assert_eq!(run(&mut backlog, &mut now, 990, SHORT), (990, None));
    assert!(backlog.is_overloaded());
    assert_eq!(run(&mut backlog, &mut now, 20, SHORT), (20, Some(RECEIVE_BUFFER_BYTES)));
    assert!(!backlog.is_overloaded());
    assert_eq!(run(&mut backlog, &mut now, 50, LONG), (50, None));
}
