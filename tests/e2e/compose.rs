//! Projects of compose, by its own tool.

use std::{collections::BTreeSet, net::IpAddr};

use crate::{
    containers::{Inside, gone, outside},
    dns::{A, SRV},
    dockerd::Docker,
    images,
    until::{SOON, until},
};

/// A project comes, is scaled, runs a one-off job, and goes.
pub fn project(docker: &Docker<'_>) {
    let sandbox = docker.sandbox;
    sandbox.needs(&["docker-compose"], "docker-compose");
    sandbox.write("shop/docker-compose.yml", &FILE.replace("IMAGE", images::BUSYBOX));
    let socket = format!("unix://{}/docker.sock", sandbox.folder().display());
    let compose = |words: &str| sandbox.run(&format!("cd shop; docker-compose -H {socket} {words} 2>&1"));
    compose("up -d --scale front=2");
    let client = Inside::on(docker, "shop_default", "visitor");
    let on_network = |container: &str| -> IpAddr {
        let network = "{{.NetworkSettings.Networks.shop_default.IPAddress}}";
        docker.run(&format!("inspect -f '{network}' {container}")).trim().parse().unwrap()
    };
    let front = |number: u32| -> BTreeSet<IpAddr> {
        (1..=number).map(|number| on_network(&format!("shop_front_{number}"))).collect()
    };
    let is = |service: &str, addresses: &BTreeSet<IpAddr>| {
        for name in [
            service,
            &format!("{service}.service.internal"),
            &format!("{service}.shop.service.internal"),
            &format!("{service}.shop.internal"),
        ] {
            until(&format!("{name} is {addresses:?}"), SOON, || {
                (client.addresses(name).into_iter().collect::<BTreeSet<_>>() == *addresses).then_some(())
            });
        }
    };
    is("front", &front(2));
    is("back", &[on_network("shop_back_1")].into());
    assert_eq!(outside("front.shop.internal", SRV).ports.len(), 2, "each has a port of the host");
    assert!(outside("back.shop.internal", A).addresses.is_empty(), "nothing is published");

    // It has the service's keys, and is none of its containers.
    let job = compose("run -d front sleep 100000");
    let job = job.lines().last().unwrap().trim().to_owned();
    assert!(job.starts_with("shop_front_run_"), "{job}");
    compose("up -d --scale front=3");
    is("front", &front(3));
    assert!(!front(3).contains(&on_network(&job)), "it runs, and has an address of its own");
    let services = crate::http::read("/v1/agent/services");
    assert!(!services.to_string().contains(&job), "{services}");

    docker.run(&format!("rm -f {job}"));
    compose("up -d --scale front=1");
    is("front", &front(1));
    docker.run("rm -f visitor");
    compose("down");
    for name in ["front", "front.shop.internal", "back", "back.shop.service.internal"] {
        gone(name);
    }
}

const FILE: &str = "\
version: '2.4'
services:
  front:
    image: IMAGE
    command: httpd -f -p 80 -h /www
    ports: ['80']
    stop_grace_period: 0s
  back:
    image: IMAGE
    command: httpd -f -p 81 -h /www
    expose: ['81']
    stop_grace_period: 0s
";
