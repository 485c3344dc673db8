use crate::config::{Config, ConfigFile, Host, Inputs};

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
    ] {
        let problems: Vec<_> = Config::load(&with(text)).unwrap_err().iter().map(ToString::to_string).collect();
        let [problem] = &problems[..] else { panic!("{text}: {problems:?}") };
        assert!(problem.starts_with(&format!("nameplate.toml line 1: {expected}")), "{text}: {problem}");
    }
}
