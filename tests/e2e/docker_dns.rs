//! nameplate as Docker's DNS: what each kind of client in a container gets from it.
//!
//! | | glibc | musl | busybox |
//! |---|---|---|---|
//! | the default bridge: asks nameplate itself | UDP, then TCP | UDP, what fits | UDP, what fits |
//! | a user-defined network: Docker's resolver asks | the same | the same | the same |

use std::{collections::BTreeSet, net::IpAddr, time::Duration};

use crate::{
    dockerd::{Docker, GATEWAY, first_words},
    http, images,
    sandbox::scenario,
    server::{OUTSIDE, Place, UPSTREAM, serve, upstream},
    until::{SOON, until},
};

#[test]
fn containers_resolve_all_kinds_of_names_by_every_client() {
    resolve("docker-dns", Place::Host);
}

#[test]
fn containers_resolve_all_kinds_of_names_by_a_server_in_a_container() {
    resolve("docker-dns-inside", Place::Container);
}

fn resolve(name: &str, place: Place) {
    scenario(name, |sandbox| {
        let _upstream = upstream(sandbox);
        let server = format!("--docker-dns --forward {UPSTREAM}");
        // A program is there before the daemon and its bridge, which a container can't be.
        let early = matches!(place, Place::Host).then(|| serve(sandbox, &format!("--ephemeral {server}")));
        // The example configuration.
        let options = format!(
            "--bip {GATEWAY}/16 --dns {GATEWAY} --dns {UPSTREAM} --dns-search service.internal --default-address-pool \
             base=172.31.0.0/16,size=24"
        );
        let docker = Docker::start(sandbox, &options).has_images();
        let server = early.unwrap_or_else(|| place.serve(&docker, &server));
        docker.run("network create shop");
        let expected = register();
        let clients = Clients::run(&docker);
        until("docker0 is answered on", SOON, || docker.attempt("exec glibc-bridge query address web").then_some(()));
        for container in &clients.names {
            clients.resolves_services(container, &expected);
            clients.resolves_many(container, &expected.many);
            clients.resolves_records(container);
        }
        clients.nslookup_resolves("musl-bridge", &expected);
        clients.nslookup_resolves("musl-shop", &expected);

        place.stop(&docker, server);
        for container in ["glibc-shop", "musl-shop"] {
            clients.finds(container, OUTSIDE.0, &[OUTSIDE.1.into()].into());
            docker.run(&format!("exec {container} nslookup {}", OUTSIDE.0));
        }
    });
}

type Addresses = BTreeSet<IpAddr>;

/// What services were registered.
struct Expected {
    web: Addresses,
    /// More addresses than 512 bytes hold.
    many: Addresses,
}

/// Registers instances with IPv4 only.
fn register() -> Expected {
    let address = |number: u8| IpAddr::from([192, 0, 2, number]);
    let web: Addresses = [1, 2].map(address).into();
    let many: Addresses = (101..=160).map(address).collect();
    for (service, addresses) in [("web", &web), ("many", &many)] {
        for (number, address) in addresses.iter().enumerate() {
            let body = serde_json::json!({
                "Name": service, "ID": format!("{service}-{number}"), "Address": address, "Port": 8080,
                "Meta": { "version": "1.2" },
            });
            let response = http::request("PUT", "/v1/agent/service/register", &body.to_string()).unwrap();
            assert_eq!(response.status, 200, "{}", response.body);
        }
    }
    Expected { web, many }
}

/// Containers to ask from: of each C library on each network.
struct Clients<'a> {
    docker: &'a Docker<'a>,
    names: Vec<String>,
}

