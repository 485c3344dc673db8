use std::fs::{self, File};

use super::*;

#[test]
fn a_folder_that_stays_as_it_is_has_the_same_fingerprint() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a.zone"), "x").unwrap();
    let before = Fingerprint::of(dir.path(), &["zone"]).unwrap();
    fs::write(dir.path().join("other.txt"), "x").unwrap();
    fs::write(dir.path().join(".a.zone"), "x").unwrap();
    assert_eq!(Fingerprint::of(dir.path(), &["zone"]).unwrap(), before);
}

/// Whether the fingerprint differs after the change.
#[track_caller]
fn check_seen(change: impl Fn(&Path)) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.zone");
    fs::write(&file, "x").unwrap();
    let before = Fingerprint::of(dir.path(), &["toml", "zone"]).unwrap();
    change(&file);
    assert_ne!(Fingerprint::of(dir.path(), &["toml", "zone"]).unwrap(), before);
}

#[test]
fn size_time_inode_and_name_are_looked_at() {
    check_seen(|file| fs::write(file, "xy").unwrap());
    check_seen(|file| {
        let time = fs::metadata(file).unwrap().modified().unwrap() + std::time::Duration::from_nanos(1);
        File::options().write(true).open(file).unwrap().set_modified(time).unwrap();
    });
    check_seen(|file| {
        let time = fs::metadata(file).unwrap().modified().unwrap();
        let other = file.with_extension("tmp");
        fs::write(&other, "y").unwrap();
        File::options().write(true).open(&other).unwrap().set_modified(time).unwrap();
        fs::rename(&other, file).unwrap();
    });
    check_seen(|file| fs::rename(file, file.with_file_name("b.zone")).unwrap());
    check_seen(|file| fs::remove_file(file).unwrap());
    check_seen(|file| fs::write(file.with_extension("toml"), "").unwrap());
}

#[test]
fn a_file_more_can_be_watched_before_it_exists() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("hosts");
    let fingerprint = || {
        let mut fingerprint = Fingerprint::of(dir.path(), &["zone"]).unwrap();
        fingerprint.add_file(&file);
        fingerprint
    };
    let before = fingerprint();
    assert_eq!(fingerprint(), before);
    fs::write(&file, "x").unwrap();
    assert_ne!(fingerprint(), before);
}

#[test]
fn a_folder_that_is_not_there_is_an_error() {
    assert!(Fingerprint::of(Path::new("/nonexistent/example"), &["zone"]).is_err());
}
