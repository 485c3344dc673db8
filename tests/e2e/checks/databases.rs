//! Redis, MariaDB, PostgreSQL and RabbitMQ; DNS and UDP of a second nameplate; the kernel's ICMP.

use std::fs;

use serde_json::{Value, json};

use super::{Check, Server, Watched, deregister, nameplate, shown};
use crate::{
    sandbox::{Sandbox, scenario},
    server::{OUTSIDE, UPSTREAM, upstream},
    until::{SOON, until},
};

#[test]
fn a_check_says_whether_the_real_server_is_up() {
    scenario("checks", |sandbox| {
        sandbox.needs(&["redis-server"], "redis-server");
        sandbox.needs(&["mariadbd", "mariadb-install-db"], "mariadb-server");
        sandbox.needs(&["setpriv"], "util-linux");
        sandbox.needs(&["nft"], "nftables");
        // The kernel lets nobody ask before it is told who may.
        sandbox.run("echo 0 0 >/proc/sys/net/ipv4/ping_group_range");
        sandbox.run(&format!("ip address add {DATABASE}/32 dev lo; echo '{DATABASE} db.example' >>/etc/hosts"));
        let _server = nameplate(sandbox, "");
        let servers = vec![
            rabbitmq(sandbox),
            mariadb(sandbox),
            postgresql(sandbox),
            Server::command(sandbox, "redis", "redis-server --port 6390 --bind 127.0.0.1 --save ''"),
            Server::new("$(cat upstream.pid)", || upstream(sandbox)),
            pinged(sandbox),
        ];
        let mut watched = Watched::start(sandbox, servers, checks());
        no_other_server_passes();
        no_probe_is_a_connection_error(sandbox);
        watched.hang();
        watched.end();
    });
}

fn checks() -> Vec<Check> {
    let (name, address) = OUTSIDE;
    let server = format!("{UPSTREAM}:53");
    let dns = |expected: Value| json!({ "DNS": { "Server": server, "Name": name, "Type": "A", "Expected": expected } });
    vec![
        Check::new("redis", json!({ "Redis": REDIS }), "PONG"),
        Check::new("mysql", json!({ "MySQL": MARIADB }), "MariaDB"),
        Check::new("postgres", json!({ "Postgres": POSTGRESQL }), "accepting connections"),
        // Who comes from there needs no password, so that the role is looked for.
        Check::new("postgres-role", json!({ "Postgres": format!("{DATABASE}:5490") }), "28000"),
        Check::new("amqp", json!({ "AMQP": RABBITMQ }), "starts a connection"),
        Check::new("dns", dns(json!([address])), "198.51.100.7"),
        Check::always("dns-other", dns(json!("198.51.100.8")), ("critical", "198.51.100.8 is not in the answer")),
        // A server that ignores what is no query is as silent as one that hangs.
        Check::new("udp", json!({ "UDP": server }), "Success").hanging(("passing", "Success")),
        Check::new("icmp", json!({ "ICMP": PINGED }), "reply after"),
    ]
}

/// Each protocol's check finds the servers of the others critical, and they bear it.
fn no_other_server_passes() {
    let kinds = [("Redis", REDIS), ("MySQL", MARIADB), ("Postgres", POSTGRESQL), ("AMQP", RABBITMQ)];
    let wrong = kinds.iter().flat_map(|(kind, _)| {
        let others = kinds.iter().filter(move |(other, _)| other != kind);
        others.map(move |(other, at)| (format!("{kind} at {other}"), json!({ *kind: at }), format!(" {at}: ")))
    });
    let wrong: Vec<(String, Value, String)> = wrong.collect();
    for (id, definition, _) in &wrong {
        Check::always(id, definition.clone(), ("critical", "")).register();
    }
    let expected: Vec<_> = wrong.iter().map(|(id, _, words)| (id.as_str(), ("critical", words.as_str()))).collect();
    shown(&expected, SOON);
    wrong.iter().for_each(|(id, ..)| deregister(id));
}

/// MariaDB's limit is one connection error: had a probe been one, the host would be blocked.
fn no_probe_is_a_connection_error(sandbox: &Sandbox) {
    // One that was given up would be one.
    let patient = json!({ "MySQL": format!("{DATABASE}:3390"), "Timeout": "20s" });
    let passing = ("passing", "MariaDB");
    Check::always("mysql-named", patient, passing).register();
    until("MariaDB was probed some times", SOON, || {
        let log = fs::read_to_string(sandbox.file("mariadb-server.log")).unwrap();
        (log.matches("Access denied for user 'nameplate'@'db.example'").count() >= 3).then_some(())
    });
    shown(&[("mysql-named", passing)], SOON);
    deregister("mysql-named");
}

