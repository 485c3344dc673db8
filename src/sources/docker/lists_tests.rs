use super::*;
use crate::{
    catalog::spanning::{SpanningNetwork, SpanningNetworks},
    sources::docker::{AddressMode, addresses::spanning},
};

#[test]
fn the_ids_of_a_list_are_those_that_can_be_asked_for() {
    let list = br#"[{"Id": "4bcff63911fc", "Names": ["/web"], "State": "running"}, {"Id": null}, {}, {"Id": "../x"}]"#;
    assert_eq!(container_ids(list).unwrap(), ["4bcff63911fc"]);
    assert!(container_ids(b"null").unwrap().is_empty());
    assert!(container_ids(b"{}").is_err());
}

#[test]
fn containers_that_ended_are_found_by_their_names() {
    let list =
        br#"[{"Id": "a", "Names": ["/app/db", "/web"]}, {"Id": "b", "Names": ["/other"]}, {"Id": "c", "Names": null},
        {"Id": "../x", "Names": ["/web"]}, {"Id": "d", "Names": ["job"]}]"#;
    let names = ["web", "job"].map(str::to_owned).into();
    assert_eq!(ids_of_names(list, &names).unwrap(), ["a", "d"]);
    assert!(ids_of_names(b"null", &names).unwrap().is_empty());
}

#[test]
fn a_network_tells_its_driver_and_its_prefixes() {
    let list = br#"[
        {"Name": "bridge", "Id": "0a", "Driver": "bridge", "Ingress": false, "IPAM": {"Driver": "default", "Options": null,
            "Config": [{"Subnet": "172.17.0.0/16", "Gateway": "172.17.0.1"}, {"Subnet": "2001:db8:1::/64"}]}},
        {"Name": "host", "Driver": "host", "IPAM": {"Driver": "default", "Config": null}},
        {"Name": "ingress", "Driver": "overlay", "Ingress": true, "IPAM": {"Config": [{"Subnet": "?"}, {}]}},
        {"Name": "bridge", "Driver": "macvlan"}
    ]"#;
    let networks = networks(list).unwrap();
    let subnets = ["172.17.0.0/16", "2001:db8:1::/64"].map(|text| IpNetwork::parse(text).unwrap());
    let bridge =
        Network { id: "0a".to_owned(), driver: "bridge".to_owned(), ingress: false, subnets: subnets.to_vec() };
    assert_eq!(networks["bridge"], bridge);
    assert_eq!(networks["host"], Network { driver: "host".to_owned(), ..Network::default() });
    assert!(networks["ingress"].ingress);
    assert_eq!(networks.len(), 3);
}

#[test]
fn networks_of_the_driver_overlay_span_machines() {
    // As Docker 20.10 tells it on a manager, but for what is not read.
    let list = br#"[
        {"Name": "ov", "Id": "qvibajgzj0putm1cxenke1bhy", "Scope": "swarm", "Driver": "overlay", "Ingress": false,
            "IPAM": {"Driver": "default", "Options": null, "Config": [{"Subnet": "10.0.1.0/24", "Gateway": "10.0.1.1"}]}},
        {"Name": "ingress", "Id": "rquv5ohbhsu287fmdfkcjh5zr", "Scope": "swarm", "Driver": "overlay", "Ingress": true,
            "IPAM": {"Config": [{"Subnet": "10.0.0.0/24", "Gateway": "10.0.0.1"}]}},
        {"Name": "docker_gwbridge", "Id": "57a7", "Scope": "local", "Driver": "bridge", "Ingress": false,
            "IPAM": {"Config": [{"Subnet": "172.18.0.0/16"}]}},
        {"Name": "bridge", "Id": "e00b", "Scope": "local", "Driver": "bridge", "IPAM": {"Config": [{"Subnet": "172.17.0.0/16"}]}}
    ]"#;
    let networks = networks(list).unwrap();
    let [subnet, bridge] = ["10.0.1.0/24", "172.18.0.0/16"].map(|text| IpNetwork::parse(text).unwrap());
    let id = "qvibajgzj0putm1cxenke1bhy".into();
    let ov = SpanningNetwork { id, name: "ov".into(), subnets: vec![subnet], clients: vec![bridge] };
    assert_eq!(spanning(AddressMode::Auto, &networks), SpanningNetworks(vec![ov]));
    // Where clients in Docker's networks are answered as everybody else, these are no matter.
    assert_eq!(spanning(AddressMode::Host, &networks), SpanningNetworks::default());
}

#[test]
fn a_manager_is_known_by_what_it_may_do() {
    let info = |swarm: &str| manager(format!(r#"{{"ID": "x", "Swarm": {swarm}}}"#).as_bytes()).unwrap();
    assert_eq!(info(r#"{"NodeID": "m1", "ControlAvailable": true}"#).as_deref(), Some("m1"));
    assert_eq!(info(r#"{"NodeID": "w2", "ControlAvailable": false}"#), None);
    assert_eq!(info(r#"{"NodeID": "", "LocalNodeState": "inactive"}"#), None);
    assert_eq!(info("null"), None);
    assert!(manager(b"{").is_err());
}
