use super::*;

fn parse(text: &str) -> SystemResolver {
    SystemResolver::parse(text)
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn servers(text: &str) -> Option<SystemResolver> {
    Some(parse(&text.split_whitespace().map(|server| format!("nameserver {server}\n")).collect::<String>()))
}

/// With these nameservers in resolv.conf, and these behind the stubs, the choice is this; we are 127.0.0.1:53.
#[track_caller]
fn check(system: &str, resolved: &str, manager: &str, expected: (Found, &[&str])) {
    let others = [(Found::SystemdResolved, servers(resolved)), (Found::NetworkManager, servers(manager))];
    let last = [address("198.51.100.9:53"), address("127.0.0.1:53")];
    let choice = choose_from(servers(system).unwrap(), others, &[address("127.0.0.1:53")], &last);
    let upstreams: Vec<_> = choice.upstreams.iter().map(|upstream| upstream.ip().to_string()).collect();
    assert_eq!((choice.found, upstreams), (expected.0, expected.1.iter().map(|text| text.to_string()).collect()));
}

#[test]
fn nameservers_and_search_are_read_and_the_rest_is_passed_over() {
    let resolver = parse(
        "# made by hand\nnameserver 192.0.2.1 ; first\nnameserver\nnameserver nonsense\n\
         nameserver 2001:db8::1\nnameserver 192.0.2.1\noptions ndots:5\nnameserver fe80::1%1\n",
    );
    let expected = ["192.0.2.1:53", "[2001:db8::1]:53", "[fe80::1%1]:53"].map(address);
    assert_eq!(resolver.nameservers, expected);
    assert_eq!(parse("nameserver 0.0.0.0").nameservers, [address("127.0.0.1:53")]);
}

#[test]
fn the_last_search_or_domain_line_wins() {
    let suffixes = |text: &str| parse(text).search.iter().map(Name::to_string).collect::<Vec<_>>();
    assert_eq!(suffixes("search a.example b.example.\n"), ["a.example.", "b.example."]);
    assert_eq!(suffixes("search a.example b.example\ndomain c.example d.example\n"), ["c.example."]);
    assert_eq!(suffixes("domain c.example\nsearch . a..b a.example\n"), ["a.example."]);
}

#[test]
fn nameservers_that_are_not_ours_are_taken_as_they_are() {
    check("192.0.2.1 127.0.0.1 192.0.2.2", "198.51.100.1", "", (Found::ResolvConf, &["192.0.2.1", "192.0.2.2"]));
}

#[test]
fn a_stub_is_replaced_by_the_servers_behind_it() {
    check("127.0.0.53", "192.0.2.1 127.0.0.1", "192.0.2.9", (Found::SystemdResolved, &["192.0.2.1"]));
    check("127.0.0.53", "127.0.0.53", "192.0.2.9", (Found::NetworkManager, &["192.0.2.9"]));
    check("127.0.0.53", "", "", (Found::ResolvConf, &["127.0.0.53"]));
}

#[test]
fn where_only_we_are_left_networkmanager_knows_or_the_last_that_worked() {
    check("127.0.0.1", "192.0.2.1", "192.0.2.9", (Found::NetworkManager, &["192.0.2.9"]));
    check("127.0.0.1", "192.0.2.1", "", (Found::LastWorking, &["198.51.100.9"]));
}

#[test]
fn a_wildcard_listener_is_every_loopback_address() {
    let own = [address("0.0.0.0:53"), address("[2001:db8::1]:53")];
    assert!(is_own(&address("127.0.0.9:53"), &own));
    assert!(is_own(&address("[2001:db8::1]:53"), &own));
    assert!(!is_own(&address("192.0.2.1:53"), &own));
    assert!(!is_own(&address("127.0.0.9:5353"), &own), "another port is another server");
    assert!(is_own(&address("[::ffff:192.0.2.1]:53"), &[address("192.0.2.1:53")]));
}

#[test]
fn the_last_servers_that_worked_survive_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("upstreams");
    assert_eq!(read_last(&path), []);
    let upstreams = [address("192.0.2.1:53"), address("[2001:db8::1]:53")];
    save_last(&path, &upstreams).unwrap();
    assert_eq!(read_last(&path), upstreams);
    fs::write(&path, b"nonsense\n\xff\n192.0.2.1:53\n").unwrap();
    assert_eq!(read_last(&path), [], "a file that is not text counts as not there");
}

#[test]
fn a_file_that_is_replaced_changes_the_fingerprint() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let files = SystemFiles {
        resolv_conf: path("resolv.conf"),
        systemd_resolved: path("resolved"),
        network_manager: path("manager"),
        port: 53,
    };
    let nothing = fingerprint(&files);
    fs::write(&files.resolv_conf, "nameserver 192.0.2.1\n").unwrap();
    let first = fingerprint(&files);
    assert_ne!(nothing, first);
    assert_eq!(first, fingerprint(&files));
    fs::write(path("new"), "nameserver 192.0.2.2\n").unwrap();
    fs::rename(path("new"), &files.resolv_conf).unwrap();
    assert_ne!(first, fingerprint(&files));
}
