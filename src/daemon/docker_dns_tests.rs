use super::*;

fn server() -> SocketAddr {
    "172.17.0.1:53".parse().unwrap()
}

#[test]
fn the_cure_names_address_and_port() {
    for (firewall, cure) in [
        (Firewall::Ufw, "ufw allow from any to 172.17.0.1 port 53"),
        (Firewall::Firewalld, "--add-port=53/udp --add-port=53/tcp"),
        (Firewall::Rules, "iptables -I INPUT -d 172.17.0.1 -p $p --dport 53 -j ACCEPT"),
        (Firewall::Rules, "ip daddr 172.17.0.1 meta l4proto '{ tcp, udp }' th dport 53 accept"),
    ] {
        assert!(firewall.cure(server()).contains(cure), "{firewall:?}");
    }
}

#[test]
fn networks_of_docker_are_told_from_other_bridges() {
    for (name, is) in [("br-0123456789ab", true), ("br-lan", false), ("br-0123456789ax", false), ("docker0", false)] {
        assert_eq!(is_network_of_docker(name), is, "{name}");
    }
}

#[test]
fn a_failure_is_looked_at_again_sooner_than_a_success() {
    let reached = |silent: &[&[Protocol]], unseen| Reached {
        silent: silent.iter().enumerate().map(|(index, silent)| (format!("br{index}"), silent.to_vec())).collect(),
        unseen,
    };
    assert_eq!(until_next(&reached(&[], false)), NOBODY_PAUSE);
    assert_eq!(until_next(&reached(&[], true)), REACHED_PAUSE);
    assert_eq!(until_next(&reached(&[&[]], false)), REACHED_PAUSE);
    assert_eq!(until_next(&reached(&[&[], &[Protocol::Tcp]], false)), FAILED_PAUSE);
}
