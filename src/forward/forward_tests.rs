//! The forwarder against upstreams on loopback: what is asked, whom, and what comes back.

use std::{sync::OnceLock, time::Duration};

use hickory_proto::{
    op::{Edns, ResponseCode},
    rr::{self, RData, Record, RecordType, rdata::NULL},
};
use tokio::sync::watch;

use super::{fake::*, *};

#[tokio::test]
async fn letter_case_is_the_clients_own_and_upstreams_see_none() {
    let fake = Fake::start(|seen| Action::Respond(address(seen, 1))).await;
    let forwarder = forwarder(&[&fake]);
    for name in ["wEb.ExamPle.", "WEB.example."] {
        let response = ask(&forwarder, name).await;
        assert_eq!(response.queries[0].name.to_string(), name);
        assert_eq!(response.answers[0].name.to_string(), name);
    }
    assert_eq!(fake.each(|seen| seen.query.queries[0].name.to_string()), ["web.example."]);
}

#[tokio::test]
async fn the_query_is_our_own_with_the_clients_do_and_cd() {
    let fake = Fake::start(|seen| Action::Respond(address(seen, 1))).await;
    let forwarder = forwarder(&[&fake]);
    for (dnssec_ok, checking_disabled) in [(false, false), (true, false), (false, true), (true, true)] {
        let mut message = question("web.example.", RecordType::A);
        let mut edns = Edns::new();
        edns.set_dnssec_ok(dnssec_ok).set_max_payload(4096);
        edns.options_mut().insert(rr::rdata::opt::EdnsOption::Unknown(10, vec![7; 8]));
        message.set_edns(edns);
        message.metadata.checking_disabled = checking_disabled;
        message.metadata.authentic_data = true;
        let response = ask_as(&forwarder, &message, CLIENT).await;
        assert_eq!(response.edns.unwrap().flags().dnssec_ok, dnssec_ok);
        assert_eq!(response.metadata.checking_disabled, checking_disabled);
    }
    let seen = fake.each(|seen| {
        let (edns, query) = (seen.query.edns.as_ref().unwrap(), &seen.query);
        assert!(query.recursion_desired && !query.authentic_data);
        assert_eq!((edns.max_payload(), edns.options().as_ref().len()), (1232, 0), "no option of the client");
        (edns.flags().dnssec_ok, query.checking_disabled)
    });
    assert_eq!(seen, [(false, false), (true, false), (false, true), (true, true)], "one entry of the cache each");
}

#[tokio::test]
async fn nxdomain_keeps_its_authority_section_and_is_cached_by_the_soa() {
    let fake = Fake::start(|seen| {
        let mut message = response(seen, ResponseCode::NXDomain);
        message.add_authority(soa_record("example."));
        let signature = RData::Unknown { code: RecordType::from(46), rdata: NULL::with(vec![1, 2, 3]) };
        message.add_authority(Record::from_rdata(rr::Name::from_ascii("example.").unwrap(), 300, signature));
        Action::Respond(message)
    })
    .await;
    let forwarder = forwarder(&[&fake]);
    for _ in 0..2 {
        let response = ask(&forwarder, "nowhere.example.").await;
        assert_eq!((response.response_code, response.authorities.len()), (ResponseCode::NXDomain, 2));
        assert!(matches!(response.authorities[0].data, RData::SOA(_)));
        assert_eq!(response.authorities[0].ttl, 60);
    }
    assert_eq!(fake.count(), 1);
}

#[tokio::test]
async fn nodata_keeps_its_chain_and_its_soa() {
    let fake = Fake::start(|seen| {
        let mut message = response(seen, ResponseCode::NoError);
        if seen.query.queries[0].name.to_string() == "alias.example." {
            message.add_answer(cname_record("alias.example.", "web.example."));
        }
        message.add_authority(soa_record("example."));
        Action::Respond(message)
    })
    .await;
    let forwarder = forwarder(&[&fake]);
    let chain = ask(&forwarder, "alias.example.").await;
    assert_eq!(texts(&chain.answers), ["alias.example. web.example."]);
    assert_eq!((chain.response_code, chain.authorities.len()), (ResponseCode::NoError, 1));
    let plain = ask(&forwarder, "web.example.").await;
    assert_eq!((plain.response_code, plain.answers.len(), plain.authorities.len()), (ResponseCode::NoError, 0, 1));
}

