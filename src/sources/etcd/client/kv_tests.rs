use std::sync::atomic::{AtomicUsize, Ordering};

use super::{
    super::{
        fake::{Answer, Asked, Fake, client, header, message, well},
        messages::{DeleteRangeResponse, PutResponse, ResponseOp},
    },
    *,
};

fn key_value(key: &str, value: Vec<u8>) -> KeyValue {
    KeyValue { key: key.into(), value, create_revision: 3, mod_revision: 4, version: 2, lease: 5 }
}

/// A store of these keys, each with a value of so many bytes.
fn store(keys: usize, value_bytes: usize) -> impl Fn(&Asked) -> Option<Answer> + Send + Sync {
    move |asked: &Asked| {
        if asked.method != "Range" || asked.is_proof() {
            return None;
        }
        let request: RangeRequest = asked.read();
        assert_eq!(request.range_end, b"/q", "what begins with /p");
        let all =
            (0..keys).map(|number| format!("/p{number:06}")).filter(|key| key.as_bytes() >= request.key.as_slice());
        let limit = usize::try_from(request.limit).unwrap();
        let found: Vec<_> = all.take(limit + 1).collect();
        let kvs = found.iter().take(limit).map(|key| key_value(key, vec![b'v'; value_bytes])).collect();
        // Later pages are asked of the first one's state, and come from a later one.
        let revision = if request.revision == 0 { 20 } else { 20 + request.key.len() as i64 };
        assert!([0, 20].contains(&request.revision));
        Some(message(&RangeResponse { header: header(revision), kvs, more: found.len() > limit }))
    }
}

#[test]
fn a_prefix_ends_before_the_next_key_that_does_not_begin_with_it() {
    for (prefix, end) in [(&b"/p"[..], &b"/q"[..]), (b"/", b"0"), (b"a\xff\xff", b"b"), (b"\xff", b"\0"), (b"", b"\0")]
    {
        assert_eq!(end_of(prefix), end);
    }
    assert_eq!(start_of(b""), b"\0");
}

#[tokio::test]
async fn a_listing_is_read_in_pages_of_one_state() {
    for keys in [0, 1, 999, 1000, 1001, 2500] {
        let fake = Fake::start(store(keys, 3)).await;
        let listing = client([&fake]).range(b"/p", None).await.unwrap();
        assert_eq!(listing.key_values.len(), keys);
        assert!(listing.key_values.is_sorted_by(|one, other| one.key < other.key), "each once, in order");
        assert_eq!(listing.header.revision, 20);
        assert_eq!(fake.count("Range"), keys.div_ceil(1000).max(1), "{keys} keys");
        assert!(
            listing.key_values.iter().all(|found| (found.mod_revision, found.lease, found.value.len()) == (4, 5, 3))
        );
    }
}

#[tokio::test]
async fn a_page_that_is_too_large_is_read_in_smaller_ones() {
    let fake = Fake::start(store(60, 1 << 20)).await;
    let listing = client([&fake]).range(b"/p", Some(20)).await.unwrap();
    assert_eq!((listing.key_values.len(), listing.header.revision), (60, 20));
    let fake = Fake::start(store(2, 17 << 20)).await;
    let error = client([&fake]).range(b"/p", None).await.unwrap_err();
    assert_eq!(error, Error::Refused(Refusal::AnswerTooLarge(super::super::MESSAGE_MAX_BYTES)));
}