/// MariaDB as one that blocks a host after its first connection error, if the host has a name and is not loopback.
fn mariadb(sandbox: &Sandbox) -> Server<'_> {
    sandbox.write("init.sql", "CREATE USER IF NOT EXISTS anyone@'%' IDENTIFIED BY 'secret';\n");
    let data = sandbox.folder().join("mariadb").display().to_string();
    sandbox.run(&format!("install -d -o mysql {data}; mariadb-install-db --no-defaults --user=mysql --datadir={data}"));
    let options = format!(
        "--no-defaults --user=mysql --datadir={data} --socket={data}/socket --pid-file={data}/pid --port=3390 \
         --bind-address=0.0.0.0 --max-connect-errors=1 --init-file={}",
        sandbox.folder().join("init.sql").display()
    );
    Server::command(sandbox, "mariadb-server", format!("mariadbd {options}"))
}

/// PostgreSQL, which asks whoever comes over loopback for a password.
fn postgresql(sandbox: &Sandbox) -> Server<'_> {
    let found = sandbox.run("ls -d /usr/lib/postgresql/*/bin | tail -n 1");
    let (programs, run_as) = (found.trim(), "setpriv --reuid=postgres --regid=postgres --clear-groups");
    sandbox.run("install -d -o postgres postgresql; echo secret >password");
    let made = "-D postgresql --auth=scram-sha-256 --pwfile=password --no-sync";
    sandbox.run(&format!("{run_as} {programs}/initdb {made}"));
    sandbox.run(&format!("echo 'host all all {DATABASE}/32 trust' >>postgresql/pg_hba.conf"));
    let options = format!("-D postgresql -p 5490 -c listen_addresses=127.0.0.1,{DATABASE} -k ''");
    let server = Server::command(sandbox, "postgresql-server", format!("{run_as} {programs}/postgres {options}"));
    // Killed, the first process would leave others, which the next one has to wait for.
    let end = server.end.replace("-KILL", "-QUIT");
    Server { end, ..server }
}

/// RabbitMQ, with all that it writes in the sandbox's folder.
fn rabbitmq(sandbox: &Sandbox) -> Server<'_> {
    let folder = sandbox.folder().join("rabbitmq").display().to_string();
    sandbox.run(&format!("install -d -o rabbitmq {folder}; echo '[].' >{folder}/plugins"));
    let variables = format!(
        "HOME={folder} RABBITMQ_NODENAME=test@localhost RABBITMQ_NODE_PORT=5690 RABBITMQ_NODE_IP_ADDRESS=127.0.0.1 \
         RABBITMQ_MNESIA_BASE={folder}/data RABBITMQ_LOG_BASE={folder} RABBITMQ_LOGS=- \
         RABBITMQ_ENABLED_PLUGINS_FILE={folder}/plugins RUNNING_UNDER_SYSTEMD=true"
    );
    let run_as = "setpriv --reuid=rabbitmq --regid=rabbitmq --clear-groups";
    // Of a server that systemd minds, the script becomes the server.
    Server::command(sandbox, "rabbitmq", format!("env {variables} {run_as} /usr/lib/rabbitmq/bin/rabbitmq-server"))
}

/// An address that comes and goes, and on which echoes are dropped while it hangs.
fn pinged(sandbox: &Sandbox) -> Server<'_> {
    let address = |verb| format!("ip address {verb} {PINGED}/32 dev lo");
    let drop = format!("ip daddr {PINGED} icmp type echo-request drop");
    Server {
        start: Box::new(move || {
            sandbox.run(&address("add"));
            None
        }),
        hang: format!("nft 'table ip silent {{ chain input {{ type filter hook input priority 0; {drop}; }}; }}'"),
        go_on: "nft delete table ip silent".to_owned(),
        end: address("del"),
    }
}

const REDIS: &str = "127.0.0.1:6390";
const MARIADB: &str = "127.0.0.1:3390";
const POSTGRESQL: &str = "127.0.0.1:5490";
const RABBITMQ: &str = "127.0.0.1:5690";

/// An address that goes away.
const PINGED: &str = "198.51.100.9";

/// An address that has a name, and is not loopback's: MariaDB would never block that.
const DATABASE: &str = "198.51.100.10";
