//! Runs the fuzz oracles on drawn input and on the files that the fuzzers found.

use proptest::prelude::*;

#[path = "../fuzz/oracles.rs"]
mod oracles;

/// Runs an oracle on every file of `fuzz/seeds/NAME` and `fuzz/regressions/NAME`.
fn replay(name: &str, oracle: fn(&[u8])) {
    let fuzz = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    for folder in [fuzz.join("seeds").join(name), fuzz.join("regressions").join(name)] {
        for entry in std::fs::read_dir(&folder).into_iter().flatten() {
            let path = entry.expect("the folder is in the repository").path();
            oracle(&std::fs::read(path).expect("the file is in the repository"));
        }
    }
}

#[test]
fn regressions_of_the_name_oracle_stay_fixed() {
    replay("name_text", oracles::name_text);
}

#[test]
fn regressions_of_the_zone_oracle_stay_fixed() {
    replay("zone_file", oracles::zone_file);
}

#[test]
fn regressions_of_the_registration_oracle_stay_fixed() {
    replay("registration", oracles::registration);
}

#[test]
fn regressions_of_the_container_oracle_stay_fixed() {
    replay("docker_labels", oracles::docker_labels);
}

#[test]
fn regressions_of_the_rules_oracle_stay_fixed() {
    replay("access_rules", oracles::access_rules);
}

#[test]
fn regressions_of_the_filter_oracle_stay_fixed() {
    replay("filter", oracles::filter);
}

#[test]
fn regressions_of_the_probe_oracle_stay_fixed() {
    replay("probe", oracles::probe);
}

#[test]
fn regressions_of_the_registry_oracle_stay_fixed() {
    replay("registry_keys", oracles::registry_keys);
}

proptest! {
    /// Few characters, so that what means something meets.
    #[test]
    fn any_rules_hold_the_rules_oracle(text in r#"(?:[a-c]|"x"| |\n|[{}\[\]=,#/*\\\\"]|//|/\*|\*/|-?[0-9]{1,20}|true|policy){0,40}"#) {
        oracles::access_rules(text.as_bytes());
    }

    #[test]
    fn any_filter_holds_the_filter_oracle(text in r#"(?:ID|Tags|Checks|Meta|On| |\.|\["rack"\]|==|!=| in | not | is | empty|matches|contains| as |any |all | and | or |[(){},x*]|"blue"|`v1`|80){0,14}"#) {
        oracles::filter(text.as_bytes());
    }
}

