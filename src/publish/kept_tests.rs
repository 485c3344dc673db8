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
    fn any_bytes_end_in_a_store_or_an_error(kind in prop::sample::select(&[1_u8, 2, 3, 4, 8]), mut key: Vec<u8>, bytes: Vec<u8>) {
        key.insert(0, kind);
        let _ = Restored { documents: vec![Document { key, bytes }], ..Restored::default() }.store(Seed(1));
    }
}

#[test]
fn sessions_events_and_queries_outlive_their_documents() {
    let session = Session {
        id: "s".into(),
        name: "n".into(),
        node: NodeName::new("n1").unwrap(),
        node_checks: vec![CheckId::derived("a"), CheckId::derived("b")],
        service_checks: vec![CheckId::derived("service:web")],
        lock_delay: Duration::from_millis(1500),
        behavior: Behavior::Delete,
        ttl: Some((Duration::from_secs(30), "30s".into())),
    };
    let event = Event {
        id: "e".into(),
        name: "deploy".into(),
        payload: [0, 255].into(),
        node_filter: "n".into(),
        service_filter: "s".into(),
        tag_filter: "t".into(),
        number: 300,
        is_here: true,
    };
    let elsewhere = Event { id: "f".into(), number: 301, is_here: false, ..event.clone() };
    let query = Query {
        id: "q".into(),
        name: "Name".into(),
        session: "s".into(),
        template: Some(Template { regexp: Expression::new("^(.*)$".into()).unwrap(), remove_empty_tags: true }),
        service: "web".into(),
        tags: vec!["a".into(), "!b".into()],
        only_passing: true,
        ignore_check_ids: vec!["c".into()],
        node_meta: vec![("k".into(), "v".into())],
        service_meta: vec![("l".into(), "w".into())],
        near: "_agent".into(),
        nearest_n: 3,
        datacenters: vec!["dc2".into()],
        dns_ttl: Some((10, "10s".into())),
    };
    let query = QueryEntry { query: query.into(), create_index: 4, modify_index: 5 };
    let stored = || Stored {
        entries: Vec::new(),
        sessions: vec![(session.clone(), 3)],
        events: vec![event.clone(), elsewhere.clone()],
        queries: vec![query.clone()],
        revision: Some(8),
    };
    let store = Store::restore(Seed(1), 9, stored());
    let touched = [
        Touched::Session("s".into()),
        Touched::Event(44),
        Touched::Event(45),
        Touched::Query("q".into()),
        Touched::Revision,
    ];
    let restored = Restored { index: 9, documents: documents(&store, &touched), ..Restored::default() };
    let store = restored.store(Seed(2)).unwrap();
    assert_eq!((store.revision(), store.sessions_index(), store.queries_index()), (Some(8), 8, 8));
    let entry = store.session("s").unwrap();
    assert_eq!((&*entry.session, entry.create_index), (&session, 3));
    assert_eq!(store.events(), [event.into(), elsewhere.into()]);
    assert_eq!(**store.find_query("name it").unwrap(), query);
}

#[test]
fn an_event_for_our_node_has_the_record_of_format_8() {
    let bytes = b"\x01e\x01n\x01p\x00\x00\x00\xac\x02".to_vec();
    let key = vec![Kind::Event as u8, 44];
    let documents = vec![Document { key: key.clone(), bytes: bytes.clone() }];
    let store = Restored { index: 9, documents, ..Restored::default() }.store(Seed(1)).unwrap();
    let event = store.event_in(44).unwrap();
    assert_eq!((event.id.as_str(), event.number, event.is_here), ("e", 300, true));
    let write = write(&store, &Touched::Event(44));
    assert!(matches!(write, Write::Document { key: of, bytes: Some(with) } if of == key && with == bytes));
}
