use std::{
    sync::{Mutex, mpsc},
    time::Instant,
};

use proptest::prelude::*;
use tokio::sync::oneshot;

use super::{
    faulty::Faulty,
    samples::{Dice, Model},
    *,
};
use crate::publish::feed::{Receipt, SubmitError};

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn what_was_written_is_what_is_restored(seed: u64, lives in 1..4_usize, batches in 0..30_usize) {
        let disk = Faulty::default();
        let mut dice = Dice(seed);
        let mut model = Model::default();
        for _ in 0..lives {
            let (journal, restored) = open(&disk);
            prop_assert_eq!(&Model::of(&restored, model.index), &model);
            for _ in 0..batches {
                journal.write(model.batch(&mut dice));
            }
            journal.close().unwrap();
        }
        let (_journal, restored) = open(&disk);
        prop_assert_eq!(&Model::of(&restored, model.index), &model);
        prop_assert_eq!(restored.serial, model.batches as u32);
    }
}

#[test]
fn a_first_start_is_fresh_and_a_second_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let place = || Place::Directory(directory.path().join("data"));
    let (journal, restored) = Journal::open(place()).unwrap();
    assert!(restored.fresh && restored.instances.is_empty() && restored.index == 0);
    journal.write(Batch { index: 7, writes: vec![Write::NodeUuid(Arc::from("u-1"))], ..Batch::default() });
    journal.close().unwrap();
    let (_journal, restored) = Journal::open(place()).unwrap();
    assert!(!restored.fresh);
    assert_eq!((restored.index, restored.node_uuid.as_deref()), (7, Some("u-1")));
}

#[test]
fn the_data_directory_is_for_its_user_alone() {
    use std::os::unix::fs::PermissionsExt;

    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("a/b");
    let (_journal, _) = Journal::open(Place::Directory(data.clone())).unwrap();
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&data), mode(&data.join(FILE_NAME))), (0o700, 0o600));
}

#[test]
fn a_directory_is_open_once() {
    let directory = tempfile::tempdir().unwrap();
    let place = || Place::Directory(directory.path().to_owned());
    let first = Journal::open(place()).unwrap();
    let error = Journal::open(place()).unwrap_err();
    assert!(matches!(&error, JournalError::InUse { directory: named } if named == directory.path()), "{error}");
    assert!(error.to_string().contains(&*directory.path().to_string_lossy()), "{error}");
    drop(first);
    Journal::open(place()).unwrap();
}

#[test]
fn a_file_that_is_locked_without_its_directory_is_in_use() {
    let directory = tempfile::tempdir().unwrap();
    let place = || Place::Directory(directory.path().to_owned());
    drop(Journal::open(place()).unwrap());
    let _other = redb::Database::open(directory.path().join(FILE_NAME)).unwrap();
    let error = Journal::open(place()).unwrap_err();
    assert!(matches!(error, JournalError::InUse { .. }), "{error}");
}

