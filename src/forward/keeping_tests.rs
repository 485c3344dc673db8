//! The forwarder against upstreams on loopback: what is kept, shared and limited.

use std::time::Duration;

use hickory_proto::{op::ResponseCode, rr::RecordType};

use super::{fake::*, *};

#[tokio::test]
async fn an_answer_comes_back_and_the_second_time_from_the_cache() {
    let fake = Fake::start(|seen| Action::Respond(address(seen, 1))).await;
    let forwarder = forwarder(&[&fake]);
    for _ in 0..2 {
        let response = ask(&forwarder, "web.example.").await;
        assert_eq!(texts(&response.answers), ["web.example. 192.0.2.1"]);
        assert_eq!((response.response_code, extended_error(&response)), (ResponseCode::NoError, None));
    }
    assert_eq!(fake.count(), 1);
}

#[tokio::test]
async fn a_ttl_of_zero_is_not_cached() {
    let fake = Fake::start(|seen| {
        let mut message = address(seen, 1);
        message.answers[0].ttl = 0;
        Action::Respond(message)
    })
    .await;
    let forwarder = forwarder(&[&fake]);
    ask(&forwarder, "web.example.").await;
    ask(&forwarder, "web.example.").await;
    assert_eq!(fake.count(), 2);
}

#[tokio::test]
async fn errors_of_all_upstreams_are_servfail_and_remembered() {
    let fakes = [
        Fake::start(|seen| Action::Respond(response(seen, ResponseCode::Refused))).await,
        Fake::start(|seen| Action::Respond(response(seen, ResponseCode::ServFail))).await,
    ];
    let forwarder = forwarder(&[&fakes[0], &fakes[1]]);
    for _ in 0..2 {
        let response = ask(&forwarder, "web.example.").await;
        assert_eq!((response.response_code, extended_error(&response)), (ResponseCode::ServFail, Some(0)));
    }
    assert_eq!((fakes[0].count(), fakes[1].count()), (1, 1));
}

#[tokio::test]
async fn an_answer_that_comes_too_late_for_the_client_is_there_for_the_next() {
    let fake = Fake::start(|seen| Action::Hold(address(seen, 1))).await;
    let mut settings = settings(&[&fake]);
    settings.limits.answer_within = Duration::from_millis(50);
    let forwarder = Forwarder::new(settings);
    assert_eq!(ask(&forwarder, "web.example.").await.response_code, ResponseCode::ServFail);
    fake.release();
    until(|| forwarder.in_flight() == 0).await;
    let asked = fake.count();
    assert_eq!(texts(&ask(&forwarder, "web.example.").await.answers), ["web.example. 192.0.2.1"]);
    assert_eq!(fake.count(), asked);
}

#[tokio::test]
async fn ttls_count_down_in_the_cache() {
    let fake = Fake::start(|_| Action::Silent).await;
    let forwarder = forwarder(&[&fake]);
    cache_old(&forwarder, "web.example.", ResponseCode::NoError, Duration::from_secs(100));
    let ttl = ask(&forwarder, "web.example.").await.answers[0].ttl;
    assert!((199..=200).contains(&ttl), "{ttl}");
    assert_eq!(fake.count(), 0);
}

#[tokio::test]
async fn an_expired_answer_is_served_when_upstreams_are_silent() {
    let fake = Fake::start(|seen| Action::Hold(address(seen, 1))).await;
    let forwarder = forwarder(&[&fake]);
    let names = [("web.example.", ResponseCode::NoError, 3), ("no.example.", ResponseCode::NXDomain, 19)];
    for (name, rcode, code) in names {
        cache_old(&forwarder, name, rcode, Duration::from_secs(400));
        let response = ask(&forwarder, name).await;
        assert_eq!((response.response_code, extended_error(&response)), (rcode, Some(code)));
        assert!(response.all_sections().all(|record| record.ttl == 30));
    }
    fake.release();
    until(|| forwarder.in_flight() == 0).await;
    assert_eq!(texts(&ask(&forwarder, "web.example.").await.answers), ["web.example. 192.0.2.1"], "renewed");
}

