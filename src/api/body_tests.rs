use super::*;

#[test]
fn spans_are_written_as_go_writes_them() {
    let check = |nanoseconds: u64, text: &str| assert_eq!(go_duration(Duration::from_nanos(nanoseconds)), text);
    check(0, "0s");
    check(7, "7ns");
    check(1_500, "1.5µs");
    check(250_000_000, "250ms");
    check(1_500_000_000, "1.5s");
    check(10_000_000_000, "10s");
    check(90_000_000_000, "1m30s");
    check(3_600_000_000_000, "1h0m0s");
}
