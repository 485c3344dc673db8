use std::{fs, path::Path};

use super::*;
use crate::zones::testing::{context, wire};

const HEAD: &str = "$TTL 300\n@ SOA ns.elsewhere. host.elsewhere. 1 1h 10m 1d 5m\n@ NS ns.elsewhere.\n";

fn write(dir: &Path, file: &str, records: &str) {
    fs::write(dir.join(file), format!("{HEAD}{records}")).unwrap();
}

/// Loads the folder over the zones before.
fn load_over(dir: &Path, previous: &Zones) -> LoadOutcome {
    load(dir, &ZoneContext { previous: previous.clone(), ..context() })
}

fn has(zones: &Zones, owner: &str) -> bool {
    let owner = wire(owner);
    zones.enclosing(&owner).is_some_and(|zone| zone.node(&owner).is_some())
}

#[test]
fn every_zone_file_of_the_folder_is_loaded() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "a.example.zone", "x A 192.0.2.1\n");
    write(dir.path(), "b.example.zone", "x A 192.0.2.1\n");
    write(dir.path(), ".hidden.zone", "");
    write(dir.path(), "other.txt", "");
    let outcome = load_over(dir.path(), &Zones::default());
    assert!(outcome.problems.is_empty(), "{:?}", outcome.problems);
    assert_eq!(outcome.zones.len(), 2);
    assert!(has(&outcome.zones, "x.a.example.") && has(&outcome.zones, "x.b.example."));
}

#[test]
fn a_bad_file_leaves_its_last_good_zone_and_the_others_change() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "a.example.zone", "old A 192.0.2.1\n");
    write(dir.path(), "b.example.zone", "old A 192.0.2.1\n");
    let first = load_over(dir.path(), &Zones::default()).zones;
    write(dir.path(), "a.example.zone", "new A 192.0.2\n");
    write(dir.path(), "b.example.zone", "new A 192.0.2.1\n");
    let outcome = load_over(dir.path(), &first);
    assert!(outcome.has_errors());
    assert!(outcome.problems[0].to_string().ends_with("a.example.zone line 4: 192.0.2 is not an IPv4 address"));
    assert!(has(&outcome.zones, "old.a.example.") && !has(&outcome.zones, "new.a.example."));
    assert!(has(&outcome.zones, "new.b.example.") && !has(&outcome.zones, "old.b.example."));
    // And once more: the last good state outlasts any number of bad ones.
    assert!(has(&load_over(dir.path(), &outcome.zones).zones, "old.a.example."));
}

#[test]
fn a_file_that_is_gone_takes_its_zone_along() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "a.example.zone", "");
    let first = load_over(dir.path(), &Zones::default()).zones;
    fs::remove_file(dir.path().join("a.example.zone")).unwrap();
    let outcome = load_over(dir.path(), &first);
    assert!(outcome.zones.is_empty() && outcome.problems.is_empty());
}

#[test]
fn a_folder_that_cannot_be_read_leaves_all_zones() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "a.example.zone", "");
    let first = load_over(dir.path(), &Zones::default()).zones;
    let outcome = load_over(&dir.path().join("gone"), &first);
    assert!(outcome.has_errors());
    assert_eq!(outcome.zones.len(), 1);
}

#[test]
fn a_second_file_of_the_same_zone_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "a.zone", "$ORIGIN example.\n");
    fs::write(dir.path().join("a.zone"), format!("$ORIGIN example.\n{HEAD}first A 192.0.2.1\n")).unwrap();
    fs::write(dir.path().join("b.zone"), format!("$ORIGIN EXAMPLE.\n{HEAD}second A 192.0.2.1\n")).unwrap();
    let outcome = load_over(dir.path(), &Zones::default());
    assert_eq!(outcome.problems.len(), 1);
    assert!(outcome.problems[0].to_string().contains("b.zone: zone EXAMPLE. is in two files, also in"));
    assert!(has(&outcome.zones, "first.example.") && !has(&outcome.zones, "second.example."));
}

#[test]
fn included_files_are_told_even_when_the_zone_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "a.example.zone", "$INCLUDE hosts\n$INCLUDE hosts\n");
    let outcome = load_over(dir.path(), &Zones::default());
    assert!(outcome.has_errors());
    assert_eq!(outcome.included, [dir.path().join("hosts")]);
}

#[test]
fn the_example_zones_are_loaded_without_a_problem() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("zones");
    for domain in ["internal.", "other.example.", "corp.example."] {
        let context = ZoneContext { domain: Name::parse(domain).unwrap(), ..context() };
        let outcome = load(&dir, &context);
        // Only as a zone of its own `internal` lacks an NS.
        let serious: Vec<_> =
            outcome.problems.iter().filter(|problem| domain == "internal." || problem.is_error()).collect();
        assert!(serious.is_empty(), "{domain} {serious:?}");
        assert_eq!(outcome.zones.len(), 2);
        assert!(has(&outcome.zones, "printer.internal.") && has(&outcome.zones, "ns.lab.corp.example."));
    }
}