#[tokio::test]
async fn a_slow_upstream_is_raced_and_comes_last_afterwards() {
    let slow = Fake::start(|seen| Action::Hold(address(seen, 1))).await;
    let fast = Fake::start(|seen| Action::Respond(address(seen, 2))).await;
    let forwarder = forwarder(&[&slow, &fast]);
    let started = Instant::now();
    let response = ask(&forwarder, "web.example.").await;
    assert_eq!(texts(&response.answers), ["web.example. 192.0.2.2"]);
    assert!(started.elapsed() >= quick().try_after);
    let before = slow.count();
    ask(&forwarder, "other.example.").await;
    assert_eq!(slow.count(), before, "the fast one is asked first now, and alone");
}

#[tokio::test]
async fn an_error_of_one_upstream_makes_the_next_be_asked_at_once() {
    let codes = [ResponseCode::Refused, ResponseCode::NotImp, ResponseCode::FormErr, ResponseCode::ServFail];
    for code in codes {
        let bad = Fake::start(move |seen| Action::Respond(response(seen, code))).await;
        let good = Fake::start(|seen| Action::Respond(address(seen, 2))).await;
        let forwarder = forwarder(&[&bad, &good]);
        let response = ask(&forwarder, "web.example.").await;
        assert_eq!(texts(&response.answers), ["web.example. 192.0.2.2"], "{code}");
        assert_eq!(bad.count(), 1);
    }
}

#[tokio::test]
async fn a_truncated_response_is_asked_for_again_over_tcp() {
    let fake = Fake::start(|seen| {
        let mut message = response(seen, ResponseCode::NoError);
        message.metadata.truncation = !seen.over_tcp;
        if seen.over_tcp {
            message.add_answers((0..60).map(|last| a_record("web.example.", last)));
        }
        Action::Respond(message)
    })
    .await;
    let forwarder = forwarder(&[&fake]);
    let response = ask(&forwarder, "web.example.").await;
    assert_eq!((response.truncation, response.answers.len()), (false, 60));
    assert_eq!(fake.each(|seen| seen.over_tcp), [false, true]);
}

#[tokio::test]
async fn an_upstream_that_cannot_be_reached_is_servfail_with_23() {
    let truncated = |seen: &Seen| {
        let mut message = response(seen, ResponseCode::NoError);
        message.metadata.truncation = true;
        Action::Respond(message)
    };
    let fake = Fake::start_on(CLIENT, false, truncated).await;
    let response = ask(&forwarder(&[&fake]), "web.example.").await;
    assert_eq!((response.response_code, extended_error(&response)), (ResponseCode::ServFail, Some(23)));
}

#[tokio::test]
async fn silence_of_all_is_servfail_with_22_within_three_seconds() {
    let fakes = [Fake::start(|_| Action::Silent).await, Fake::start(|_| Action::Silent).await];
    let mut settings = settings(&[&fakes[0], &fakes[1]]);
    settings.limits = Limits::default();
    let started = Instant::now();
    let response = ask(&Forwarder::new(settings), "web.example.").await;
    assert_eq!((response.response_code, extended_error(&response)), (ResponseCode::ServFail, Some(22)));
    assert!(started.elapsed() < Duration::from_millis(3_300), "{:?}", started.elapsed());
    assert!(fakes.iter().all(|fake| fake.count() >= 1), "both were asked");
}

