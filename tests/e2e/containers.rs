//! Containers become services by themselves: nobody registers anything, and nothing is asked but DNS and the API.
//!
//! The host is [`HOST`] for everybody outside Docker's networks, who ask at [`LOOPBACK`]. [`Inside`] asks as a container on the default
//! bridge does.

use std::{
    collections::BTreeSet,
    fs::File,
    net::{IpAddr, Ipv4Addr},
    os::fd::AsFd,
    thread,
    time::{Duration, Instant},
};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::{
    compose,
    dns::{A, AAAA, Answer, Asker, NOERROR, NXDOMAIN, SRV},
    dockerd::{Docker, GATEWAY},
    http, images,
    sandbox::{Process, scenario},
    server::Place,
    until::{SOON, until},
};

#[test]
fn what_a_container_says_of_itself_is_answered() {
    said("containers", Place::Host);
}

#[test]
fn what_a_container_says_of_itself_is_answered_by_a_server_in_a_container() {
    said("containers-inside", Place::Container);
}

fn said(name: &str, place: Place) {
    scenario(name, |sandbox| {
        let docker = Docker::start(sandbox, "").has_images();
        let _server = watched(&docker, place, "");
        let inside = Inside::start(&docker);
        names_and_addresses(&docker, &inside);
        metadata(&docker);
        networks(&docker, &inside);
        compose::project(&docker);
    });
}

#[test]
fn a_container_is_answered_as_long_as_it_serves() {
    lives("container-life", Place::Host);
}

#[test]
fn a_container_is_answered_as_long_as_it_serves_by_a_server_in_a_container() {
    lives("container-life-inside", Place::Container);
}

fn lives(name: &str, place: Place) {
    scenario(name, |sandbox| {
        let docker = Docker::start(sandbox, "").has_images();
        let _server = watched(&docker, place, "");
        let inside = Inside::start(&docker);
        life(&docker, &inside);
        renaming(&docker);
        health(&docker);
        signals(&docker);
    });
}

#[test]
fn the_options_of_registrators_users_do_as_theirs_do() {
    options("container-options", Place::Host);
}

#[test]
fn the_options_of_registrators_users_do_as_theirs_do_in_a_container() {
    options("container-options-inside", Place::Container);
}

fn options(name: &str, place: Place) {
    scenario(name, |sandbox| {
        let docker = Docker::start(sandbox, "").has_images();
        docker.serves("plain", "-p 8080:80");
        docker.serves("named", "-p 8081:80 -e SERVICE_NAME=www --label address=198.51.100.9/24");

        let tags = "'all,{{.Config.Hostname}}'";
        let server = watched(&docker, place, &format!("--docker-explicit --docker-ip 192.0.2.7 --docker-tags {tags}"));
        sought("www.service.internal", &["192.0.2.7"], &[8081]);
        let hostname = docker.run("inspect -f '{{.Config.Hostname}}' named");
        sought(&format!("{}.www.service.internal", hostname.trim()), &["192.0.2.7"], &[8081]);
        assert_eq!(outside("busybox.service.internal", A).rcode, NXDOMAIN, "only what has a SERVICE_NAME");
        place.stop(&docker, server);

        let server = watched(&docker, place, "--docker-address container --docker-ip-label address");
        sought("www.service.internal", &["198.51.100.9"], &[80]);
        sought("busybox.service.internal", &[&docker.address("plain").to_string()], &[80]);
        place.stop(&docker, server);

        failures(&docker, place);
    });
}

