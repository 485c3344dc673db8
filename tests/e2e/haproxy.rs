//! HAProxy finds servers by our SRV records, and is never reloaded. Its configurations are those of `docs/consumers.md`.

use std::{
    collections::BTreeMap,
    fs,
    io::{Read, Write},
    net::SocketAddr,
    os::unix::net::UnixStream,
    path::PathBuf,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    backends::{Backends, Traffic},
    fenced, http,
    sandbox::{Process, Sandbox, scenario},
    server::serve,
    until::{SOON, until},
};

#[test]
fn haproxy_follows_over_udp() {
    scenario("haproxy-udp", |sandbox| follows(sandbox, &near()));
}

#[test]
fn haproxy_follows_over_tcp_from_elsewhere() {
    scenario("haproxy-tcp", |sandbox| follows(sandbox, &far()));
}

/// Scale up and down, weight, drain, maintenance, a failing check and another port, with traffic all the while.
fn follows(sandbox: &Sandbox, configuration: &str) {
    let backends = Backends::start(&[9000, 9001]);
    let _server = start_server(sandbox);
    let warns = json!({ "Check": { "TTL": "10m", "Status": "passing" }, "Weights": { "Passing": 1, "Warning": 0 } });
    register(1, json!({}));
    register(2, warns);
    register(3, json!({}));
    let haproxy = Haproxy::start(sandbox, 0, configuration);
    let of = |numbers: &[u8]| numbers.iter().map(|n| (at(*n, 9000), ("UP".to_owned(), 1))).collect::<BTreeMap<_, _>>();
    haproxy.comes_to(&of(&[1, 2, 3]));
    let process = haproxy.process_id();
    let traffic = Traffic::start(haproxy.address);

    let health = json!({ "HTTP": "http://127.0.1.6:9000/health", "Interval": "1s", "Status": "passing" });
    (4..=5).for_each(|n| register(n, json!({})));
    register(6, json!({ "Check": health }));
    haproxy.comes_to(&of(&[1, 2, 3, 4, 5, 6]));

    // Weights are HAProxy's own, and 0 means no new sessions.
    let mut expected = of(&[1, 2, 3, 4, 5, 6]);
    register(1, json!({ "Weights": { "Passing": 20, "Warning": 1 } }));
    put("/v1/agent/check/warn/service:web-2");
    expected.insert(at(1, 9000), ("UP".to_owned(), 20));
    expected.insert(at(2, 9000), ("UP".to_owned(), 0));
    haproxy.comes_to(&expected);
    traffic.count_anew();
    let share = until("a hundred requests are answered", SOON, || {
        let answered = traffic.answered();
        (answered.values().sum::<u64>() >= 100).then_some(answered)
    });
    assert!(!share.contains_key(&at(2, 9000)), "weight 0 gets none: {share:?}");
    assert!(share[&at(1, 9000)] >= 50, "20 of 24 is the first one's: {share:?}");

    // Each way to leave; what has left may be stopped.
    let leave = |number: u8, how: &dyn Fn()| {
        how();
        until(&format!("{number} is out"), SOON, || (!haproxy.servers().contains_key(&at(number, 9000))).then_some(()));
        backends.kill(at(number, 9000));
    };
    leave(2, &|| put("/v1/agent/service/deregister/web-2"));
    leave(3, &|| put("/v1/agent/service/maintenance/web-3?enable=true"));
    leave(6, &|| backends.sicken(at(6, 9000)));
    let mut expected = of(&[4, 5]);
    expected.insert(at(1, 9000), ("UP".to_owned(), 20));
    haproxy.comes_to(&expected);
    assert_eq!(haproxy.count("MAINT"), 220 - 3, "what is free is in maintenance");

    // Another port; then all weigh the same again.
    register(4, json!({ "Port": 9001 }));
    register(1, json!({}));
    let mut expected = of(&[1, 5]);
    expected.insert(at(4, 9001), ("UP".to_owned(), 1));
    haproxy.comes_to(&expected);
    backends.kill(at(4, 9000));
    traffic.count_anew();
    until("all three answer", SOON, || expected.keys().all(|at| traffic.answered().contains_key(at)).then_some(()));
    traffic.end();
    assert_eq!(haproxy.process_id(), process, "it was never restarted");
    assert_eq!(haproxy.info("Reloads").unwrap_or("0".to_owned()), "0");
}

