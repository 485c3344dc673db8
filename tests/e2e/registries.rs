//! What other programs register in etcd is served, by a real etcd and its own `etcdctl`.

use std::time::Duration;

use crate::{
    dns::{A, Asker, NOERROR, NXDOMAIN, SRV},
    http,
    sandbox::{Process, Sandbox, scenario},
    server::serve,
    until::{SOON, pause, until},
};

#[test]
fn services_that_others_write_come_change_and_go_with_their_keys() {
    scenario("registries-services", |sandbox| {
        let etcd = start_etcd(sandbox);
        put(sandbox, "/services/web/web-1", "192.0.2.1:80");
        put(sandbox, "/services/web/broken", "{\"host\": ");
        put(sandbox, "/services/web/web-2", "{\"host\": \"192.0.2.2\", \"port\": 81, \"tags\": [\"blue\"]}");
        put(sandbox, "/servicesother/no/1", "192.0.2.9:80");
        let server = serve(sandbox, "--data-dir data --etcd-services etcd://127.0.0.1 --docker off --forward off");
        let mut asker = Asker::new(([127, 0, 0, 1], 8600));

        // The first list is there before the server is ready, and what is malformed hides nobody.
        let answer = asker.ask("web.service.internal", A).unwrap();
        assert_eq!(answer.addresses, addresses(&[1, 2]));
        assert_eq!(asker.ask("web.service.internal", SRV).unwrap().ports, [80, 81]);
        assert_eq!(asker.ask("blue.web.service.internal", A).unwrap().addresses, addresses(&[2]));
        assert_eq!(asker.ask("no.service.internal", A).unwrap().rcode, NXDOMAIN);
        let instances = http::read("/v1/catalog/service/web");
        assert_eq!(instances[0]["Node"], "etcd-services");
        assert_eq!(instances[0]["ServiceMeta"]["external-source"], "etcd");
        assert!(sandbox.run("cat nameplate.log").contains("/services/web/broken"), "the log names it");

        // A change, a key that was malformed, and one that goes.
        put(sandbox, "/services/web/web-1", "192.0.2.3:80");
        put(sandbox, "/services/web/broken", "192.0.2.4:80");
        etcdctl(sandbox, "del /services/web/web-2");
        until_answered(&mut asker, &[3, 4]);

        // A key goes with its lease, also when that ends by itself.
        let lease = etcdctl(sandbox, "lease grant 2");
        let lease = lease.split_whitespace().nth(1).unwrap();
        put(sandbox, "/services/web/leased", &format!("192.0.2.5:80 --lease {lease}"));
        until_answered(&mut asker, &[3, 4, 5]);
        until_answered(&mut asker, &[3, 4]);

        // etcd is away: all stays, over a restart too; it is back: what happened meanwhile is read.
        etcd.kill();
        pause(Duration::from_secs(1));
        assert_eq!(asker.ask("web.service.internal", A).unwrap().addresses, addresses(&[3, 4]));
        server.kill();
        let mut server = serve(sandbox, "--data-dir data --etcd-services etcd://127.0.0.1 --docker off --forward off");
        assert_eq!(asker.ask("web.service.internal", A).unwrap().addresses, addresses(&[3, 4]));
        let _etcd = start_etcd(sandbox);
        put(sandbox, "/services/web/web-6", "192.0.2.6:80");
        until_answered(&mut asker, &[3, 4, 6]);

        // It is named no more.
        server.signal("TERM");
        assert!(server.wait().success());
        let _server = serve(sandbox, "--data-dir data --docker off --forward off");
        assert_eq!(asker.ask("web.service.internal", A).unwrap().rcode, NXDOMAIN);
    });
}

