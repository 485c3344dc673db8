//! Checks of every kind that asks something, with the real thing: while it serves, while it hangs, when it is gone, and when it is back.
//!
//! | module | asked |
//! |---|---|
//! | `databases` | Redis, MariaDB, PostgreSQL, RabbitMQ; DNS and UDP of a second nameplate; the kernel's ICMP |
//! | `web` | nginx by HTTP, HTTPS, HTTP/2's ping, TCP and TLS, with the right name and a wrong one |
//! | `grpc` | the health service of gRPC's own library for Python, in clear and over TLS |
//! | `commands` | plugins of monitoring-plugins, as scripts; systemd's units |
//! | `docker_exec` | commands in a container of a real Docker daemon |
//!
//! What no real server does (garbage of all kinds, floods, resets) is in the unit tests of each probe, with listeners of their own.

mod commands;
mod databases;
mod docker_exec;
mod grpc;
mod web;

use std::{cell::RefCell, time::Duration};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};

use crate::{
    http,
    sandbox::{Process, Sandbox},
    server::serve,
    until::{SOON, until},
};

/// A check, and what it shows of its server.
struct Check {
    id: String,
    definition: Value,
    serving: Shown<'static>,
    hanging: Shown<'static>,
    gone: Shown<'static>,
}

/// A status, and what is in the output.
type Shown<'a> = (&'a str, &'a str);

impl Check {
    /// One that passes with these words; of a server that hangs it says so at its timeout. The one that was asked while it went
    /// has said anything.
    fn new(id: impl Into<String>, definition: Value, words: &'static str) -> Check {
        let serving = ("passing", words);
        Check { id: id.into(), definition, serving, hanging: ("critical", "within 2s"), gone: ("critical", "") }
    }

    /// One that shows this whatever its server does: of a result that changes nothing else, the text comes minutes later.
    fn always(id: impl Into<String>, definition: Value, shown: Shown<'static>) -> Check {
        Check { id: id.into(), definition, serving: shown, hanging: shown, gone: shown }
    }

    /// One that shows this of a server that serves, in place of passing.
    fn in_place(self, serving: Shown<'static>) -> Check {
        Check { serving, ..self }
    }

    /// One that shows this of a server that hangs.
    fn hanging(self, hanging: Shown<'static>) -> Check {
        Check { hanging, ..self }
    }

    /// Registers it; its status is another than that which its first probe should find.
    fn register(&self) {
        let first = if self.serving.0 == "critical" { "passing" } else { "critical" };
        let mut body =
            json!({ "Name": self.id, "CheckID": self.id, "Status": first, "Interval": "1s", "Timeout": "2s" });
        body.as_object_mut().unwrap().extend(self.definition.as_object().unwrap().clone());
        let response = http::request("PUT", "/v1/agent/check/register", &body.to_string()).unwrap();
        assert_eq!(response.status, 200, "{}: {}", self.id, response.body);
    }
}

/// What checks look at.
struct Server<'a> {
    start: Box<dyn Fn() -> Option<Process<'a>> + 'a>,
    /// Commands that make it hang, go on and end.
    hang: String,
    go_on: String,
    end: String,
}

impl<'a> Server<'a> {
    /// One that is started so, and has these processes, which a shell reads.
    fn new(processes: &str, start: impl Fn() -> Process<'a> + 'a) -> Server<'a> {
        let send = |signal| format!("kill -{signal} {processes}");
        let (hang, go_on, end) = (send("STOP"), send("CONT"), send("KILL"));
        Server { start: Box::new(move || Some(start())), hang, go_on, end }
    }

    /// One process, which is started by this command.
    fn command(sandbox: &'a Sandbox, name: &'static str, command: impl Into<String>) -> Server<'a> {
        let command = command.into();
        Server::new(&format!("$(cat {name}.pid)"), move || sandbox.start(name, &command))
    }
}

/// Servers, and the checks that look at them.
struct Watched<'a> {
    sandbox: &'a Sandbox,
    servers: Vec<Server<'a>>,
    running: Vec<Process<'a>>,
    checks: Vec<Check>,
}