#[tokio::test]
async fn an_upstream_that_sends_the_loop_test_back_is_left_out() {
    let us: Arc<OnceLock<Arc<Forwarder>>> = Arc::default();
    let listener = Arc::clone(&us);
    let looping = Fake::start(move |seen| {
        let query = &seen.query.queries[0];
        let name = Name::parse(&query.name.to_string()).unwrap();
        listener.get().unwrap().is_loop_probe(&name, query.query_type.into());
        Action::Respond(response(seen, ResponseCode::ServFail))
    })
    .await;
    let good = Fake::start(|seen| Action::Respond(address(seen, 2))).await;
    let forwarder = forwarder(&[&looping, &good]);
    us.set(Arc::clone(&forwarder)).ok().unwrap();
    let (down, shutdown) = watch::channel(false);
    let running = tokio::spawn(Arc::clone(&forwarder).run(shutdown));
    until(|| forwarder.describe().looping == [looping.address] && good.count() == 1).await;
    let tested = looping.each(|seen| (seen.query.queries[0].query_type, seen.query.queries[0].name.num_labels()));
    assert_eq!(tested, [(RecordType::HINFO, 2)]);
    assert_eq!(texts(&ask(&forwarder, "web.example.").await.answers), ["web.example. 192.0.2.2"]);
    assert_eq!(looping.count(), 1);
    down.send(true).unwrap();
    running.await.unwrap();
    let other = question("never.asked.", RecordType::HINFO);
    assert_eq!(ask_as(&forwarder, &other, CLIENT).await.response_code, ResponseCode::NoError, "no test of ours");
}

#[tokio::test]
async fn an_upstream_that_asks_us_what_we_ask_it_gets_servfail() {
    let upstream = IpAddr::from([127, 0, 0, 2]);
    let fake = Fake::start_on(upstream, true, |seen| Action::Hold(address(seen, 1))).await;
    let forwarder = forwarder(&[&fake]);
    let asking = Arc::clone(&forwarder);
    let client = tokio::spawn(async move { ask(&asking, "web.example.").await });
    until(|| fake.count() >= 1).await;
    let back = ask_as(&forwarder, &question("WEB.example.", RecordType::A), upstream).await;
    assert_eq!(back.response_code, ResponseCode::ServFail);
    fake.release();
    assert_eq!(client.await.unwrap().answers.len(), 1, "the client has its answer all the same");
}

/// Where log lines are collected.
struct Lines(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_forged_response_is_passed_over_without_a_word() {
    let logged = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&logged);
    let writer = move || Lines(Arc::clone(&log));
    let subscriber = tracing_subscriber::fmt().with_writer(writer).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let stranger = Arc::new(std::net::UdpSocket::bind("127.0.0.1:0").unwrap());
    let forger = Arc::clone(&stranger);
    let fake = Fake::start(move |seen| {
        let forged = address(seen, 66);
        forger.send_to(&forged.to_vec().unwrap(), seen.from).unwrap();
        let mut wrong_id = forged.clone();
        wrong_id.metadata.id = wrong_id.id.wrapping_add(1);
        let mut wrong_question = forged.clone();
        wrong_question.queries[0] = question("other.example.", RecordType::A).queries[0].clone();
        let messages = [wrong_id, wrong_question, address(seen, 1)];
        Action::Datagrams(messages.iter().map(|message| message.to_vec().unwrap()).collect())
    })
    .await;
    let response = ask(&forwarder(&[&fake]), "web.example.").await;
    assert_eq!(texts(&response.answers), ["web.example. 192.0.2.1"]);
    assert_eq!(String::from_utf8_lossy(&logged.lock().unwrap()), "");
}

#[tokio::test]
async fn ids_and_ports_of_our_queries_are_random() {
    let fake = Fake::start(|seen| Action::Respond(address(seen, 1))).await;
    let forwarder = forwarder(&[&fake]);
    for number in 0..40 {
        ask(&forwarder, &format!("{number}.example.")).await;
    }
    let spread = |mut values: Vec<u16>| {
        let neighbours = values.windows(2).filter(|pair| pair[0].abs_diff(pair[1]) <= 2).count();
        values.sort();
        values.dedup();
        (values.len(), neighbours)
    };
    for values in [fake.each(|seen| seen.query.id), fake.each(|seen| seen.from.port())] {
        let (different, neighbours) = spread(values);
        assert!(different >= 38 && neighbours <= 2, "{different} of 40 differ, {neighbours} follow each other");
    }
}

