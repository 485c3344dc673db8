use super::*;

#[track_caller]
fn check(allowed: &[&str], own: &[&str], expected: &[&str]) {
    let networks = |texts: &[&str]| texts.iter().map(|text| IpNetwork::parse(text).unwrap()).collect::<Vec<_>>();
    let own: Vec<IpAddr> = own.iter().map(|text| text.parse().unwrap()).collect();
    assert_eq!(recursion(&networks(allowed), &own), networks(expected));
}

#[test]
fn the_machine_may_recurse_at_its_own_addresses_where_loopback_may() {
    check(&["127.0.0.0/8"], &["192.0.2.10"], &["127.0.0.0/8", "192.0.2.10/32"]);
    check(&["::1/128"], &["2001:db8::1", "192.0.2.10"], &["::1/128", "2001:db8::1/128"]);
    check(&["127.0.0.0/8", "192.0.2.0/24"], &["192.0.2.10"], &["127.0.0.0/8", "192.0.2.0/24"]);
}

#[test]
fn who_shuts_loopback_out_shuts_the_machine_out() {
    check(&["198.51.100.0/24"], &["192.0.2.10"], &["198.51.100.0/24"]);
    check(&[], &["192.0.2.10", "2001:db8::1"], &[]);
}
