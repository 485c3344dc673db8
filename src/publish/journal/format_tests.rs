use std::path::Path;

use proptest::prelude::*;
use redb::{ReadableTable as _, TableDefinition, WriteTransaction};

use super::{
    decode::Sharing,
    samples::{Dice, Model, instance_entry, stored_node},
    store::{DOCUMENTS, FORMAT, FORMAT_KEY, META, Step, Store},
    *,
};
use crate::catalog::{change::Origin, names::ServiceId};

proptest! {
    #[test]
    fn an_instance_outlives_its_record(seed: u64) {
        let key = InstanceKey { node: NodeName::new("node-1").unwrap(), id: ServiceId::new("ü 1").unwrap() };
        let entry = instance_entry(&mut Dice(seed), &key, seed);
        let key = encode::instance_key(&key);
        let value = encode::instance(&key, &entry);
        let mut sharing = Sharing::default();
        for _ in 0..2 {
            prop_assert_eq!(&decode::instance(&key, &value, &|_, _| None, &mut sharing).unwrap(), &entry);
        }
    }

    #[test]
    fn a_node_outlives_its_record(seed: u64) {
        let stored = stored_node(&mut Dice(seed), NodeName::new("node-1").unwrap(), seed);
        let value = encode::node(b"node-1", &stored);
        let decoded = decode::node("node-1", &value, &|_, _| None, &mut Sharing::default()).unwrap();
        prop_assert_eq!(decoded, stored);
    }

    #[test]
    fn a_record_with_a_changed_byte_is_refused(seed: u64, at: usize, mask in 1..=255_u8) {
        let key = InstanceKey { node: NodeName::new("node-1").unwrap(), id: ServiceId::new("id-1").unwrap() };
        let entry = instance_entry(&mut Dice(seed), &key, 1);
        let key = encode::instance_key(&key);
        let mut value = encode::instance(&key, &entry);
        let at = at % value.len();
        value[at] ^= mask;
        prop_assert!(decode::instance(&key, &value, &|_, _| None, &mut Sharing::default()).is_err());
        prop_assert!(decode::instance(b"node-1\0id-2", &value, &|_, _| None, &mut Sharing::default()).is_err());
    }

    #[test]
    fn any_bytes_under_a_right_seal_end_in_a_value_or_an_error(mut bytes: Vec<u8>, key: Vec<u8>) {
        bytes.extend_from_slice(&encode::seal_of(&key, &bytes));
        let _ = decode::instance(&key, &bytes, &|_, _| None, &mut Sharing::default());
        let _ = decode::result(&key, &bytes);
        let _ = decode::document(&key, &bytes);
        if let Ok(name) = std::str::from_utf8(&key) {
            let _ = decode::node(name, &bytes, &|_, _| None, &mut Sharing::default());
        }
    }
}

/// What format 2 wrote: service `web`, origin Docker, 192.0.2.1, port 80, and nothing else; indexes 7 and 8.
const INSTANCE_OF_FORMAT_2: &[u8] =
    b"\x03web\x03\x01\x00\x00\xc0\x00\x02\x01\x01\x00\x50\x00\x01\x00\x01\x00\x01\x01\x00\x00\x00\x00\x00\x00\x07\x08";

#[test]
fn an_instance_without_further_names_has_the_record_of_format_2() {
    let key = b"n1\0web-1";
    let value = [INSTANCE_OF_FORMAT_2, &encode::seal_of(key, INSTANCE_OF_FORMAT_2)].concat();
    let entry = decode::instance(key, &value, &|_, _| None, &mut Sharing::default()).unwrap();
    assert_eq!((entry.instance.service.as_str(), entry.instance.further_names.len()), ("web", 0));
    assert_eq!((entry.create_index, entry.modify_index), (7, 8));
    assert_eq!(encode::instance(key, &entry), value);
}

/// What format 6 wrote: UUID `u`, 192.0.2.101, and nothing else; indexes 7 and 8.
const NODE_OF_FORMAT_6: &[u8] = b"\x01u\x00\x00\xc0\x00\x02\x65\x00\x01\x00\x00\x07\x08";

#[test]
fn a_node_of_the_api_has_the_record_of_format_6_and_others_their_origin_behind_it() {
    let sealed = |bytes: &[u8]| [bytes, &encode::seal_of(b"n1", bytes)].concat();
    let decoded = |bytes: &[u8]| decode::node("n1", &sealed(bytes), &|_, _| None, &mut Sharing::default()).unwrap();
    let stored = decoded(NODE_OF_FORMAT_6);
    assert_eq!((&*stored.node.uuid, stored.node.origin), ("u", Origin::Api));
    assert_eq!((stored.create_index, stored.modify_index), (7, 8));
    assert_eq!(encode::node(b"n1", &stored), sealed(NODE_OF_FORMAT_6));
    let numbers = [Origin::Server, Origin::File, Origin::Docker, Origin::Registry, Origin::Cluster];
    for (number, origin) in [0, 2, 3, 4, 5].into_iter().zip(numbers) {
        let value = [NODE_OF_FORMAT_6, &[number]].concat();
        let stored = decoded(&value);
        assert_eq!(stored.node.origin, origin);
        assert_eq!(encode::node(b"n1", &stored), sealed(&value));
    }
}

