//! Our client of etcd against a real one: three members on loopback, for anything that a fake can only assume.

use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use nameplate::sources::etcd::client::{
    Batch, Client, Compare, Done, Error, Event, Host, Login, Op, Refusal, Settings, Status, Timeouts, Txn, Watch,
    WatchEnd,
};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

use crate::sandbox::{Process, Sandbox, scenario, scenario_alone};

#[test]
fn listings_transactions_leases_and_watches_are_etcds() {
    scenario("etcd_client", |sandbox| {
        let _member = alone(sandbox, "");
        run(async {
            let client = connect(&[1], None, None);
            pages(&client).await;
            transactions(&client).await;
            a_lease_of_many_keys(&client).await;
            catching_up(&client).await;
            compaction(sandbox, &client).await;
            progress(&client).await;
            sizes(&client).await;
        });
    });
}

#[test]
fn members_of_three_may_hang_and_die() {
    scenario_alone("etcd_members", |sandbox| {
        let mut members: Vec<_> = (1..=3).map(|number| Some(start_member(sandbox, number, ""))).collect();
        let (members, all) = (&mut members, [1, 2, 3]);
        run(async {
            let client = connect(&all, None, None);
            let lease = client.grant(10).await.unwrap();
            put(&client, "/c/0", lease.id).await;
            let revision = client.get(b"/c/0").await.unwrap().0.revision;
            let mut watch = client.watch(b"/c/", revision + 1).await.unwrap();

            // The member that we are with stops: the kernel still takes what we send.
            let number = usize::from(with(&client));
            members[number - 1].as_ref().unwrap().signal("STOP");
            let started = Instant::now();
            let end = ended(&mut watch).await;
            println!("stopped member: watch ended after {:?}: {end}", started.elapsed());
            assert!(matches!(&end, WatchEnd::Lost(error) if error.is_passing()), "{end}");
            assert!(client.keep_alive(lease.id).await.unwrap().is_some());
            println!("stopped member: lease renewed elsewhere after {:?}", started.elapsed());
            assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
            put(&client, "/c/1", 0).await;
            let mut watch = client.watch(b"/c/", watch.next_revision()).await.unwrap();
            assert_eq!(keys(&change(&mut watch).await), ["/c/1"]);
            members[number - 1].as_ref().unwrap().signal("CONT");

            // The member that we are with is killed.
            let number = usize::from(with(&client));
            let started = Instant::now();
            members[number - 1].take().unwrap().kill();
            ended(&mut watch).await;
            println!("killed member: watch ended after {:?}", started.elapsed());
            while client.keep_alive(lease.id).await.is_err() {}
            println!("killed member: lease renewed elsewhere after {:?}", started.elapsed());
            assert!(started.elapsed() < Duration::from_secs(6), "{:?}", started.elapsed());
            put(&client, "/c/2", 0).await;

            // Another one is killed, so that no majority is left: a watch learns of it, too.
            client.connected().await;
            let mut watch = client.watch(b"/c/", 1).await.unwrap();
            let other = (1..=3).find(|number| *number != usize::from(with(&client)) && members[number - 1].is_some());
            let other = other.unwrap();
            members[other - 1].take().unwrap().kill();
            let started = Instant::now();
            let end = ended(&mut watch).await;
            println!("no majority: watch ended after {:?}: {end}", started.elapsed());
            assert!(matches!(end, WatchEnd::Lost(Error::NoLeader { .. })), "{end}");
            assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
            let error = client.get(b"/c/0").await.unwrap_err();
            println!("no majority: told after {:?}: {error}", started.elapsed());
            assert!(error.is_passing(), "{error}");
            members[other - 1] = Some(start_member(sandbox, other, ""));
            let started = Instant::now();
            while client.get(b"/c/2").await.is_err() {}
            println!("majority: back after {:?}", started.elapsed());
        });
    });
}

