use super::{
    super::fake::{Answer, Fake, client, message},
    *,
};

#[tokio::test]
async fn a_lease_is_granted_for_what_etcd_says() {
    let fake = Fake::start(|asked| {
        let ttl = (asked.method == "LeaseGrant").then(|| asked.read::<LeaseGrantRequest>().ttl)?;
        Some(message(&LeaseGrantResponse { id: 77, ttl: ttl.max(2), error: String::new() }))
    });
    let fake = fake.await;
    let client = client([&fake]);
    assert_eq!(client.grant(1).await.unwrap(), Lease { id: 77, ttl_secs: 2 });
    assert_eq!(client.grant(10).await.unwrap(), Lease { id: 77, ttl_secs: 10 });
}

#[tokio::test]
async fn a_grant_without_a_lease_is_refused() {
    for (id, ttl, error) in [(0, 1, ""), (7, -1, ""), (7, 1, "full")] {
        let fake = Fake::start(move |asked| {
            (asked.method == "LeaseGrant").then(|| message(&LeaseGrantResponse { id, ttl, error: error.to_owned() }))
        });
        let refused = client([&fake.await]).grant(1).await.unwrap_err();
        assert!(matches!(refused, Error::Broken { .. } | Error::Refused(_)), "{refused}");
    }
}

#[tokio::test]
async fn a_lease_that_is_gone_is_none_however_it_is_told() {
    let fake = Fake::start(|asked| {
        if asked.is_proof() {
            return None;
        }
        let gone = Some(Answer::Status(5, "etcdserver: requested lease not found"));
        match (asked.method.as_str(), asked.read::<LeaseRequest>().id) {
            ("LeaseKeepAlive", 1) => Some(message(&LeaseKeepAliveResponse { ttl: 9 })),
            ("LeaseKeepAlive", 2) => Some(message(&LeaseKeepAliveResponse { ttl: 0 })),
            ("LeaseTimeToLive", 1) => Some(message(&LeaseTimeToLiveResponse { ttl: 8, granted_ttl: 10 })),
            ("LeaseTimeToLive", 2) => Some(message(&LeaseTimeToLiveResponse { ttl: -1, granted_ttl: 0 })),
            (_, 3) => gone,
            _ => None,
        }
    });
    let fake = fake.await;
    let client = client([&fake]);
    for (id, keeps) in [(1, Some(9)), (2, None), (3, None)] {
        assert_eq!(client.keep_alive(id).await.unwrap(), keeps);
        let remaining = Remaining { secs: 8, granted_secs: 10 };
        assert_eq!(client.time_to_live(id).await.unwrap(), keeps.map(|_| remaining));
        client.revoke(id).await.unwrap();
    }
}
