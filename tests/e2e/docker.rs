//! A real Docker daemon whose containers have nameplate as their DNS and have never heard of it.
//!
//! | network | servers | service | how they stop |
//! |---|---|---|---|
//! | the default bridge: libc asks nameplate itself | `one`, `two` | `web` | the program is killed |
//! | a user-defined one: Docker's embedded resolver asks | `three`, `four` | `api` | `docker stop` |

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::{IpAddr, Ipv4Addr},
    sync::mpsc::{Receiver, RecvTimeoutError, sync_channel},
    thread,
    time::{Duration, Instant},
};

use crate::{
    dns::{A, AAAA, Answer, Asker, NOERROR, SRV},
    dockerd::{Docker, GATEWAY, first_words},
    images,
    sandbox::scenario,
    server::{OUTSIDE, Place, UPSTREAM, upstream},
    until::{SOON, until},
};

#[test]
fn containers_find_services_that_come_and_go() {
    come_and_go("docker", Place::Host);
}

#[test]
fn containers_find_services_by_a_server_in_a_container() {
    come_and_go("inside", Place::Container);
}

fn come_and_go(name: &str, place: Place) {
    scenario(name, |sandbox| {
        sandbox.needs(&["curl"], "curl");
        sandbox.needs(&["dig"], "bind9-dnsutils");
        let docker = Docker::start(sandbox, &format!("--bip {GATEWAY}/16 --dns {GATEWAY}")).has_images();
        docker.run("network create --subnet 172.31.0.0/24 shop");
        let _upstream = upstream(sandbox);
        let _server = place.serve(&docker, &format!("--dns {GATEWAY}:53 --forward {UPSTREAM}"));
        let (web, api) = docker.run_servers();
        for (name, address) in web.iter().chain(&api) {
            docker.register(if web.contains_key(name) { "web" } else { "api" }, name, *address);
        }
        let (web, api) = (web.into_values().collect(), api.into_values().collect());
        until("all servers pass", SOON, || (answered("web") == web && answered("api") == api).then_some(()));

        let (answers, problems) = thread::scope(|scope| {
            // Dropped, however the churn ends, the sender ends the watch.
            let (until_dropped, over) = sync_channel(0);
            let watched = scope.spawn(move || watch(&over));
            docker.clients_resolve(&web, &api);
            for _ in 0..ROUNDS {
                docker.churn("web", "one", ("exec one killall httpd", "exec one httpd -p 80 -h /www"));
                docker.churn("api", "three", ("stop -t 0 three", "start three"));
            }
            docker.nobody_is_left();
            drop(until_dropped);
            watched.join().unwrap()
        });
        assert!(
            problems.is_empty(),
            "{} of {answers} answers: {:#?}",
            problems.len(),
            &problems[..problems.len().min(9)]
        );
        assert!(answers > 1_000, "only {answers} answers were watched");
    });
}

type Servers = BTreeMap<&'static str, IpAddr>;
type Addresses = BTreeSet<IpAddr>;

