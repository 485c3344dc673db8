//! What must hold for any input: the bodies of the fuzz targets, run by plain `cargo test` too.
//!
//! Taken in by `#[path]`, so that there is one text of each. An oracle panics when its rule is broken.

use std::{fmt::Write, path::Path};

use nameplate::{
    wire::name::Name,
    zones::{
        Zone, ZoneContext, Zones, check_text,
        lookup::{Lookup, lowercase_into},
    },
};

/// A name that can be read, as text or as bytes, is the same after it was written as text.
pub fn name_text(data: &[u8]) {
    let parsed = std::str::from_utf8(data).ok().and_then(|text| Name::parse(text).ok());
    for name in parsed.into_iter().chain(Name::from_wire(data)) {
        let again = Name::parse(&name.to_string()).expect("a name as text is a name");
        assert_eq!(again.as_wire(), name.as_wire());
        assert_eq!(again.to_lowercase(), name);
    }
}

/// Any text is either refused with an error or a zone, whose records are found, and are the same after they were written in the
/// generic form of RFC 3597, which hickory-proto checks.
pub fn zone_file(data: &[u8]) {
    let context = ZoneContext {
        domain: Name::parse("corp.example.").expect("a name"),
        alt_domains: Vec::new(),
        datacenter: "dc1".into(),
        previous: Zones::default(),
    };
    let path = Path::new("/nonexistent/example.zone");
    let report = check_text(path, data, &context);
    assert_eq!(report.zone.is_some(), !report.has_errors());
    for problem in &report.problems {
        assert!(problem.to_string().starts_with("/nonexistent/"));
    }
    let Some(zone) = report.zone else { return };
    records_are_found(&zone);
    let text = generic_text(&zone);
    let again = check_text(path, text.as_bytes(), &context);
    let again = again.zone.unwrap_or_else(|| panic!("{:#?}\n{text}", again.problems));
    assert_eq!(generic_text(&again), text);
}

fn records_are_found(zone: &Zone) {
    for node in zone.nodes() {
        let mut buffer = [0; 255];
        let owner = lowercase_into(node.owner().as_wire(), &mut buffer);
        for rrset in node.rrsets() {
            match zone.lookup(owner, rrset.rtype) {
                Lookup::Answer(found, answer) => {
                    assert!(answer == rrset && found.node.owner() == node.owner() && !found.is_synthesised);
                }
                Lookup::Referral(referral) => assert!(node.owner().is_at_or_below(referral.cut.owner())),
                other => panic!("{} {}: {other:?}", node.owner(), rrset.rtype),
            }
        }
        if node.is_empty_non_terminal() && !node.is_at_or_below_cut() {
            assert!(matches!(zone.lookup(owner, 255), Lookup::Nodata(_)));
        }
    }
}

/// All records by owner and type, data in hex.
fn generic_text(zone: &Zone) -> String {
    let mut nodes: Vec<_> = zone.nodes().collect();
    nodes.sort_by(|a, b| a.owner().cmp(b.owner()));
    let mut text = format!("$ORIGIN {}\n", zone.origin());
    for (node, rrset) in nodes.iter().flat_map(|node| node.rrsets().iter().map(move |rrset| (node, rrset))) {
        for rdata in &rrset.rdatas {
            let owner = node.owner();
            write!(text, "{owner} {} TYPE{} \\# {} ", rrset.ttl_secs, rrset.rtype, rdata.len())
                .expect("a string grows");
            rdata.iter().for_each(|byte| write!(text, "{byte:02x}").expect("a string grows"));
            text.push('\n');
        }
    }
    text
}