#[tokio::test]
async fn names_below_a_suffix_are_asked_at_its_own_upstreams_and_new_settings_hold_at_once() {
    let default = Fake::start(|seen| Action::Respond(address(seen, 1))).await;
    let corporate = Fake::start(|seen| Action::Respond(address(seen, 2))).await;
    let mut settings = settings(&[&default]);
    settings.zones = vec![(Name::parse("corp.example").unwrap(), vec![corporate.address])];
    let forwarder = Forwarder::new(settings.clone());
    assert_eq!(texts(&ask(&forwarder, "web.example.").await.answers), ["web.example. 192.0.2.1"]);
    assert_eq!(texts(&ask(&forwarder, "a.corp.example.").await.answers), ["a.corp.example. 192.0.2.2"]);
    settings.zones.clear();
    forwarder.set_settings(settings);
    assert_eq!(texts(&ask(&forwarder, "a.corp.example.").await.answers), ["a.corp.example. 192.0.2.1"]);
}

#[tokio::test]
async fn forwarding_that_is_off_is_refused_with_20() {
    let forwarder = Forwarder::new(ForwardSettings::new(Upstreams::Off));
    let response = ask(&forwarder, "web.example.").await;
    assert_eq!((response.response_code, extended_error(&response)), (ResponseCode::Refused, Some(20)));
    let nobody = Forwarder::new(ForwardSettings::new(Upstreams::Listed(vec![])));
    let response = ask(&nobody, "web.example.").await;
    assert_eq!((response.response_code, extended_error(&response)), (ResponseCode::ServFail, Some(22)));
}

/// A resolv.conf in `folder` that names `nameserver`, whose port is `port`; no other file is there.
fn system_files(folder: &tempfile::TempDir, nameserver: &str, port: u16) -> SystemFiles {
    let path = |name: &str| folder.path().join(name);
    let files = SystemFiles {
        resolv_conf: path("resolv.conf"),
        systemd_resolved: path("none"),
        network_manager: path("none"),
        port,
    };
    std::fs::write(path("new"), format!("nameserver {nameserver}\n")).unwrap();
    std::fs::rename(path("new"), &files.resolv_conf).unwrap();
    files
}

#[tokio::test]
async fn a_changed_resolv_conf_is_taken_up() {
    let folder = tempfile::tempdir().unwrap();
    let before = Fake::start_on(IpAddr::from([127, 0, 0, 2]), true, |seen| Action::Respond(address(seen, 1))).await;
    let files = system_files(&folder, "127.0.0.2", before.address.port());
    let forwarder = Forwarder::new(ForwardSettings::new(Upstreams::System(files.clone())));
    assert_eq!(texts(&ask(&forwarder, "web.example.").await.answers), ["web.example. 192.0.2.1"]);
    let (_up, shutdown) = watch::channel(false);
    tokio::spawn(Arc::clone(&forwarder).run(shutdown));
    until(|| before.count() == 2).await;
    system_files(&folder, "127.0.0.3", files.port);
    until(|| forwarder.describe().upstreams == Some(vec![SocketAddr::from(([127, 0, 0, 3], files.port))])).await;
}

#[tokio::test]
async fn upstreams_that_worked_are_used_at_the_next_start_when_resolv_conf_names_only_us() {
    let folder = tempfile::tempdir().unwrap();
    let fake = Fake::start(|seen| Action::Respond(address(seen, 1))).await;
    let files = system_files(&folder, "127.0.0.1", fake.address.port());
    let state_file = folder.path().join("upstreams");
    let mut settings = ForwardSettings::new(Upstreams::System(files.clone()));
    settings.state_file = Some(state_file.clone());
    settings.own_addresses = vec![SocketAddr::from(([127, 0, 0, 2], files.port))];
    let (_up, shutdown) = watch::channel(false);
    tokio::spawn(Forwarder::new(settings.clone()).run(shutdown));
    until(|| state_file.exists()).await;
    system_files(&folder, "127.0.0.2", files.port);
    let second = Forwarder::new(settings);
    assert_eq!(
        (second.describe().found, second.describe().upstreams),
        (Some(Found::LastWorking), Some(vec![fake.address]))
    );
    assert_eq!(ask(&second, "web.example.").await.answers.len(), 1);
}

