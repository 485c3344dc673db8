use super::*;

fn admission() -> (Arc<Admission>, SlowLimits) {
    (Arc::default(), SlowLimits { total: 3, client: 2, ..SlowLimits::default() })
}

fn client(last: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, last])
}

#[test]
fn a_client_has_a_share_and_all_have_a_limit() {
    let (admission, limits) = admission();
    let _first = admission.admit(client(1), limits).unwrap();
    let _second = admission.admit(client(1), limits).unwrap();
    assert!(admission.admit(client(1), limits).is_none());
    let _third = admission.admit(client(2), limits).unwrap();
    assert!(admission.admit(client(3), limits).is_none());
}

#[test]
fn what_was_given_back_or_refused_leaves_nothing() {
    let (admission, limits) = admission();
    for _ in 0..10 {
        let permits = [admission.admit(client(1), limits), admission.admit(client(1), limits)];
        assert!(permits.iter().all(Option::is_some));
        assert!(admission.admit(client(1), limits).is_none());
    }
    assert_eq!(admission.total.load(Relaxed), 0);
    assert!(admission.clients.is_empty());
}