#[test]
fn a_way_that_is_cut_is_noticed_within_four_seconds() {
    scenario_alone("etcd_cut", |sandbox| {
        sandbox.needs(&["iptables"], "iptables");
        let _members: Vec<_> = (1..=3).map(|number| start_member(sandbox, number, "")).collect();
        run(async {
            let client = connect(&[1, 2, 3], None, None);
            client.connected().await;
            let mut watch = client.watch(b"/c/", 1).await.unwrap();
            let port = client_port(with(&client));
            sandbox.run(&format!(
                "iptables -A INPUT -p tcp --dport {port} -j DROP; iptables -A INPUT -p tcp --sport {port} -j DROP"
            ));
            let started = Instant::now();
            let end = ended(&mut watch).await;
            println!("cut: watch ended after {:?}: {end}", started.elapsed());
            assert!(started.elapsed() < Duration::from_secs(6), "{:?}", started.elapsed());
            client.get(b"/c/0").await.unwrap();
            println!("cut: read elsewhere after {:?}", started.elapsed());

            // Also while nothing is asked: a connection that is idle is probed by the kernel.
            let port = client_port(with(&client));
            sandbox.run(&format!(
                "iptables -A INPUT -p tcp --dport {port} -j DROP; iptables -A INPUT -p tcp --sport {port} -j DROP"
            ));
            let (started, before) = (Instant::now(), with(&client));
            while client.status() == connected_to(before) {
                tokio::time::sleep_until((Instant::now() + Duration::from_millis(20)).into()).await;
                assert!(started.elapsed() < Duration::from_secs(8));
            }
            println!("cut: idle connection left after {:?}", started.elapsed());
        });
    });
}

#[test]
fn users_and_their_rights_are_etcds() {
    scenario("etcd_users", |sandbox| {
        sandbox.needs(&["etcdctl"], "etcd-client");
        let member = alone(sandbox, "--auth-token-ttl 3");
        let as_root = "--user root:root";
        for (login, command) in [
            ("", "user add root:root"),
            ("", "user grant-role root root"),
            ("", "auth enable"),
            (as_root, "user add nameplate:secret"),
            (as_root, "role add nameplate"),
            (as_root, "role grant-permission nameplate --prefix=true readwrite /c/"),
            (as_root, "user grant-role nameplate nameplate"),
        ] {
            sandbox.run(&format!("ETCDCTL_API=3 etcdctl --endpoints 127.0.0.1:{} {login} {command}", client_port(1)));
        }
        run(async {
            let login = |password: &str| Some(Login { user: "nameplate".to_owned(), password: password.to_owned() });
            let client = connect(&[1], None, login("secret"));
            put(&client, "/c/0", 0).await;
            let revision = client.get(b"/c/0").await.unwrap().0.revision;
            let lease = client.grant(10).await.unwrap();
            let mut watch = client.watch(b"/c/", revision + 1).await.unwrap();
            assert_eq!(client.get(b"/other").await.unwrap_err(), Error::Refused(Refusal::Permission));
            assert_eq!(client.watch(b"/other/", 1).await.unwrap_err(), Error::Refused(Refusal::Permission));

            // A token that was not used for 3 s is forgotten.
            let rest = Instant::now() + Duration::from_secs(6);
            while Instant::now() < rest {
                watch.next().await.unwrap();
            }
            put(&client, "/c/1", lease.id).await;
            assert_eq!(keys(&change(&mut watch).await), ["/c/1"], "the watch goes on");
            assert!(client.keep_alive(lease.id).await.unwrap().is_some());

            for (login, refusal) in [(login("wrong"), Refusal::Password), (None, Refusal::NoUser)] {
                let error = connect(&[1], None, login).get(b"/c/0").await.unwrap_err();
                assert_eq!(error, Error::Refused(refusal));
            }
        });
        drop(member);
    });
}

#[test]
fn certificates_are_users() {
    scenario("etcd_tls", |sandbox| {
        sandbox.needs(&["etcdctl"], "etcd-client");
        let tls = certificates(sandbox);
        let flags = "--client-cert-auth --trusted-ca-file ca.pem --cert-file member.pem --key-file member.key";
        let _member = alone(sandbox, flags);
        let with_tls = "--cacert ca.pem --cert client.pem --key client.key";
        for command in [
            "user add root:root",
            "user grant-role root root",
            "user add nameplate:unused",
            "role add nameplate",
            "role grant-permission nameplate --prefix=true readwrite /c/",
            "user grant-role nameplate nameplate",
            "auth enable",
        ] {
            sandbox.run(&format!(
                "ETCDCTL_API=3 etcdctl --endpoints https://127.0.0.1:{} {with_tls} {command}",
                client_port(1)
            ));
        }
        run(async {
            let client = connect(&[1], Some(tls(true)), None);
            put(&client, "/c/0", 0).await;
            assert_eq!(client.get(b"/other").await.unwrap_err(), Error::Refused(Refusal::Permission));
            let mut watch = client.watch(b"/c/", 1).await.unwrap();
            assert_eq!(keys(&change(&mut watch).await), ["/c/0"]);
            let error = connect(&[1], Some(tls(false)), None).get(b"/c/0").await.unwrap_err();
            assert!(
                matches!(&error, Error::Unavailable { problem, .. } if problem.contains("store_tls_cert")),
                "{error}"
            );
            let error = connect(&[1], None, None).get(b"/c/0").await.unwrap_err();
            assert!(matches!(&error, Error::Unavailable { problem, .. } if problem.contains("etcds://")), "{error}");
        });
    });
}