#[tokio::test]
async fn upstreams_that_resolv_conf_named_for_a_moment_are_kept_for_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let fake = Fake::start(|seen| Action::Respond(address(seen, 1))).await;
    let files = system_files(&folder, "127.0.0.1", fake.address.port());
    let state_file = folder.path().join("upstreams");
    let mut settings = ForwardSettings::new(Upstreams::System(files.clone()));
    settings.state_file = Some(state_file.clone());
    settings.own_addresses = vec![SocketAddr::from(([127, 0, 0, 2], files.port))];
    let forwarder = Forwarder::new(settings);
    system_files(&folder, "127.0.0.2", files.port);
    let (_up, shutdown) = watch::channel(false);
    tokio::spawn(Arc::clone(&forwarder).run(shutdown));
    until(|| state_file.exists()).await;
    assert_eq!(forwarder.describe().upstreams, Some(vec![fake.address]));
}

#[tokio::test]
async fn a_host_name_is_resolved_with_its_chain_in_order() {
    let fake = Fake::start(|seen| {
        let mut message = response(seen, ResponseCode::NoError);
        message.add_answer(a_record("web.example.", 1));
        message.add_answer(cname_record("b.example.", "web.example."));
        message.add_answer(cname_record("a.example.", "b.example."));
        Action::Respond(message)
    })
    .await;
    let resolved = forwarder(&[&fake]).resolve(&Name::parse("A.example").unwrap(), 1, CLIENT).await;
    let records: Vec<_> = resolved.records.iter().map(|record| (record.owner.to_string(), record.rtype)).collect();
    let expected = [("a.example.", 5), ("b.example.", 5), ("web.example.", 1)];
    assert_eq!(records, expected.map(|(owner, rtype)| (owner.to_owned(), rtype)));
    assert_eq!(resolved.records[2].rdata, [192, 0, 2, 1]);
    assert_eq!(resolved.records[0].rdata, Name::parse("b.example").unwrap().as_wire());
    assert_eq!((resolved.rcode, resolved.extended_error), (0, None));
}

#[tokio::test]
async fn bytes_that_are_no_query_get_format_error_and_bytes_that_are_no_response_no_panic() {
    let forwarder = Forwarder::new(ForwardSettings::new(Upstreams::Off));
    let query = ForwardQuery { message: &[1, 2, 3], client: CLIENT, limit: 512, over_tcp: false };
    assert_eq!(forwarder.answer(&query).await[3] & 0x0f, 1);
    let fake = Fake::start(|seen| {
        let mut bytes = address(seen, 1).to_vec().unwrap();
        bytes.truncate(bytes.len() - 3);
        Action::Datagrams(vec![vec![], vec![0; 5], bytes])
    })
    .await;
    let response = ask(&self::forwarder(&[&fake]), "web.example.").await;
    assert_eq!(response.response_code, ResponseCode::ServFail);
}

#[tokio::test]
async fn no_response_of_an_upstream_makes_ours_unreadable() {
    let place = std::sync::atomic::AtomicUsize::new(2);
    let fake = Fake::start(move |seen| {
        let mut message = response(seen, ResponseCode::NoError);
        message.add_answer(cname_record(&seen.query.queries[0].name.to_string(), "web.example."));
        message.add_answer(a_record("web.example.", 1));
        message.add_authority(soa_record("example."));
        let mut bytes = message.to_vec().unwrap();
        let at = place.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        if let Some(byte) = bytes.get_mut(at) {
            *byte = byte.wrapping_mul(31).wrapping_add(0xc1);
        }
        Action::Datagrams(vec![bytes])
    })
    .await;
    let mut settings = settings(&[&fake]);
    settings.limits.answer_within = Duration::from_millis(20);
    let forwarder = Forwarder::new(settings);
    let mut usable = 0;
    for number in 0..130 {
        let response = ask(&forwarder, &format!("{number:03}.example.")).await;
        usable += usize::from(response.response_code == ResponseCode::NoError);
    }
    assert!((20..130).contains(&usable), "{usable} of 130");
}
