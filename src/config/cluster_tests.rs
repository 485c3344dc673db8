use crate::{
    config::{Config, ConfigFile, Host, Inputs},
    wire::name::Name,
};

fn with(text: &str) -> Inputs {
    Inputs {
        variables: vec![("HOME".to_owned(), "/home/a".to_owned())],
        host: Host { hostname: Some("n1".to_owned()), ..Host::default() },
        file: Some(ConfigFile { path: "nameplate.toml".to_owned(), text: text.to_owned() }),
        ..Inputs::default()
    }
}

#[test]
fn without_a_store_the_catalog_is_ours_alone() {
    let cluster = Config::load(&with("")).unwrap().cluster;
    assert_eq!((cluster.store, cluster.lease.as_secs()), (None, 10));
}

#[test]
fn a_store_has_members_and_a_prefix() {
    let cluster = Config::load(&with("store = \"etcd://h1,h2:1/a\"\nstore_lease = \"30s\"")).unwrap().cluster;
    assert_eq!(cluster.store.unwrap().to_string(), "etcd://h1:2379,h2:1/a");
    assert_eq!(cluster.lease.as_secs(), 30);
}

#[test]
fn services_of_other_programs_are_in_an_etcd_of_the_same_or_another_name() {
    let text =
        "store = \"etcd://h1\"\netcd_services = \"etcds://u@h2/a\"\nstore_tls_ca = \"c\"\nstore_password_file = \"p\"";
    let cluster = Config::load(&with(text)).unwrap().cluster;
    assert_eq!(cluster.store.unwrap().to_string(), "etcd://h1:2379/nameplate");
    assert_eq!(cluster.services.unwrap().to_string(), "etcds://u@h2:2379/a");
    let cluster = Config::load(&with("etcd_services = \"etcd://h\"")).unwrap().cluster;
    assert_eq!(cluster.services.unwrap().prefix, "/services");
}

#[test]
fn names_of_other_programs_have_zones_that_are_not_ours() {
    let cluster = Config::load(&with("etcd_skydns = \"etcd://h\"")).unwrap().cluster;
    assert_eq!(cluster.skydns.unwrap().prefix, "/skydns");
    assert_eq!(cluster.skydns_domains, [Name::parse("skydns.local").unwrap()]);
    assert!(Config::load(&with("domain = \"skydns.local\"")).is_ok());
    let problems = Config::load(&with("domain = \"skydns.local\"\netcd_skydns = \"etcd://h\"")).unwrap_err();
    assert_eq!(problems.len(), 1);
    assert!(problems[0].to_string().contains("skydns_domain: skydns.local. is a domain of ours"), "{}", problems[0]);
}

#[test]
fn what_is_missing_of_a_store_is_named() {
    for (text, expected) in [
        ("store = \"http://h\"", "store: expected etcd://"),
        ("store = \"etcd://u:p@h\"", "store: a password does not belong in the address"),
        ("store = \"etcd://u@h\"", "store: set store_password_file too"),
        ("store = \"etcds://h\"", "store: set store_tls_ca too"),
        ("store_password_file = \"p\"\nstore = \"etcd://h\"", "store_password_file: name its user in store"),
        ("store_tls_ca = \"a\"\nstore = \"etcd://h\"", "store_tls_ca: write store as etcds://"),
        ("store_tls_cert = \"c\"", "store_tls_cert: set store_tls_key too"),
        ("store_tls_key = \"k\"", "store_tls_key: set store_tls_cert too"),
        ("store_lease = \"1s\"", "store_lease: expected"),
        ("store = \"etcd+v2://h\"", "store: write it as etcd://...: version 2"),
        ("etcd_services = \"h\"", "etcd_services: expected etcd://"),
        ("etcd_services = \"etcd://u@h\"", "etcd_services: set store_password_file too"),
        ("etcd_services = \"etcds://h\"", "etcd_services: set store_tls_ca too"),
        (
            "store_password_file = \"p\"\netcd_services = \"etcd://h\"",
            "store_password_file: name its user in etcd_services",
        ),
    ] {
        let problems: Vec<_> = Config::load(&with(text)).unwrap_err().iter().map(ToString::to_string).collect();
        let [problem] = &problems[..] else { panic!("{text}: {problems:?}") };
        assert!(problem.starts_with(&format!("nameplate.toml line 1: {expected}")), "{text}: {problem}");
    }
}