#[test]
fn the_stored_number_of_an_origin_stays() {
    let key = b"n1\0web-1";
    for (number, origin) in [
        (0, Origin::Server),
        (1, Origin::Api),
        (2, Origin::File),
        (3, Origin::Docker),
        (4, Origin::Registry),
        (5, Origin::Cluster),
    ] {
        let mut bytes = INSTANCE_OF_FORMAT_2.to_vec();
        bytes[4] = number;
        let value = [&bytes[..], &encode::seal_of(key, &bytes)].concat();
        let entry = decode::instance(key, &value, &|_, _| None, &mut Sharing::default()).unwrap();
        assert_eq!(entry.instance.origin, origin);
        assert_eq!(encode::instance(key, &entry), value);
    }
}

#[test]
fn an_older_format_is_migrated_once_and_as_a_whole() {
    const STEPS: [Step; 11] = [
        |_| panic!("the file is of format 10 already"),
        |_| panic!("the file is of format 10 already"),
        |_| panic!("the file is of format 10 already"),
        |_| panic!("the file is of format 10 already"),
        |_| panic!("the file is of format 10 already"),
        |_| panic!("the file is of format 10 already"),
        |_| panic!("the file is of format 10 already"),
        |_| panic!("the file is of format 10 already"),
        |_| panic!("the file is of format 10 already"),
        |transaction| note(transaction, "first"),
        |transaction| note(transaction, "second"),
    ];
    let directory = filled();
    for _ in 0..2 {
        let place = Place::Directory(directory.path().to_owned());
        let (_, restored) = Store::open_with_steps(place, Tuning::default(), &STEPS).unwrap();
        assert_eq!(Model::of(&restored, 0).instances, sample().instances);
    }
    let database = redb::Database::open(directory.path().join(FILE_NAME)).unwrap();
    let transaction = redb::ReadableDatabase::begin_read(&database).unwrap();
    let notes = transaction.open_table(NOTES).unwrap();
    let notes: Vec<_> = notes.iter().unwrap().map(|note| note.unwrap().1.value().to_owned()).collect();
    assert_eq!(notes, ["first", "second"]);
    drop(transaction);
    drop(database);
    // And the nameplate from before refuses what the migration made.
    refused(directory.path(), |error| matches!(error, JournalError::Newer { found: 12, known: FORMAT, .. }));
}

#[test]
fn a_file_of_format_3_gets_the_table_of_documents() {
    let directory = filled();
    change(directory.path(), |transaction| {
        assert!(transaction.delete_table(DOCUMENTS).unwrap());
        let mut meta = transaction.open_table(META).unwrap();
        meta.insert(FORMAT_KEY, 3_u32.to_le_bytes().as_slice()).unwrap();
    });
    let place = || Place::Directory(directory.path().to_owned());
    let (journal, restored) = Journal::open(place()).unwrap();
    assert_eq!((restored.documents.len(), restored.instances.len()), (0, 200));
    let write = Write::Document { key: b"\x01key".to_vec(), bytes: Some(b"value".to_vec()) };
    journal.write(Batch { index: 101, writes: vec![write], ..Batch::default() });
    journal.close().unwrap();
    let (_journal, restored) = Journal::open(place()).unwrap();
    assert_eq!(restored.documents, [Document { key: b"\x01key".to_vec(), bytes: b"value".to_vec() }]);
}

#[test]
fn a_damaged_name_of_a_registry_refuses_no_start_and_a_damaged_key_does() {
    let directory = filled();
    let place = || Place::Directory(directory.path().to_owned());
    let insert = |key: &[u8], value: &[u8]| {
        change(directory.path(), |transaction| {
            transaction.open_table(DOCUMENTS).unwrap().insert(key, value).unwrap();
        });
    };
    for kind in [9, 10] {
        insert(&[kind], b"what is under no seal");
    }
    let (journal, restored) = Journal::open(place()).unwrap();
    let expected = [9, 10].map(|kind| Document { key: vec![kind], bytes: Vec::new() });
    assert_eq!(restored.documents, expected);
    drop(journal);
    insert(&[1], b"what is under no seal");
    refused(directory.path(), |error| matches!(error, JournalError::Torn { .. }));
}

