//! Names, IDs, tags, meta, ports and addresses.

use super::super::{
    AddressMode, Settings, Surroundings, Template,
    testing::{around, check_lines, check_with, host, internal, known, meta, network, only, running, settings, web},
};
use crate::catalog::service::IpNetwork;

const WEB: &str = "nginx; n1:web:80; at 192.0.2.101 8080; and 2001:db8::101; in 172.17.0.0/16 172.17.0.2 80";

#[test]
fn a_published_port_is_at_the_hosts_address_and_in_its_network() {
    check_lines(&web(), &settings(), &[WEB]);
    check_lines(&web(), &host(), &["nginx; n1:web:80; at 192.0.2.101 8080; and 2001:db8::101"]);
    check_lines(&web(), &internal(), &["nginx; n1:web:80; at 172.17.0.2 80"]);
}

#[test]
fn a_port_that_is_not_published_is_in_its_network_alone() {
    let db = running("db", "postgres:16").on("bridge", "172.17.0.3/16").expose("5432/tcp");
    check_lines(&db, &settings(), &["postgres; n1:db:5432; at nothing; in 172.17.0.0/16 172.17.0.3 5432"]);
    check_lines(&db, &host(), &[]);
    check_lines(&db, &internal(), &["postgres; n1:db:5432; at 172.17.0.3 5432"]);
}

#[test]
fn the_name_that_is_given_stands_for_the_images() {
    check_lines(&web().env("SERVICE_NAME=shop"), &host(), &["shop; n1:web:80; at 192.0.2.101 8080; and 2001:db8::101"]);
    let both = web().env("SERVICE_NAME=shop").env("SERVICE_80_NAME=front");
    check_lines(&both, &host(), &["front; n1:web:80; at 192.0.2.101 8080; and 2001:db8::101"]);
    let label = web().env("SERVICE_NAME=shop").label("SERVICE_NAME", "label");
    check_lines(&label, &internal(), &["label; n1:web:80; at 172.17.0.2 80"]);
}

#[test]
fn several_ports_have_their_number_behind_the_name() {
    let two = web().publish("443/tcp", &["0.0.0.0:8443"]);
    let lines = ["nginx-80; n1:web:80; at 172.17.0.2 80", "nginx-443; n1:web:443; at 172.17.0.2 443"];
    check_lines(&two, &internal(), &lines);
    let named = two.clone().env("SERVICE_NAME=shop").env("SERVICE_443_NAME=tls");
    let lines = ["shop-80; n1:web:80; at 172.17.0.2 80", "tls; n1:web:443; at 172.17.0.2 443"];
    check_lines(&named, &internal(), &lines);
    // Counted before some are ignored, as by Registrator.
    check_lines(&two.env("SERVICE_443_IGNORE=1"), &internal(), &["nginx-80; n1:web:80; at 172.17.0.2 80"]);
}

#[test]
fn a_port_that_registrator_left_out_takes_no_name_from_one_that_it_knew() {
    let extra = "nginx-9000; n1:web:9000; at nothing; in 172.17.0.0/16 172.17.0.2 9000";
    check_lines(&web().expose("9000/tcp"), &settings(), &[WEB, extra]);
    let none = running("w", "nginx").on("bridge", "172.17.0.2/16").expose("80/tcp").expose("81/tcp");
    let lines = [
        "nginx-80; n1:w:80; at nothing; in 172.17.0.0/16 172.17.0.2 80",
        "nginx-81; n1:w:81; at nothing; in 172.17.0.0/16 172.17.0.2 81",
    ];
    check_lines(&none, &settings(), &lines);
}

#[test]
fn what_is_not_tcp_is_told_by_id_and_tag() {
    let dns = running("dns", "bind9").on("bridge", "172.17.0.4/16").expose("53/tcp").expose("53/udp").expose("99/sctp");
    let lines = [
        "bind9-53; n1:dns:53; at 172.17.0.4 53; tags a",
        "bind9-53; n1:dns:53:udp; at 172.17.0.4 53; tags a,udp",
        "bind9-99; n1:dns:99:sctp; at 172.17.0.4 99; tags a,sctp",
    ];
    check_lines(&dns.env("SERVICE_TAGS=a"), &internal(), &lines);
}