/// What failed is kept until it is removed, over a restart of the server too.
fn failures(docker: &Docker<'_>, place: Place) {
    let options = "--docker-address host --docker-deregister on-success";
    let server = watched(docker, place, options);
    sought("busybox.service.internal", &[HOST], &[8080]);
    let inside = Inside::start(docker);
    assert_eq!(inside.addresses("busybox.service.internal"), [HOST.parse::<IpAddr>().unwrap()]);
    let run = |name: &str, port: u16, status: u8| {
        let script = format!("while [ ! -e /tmp/end ]; do sleep 0.1; done; exit {status}");
        let options = format!("--name {name} -p {port}:80 -e SERVICE_NAME={name}");
        docker.run(&format!("run -d {options} {} sh -c '{script}'", images::BUSYBOX));
        sought(&format!("{name}.service.internal"), &[HOST], &[port]);
    };
    let end = |name: &str| docker.run(&format!("exec {name} sh -c 'echo >/tmp/end'"));
    run("job", 8082, 3);
    run("task", 8083, 0);
    run("late", 8084, 4);
    end("job");
    end("task");
    silent("job.service.internal", "failed, and kept");
    gone("task.service.internal");
    place.stop(docker, server);
    end("late");
    until("it has failed", SOON, || (docker.run("inspect -f '{{.State.ExitCode}}' late").trim() == "4").then_some(()));

    let _server = watched(docker, place, options);
    for (name, status) in [("job", 3), ("late", 4)] {
        silent(&format!("{name}.service.internal"), "kept");
        let checks = http::read(&format!("/v1/health/service/{name}")).to_string();
        assert!(checks.contains(&format!("exited with status {status}")), "{checks}");
    }
    assert_eq!(outside("task.service.internal", A).rcode, NXDOMAIN);
    docker.run("rm job late");
    gone("job.service.internal");
    gone("late.service.internal");
}

/// Starts a server that is told where the daemon is.
pub fn watched<'a>(docker: &Docker<'a>, place: Place, options: &str) -> Process<'a> {
    docker.sandbox.attempt(&format!("ip address add {HOST}/32 dev lo"));
    let listen = format!("--dns {LOOPBACK}:53 --dns {GATEWAY}:53 --advertise {HOST}");
    place.serve(docker, &format!("--forward off --docker {} {listen} {options}", place.socket(docker)))
}

impl Docker<'_> {
    /// Runs a container that serves HTTP on port 80.
    #[track_caller]
    pub fn serves(&self, name: &str, options: &str) {
        self.run(&format!("run -d --name {name} {options} {} httpd -f -p 80 -h /www", images::BUSYBOX));
    }
}

fn names_and_addresses(docker: &Docker<'_>, inside: &Inside) {
    docker.serves("web", "-p 8080:80");
    docker.serves("hidden", "--expose 80 -e SERVICE_NAME=inner");
    let (web, hidden) = (docker.address("web"), docker.address("hidden"));
    // By image, as Registrator names them; by the container's name; by both.
    for name in
        ["busybox.service.internal", "web.service.internal", "web", "web.internal", "web._id.busybox.service.internal"]
    {
        sought(name, &[HOST], &[8080]);
        assert_eq!(inside.addresses(name), [web], "{name}");
        assert_eq!(outside(name, AAAA).rcode, NOERROR, "{name} has no AAAA, and musl would take NXDOMAIN for both");
    }
    until("the container that publishes nothing is found inside", SOON, || {
        (inside.addresses("inner.service.internal") == [hidden]).then_some(())
    });
    assert_eq!(inside.addresses("inner"), [hidden]);
    let answer = outside("inner.service.internal", A);
    assert_eq!((answer.rcode, answer.addresses.len()), (NOERROR, 0), "nobody outside reaches it");
    let tagged = &http::read("/v1/catalog/service/inner")[0]["ServiceTaggedAddresses"];
    assert!(tagged.to_string().contains(&hidden.to_string()), "{tagged}");
    docker.run("rm -f web hidden");
    gone("busybox.service.internal");
}

fn metadata(docker: &Docker<'_>) {
    let keys = "-e SERVICE_80_NAME=shop -e SERVICE_TAGS=blue,green -e SERVICE_REGION=eu --label SERVICE_TAGS=red \
                -e SERVICE_80_CHECK_HTTP=/ -e SERVICE_80_CHECK_INTERVAL=1s -e SERVICE_443_IGNORE=true --expose 443";
    docker.serves("keys", &format!("-p 8080:80 {keys}"));
    silent("shop.service.internal", "without a page yet");
    docker.run("exec keys sh -c 'echo >/www/index.html'");
    until("it is registered", SOON, || (outside("shop.service.internal", A).rcode == NOERROR).then_some(()));
    until("a label beats a variable", SOON, || {
        (outside("red.shop.service.internal", A).rcode == NOERROR).then_some(())
    });
    assert_eq!(outside("blue.shop.service.internal", A).rcode, NXDOMAIN);
    let instance = &http::read("/v1/catalog/service/shop")[0];
    assert_eq!(instance["ServiceMeta"]["region"], "eu", "{instance}");
    let services = http::read("/v1/catalog/services");
    let names: BTreeSet<_> = services.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, BTreeSet::from(["nameplate", "shop"]));
    sought("shop.service.internal", &[HOST], &[8080]);
    docker.run("rm -f keys");
    gone("shop.service.internal");
}

