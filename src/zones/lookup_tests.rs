use proptest::prelude::*;

use super::*;
use crate::zones::testing::{wire, zone};

/// What is found, in one word and with the name that gives it.
fn found(zone: &Zone, qname: &str, qtype: u16) -> String {
    let by =
        |found: Match<'_>| format!("{}{}", found.node.owner(), if found.is_synthesised { " synthesised" } else { "" });
    match zone.lookup(&wire(qname), qtype) {
        Lookup::Answer(at, rrset) => {
            assert_eq!(rrset.rtype, qtype);
            format!("answer {}", by(at))
        }
        Lookup::Cname(at, rrset) => {
            assert_eq!(rrset.rtype, CNAME);
            format!("cname {}", by(at))
        }
        Lookup::Any(at) => format!("any {}", by(at)),
        Lookup::Referral(referral) => {
            assert_eq!(referral.ns.rtype, NS);
            format!("referral {}", referral.cut.owner())
        }
        Lookup::Nodata(at) => format!("nodata {}", by(at)),
        Lookup::Nxdomain { closest_encloser } => format!("nxdomain {}", closest_encloser.owner()),
    }
}

#[track_caller]
fn check(records: &str, cases: &[(&str, u16, &str)]) {
    let zone = zone(records);
    for (qname, qtype, expected) in cases {
        assert_eq!(found(&zone, qname, *qtype), *expected, "{qname} {qtype}");
    }
}

#[test]
fn a_name_that_exists_answers_with_its_types() {
    check(
        "WWW A 192.0.2.1\nalias CNAME www\n",
        &[
            ("www.example.", A, "answer WWW.example."),
            ("www.example.", AAAA, "nodata WWW.example."),
            ("www.example.", ANY, "any WWW.example."),
            ("alias.example.", A, "cname alias.example."),
            ("alias.example.", CNAME, "answer alias.example."),
            ("alias.example.", ANY, "any alias.example."),
            ("example.", NS, "answer example."),
            ("other.example.", A, "nxdomain example."),
            ("a.b.www.example.", A, "nxdomain WWW.example."),
        ],
    );
}

#[test]
fn a_name_above_others_is_nodata() {
    check(
        "a.b.c A 192.0.2.1\n",
        &[
            ("c.example.", A, "nodata c.example."),
            ("b.c.example.", ANY, "nodata b.c.example."),
            ("x.c.example.", A, "nxdomain c.example."),
            ("x.a.b.c.example.", A, "nxdomain a.b.c.example."),
        ],
    );
}

/// The zone and the questions of RFC 4592 section 2.2.1.
#[test]
fn wildcards_are_those_of_rfc_4592() {
    check(
        "*             3600 TXT \"this is a wildcard\"\n\
         *             3600 MX 10 host1\n\
         sub.*         3600 TXT \"this is not a wildcard\"\n\
         host1         3600 A 192.0.2.1\n\
         _ssh._tcp.host1 3600 SRV 0 0 22 host1\n\
         _ssh._tcp.host2 3600 SRV 0 0 22 host2\n\
         subdel        3600 NS ns.elsewhere.\n",
        &[
            ("host3.example.", 15, "answer *.example. synthesised"),
            ("host3.example.", A, "nodata *.example. synthesised"),
            ("foo.bar.example.", 16, "answer *.example. synthesised"),
            ("host1.example.", 15, "nodata host1.example."),
            ("sub.*.example.", 15, "nodata sub.*.example."),
            ("_telnet._tcp.host1.example.", 33, "nxdomain _tcp.host1.example."),
            ("host.subdel.example.", A, "referral subdel.example."),
            ("ghost.*.example.", 15, "nxdomain *.example."),
            ("*.example.", 16, "answer *.example."),
            ("host2.example.", 16, "nodata host2.example."),
        ],
    );
}

#[test]
fn a_wildcard_may_be_an_alias_and_an_empty_non_terminal() {
    check(
        "*.a CNAME target\nx.*.b A 192.0.2.1\n",
        &[
            ("q.a.example.", A, "cname *.a.example. synthesised"),
            ("q.r.a.example.", CNAME, "answer *.a.example. synthesised"),
            ("q.b.example.", A, "nodata *.b.example. synthesised"),
        ],
    );
}

#[test]
fn a_delegation_comes_before_wildcards_and_the_topmost_holds() {
    check(
        "sub NS ns.sub\nns.sub A 192.0.2.53\n*.sub A 192.0.2.1\ndeep.sub NS ns.deep.sub\nns.deep.sub A 192.0.2.54\n",
        &[
            ("sub.example.", A, "referral sub.example."),
            ("sub.example.", NS, "referral sub.example."),
            ("sub.example.", ANY, "referral sub.example."),
            ("ns.sub.example.", A, "referral sub.example."),
            ("q.sub.example.", A, "referral sub.example."),
            ("x.deep.sub.example.", A, "referral sub.example."),
            ("sub.example.", DS, "nodata sub.example."),
            ("q.sub.example.", DS, "referral sub.example."),
            ("deep.sub.example.", DS, "referral sub.example."),
            ("example.", NS, "answer example."),
        ],
    );
}

