use super::*;
use crate::zones::testing::{check_clean, check_problem, context, name, problems, read_as, shown, wire, zone};

#[test]
fn records_of_a_name_and_type_are_one_rrset_with_the_smallest_ttl() {
    let text = "a 300 A 192.0.2.1\nA 200 A 192.0.2.2\na 300 TXT x\n";
    let found = problems(text);
    assert_eq!(found.len(), 1);
    assert!(found[0].starts_with("5: TTL 200 differs from 300 in line 4"), "{found:#?}");
    let zone = zone(text);
    let node = zone.node(&wire("a.example.")).unwrap();
    let types: Vec<(u16, u32, usize)> =
        node.rrsets().iter().map(|rrset| (rrset.rtype, rrset.ttl_secs, rrset.rdatas.len())).collect();
    assert_eq!(types, [(1, 200, 2), (16, 300, 1)]);
    assert_eq!(node.smallest_rrset().unwrap().rtype, 16);
}

#[test]
fn a_record_that_stands_twice_is_kept_once() {
    check_problem("a A 192.0.2.1\nA A 192.0.2.1\n", "5: the same record stands in line 4");
    check_problem("a MX 10 Mail.elsewhere.\na MX 10 mail.elsewhere.\n", "5: the same record");
    check_problem("a CNAME b.elsewhere.\na CNAME B.elsewhere.\n", "5: the same record");
    let zone = zone("a TXT x\na TXT x\na TXT X\n");
    assert_eq!(zone.node(&wire("a.example.")).unwrap().rrset(16).unwrap().rdatas.len(), 2);
}

#[test]
fn a_cname_stands_alone() {
    check_problem("a CNAME b.elsewhere.\na A 192.0.2.1\n", "5: a.example. has a CNAME beside other records (line 4)");
    check_problem("a A 192.0.2.1\na CNAME b.elsewhere.\n", "5: a.example. has a CNAME beside other records (line 4)");
    check_problem("a CNAME b.elsewhere.\na CNAME c.elsewhere.\n", "5: a.example. has a second CNAME");
    check_problem("@ CNAME b.elsewhere.\n", "4: example. has a CNAME beside");
}

#[test]
fn a_zone_has_one_soa_at_its_apex() {
    check_problem("@ SOA x. y. 1 1h 10m 1d 5m\n", "4: a second SOA");
    check_problem("a SOA x. y. 1 1h 10m 1d 5m\n", "4: a second SOA");
    assert_eq!(
        shown(&read_as("example.zone", "@ 5 NS a.\n")),
        ["zone example. has no SOA at its apex; add one as the first record"]
    );
    assert_eq!(
        shown(&read_as("example.zone", "")),
        ["zone example. has no SOA at its apex; add one as the first record"]
    );
    let zone = zone("");
    let soa = zone.soa().unwrap();
    assert_eq!((soa.serial, soa.refresh_secs, soa.retry_secs, soa.expire_secs), (1, 3600, 600, 86400));
    assert_eq!((soa.minimum_secs, soa.negative_ttl_secs, soa.rrset.ttl_secs), (300, 300, 300));
    assert_eq!((soa.mname.to_string(), soa.rname.to_string()), ("ns.elsewhere.".into(), "host.elsewhere.".into()));
    assert!(zone.apex().rrset(SOA).is_some());
}

#[test]
fn a_record_outside_the_zone_is_refused() {
    check_problem("a.other. A 192.0.2.1\n", "4: a.other. lies outside zone example.");
    check_problem("notexample. A 192.0.2.1\n", "4: notexample. lies outside");
}

#[test]
fn a_wildcard_cannot_delegate() {
    check_problem("*.a NS b.elsewhere.\n", "4: a wildcard cannot delegate");
}

#[test]
fn names_between_are_nodes_without_rrsets() {
    let zone = zone("a.B.c A 192.0.2.1\nb.c TXT x\n*.w.c A 192.0.2.2\n");
    assert!(zone.node(&wire("c.example.")).unwrap().is_empty_non_terminal());
    assert_eq!(zone.node(&wire("b.c.example.")).unwrap().owner().to_string(), "b.c.example.");
    assert!(zone.node(&wire("w.c.example.")).unwrap().has_wildcard());
    assert!(!zone.apex().has_wildcard());
    assert_eq!(zone.nodes().count(), 6);
}

fn domain_problems(records: &str) -> Vec<String> {
    shown(&read_as("corp.example.zone", format!("$TTL 300\n{records}")))
}

#[test]
fn a_zone_that_is_the_domain_needs_neither_soa_nor_ns() {
    for file in ["corp.example.zone", "alt.example.zone", "CORP.example.zone"] {
        let report = read_as(file, "$TTL 300\nwww A 192.0.2.1\n");
        assert_eq!(shown(&report), Vec::<String>::new());
        let zone = report.zone.unwrap();
        assert!(zone.is_domain() && zone.soa().is_none());
    }
}

#[test]
fn the_soa_of_a_zone_that_is_the_domain_gives_its_fields_only() {
    let report = read_as("corp.example.zone", "$TTL 300\n@ SOA ns me 1 2h 20m 2d 9\n@ NS ns\nns A 192.0.2.53\n");
    let zone = report.zone.unwrap();
    let soa = zone.soa().unwrap();
    assert_eq!((soa.rname.clone(), soa.refresh_secs, soa.negative_ttl_secs), (name("me.corp.example."), 7200, 9));
    assert!(zone.apex().rrset(SOA).is_none());
    assert!(zone.apex().rrset(NS).is_some() && zone.node(&wire("ns.corp.example.")).is_some());
    assert!(!zone.apex().is_delegation());
}

#[test]
fn names_of_the_catalog_are_refused_in_a_zone_that_is_the_domain() {
    for owner in [
        "web.service",
        "service",
        "tag.web.SERVICE",
        "n1.node",
        "0a000001.addr",
        "q.query",
        "x.connect",
        "web.service.dc1",
        "web.service.dc1.dc",
        "web.service.http.port",
        "x.node.other.dc",
        "*.node",
        "x.*.service",
        "*.service.dc1",
    ] {
        let found = domain_problems(&format!("{owner} A 192.0.2.1\n"));
        assert!(
            found[0].starts_with("2: ") && found[0].contains("answered from the service catalog"),
            "{owner} {found:?}"
        );
    }
    for owner in ["*.service", "web", "_web._tcp", "ns", "x.dc1", "service.x", "myservice", "*"] {
        assert_eq!(domain_problems(&format!("{owner} A 192.0.2.1\n")), Vec::<String>::new(), "{owner}");
    }
    check_clean("web.service A 192.0.2.1\n");
}

#[test]
fn zones_are_found_by_origin_and_by_the_names_below() {
    let zones = crate::zones::Zones::new([zone("")]);
    assert!(zones.get(&wire("example.")).is_some() && zones.get(&wire("a.example.")).is_none());
    assert!(zones.enclosing(&wire("a.b.example.")).is_some() && zones.enclosing(&wire("a.other.")).is_none());
    assert_eq!((zones.len(), zones.iter().count(), zones.is_empty()), (1, 1, false));
    assert!(context().previous.enclosing(&wire("example.")).is_none());
}
