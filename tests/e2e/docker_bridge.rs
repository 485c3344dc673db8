//! docker0 comes after nameplate, changes its address, and lies behind a firewall.

use std::{net::Ipv4Addr, time::Duration};

use crate::{
    dns::{A, Asker, NOERROR},
    dockerd::{Docker, GATEWAY},
    http, images,
    sandbox::{Process, Sandbox, scenario},
    server::serve,
    until::{SOON, until},
};

#[test]
fn docker0_is_followed_and_a_firewall_before_it_is_told() {
    scenario("docker-bridge", |sandbox| {
        let server = serve(sandbox, "--ephemeral --docker-dns --forward off");
        told(sandbox, "docker0 is not there yet");

        let docker = daemon(sandbox, GATEWAY).has_images();
        until("docker0 is answered on", SOON, || is_answered(GATEWAY).then_some(()));
        told(sandbox, &format!("{{ \"dns\": [\"{GATEWAY}\"], \"dns-search\""));
        assert_eq!(reached(), None, "there is no container to ask from");
        docker.run(&format!("run -d {} sleep 100000", images::BUSYBOX));
        until("a container's side is asked from", SOON, || (reached() == Some(true)).then_some(()));
        docker.stop();

        // Another address, and a firewall that drops what comes to port 53 from elsewhere.
        sandbox.run("iptables -I INPUT ! -i lo -p udp --dport 53 -j DROP");
        let docker = daemon(sandbox, MOVED);
        until("the new address is answered on", SOON, || is_answered(MOVED).then_some(()));
        told(sandbox, &format!("no longer listening on an address that went address={GATEWAY}:53"));
        let client = format!("run -d --name client {} sleep 100000", images::BUSYBOX);
        docker.run(&client);
        until("the firewall is found", SOON, || (reached() == Some(false)).then_some(()));
        told(sandbox, &format!("containers on docker0 get no answer from {MOVED}:53 over UDP: a firewall"));
        assert!(!docker.attempt("exec client nslookup nameplate.service.internal"), "the firewall drops nothing");

        told(sandbox, "To let it in: ");
        let log = log(sandbox);
        let (_, cure) = log.split_once("To let it in: ").unwrap();
        sandbox.run(cure.split(" #").next().unwrap());
        docker.run("exec client nslookup nameplate.service.internal");
        until("the cure is noticed", AGAIN, || (reached() == Some(true)).then_some(()));
        stop(server);
    });
}

/// What a firewall is closed by, what its cure begins with, and what takes it away again.
const FIREWALLS: [(&str, &str, &str); 3] = [
    (
        "iptables -P INPUT DROP; iptables -A INPUT -i lo -j ACCEPT",
        "for p in udp tcp; do iptables ",
        "iptables -P INPUT ACCEPT; iptables -F INPUT",
    ),
    (
        "nft 'table inet filter { chain input { type filter hook input priority 0; policy drop; iif lo accept; }; }'",
        "nft insert rule ",
        "nft delete table inet filter",
    ),
    ("ufw --force enable", "ufw allow ", "ufw --force disable"),
];

#[test]
fn each_firewall_is_opened_by_the_command_that_is_told() {
    scenario("docker-firewall", |sandbox| {
        sandbox.needs(&["nft"], "nftables");
        sandbox.needs(&["ufw"], "ufw");
        let docker = daemon(sandbox, GATEWAY).has_images();
        docker.run(&format!("run -d --name client {} sleep 100000", images::BUSYBOX));
        for (close, cure, open) in FIREWALLS {
            opens(&docker, close, cure);
            sandbox.run(open);
        }
    });
}

