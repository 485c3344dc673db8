//! An etcd that keeps what it is told, for tests of what lies there afterwards. It compares only whether keys are there.

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
}

impl Keeper {
    /// Begins with these keys.
    pub(in crate::sources::etcd) async fn start(keys: &[&str]) -> Keeper {
        let keys = keys.iter().map(|key| (key.as_bytes().to_vec(), (b"{}".to_vec(), 0))).collect();
        let kept = Arc::new(Mutex::new(Kept { keys, leases: Vec::new() }));
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
                let succeeded = txn.compare.iter().all(|compare| {
                    assert_eq!((compare.result, &compare.with), (0, &Some(CompareWith::CreateRevision(0))));
                    !self.keys.contains_key(&compare.key)
                });
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
                let gone = range.key..range.range_end;
                self.keys.retain(|key, _| !gone.contains(key));
                Response::DeleteRange(DeleteRangeResponse { deleted: (before - self.keys.len()) as i64 })
            }
            Request::Range(_) => unreachable!("nothing is read in transactions"),
        };
        ResponseOp { response: Some(response) }
    }
}
