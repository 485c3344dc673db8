use super::*;
use crate::forward::settings::SystemFiles;

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn listed(upstreams: &[&str]) -> ForwardSettings {
    ForwardSettings::new(Upstreams::Listed(upstreams.iter().map(|text| address(text)).collect()))
}

#[track_caller]
fn check(routes: &Routes, name: &str, expected: Option<&[&str]>) {
    let group = routes.route(&Name::parse(name).unwrap());
    let addresses = expected.map(|texts| texts.iter().map(|text| address(text)).collect());
    assert_eq!(group.map(Group::addresses), addresses);
}

#[test]
fn the_longest_suffix_wins() {
    let mut settings = listed(&["192.0.2.1:53"]);
    settings.zones = vec![
        (Name::parse("example").unwrap(), vec![address("192.0.2.2:53")]),
        (Name::parse("b.example").unwrap(), vec![address("192.0.2.3:53")]),
    ];
    let routes = Routes::new(&settings, None);
    check(&routes, "a.B.example", Some(&["192.0.2.3:53"]));
    check(&routes, "a.example", Some(&["192.0.2.2:53"]));
    check(&routes, "a.test", Some(&["192.0.2.1:53"]));
}

#[test]
fn rules_hold_where_forwarding_is_off() {
    let mut settings = ForwardSettings::new(Upstreams::Off);
    settings.zones = vec![(Name::parse("example").unwrap(), vec![address("192.0.2.2:53")])];
    let routes = Routes::new(&settings, None);
    check(&routes, "a.example", Some(&["192.0.2.2:53"]));
    check(&routes, "a.test", None);
}

#[test]
fn our_own_addresses_are_no_upstreams() {
    let mut settings = listed(&["127.0.0.1:53", "192.0.2.1:53", "192.0.2.1:53"]);
    settings.own_addresses = vec![address("127.0.0.1:53")];
    check(&Routes::new(&settings, None), "a.test", Some(&["192.0.2.1:53"]));
}

#[test]
fn an_upstream_that_stays_keeps_what_is_known_of_it() {
    let old = Routes::new(&listed(&["192.0.2.1:53", "192.0.2.2:53"]), None);
    old.groups()[0].upstreams[1].set_looping(true);
    let new = Routes::new(&listed(&["192.0.2.2:53", "192.0.2.3:53"]), Some(&old));
    assert!(new.groups()[0].upstreams[0].is_looping());
    assert_eq!(new.describe().looping, [address("192.0.2.2:53")]);
}

#[test]
fn known_upstreams_stay_while_resolv_conf_is_away_or_names_only_us() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let files = SystemFiles {
        resolv_conf: path("resolv.conf"),
        systemd_resolved: path("none"),
        network_manager: path("none"),
        port: 53,
    };
    std::fs::write(&files.resolv_conf, "search corp.example\nnameserver 192.0.2.1\n").unwrap();
    let mut settings = ForwardSettings::new(Upstreams::System(files.clone()));
    settings.own_addresses = vec![address("127.0.0.1:53")];
    let first = Routes::new(&settings, None);
    check(&first, "a.test", Some(&["192.0.2.1:53"]));
    assert_eq!(first.describe().search, [Name::parse("corp.example").unwrap()]);
    std::fs::write(&files.resolv_conf, "nameserver 127.0.0.1\n").unwrap();
    let second = Routes::new(&settings, Some(&first));
    check(&second, "a.test", Some(&["192.0.2.1:53"]));
    assert_eq!(second.describe().own, [address("127.0.0.1:53")]);
    std::fs::remove_file(&files.resolv_conf).unwrap();
    check(&Routes::new(&settings, Some(&second)), "a.test", Some(&["192.0.2.1:53"]));
}

#[test]
fn the_state_file_helps_out_at_start() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("upstreams");
    std::fs::write(&path, "192.0.2.7:53\n127.0.0.1:53\n").unwrap();
    let mut settings = ForwardSettings::new(Upstreams::System(SystemFiles::with_resolv_conf("/nonexistent")));
    settings.own_addresses = vec![address("127.0.0.1:53")];
    settings.state_file = Some(path);
    let routes = Routes::new(&settings, None);
    check(&routes, "a.test", Some(&["192.0.2.7:53"]));
    assert_eq!(routes.describe().to_string(), "upstreams: 192.0.2.7:53 (the last that worked)\n");
}

#[test]
fn the_description_says_what_to_set_when_nobody_is_known() {
    let text = Routes::new(&listed(&[]), None).describe().to_string();
    assert!(text.contains("--forward"), "{text}");
}
