use crate::zones::testing::{check_clean, check_problem, read_as, shown};

#[test]
fn an_ordinary_zone_has_nothing_to_warn_of() {
    check_clean(
        "ns1 A 192.0.2.1\nwww CNAME ns1\n@ MX 10 ns1\n_x._tcp SRV 0 0 80 ns1\nsub NS ns.sub\nns.sub A 192.0.2.2\n\
         sub NS ns1\n*.apps A 192.0.2.3\none.apps A 192.0.2.4\n_x._tcp.apps SRV 0 0 80 ns1\n@ MX 0 .\n",
    );
}

#[test]
fn an_ns_without_address_is_told() {
    check_problem("@ NS ns1\n", "4: NS target ns1.example. has no address in the zone");
    check_problem("sub NS ns1\n", "4: NS target ns1.example. has no address in the zone");
    check_problem("sub NS ns.sub\n", "4: NS target ns.sub.example. of the delegation sub.example. lies below it");
    check_clean("sub NS ns.other\nother NS ns.elsewhere.\n");
}

#[test]
fn a_target_that_is_an_alias_is_told() {
    let alias = "alias CNAME x.elsewhere.\n";
    check_problem(&format!("{alias}@ NS alias\n"), "5: NS target alias.example. is a CNAME");
    check_problem(&format!("{alias}@ MX 1 alias\n"), "5: MX target alias.example. is a CNAME");
    check_problem(&format!("{alias}a SRV 0 0 1 alias\n"), "5: SRV target alias.example. is a CNAME");
}

#[test]
fn a_target_that_does_not_exist_is_told() {
    check_problem("a CNAME b\n", "4: target b.example. does not exist");
    check_problem("a MX 1 b\n", "4: target b.example. does not exist");
    check_problem("a SRV 0 0 1 b\n", "4: target b.example. does not exist");
    check_clean("a CNAME b.w\n*.w A 192.0.2.1\nc CNAME x.sub\nsub NS ns.elsewhere.\n");
}

#[test]
fn cnames_that_lead_back_are_told() {
    check_problem("a CNAME a\n", "4: the CNAMEs from a.example. lead back");
    check_problem("*.w CNAME x.w\n", "4: the CNAMEs from");
}

#[test]
fn a_ttl_of_zero_is_told() {
    check_problem("a 0 A 192.0.2.1\n", "4: TTL 0");
}

#[test]
fn a_missing_dot_is_told() {
    check_problem(
        "www.example A 192.0.2.1\n",
        "4: www.example has no dot at its end and so stands for www.example.example.",
    );
    let found = crate::zones::testing::problems("www CNAME mail.example\n");
    assert!(found[0].contains("mail.example has no dot"), "{found:?}");
}

#[test]
fn what_a_delegation_hides_is_told() {
    let cut = "sub NS ns.sub\nns.sub A 192.0.2.2\n";
    check_problem(&format!("{cut}x.sub A 192.0.2.3\n"), "6: x.sub.example. lies below the delegation sub.example.");
    check_problem(&format!("{cut}ns.sub TXT x\n"), "6: ns.sub.example. lies below");
    check_problem(&format!("{cut}sub TXT x\n"), "6: sub.example. stands beside the NS");
    check_clean("sub NS sub\nsub A 192.0.2.2\n");
}

#[test]
fn a_name_that_takes_itself_out_of_a_wildcard_is_told() {
    check_problem("*.w A 192.0.2.1\na.w TXT x\n", "5: a.w.example. takes the name out of *.w.example.");
    check_problem("*.w A 192.0.2.1\nb.a.w A 192.0.2.2\n", "5: a.w.example. takes the name out of");
    check_clean("*.w A 192.0.2.1\na.w AAAA 2001:db8::1\nsub.w NS ns.elsewhere.\n");
}

#[test]
fn an_asterisk_inside_a_name_is_told() {
    check_problem("a.*.b A 192.0.2.1\n", "4: a.*.b.example. has a `*`");
}

#[test]
fn odd_soa_fields_are_told() {
    let soa = |fields: &str| shown(&read_as("example.zone", format!("@ 5 SOA a. b. {fields}\n@ NS a.\n")));
    assert_eq!(soa("1 1h 10m 1d 5m"), Vec::<String>::new());
    for (fields, expected) in [
        ("1 1 10m 1d 5m", "SOA refresh of 1 s"),
        ("1 1h 1w 2w 5m", "SOA retry of 604800 s"),
        ("1 1h 10m 2h 5m", "SOA expire of 7200 s"),
        ("1 1h 10m 1d 4w", "SOA minimum of 2419200 s"),
        ("1 1d 1h 1d 5m", "expire must be longer"),
        ("0 1h 10m 1d 5m", "serial 0"),
    ] {
        let found = soa(fields);
        assert!(matches!(found.as_slice(), [only] if only.contains(expected)), "{found:?}");
    }
}

#[test]
fn a_zone_without_ns_is_told() {
    let found = shown(&read_as("example.zone", "@ 5 SOA a. b. 1 1h 10m 1d 5m\n"));
    assert_eq!(found, ["zone example. has no NS at its apex; add one (RFC 1034 4.2.1)"]);
}

#[test]
fn in_a_zone_that_is_the_domain_targets_may_be_services() {
    let found =
        shown(&read_as("corp.example.zone", "$TTL 5\n@ NS ns\na CNAME web.service\nb MX 1 web\nc SRV 0 0 1 web\n"));
    assert_eq!(found, Vec::<String>::new());
}