#[test]
fn ignored_is_who_has_any_value_there() {
    check_lines(&web().env("SERVICE_IGNORE=false"), &settings(), &[]);
    check_lines(&web().env("SERVICE_80_IGNORE=yes"), &settings(), &[]);
    check_lines(&web().env("SERVICE_81_IGNORE=yes"), &settings(), &[WEB]);
    check_lines(&web().env("SERVICE_IGNORE="), &settings(), &[WEB]);
}

#[test]
fn explicit_registers_only_what_is_named() {
    let explicit = Settings { explicit: true, ..internal() };
    check_lines(&web(), &explicit, &[]);
    check_lines(&web().env("SERVICE_TAGS=a"), &explicit, &[]);
    check_lines(&web().env("SERVICE_NAME=a"), &explicit, &["a; n1:web:80; at 172.17.0.2 80"]);
    check_lines(&web().label("SERVICE_80_NAME", "b"), &explicit, &["b; n1:web:80; at 172.17.0.2 80"]);
    // Of what is no service nothing is told.
    let explicit = Settings { explicit: true, ..host() };
    check_lines(&running("web", "nginx").publish("80/tcp", &["127.0.0.1:8080"]), &explicit, &[]);
}

#[test]
fn an_id_that_is_given_stands_for_the_made_one() {
    check_lines(&web().env("SERVICE_ID=w1"), &internal(), &["nginx; w1; at 172.17.0.2 80"]);
    let udp = running("dns", "bind9").on("bridge", "172.17.0.4/16").expose("53/udp").env("SERVICE_53_ID=d1");
    check_lines(&udp, &internal(), &["bind9; d1; at 172.17.0.4 53; tags udp"]);
}

#[test]
fn an_id_of_several_ports_is_the_firsts_alone() {
    let two = web().expose("443/tcp").env("SERVICE_ID=w").env("SERVICE_NAME=a");
    let lines = ["a-80; w; at 172.17.0.2 80", "a-443; w:443; at 172.17.0.2 443"];
    let warning = "SERVICE_ID: several services have the ID \"w\", so that \"w:443\" is used too; give each port its own \
                   by SERVICE_<port>_ID";
    check_with(&two, &internal(), &around(), &lines, &[warning]);
    // Even where somebody gave the made one to another port.
    let taken = two.env("SERVICE_80_ID=w:443").env("SERVICE_443_ID=w:443");
    let lines = ["a-80; w:443; at 172.17.0.2 80", "a-443; w:443:443; at 172.17.0.2 443"];
    let mapped = super::map(&taken.container(), &internal(), &around());
    assert_eq!(super::super::testing::lines(&mapped), lines);
}