impl Docker<'_> {
    /// Starts the HTTP servers; returns those of `web` and those of `api`.
    fn run_servers(&self) -> (Servers, Servers) {
        // Killed inside its container, a server leaves the container, and so its address, as it is.
        let page = |name| format!("echo {name} >/www/index.html; httpd -p 80 -h /www; exec sleep 100000");
        let bridged = |name| {
            self.run(&format!("run -d --name {name} {} sh -c '{}'", images::BUSYBOX, page(name)));
            (name, self.address(name))
        };
        // On a network with an address of its own choice, a container has the same one when it starts again.
        let chosen = |(name, address): (&'static str, Ipv4Addr)| {
            let options = format!("--network shop --ip {address}");
            self.run(&format!("run -d --name {name} {options} {} sh -c '{}'", images::BUSYBOX, page(name)));
            (name, address.into())
        };
        let api = [("three", Ipv4Addr::new(172, 31, 0, 33)), ("four", Ipv4Addr::new(172, 31, 0, 44))];
        (["one", "two"].map(bridged).into(), api.map(chosen).into())
    }

    fn register(&self, service: &str, id: &str, address: IpAddr) {
        let body = serde_json::json!({
            "Name": service, "ID": id, "Address": address, "Port": 80,
            "Check": { "HTTP": format!("http://{address}/"), "Interval": "1s", "Timeout": "500ms" },
        });
        self.sandbox.write(format!("{id}.json"), &body.to_string());
        let url = "http://127.0.0.1:8500/v1/agent/service/register";
        self.sandbox.run(&format!("curl -sS --fail-with-body -X PUT -d @{id}.json {url}"));
    }

    /// Every kind of client, on both networks, with and without a search domain, gets every address of a service.
    fn clients_resolve(&self, web: &Addresses, api: &Addresses) {
        for (network, service, addresses) in [("bridge", "web", web), ("shop", "api", api)] {
            for search in ["", "--dns-search service.internal"] {
                let options = format!("--network {network} {search}");
                // Docker's resolver takes a bare name as it is first; without it the C library searches first.
                let searched = network == "bridge" && !search.is_empty();
                let canonical = if searched { format!("{service}.service.internal") } else { service.to_owned() };
                self.busybox_resolves(&options, (service, &canonical), addresses);
                self.glibc_resolves(&options, (service, &canonical), addresses);
            }
            let printed = self.sandbox.run(&format!("dig +short @{GATEWAY} {service}.service.internal SRV"));
            let lines: Vec<_> = printed.lines().collect();
            assert_eq!(lines.len(), addresses.len(), "{printed}");
            assert!(lines.iter().all(|line| line.starts_with("1 1 80 ")), "{printed}");
        }
    }

    fn busybox_resolves(&self, options: &str, (service, canonical): (&str, &str), addresses: &Addresses) {
        self.run(&format!("run -d --name client {options} {} sleep 100000", images::BUSYBOX));
        for name in [service, &format!("{service}.service.internal")] {
            let printed = self.run(&format!("exec client nslookup {name}"));
            let looked_up = printed.split("Name:").skip(1).flat_map(str::split_whitespace);
            let found: Addresses = looked_up.filter_map(|word| word.parse().ok()).collect();
            assert_eq!(found, *addresses, "{options}: nslookup {name}\n{printed}");
            let page = self.run(&format!("exec client wget -q -O- http://{name}/"));
            let servers = if service == "web" { ["one", "two"] } else { ["three", "four"] };
            assert!(servers.contains(&page.trim()), "{options}: wget http://{name}/: {page}");
        }
        self.looks_up(options, (service, canonical), addresses);
        self.run("rm -f client");
    }

    fn glibc_resolves(&self, options: &str, (service, canonical): (&str, &str), addresses: &Addresses) {
        self.run(&format!("run -d --name client {options} {} sleep 100000", images::GLIBC));
        for name in [service, &format!("{service}.service.internal")] {
            for database in ["hosts", "ahosts"] {
                let printed = self.run(&format!("exec client getent {database} {name}"));
                assert_eq!(first_words(&printed), *addresses, "{options}: getent {database} {name}\n{printed}");
            }
        }
        self.looks_up(options, (service, canonical), addresses);
        self.run("rm -f client");
    }

    /// The C library's getaddrinfo, whichever library the container `client` has.
    fn looks_up(&self, options: &str, (service, canonical): (&str, &str), addresses: &Addresses) {
        let fixed = format!("{service}.service.internal");
        for (name, canonical, addresses) in [
            (service, canonical, addresses),
            (&fixed, &fixed, addresses),
            (OUTSIDE.0, OUTSIDE.0, &Addresses::from([OUTSIDE.1.into()])),
        ] {
            let printed = self.run(&format!("exec client lookup {name}"));
            assert_eq!(printed.lines().next(), Some(canonical), "{options}: {name}");
            assert_eq!(first_words(&printed), *addresses, "{options}: {name}\n{printed}");
        }
        assert!(!self.attempt("exec client lookup nothing.example"), "{options}: a name that nobody has");
    }

    /// One of a service's two servers stops and starts; how it does both are two docker commands.
    fn churn(&self, service: &str, stopped: &str, (stop, start): (&str, &str)) {
        let both = answered(service);
        self.run(stop);
        let since = Instant::now();
        until(&format!("{stopped} is out"), SOON, || (answered(service).len() == 1).then_some(()));
        let took = since.elapsed();
        assert!(took <= INTERVAL + Duration::from_secs(1), "{stopped} was answered {took:?} after it stopped");
        self.run(start);
        until(&format!("{stopped} is back"), SOON, || (answered(service) == both).then_some(()));
    }

    /// Both servers of a service stop: its name stays, without addresses.
    fn nobody_is_left(&self) {
        self.run("exec one killall httpd");
        self.run("exec two killall httpd");
        until("nobody is left", SOON, || answered("web").is_empty().then_some(()));
        self.run("exec two httpd -p 80 -h /www");
        until("two is back", SOON, || (answered("web").len() == 1).then_some(()));
    }
}

/// What a service's name has for addresses now.
fn answered(service: &str) -> Addresses {
    let answer = Asker::new((GATEWAY, 53)).ask(&format!("{service}.service.internal"), A).unwrap();
    answer.addresses.into_iter().collect()
}

/// Asks for registered names until it is over; returns how many answers came, and those that are not NOERROR.
fn watch(over: &Receiver<()>) -> (usize, Vec<(String, u16, io::Result<Answer>)>) {
    let names = |service: &str, id: &str| {
        [
            format!("{service}.service.internal"),
            format!("{service}.internal"),
            service.to_owned(),
            format!("_{service}._tcp.service.internal"),
            format!("{id}._id.{service}.service.internal"),
        ]
    };
    let mut asker = Asker::new((GATEWAY, 53));
    let (mut answers, mut problems) = (0, Vec::new());
    // Thirty questions, then a pause that leaves the cores to what is tested.
    while over.recv_timeout(Duration::from_millis(10)) == Err(RecvTimeoutError::Timeout) {
        for name in names("web", "one").into_iter().chain(names("api", "three")) {
            for kind in [A, AAAA, SRV] {
                let answer = asker.ask(&name, kind);
                answers += 1;
                if !answer.as_ref().is_ok_and(|answer| answer.rcode == NOERROR) {
                    problems.push((name.clone(), kind, answer));
                }
            }
        }
    }
    (answers, problems)
}

/// Between two probes of a server.
const INTERVAL: Duration = Duration::from_secs(1);

/// How often a server of each service stops and starts: a check that changes more often than five times in two minutes flaps.
const ROUNDS: u32 = 2;