#[test]
fn the_example_zones_hold_the_zone_oracle() {
    for file in ["zones/corp.example.zone", "zones/internal.zone"] {
        let text = std::fs::read(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
        oracles::zone_file(&text);
        oracles::zone_file(&[b"$ORIGIN example.\n", &text[..]].concat());
    }
}

fn entry() -> impl Strategy<Value = String> {
    let owner =
        prop::sample::select(vec!["@", "a", "b.a", "*", "*.b", "c.*.b", "d\\.e", "\\200", "sub", "ns.sub", " "]);
    let data = prop_oneof![
        Just("A 192.0.2.1".to_owned()),
        Just("AAAA 2001:db8::1".to_owned()),
        "NS [a-c]{1,2}\\.?",
        "CNAME [a-c@]",
        "MX [0-9]{1,3} [a-c.]{1,2}",
        "TXT( \"[ -!#-\\[\\]-~]{0,20}\"){1,3}",
        "TXT \\\\[0-2][0-9]{2}\\\\\"",
        "CAA [0-9] [a-z]{1,5} \"[a-z;=]{0,9}\"",
        "SRV 1 2 [0-9]{1,4} [a-c.]",
        "NAPTR 1 2 \"[a-z]{0,2}\" \"[a-z+]{0,5}\" \"[!-~&&[^\"\\\\]]{0,9}\" [a-c.]",
        "HINFO [a-z]{1,4} \"[a-z ]{0,5}\"",
        "(HTTPS|SVCB) [0-9] [a-c.]( alpn=[a-z0-9,]{1,5})?( port=[0-9]{1,4})?( key6[0-9]{2}=[a-z\"]{0,4})?( no-default-alpn)?",
        "HTTPS 1 \\.( ipv4hint=192.0.2.[1-9])?( ipv6hint=::[1-9])?( mandatory=(port|ipv4hint))?( ech=[A-Za-z]{4})?",
        "(TLSA|SMIMEA) [0-3] [01] [0-2] [0-9a-f]{2,4}",
        "SSHFP [0-6] [0-2] ([0-9a-f]{2}){1,4}",
        "(OPENPGPKEY|CERT 1 2 3) ([A-Za-z0-9+/]{4}){1,3}",
        "CSYNC [0-9]{1,3} [0-3]( A| NS| TXT| AAAA){0,3}",
        "TYPE[0-9]{1,3} \\\\# [0-4] ([0-9a-f]{2}){0,4}",
    ];
    (owner, "( [0-9]{1,4})?( IN)?", data).prop_map(|(owner, head, data)| format!("{owner}{head} {data}\n"))
}

fn member() -> impl Strategy<Value = String> {
    let keys = vec![
        "Name",
        "ID",
        "Address",
        "Port",
        "Ports",
        "Tags",
        "Meta",
        "Weights",
        "TaggedAddresses",
        "Check",
        "Checks",
        "Kind",
        "name",
        "check_id",
        "Status",
        "TTL",
        "HTTP",
        "TCP",
        "Interval",
        "Timeout",
        "Nmae",
        "\\u0007",
    ];
    let values = vec![
        r#""web""#,
        r#""192.0.2.1""#,
        r#""web.example""#,
        r#""10s""#,
        r#""passing""#,
        r#""http://192.0.2.1/""#,
        r#""192.0.2.1:80""#,
        r#""\u0000""#,
        r#""\u001b[2J""#,
        "80",
        "-1",
        "1e300",
        "null",
        "true",
        r#"["a", "B", "a"]"#,
        r#"{"a": "b"}"#,
        r#"{"Passing": 1, "Warning": 0}"#,
        r#"[{"Name": "http", "Port": 80}, {"Name": "dns", "Port": 53, "Default": true}]"#,
        r#"{"TTL": "10s"}"#,
        r#"[{"HTTP": "http://192.0.2.1/", "Interval": "5s"}, {"TTL": "1m", "Status": "passing"}]"#,
        r#"{"lan_ipv4": {"Address": "192.0.2.2", "Port": 81}}"#,
    ];
    (prop::sample::select(keys), prop::sample::select(values)).prop_map(|(key, value)| format!("\"{key}\":\n{value}"))
}

fn container_line() -> impl Strategy<Value = String> {
    let key =
        "(SERVICE_)?(80_|81_)?(NAME|TAGS|ID|IGNORE|PORTS|REGION|CHECK_(HTTP|TCP|TTL|CMD|INTERVAL|DEREGISTER_AFTER))";
    let value = prop_oneof![Just("80,53/udp".to_owned()), Just("10s".to_owned()), "[a-z,/é:\\\\]{0,8}"];
    prop_oneof![
        4 => ("[el]", key, value).prop_map(|(kind, key, value)| format!("{kind} {key}={value}\n")),
        2 => "p (80|81|0|99999)/(tcp|udp|sctp|x)( (0.0.0.0|::|127.0.0.1|192.0.2.7||x) (0|80|99999))?\n",
        2 => "n (bridge|app|ingress|) (192.0.2.[1-9]|2001:db8::[1-9]|0.0.0.0|x) (0|8|24|64|999)\n",
        1 => "\\PC{0,9}\n",
    ]
}

fn registry_line() -> impl Strategy<Value = String> {
    let place = r#""(host|ip|addr|Address)": "(192\.0\.2\.[1-3](:80)?|2001:db8::1|a\.skydns\.local|b|)""#;
    let further = r#"(, "(port|Port|priority|ttl|weight|targetstrip)": "?[0-9]{1,5}"?|, "(text|group|tags)": ("g[12]"|\["x"\])|, "mail": true)"#;
    let value = prop_oneof![
        4 => prop::string::string_regex(&format!(r"\{{{place}{further}{{0,3}}\}}")).expect("a pattern"),
        2 => r"(192\.0\.2\.[1-3]|\[2001:db8::1\]|a\.example)(:80)?",
        1 => "\\PC{0,9}",
    ];
    let name = r"(local/skydns|Local/SkyDNS|arpa/in-addr|local|config)(/(a|B|b|\*|any|dns|ns|apex|1|)){0,4}";
    prop_oneof![
        3 => ("[nl]", name, value.clone()).prop_map(|(kind, key, value)| format!("{kind} {key} {value}\n")),
        1 => ("n", name).prop_map(|(kind, key)| format!("{kind} {key}\n")),
        2 => ("(web|Web|db|)(/(1|2|)){0,2}", value).prop_map(|(key, value)| format!("s {key} {value}\n")),
        1 => "s (web|Web|db)/[12]\n",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn keys_of_registries_hold_the_registry_oracle(lines in prop::collection::vec(registry_line(), 0..16)) {
        oracles::registry_keys(lines.concat().as_bytes());
    }

    #[test]
    fn any_bytes_hold_the_name_oracle(data in prop::collection::vec(any::<u8>(), 0..80)) {
        oracles::name_text(&data);
    }

    #[test]
    fn names_hold_the_name_oracle(labels in prop::collection::vec("[a-zA-Z*\\\\.0-9@;\"]{1,12}", 0..8)) {
        oracles::name_text(labels.join(".").as_bytes());
    }

    #[test]
    fn containers_hold_the_container_oracle(lines in prop::collection::vec(container_line(), 0..9)) {
        oracles::docker_labels(lines.concat().as_bytes());
    }

    #[test]
    fn any_bytes_hold_the_zone_oracle(data in prop::collection::vec(any::<u8>(), 0..200)) {
        oracles::zone_file(&data);
    }

    #[test]
    fn records_hold_the_zone_oracle(entries in prop::collection::vec(entry(), 0..6)) {
        let head = "$TTL 300\n@ SOA ns.elsewhere. host.elsewhere. 1 1h 10m 1d 5m\n";
        oracles::zone_file(format!("{head}{}", entries.concat()).as_bytes());
    }

    #[test]
    fn definitions_hold_the_registration_oracle(members in prop::collection::vec(member(), 0..6)) {
        let definition = format!("{{\"Name\": \"web\", {}}}", members.join(", "));
        oracles::registration(definition.as_bytes());
        oracles::registration(format!("{{{}}}", members.join(", ")).as_bytes());
        oracles::registration(format!("{{\"services\": [{definition}], \"checks\": [{{{}}}]}}", members.join(", ")).as_bytes());
    }
}
