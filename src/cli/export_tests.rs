use super::*;

const COUNTS: Counts = Counts { nodes: 1, services: 20, checks: 300, left_out: 0 };

#[test]
fn what_was_written_is_told_in_one_line() {
    assert_eq!(COUNTS.text(), "exported 1 nodes, 20 services, 300 checks\n");
    assert_eq!(COUNTS.lines(), 321);
    let text = Counts { left_out: 2, ..COUNTS }.text();
    assert_eq!(text.lines().nth(1), Some("left out 2 checks of services that another source registers"));
}

#[test]
fn a_file_comes_in_place_when_it_is_complete() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("all.jsonl");
    fs::write(&path, "old").unwrap();
    drop(Target::create(&path).unwrap());
    assert_eq!(fs::read_to_string(&path).unwrap(), "old");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    let mut target = Target::create(&path).unwrap();
    target.file.write_all(b"new").unwrap();
    target.finish(&path).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "new");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}