impl<'a> Watched<'a> {
    /// Starts the servers, registers the checks, and returns when all show that they serve.
    fn start(sandbox: &'a Sandbox, servers: Vec<Server<'a>>, checks: Vec<Check>) -> Watched<'a> {
        let running = servers.iter().filter_map(|server| (server.start)()).collect();
        // Those that are to be critical find the servers there: of a result that changes nothing else, the text comes late.
        let (later, first): (Vec<_>, Vec<_>) = checks.into_iter().partition(|check| check.serving.0 == "critical");
        let mut watched = Watched { sandbox, servers, running, checks: Vec::new() };
        for (some, limit) in [(first, STARTED), (later, SOON)] {
            some.iter().for_each(Check::register);
            watched.checks.extend(some);
            watched.show(|check| check.serving, limit);
        }
        watched
    }

    /// The servers hang, and go on.
    fn hang(&self) {
        self.each(|server| &server.hang);
        self.show(|check| check.hanging, SOON);
        self.each(|server| &server.go_on);
        self.show(|check| check.serving, SOON);
    }

    /// The servers end, and are started again.
    fn end(&mut self) {
        self.each(|server| &server.end);
        for process in &mut self.running {
            process.wait();
        }
        self.show(|check| check.gone, SOON);
        self.running = self.servers.iter().filter_map(|server| (server.start)()).collect();
        self.show(|check| check.serving, STARTED);
    }

    /// Waits until each check shows this.
    #[track_caller]
    fn show(&self, expected: impl Fn(&Check) -> Shown<'static>, limit: Duration) {
        let expected: Vec<_> = self.checks.iter().map(|check| (check.id.as_str(), expected(check))).collect();
        shown(&expected, limit);
    }

    fn each(&self, command: impl for<'b> Fn(&'b Server<'a>) -> &'b String) {
        let commands: Vec<_> = self.servers.iter().map(|server| command(server).as_str()).collect();
        self.sandbox.run(&format!("set -e\n{}", commands.join("\n")));
    }
}

fn deregister(id: &str) {
    let path = format!("/v1/agent/check/deregister/{}", id.replace(' ', "%20"));
    assert_eq!(http::request("PUT", &path, "").unwrap().status, 200, "{id}");
}

/// Waits until checks show this.
#[track_caller]
fn shown(expected: &[(&str, Shown<'_>)], limit: Duration) {
    let other = RefCell::new(Vec::new());
    until(&format!("checks show {expected:?}"), limit, || {
        let found = http::read("/v1/agent/checks");
        let differs = |(id, (status, words)): &&(&str, Shown<'_>)| {
            found[id]["Status"] != *status || !found[id]["Output"].as_str().is_some_and(|said| said.contains(words))
        };
        let differing = expected.iter().filter(differs);
        let now: Vec<_> =
            differing.map(|(id, _)| format!("{id}: {} {}", found[id]["Status"], found[id]["Output"])).collect();
        // For who looks into a failure: the last of these is what was found instead.
        if *other.borrow() != now {
            eprintln!("not yet: {now:#?}");
            other.replace(now);
        }
        other.borrow().is_empty().then_some(())
    });
}

/// Starts the server whose checks are looked at, with these options beside those of all of these scenarios.
fn nameplate<'a>(sandbox: &'a Sandbox, options: &str) -> Process<'a> {
    sandbox.write("nameplate.toml", SETTINGS);
    serve(sandbox, &format!("--config nameplate.toml --ephemeral --forward off --dns 127.0.0.1:8600 {options}"))
}

/// Makes `server.crt` and `server.key`, for `web.example` and loopback, by an authority that the sandbox trusts, and
/// `stranger.crt` and `stranger.key`, which say the same of themselves.
fn certificates(sandbox: &Sandbox) {
    let names = || CertificateParams::new(vec!["web.example".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    let [own, key, stranger] = [(); 3].map(|()| KeyPair::generate().unwrap());
    let mut authority = CertificateParams::default();
    authority.distinguished_name.push(DnType::CommonName, "an authority");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    sandbox.write("/etc/ssl/certs/ca-certificates.crt", &authority.self_signed(&own).unwrap().pem());
    let issuer = Issuer::new(authority, own);
    sandbox.write("server.crt", &names().signed_by(&key, &issuer).unwrap().pem());
    sandbox.write("server.key", &key.serialize_pem());
    sandbox.write("stranger.crt", &names().self_signed(&stranger).unwrap().pem());
    sandbox.write("stranger.key", &stranger.serialize_pem());
}

/// The checks change far more often than ones that are let alone.
const SETTINGS: &str = "enable_script_checks = true\nflap_changes = 0\n";

/// Most time for the servers to start. Source: none, chosen: RabbitMQ takes 6 s alone on two cores.
const STARTED: Duration = Duration::from_secs(60);
