use prometheus_client::registry::Registry;

use super::*;

fn encoded(tables: DnsTables) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(tables));
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    text
}

#[track_caller]
fn check(text: &str, line: &str) {
    assert!(text.lines().any(|have| have == line), "{line} is not in\n{text}");
}

#[test]
fn workers_and_tasks_are_summed() {
    let tables = DnsTables::new();
    let (mut one, mut two) = (tables.worker(), tables.worker());
    one.record(Proto::Udp, 1, 0);
    one.record(Proto::Udp, 1, 3);
    one.record_durations(2, 900);
    two.record(Proto::Udp, 1, 0);
    two.record_durations(1, 2_000);
    two.record_drop(DropReason::NotAQuery);
    tables.shared().record(Proto::Tcp, 33, 0, 20_000_000);
    let text = encoded(tables);
    check(&text, r#"dns_requests_total{proto="udp",type="A"} 3"#);
    check(&text, r#"dns_requests_total{proto="tcp",type="SRV"} 1"#);
    check(&text, r#"dns_responses_total{rcode="NOERROR"} 3"#);
    check(&text, r#"dns_responses_total{rcode="NXDOMAIN"} 1"#);
    check(&text, r#"dns_drops_total{reason="not_a_query"} 1"#);
    check(&text, r#"dns_request_duration_seconds_bucket{le="0.000001"} 2"#);
    check(&text, r#"dns_request_duration_seconds_bucket{le="+Inf"} 4"#);
    check(&text, "dns_request_duration_seconds_count 4");
    check(&text, "dns_request_duration_seconds_sum 0.0200038");
}

#[test]
fn waits_are_counted_by_the_query() {
    let tables = DnsTables::new();
    let (mut one, mut two) = (tables.worker(), tables.worker());
    one.record_wait(64, 4_500_000);
    one.record_wait(2, 5_000_000);
    two.record_wait(1, 2_000_000_000);
    let text = encoded(tables);
    check(&text, r#"dns_wait_seconds_bucket{le="0.004"} 0"#);
    check(&text, r#"dns_wait_seconds_bucket{le="0.005"} 66"#);
    check(&text, r#"dns_wait_seconds_bucket{le="0.5"} 66"#);
    check(&text, r#"dns_wait_seconds_bucket{le="+Inf"} 67"#);
    check(&text, "dns_wait_seconds_sum 2.298");
}

#[test]
fn a_worker_that_ended_still_counts() {
    let tables = DnsTables::new();
    tables.worker().record(Proto::Udp, 28, 0);
    check(&encoded(tables), r#"dns_requests_total{proto="udp",type="AAAA"} 1"#);
}

#[test]
fn what_has_no_name_counts_as_other() {
    let tables = DnsTables::new();
    tables.shared().record(Proto::Udp, 65_280, 0x0fff, u64::MAX);
    let text = encoded(tables);
    check(&text, r#"dns_requests_total{proto="udp",type="other"} 1"#);
    check(&text, r#"dns_responses_total{rcode="other"} 1"#);
    check(&text, r#"dns_request_duration_seconds_bucket{le="10.0"} 0"#);
}

#[test]
fn the_tables_of_words_match_the_enums() {
    for proto in [Proto::Udp, Proto::Tcp] {
        assert_eq!(PROTOS[proto as usize], proto.as_str());
    }
    for (index, reason) in DROP_REASONS.iter().enumerate() {
        assert_eq!(*reason as usize, index);
    }
}