fn networks(docker: &Docker<'_>, inside: &Inside) {
    docker.serves("host", "--network host -e SERVICE_NAME=onhost -e SERVICE_PORTS=80");
    docker.serves("nowhere", "--network none -e SERVICE_NAME=nowhere -e SERVICE_PORTS=80");
    sought("onhost.service.internal", &[HOST], &[80]);
    docker.run("network create --subnet 172.31.0.0/24 shop");
    docker.serves("base", "--network shop --ip 172.31.0.33 -e SERVICE_NAME=base -e SERVICE_PORTS=80 -p 8080:80");
    docker.run(&format!(
        "run -d --name joined --network container:base -e SERVICE_NAME=joined -e SERVICE_PORTS=81 {} sleep 100000",
        images::BUSYBOX
    ));
    let of_shop = Ipv4Addr::new(172, 31, 0, 33);
    sought("base.service.internal", &[HOST], &[8080]);
    let ask = |name: &str| {
        docker.run(&format!("run --rm --network shop --dns {GATEWAY} {} nslookup {name}", images::BUSYBOX))
    };
    assert!(ask("base.service.internal").contains(&of_shop.to_string()));
    assert!(ask("joined.service.internal").contains(&of_shop.to_string()), "it has the other's address");
    assert_eq!(inside.addresses("base.service.internal"), [HOST.parse::<IpAddr>().unwrap()], "not on the bridge");
    docker.run("network connect bridge base");
    let on_bridge = until("it is on the bridge, too", SOON, || {
        let addresses = inside.addresses("base.service.internal");
        addresses.first().copied().filter(|address| address.to_string().starts_with("172.17."))
    });
    assert_eq!(
        on_bridge.to_string(),
        docker.run("inspect -f '{{.NetworkSettings.Networks.bridge.IPAddress}}' base").trim()
    );
    docker.run("network disconnect bridge base");
    until("it has left the bridge", SOON, || {
        (inside.addresses("base.service.internal") == [HOST.parse::<IpAddr>().unwrap()]).then_some(())
    });
    assert_eq!(outside("nowhere.service.internal", A).rcode, NXDOMAIN, "no network, no address, no service");
    docker.run("rm -f host nowhere joined base");
    gone("base.service.internal");
    docker.run("network rm shop");
}

fn life(docker: &Docker<'_>, inside: &Inside) {
    docker.serves("web", "-p 8080:80");
    sought("web.service.internal", &[HOST], &[8080]);
    docker.run("pause web");
    silent("web.service.internal", "paused");
    docker.run("unpause web");
    sought("web.service.internal", &[HOST], &[8080]);
    docker.run("stop -t 0 web");
    gone("web.service.internal");
    docker.run("start web");
    sought("web.service.internal", &[HOST], &[8080]);
    let before = docker.address("web");
    docker.serves("other", "");
    docker.run("restart -t 0 web");
    until("it is answered where it is now", SOON, || {
        (inside.addresses("web") == [docker.address("web")]).then_some(())
    });
    assert_eq!(docker.address("web"), before, "an address that was just freed is given again");
    docker.run("rm -f other web");
    gone("web.service.internal");
}

fn renaming(docker: &Docker<'_>) {
    docker.serves("old", "-p 8080:80");
    sought("old.service.internal", &[HOST], &[8080]);
    docker.run("rename old new");
    sought("new.service.internal", &[HOST], &[8080]);
    gone("old.service.internal");
    assert_eq!(outside("busybox.service.internal", SRV).ports, [8080], "once");
    docker.run("rm -f new");
    gone("new.service.internal");
}

fn health(docker: &Docker<'_>) {
    let command = "--health-cmd 'test -e /tmp/well' --health-interval 1s --health-retries 1";
    docker.serves("web", &format!("-p 8080:80 {command}"));
    silent("web.service.internal", "not found healthy yet");
    docker.run("exec web sh -c 'echo >/tmp/well'");
    sought("web.service.internal", &[HOST], &[8080]);
    docker.run("exec web sh -c 'mv /tmp/well /tmp/ill'");
    silent("web.service.internal", "unhealthy");
    docker.run("rm -f web");
    gone("web.service.internal");
}

