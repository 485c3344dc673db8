use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    super::testing::{around, check_line, further_names, lines, network, settings},
    *,
};
use crate::catalog::service::IpNetwork;

/// The documents of a manager `m1` with a worker `w2`, as Docker 20.10 tells them; what is not read is left out.
struct Told {
    services: Value,
    tasks: Value,
    nodes: Value,
}

/// `web` with a VIP, published by the mesh; `rr` without VIP; `direct` published on its hosts. All on the overlay `shop`.
fn told() -> Told {
    let by_mesh = json!([{"Protocol": "tcp", "TargetPort": 80, "PublishedPort": 8080, "PublishMode": "ingress"}]);
    let on_host = json!([{"Protocol": "tcp", "TargetPort": 80, "PublishedPort": 8081, "PublishMode": "host"}]);
    let vips =
        json!([{"NetworkID": "net-ingress", "Addr": "10.0.0.3/24"}, {"NetworkID": "net-shop", "Addr": "10.0.1.2/24"}]);
    Told {
        services: json!([
            {"ID": "s-web", "Spec": {"Name": "web", "Labels": {"SERVICE_TAGS": "blue"}},
             "Endpoint": {"Spec": {"Mode": "vip"}, "Ports": by_mesh, "VirtualIPs": vips}},
            {"ID": "s-rr", "Spec": {"Name": "rr", "Labels": null}, "Endpoint": {"Spec": {}}},
            {"ID": "s-direct", "Spec": {"Name": "direct", "Labels": {}},
             "Endpoint": {"Spec": {"Mode": "vip"}, "Ports": on_host,
                "VirtualIPs": [{"NetworkID": "net-shop", "Addr": "10.0.1.8/24"}]}},
        ]),
        tasks: json!([
            task("t1", "s-web", "m1", "10.0.1.3/24"),
            task("t2", "s-web", "w2", "10.0.1.4/24"),
            task("t3", "s-rr", "w2", "10.0.1.5/24"),
            with(task("t4", "s-direct", "w2", "10.0.1.6/24"), "/Status/PortStatus", json!({"Ports": on_host})),
        ]),
        nodes: json!([
            {"ID": "m1", "Description": {"Hostname": "one"}, "Status": {"State": "ready", "Addr": "192.0.2.101"}},
            {"ID": "w2", "Description": {"Hostname": "two"}, "Status": {"State": "ready", "Addr": "192.0.2.102"}},
        ]),
    }
}

fn task(id: &str, service: &str, node: &str, address: &str) -> Value {
    json!({
        "ID": id, "ServiceID": service, "NodeID": node, "Slot": 1, "DesiredState": "running",
        "Spec": {"ContainerSpec": {"Image": "registry.example/team/httpd:2@sha256:c9114", "Env": ["SERVICE_TAGS=green"]}},
        "Status": {"State": "running", "PortStatus": {}},
        "NetworksAttachments": [
            {"Network": {"ID": "net-ingress", "Spec": {"Name": "ingress", "Ingress": true}}, "Addresses": ["10.0.0.9/24"]},
            {"Network": {"ID": "net-shop", "Spec": {"Name": "shop"}}, "Addresses": [address]},
        ],
    })
}

fn with(mut document: Value, path: &str, value: Value) -> Value {
    let (parent, key) = path.rsplit_once('/').unwrap();
    document.pointer_mut(parent).unwrap()[key] = value;
    document
}

fn mapped_with(told: &Told, settings: &Settings) -> BTreeMap<String, Mapped> {
    let networks =
        json!([{"Id": "net-shop", "Name": "shop"}, {"Id": "net-ingress", "Name": "ingress", "Ingress": true}]);
    let swarm = Swarm {
        node_id: "m1".to_owned(),
        services: items(told.services.to_string().as_bytes()).unwrap(),
        tasks: items(told.tasks.to_string().as_bytes()).unwrap(),
        nodes: items(told.nodes.to_string().as_bytes()).unwrap(),
        networks: items(networks.to_string().as_bytes()).unwrap(),
    };
    let mut around = around();
    let subnet = IpNetwork::new("172.18.0.0".parse().unwrap(), 16).unwrap();
    let bridge = super::super::Network { subnets: vec![subnet], ..network("bridge") };
    let networks = [("shop", network("overlay")), ("docker_gwbridge", bridge)];
    around.networks = Arc::new(networks.map(|(name, network)| (name.to_owned(), network)).into());
    swarm.map(settings, &around)
}

fn mapped(told: &Told) -> BTreeMap<String, Mapped> {
    mapped_with(told, &settings())
}

#[track_caller]
fn check(told: &Told, id: &str, expected: &[&str]) {
    let all = mapped(told);
    assert_eq!(all.get(id).map(lines).unwrap_or_default(), expected, "of {:?}", all.keys());
}

const WEB: &str = "web; swarm:web:80; at 192.0.2.101 8080; and 2001:db8::101; in 10.0.1.0/24 10.0.1.2 80; tags blue";

#[test]
fn a_service_is_its_virtual_address_inside_and_the_mesh_outside() {
    check(&told(), "s-web", &[WEB]);
}

