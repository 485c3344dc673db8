use std::time::Duration;

use super::*;

#[track_caller]
fn check(target: &str, host: &str) {
    assert_eq!(host_of(&CheckKind::Icmp, target), host);
}

#[test]
fn a_target_is_on_its_host_whatever_stands_around_it() {
    check("http://192.0.2.1:8080/health?deep=1", "192.0.2.1");
    check("https://ops@Web.example/health", "web.example");
    check("http://web.example?at=a:1", "web.example");
    check("192.0.2.1:5432", "192.0.2.1");
    check("web.example:50051/shop.Cart", "web.example");
    check("[2001:db8::1]:6379", "[2001:db8::1]");
    check("2001:db8::1", "2001:db8::1");
    check("web.example", "web.example");
    check("", "");
}

#[test]
fn on_loopback_each_port_is_a_host() {
    check("http://127.0.0.1:8080/health", "127.0.0.1:8080");
    check("localhost:6379", "localhost:6379");
    check("[::1]:6379", "[::1]:6379");
    check("127.0.0.1", "127.0.0.1");
}

#[test]
fn what_runs_here_is_on_this_machine() {
    assert_eq!(host_of(&CheckKind::Systemd, "nginx.service"), "this machine");
}

#[test]
fn who_was_due_first_is_next_and_nobody_gets_lost() {
    let (start, second) = (Instant::now(), Duration::from_secs(1));
    let mut hosts = Hosts::new(2);
    assert!(hosts.enter("a", (start, 0)) && hosts.enter("a", (start, 1)));
    assert!(!hosts.enter("a", (start + second * 2, 2)) && !hosts.enter("a", (start + second, 3)));
    assert!(!hosts.enter("a", (start + second * 3, 4)));
    assert!(hosts.enter("b", (start, 5)), "another host has room");
    assert_eq!(hosts.leave("a"), Some((start + second, 3)));
    assert!(hosts.enter("a", (start + second, 3)));
    assert_eq!(hosts.forget("a", 2), None, "it only waited");
    assert_eq!(hosts.leave("a"), Some((start + second * 3, 4)));
    assert_eq!([hosts.leave("a"), hosts.leave("b"), hosts.leave("b")], [None; 3]);
    assert!(hosts.hosts.is_empty() && hosts.due.is_empty());
}

#[test]
fn the_place_of_one_that_goes_before_its_turn_is_the_next_ones() {
    let start = Instant::now();
    let mut hosts = Hosts::new(1);
    assert!(hosts.enter("a", (start, 0)));
    assert!(!hosts.enter("a", (start, 1)) && !hosts.enter("a", (start, 2)));
    assert_eq!(hosts.leave("a"), Some((start, 1)));
    assert_eq!(hosts.forget("a", 1), Some((start, 2)));
    assert!(hosts.enter("a", (start, 2)));
}
