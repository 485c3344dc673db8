use proptest::prelude::*;

use super::*;
use crate::publish::journal::Document;

fn documents(directory: &Directory, touched: &[Touched]) -> Vec<Document> {
    let document = |touched| match write(directory, touched) {
        Write::Document { key, bytes } => bytes.map(|bytes| Document { key, bytes }),
        other => panic!("{other:?}"),
    };
    touched.iter().filter_map(document).collect()
}

fn restored(documents: Vec<Document>) -> Result<Directory, DocumentError> {
    Restored { index: 9, documents, ..Restored::default() }.directory(Seed(2), HashKey([2; 16]))
}

fn directory(stored: Stored) -> Directory {
    Directory::restore(Seed(1), HashKey([1; 16]), 9, stored)
}

proptest! {
    #[test]
    fn a_token_outlives_its_document(
        texts in prop::array::uniform5(".{0,9}"),
        is_local: bool,
        created_secs: u64,
        expires_secs: Option<u64>,
        indexes: [u64; 2],
    ) {
        let [accessor_id, secret, description, policy, name] = texts.map(Arc::<str>::from);
        let token = Token {
            description,
            policies: vec![Arc::clone(&policy), Arc::clone(&name)],
            service_identities: vec![Arc::clone(&name)],
            node_identities: vec![name],
            is_local,
            created_secs,
            expires_secs,
            create_index: indexes[0],
            modify_index: indexes[1],
            ..Token::new(Arc::clone(&accessor_id), Secret::new(Arc::clone(&secret)))
        };
        let before = directory(Stored { tokens: vec![token.clone()], ..Stored::default() });
        let touched = [Touched::Token(Arc::clone(&accessor_id)), Touched::Token("a token that is gone".into())];
        let after = restored(documents(&before, &touched)).unwrap();
        prop_assert_eq!(&**after.token(&accessor_id).unwrap(), &token);
        prop_assert_eq!(&**after.token_by_secret(&secret).unwrap(), &token);
        prop_assert_eq!((after.tokens().count(), after.index(), after.bootstrap_index()), (1, 9, 0));
    }

    #[test]
    fn any_bytes_end_in_a_directory_or_an_error(kind in 5..=7_u8, mut key: Vec<u8>, bytes: Vec<u8>) {
        key.insert(0, kind);
        let _ = restored(vec![Document { key, bytes }]);
    }
}

#[test]
fn a_policy_and_the_first_token_outlive_their_documents() {
    let text = "service \"web\" { policy = \"write\" }";
    let policy = Policy {
        id: "p".into(),
        name: "web".into(),
        description: "d".into(),
        text: text.into(),
        rules: Arc::new(Rules::parse(text).unwrap()),
        create_index: 3,
        modify_index: 4,
    };
    let before = directory(Stored { policies: vec![policy.clone()], bootstrap_index: 5, ..Stored::default() });
    let after = restored(documents(&before, &[Touched::Policy("p".into()), Touched::Bootstrap])).unwrap();
    assert_eq!(**after.policy("p").unwrap(), policy);
    assert_eq!(after.bootstrap_index(), 5);
    // An operator took the mark out of the store that machines share.
    let none = directory(Stored::default());
    assert_eq!(restored(documents(&none, &[Touched::Bootstrap])).unwrap().bootstrap_index(), 0);
}

#[test]
fn an_error_names_the_kind_and_repeats_nothing() {
    let bytes = documents::write(Kind::Token, b"a", Some(&("a-secret", 7)));
    let Write::Document { key, bytes: Some(bytes) } = bytes else { panic!("a document") };
    let error = restored(vec![Document { key, bytes }]).unwrap_err().to_string();
    assert!(error.contains("kind Token") && !error.contains("a-secret"), "{error}");
}

#[test]
fn a_lease_counts_only_for_who_follows_the_store() {
    let token = Token { expires_secs: Some(7), lease: 77, ..Token::new("a".into(), Secret::new("s")) };
    let before = directory(Stored { tokens: vec![token.clone()], ..Stored::default() });
    let after = restored(documents(&before, &[Touched::Token("a".into())])).unwrap();
    assert_eq!(**after.token("a").unwrap(), Token { lease: 0, ..token });
}
