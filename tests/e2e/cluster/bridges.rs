//! Each machine's containers have addresses that mean something else on the others.

use std::net::IpAddr;

use serde_json::json;

use super::{
    hosts::{Cluster, DNS_PORT, store},
    net::Host,
};
use crate::{
    containers::Inside,
    dns::{A, Answer, NOERROR, NXDOMAIN, SRV},
    dockerd::{Docker, GATEWAY},
    images,
    sandbox::scenario,
    until::{SOON, until},
};

#[test]
fn no_machine_answers_with_container_addresses_of_another() {
    scenario("cluster-bridges", |sandbox| {
        let cluster = Cluster::with_members(sandbox);
        let bridge = format!("--bip {GATEWAY}/24");
        let [n1, n2, n3] = Host::NODES;
        let first = Docker::start_on(sandbox, "n1", &bridge).has_images();
        let second = Docker::start_on(sandbox, "n2", &bridge).takes_images();
        for (node, docker) in [(n1, &first), (n2, &second)] {
            cluster.start_node(node, &format!("{} --docker {}", store(), docker.socket()));
        }
        cluster.start_node(n3, &store());
        Host::NODES.into_iter().for_each(|node| cluster.until_ready(node));

        let [inside_1, inside_2] = [&first, &second].map(Inside::start);
        // They come to have the same addresses on both.
        serves(&first, "inner", "--expose 80 -e SERVICE_NAME=inner");
        serves(&second, "other", "--expose 80 -e SERVICE_NAME=other");
        serves(&first, "open", "-p 8080:80 -e SERVICE_NAME=open");
        serves(&first, "web", "-p 8081:80 -e SERVICE_NAME=web");
        serves(&second, "web", "-p 8082:80 -e SERVICE_NAME=web");
        let inner = first.address("inner");
        assert_eq!(inner, second.address("other"));
        let (open, [web_1, web_2]) = (first.address("open"), [&first, &second].map(|docker| docker.address("web")));

        let asked = |client, service| Asked { cluster: &cluster, client, service };
        let [on_1, on_2, on_3] = Host::NODES.map(Client::Host);
        let (in_1, in_2) = (Client::Container(n1, &inside_1), Client::Container(n2, &inside_2));
        // The ordinary address and port of what is on another machine, whoever asks.
        asked(on_2, "open").until_answered(&[n1.address().into()], &[8080]);
        asked(in_2, "open").until_answered(&[n1.address().into()], &[8080]);
        asked(on_3, "web").until_answered(&[n1.address().into(), n2.address().into()], &[8081, 8082]);
        asked(on_1, "open").until_answered(&[n1.address().into()], &[8080]);
        asked(in_1, "open").until_answered(&[open], &[80]);
        asked(in_1, "inner").until_answered(&[inner], &[80]);
        asked(in_1, "web").until_answered(&[web_1, n2.address().into()], &[80, 8082]);
        asked(in_2, "web").until_answered(&[web_2, n1.address().into()], &[80, 8081]);
        asked(in_2, "other").until_answered(&[inner], &[80]);
        // They came before what the others answer by now.
        for (client, service) in [(on_2, "inner"), (in_2, "inner"), (on_3, "inner"), (in_1, "other"), (on_3, "other")] {
            asked(client, service).is_unknown();
        }
        let keys = cluster.etcdctl("get --prefix --keys-only /nameplate/v1/services/");
        assert!(keys.contains(":web:") && !keys.contains("inner") && !keys.contains("other"), "{keys}");
        // Nor do they lie in etcd; on its machine a container's own address is told.
        let told = cluster.etcdctl("get --prefix /nameplate/v1/services/");
        assert!(told.contains(":open:") && !told.contains("docker_bridge"), "{told}");
        for address in [inner, open, web_1, web_2] {
            assert!(!told.contains(&format!("\"{address}\"")), "{address}: {told}");
        }
        let own = cluster.http(n1, "GET", "/v1/catalog/service/open", "").unwrap().body;
        let own: serde_json::Value = serde_json::from_str(&own).unwrap();
        assert_eq!(own[0]["ServiceTaggedAddresses"]["docker_bridge_ipv4"], json!({ "Address": open, "Port": 80 }));
        let listed = cluster.http(n2, "GET", "/v1/catalog/service/open", "").unwrap().body;
        let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
        assert_eq!(listed[0]["ServiceAddress"], json!(n1.address()));
        assert!(listed[0]["ServiceTaggedAddresses"]["docker_bridge_ipv4"].is_null(), "{listed}");
    });
}

/// Runs a container that serves HTTP on port 80.
fn serves(docker: &Docker<'_>, name: &str, options: &str) {
    docker.run(&format!("run -d --name {name} {options} {} httpd -f -p 80 -h /www", images::BUSYBOX));
}

/// Who asks.
#[derive(Clone, Copy)]
enum Client<'a> {
    /// A machine asks its own server.
    Host(Host),
    /// A container asks its machine's server.
    Container(Host, &'a Inside),
}

/// A service, and where it is asked for.
struct Asked<'a, 's> {
    cluster: &'a Cluster<'s>,
    client: Client<'a>,
    service: &'static str,
}

impl Asked<'_, '_> {
    fn answer(&self, kind: u16) -> Answer {
        let mut asker = match self.client {
            Client::Host(node) => self.cluster.own_asker(node),
            Client::Container(_, inside) => inside.asker_at(DNS_PORT),
        };
        asker.ask(&format!("{}.service.internal", self.service), kind).unwrap()
    }

    fn described(&self) -> String {
        match self.client {
            Client::Host(node) => format!("{}, asked for on {node}", self.service),
            Client::Container(node, _) => format!("{}, asked for in a container of {node}", self.service),
        }
    }

    /// Waits until these and no others are answered.
    #[track_caller]
    fn until_answered(&self, addresses: &[IpAddr], ports: &[u16]) {
        let mut addresses = addresses.to_vec();
        addresses.sort_unstable();
        let what = format!("{} is at {addresses:?} {ports:?}", self.described());
        until(&what, SOON, || {
            let is = self.answer(A).addresses == addresses && self.answer(SRV).ports == ports;
            is.then_some(())
        });
        assert_eq!(self.answer(A).rcode, NOERROR);
    }

    #[track_caller]
    fn is_unknown(&self) {
        let answer = self.answer(A);
        assert_eq!(answer.rcode, NXDOMAIN, "{}: {answer:?}", self.described());
    }
}