#[test]
fn a_newer_format_is_refused_by_name() {
    let directory = filled();
    change(directory.path(), |transaction| {
        let mut meta = transaction.open_table(META).unwrap();
        meta.insert(FORMAT_KEY, 99_u32.to_le_bytes().as_slice()).unwrap();
    });
    let text = refused(directory.path(), |error| matches!(error, JournalError::Newer { found: 99, .. }));
    assert!(text.contains("format 99"), "{text}");
}

#[test]
fn a_foreign_file_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join(FILE_NAME);
    let text = b"root:x:0:0:root:/root:/bin/bash\n".repeat(100);
    std::fs::write(&file, &text).unwrap();
    refused(directory.path(), |error| matches!(error, JournalError::Foreign { .. }));
    assert_eq!(std::fs::read(&file).unwrap(), text);
}

#[test]
fn another_programs_redb_file_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    drop(redb::Database::create(directory.path().join(FILE_NAME)).unwrap());
    refused(directory.path(), |error| matches!(error, JournalError::Foreign { .. }));
    change(directory.path(), |transaction| {
        let other: TableDefinition<'_, u64, u64> = TableDefinition::new("meta");
        transaction.open_table(other).unwrap().insert(1, 1).unwrap();
    });
    refused(directory.path(), |error| matches!(error, JournalError::Foreign { .. }));
}

#[test]
fn an_empty_file_is_never_a_fresh_start() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join(FILE_NAME), b"").unwrap();
    refused(directory.path(), |error| matches!(error, JournalError::Torn { .. }));
}

#[test]
fn a_file_cut_short_is_refused() {
    let directory = filled();
    let file = directory.path().join(FILE_NAME);
    let whole = std::fs::read(&file).unwrap();
    for length in [1, 9, 100, 511, 4096, 8192, whole.len() / 3, whole.len() / 2, whole.len() - 4096] {
        std::fs::write(&file, &whole[..length]).unwrap();
        refused(directory.path(), |error| matches!(error, JournalError::Torn { .. } | JournalError::Foreign { .. }));
    }
}

#[test]
fn a_file_with_a_broken_page_is_refused_or_whole_never_something_else() {
    let directory = filled();
    let file = directory.path().join(FILE_NAME);
    let whole = std::fs::read(&file).unwrap();
    let mut refused = 0;
    for page in 1..whole.len() / 4096 {
        if whole[page * 4096..][..4096].iter().all(|byte| *byte == 0) {
            continue;
        }
        let mut broken = whole.clone();
        for byte in &mut broken[page * 4096 + 100..][..900] {
            *byte ^= 0x55;
        }
        std::fs::write(&file, &broken).unwrap();
        match Journal::open(Place::Directory(directory.path().to_owned())) {
            Ok((_, restored)) => assert_eq!(Model::of(&restored, 0).instances, sample().instances, "page {page}"),
            Err(error) => {
                assert!(matches!(error, JournalError::Torn { .. } | JournalError::Foreign { .. }), "{error:?}");
                refused += 1;
            }
        }
    }
    assert!(refused > 0);
}

const NOTES: TableDefinition<'_, u64, &str> = TableDefinition::new("notes");

fn note(transaction: &WriteTransaction, text: &str) -> Result<(), redb::Error> {
    let mut notes = transaction.open_table(NOTES)?;
    let at = redb::ReadableTableMetadata::len(&notes)?;
    notes.insert(at, text)?;
    Ok(())
}

/// A directory whose journal holds [`sample`].
fn filled() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(Place::Directory(directory.path().to_owned())).unwrap();
    let writes = sample().instances.into_values().map(Write::Instance).collect();
    journal.write(Batch { index: 100, writes, ..Batch::default() });
    journal.close().unwrap();
    directory
}

fn sample() -> Model {
    let mut dice = Dice(5);
    let mut model = Model::default();
    for number in 0..200 {
        let id = ServiceId::new(format!("id-{number}")).unwrap();
        let key = InstanceKey { node: NodeName::new("node-1").unwrap(), id };
        let entry = instance_entry(&mut dice, &key, 1);
        model.instances.insert(key, Arc::new(entry));
    }
    model
}

fn change(directory: &Path, edit: impl FnOnce(&WriteTransaction)) {
    let database = redb::Database::open(directory.join(FILE_NAME)).unwrap();
    let transaction = database.begin_write().unwrap();
    edit(&transaction);
    transaction.commit().unwrap();
}

#[track_caller]
fn refused(directory: &Path, expected: impl Fn(&JournalError) -> bool) -> String {
    let error = Journal::open(Place::Directory(directory.to_owned())).unwrap_err();
    assert!(expected(&error), "{error:?}");
    assert!(error.to_string().contains(FILE_NAME), "{error}");
    error.to_string()
}
