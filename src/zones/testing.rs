//! What the tests of this folder share.

use std::{fs, sync::Arc};

use super::{Report, Zone, ZoneContext, Zones, check_file};
use crate::wire::name::Name;

/// A context in which D is `corp.example.` and the datacenter `dc1`.
pub(super) fn context() -> ZoneContext {
    ZoneContext {
        domain: name("corp.example."),
        alt_domains: vec![name("alt.example.")],
        datacenter: "dc1".into(),
        previous: Zones::default(),
    }
}

/// Reads the text as a file of this name.
pub(super) fn read_as(file: &str, text: impl AsRef<[u8]>) -> Report {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(file);
    fs::write(&path, text).unwrap();
    check_file(&path, &context())
}

/// The zone `example.` with these records after an ordinary head of three lines.
#[track_caller]
pub(super) fn zone(records: &str) -> Arc<Zone> {
    let report = read_as("example.zone", format!("{HEAD}{records}"));
    report.zone.unwrap_or_else(|| panic!("{:#?}", report.problems))
}

/// The problems of these records after an ordinary head, as `N: text`; the first record is in line 4.
pub(super) fn problems(records: &str) -> Vec<String> {
    shown(&read_as("example.zone", format!("{HEAD}{records}")))
}

/// Problems as `N: text`, without the file.
pub(super) fn shown(report: &Report) -> Vec<String> {
    let text = |problem: &super::problem::Problem| {
        let whole = problem.to_string();
        let file = problem.path.display().to_string();
        whole[file.len()..].trim_start_matches(" line").trim_start_matches([' ', ':']).to_owned()
    };
    report.problems.iter().map(text).collect()
}

/// That exactly one problem is found, and begins so.
#[track_caller]
pub(super) fn check_problem(records: &str, expected: &str) {
    let found = problems(records);
    assert!(matches!(found.as_slice(), [only] if only.starts_with(expected)), "{found:#?}");
}

/// That nothing is found.
#[track_caller]
pub(super) fn check_clean(records: &str) {
    assert_eq!(problems(records), Vec::<String>::new());
}

pub(super) fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

/// Lower-cased wire form.
pub(super) fn wire(text: &str) -> Vec<u8> {
    name(text).to_lowercase().as_wire().to_vec()
}

const HEAD: &str = "$TTL 300\n@ SOA ns.elsewhere. host.elsewhere. 1 1h 10m 1d 5m\n@ NS ns.elsewhere.\n";
