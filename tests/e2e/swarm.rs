//! Swarm on one manager: its services, and its tasks.

use std::{collections::BTreeSet, net::IpAddr};

use crate::{
    containers::{HOST, gone, outside, silent, sought, watched},
    dns::{A, NXDOMAIN},
    dockerd::{Docker, GATEWAY},
    images,
    sandbox::scenario,
    server::Place,
    until::{SOON, until},
};

#[test]
fn swarms_services_and_tasks_are_answered() {
    manager("swarm", Place::Host);
}

#[test]
fn swarms_services_and_tasks_are_answered_by_a_server_in_a_container() {
    manager("swarm-inside", Place::Container);
}

/// A virtual address carries no traffic where the kernel has no `ip_vs`, so that addresses are compared with those that the daemon
/// tells, and no connection is made to one.
fn manager(name: &str, place: Place) {
    scenario(name, |sandbox| {
        // Swarm wants an address that is not on loopback.
        sandbox.run("ip link add swarm0 type veth peer name swarm1");
        sandbox.run(&format!("ip address add {MANAGER}/24 dev swarm0; ip link set swarm0 up; ip link set swarm1 up"));
        let docker = Docker::start(sandbox, "").has_images();
        let _server = watched(&docker, place, "");
        docker.run(&format!("swarm init --advertise-addr {MANAGER}"));
        docker.run("network create --driver overlay --attachable shop");
        let serve = |name: &str, options: &str| {
            let detached = format!("service create --detach --no-resolve-image --name {name} --network shop {options}");
            docker.run(&format!("{detached} {} httpd -f -p 80 -h /www", images::BUSYBOX));
        };
        serve("web", "--publish 8080:80 --label SERVICE_TAGS=blue");
        serve("inner", "--replicas 2 --container-label SERVICE_NAME=backend");
        serve("rr", "--replicas 2 --endpoint-mode dnsrr");
        serve("direct", "--publish mode=host,target=80,published=8081");

        // From outside: the mesh's port on this host, the port on the task's host, and nothing.
        sought("web.service.internal", &[HOST], &[8080]);
        sought("blue.web.service.internal", &[HOST], &[8080]);
        sought("direct", &[HOST], &[8081]);
        silent("rr", "published nowhere");
        silent("inner.service.internal", "published nowhere");

        let client = Client::start(&docker);
        let is = |name: &str, expected: &BTreeSet<IpAddr>| {
            until(&format!("{name} is {expected:?}"), SOON, || (client.asked(name) == *expected).then_some(()));
        };
        let tasks = |service: &str| until("both run", SOON, || client.tasks(service, 2));
        is("web.service.internal", &BTreeSet::from([HOST.parse().unwrap()]));
        is("inner.service.internal", &BTreeSet::from([client.virtual_address("inner")]));
        is("tasks.inner.service.internal", &tasks("inner"));
        is("backend.service.internal", &tasks("inner"));
        is("rr.service.internal", &tasks("rr"));

        docker.run("service scale --detach rr=1");
        until("one is left", SOON, || (client.asked("rr.service.internal").len() == 1).then_some(()));
        docker.run("service scale --detach web=0");
        silent("web.service.internal", "without tasks");
        docker.run("service rm web inner rr direct");
        for name in ["web.service.internal", "inner", "direct", "rr", "tasks.rr.service.internal"] {
            gone(name);
        }
        assert_eq!(outside("web", A).rcode, NXDOMAIN);
    });
}

/// A container on the overlay network.
struct Client<'a> {
    docker: &'a Docker<'a>,
}

impl<'a> Client<'a> {
    fn start(docker: &'a Docker<'a>) -> Client<'a> {
        docker.run(&format!("run -d --name client --network shop --dns {GATEWAY} {} sleep 100000", images::BUSYBOX));
        Client { docker }
    }

    /// What it is answered.
    fn asked(&self, name: &str) -> BTreeSet<IpAddr> {
        let printed = self.docker.run(&format!("exec client nslookup {name} || true"));
        let looked_up = printed.split("Name:").skip(1).flat_map(str::split_whitespace);
        looked_up.filter_map(|word| word.parse().ok()).collect()
    }

    /// The daemon's own word for the addresses of a service's tasks, if it has as many.
    fn tasks(&self, service: &str, number: usize) -> Option<BTreeSet<IpAddr>> {
        let found = self.asked(&format!("tasks.{service}"));
        (found.len() == number).then_some(found)
    }

    /// The daemon's own word for the virtual address of a service.
    fn virtual_address(&self, service: &str) -> IpAddr {
        let found = self.asked(service);
        assert_eq!(found.len(), 1, "{found:?}");
        found.into_iter().next().unwrap()
    }
}

/// Where swarm's nodes would reach this one.
const MANAGER: &str = "198.51.100.1";
