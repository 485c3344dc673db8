//! Which settings there are, and what shape each has.

/// A setting.
#[derive(Debug)]
pub(super) struct Key {
    /// Its TOML key; with `_` to `-` its flag, in upper case and with `NAMEPLATE_` its variable.
    pub name: &'static str,
    /// What its value looks like.
    pub shape: Shape,
    /// Whether a change takes effect at the next start only.
    pub restart: bool,
}

/// What a setting's value looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// One value.
    One,
    /// Any number of values; a lone one need not be a list.
    List,
    /// A table from names to values; a variable writes `name=value,name=value`.
    Pairs,
    /// A table of tables with these keys; in the file only.
    Tables(&'static [&'static str]),
}

/// The setting of this name.
pub(super) fn key(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

const fn live(name: &'static str, shape: Shape) -> Key {
    Key { name, shape, restart: false }
}

const fn at_start(name: &'static str, shape: Shape) -> Key {
    Key { name, shape, restart: true }
}

/// All settings, in the order of reference.toml.
pub(super) const KEYS: [Key; 79] = [
    at_start("dns", Shape::List),
    live("docker_dns", Shape::One),
    at_start("http", Shape::One),
    at_start("http_tls_cert", Shape::One),
    at_start("http_tls_key", Shape::One),
    at_start("http_tls_client_ca", Shape::One),
    at_start("http_hosts", Shape::List),
    at_start("http_connections_per_client", Shape::One),
    at_start("http_connections", Shape::One),
    at_start("http_waiting", Shape::One),
    at_start("access", Shape::One),
    at_start("access_default", Shape::One),
    at_start("access_anonymous", Shape::One),
    at_start("access_key_list", Shape::One),
    at_start("access_tokens", Shape::One),
    at_start("txn_max_ops", Shape::One),
    at_start("workers", Shape::One),
    at_start("advertise", Shape::List),
    live("domain", Shape::One),
    live("alt_domain", Shape::List),
    at_start("datacenter", Shape::One),
    at_start("node", Shape::One),
    at_start("data_dir", Shape::One),
    at_start("ephemeral", Shape::One),
    at_start("store", Shape::One),
    at_start("store_password_file", Shape::One),
    at_start("store_tls_ca", Shape::One),
    at_start("store_tls_cert", Shape::One),
    at_start("store_tls_key", Shape::One),
    at_start("store_lease", Shape::One),
    at_start("store_adopt", Shape::One),
    at_start("etcd_services", Shape::One),
    at_start("etcd_skydns", Shape::One),
    at_start("skydns_domain", Shape::List),
    at_start("zones", Shape::One),
    at_start("services", Shape::One),
    at_start("enable_script_checks", Shape::One),
    at_start("enable_local_script_checks", Shape::One),
    at_start("docker", Shape::One),
    at_start("docker_address", Shape::One),
    at_start("docker_ip", Shape::One),
    at_start("docker_ip_label", Shape::One),
    at_start("docker_network", Shape::One),
    at_start("docker_explicit", Shape::One),
    at_start("docker_tags", Shape::One),
    at_start("docker_name", Shape::One),
    at_start("docker_deregister", Shape::One),
    at_start("probes_per_host_max", Shape::One),
    at_start("flap_changes", Shape::One),
    at_start("flap_window", Shape::One),
    at_start("flap_hold", Shape::One),
    at_start("flap_hold_max", Shape::One),
    live("ttl", Shape::One),
    live("negative_ttl", Shape::One),
    live("only_passing", Shape::One),
    live("none_eligible", Shape::One),
    live("max_answers", Shape::One),
    live("srv_weight_scale", Shape::One),
    live("near", Shape::One),
    live("host_names", Shape::One),
    live("service_txt", Shape::One),
    live("hide_version", Shape::One),
    live("udp_payload_max", Shape::Pairs),
    live("allow_query", Shape::List),
    live("allow_recursion", Shape::List),
    live("forward", Shape::List),
    live("forward_bare", Shape::One),
    live("fallthrough", Shape::Pairs),
    live("stale_after", Shape::One),
    live("stale_max", Shape::One),
    at_start("mass_failure_guard", Shape::One),
    at_start("mass_failure_targets", Shape::List),
    at_start("mass_failure_hold", Shape::One),
    live("log", Shape::One),
    at_start("log_format", Shape::One),
    live("query_log", Shape::One),
    live("query_log_file", Shape::One),
    live("service", Shape::Tables(&["ttl", "max_answers", "none_eligible", "only_passing"])),
    live("forward_zone", Shape::Tables(&["upstreams"])),
];