#[test]
fn a_directory_that_cannot_be_made_is_named_with_the_cure() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let data = file.path().join("data");
    let error = Journal::open(Place::Directory(data.clone())).unwrap_err();
    assert!(matches!(&error, JournalError::Unwritable { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains(&*data.to_string_lossy()) && text.contains("--data-dir"), "{text}");
}

#[test]
fn an_interrupted_first_start_leaves_nothing_that_counts() {
    let directory = tempfile::tempdir().unwrap();
    let leftover = directory.path().join(format!("{FILE_NAME}.new"));
    std::fs::write(&leftover, b"half").unwrap();
    let (_journal, restored) = Journal::open(Place::Directory(directory.path().to_owned())).unwrap();
    assert!(restored.fresh && !leftover.exists());
}

#[test]
fn memory_alone_acknowledges_at_once_and_goes_on_from_the_time() {
    let (journal, restored) = Journal::open(Place::Ephemeral { unix_micros: 1_700_000_000_000_000 }).unwrap();
    assert_eq!(restored.index, 1_700_000_000_000_000);
    let mut receiver = urgent(&journal, restored.index + 1);
    assert!(receiver.try_recv().unwrap().is_ok());
    assert_eq!((journal.status().path, journal.status().durable_index), (None, restored.index + 1));
    journal.close().unwrap();
}

#[test]
fn batches_that_wait_for_the_disk_share_its_next_sync() {
    let disk = Faulty::default();
    let (journal, _) = open(&disk);
    let (entered, at_the_disk) = mpsc::sync_channel(1);
    let (release, gate) = mpsc::sync_channel::<()>(1);
    let gate = Mutex::new(gate);
    // Holds the first sync until the gate's other end is dropped; later ones pass.
    disk.at_sync(move |_| {
        let _ = entered.try_send(());
        let _ = gate.lock().unwrap().recv();
    });
    let first = urgent(&journal, 1);
    at_the_disk.recv().unwrap();
    let before = (journal.status().commits, disk.syncs());
    let waiting: Vec<_> = (2..66).map(|index| urgent(&journal, index)).collect();
    drop(release);
    for receiver in std::iter::once(first).chain(waiting) {
        receiver.blocking_recv().unwrap().unwrap();
    }
    // Each commit syncs twice: its pages, then the root that makes them valid.
    assert_eq!((journal.status().commits - before.0, disk.syncs() - before.1), (2, 4));
}

#[test]
fn what_nobody_waits_for_is_durable_within_a_second() {
    let (journal, _) = open(&Faulty::default());
    let started = Instant::now();
    let receiver = write(&journal, 1, false);
    receiver.blocking_recv().unwrap().unwrap();
    // It begins early, so that it may take its time.
    let begins = BEHIND_MAX - LEISURE_MAX;
    assert!((begins..BEHIND_MAX * 5).contains(&started.elapsed()), "{:?}", started.elapsed());
}

#[test]
fn what_nobody_waits_for_goes_with_the_next_commit() {
    let (journal, _) = open(&Faulty::default());
    let mut behind = write(&journal, 1, false);
    urgent(&journal, 2).blocking_recv().unwrap().unwrap();
    assert!(behind.try_recv().unwrap().is_ok());
    assert_eq!((journal.status().commits, journal.status().durable_index), (1, 2));
}

#[test]
fn dropping_the_journal_writes_what_is_left() {
    let disk = Faulty::default();
    let (journal, _) = open(&disk);
    let mut model = Model::default();
    journal.write(Batch { urgent: false, ..model.batch(&mut Dice(1)) });
    drop(journal);
    let (_journal, restored) = open(&disk);
    assert_eq!(Model::of(&restored, model.index), model);
}

#[test]
fn a_clean_stop_keeps_the_index_and_a_crash_reserves_a_block() {
    let disk = Faulty::default();
    let (journal, restored) = open(&disk);
    assert_eq!(restored.index, 0);
    urgent(&journal, 5).blocking_recv().unwrap().unwrap();
    let crashed = Faulty::from_image(disk.durable());
    journal.close().unwrap();
    assert_eq!(open(&disk).1.index, 5);
    assert_eq!(open(&crashed).1.index, store::INDEX_BLOCK);
}

#[test]
fn a_block_of_indexes_is_reserved_before_half_of_the_last_one_is_used() {
    let disk = Faulty::default();
    let (journal, _) = open(&disk);
    let mut index = 0;
    for _ in 0..5 {
        index += store::INDEX_BLOCK / 2 - 1;
        urgent(&journal, index).blocking_recv().unwrap().unwrap();
        let restored = open(&Faulty::from_image(disk.durable())).1.index;
        assert!(restored >= index + store::INDEX_BLOCK / 2, "{restored} after {index}");
    }
}

pub(super) fn open(disk: &Faulty) -> (Journal, Restored) {
    Journal::open(Place::Backend(Box::new(disk.clone()))).unwrap()
}

pub(super) type Acknowledged = oneshot::Receiver<Result<Receipt, SubmitError>>;

/// Somebody who waits, and how he hears of it.
pub(super) fn waiting() -> (Waiting, Acknowledged) {
    let (sender, receiver) = oneshot::channel();
    (Waiting::new(sender, Receipt { index: 0, found: Vec::new() }), receiver)
}

pub(super) fn urgent(journal: &Journal, index: u64) -> Acknowledged {
    write(journal, index, true)
}

fn write(journal: &Journal, index: u64, urgent: bool) -> Acknowledged {
    let (sender, receiver) = waiting();
    journal.write(Batch { index, urgent, acknowledge: vec![sender], ..Batch::default() });
    receiver
}
