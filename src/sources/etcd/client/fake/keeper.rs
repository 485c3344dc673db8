//! An etcd that keeps what it is told, for tests of what lies there afterwards. It compares only whether keys are there, and
//! takes as many compares and operations as etcd does by default.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use super::{
    super::messages::{
        CompareWith, DeleteRangeResponse, KeyValue, LeaseGrantRequest, LeaseGrantResponse, PutResponse, RangeRequest,
        Request, RequestOp, Response, ResponseOp, TxnRequest, TxnResponse,
    },
    Answer, Asked, Client, Fake, RangeResponse, client, header, message,
};

/// One that runs until it is dropped.
pub(in crate::sources::etcd) struct Keeper {
    fake: Fake,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Default)]
struct Kept {
    keys: BTreeMap<Vec<u8>, (Vec<u8>, i64)>,
    /// How long each lease was asked for; its number is its place, from 1.
    leases: Vec<i64>,
    /// What somebody else writes before the first transaction.
    late: Option<Vec<u8>>,
}

impl Keeper {
    /// Begins with these keys.
    pub(in crate::sources::etcd) async fn start(keys: &[&str]) -> Keeper {
        Keeper::start_with(keys, None).await
    }

    /// Begins with these keys; one more comes before the first transaction that it is asked for.
    pub(in crate::sources::etcd) async fn start_with(keys: &[&str], late: Option<&str>) -> Keeper {
        let keys = keys.iter().map(|key| (key.as_bytes().to_vec(), (b"{}".to_vec(), 0))).collect();
        let late = late.map(|key| key.as_bytes().to_vec());
        let kept = Arc::new(Mutex::new(Kept { keys, leases: Vec::new(), late }));
        let shared = Arc::clone(&kept);
        let fake = Fake::start(move |asked| shared.lock().unwrap().answer(asked)).await;
        Keeper { fake, kept }
    }

    pub(in crate::sources::etcd) fn client(&self) -> Client {
        client([&self.fake])
    }

    /// The keys that are there, each with the seconds of its lease; 0: it has none.
    pub(in crate::sources::etcd) fn keys(&self) -> Vec<(String, i64)> {
        let kept = self.kept.lock().unwrap();
        let secs = |lease: i64| lease.checked_sub(1).map_or(0, |at| kept.leases[at as usize]);
        kept.keys
            .iter()
            .map(|(key, (_, lease))| {
                (String::from_utf8(key.clone()).unwrap(), if *lease == 0 { 0 } else { secs(*lease) })
            })
            .collect()
    }

    /// What lies at a key.
    pub(in crate::sources::etcd) fn value(&self, key: &str) -> Option<Vec<u8>> {
        self.kept.lock().unwrap().keys.get(key.as_bytes()).map(|(value, _)| value.clone())
    }
}

impl Kept {
    fn answer(&mut self, asked: &Asked) -> Option<Answer> {
        match &*asked.method {
            "Range" if !asked.is_proof() => {
                let RangeRequest { key, range_end, .. } = asked.read();
                let found = self.keys.range(key..range_end);
                let kvs = found.map(|(key, (value, lease))| KeyValue {
                    key: key.clone(),
                    value: value.clone(),
                    lease: *lease,
                    ..KeyValue::default()
                });
                Some(message(&RangeResponse { header: header(10), kvs: kvs.collect(), more: false }))
            }
            "LeaseGrant" => {
                let ttl = asked.read::<LeaseGrantRequest>().ttl;
                self.leases.push(ttl);
                Some(message(&LeaseGrantResponse { id: self.leases.len() as i64, ttl, error: String::new() }))
            }
            "Txn" => {
                let txn: TxnRequest = asked.read();
                self.keys.extend(self.late.take().map(|key| (key, (b"{}".to_vec(), 0))));
                let succeeded = txn.compare.iter().all(|compare| match (compare.result, &compare.with) {
                    (0, Some(CompareWith::CreateRevision(0) | CompareWith::ModRevision(0))) => {
                        !self.keys.contains_key(&compare.key)
                    }
                    (2, Some(CompareWith::ModRevision(1))) => {
                        self.keys.range(compare.key.clone()..compare.range_end.clone()).next().is_none()
                    }
                    other => unreachable!("{other:?}"),
                });
                assert!(txn.compare.len().max(txn.success.len()) <= 128);
                let ops = if succeeded { txn.success } else { txn.failure };
                let responses = ops.into_iter().map(|op| self.done(op)).collect();
                Some(message(&TxnResponse { header: header(11), succeeded, responses }))
            }
            _ => None,
        }
    }

    fn done(&mut self, op: RequestOp) -> ResponseOp {
        let response = match op.request.unwrap() {
            Request::Put(put) => {
                self.keys.insert(put.key, (put.value, put.lease));
                Response::Put(PutResponse {})
            }
            Request::DeleteRange(range) => {
                let before = self.keys.len();
                let gone = range.key.clone()..range.range_end;
                self.keys.retain(|key, _| *key != range.key && !gone.contains(key));
                Response::DeleteRange(DeleteRangeResponse { deleted: (before - self.keys.len()) as i64 })
            }
            Request::Range(_) => unreachable!("nothing is read in transactions"),
        };
        ResponseOp { response: Some(response) }
    }
}