/// Three that differ in how they ask are watched for half a minute.
#[test]
fn two_hundred_servers_do_not_flap() {
    scenario("haproxy-many", |sandbox| {
        let backends = Backends::start(&[9000]);
        let _server = start_server(sandbox);
        (1..=200).for_each(|n| register(n, json!({})));
        let part = near().replace("accepted_payload_size 16384", "accepted_payload_size 8192");
        let each = [near(), far(), part].map(|text| text.replace("inter 5s", "inter 10s"));
        let each: Vec<_> =
            each.iter().enumerate().map(|(number, text)| Haproxy::start(sandbox, number as u16, text)).collect();
        // What fits into 8,192 bytes: the page says so.
        let before: Vec<_> = each.iter().zip([200, 200, 193]).map(|(haproxy, count)| haproxy.reaches(count)).collect();
        let ids: Vec<_> = each.iter().map(Haproxy::process_id).collect();
        let traffic: Vec<_> = each.iter().map(|haproxy| Traffic::start(haproxy.address)).collect();

        let (logs, resolutions): (Vec<_>, Vec<_>) =
            each.iter().map(|haproxy| (haproxy.log(), haproxy.resolutions())).unzip();
        let started = Instant::now();
        let mut looks = 0;
        while started.elapsed() < WATCHED {
            // Others come and go meanwhile.
            looks += 1;
            put(&format!("/v1/agent/service/maintenance/web-other?enable={}", looks % 2 == 0));
            for (haproxy, before) in each.iter().zip(&before) {
                assert_eq!(haproxy.by_slot(), *before, "after {:?}", started.elapsed());
            }
        }
        for (at, haproxy) in each.iter().enumerate() {
            assert_eq!(haproxy.log(), logs[at], "nothing is told of");
            let resolved = haproxy.resolutions() - resolutions[at];
            assert!(resolved >= WATCHED.as_secs() / 2, "it asked {resolved} times only");
        }

        // One goes: those that see all lose that one; who sees a part loses one more at most.
        put("/v1/agent/service/deregister/web-100");
        for (haproxy, most_lost) in each.iter().zip([1, 1, 2]) {
            let earlier = &before[haproxy.number];
            let asked = haproxy.resolutions();
            until("it has asked again, twice", SOON, || (haproxy.resolutions() >= asked + 2).then_some(()));
            let now = haproxy.reaches(haproxy.servers().len());
            let lost = earlier.iter().filter(|(slot, (at, _))| now.get(*slot).is_none_or(|(now, _)| now != at)).count();
            assert!(lost <= most_lost, "{}: {lost} are lost", haproxy.number);
            assert!(!now.values().any(|(at, _)| *at == self::at(100, 9000)), "it is gone");
        }
        backends.kill(at(100, 9000));
        traffic.into_iter().for_each(Traffic::end);
        assert_eq!(each.iter().map(Haproxy::process_id).collect::<Vec<_>>(), ids, "none was restarted");
    });
}

/// The table of the page.
#[test]
fn as_many_fit_as_the_page_says() {
    scenario("haproxy-sizes", |sandbox| {
        sandbox.needs(&["dig"], "bind9-dnsutils");
        let _server = start_server(sandbox);
        let text = fenced::page(fenced::CONSUMERS);
        let (_, table) = text.split_once("| bytes |").unwrap();
        let mut registered = 0;
        let mut rows = 0;
        for row in table.lines().skip(2).take_while(|line| line.starts_with('|')) {
            let numbers: Vec<u32> = row.split('|').filter_map(|cell| cell.trim().parse().ok()).collect();
            let [bytes, most, with_addresses] = numbers[..] else { panic!("{row}") };
            let transport = if bytes == 65_535 { "+tcp".to_owned() } else { format!("+ignore +bufsize={bytes}") };
            let ask =
                format!("dig @127.0.0.1 -p 8600 _web._tcp.service.internal SRV +noall +comments +nocookie {transport}");
            let mut counts = |instances: u32| {
                (registered + 1..=instances).for_each(register_far);
                registered = instances;
                let printed = sandbox.run(&ask);
                let count = |section: &str| -> u32 {
                    let (_, rest) = printed.split_once(section).unwrap();
                    rest.split([',', '\n']).next().unwrap().trim().parse().unwrap()
                };
                // One of the additional records is OPT.
                (count("ANSWER: "), count("ADDITIONAL: ") - 1)
            };
            assert_eq!(counts(with_addresses), (with_addresses, with_addresses), "{row}");
            assert_eq!(counts(with_addresses + 1).0, with_addresses + 1, "{row}");
            assert!(counts(with_addresses + 1).1 < with_addresses + 1, "{row}");
            assert_eq!(counts(most).0, most, "{row}");
            assert!(counts(most + 1).0 < most + 1, "{row}");
            rows += 1;
        }
        assert_eq!(rows, 5);
    });
}

