use super::{
    faulty::{Fault, Faulty},
    pending::Pending,
    samples::{Dice, Model},
    tests::{Acknowledged, open, urgent, waiting},
    *,
};
use crate::publish::feed::SubmitError;

const NO_SPACE: i32 = libc::ENOSPC;
const IO_ERROR: i32 = libc::EIO;

#[track_caller]
fn check(fault: Fault, said: &str) {
    let disk = Faulty::default();
    let (journal, _) = open(&disk);
    let mut dice = Dice(7);
    let mut model = Model::default();
    write(&journal, &mut model, &mut dice).blocking_recv().unwrap().unwrap();
    let durable = model.index;

    disk.set_fault(Some(fault));
    for _ in 0..2 {
        let refused = write(&journal, &mut model, &mut dice).blocking_recv().unwrap().unwrap_err();
        let SubmitError::Journal(failure) = refused else { panic!("{refused}") };
        assert!(failure.problem.contains(said) && failure.path.contains(FILE_NAME), "{failure}");
    }
    let status = journal.status();
    assert!(status.failure.is_some_and(|failure| failure.problem.contains(said)));
    assert!(status.failures >= 2 && status.durable_index == durable && status.waiting > 0);

    // All that came while the disk failed is there after the first success, even if the power goes then.
    for _ in 0..20 {
        journal.write(model.batch(&mut dice));
    }
    disk.set_fault(None);
    write(&journal, &mut model, &mut dice).blocking_recv().unwrap().unwrap();
    assert_eq!((journal.status().failure, journal.status().durable_index), (None, model.index));
    let (_crashed, restored) = open(&Faulty::from_image(disk.durable()));
    assert_eq!(Model::of(&restored, model.index), model);
}

#[test]
fn a_full_disk_fails_acknowledgements_and_loses_nothing() {
    check(Fault::Write(NO_SPACE), "No space left on device");
}

#[test]
fn a_broken_disk_fails_acknowledgements_and_loses_nothing() {
    check(Fault::Write(IO_ERROR), "Input/output error");
}

#[test]
fn a_sync_that_fails_is_not_believed_later() {
    check(Fault::Sync(IO_ERROR), "Input/output error");
}

#[test]
fn closing_over_a_broken_disk_says_so() {
    let disk = Faulty::default();
    let (journal, _) = open(&disk);
    disk.set_fault(Some(Fault::Write(IO_ERROR)));
    let waiting = urgent(&journal, 1);
    let failure = journal.close().unwrap_err();
    assert!(failure.problem.contains("Input/output error"), "{failure}");
    assert!(waiting.blocking_recv().unwrap().is_err());
}

#[test]
fn a_start_on_a_broken_disk_is_refused() {
    let disk = Faulty::default();
    drop(open(&disk));
    disk.set_fault(Some(Fault::Write(NO_SPACE)));
    let error = Journal::open(Place::Backend(Box::new(disk))).unwrap_err();
    assert!(error.to_string().contains("No space left on device"), "{error}");
}

#[test]
fn what_waits_is_bounded_by_its_keys() {
    let disk = Faulty::default();
    let (journal, _) = open(&disk);
    disk.set_fault(Some(Fault::Write(IO_ERROR)));
    let mut dice = Dice(3);
    let mut model = Model::default();
    for _ in 0..3000 {
        journal.write(model.batch(&mut dice));
    }
    // Three nodes, 18 instances of at most two checks, some of them seen before and after they were forgotten.
    let waiting = journal.status().waiting;
    assert!(waiting <= 2 * (3 + 18 + 3 * 10), "{waiting}");
}

#[test]
fn results_of_checks_that_are_no_more_do_not_pile_up() {
    let disk = Faulty::default();
    let mut dice = Dice(11);
    let mut model = Model::default();
    for _ in 0..3 {
        let (journal, _) = open(&disk);
        for _ in 0..300 {
            let batch = Batch { urgent: true, ..model.batch(&mut dice) };
            journal.write(batch);
        }
        journal.close().unwrap();
    }
    let (journal, _) = open(&disk);
    drop(journal);
    let database = redb::Database::builder().create_with_backend(disk).unwrap();
    let transaction = redb::ReadableDatabase::begin_read(&database).unwrap();
    let results = transaction.open_table(store::RESULTS).unwrap();
    let checks = model.nodes.values().map(|node| node.checks.len()).sum::<usize>()
        + model.instances.values().map(|entry| entry.checks.len()).sum::<usize>();
    let stored = redb::ReadableTableMetadata::len(&results).unwrap() as usize;
    assert!(stored <= checks, "{stored} results of {checks} checks");
}

#[test]
fn what_a_failing_disk_lets_pile_up_is_bounded_and_registrations_stay() {
    let mut dice = Dice(4);
    let mut model = Model::default();
    let mut pending = Pending::default();
    for _ in 0..300 {
        pending.take_in(model.batch(&mut dice));
    }
    let registered = model.instances.len();
    let forgotten = |pending: &Pending| pending.instances.values().filter(|entry| entry.is_none()).count();
    assert!(forgotten(&pending) > 1 && !pending.results.is_empty());
    pending.bound(1);
    assert_eq!((forgotten(&pending), pending.results.len()), (1, 1));
    assert_eq!(pending.instances.len(), registered + 1);
    pending.bound(0);
    assert_eq!((pending.instances.len(), pending.results.len()), (registered, 0));
}

fn write(journal: &Journal, model: &mut Model, dice: &mut Dice) -> Acknowledged {
    let (sender, receiver) = waiting();
    journal.write(Batch { urgent: true, acknowledge: vec![sender], ..model.batch(dice) });
    receiver
}