#[test]
fn firewalld_is_opened_by_the_command_that_is_told() {
    scenario("docker-firewalld", |sandbox| {
        sandbox.needs(&["firewalld", "firewall-cmd"], "firewalld");
        sandbox.needs(&["dbus-daemon"], "dbus");
        // Docker tells firewalld of its bridges over the system's bus.
        sandbox.run("mkdir -p /run/dbus");
        let _bus = sandbox.start("bus", "dbus-daemon --system --nofork --nopidfile");
        until("the bus is up", SOON, || sandbox.file("/run/dbus/system_bus_socket").exists().then_some(()));
        let _firewalld = sandbox.start("firewalld", "firewalld --nofork --nopid");
        until("firewalld runs", SOON, || sandbox.attempt("firewall-cmd --state").status.success().then_some(()));
        let docker = daemon(sandbox, GATEWAY).has_images();
        docker.run(&format!("run -d --name client {} sleep 100000", images::BUSYBOX));
        // Docker's zone takes everything, until somebody is stricter.
        let close = "firewall-cmd --permanent --zone=docker --set-target=default && firewall-cmd --reload";
        opens(&docker, close, "firewall-cmd --permanent --zone=docker ");
    });
}

/// What containers ask is dropped after one command, and answered after the one that the log then tells.
fn opens(docker: &Docker<'_>, close: &str, cure: &str) {
    let sandbox = docker.sandbox;
    let ask = format!("timeout 3 {}", docker.command("exec client nslookup nameplate.service.internal"));
    let asks = || sandbox.attempt(&ask).status.success();
    sandbox.run(close);
    let server = serve(sandbox, "--ephemeral --docker-dns --forward off");
    until("the firewall is found", SOON, || (reached() == Some(false)).then_some(()));
    assert!(!asks(), "{close}: drops nothing");
    told(sandbox, "To let it in: ");
    let log = log(sandbox);
    let (_, cures) = log.rsplit_once("To let it in: ").unwrap();
    let cures = cures.lines().next().unwrap().split(" interface=").next().unwrap();
    let mut commands = cures.split(" # and, where nftables has rules of its own: ");
    let command = commands.find(|command| command.starts_with(cure)).expect(cures);
    sandbox.run(command);
    // Docker writes its own rules anew when firewalld has loaded its again, and what is asked meanwhile may be lost.
    until(&format!("{close}: {command} opens it"), SOON, || asks().then_some(()));
    stop(server);

    // Asked from the containers' side it is open, over UDP and TCP.
    let server = serve(sandbox, "--ephemeral --docker-dns --forward off");
    until("it is open", SOON, || (reached() == Some(true)).then_some(()));
    stop(server);
}

/// A daemon whose bridge has this address.
fn daemon(sandbox: &Sandbox, bridge: Ipv4Addr) -> Docker<'_> {
    Docker::start(sandbox, &format!("--bip {bridge}/24 --dns {bridge}"))
}

/// Waits until the server has told this: it listens, and counts, before it says so.
fn told(sandbox: &Sandbox, text: &str) {
    until(&format!("it tells: {text}"), SOON, || log(sandbox).contains(text).then_some(()));
}

/// What the server told so far.
fn log(sandbox: &Sandbox) -> String {
    std::fs::read_to_string(sandbox.file("nameplate.log")).unwrap()
}

fn is_answered(bridge: Ipv4Addr) -> bool {
    let answer = Asker::new((bridge, 53)).ask("nameplate.service.internal", A);
    answer.is_ok_and(|answer| answer.rcode == NOERROR)
}

/// Whether docker0's containers are answered, as far as that is known.
fn reached() -> Option<bool> {
    let metrics = http::request("GET", "/metrics", "").unwrap().body;
    let value =
        metrics.lines().find_map(|line| line.strip_prefix("nameplate_docker_dns_reached{interface=\"docker0\"} "));
    value.map(|value| value == "1")
}

fn stop(mut server: Process<'_>) {
    server.signal("TERM");
    assert!(server.wait().success());
}

/// The bridge's second address.
const MOVED: Ipv4Addr = Ipv4Addr::new(172, 29, 0, 1);

/// Most time until a mended firewall is noticed. Source: src/daemon/docker_dns.rs, with time to spare.
const AGAIN: Duration = Duration::from_secs(60);