/// A HAProxy that runs.
struct Haproxy<'a> {
    sandbox: &'a Sandbox,
    _process: Process<'a>,
    number: usize,
    /// Where it is asked.
    address: SocketAddr,
    socket: PathBuf,
}

impl<'a> Haproxy<'a> {
    /// Starts one by a configuration of the page, with an address and a socket of its own.
    #[track_caller]
    fn start(sandbox: &'a Sandbox, number: u16, configuration: &str) -> Haproxy<'a> {
        sandbox.needs(&["haproxy"], "haproxy");
        let address = SocketAddr::from(([127, 0, 0, 1], 8080 + number));
        let configuration = configuration.replace("127.0.0.1:8080", &address.to_string());
        let configuration = configuration.replace(SOCKET, &format!("{SOCKET}-{number}"));
        let name = format!("haproxy-{number}");
        sandbox.write(format!("{name}.cfg"), &configuration);
        sandbox.run("mkdir -p /run/haproxy");
        let process = sandbox.start(&name, &format!("haproxy -db -f {name}.cfg"));
        let socket = sandbox.file(format!("{SOCKET}-{number}"));
        until("HAProxy listens", SOON, || UnixStream::connect(&socket).ok());
        Haproxy { sandbox, _process: process, number: number.into(), address, socket }
    }

    /// Gives a command to its stats socket; returns what it says.
    fn says(&self, command: &str) -> String {
        let mut stream = UnixStream::connect(&self.socket).unwrap();
        stream.write_all(format!("{command}\n").as_bytes()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    }

    /// All servers of the template as `show stat` tells them: name, status, address and weight.
    fn slots(&self) -> Vec<(String, String, String, u32)> {
        let text = self.says("show stat web 4 -1");
        let mut lines = text.lines().map(|line| line.trim_start_matches("# ").split(',').collect::<Vec<_>>());
        let head = lines.next().unwrap();
        let column = |name: &str| head.iter().position(|column| *column == name).unwrap();
        let [name, status, address, weight] = ["svname", "status", "addr", "weight"].map(column);
        let rows = lines.filter(|row| row.len() > address);
        rows.map(|row| {
            (row[name].to_owned(), row[status].to_owned(), row[address].to_owned(), row[weight].parse().unwrap())
        })
        .collect()
    }

    /// The servers in use, by their name in HAProxy: address and status.
    fn by_slot(&self) -> BTreeMap<String, (SocketAddr, String)> {
        let used = self.slots().into_iter().filter(|(_, status, ..)| !status.starts_with("MAINT"));
        used.filter_map(|(name, status, at, _)| Some((name, (at.parse().ok()?, status)))).collect()
    }

    /// The servers in use, by address: status and weight.
    fn servers(&self) -> BTreeMap<SocketAddr, (String, u32)> {
        let used = self.slots().into_iter().filter(|(_, status, ..)| !status.starts_with("MAINT"));
        used.filter_map(|(_, status, at, weight)| Some((at.parse().ok()?, (status, weight)))).collect()
    }

    /// How many servers are in a status that begins so.
    fn count(&self, status: &str) -> usize {
        self.slots().iter().filter(|slot| slot.1.starts_with(status)).count()
    }

    /// Waits until these are the servers in use.
    #[track_caller]
    fn comes_to(&self, expected: &BTreeMap<SocketAddr, (String, u32)>) {
        let started = Instant::now();
        until(&format!("HAProxy has {expected:?}"), SOON, || {
            let servers = self.servers();
            if started.elapsed() + Duration::from_secs(1) > SOON {
                eprintln!("HAProxy has {servers:?}");
            }
            (servers == *expected).then_some(())
        });
    }

    /// Waits until so many servers are up; returns them.
    #[track_caller]
    fn reaches(&self, count: usize) -> BTreeMap<String, (SocketAddr, String)> {
        until(&format!("{count} servers are up"), SETTLED, || {
            let slots = self.by_slot();
            (slots.len() == count && slots.values().all(|(_, status)| status == "UP")).then_some(slots)
        })
    }

    /// A line of `show info`.
    fn info(&self, key: &str) -> Option<String> {
        let text = self.says("show info");
        text.lines().find_map(|line| Some(line.strip_prefix(key)?.strip_prefix(": ")?.to_owned()))
    }

    /// The process that answers, which is also the one that was started.
    fn process_id(&self) -> String {
        let started = fs::read_to_string(self.sandbox.file(format!("haproxy-{}.pid", self.number))).unwrap();
        let answers = self.info("Pid").unwrap();
        assert_eq!(answers, started.trim(), "the one that was started answers");
        answers
    }

    /// How many valid answers it got.
    fn resolutions(&self) -> u64 {
        let text = self.says("show resolvers nameplate");
        let valid = text.lines().find_map(|line| line.trim().strip_prefix("valid:")).unwrap();
        valid.trim().parse().unwrap()
    }

    /// What it wrote so far: changes of servers, and worse.
    fn log(&self) -> String {
        fs::read_to_string(self.sandbox.file(format!("haproxy-{}.log", self.number))).unwrap()
    }
}

/// The page's configuration for the same machine.
fn near() -> String {
    fenced::blocks(&fenced::page(fenced::CONSUMERS), "haproxy").swap_remove(0)
}

/// The page's configuration for another machine: another section of resolvers.
fn far() -> String {
    let other = fenced::blocks(&fenced::page(fenced::CONSUMERS), "haproxy").swap_remove(1);
    let near = near();
    let (before, rest) = near.split_once("resolvers nameplate\n").unwrap();
    let (_, after) = rest.split_once("\n\n").unwrap();
    format!("{before}{other}\n{after}")
}

/// Starts the server as the page sets it, on loopback and at the address that the page has for another machine.
fn start_server(sandbox: &Sandbox) -> Process<'_> {
    sandbox.run("ip address add 192.0.2.10/32 dev lo");
    sandbox.write("nameplate.toml", &fenced::blocks(&fenced::page(fenced::CONSUMERS), "toml").swap_remove(0));
    let server =
        serve(sandbox, "-c nameplate.toml --ephemeral --forward off --dns 127.0.0.1:8600 --dns 192.0.2.10:8600");
    let body = json!({ "Name": "web-other", "Address": "127.0.2.1", "Port": 80 });
    assert_eq!(http::request("PUT", "/v1/agent/service/register", &body.to_string()).unwrap().status, 200);
    server
}

/// Registers an instance of `web`.
#[track_caller]
fn register(number: u8, more: Value) {
    let ip = at(number, 9000).ip();
    let mut body = json!({ "Name": "web", "ID": format!("web-{number}"), "Address": ip, "Port": 9000 });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let response = http::request("PUT", "/v1/agent/service/register", &body.to_string()).unwrap();
    assert_eq!(response.status, 200, "{}", response.body);
}

/// Registers an instance of `web` that nobody asks.
fn register_far(number: u32) {
    let [.., high, low] = number.to_be_bytes();
    let body =
        json!({ "Name": "web", "ID": format!("web-{number}"), "Address": format!("198.18.{high}.{low}"), "Port": 80 });
    assert_eq!(http::request("PUT", "/v1/agent/service/register", &body.to_string()).unwrap().status, 200);
}

#[track_caller]
fn put(path: &str) {
    let response = http::request("PUT", path, "").unwrap();
    assert_eq!(response.status, 200, "{path}: {}", response.body);
}

/// Where an instance of `web` is.
fn at(number: u8, port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 1, number], port))
}

/// The stats socket of the page.
const SOCKET: &str = "/run/haproxy/admin.sock";

/// How long servers are watched. Source: none, chosen: thirty times what HAProxy asks in.
const WATCHED: Duration = Duration::from_secs(30);

/// Most time until 200 servers are up. Source: none, chosen: HAProxy's first check of each takes up to the interval.
const SETTLED: Duration = Duration::from_secs(40);