fn signals(docker: &Docker<'_>) {
    let patient = "sh -c 'trap \"sleep 3; exit 0\" TERM; trap : HUP; while :; do sleep 1; done'";
    docker.run(&format!("run -d --name web -p 8080:80 {} {patient}", images::BUSYBOX));
    sought("web.service.internal", &[HOST], &[8080]);
    docker.run("kill -s HUP web");
    let since = Instant::now();
    while since.elapsed() < Duration::from_millis(500) {
        assert_eq!(outside("web.service.internal", A).addresses.len(), 1, "HUP stops nothing");
    }
    docker.run("kill -s TERM web");
    silent("web.service.internal", "about to end");
    assert!(docker.run("inspect -f '{{.State.Running}}' web").contains("true"), "it left before it ended");
    gone("web.service.internal");
    docker.run("rm -f web");
}

/// What clients outside Docker's networks are answered.
pub fn outside(name: &str, kind: u16) -> Answer {
    Asker::new((LOOPBACK, 53)).ask(name, kind).unwrap()
}

/// A container that asks. What the host itself asks at a bridge's address comes from another of its addresses.
pub struct Inside {
    network: File,
    server: IpAddr,
}

impl Inside {
    /// Starts the container on the default bridge. It is no service.
    #[track_caller]
    pub fn start(docker: &Docker<'_>) -> Inside {
        Inside::on(docker, "bridge", "client")
    }

    /// Starts the container on a network, under this name.
    #[track_caller]
    pub fn on(docker: &Docker<'_>, network: &str, name: &str) -> Inside {
        let options = format!("--name {name} --network {network} -e SERVICE_IGNORE=1");
        docker.run(&format!("run -d {options} {} sleep 100000", images::BUSYBOX));
        let pid = docker.run(&format!("inspect -f '{{{{.State.Pid}}}}' {name}"));
        let network = docker.sandbox.file(format!("/proc/{}/ns/net", pid.trim()));
        Inside { network: File::open(network).unwrap(), server: GATEWAY.into() }
    }

    /// The same container, which asks at this address.
    pub fn at(&self, server: impl Into<IpAddr>) -> Inside {
        Inside { server: server.into(), network: self.network.try_clone().unwrap() }
    }

    /// Asks from the container.
    pub fn asker(&self) -> Asker {
        self.asker_at(53)
    }

    /// Asks from the container, at this port.
    pub fn asker_at(&self, port: u16) -> Asker {
        let made = || {
            move_into_link_name_space(self.network.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
            Asker::new((self.server, port))
        };
        // The socket stays in the network that it was made in.
        thread::scope(|scope| scope.spawn(made).join().unwrap())
    }

    /// The addresses that the container is answered.
    pub fn addresses(&self, name: &str) -> Vec<IpAddr> {
        self.asker().ask(name, A).unwrap().addresses
    }
}

/// Waits until clients outside are answered these addresses and ports.
#[track_caller]
pub fn sought(name: &str, addresses: &[&str], ports: &[u16]) {
    let addresses: Vec<IpAddr> = addresses.iter().map(|address| address.parse().unwrap()).collect();
    until(&format!("{name} is {addresses:?} {ports:?}"), SOON, || {
        (outside(name, A).addresses == addresses && outside(name, SRV).ports == ports).then_some(())
    });
}

/// Waits until a name is known and has no address.
#[track_caller]
pub fn silent(name: &str, why: &str) {
    until(&format!("{name} has no address, because it is {why}"), SOON, || {
        let answer = outside(name, A);
        (answer.rcode == NOERROR && answer.addresses.is_empty()).then_some(())
    });
}

/// Waits until a name is not known.
#[track_caller]
pub fn gone(name: &str) {
    until(&format!("{name} is gone"), SOON, || (outside(name, A).rcode == NXDOMAIN).then_some(()));
}

/// The address of the host, as others know it.
pub const HOST: &str = "192.0.2.101";

/// Where clients ask that are in no network of Docker's.
pub const LOOPBACK: Ipv4Addr = Ipv4Addr::LOCALHOST;
