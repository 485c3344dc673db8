//! A network of Docker's that spans two of three machines: its containers reach each other wherever they run.

use std::net::IpAddr;

use super::{
    hosts::{Cluster, DNS_PORT, store},
    net::Host,
};
use crate::{
    containers::Inside,
    dns::{A, NOERROR, NXDOMAIN, SRV},
    dockerd::{Docker, GATEWAY},
    images,
    sandbox::scenario,
    until::{SOON, until},
};

#[test]
fn addresses_in_an_overlay_network_are_answered_on_each_of_its_machines() {
    scenario("cluster-overlay", |sandbox| {
        let cluster = Cluster::with_members(sandbox);
        let bridge = format!("--bip {GATEWAY}/24");
        let [n1, n2, n3] = Host::NODES;
        let first = Docker::start_on(sandbox, "n1", &bridge).has_images();
        let second = Docker::start_on(sandbox, "n2", &bridge).takes_images();
        first.run(&format!("swarm init --advertise-addr {}", n1.address()));
        let token = first.run("swarm join-token --quiet worker");
        let (to, from) = (n1.address(), n2.address());
        second.run(&format!("swarm join --token {} --advertise-addr {from} {to}:2377", token.trim()));
        first.run("network create --driver overlay --attachable shop");
        let id = first.run("network inspect --format '{{.ID}}' shop").trim().to_owned();
        let start =
            |node, docker: &Docker<'_>| cluster.start_node(node, &format!("{} --docker {}", store(), docker.socket()));
        start(n1, &first);
        start(n2, &second);
        cluster.start_node(n3, &store());
        Host::NODES.into_iter().for_each(|node| cluster.until_ready(node));

        serves(&first, "inner", "--expose 80");
        serves(&first, "open", "--publish 8080:80");
        serves(&second, "other", "--expose 80");
        let [inner, other] = [(&first, "inner"), (&second, "other")].map(|(docker, name)| address(docker, name));
        let [in_1, in_2] = [&first, &second].map(|docker| Inside::on(docker, "shop", "client"));
        let answered = |inside: &Inside, name: &str, expected: IpAddr, port: u16| {
            let name = format!("{name}.service.internal");
            until(&format!("{name} is {expected} at {port}"), SOON, || {
                let ask = |kind| inside.asker_at(DNS_PORT).ask(&name, kind).unwrap();
                (ask(A).addresses == [expected] && ask(SRV).ports == [port]).then_some(())
            });
        };
        answered(&in_1, "inner", inner, 80);
        answered(&in_2, "inner", inner, 80);
        answered(&in_2, "other", other, 80);
        answered(&in_1, "other", other, 80);
        // One that is published is reached so, as on its own machine.
        answered(&in_2, "open", n1.address().into(), 8080);

        let told = cluster.etcdctl("get --prefix --print-value-only /nameplate/v1/services/n1/n1:inner:80");
        let told: serde_json::Value = serde_json::from_str(&told).unwrap();
        let expected = serde_json::json!({ &id: [{ "Address": inner, "Port": 80 }] });
        assert_eq!(told["Service"]["NetworkAddresses"], expected, "{told}");
        // Who is in no network of that ID hears of no address in it.
        let asked = |node| cluster.own_asker(node).ask("inner.service.internal", A).unwrap();
        assert_eq!((asked(n2).rcode, asked(n2).addresses), (NOERROR, Vec::new()));
        assert_eq!(asked(n3).rcode, NXDOMAIN);

        // A process that is started again loses none of it, neither what others had nor what others have of it.
        cluster.kill(n2);
        start(n2, &second);
        until("n2 answers", SOON, || {
            assert!(in_1.asker_at(DNS_PORT).ask("other.service.internal", A).unwrap().addresses == [other]);
            let answer = in_2.asker_at(DNS_PORT).ask("inner.service.internal", A).ok()?;
            assert_eq!(answer.addresses, [inner]);
            Some(())
        });
        cluster.until_ready(n2);
        until("n2 has read all", SOON, || {
            assert_eq!(in_2.asker_at(DNS_PORT).ask("inner.service.internal", A).unwrap().addresses, [inner]);
            (sandbox.run("cat n2.log").matches("etcd: connected").count() == 2).then_some(())
        });
        first.run("rm --force inner");
        until("inner is gone", SOON, || {
            (in_2.asker_at(DNS_PORT).ask("inner.service.internal", A).unwrap().rcode == NXDOMAIN).then_some(())
        });
    });
}

/// Runs a container in the network that serves HTTP on port 80.
fn serves(docker: &Docker<'_>, name: &str, options: &str) {
    let own = format!("--network shop --env SERVICE_NAME={name} {options}");
    docker.run(&format!("run -d --name {name} {own} {} httpd -f -p 80 -h /www", images::BUSYBOX));
}

/// The address of a container in the network.
fn address(docker: &Docker<'_>, name: &str) -> IpAddr {
    let format = "'{{(index .NetworkSettings.Networks \"shop\").IPAddress}}'";
    docker.run(&format!("inspect --format {format} {name}")).trim().parse().unwrap()
}
