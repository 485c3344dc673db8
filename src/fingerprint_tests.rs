use std::fs::{self, File};

use super::*;

const ZONES: Watched<'_> = Watched { extensions: &["zone"], files_max: 3 };
const BOTH: Watched<'_> = Watched { extensions: &["toml", "zone"], files_max: 3 };

#[test]
fn a_folder_that_stays_as_it_is_has_the_same_fingerprint() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a.zone"), "x").unwrap();
    let before = Fingerprint::of(dir.path(), ZONES).unwrap();
    fs::write(dir.path().join("other.txt"), "x").unwrap();
    fs::write(dir.path().join(".a.zone"), "x").unwrap();
    assert_eq!(Fingerprint::of(dir.path(), ZONES).unwrap(), before);
}

/// Whether the fingerprint differs after the change.
#[track_caller]
fn check_seen(change: impl Fn(&Path)) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.zone");
    fs::write(&file, "x").unwrap();
    let before = Fingerprint::of(dir.path(), BOTH).unwrap();
    change(&file);
    assert_ne!(Fingerprint::of(dir.path(), BOTH).unwrap(), before);
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
        let mut fingerprint = Fingerprint::of(dir.path(), ZONES).unwrap();
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
    assert!(Fingerprint::of(Path::new("/nonexistent/example"), ZONES).is_err());
}

#[test]
fn what_is_no_file_is_not_listed_and_too_many_are_an_error() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["a.zone", "b.ZONE"] {
        fs::write(dir.path().join(name), "x").unwrap();
    }
    fs::create_dir(dir.path().join("c.zone")).unwrap();
    let fingerprint = Fingerprint::of(dir.path(), ZONES).unwrap();
    let names: Vec<_> = fingerprint.files().map(|(path, _)| path.file_name().unwrap().to_owned()).collect();
    assert_eq!(names, ["a.zone", "b.ZONE"]);
    fs::write(dir.path().join("d.zone"), "x").unwrap();
    assert!(Fingerprint::of(dir.path(), ZONES).unwrap_err().to_string().contains("more than 3 files"));
}
