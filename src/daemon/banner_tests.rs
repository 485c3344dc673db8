use super::*;

/// What is told when these addresses are listened on, and these upstreams are asked.
fn told(dns: &[&str], reached_at: Option<&str>, upstreams: Option<&[&str]>) -> String {
    told_with(dns, reached_at, upstreams, None)
}

/// The same, and this is so of Docker's bridge.
fn told_with(
    dns: &[&str],
    reached_at: Option<&str>,
    upstreams: Option<&[&str]>,
    docker: Option<Option<&str>>,
) -> String {
    let sockets = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<SocketAddr>>();
    let [domain, cloud] = ["internal", "ec2.internal"].map(|text| Name::parse(text).unwrap());
    let forward = Description {
        upstreams: upstreams.map(sockets),
        found: None,
        own: Vec::new(),
        looping: Vec::new(),
        search: Vec::new(),
        zones: Vec::new(),
    };
    let dns = sockets(dns);
    let banner = Banner {
        dns: &dns,
        http: "127.0.0.1:8500".parse().unwrap(),
        scheme: "http",
        domain: &domain,
        alt_domains: &[],
        data: Some(Path::new("/var/lib/nameplate")),
        zones: Vec::new(),
        forward,
        forward_zones: &[cloud],
        docker: None,
        docker_dns: docker
            .map(|address| DockerBridge { interface: "docker0", address: address.map(|text| text.parse().unwrap()) }),
        reached_at: reached_at.map(|text| text.parse().unwrap()),
    };
    banner.to_string()
}

#[track_caller]
fn check_advice(dns: &[&str], reached_at: Option<&str>, expected: &str) {
    let told = told(dns, reached_at, None);
    assert_eq!(told.split_once("\n\n").unwrap().1, expected);
}

#[test]
fn it_tells_what_is_up() {
    let expected = format!(
        "nameplate {} is up\n  DNS        127.0.0.1:8600, [::1]:8600 (UDP and TCP)\n  HTTP       http://127.0.0.1:8500\n  \
         domain     internal.\n  data       /var/lib/nameplate\n  Docker     off\n  upstreams  198.51.100.1:53\n  forwarded  ec2.internal.",
        env!("CARGO_PKG_VERSION")
    );
    let told = told(&["127.0.0.1:8600", "[::1]:8600"], None, Some(&["198.51.100.1:53"]));
    assert_eq!(told.split_once("\n\n").unwrap().0, expected);
}

#[test]
fn nothing_counts_as_forwarded_while_forwarding_is_off() {
    let told = told(&["127.0.0.1:8600"], None, None);
    assert!(told.contains("\n  upstreams  none: forwarding is off\n\n"), "{told}");
}

#[test]
fn who_listens_on_another_port_is_told_the_set_ups_that_can_name_one() {
    check_advice(
        &["127.0.0.1:8600", "[::1]:8600"],
        Some("192.0.2.10"),
        "resolv.conf and Docker's daemon.json can name no port. To use them, listen on port 53:\n  \
           nameplate serve --dns 192.0.2.10:53\n\
         systemd-resolved, in /etc/systemd/resolved.conf.d/nameplate.conf:\n  \
           [Resolve]\n  \
           DNS=127.0.0.1:8600\n  \
           Domains=~internal service.internal\n\
         dnsmasq:\n  \
           server=/internal/127.0.0.1#8600\n\
         Unbound:\n  \
           server: domain-insecure: \"internal\"\n  \
           server: do-not-query-localhost: no\n  \
           stub-zone: name: \"internal\" stub-addr: 127.0.0.1@8600\n",
    );
    let told = told(&["[2001:db8::10]:8600"], Some("2001:db8::10"), None);
    for line in ["--dns [2001:db8::10]:53", "DNS=[2001:db8::10]:8600", "2001:db8::10#8600", "2001:db8::10@8600"] {
        assert!(told.contains(line), "{line}: {told}");
    }
    assert!(!told.contains("localhost"), "{told}");
}

#[test]
fn who_listens_on_port_53_is_told_the_lines_of_resolv_conf_and_docker() {
    let resolver =
        "To ask it from this machine, in /etc/resolv.conf:\n  nameserver 127.0.0.1\n  search service.internal\n";
    check_advice(
        &["127.0.0.1:8600", "127.0.0.1:53"],
        Some("192.0.2.10"),
        &format!(
            "{resolver}To ask it from containers, listen where they reach it too:\n  \
             nameplate serve --dns 127.0.0.1:53 --dns 192.0.2.10:53\n"
        ),
    );
    check_advice(
        &["127.0.0.1:53", "192.0.2.10:53"],
        Some("192.0.2.10"),
        &format!(
            "{resolver}To ask it from containers, in /etc/docker/daemon.json (then restart Docker):\n  \
             {{ \"dns\": [\"192.0.2.10\"], \"dns-search\": [\"service.internal\"] }}\n"
        ),
    );
}

#[test]
fn who_asks_for_dockers_bridge_is_told_its_address_and_a_second_server() {
    let dns = ["127.0.0.1:8600", "127.0.0.1:53", "172.17.0.1:53"];
    let upstreams = ["127.0.0.53:53", "198.51.100.54:5353", "198.51.100.53:53"];
    let told = told_with(&dns, Some("192.0.2.10"), Some(&upstreams), Some(Some("172.17.0.1")));
    assert_eq!(
        told.split_once("\n\n").unwrap().1,
        "To ask it from this machine, in /etc/resolv.conf:\n  nameserver 127.0.0.1\n  search service.internal\n\
         To ask it from containers, in /etc/docker/daemon.json (then restart Docker):\n  \
           { \"dns\": [\"172.17.0.1\", \"198.51.100.53\"], \"dns-search\": [\"service.internal\"] }\n\
         The second server is for names of others while nameplate is stopped. Let it be another nameplate as\n\
         soon as one container with musl (Alpine) is on the default bridge: musl asks all servers at once and\n\
         believes the first that says NXDOMAIN.\n"
    );
}

#[test]
fn where_nobody_is_known_for_second_server_none_is_named() {
    let told = told_with(&["172.17.0.1:53"], None, None, Some(Some("172.17.0.1")));
    assert!(told.ends_with("  { \"dns\": [\"172.17.0.1\"], \"dns-search\": [\"service.internal\"] }\n"), "{told}");
}

#[test]
fn a_bridge_that_is_not_there_yet_is_named() {
    let told = told_with(&["127.0.0.1:53"], None, None, Some(None));
    assert!(told.ends_with("docker0 is not there yet; what to configure is logged when it is.\n"), "{told}");
    assert!(!told.contains("daemon.json"), "{told}");
}
