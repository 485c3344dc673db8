use proptest::prelude::*;

use super::*;
use crate::publish::journal::Document;

fn entry(key: &str, value: Vec<u8>, numbers: [u64; 4], session: Option<String>) -> Entry {
    Entry {
        key: Text::from(key),
        value: value.into(),
        flags: numbers[0],
        session: session.map(Text::from),
        lock_index: numbers[1],
        create_index: numbers[2],
        modify_index: numbers[3],
    }
}

fn documents(store: &Store, touched: &[Touched]) -> Vec<Document> {
    let document = |touched| match write(store, touched) {
        Write::Document { key, bytes } => bytes.map(|bytes| Document { key, bytes }),
        other => panic!("{other:?}"),
    };
    touched.iter().filter_map(document).collect()
}

proptest! {
    #[test]
    fn a_key_outlives_its_document(key in ".{0,9}", value: Vec<u8>, numbers: [u64; 4], session in prop::option::of(".{0,9}")) {
        let entry = entry(&key, value, numbers, session);
        let store = Store::restore(Seed(1), u64::MAX, Stored { entries: vec![entry.clone()], ..Stored::default() });
        let written = documents(&store, &[Touched::Key(Text::from(key.as_str())), Touched::Key("gone".into())]);
        let restored = Restored { index: 9, documents: written, ..Restored::default() };
        let store = restored.store(Seed(2)).unwrap();
        prop_assert_eq!(&**store.key(&key).unwrap(), &entry);
    }

    #[test]
    fn any_bytes_end_in_a_store_or_an_error(mut key: Vec<u8>, bytes: Vec<u8>) {
        key.insert(0, Kind::Key as u8);
        let _ = Restored { documents: vec![Document { key, bytes }], ..Restored::default() }.store(Seed(1));
    }
}
