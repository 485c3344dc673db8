use super::*;

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
        {"Name": "bridge", "Driver": "bridge", "Ingress": false, "IPAM": {"Driver": "default", "Options": null,
            "Config": [{"Subnet": "172.17.0.0/16", "Gateway": "172.17.0.1"}, {"Subnet": "2001:db8:1::/64"}]}},
        {"Name": "host", "Driver": "host", "IPAM": {"Driver": "default", "Config": null}},
        {"Name": "ingress", "Driver": "overlay", "Ingress": true, "IPAM": {"Config": [{"Subnet": "?"}, {}]}},
        {"Name": "bridge", "Driver": "macvlan"}
    ]"#;
    let networks = networks(list).unwrap();
    let subnets = ["172.17.0.0/16", "2001:db8:1::/64"].map(|text| IpNetwork::parse(text).unwrap());
    let bridge = Network { driver: "bridge".to_owned(), ingress: false, subnets: subnets.to_vec() };
    assert_eq!(networks["bridge"], bridge);
    assert_eq!(networks["host"], Network { driver: "host".to_owned(), ..Network::default() });
    assert!(networks["ingress"].ingress);
    assert_eq!(networks.len(), 3);
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