#[tokio::test]
async fn an_expired_answer_is_not_served_when_upstreams_answer() {
    let fake = Fake::start(|seen| Action::Respond(address(seen, 1))).await;
    let forwarder = forwarder(&[&fake]);
    cache_old(&forwarder, "web.example.", ResponseCode::NoError, Duration::from_secs(400));
    assert_eq!(texts(&ask(&forwarder, "web.example.").await.answers), ["web.example. 192.0.2.1"]);
    let refusing = Fake::start(|seen| Action::Respond(response(seen, ResponseCode::Refused))).await;
    let forwarder = self::forwarder(&[&refusing]);
    cache_old(&forwarder, "web.example.", ResponseCode::NoError, Duration::from_secs(400));
    for _ in 0..2 {
        assert_eq!(extended_error(&ask(&forwarder, "web.example.").await), Some(3), "an error is no answer");
    }
    assert_eq!(refusing.count(), 1, "left alone for five seconds");
}

#[tokio::test]
async fn equal_questions_are_asked_once() {
    let fake = Fake::start(|seen| Action::Hold(address(seen, 1))).await;
    let mut settings = settings(&[&fake]);
    settings.limits.try_after = Duration::from_secs(2);
    let forwarder = Forwarder::new(settings);
    let clients: Vec<_> = (0..50u8)
        .map(|last| {
            let (forwarder, client) = (Arc::clone(&forwarder), IpAddr::from([198, 51, 100, last]));
            let name = if last % 2 == 0 { "web.example." } else { "WEB.example." };
            tokio::spawn(async move { ask_as(&forwarder, &question(name, RecordType::A), client).await })
        })
        .collect();
    // Nothing lies between the cache and the flight that could wait.
    until(|| forwarder.metrics.cache_misses.get() == 50).await;
    until(|| fake.count() == 1).await;
    fake.release();
    for client in clients {
        assert_eq!(client.await.unwrap().answers.len(), 1);
    }
    assert_eq!(fake.count(), 1);
}

#[tokio::test]
async fn a_client_with_too_much_in_flight_gets_servfail_at_once() {
    let fake = Fake::start(|seen| Action::Hold(address(seen, 1))).await;
    let mut settings = settings(&[&fake]);
    settings.limits.in_flight_client_max = 2;
    settings.limits.in_flight_max = 3;
    let forwarder = Forwarder::new(settings);
    let held: Vec<_> = ["a.example.", "b.example."]
        .map(|name| {
            let forwarder = Arc::clone(&forwarder);
            tokio::spawn(async move { ask(&forwarder, name).await })
        })
        .into();
    until(|| forwarder.in_flight() == 2).await;
    let refused = ask(&forwarder, "c.example.").await;
    assert_eq!((refused.response_code, extended_error(&refused)), (ResponseCode::ServFail, Some(23)));
    let other = IpAddr::from([198, 51, 100, 1]);
    let third = Arc::clone(&forwarder);
    let third = tokio::spawn(async move { ask_as(&third, &question("d.example.", RecordType::A), other).await });
    until(|| forwarder.in_flight() == 3).await;
    let full = ask_as(&forwarder, &question("e.example.", RecordType::A), IpAddr::from([198, 51, 100, 2])).await;
    assert_eq!(extended_error(&full), Some(23), "and so does everybody when all together have too much");
    fake.release();
    for task in held.into_iter().chain([third]) {
        assert_eq!(task.await.unwrap().answers.len(), 1);
    }
}

#[tokio::test]
async fn a_flush_forgets_a_name_and_what_is_below() {
    let fake = Fake::start(|seen| Action::Respond(address(seen, 1))).await;
    let forwarder = forwarder(&[&fake]);
    for name in ["web.example.", "a.web.example.", "db.example."] {
        ask(&forwarder, name).await;
    }
    assert_eq!(forwarder.flush(Some(&Name::parse("web.example").unwrap())), 2);
    for name in ["web.example.", "a.web.example.", "db.example."] {
        ask(&forwarder, name).await;
    }
    assert_eq!(fake.count(), 5);
    assert_eq!(forwarder.flush(None), 3);
}

/// Puts an answer to `name` into the cache that came `age` ago.
fn cache_old(forwarder: &Arc<Forwarder>, name: &str, rcode: ResponseCode, age: Duration) {
    let (answers, authorities) = match rcode {
        ResponseCode::NoError => (vec![a_record(name, 9)], vec![]),
        _ => (vec![], vec![soa_record("example.")]),
    };
    let sections = answer::Sections { rcode, answers: &answers, authorities: &authorities, additionals: &[] };
    let answer = Arc::new(Answer::new(&sections, 1).unwrap());
    let name = Name::parse(name).unwrap();
    let key = Key { name, rtype: 1, class: 1, dnssec_ok: false, checking_disabled: false };
    forwarder.cache.keep(&key, &Ok(answer), Instant::now().checked_sub(age).unwrap());
}