#[test]
fn a_service_without_virtual_address_or_mesh_is_its_tasks_alone() {
    check(&told(), "s-rr", &[]);
    check(&told(), "s-direct", &[]);
    assert_eq!(further_names(&mapped(&told())["t3"]), ["rr.1.t3", "tasks.rr", "rr"]);
}

#[test]
fn a_task_of_another_node_is_reached_in_the_overlay_and_where_its_node_publishes_it() {
    // Containers on overlays ask from the bridge to the host, and get what is not published.
    let unpublished =
        "httpd; two:web.1.t2; at nothing; in 10.0.1.0/24 10.0.1.4 -; in 172.18.0.0/16 10.0.1.4 -; tags green";
    check(&told(), "t2", &[unpublished]);
    check(&told(), "t4", &["httpd; two:direct.1.t4:80; at 192.0.2.102 8081; in 10.0.1.0/24 10.0.1.6 80; tags green"]);
}

#[test]
fn a_task_of_this_node_is_left_to_its_container() {
    assert!(!mapped(&told()).contains_key("t1"));
}

#[test]
fn the_address_that_is_set_for_this_host_is_not_that_of_another() {
    let settings = Settings { ip: "192.0.2.9".parse().ok(), ..settings() };
    let all = mapped_with(&told(), &settings);
    assert!(lines(&all["s-web"])[0].contains("at 192.0.2.9 8080"), "{:?}", lines(&all["s-web"]));
    assert!(lines(&all["t4"])[0].contains("at 192.0.2.102 8081"), "{:?}", lines(&all["t4"]));
}

#[test]
fn a_service_of_which_no_task_runs_is_critical() {
    let states = |told: &Told| {
        let all = mapped(told);
        all["s-web"].registrations[0].checks.iter().map(check_line).collect::<Vec<_>>()
    };
    let mut some = told();
    assert_eq!(states(&some), [""; 0]);
    some.tasks[0]["Status"]["State"] = "failed".into();
    assert_eq!(states(&some), [""; 0], "one of two is left");
    some.tasks[1]["DesiredState"] = "shutdown".into();
    assert_eq!(states(&some), ["docker-state:swarm:web:80 critical   0/0 no task of it is running"]);
}

#[test]
fn a_task_that_is_to_stop_leaves_the_answers_and_one_that_stopped_is_gone() {
    let mut stopping = told();
    stopping.tasks[3]["DesiredState"] = "shutdown".into();
    let checks = |told: &Told| mapped(told)["t4"].registrations[0].checks.iter().map(check_line).collect::<Vec<_>>();
    assert_eq!(checks(&stopping), ["docker-state:two:direct.1.t4:80 critical   0/0 stopping"]);
    stopping.tasks[3]["Status"]["State"] = "shutdown".into();
    check(&stopping, "t4", &[]);
}

#[test]
fn tasks_of_a_node_that_is_down_or_unknown_are_gone() {
    let mut down = told();
    down.nodes[1]["Status"]["State"] = "down".into();
    check(&down, "t4", &[]);
    down.nodes.as_array_mut().unwrap().pop();
    check(&down, "t4", &[]);
    check(&down, "s-web", &[WEB]);
}

#[test]
fn a_node_without_known_address_has_none() {
    let mut unknown = told();
    unknown.nodes[1]["Status"]["Addr"] = "0.0.0.0".into();
    let all = mapped(&unknown);
    assert_eq!(
        lines(&all["t4"]),
        ["httpd; two:direct.1.t4:80; at nothing; in 10.0.1.0/24 10.0.1.6 80; in 172.18.0.0/16 10.0.1.6 80; tags green"]
    );
}

#[test]
fn a_stack_gives_its_services_short_names() {
    let mut stack = told();
    stack.services[0]["Spec"]["Name"] = "shop_web".into();
    stack.services[0]["Spec"]["Labels"] = json!({"com.docker.stack.namespace": "shop"});
    stack.tasks[1]["Spec"]["ContainerSpec"]["Labels"] = json!({"com.docker.stack.namespace": "shop"});
    let all = mapped(&stack);
    assert_eq!(further_names(&all["s-web"]), ["shop_web", "web.shop", "web"]);
    assert_eq!(further_names(&all["t2"]), ["shop_web.1.t2", "tasks.shop_web", "shop_web", "web.shop", "web"]);
}

#[test]
fn a_global_service_has_a_task_a_node() {
    let mut global = told();
    global.tasks[1].as_object_mut().unwrap().remove("Slot");
    assert_eq!(mapped(&global)["t2"].registrations[0].instance.id.as_str(), "two:web.w2.t2");
}

#[test]
fn what_cannot_be_read_costs_nothing_else() {
    let mut odd = told();
    odd.services.as_array_mut().unwrap().push(json!({"ID": 7, "Spec": []}));
    odd.tasks.as_array_mut().unwrap().push(json!("nonsense"));
    odd.tasks[2]["NetworksAttachments"] = json!([{"Network": null, "Addresses": ["nonsense/99"]}, null]);
    check(&odd, "s-web", &[WEB]);
    check(&odd, "t3", &[]);
    assert!(items::<Task>(b"{").is_err());
}