#[test]
fn an_etcd_that_was_wiped_is_told_from_one_that_went_on() {
    scenario("etcd_wiped", |sandbox| {
        let member = alone(sandbox, "");
        run(async {
            let client = connect(&[1], None, None);
            for number in 0..5 {
                put(&client, &format!("/c/{number}"), 0).await;
            }
            let (before, _) = client.get(b"/c/0").await.unwrap();
            let mut watch = client.watch(b"/c/", before.revision + 1).await.unwrap();
            member.kill();
            ended(&mut watch).await;
            sandbox.run("rm -r m1");
            let _member = alone(sandbox, "");
            client.connected().await;
            let (after, _) = client.get(b"/c/0").await.unwrap();
            println!("wiped: {before:?} -> {after:?}");
            assert_eq!(before.cluster_id, after.cluster_id, "the same flags make the same cluster");
            let error = client.watch(b"/c/", watch.next_revision()).await.unwrap_err();
            assert_eq!(error, Error::WentBack { revision: after.revision });
        });
    });
}

/// 12,345 keys in pages, all of one state though it goes on meanwhile.
async fn pages(client: &Client) {
    fill(client, "/p/", 12_345, 0).await;
    let started = Instant::now();
    let mut pages = client.pages(b"/p/", None);
    let first = pages.next().await.unwrap().unwrap();
    put(client, "/p/zzz", 0).await;
    let mut count = first.key_values.len();
    while let Some(page) = pages.next().await.unwrap() {
        assert_eq!(page.header.revision, first.header.revision);
        count += page.key_values.len();
    }
    assert_eq!(count, 12_345);
    println!("12,345 keys of 1 KiB listed in {:?}", started.elapsed());
    assert_eq!(client.range(b"/p/", None).await.unwrap().key_values.len(), 12_346);
}

async fn transactions(client: &Client) {
    let put = |value: &str| vec![Op::Put { key: b"/t/1".into(), value: value.into(), lease: 0 }];
    let first = Txn {
        compares: vec![Compare::absent(b"/t/1".into())],
        then: put("a"),
        otherwise: vec![Op::Get(b"/t/1".into())],
    };
    let done = client.txn(first.clone()).await.unwrap();
    assert_eq!((done.succeeded, done.done), (true, vec![Done::Put]));
    let again = client.txn(first).await.unwrap();
    let [Done::Read(found)] = &again.done[..] else { panic!("{again:?}") };
    assert_eq!(
        (again.succeeded, found[0].mod_revision, found[0].value.as_slice()),
        (false, done.header.revision, &b"a"[..])
    );
    let unchanged = Compare::unchanged(b"/t/1".into(), done.header.revision);
    let then = vec![Op::DeletePrefix(b"/t/".into()), Op::Range(b"/p/".into(), 3)];
    let done = client.txn(Txn { compares: vec![unchanged], then, otherwise: Vec::new() }).await.unwrap();
    assert!(matches!(&done.done[..], [Done::Deleted(1), Done::Read(found)] if found.len() == 3), "{done:?}");
    let twice = Txn { then: [put("a"), put("b")].concat(), ..Txn::default() };
    let error = client.txn(twice).await.unwrap_err();
    assert!(matches!(&error, Error::Refused(Refusal::Other(words)) if words.contains("duplicate key")), "{error}");
    let gone = Txn { then: vec![Op::Put { key: b"/t/1".into(), value: Vec::new(), lease: 12 }], ..Txn::default() };
    assert_eq!(client.txn(gone).await.unwrap_err(), Error::LeaseGone);
}