impl<'a> Clients<'a> {
    fn run(docker: &'a Docker<'a>) -> Clients<'a> {
        let mut names = Vec::new();
        for network in ["bridge", "shop"] {
            for (library, image) in [("glibc", images::GLIBC), ("musl", images::BUSYBOX)] {
                let name = format!("{library}-{network}");
                // musl on the default bridge would ask the second server too, and believe that it knows no service.
                let alone = name == "musl-bridge";
                let dns = if alone { format!("--dns {GATEWAY}") } else { String::new() };
                docker.run(&format!("run -d --name {name} --network {network} {dns} {image} sleep 100000"));
                names.push(name);
            }
        }
        Clients { docker, names }
    }

    fn query(&self, container: &str, kind: &str, name: &str) -> String {
        self.docker.run(&format!("exec {container} query {kind} {name}"))
    }

    /// A name has these addresses, and at once: nobody waits for the IPv6 that it does not have.
    fn finds(&self, container: &str, name: &str, addresses: &Addresses) {
        let printed = self.query(container, "address", name);
        assert_eq!(first_words(&printed), *addresses, "{container}: {name}\n{printed}");
        let took = Duration::from_millis(printed.lines().last().unwrap().parse().unwrap());
        assert!(took < WAIT_MAX, "{container}: {name} took {took:?}");
    }

    fn resolves_services(&self, container: &str, expected: &Expected) {
        for name in ["web", "web.internal", "web.service.internal"] {
            self.finds(container, name, &expected.web);
        }
        self.finds(container, OUTSIDE.0, &[OUTSIDE.1.into()].into());
        for nobody in ["nobody", "nobody.service.internal", "nobody.example"] {
            assert!(!self.docker.attempt(&format!("exec {container} query address {nobody}")), "{container}: {nobody}");
        }
    }

    /// A response above 512 bytes: glibc asks again over TCP, and musl 1.2.3 takes what fits.
    fn resolves_many(&self, container: &str, many: &Addresses) {
        if container.starts_with("glibc") {
            return self.finds(container, "many", many);
        }
        let printed = self.query(container, "address", "many.service.internal");
        let found = first_words(&printed);
        assert!(found.len() > FIT_MIN && found.is_subset(many), "{container}: {} of {printed}", found.len());
    }

    fn resolves_records(&self, container: &str) {
        let mut lines: Vec<String> =
            self.query(container, "srv", "_web._tcp.service.internal").lines().map(str::to_owned).collect();
        lines.sort();
        assert_eq!(lines, ["1 1 8080 c0000201.addr.internal", "1 1 8080 c0000202.addr.internal"], "{container}");
        assert_eq!(self.query(container, "txt", "web-0._id.web.service.internal"), "version=1.2\n", "{container}");
        assert_eq!(self.query(container, "ptr", "192.0.2.1"), "web.service.internal\n", "{container}");
    }

    /// The same by busybox' own client.
    fn nslookup_resolves(&self, container: &str, expected: &Expected) {
        let nslookup = |words: &str| self.docker.run(&format!("exec {container} nslookup {words}"));
        let outside: Addresses = [OUTSIDE.1.into()].into();
        for (name, addresses) in
            [("web", &expected.web), ("web.service.internal", &expected.web), (OUTSIDE.0, &outside)]
        {
            assert_eq!(looked_up(&nslookup(name)), *addresses, "{container}: {name}");
        }
        let many = looked_up(&nslookup("many.service.internal"));
        assert!(many.len() > FIT_MIN && many.is_subset(&expected.many), "{container}: {}", many.len());
        for (words, expected) in [
            ("-type=srv _web._tcp.service.internal", "1 1 8080 c0000201.addr.internal"),
            ("-type=txt web-0._id.web.service.internal", "\"version=1.2\""),
            ("192.0.2.1", "name = web.service.internal"),
        ] {
            let printed = nslookup(words);
            assert!(printed.contains(expected), "{container}: nslookup {words}\n{printed}");
        }
    }
}

/// The addresses that nslookup tells of the name, not of the server.
fn looked_up(printed: &str) -> Addresses {
    printed.split("Name:").skip(1).flat_map(str::split_whitespace).filter_map(|word| word.parse().ok()).collect()
}

/// Most time for a name. Source: the issue that asked for it; a client that waits for an answer waits 2.5 s and more.
const WAIT_MAX: Duration = Duration::from_secs(1);

/// Fewest addresses of many that a client without TCP gets: (512 - 12 - 32) / 16 fit.
const FIT_MIN: usize = 24;