#[test]
fn names_of_skydns_are_answered_by_its_rules() {
    scenario("registries-skydns", |sandbox| {
        sandbox.needs(&["dig"], "bind9-dnsutils");
        let etcd = start_etcd(sandbox);
        let record = |key: &str, value: &str| put(sandbox, &format!("/skydns/local/skydns/{key}"), value);
        FIRST_RECORDS.iter().for_each(|(key, value)| put(sandbox, key, value));
        let options = "--ephemeral --docker off --forward off";
        sandbox.write("skydns.toml", "etcd_skydns = \"etcd://127.0.0.1\"\n");
        let _server = serve(sandbox, &format!("-c skydns.toml {options}"));
        let dig = |question: &str| {
            let printed = sandbox.run(&format!("dig +noall +answer @127.0.0.1 -p 8600 {question}"));
            let plain = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
            let mut lines: Vec<_> = printed.lines().map(plain).collect();
            lines.sort();
            lines
        };
        assert_eq!(dig("1.web.east.skydns.local A"), ["1.web.east.skydns.local. 60 IN A 192.0.2.1"]);
        assert_eq!(
            dig("Web.east.skydns.local A"),
            ["Web.east.skydns.local. 5 IN A 192.0.2.1", "Web.east.skydns.local. 5 IN A 192.0.2.2"]
        );
        assert_eq!(
            dig("web.east.skydns.local SRV"),
            [
                "web.east.skydns.local. 5 IN SRV 10 100 80 1.web.east.skydns.local.",
                "web.east.skydns.local. 5 IN SRV 20 100 81 web.east.skydns.local."
            ]
        );
        let whole = sandbox.run("dig @127.0.0.1 -p 8600 web.west.skydns.local SRV");
        assert!(whole.contains("ADDITIONAL SECTION") && whole.contains("2001:db8::3"), "{whole}");
        assert_eq!(
            dig("alias.west.skydns.local A"),
            [
                "1.web.east.skydns.local. 60 IN A 192.0.2.1",
                "alias.west.skydns.local. 5 IN CNAME 1.web.east.skydns.local."
            ]
        );
        assert_eq!(dig("mail.skydns.local MX"), ["mail.skydns.local. 5 IN MX 10 1.mail.skydns.local."]);
        assert_eq!(dig("web.east.skydns.local TXT"), ["web.east.skydns.local. 60 IN TXT \"blue\""]);
        assert_eq!(dig("'*.web.*.skydns.local' AAAA"), ["*.web.*.skydns.local. 5 IN AAAA 2001:db8::3"]);
        assert_eq!(dig("skydns.local NS"), ["skydns.local. 5 IN NS a.ns.dns.skydns.local."]);
        assert_eq!(dig("-x 192.0.2.1"), ["1.2.0.192.in-addr.arpa. 5 IN PTR 1.web.east.skydns.local."]);
        assert!(sandbox.run("cat nameplate.log").contains("east/web/broken: is no record of SkyDNS"));

        // They come, change and go, by hand and with their leases.
        let mut asker = Asker::new(([127, 0, 0, 1], 8600));
        let mut until_web = |numbers: &[u8]| {
            until(&format!("{numbers:?} are answered"), SOON, || {
                let answer = asker.ask("web.east.skydns.local", A).ok()?;
                (answer.addresses == addresses(numbers)).then_some(())
            });
        };
        record("east/web/broken", r#"{"host": "192.0.2.4"}"#);
        etcdctl(sandbox, "del /skydns/local/skydns/east/web/2");
        until_web(&[1, 4]);
        let lease = etcdctl(sandbox, "lease grant 3");
        let lease = lease.split_whitespace().nth(1).unwrap().to_owned();
        record("east/web/leased", &format!(r#"{{"host": "192.0.2.5", "ttl": 3600}} --lease {lease}"#));
        until_web(&[1, 4, 5]);
        let line = &dig("leased.web.east.skydns.local A")[0];
        let ttl: u32 = line.split(' ').nth(1).unwrap().parse().unwrap();
        assert!((1..=3).contains(&ttl), "no longer than its lease: {line}");
        until_web(&[1, 4]);
        assert_eq!(rcode("leased.web.east.skydns.local"), NXDOMAIN);

        // etcd is away and back.
        etcd.kill();
        pause(Duration::from_secs(1));
        until_web(&[1, 4]);
        let _etcd = start_etcd(sandbox);
        record("east/web/6", r#"{"host": "192.0.2.6"}"#);
        until_web(&[1, 4, 6]);
    });
}

/// What other programs have written before the server starts.
const FIRST_RECORDS: [(&str, &str); 9] = [
    ("/skydns/local/skydns/east/web/1", r#"{"host": "192.0.2.1", "port": 80, "ttl": 60, "text": "blue"}"#),
    ("/skydns/local/skydns/east/web/2", r#"{"host": "192.0.2.2", "port": 81, "priority": 20, "targetstrip": 1}"#),
    ("/skydns/local/skydns/west/web/3", r#"{"host": "2001:db8::3", "port": 82}"#),
    ("/skydns/local/skydns/west/alias", r#"{"host": "1.web.east.skydns.local"}"#),
    ("/skydns/local/skydns/mail/1", r#"{"host": "192.0.2.25", "mail": true}"#),
    ("/skydns/local/skydns/east/web/broken", "{"),
    ("/skydns/local/skydns/dns/ns/a", r#"{"host": "192.0.2.53"}"#),
    ("/skydns/arpa/in-addr/192/0/2/1", r#"{"host": "1.web.east.skydns.local"}"#),
    ("/skydnsother/local/skydns/east/web/9", r#"{"host": "192.0.2.9"}"#),
];

#[test]
fn names_of_skydns_are_not_denied_before_they_are_known() {
    scenario("registries-skydns-unknown", |sandbox| {
        sandbox.write("skydns.toml", "etcd_skydns = \"etcd://127.0.0.1\"\n");
        let _server =
            sandbox.start("nameplate", "nameplate serve -c skydns.toml --ephemeral --docker off --forward off");
        let mut asker = Asker::new(([127, 0, 0, 1], 8600));
        until("its names are ours", SOON, || {
            asker.ask("web.skydns.local", A).ok().filter(|answer| answer.rcode == SERVFAIL)
        });
        let _etcd = start_etcd(sandbox);
        until("it is known that there are none", SOON, || {
            asker.ask("web.skydns.local", A).ok().filter(|answer| answer.rcode == NXDOMAIN)
        });
    });
}

#[test]
fn names_of_skydns_outlive_a_kill_while_etcd_is_away() {
    scenario("registries-skydns-kept", |sandbox| {
        sandbox.needs(&["dig"], "bind9-dnsutils");
        let etcd = start_etcd(sandbox);
        let key = |name: &str| format!("/skydns/local/skydns/web/{name}");
        put(sandbox, &key("1"), r#"{"host": "192.0.2.1", "port": 80}"#);
        put(sandbox, &key("2"), r#"{"host": "192.0.2.2"}"#);
        put(sandbox, &key("3"), r#"{"host": "192.0.2.3"}"#);
        put(sandbox, "/skydns/arpa/in-addr/192/0/2/1", r#"{"host": "1.web.skydns.local"}"#);
        let lease = etcdctl(sandbox, "lease grant 600");
        let lease = lease.split_whitespace().nth(1).unwrap();
        put(sandbox, &key("leased"), &format!(r#"{{"host": "192.0.2.9", "ttl": 3600}} --lease {lease}"#));
        let options = "--data-dir data --etcd-skydns etcd://127.0.0.1 --docker off --forward off";
        let server = serve(sandbox, options);
        let mut asker = Asker::new(([127, 0, 0, 1], 8600));
        let mut until_web = |numbers: &[u8]| {
            until(&format!("{numbers:?} are answered"), SOON, || {
                let answer = asker.ask("web.skydns.local", A).ok()?;
                (answer.addresses == addresses(numbers)).then_some(())
            });
        };
        until_web(&[1, 2, 3, 9]);
        etcdctl(sandbox, &format!("del {}", key("3")));
        until_web(&[1, 2, 9]);

        // What nobody waits for is on disk a second later.
        pause(Duration::from_secs(2));
        etcd.kill();
        server.kill();
        let server = serve(sandbox, options);
        until_web(&[1, 2, 9]);
        let dig = |question: &str| sandbox.run(&format!("dig @127.0.0.1 -p 8600 {question}"));
        let answer = dig("1.web.skydns.local SRV");
        assert!(answer.contains("10 100 80 1.web.skydns.local."), "{answer}");
        assert!(answer.contains("EDE: 3 (Stale Answer)"), "{answer}");
        assert!(dig("-x 192.0.2.1 +short").contains("1.web.skydns.local."));
        let answer = dig("3.web.skydns.local");
        assert!(answer.contains("NXDOMAIN") && answer.contains("EDE: 19"), "{answer}");
        let answer = dig("leased.web.skydns.local +noall +answer");
        let ttl: u32 = answer.split_whitespace().nth(1).unwrap().parse().unwrap();
        assert!((1..=600).contains(&ttl), "no longer than its lease: {answer}");
        let source = || {
            let all = http::read("/v1/status/ready");
            all["Sources"].as_array().unwrap().iter().find(|one| one["Name"] == "etcd_skydns").unwrap().clone()
        };
        assert!(source()["Stale"] == true && source()["Away"].is_string(), "{}", source());

        // It is back, with one name changed.
        let etcd = start_etcd(sandbox);
        put(sandbox, &key("2"), r#"{"host": "192.0.2.4"}"#);
        until_web(&[1, 4, 9]);
        let answer = dig("web.skydns.local");
        assert!(!answer.contains("EDE"), "{answer}");
        assert_eq!(source()["Stale"], false);

        // They are named no more, and do not come back.
        server.kill();
        let server = serve(sandbox, "--data-dir data --docker off --forward off");
        server.kill();
        etcd.kill();
        let _server = sandbox.start("nameplate", &format!("nameplate serve {options}"));
        until("nothing is known", SOON, || {
            asker.ask("web.skydns.local", A).ok().filter(|answer| answer.rcode == SERVFAIL)
        });
    });
}

fn rcode(name: &str) -> u8 {
    Asker::new(([127, 0, 0, 1], 8600)).ask(name, A).unwrap().rcode
}

const SERVFAIL: u8 = 2;

#[test]
fn what_is_written_by_version_2_is_served_too() {
    scenario("registries-v2", |sandbox| {
        let etcd = start_etcd(sandbox);
        let set = |key: &str, value: &str| sandbox.run(&format!("ETCDCTL_API=2 etcdctl set {key} '{value}'"));
        set("/services/web/web-1", "192.0.2.1:80");
        set("/services/web/broken", "{");
        put(sandbox, "/services/web/v3", "192.0.2.9:80");
        set("/skydns/local/skydns/web/1", r#"{"host": "192.0.2.1", "port": 80}"#);
        let both = "--etcd-services etcd+v2://127.0.0.1 --etcd-skydns etcd+v2://127.0.0.1";
        let _server = serve(sandbox, &format!("--data-dir data --docker off --forward off {both}"));
        let mut asker = Asker::new(([127, 0, 0, 1], 8600));
        let mut until_both = |numbers: &[u8]| {
            for name in ["web.service.internal", "web.skydns.local"] {
                until(&format!("{numbers:?} are answered at {name}"), SOON, || {
                    let answer = asker.ask(name, A).ok()?;
                    (answer.addresses == addresses(numbers)).then_some(())
                });
            }
        };
        until_both(&[1]);
        set("/services/web/web-2", "192.0.2.2:80");
        set("/skydns/local/skydns/web/2", r#"{"host": "192.0.2.2"}"#);
        until_both(&[1, 2]);

        // Keys go with their TTL, and with their folder.
        set("--ttl 2 /services/web/web-3", "192.0.2.3:80");
        set("--ttl 2 /skydns/local/skydns/web/3", r#"{"host": "192.0.2.3"}"#);
        until_both(&[1, 2, 3]);
        until_both(&[1, 2]);
        sandbox.run("ETCDCTL_API=2 etcdctl rm --recursive /services/web; ETCDCTL_API=2 etcdctl rm --recursive /skydns/local/skydns/web");
        until_both(&[]);

        // etcd is away and back.
        etcd.kill();
        pause(Duration::from_secs(1));
        let _etcd = start_etcd(sandbox);
        set("/services/web/web-4", "192.0.2.4:80");
        set("/skydns/local/skydns/web/4", r#"{"host": "192.0.2.4"}"#);
        until_both(&[4]);
    });
}

/// Waits until exactly these instances of `web` are answered.
#[track_caller]
fn until_answered(asker: &mut Asker, numbers: &[u8]) {
    until(&format!("{numbers:?} are answered"), SOON, || {
        let answer = asker.ask("web.service.internal", A).ok()?;
        (answer.rcode == NOERROR && answer.addresses == addresses(numbers)).then_some(())
    });
}

fn addresses(numbers: &[u8]) -> Vec<std::net::IpAddr> {
    numbers.iter().map(|number| [192, 0, 2, *number].into()).collect()
}

/// Starts etcd on its usual port, and returns when it answers.
fn start_etcd<'a>(sandbox: &'a Sandbox) -> Process<'a> {
    sandbox.needs(&["etcd"], "etcd-server");
    sandbox.needs(&["etcdctl"], "etcd-client");
    let process = sandbox.start("etcd", "etcd --data-dir etcd --enable-v2 --listen-peer-urls http://127.0.0.1:2380");
    until("etcd answers", SOON, || {
        let health = sandbox.attempt("ETCDCTL_API=3 etcdctl endpoint health");
        health.status.success().then_some(())
    });
    process
}

#[track_caller]
fn put(sandbox: &Sandbox, key: &str, value: &str) {
    match value.split_once(" --lease ") {
        Some((value, lease)) => etcdctl(sandbox, &format!("put {key} '{value}' --lease {lease}")),
        None => etcdctl(sandbox, &format!("put {key} '{value}'")),
    };
}

#[track_caller]
fn etcdctl(sandbox: &Sandbox, command: &str) -> String {
    sandbox.run(&format!("ETCDCTL_API=3 etcdctl {command}"))
}