/// What a machine with 100,000 instances leaves when it dies comes as one change.
async fn a_lease_of_many_keys(client: &Client) {
    let lease = client.grant(1).await.unwrap();
    println!("asked for a lease of 1 s, got {} s", lease.ttl_secs);
    let lease = client.grant(5).await.unwrap();
    let mut renewed = tokio::time::interval(Duration::from_secs(1));
    let filled = fill(client, "/l/v1/services/node-1/", 100_000, lease.id);
    let (mut filled, started) = (std::pin::pin!(filled), Instant::now());
    loop {
        tokio::select! {
            () = &mut filled => break,
            _ = renewed.tick() => assert!(client.keep_alive(lease.id).await.unwrap().is_some()),
        }
    }
    println!("100,000 keys put in {:?}", started.elapsed());
    let remaining = client.time_to_live(lease.id).await.unwrap().unwrap();
    assert!(remaining.granted_secs == 5 && remaining.secs <= 5, "{remaining:?}");
    let revision = client.get(b"/l/").await.unwrap().0.revision;
    let mut watch = client.watch(b"/l/", revision + 1).await.unwrap();
    let started = Instant::now();
    let batch = change(&mut watch).await;
    println!("a lease of 100,000 keys ended as {} events after {:?}", batch.events.len(), started.elapsed());
    assert_eq!((batch.events.len(), batch.revision), (100_000, revision + 1));
    assert!(batch.events.iter().all(|event| matches!(event, Event::Delete { .. })));
    assert_eq!(client.keep_alive(lease.id).await.unwrap(), None);
    assert_eq!(client.time_to_live(lease.id).await.unwrap(), None);
    client.revoke(lease.id).await.unwrap();
}

/// A watch from long ago gets all, in order, and each change whole.
async fn catching_up(client: &Client) {
    let revision = client.get(b"/u/").await.unwrap().0.revision;
    for number in 0..3000 {
        put(client, &format!("/u/{number:04}"), 0).await;
    }
    let mut watch = client.watch(b"/u/", revision + 1).await.unwrap();
    let (mut found, mut batches, mut ahead) = (Vec::new(), 0, 0);
    while found.len() < 3000 {
        let batch = watch.next().await.unwrap();
        if batch.events.is_empty() {
            ahead += usize::from(batch.revision >= watch.next_revision());
            continue;
        }
        batches += 1;
        found.extend(keys(&batch));
        assert_eq!(watch.next_revision(), batch.revision + 1);
    }
    assert!(found.is_sorted(), "in the order of their changes");
    println!("3,000 changes caught up in {batches} batches; progress was ahead of the events {ahead} times");
}

async fn compaction(sandbox: &Sandbox, client: &Client) {
    let revision = client.get(b"/u/").await.unwrap().0.revision;
    sandbox.run(&format!("ETCDCTL_API=3 etcdctl --endpoints 127.0.0.1:{} compact {}", client_port(1), revision - 5));
    assert_eq!(client.range(b"/u/", Some(revision - 100)).await.unwrap_err(), Error::Compacted);
    let end = match client.watch(b"/u/", revision - 100).await {
        Ok(mut watch) => ended(&mut watch).await,
        Err(error) => panic!("{error}"),
    };
    assert_eq!(end, WatchEnd::Compacted { compact_revision: revision - 5 });
    assert_eq!(change(&mut client.watch(b"/u/", revision - 4).await.unwrap()).await.events.len(), 5);
}

/// A change elsewhere is no event, but moves what the member is at.
async fn progress(client: &Client) {
    let revision = client.get(b"/u/").await.unwrap().0.revision;
    let mut watch = client.watch(b"/u/", revision + 1).await.unwrap();
    put(client, "/elsewhere", 0).await;
    let started = Instant::now();
    let batch = watch.next().await.unwrap();
    assert_eq!((batch.events.len(), batch.revision, watch.next_revision()), (0, revision + 1, revision + 1));
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
}

/// What is larger than etcd takes is refused with the cure, and what it takes is read.
async fn sizes(client: &Client) {
    let sized = |bytes| Txn {
        then: vec![Op::Put { key: b"/s/1".into(), value: vec![b'x'; bytes], lease: 0 }],
        ..Txn::default()
    };
    for bytes in [1600 << 10, 3 << 20] {
        assert_eq!(client.txn(sized(bytes)).await.unwrap_err(), Error::Refused(Refusal::TooLarge), "{bytes}");
    }
    client.txn(sized(1400 << 10)).await.unwrap();
    let listing = client.range(b"/s/", None).await.unwrap();
    assert_eq!(listing.key_values[0].value.len(), 1400 << 10);
    let then = (0..129).map(|number| Op::Delete(format!("/s/{number}").into())).collect();
    let error = client.txn(Txn { then, ..Txn::default() }).await.unwrap_err();
    assert_eq!(error, Error::Refused(Refusal::TooManyOperations));
}

/// Puts so many keys with a value of 1 KiB, in transactions of 100.
async fn fill(client: &Client, prefix: &str, keys: usize, lease: i64) {
    let value = vec![b'v'; if lease == 0 { 1024 } else { 100 }];
    for first in (0..keys).step_by(100) {
        let put = |number| Op::Put { key: format!("{prefix}{number:06}").into(), value: value.clone(), lease };
        let then = (first..keys.min(first + 100)).map(put).collect();
        client.txn(Txn { then, ..Txn::default() }).await.unwrap();
    }
}

