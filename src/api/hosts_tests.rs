use super::*;

#[track_caller]
fn check(hosts: &Hosts, allowed: &[&str], refused: &[&str]) {
    assert_eq!(allowed.iter().filter(|host| !hosts.allows(host)).collect::<Vec<_>>(), Vec::<&&str>::new());
    assert_eq!(refused.iter().filter(|host| hosts.allows(host)).collect::<Vec<_>>(), Vec::<&&str>::new());
}

fn only(names: &[&str]) -> Hosts {
    Hosts::Only { names: names.iter().map(|name| (*name).to_owned()).collect(), domains: vec!["internal".to_owned()] }
}

#[test]
fn addresses_and_names_that_nobody_else_can_lead_here_are_allowed() {
    check(
        &only(&["n1", "consul.example"]),
        &[
            "127.0.0.1:8500",
            "127.0.0.1",
            "192.0.2.1:1",
            "[::1]:8500",
            "[2001:db8::1]",
            "localhost",
            "LOCALHOST:8500",
            "a.localhost",
            "n1:8500",
            "Consul.Example.",
            "internal",
            "nameplate.service.internal:8500",
        ],
        &[
            "evil.example",
            "evil.example:8500",
            "127.0.0.1.evil.example",
            "notlocalhost",
            "xinternal",
            "n1.evil",
            "",
            "[evil",
        ],
    );
}

#[test]
fn a_star_allows_every_name() {
    check(&only(&["*"]), &["evil.example", ""], &[]);
    check(&Hosts::Any, &["evil.example", ""], &[]);
}
