use super::*;

fn line(rcode: u16) -> QueryLine {
    QueryLine {
        proto: Proto::Udp,
        client: "192.0.2.7:40001".parse().unwrap(),
        qname: Box::from(b"\x03web\x07example\x00".as_slice()),
        qtype: 1,
        rcode,
        answers: 3,
        duration: Duration::from_micros(12),
    }
}

fn log() -> (QueryLog, Counter) {
    let dropped = Counter::default();
    (QueryLog::start(dropped.clone()).unwrap(), dropped)
}

#[test]
fn a_line_tells_who_asked_what_and_what_was_answered() {
    let at = UNIX_EPOCH + Duration::from_millis(1_769_860_800_250);
    assert_eq!(
        format_line(at, &line(0)),
        "2026-01-31T12:00:00.250Z udp 192.0.2.7:40001 web.example. A NOERROR 3 0.000012\n"
    );
}

#[test]
fn times_are_right_around_leap_days() {
    for (seconds, text) in [
        (0, "1970-01-01T00:00:00.000Z"),
        (951_782_399, "2000-02-28T23:59:59.000Z"),
        (951_782_400, "2000-02-29T00:00:00.000Z"),
        (1_709_251_200, "2024-03-01T00:00:00.000Z"),
        (4_107_542_400, "2100-03-01T00:00:00.000Z"),
    ] {
        assert_eq!(rfc3339(UNIX_EPOCH + Duration::from_secs(seconds)), text);
    }
}

#[test]
fn no_byte_of_a_name_can_forge_a_line() {
    assert_eq!(format_name(b"\x05a\nb c\x01.\x00"), r"a\010b\032c.\..");
    assert_eq!(format_name(b"\x00"), ".");
    assert_eq!(format_name(b""), "-");
    assert_eq!(format_name(b"\x3fcut"), "cut.");
}

#[test]
fn the_mode_decides_what_is_wanted() {
    let (log, _) = log();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("query.log");
    let wanted = |log: &QueryLog| [0, 2, 3, 5].map(|rcode| log.wants(rcode));
    assert_eq!(wanted(&log), [false; 4]);
    log.set(QueryLogMode::Errors, Some(&path)).unwrap();
    assert_eq!(wanted(&log), [false, true, false, true]);
    log.set(QueryLogMode::All, Some(&path)).unwrap();
    assert_eq!(wanted(&log), [true; 4]);
}

#[test]
fn lines_reach_the_file_and_a_moved_file_is_opened_anew() {
    let (log, _) = log();
    let directory = tempfile::tempdir().unwrap();
    let (path, moved) = (directory.path().join("query.log"), directory.path().join("query.log.1"));
    log.set(QueryLogMode::All, Some(&path)).unwrap();
    log.record(line(0));
    std::fs::rename(&path, &moved).unwrap();
    // The writer takes messages in order, so the line is in the old file when the new one is open and flushed.
    log.set(QueryLogMode::All, Some(&path)).unwrap();
    log.record(line(2));
    log.set(QueryLogMode::All, Some(&path)).unwrap();
    assert!(std::fs::read_to_string(&moved).unwrap().ends_with("A NOERROR 3 0.000012\n"));
    assert!(std::fs::read_to_string(&path).unwrap().ends_with("A SERVFAIL 3 0.000012\n"));
}

#[test]
fn a_file_that_cannot_be_opened_is_an_error() {
    let (log, _) = log();
    assert!(log.set(QueryLogMode::All, Some(Path::new("/nowhere/query.log"))).is_err());
    assert!(!log.wants(2));
}

#[test]
fn lines_beyond_a_seconds_share_are_refused() {
    let shared = Shared { mode: AtomicU8::new(0), rate: AtomicU64::new(0), dropped: Counter::default() };
    let at = UNIX_EPOCH + Duration::from_secs(1_000_000);
    let taken = (0..3 * RATE_MAX_LINES).filter(|_| shared.within_rate(at)).count() as u64;
    assert_eq!(taken, RATE_MAX_LINES);
    assert!(shared.within_rate(at + Duration::from_secs(1)));
}