/// Puts a key, however often it takes.
async fn put(client: &Client, key: &str, lease: i64) {
    let started = Instant::now();
    loop {
        let then = vec![Op::Put { key: key.into(), value: b"v".into(), lease }];
        match client.txn(Txn { then, ..Txn::default() }).await {
            Ok(_) => return,
            Err(error) if error.is_passing() && started.elapsed() < Duration::from_secs(20) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

async fn change(watch: &mut Watch) -> Batch {
    loop {
        let batch = watch.next().await.unwrap();
        if !batch.events.is_empty() {
            return batch;
        }
    }
}

async fn ended(watch: &mut Watch) -> WatchEnd {
    loop {
        if let Err(end) = watch.next().await {
            return end;
        }
    }
}

fn keys(batch: &Batch) -> Vec<String> {
    batch.events.iter().map(|event| String::from_utf8(event.key().to_vec()).unwrap()).collect()
}

/// In the thread that is in the sandbox.
fn run(scenario: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(scenario);
}

fn connect(members: &[u16], tls: Option<Arc<ClientConfig>>, login: Option<Login>) -> Client {
    let hosts = members.iter().map(|number| Host { name: "127.0.0.1".to_owned(), port: client_port(*number) });
    Client::connect(Settings { hosts: hosts.collect(), tls, login, timeouts: Timeouts::default() })
}

fn client_port(number: u16) -> u16 {
    2300 + 10 * number
}

fn connected_to(number: u16) -> Status {
    Status::Connected { endpoint: format!("127.0.0.1:{}", client_port(number)) }
}

/// The number of the member that a client is with.
fn with(client: &Client) -> u16 {
    let status = client.status();
    (1..=3).find(|number| status == connected_to(*number)).unwrap_or_else(|| panic!("{status:?}"))
}

/// A cluster of one.
fn alone<'a>(sandbox: &'a Sandbox, flags: &str) -> Process<'a> {
    start(sandbox, 1, 1, flags)
}

fn start_member<'a>(sandbox: &'a Sandbox, number: usize, flags: &str) -> Process<'a> {
    start(sandbox, u16::try_from(number).unwrap(), 3, flags)
}

fn start<'a>(sandbox: &'a Sandbox, number: u16, of: u16, flags: &str) -> Process<'a> {
    sandbox.needs(&["etcd"], "etcd-server");
    let peer = |number| format!("http://127.0.0.1:{}", client_port(number) + 1);
    let cluster: Vec<_> = (1..=of).map(|number| format!("m{number}={}", peer(number))).collect();
    let scheme = if flags.contains("--cert-file") { "https" } else { "http" };
    let client = format!("{scheme}://127.0.0.1:{}", client_port(number));
    sandbox.start(
        &format!("etcd-{number}"),
        &format!(
            "etcd --name m{number} --data-dir m{number} --initial-cluster {} --initial-advertise-peer-urls {peer} \
             --listen-peer-urls {peer} --listen-client-urls {client} --advertise-client-urls {client} {flags}",
            cluster.join(","),
            peer = peer(number),
        ),
    )
}

/// Makes an authority, and pairs for a member and for the client nameplate; returns what a client's TLS is, with its
/// certificate or without.
fn certificates(sandbox: &Sandbox) -> impl Fn(bool) -> Arc<ClientConfig> {
    let authority_key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = params.self_signed(&authority_key).unwrap();
    let issuer = Issuer::new(params, authority_key);
    sandbox.write("ca.pem", &ca.pem());
    let [_, (chain, key)] = [("member", "127.0.0.1"), ("client", "nameplate")].map(|(file, name)| {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        let pem = params.signed_by(&key, &issuer).unwrap().pem();
        sandbox.write(format!("{file}.pem"), &pem);
        sandbox.write(format!("{file}.key"), &key.serialize_pem());
        (CertificateDer::from_pem_slice(pem.as_bytes()).unwrap(), key.serialize_der())
    });
    let ca = ca.der().clone();
    move |with_certificate| {
        let mut roots = RootCertStore::empty();
        roots.add(ca.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let builder = builder.with_root_certificates(roots);
        let key = PrivateKeyDer::try_from(key.clone()).unwrap();
        Arc::new(match with_certificate {
            true => builder.with_client_auth_cert(vec![chain.clone()], key).unwrap(),
            false => builder.with_no_client_auth(),
        })
    }
}