#[tokio::test]
async fn pages_that_lead_nowhere_end() {
    for key in [None, Some("/o")] {
        let fake = Fake::start(move |asked| {
            let kvs = key.map(|key| key_value(key, Vec::new())).into_iter().collect();
            (!asked.is_proof()).then(|| message(&RangeResponse { header: header(1), kvs, more: true }))
        });
        let error = client([&fake.await]).range(b"/p", None).await.unwrap_err();
        assert!(matches!(error, Error::Broken { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_key_that_is_not_there_is_none() {
    let fake = Fake::start(well).await;
    let client = client([&fake]);
    let (header, found) = client.get(b"/a").await.unwrap();
    assert_eq!((header.revision, header.cluster_id, found), (10, 7, None));
    assert_eq!(client.cluster_id(), Some(7));
}

#[tokio::test]
async fn a_transaction_says_what_each_operation_did() {
    let fake = Fake::start(|asked| {
        if asked.method != "Txn" {
            return None;
        }
        let request: TxnRequest = asked.read();
        let [revision, value, range] = [0, 1, 2].map(|number| &request.compare[number]);
        assert_eq!((revision.target, revision.result, &revision.with), (2, 0, &Some(CompareWith::ModRevision(9))));
        assert_eq!((value.target, value.result, &value.with), (3, 3, &Some(CompareWith::Value(b"x".into()))));
        assert_eq!((range.target, range.result, &range.with), (2, 2, &Some(CompareWith::ModRevision(8))));
        assert_eq!((&*range.key, &*range.range_end, &*value.range_end), (&b"/t/"[..], &b"/t0"[..], &b""[..]));
        let answers = request.success.iter().map(|op| match op.request.as_ref().unwrap() {
            Request::Put(put) => {
                assert_eq!((put.key.as_slice(), put.lease), (&b"/a"[..], 5));
                Response::Put(PutResponse {})
            }
            Request::DeleteRange(range) => {
                Response::DeleteRange(DeleteRangeResponse { deleted: if range.range_end == b"/c" { 3 } else { 1 } })
            }
            Request::Range(range) => {
                assert_eq!((range.range_end.as_slice(), range.limit), (&b"/e"[..], 2));
                let kvs = vec![key_value("/d1", b"v".into())];
                Response::Range(RangeResponse { header: header(11), kvs, more: false })
            }
        });
        let responses = answers.map(|response| ResponseOp { response: Some(response) }).collect();
        Some(message(&TxnResponse { header: header(11), succeeded: true, responses }))
    });
    let txn = Txn {
        compares: vec![
            Compare::unchanged(b"/a".into(), 9),
            Compare::one(b"/a".into(), Is::NotEqual, With::Value(b"x".into())),
            Compare::none_after(b"/t/", 7),
        ],
        then: vec![
            Op::Put { key: b"/a".into(), value: b"1".into(), lease: 5 },
            Op::Delete(b"/b".into()),
            Op::DeletePrefix(b"/b".into()),
            Op::Range(b"/d".into(), 2),
        ],
        otherwise: vec![Op::Get(b"/a".into())],
    };
    let done = client([&fake.await]).txn(txn).await.unwrap();
    let read = vec![key_value("/d1", b"v".into())];
    assert_eq!(done.done, [Done::Put, Done::Deleted(1), Done::Deleted(3), Done::Read(read)]);
    assert_eq!((done.succeeded, done.header.revision), (true, 11));
}

#[tokio::test]
async fn results_of_other_operations_are_refused() {
    for responses in [vec![], vec![ResponseOp { response: None }]] {
        let fake = Fake::start(move |asked| {
            let answer = TxnResponse { header: header(11), succeeded: true, responses: responses.clone() };
            (asked.method == "Txn").then(|| message(&answer))
        });
        let txn = Txn { then: vec![Op::Delete(b"/a".into())], ..Txn::default() };
        let error = client([&fake.await]).txn(txn).await.unwrap_err();
        assert!(matches!(error, Error::Broken { .. }), "{error}");
    }
}

#[tokio::test]
async fn what_etcd_refuses_has_its_cure() {
    let refusals = [
        (7, "etcdserver: permission denied", "grant-permission"),
        (3, "etcdserver: user name is empty", "store_password_file"),
        (3, "etcdserver: request is too large", "--max-request-bytes"),
        (8, "grpc: received message larger than max (3 vs. 2)", "--max-request-bytes"),
        (3, "etcdserver: too many operations in txn request", "--max-txn-ops"),
        (8, "etcdserver: mvcc: database space exceeded", "--quota-backend-bytes"),
        (3, "etcdserver: duplicate key given in txn request", "duplicate key"),
    ];
    let calls = AtomicUsize::new(0);
    let fake = Fake::start(move |asked| {
        let (code, words, _) =
            *refusals.get((asked.method == "Txn").then(|| calls.fetch_add(1, Ordering::Relaxed))?)?;
        Some(Answer::Status(code, words))
    });
    let fake = fake.await;
    let client = client([&fake]);
    for (_, words, cure) in refusals {
        let error = client.txn(Txn::default()).await.unwrap_err();
        assert!(matches!(&error, Error::Refused(_)) && !error.is_passing(), "{words}: {error:?}");
        assert!(error.to_string().contains(cure), "{words}: {error}");
    }
    assert_eq!(fake.proofs(), 1, "what is refused is no reason for another connection");
}

#[tokio::test]
async fn a_state_or_lease_that_is_gone_is_told_as_such() {
    let fake = Fake::start(|asked| match asked.method.as_str() {
        "Range" if !asked.is_proof() => {
            Some(Answer::Status(11, "etcdserver: mvcc: required revision has been compacted"))
        }
        "Txn" => Some(Answer::Status(5, "etcdserver: requested lease not found")),
        _ => None,
    });
    let fake = fake.await;
    let client = client([&fake]);
    assert_eq!(client.range(b"/p", Some(1)).await.unwrap_err(), Error::Compacted);
    assert_eq!(client.txn(Txn::default()).await.unwrap_err(), Error::LeaseGone);
}