#[test]
fn glue_is_found_below_a_cut_and_beside_it() {
    let zone = zone("sub NS NS.sub\nsub NS ns.other\nns.sub A 192.0.2.53\nns.other AAAA 2001:db8::53\n");
    let Lookup::Referral(referral) = zone.lookup(&wire("x.sub.example."), A) else { panic!("no referral") };
    let mut buffer = [0; NAME_MAX_BYTES];
    let glue: Vec<_> =
        referral.ns.rdatas.iter().map(|target| zone.addresses(lowercase_into(target, &mut buffer)).unwrap()).collect();
    assert_eq!(&*glue[0].a.unwrap().rdatas[0], &[192, 0, 2, 53]);
    assert!(glue[0].aaaa.is_none() && glue[0].node.is_at_or_below_cut());
    assert!(glue[1].a.is_none() && glue[1].aaaa.is_some() && !glue[1].node.is_at_or_below_cut());
    assert!(zone.addresses(&wire("none.example.")).is_none());
}

#[test]
fn the_longest_names_and_bytes_that_are_no_name_are_looked_up_safely() {
    let zone = zone("a.b A 192.0.2.1\n");
    let long = format!("{}example.", "a.".repeat(123));
    assert_eq!(found(&zone, &long, A), "nxdomain example.");
    for bytes in [&b""[..], b"\x05ab", b"\xff", b"\x01a", b"\0\0"] {
        assert!(matches!(zone.lookup(bytes, A), Lookup::Nxdomain { .. }), "{bytes:?}");
    }
    assert_eq!(lowercase_into(&[1; 256], &mut [0; NAME_MAX_BYTES]), b"");
    assert_eq!(lowercase_into(b"\x02Ab\0", &mut [0; NAME_MAX_BYTES]), b"\x02ab\0");
}

/// RFC 1034 section 4.3.2 over a plain list of (owner labels from the right, type).
fn naive(records: &[(Vec<&str>, u16)], qname: &[&str], qtype: u16) -> String {
    let text = |name: &[&str]| name.iter().rev().map(|label| format!("{label}.")).collect::<String>() + "example.";
    let has = |name: &[&str], rtype: u16| records.iter().any(|(owner, other)| owner == name && *other == rtype);
    let exists = |name: &[&str]| name.is_empty() || records.iter().any(|(owner, _)| owner.starts_with(name));
    let at = |name: &[&str], synthesised: &str| {
        let kind = match (qtype, has(name, qtype), has(name, CNAME)) {
            (_, true, _) => "answer",
            (_, _, true) => "cname",
            _ => "nodata",
        };
        format!("{kind} {}{synthesised}", text(name))
    };
    for depth in 1..=qname.len() {
        if has(&qname[..depth], NS) && !(depth == qname.len() && qtype == DS) {
            return format!("referral {}", text(&qname[..depth]));
        }
    }
    if exists(qname) {
        return at(qname, "");
    }
    let depth = (0..qname.len()).rev().find(|&depth| exists(&qname[..depth])).unwrap();
    let wildcard: Vec<&str> = qname[..depth].iter().copied().chain(["*"]).collect();
    if exists(&wildcard) { at(&wildcard, " synthesised") } else { format!("nxdomain {}", text(&qname[..depth])) }
}

fn names() -> impl Strategy<Value = Vec<&'static str>> {
    prop::collection::vec(prop::sample::select(vec!["a", "b", "*"]), 1..5)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn the_same_is_found_as_by_a_plain_search(
        drawn in prop::collection::vec((names(), prop::sample::select(vec![A, A, 16, CNAME, NS])), 0..8),
        asked in prop::collection::vec((names(), prop::sample::select(vec![A, 16, CNAME, NS, DS])), 12),
    ) {
        let mut records: Vec<(Vec<&str>, u16)> = Vec::new();
        for (owner, rtype) in drawn {
            let fits = |other: u16| other != CNAME && rtype != CNAME && other != rtype;
            let is_alone = |other: &(Vec<&str>, u16)| other.0 != owner || fits(other.1);
            if records.iter().all(is_alone) && !(rtype == NS && owner.last() == Some(&"*")) {
                records.push((owner, rtype));
            }
        }
        let mut text = String::new();
        for (owner, rtype) in &records {
            let owner: Vec<&str> = owner.iter().rev().copied().collect();
            let data = match *rtype {
                A => "A 192.0.2.1",
                CNAME => "CNAME t.elsewhere.",
                NS => "NS t.elsewhere.",
                _ => "TXT x",
            };
            text.push_str(&format!("{} {data}\n", owner.join(".")));
        }
        let zone = zone(&text);
        for (qname, qtype) in asked {
            let labels: String = qname.iter().rev().map(|label| format!("{label}.")).collect();
            let (fast, slow) = (found(&zone, &format!("{labels}example."), qtype), naive(&records, &qname, qtype));
            prop_assert_eq!(fast, slow, "{} {} in\n{}", labels, qtype, text);
        }
    }
}
