use super::*;

const KNOWN: [&str; 6] = ["domain", "data_dir", "datacenter", "Interval", "TLSSkipVerify", "dns"];

#[track_caller]
fn check(word: &str, expected: Option<&str>) {
    assert_eq!(nearest(word, KNOWN), expected, "{word}");
}

#[test]
fn a_slip_of_the_fingers_is_recognised() {
    check("domian", Some("domain"));
    check("domainn", Some("domain"));
    check("datacentre", Some("datacenter"));
    check("intervall", Some("Interval"));
}

#[test]
fn case_and_separators_do_not_count() {
    check("data-dir", Some("data_dir"));
    check("DataDir", Some("data_dir"));
    check("tls_skip_verify", Some("TLSSkipVerify"));
    check("DNS", Some("dns"));
}

#[test]
fn a_word_that_resembles_nothing_finds_nothing() {
    check("colour", None);
    check("", None);
    check("abc", None);
}

#[test]
fn a_word_over_the_limit_finds_nothing() {
    check(&"domain".repeat(WORD_MAX_BYTES), None);
}

#[test]
fn the_nearest_of_several_wins() {
    assert_eq!(nearest("ports", ["sport", "port"]), Some("port"));
}