#[test]
fn tags_are_the_containers_then_everybodys_each_once() {
    let forced = |text: &str| Settings { tags: Some(Template::parse(text).unwrap()), ..internal() };
    let tagged = web().env(r"SERVICE_TAGS=blue,a\,b").label("tier", "front");
    check_lines(&tagged, &internal(), &["nginx; n1:web:80; at 172.17.0.2 80; tags blue,a,b"]);
    assert_eq!(only(&tagged, &internal()).instance.tags.len(), 2);
    let lines = ["nginx; n1:web:80; at 172.17.0.2 80; tags blue,a,b,dc1"];
    check_lines(&tagged, &forced("dc1,blue"), &lines);
    let lines = ["nginx; n1:web:80; at 172.17.0.2 80; tags FRONT,4bcff63911fc"];
    check_lines(
        &web().label("tier", "front"),
        &forced(r#"{{index .Config.Labels "tier" | toUpper}},{{strSlice .ID 0 12}}"#),
        &lines,
    );
    check_with(
        &tagged,
        &forced("{{index .Config.Env 99}}"),
        &around(),
        &["nginx; n1:web:80; at 172.17.0.2 80; tags blue,a,b"],
        &["docker_tags: index: there is no item 99 of 2; these tags are left out"],
    );
}

#[test]
fn a_ports_tags_stand_for_the_general_ones() {
    let two = web().expose("81/tcp").env("SERVICE_TAGS=all").env("SERVICE_81_TAGS=own");
    let lines = ["nginx-80; n1:web:80; at 172.17.0.2 80; tags all", "nginx-81; n1:web:81; at 172.17.0.2 81; tags own"];
    check_lines(&two, &internal(), &lines);
}

#[test]
fn every_other_key_is_meta() {
    let env =
        ["SERVICE_REGION=eu", "SERVICE_80_RACK=r7", "SERVICE_81_RACK=r8", "SERVICE_CHECK_TTL=30s", "SERVICE_EMPTY="];
    let document = env.iter().fold(web().label("SERVICE_dns-ttl", "30"), |document, variable| document.env(variable));
    let document = document.env("SERVICE_NAME=a").env("SERVICE_TAGS=b").env("SERVICE_ID=c").env("SERVICE_PORTS=80");
    let registration = only(&document, &settings());
    let found: Vec<_> =
        ["region", "rack", "check_ttl", "empty", "dns-ttl", "name"].map(|key| meta(&registration, key)).into();
    assert_eq!(found, [Some("eu"), Some("r7"), Some("30s"), Some(""), Some("30"), None]);
    assert_eq!(registration.instance.meta.len(), 5);
}

#[test]
fn meta_beyond_consuls_limits_is_left_out_and_told() {
    let long = "x".repeat(513);
    let document = web().label("SERVICE_A.B", "1").label("SERVICE_consul-x", "1").label("SERVICE_LONG", &long);
    let warnings = [
        "SERVICE_A.B: it is left out, because a key of meta has at most 128 of the characters a-z 0-9 - _; rename it",
        "SERVICE_consul-x: it is left out, because keys of meta that begin with consul- are reserved; rename it",
        "SERVICE_LONG: it is left out, because a value of meta has at most 512 bytes; shorten it",
    ];
    check_with(&document, &internal(), &around(), &["nginx; n1:web:80; at 172.17.0.2 80"], &warnings);
    let many = (0..70).fold(web(), |document, at| document.env(&format!("SERVICE_K{at:02}=v")));
    let mapped = super::map(&many.container(), &internal(), &around());
    assert_eq!((mapped.registrations[0].instance.meta.len(), mapped.warnings.len()), (64, 6));
}

#[test]
fn docker_ip_is_the_address_of_every_published_port() {
    let settings = Settings { ip: "198.51.100.7".parse().ok(), ..settings() };
    let lines = ["nginx; n1:web:80; at 198.51.100.7 8080; in 172.17.0.0/16 172.17.0.2 80"];
    check_lines(&web(), &settings, &lines);
    let bound = running("web", "nginx").publish("80/tcp", &["192.0.2.9:80"]);
    check_lines(&bound, &settings, &["nginx; n1:web:80; at 198.51.100.7 80"]);
    check_lines(
        &web(),
        &Settings { address: AddressMode::Container, ..settings },
        &["nginx; n1:web:80; at 172.17.0.2 80"],
    );
}

#[test]
fn the_label_of_docker_ip_label_is_the_address() {
    let of = |settings: Settings| Settings { ip_label: Some("ip".to_owned()), ..settings };
    let labelled = web().label("ip", "198.51.100.9/24");
    let lines = ["nginx; n1:web:80; at 198.51.100.9 8080; in 172.17.0.0/16 172.17.0.2 80"];
    check_lines(&labelled, &of(settings()), &lines);
    check_lines(&labelled, &of(host()), &["nginx; n1:web:80; at 198.51.100.9 8080"]);
    check_lines(&labelled, &of(internal()), &["nginx; n1:web:80; at 198.51.100.9 80"]);
    check_lines(&web(), &of(settings()), &[WEB]);
    let unpublished = running("w", "nginx").mode("none").expose("80/tcp").label("ip", "2001:db8::9");
    check_lines(&unpublished, &of(host()), &["nginx; n1:w:80; at 2001:db8::9 80"]);
    let wrong = web().label("ip", "here");
    let warning = "label ip: \"here\" is not an IP address, so that it is not used; correct it";
    check_with(&wrong, &of(settings()), &around(), &[WEB], &[warning]);
}

#[test]
fn a_port_on_loopback_is_for_who_asks_there() {
    let local = running("web", "nginx").publish("80/tcp", &["127.0.0.1:8080", "::1:8080"]);
    let lines = ["nginx; n1:web:80; at nothing; in 127.0.0.0/8 127.0.0.1 8080; in ::1/128 ::1 8080"];
    check_lines(&local, &settings(), &lines);
    let both = running("web", "nginx").publish("80/tcp", &["127.0.0.1:8080", "192.0.2.9:80"]);
    check_lines(&both, &settings(), &["nginx; n1:web:80; at 192.0.2.9 80"]);
    let tagged = only(&local, &settings()).instance.tagged_addresses;
    let shown: Vec<String> = tagged.iter().map(|one| format!("{} {} {}", one.role, one.address, one.port)).collect();
    assert_eq!(shown, ["host_ipv4 127.0.0.1 8080", "host_ipv6 ::1 8080"]);
}

#[test]
fn macvlan_and_ipvlan_addresses_are_everybodys() {
    for driver in ["macvlan", "ipvlan"] {
        let web = running("web", "nginx").mode("lan").on("lan", "198.51.100.20/24").expose("80/tcp");
        let lines = ["nginx; n1:web:80; at 198.51.100.20 80; in 198.51.100.0/24 198.51.100.20 80"];
        check_with(&web, &settings(), &known("lan", network(driver)), &lines, &[]);
    }
}

#[test]
fn the_subnet_that_docker_tells_counts_before_the_prefix_length() {
    let mut lan = network("bridge");
    lan.subnets = ["10.1.0.0/16", "10.2.0.0/16"].into_iter().filter_map(IpNetwork::parse).collect();
    let web = running("web", "nginx").on("app", "10.2.3.4/24").expose("80/tcp");
    check_with(
        &web,
        &settings(),
        &known("app", lan),
        &["nginx; n1:web:80; at nothing; in 10.2.0.0/16 10.2.3.4 80"],
        &[],
    );
    // Without either it is not known whose clients reach it there.
    let unknown = running("web", "nginx").on("app", "10.2.3.4").expose("80/tcp");
    check_lines(&unknown, &settings(), &[]);
}

#[test]
fn swarms_ingress_network_has_no_clients() {
    let task = running("web.1.x", "nginx").on("ingress", "10.0.0.5/24").on("shop", "10.0.1.5/24").expose("80/tcp");
    check_lines(&task, &settings(), &["nginx; n1:web.1.x:80; at nothing; in 10.0.1.0/24 10.0.1.5 80"]);
    let mut mesh = network("overlay");
    mesh.ingress = true;
    let other = running("web", "nginx").on("mesh", "10.0.0.5/24").expose("80/tcp");
    check_with(&other, &settings(), &known("mesh", mesh), &[], &[]);
}

#[test]
fn tagged_addresses_are_all_of_them() {
    let web = web()
        .on("app", "172.18.0.2/16")
        .on("app", "2001:db8:1::2/64")
        .publish("80/tcp", &["192.0.2.7:80", "192.0.2.8:80", "127.0.0.1:81", "2001:db8::7:82"]);
    let roles: Vec<String> = only(&web, &settings())
        .instance
        .tagged_addresses
        .iter()
        .map(|tagged| format!("{} {} {}", tagged.role, tagged.address, tagged.port))
        .collect();
    let expected = [
        "docker_app_ipv4 172.18.0.2 80",
        "docker_app_ipv6 2001:db8:1::2 80",
        "docker_bridge_ipv4 172.17.0.2 80",
        "host_2_ipv4 127.0.0.1 81",
        "host_ipv4 192.0.2.8 80",
        "host_ipv6 2001:db8::7 82",
        "lan_ipv4 192.0.2.7 80",
    ];
    assert_eq!(roles, expected);
}

#[test]
fn a_host_of_unknown_address_is_told_of() {
    let warning = "port 80 is published, but the host's address is not known; set docker_ip";
    let lines = ["nginx; n1:web:80; at nothing; in 172.17.0.0/16 172.17.0.2 80"];
    check_with(&web(), &settings(), &Surroundings::default(), &lines, &[warning]);
}

#[test]
fn more_ports_than_there_may_be_are_told_of() {
    let range = running("sip", "asterisk").on("bridge", "172.17.0.2/16").env("SERVICE_PORTS=10000-20000/udp");
    let mapped = super::map(&range.container(), &settings(), &around());
    let warning = "container sip: of 10001 ports only 1024 are services; choose them by SERVICE_PORTS";
    assert_eq!((mapped.registrations.len(), &mapped.warnings[..]), (1024, &[warning.to_owned()][..]));
}
