use super::*;

/// A machine like most: a host name, a home, no root.
fn inputs() -> Inputs {
    Inputs {
        variables: vec![("HOME".to_owned(), "/home/a".to_owned())],
        host: Host { hostname: Some("n1".to_owned()), ..Host::default() },
        ..Inputs::default()
    }
}

fn with_file(text: &str) -> Inputs {
    let file = ConfigFile { path: "nameplate.toml".to_owned(), text: text.to_owned() };
    Inputs { file: Some(file), ..inputs() }
}

fn load_file(text: &str) -> Config {
    Config::load(&with_file(text)).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

/// Every problem of a file, a line each.
#[track_caller]
fn check_problems(text: &str, expected: &[&str]) {
    let problems: Vec<String> = Config::load(&with_file(text)).unwrap_err().iter().map(ToString::to_string).collect();
    assert_eq!(problems, expected, "{text}");
}

#[test]
fn without_any_setting_the_documented_defaults_hold() {
    let config = Config::load(&inputs()).unwrap();
    let addresses: Vec<String> = config.dns.iter().map(ToString::to_string).collect();
    assert_eq!(addresses, ["127.0.0.1:8600", "[::1]:8600"]);
    assert!(config.dns_is_default);
    assert_eq!(config.http.to_string(), "127.0.0.1:8500");
    assert_eq!(config.domain.to_string(), "internal.");
    assert_eq!((&*config.datacenter, config.node.as_str()), ("dc1", "n1"));
    assert_eq!(config.data, DataDirectory::At("/home/a/.local/state/nameplate".into()));
    assert_eq!((config.zones.clone(), config.services.clone()), (None, None));
    let rule = DefaultRule { ttl_secs: 5, max_answers: 0, none_eligible: NoneEligible::Nodata, only_passing: false };
    assert_eq!(config.default_rule, rule);
    assert_eq!((config.negative_ttl_secs, config.srv_weight_scale), (5, 1));
    assert_eq!(config.host_names, HostNames::Resolve);
    assert_eq!([config.near, config.service_txt, config.hide_version, config.forward_bare], [false; 4]);
    assert_eq!(config.forward, Forward::System);
    assert_eq!((config.allow_query.len(), config.allow_recursion.len()), (2, 9));
    assert_eq!((config.stale_after.as_secs(), config.stale_max.as_secs()), (30, 86_400));
    assert_eq!((config.log.as_str(), config.log_format, config.query_log), ("info", LogFormat::Text, QueryLog::Off));
    assert_eq!(config.forward_zones.len(), 5);
    assert_eq!(config.warnings, []);
}

#[test]
fn reference_toml_names_every_setting_and_its_examples_are_valid() {
    let uncommented: String = REFERENCE
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(setting) if setting.starts_with(|first: char| first.is_ascii_lowercase() || first == '[') => setting,
            _ => line,
        })
        .flat_map(|line| [line, "\n"])
        .collect();
    let config = load_file(&uncommented);
    assert_eq!(config.workers, Some(2));
    let names = |name: &str| {
        let starts = [format!("{name} = "), format!("[{name}.")];
        uncommented.lines().any(|line| starts.iter().any(|start| line.starts_with(start)))
    };
    for key in &keys::KEYS {
        assert!(names(key.name), "{} is not in reference.toml", key.name);
    }
}

#[test]
fn reference_toml_marks_what_needs_a_restart() {
    for key in &keys::KEYS {
        let lines: Vec<&str> = REFERENCE.lines().collect();
        let at = lines
            .iter()
            .position(|line| line.trim_start_matches('#').starts_with(&format!("{} = ", key.name)))
            .or_else(|| {
                lines.iter().position(|line| line.trim_start_matches('#').starts_with(&format!("[{}.", key.name)))
            })
            .unwrap();
        let text: Vec<&str> = lines[..at].iter().rev().take_while(|line| line.starts_with("# ")).copied().collect();
        assert_eq!(text.last().is_some_and(|line| line.starts_with("# (R)")), key.restart, "{}", key.name);
    }
}

#[test]
fn a_flag_beats_a_variable_that_beats_the_file_that_beats_the_default() {
    let flag = ("ttl", vec!["4s".to_owned()]);
    let variable = ("NAMEPLATE_TTL".to_owned(), "3s".to_owned());
    for (flags, variables, text, secs, place) in [
        (vec![], vec![], "", 5, "default"),
        (vec![], vec![], "ttl = 2", 2, "nameplate.toml line 1"),
        (vec![], vec![variable.clone()], "ttl = 2", 3, "NAMEPLATE_TTL"),
        (vec![flag.clone()], vec![variable.clone()], "ttl = 2", 4, "--ttl"),
        (vec![flag], vec![], "", 4, "--ttl"),
    ] {
        let mut inputs = with_file(text);
        inputs.flags = flags;
        inputs.variables.extend(variables);
        let config = Config::load(&inputs).unwrap();
        assert_eq!(config.default_rule.ttl_secs, secs, "{place}");
    }
}

#[test]
fn a_repeated_flag_is_a_list_and_a_variable_with_commas() {
    let expected: Vec<Name> = ["a.example", "b.example"].map(|name| Name::parse(name).unwrap()).to_vec();
    let mut by_flag = inputs();
    by_flag.flags = vec![("alt_domain", vec!["a.example".to_owned(), "b.example".to_owned()])];
    let mut by_variable = inputs();
    by_variable.variables.push(("NAMEPLATE_ALT_DOMAIN".to_owned(), "a.example, b.example".to_owned()));
    let by_file = with_file(r#"alt_domain = ["a.example", "b.example"]"#);
    for inputs in [by_flag, by_variable, by_file] {
        assert_eq!(Config::load(&inputs).unwrap().alt_domains, expected);
    }
}

#[test]
fn all_problems_of_a_file_are_told_at_once_with_their_lines() {
    check_problems(
        "domian = \"example\"\nttl = \"5 s\"\nhttp = 8500\nmax_answers = 70000\nnear = \"yes\"\nfoo = 1\n\
         [service.\"web*\"]\nttll = 1\nnone_eligible = \"none\"\n[service.\"w*b\"]\nttl = 1\n\
         [forward_zone.internal]\nupstreams = [\"192.0.2.1\", \"upstream\"]\n",
        &[
            "nameplate.toml line 1: unknown key \"domian\"; did you mean \"domain\"?",
            "nameplate.toml line 2: ttl: expected a TTL in whole seconds from 0 to 86400, such as \"5s\" or 5, got \"5 s\"",
            "nameplate.toml line 3: http: expected ADDR:PORT, such as 127.0.0.1:8600 or [::1]:8600, got 8500",
            "nameplate.toml line 4: max_answers: expected a number from 0 to 65535, got 70000",
            "nameplate.toml line 5: near: expected true or false, got \"yes\"",
            "nameplate.toml line 6: unknown key \"foo\"; `nameplate config` prints all keys",
            "nameplate.toml line 8: service.\"web*\": unknown key \"ttll\"; did you mean \"ttl\"?",
            "nameplate.toml line 9: service.\"web*\".none_eligible: expected \"nodata\" or \"nxdomain\" or \"all\", got \
             \"none\"",
            "nameplate.toml line 11: service.\"w*b\".ttl: expected a service's name, or the beginning of names with * at \
             its end",
            "nameplate.toml line 13: forward_zone.\"internal\".upstreams: expected IP or IP:PORT of a DNS server, such as \
             192.0.2.53 or 192.0.2.53:8600, got \"upstream\"",
            "nameplate.toml line 13: forward_zone.\"internal\".upstreams: is a domain of ours; use fallthrough to ask \
             elsewhere for its unknown names",
        ],
    );
}

#[test]
fn a_file_that_is_no_toml_is_told_with_its_line() {
    let problems = Config::load(&with_file("ttl = 5\ndomain = \"exam\nnear = true\n")).unwrap_err();
    assert!(problems[0].to_string().starts_with("nameplate.toml line 2: "), "{problems:?}");
    // What the parser makes of the broken lines is not told as well; the other lines are.
    let problems = Config::load(&with_file("ttl = \nhttp = \"x\nnear = 7\n")).unwrap_err();
    let places: Vec<_> = problems.iter().map(|problem| (problem.place.to_string(), problem.key.as_deref())).collect();
    let place = |line: u8| format!("nameplate.toml line {line}");
    assert_eq!(places, [(place(1), None), (place(2), None), (place(3), Some("near"))], "{problems:#?}");
}

#[test]
fn a_key_that_stands_twice_or_is_unknown_in_a_table_is_named() {
    check_problems(
        "ttl = 5\nttl = 6\n[service.web]\ncolour = \"blue\"\n",
        &[
            "nameplate.toml line 2: ttl stands twice",
            "nameplate.toml line 4: service.\"web\": unknown key \"colour\"; there are ttl, max_answers, none_eligible, \
             only_passing",
        ],
    );
}

#[test]
fn a_problem_of_a_flag_or_variable_names_it() {
    let mut inputs = inputs();
    inputs.flags = vec![("dns", vec!["localhost".to_owned()])];
    inputs.variables.push(("NAMEPLATE_WORKERS".to_owned(), "0".to_owned()));
    let problems: Vec<String> = Config::load(&inputs).unwrap_err().iter().map(ToString::to_string).collect();
    assert_eq!(
        problems,
        [
            "NAMEPLATE_WORKERS: expected a number from 1 to 1024, got \"0\"",
            "--dns: expected ADDR:PORT, such as 127.0.0.1:8600 or [::1]:8600, got \"localhost\"",
        ]
    );
}

#[test]
fn a_wrong_value_is_told_even_where_a_better_place_wins() {
    let mut inputs = with_file("ttl = \"long\"");
    inputs.flags = vec![("ttl", vec!["4s".to_owned()])];
    assert_eq!(Config::load(&inputs).unwrap_err().len(), 1);
}

#[test]
fn an_unknown_variable_is_a_warning_and_those_of_others_are_none() {
    let mut inputs = inputs();
    for name in ["NAMEPLATE_DOMIAN", "NAMEPLATE_SERVICE_HOST", "NAMEPLATE_PORT_53_UDP", "NAMEPLATE_TOKEN", "OTHER"] {
        inputs.variables.push((name.to_owned(), "x".to_owned()));
    }
    let warnings: Vec<String> = Config::load(&inputs).unwrap().warnings.iter().map(ToString::to_string).collect();
    let expected = "NAMEPLATE_DOMIAN: no setting has this name, so it has no effect; did you mean NAMEPLATE_DOMAIN?";
    assert_eq!(warnings, [expected]);
}

#[test]
fn an_empty_variable_is_as_good_as_none() {
    let mut inputs = inputs();
    inputs.variables.push(("NAMEPLATE_DOMAIN".to_owned(), String::new()));
    assert_eq!(Config::load(&inputs).unwrap().domain.to_string(), "internal.");
}

#[test]
fn data_is_kept_where_the_machine_keeps_state() {
    let directory = |variables: &[(&str, &str)], is_root: bool| {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let host = Host { hostname: Some("n1".to_owned()), is_root, has_zones_directory: false };
        Config::load(&Inputs { variables, host, ..Inputs::default() }).map(|config| config.data)
    };
    let at = |path: &str| DataDirectory::At(path.into());
    let home = ("HOME", "/home/a");
    assert_eq!(directory(&[("STATE_DIRECTORY", "/s/a:/s/b"), home], true).unwrap(), at("/s/a"));
    assert_eq!(directory(&[home], true).unwrap(), at("/var/lib/nameplate"));
    assert_eq!(directory(&[("XDG_STATE_HOME", "/x"), home], false).unwrap(), at("/x/nameplate"));
    assert_eq!(directory(&[home], false).unwrap(), at("/home/a/.local/state/nameplate"));
    let problems = directory(&[], false).unwrap_err();
    assert!(problems[0].to_string().starts_with("data_dir: there is no $STATE_DIRECTORY"), "{problems:?}");
}

#[test]
fn of_data_dir_and_ephemeral_the_better_place_wins() {
    let mut inputs = with_file("data_dir = \"/d\"");
    inputs.flags = vec![("ephemeral", vec!["true".to_owned()])];
    assert_eq!(Config::load(&inputs).unwrap().data, DataDirectory::Ephemeral);
    let mut inputs = with_file("ephemeral = true");
    inputs.flags = vec![("data_dir", vec!["/d".to_owned()])];
    assert_eq!(Config::load(&inputs).unwrap().data, DataDirectory::At("/d".into()));
    check_problems(
        "data_dir = \"/d\"\nephemeral = true",
        &["nameplate.toml line 2: ephemeral: data_dir and ephemeral exclude each other; leave one of them out"],
    );
}

#[test]
fn zones_are_read_from_the_directory_beside_us_unless_told_otherwise() {
    let mut inputs = with_file("");
    inputs.host.has_zones_directory = true;
    assert_eq!(Config::load(&inputs).unwrap().zones, Some("zones".into()));
    inputs.flags = vec![("zones", vec!["off".to_owned()])];
    assert_eq!(Config::load(&inputs).unwrap().zones, None);
}

#[test]
fn a_datacenter_is_no_word_with_another_meaning() {
    for word in ["service", "Node", "addr", "query", "dc", "port", "_tcp", "a.b", "-a", ""] {
        assert!(Config::load(&with_file(&format!("datacenter = {word:?}"))).is_err(), "{word}");
    }
    assert_eq!(&*load_file("datacenter = \"Lab-2\"").datacenter, "lab-2");
}

#[test]
fn names_of_nodes_fit_below_domain_and_datacenter() {
    let domain = ["d".repeat(60), "e".repeat(28)].join(".");
    let text = |datacenter| format!("domain = {domain:?}\ndatacenter = {:?}", "c".repeat(datacenter));
    assert_eq!(load_file(&text(58)).datacenter.len(), 58);
    let problems = Config::load(&with_file(&text(59))).unwrap_err();
    assert!(problems[0].to_string().contains("too long together for names of nodes"), "{problems:?}");
}

#[test]
fn domains_that_contradict_each_other_are_refused() {
    check_problems(
        "domain = \"example\"\nalt_domain = [\"EXAMPLE\", \"a.example\", \"A.example\"]",
        &[
            "nameplate.toml line 2: alt_domain: example. is the domain itself; leave it out",
            "nameplate.toml line 2: alt_domain: a.example. stands twice",
        ],
    );
    for domain in [".", "localhost", "x.onion", "in-addr.arpa", "a..b", "a b"] {
        assert!(Config::load(&with_file(&format!("domain = {domain:?}"))).is_err(), "{domain}");
    }
}

#[test]
fn a_domain_below_local_and_overlapping_domains_are_warned_of() {
    let config = load_file("domain = \"corp.local\"\nalt_domain = [\"x.corp.local\"]");
    let warnings: Vec<String> = config.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(warnings.len(), 3, "{warnings:?}");
    assert!(warnings[0].starts_with("nameplate.toml line 1: domain: corp.local. belongs to multicast DNS"));
    assert!(warnings[1].starts_with("nameplate.toml line 2: alt_domain: x.corp.local. and corp.local. overlap"));
}

#[test]
fn whom_nobody_asks_while_forwarding_is_off_is_warned_of() {
    let text = "fallthrough = { internal = \"192.0.2.2\" }\n[forward_zone.example]\nupstreams = [\"192.0.2.3\"]\n\
                [forward_zone.\"docker.internal\"]\nupstreams = \"off\"\n";
    assert_eq!(load_file(text).warnings, []);
    let warnings = load_file(&format!("forward = \"off\"\n{text}")).warnings;
    let expected = [
        "nameplate.toml line 2: fallthrough.\"internal\": has no effect while forward is \"off\"",
        "nameplate.toml line 4: forward_zone.\"example\".upstreams: has no effect while forward is \"off\"",
    ];
    assert_eq!(warnings.iter().map(ToString::to_string).collect::<Vec<_>>(), expected);
}

#[test]
fn a_prefix_has_no_host_bits() {
    check_problems(
        "allow_query = [\"192.0.2.7/24\", \"192.0.2.0/33\", \"192.0.2.7\"]",
        &[
            "nameplate.toml line 1: allow_query: expected a prefix without host bits: 192.0.2.0/24 or 192.0.2.7 alone, \
             got \"192.0.2.7/24\"",
            "nameplate.toml line 1: allow_query: expected an IP prefix, such as 192.0.2.0/24 or 2001:db8::/32, got \
             \"192.0.2.0/33\"",
        ],
    );
}

#[test]
fn upstreams_are_addresses_with_or_without_a_port() {
    let config = load_file(
        "forward = [\"192.0.2.1\", \"192.0.2.2:5353\", \"2001:db8::1\", \"[2001:db8::2]:5353\", \"[2001:db8::3]\"]",
    );
    let expected = ["192.0.2.1:53", "192.0.2.2:5353", "[2001:db8::1]:53", "[2001:db8::2]:5353", "[2001:db8::3]:53"];
    assert_eq!(config.forward, Forward::Upstreams(expected.map(|address| address.parse().unwrap()).to_vec()));
    assert_eq!(load_file("forward = \"off\"").forward, Forward::Off);
    for wrong in ["\"0.0.0.0\"", "[\"192.0.2.1\", \"system\"]", "[]", "\"192.0.2.1:0\""] {
        assert!(Config::load(&with_file(&format!("forward = {wrong}"))).is_err(), "{wrong}");
    }
}

#[test]
fn a_forward_rule_of_the_file_replaces_the_default_of_its_suffix() {
    let config = load_file(
        "[forward_zone.\"Docker.internal\"]\nupstreams = \"off\"\n[forward_zone.\"corp.example\"]\nupstreams = \
         [\"192.0.2.9\"]",
    );
    let of = |suffix: &str| {
        let suffix = Name::parse(suffix).unwrap();
        config.forward_zones.iter().find(|zone| zone.suffix == suffix).map(|zone| zone.upstreams.clone())
    };
    assert_eq!(of("docker.internal"), Some(ZoneUpstreams::Off));
    assert_eq!(of("ec2.internal"), Some(ZoneUpstreams::Default));
    assert_eq!(of("corp.example"), Some(ZoneUpstreams::Servers(vec!["192.0.2.9:53".parse().unwrap()])));
}

#[test]
fn a_default_rule_gives_way_to_a_domain_of_ours() {
    let config = load_file("domain = \"google.internal\"");
    assert!(config.forward_zones.iter().all(|zone| zone.suffix != config.domain));
}

#[test]
fn fallthrough_is_for_domains_of_ours() {
    let config = load_file("alt_domain = \"consul\"\nfallthrough = { \"consul.\" = \"192.0.2.53:8600\" }");
    assert_eq!(config.fallthrough, [(Name::parse("consul").unwrap(), "192.0.2.53:8600".parse().unwrap())]);
    check_problems(
        "fallthrough = { \"corp.example\" = \"192.0.2.53\" }",
        &["nameplate.toml line 1: fallthrough.\"corp.example\": is no domain of ours; use a forward_zone table"],
    );
}

#[test]
fn the_most_exact_service_rule_comes_first() {
    let config = load_file(
        "[service.\"*\"]\nttl = 1\n[service.\"web*\"]\nttl = 2\nmax_answers = 3\n[service.Web]\nonly_passing = true\n\
         [service.\"web-a*\"]\nnone_eligible = \"all\"",
    );
    let patterns: Vec<&str> = config.service_rules.iter().map(|rule| &*rule.pattern).collect();
    assert_eq!(patterns, ["web", "web-a*", "web*", "*"]);
    let rule = ServiceRule {
        pattern: "web*".into(),
        ttl_secs: Some(2),
        max_answers: Some(3),
        none_eligible: None,
        only_passing: None,
    };
    assert_eq!(config.service_rules[2], rule);
}

#[test]
fn payload_sizes_are_pairs_also_in_a_variable() {
    let mut inputs = inputs();
    inputs.variables.push(("NAMEPLATE_UDP_PAYLOAD_MAX".to_owned(), "192.0.2.0/24=1400,2001:db8::/32=1200".to_owned()));
    let config = Config::load(&inputs).unwrap();
    assert_eq!(config.udp_payload_max.iter().map(|(_, bytes)| *bytes).collect::<Vec<_>>(), [1400, 1200]);
    check_problems(
        "udp_payload_max = { \"192.0.2.0/24\" = 100 }",
        &["nameplate.toml line 1: udp_payload_max.\"192.0.2.0/24\": expected a number from 512 to 16384, got 100"],
    );
}

#[test]
fn a_query_log_has_a_file() {
    let config = load_file("query_log = \"all\"\ndata_dir = \"/d\"");
    assert_eq!(config.query_log_file, Some("/d/query.log".into()));
    assert!(Config::load(&with_file("query_log = \"all\"\nephemeral = true")).is_err());
}

#[test]
fn a_mistyped_level_does_not_silence_the_log() {
    for text in ["verbose", "info,inof", "nameplate=loud", ""] {
        assert!(Config::load(&with_file(&format!("log = {text:?}"))).is_err(), "{text}");
    }
    assert_eq!(load_file("log = \"warn,nameplate::forward=debug\"").log, "warn,nameplate::forward=debug");
}

#[test]
fn printed_settings_load_as_the_same_settings() {
    for text in [
        "",
        "dns = \"192.0.2.1:53\"\nhttp_tls_cert = \"c\"\nhttp_tls_key = \"k\"\nhttp_hosts = [\"a.example\", \"*\"]\naccess = \"on\"\naccess_anonymous = \"write\"\naccess_tokens = \"t\"\nworkers = 3\nalt_domain = [\"consul\", \"example\"]\nephemeral = true\nttl = \"1m\"\n\
         forward = [\"192.0.2.1\"]\nfallthrough = { consul = \"192.0.2.2\" }\nudp_payload_max = { \"::/0\" = 1200 }\n\
         log = \"info,nameplate=debug\"\nstore = \"etcds://u%2Fv@h1,[::1]:1/a/b\"\netcd_services = \"etcd://h1/s\"\netcd_skydns = \"etcd://h1/t\"\nskydns_domain = [\"a.example\", \"b.example\"]\nstore_password_file = \"p\"\nstore_tls_ca = \"a\"\nstore_tls_cert = \"c\"\nstore_tls_key = \"k\"\ndocker = \"tcp://[::1]:2375\"\ndocker_ip = \"192.0.2.9\"\ndocker_explicit = true\n\
         docker_tags = '{{index .Config.Labels \"a\"}}'\ndocker_deregister = \"on-success\"\nquery_log_file = \"/a \\\"b\\\"\"\n[service.\"web*\"]\nttl = 0\nonly_passing = \
         true\n[forward_zone.\"docker.internal\"]\nupstreams = \"off\"",
    ] {
        let config = load_file(text);
        let printed = config.to_toml();
        let again = load_file(&printed);
        assert_eq!(again.to_toml(), printed);
        let plain = |config: Config| format!("{:?}", Config { warnings: Vec::new(), inputs: Arc::default(), ..config });
        assert_eq!(plain(again), plain(config), "{printed}");
    }
}

#[test]
fn settings_that_need_a_restart_are_named() {
    let old = load_file("");
    let new = load_file("dns = \"127.0.0.1:5353\"\nnode = \"n2\"\nttl = 1\n[service.web]\nttl = 2");
    assert_eq!(old.needs_restart(&new), ["dns", "node"]);
    assert!(old.needs_restart(&load_file("ttl = 1\nforward = \"off\"")).is_empty());
}

#[test]
fn every_setting_but_tables_is_printed() {
    let config = load_file("");
    let printed: Vec<&str> = config.entries().iter().map(|(name, _)| *name).collect();
    let settable = keys::KEYS.iter().filter(|key| !matches!(key.shape, keys::Shape::Tables(_)));
    let all: Vec<&str> = settable.map(|key| key.name).collect();
    assert_eq!(printed, all, "all keys, in the order of reference.toml");
    assert!(config.to_toml().contains("\n# services: not set\n"), "{}", config.to_toml());
}

#[test]
fn a_reload_reads_the_file_anew_and_keeps_flags_and_variables() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("nameplate.toml");
    std::fs::write(&path, "ttl = 1\nmax_answers = 1\n").unwrap();
    let mut inputs = Inputs { file: Some(ConfigFile::read(&path).unwrap()), ..inputs() };
    inputs.flags = vec![("max_answers", vec!["7".to_owned()]), ("node", vec!["n1".to_owned()])];
    inputs.variables.push(("NAMEPLATE_TOKEN".to_owned(), "secret".to_owned()));
    let config = Config::load(&inputs).unwrap();
    assert!(!format!("{config:?}").contains("secret"));
    std::fs::write(&path, "ttl = 2\n").unwrap();
    let (new, waiting) = config.reload().unwrap();
    assert_eq!((new.default_rule.ttl_secs, new.default_rule.max_answers), (2, 7));
    assert!(waiting.is_empty());
    std::fs::write(&path, "ttl = -2\n").unwrap();
    assert!(matches!(new.reload(), Err(ConfigError::Wrong(problems)) if problems.len() == 1));
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(new.reload(), Err(ConfigError::Read { .. })));
}

#[test]
fn what_needs_a_restart_stays_as_it_was_at_the_start_and_is_named_until_then() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("nameplate.toml");
    std::fs::write(&path, "ttl = 1\n").unwrap();
    let config = Config::load(&Inputs { file: Some(ConfigFile::read(&path).unwrap()), ..inputs() }).unwrap();
    let changed = "ttl = 2\ndns = \"127.0.0.1:5353\"\nhttp = \"127.0.0.1:81\"\nhttp_tls_cert = \"c\"\nhttp_tls_key = \"k\"\nhttp_tls_client_ca = \"a\"\nhttp_hosts = \"h\"\nhttp_connections_per_client = 2\nhttp_connections = 3\nhttp_waiting = 4\naccess = \"on\"\naccess_default = \"allow\"\naccess_anonymous = \"read\"\naccess_key_list = true\naccess_tokens = \"t\"\ntxn_max_ops = 9\nworkers = 3\nadvertise = \"192.0.2.9\"\n\
                   datacenter = \"dc2\"\nnode = \"n2\"\ndata_dir = \"/d\"\nstore = \"etcds://u@h\"\nstore_password_file = \"p\"\nstore_tls_ca = \"a\"\nstore_tls_cert = \"c\"\nstore_tls_key = \"k\"\nstore_lease = \"9s\"\nstore_adopt = \"local\"\netcd_services = \"etcd://h1\"\netcd_skydns = \"etcd://h1\"\nskydns_domain = \"a.example\"\nzones = \"z\"\nservices = \"s\"\nenable_script_checks = true\nenable_local_script_checks = true\nlog_format = \"json\"\n\
                   docker = \"off\"\ndocker_address = \"host\"\ndocker_ip = \"192.0.2.9\"\ndocker_ip_label = \"ip\"\ndocker_network = \"n\"\n\
                   docker_explicit = true\ndocker_tags = \"t\"\ndocker_name = \"n\"\ndocker_deregister = \"on-success\"\nprobes_per_host_max = 9\n\
                   flap_changes = 0\nflap_window = \"3m\"\nflap_hold = \"31s\"\nflap_hold_max = \"11m\"\n\
                   mass_failure_guard = false\nmass_failure_targets = [\"192.0.2.1:53\"]\nmass_failure_hold = \"5s\"";
    std::fs::write(&path, changed).unwrap();
    // `ephemeral` is another data directory.
    let restart = keys::KEYS.iter().filter(|key| key.restart && key.name != "ephemeral");
    let expected: Vec<&str> = restart.map(|key| key.name).collect();
    let mut running = config.clone();
    for _ in 0..2 {
        let (new, waiting) = running.reload().unwrap();
        assert_eq!(waiting, expected);
        assert_eq!(new.default_rule.ttl_secs, 2);
        assert_eq!(config.needs_restart(&new), [""; 0]);
        running = new;
    }
    std::fs::write(&path, "ttl = 1\n").unwrap();
    assert_eq!(running.reload().unwrap().1, [""; 0], "it is as it was");
}

#[test]
fn the_settings_that_the_readme_shows_are_valid() {
    let readme = include_str!("../../README.md");
    let blocks: Vec<&str> =
        readme.split("```toml\n").skip(1).filter_map(|rest| Some(rest.split_once("```")?.0)).collect();
    assert!(blocks.len() >= 2, "{} blocks", blocks.len());
    for block in blocks {
        assert_eq!(load_file(block).warnings, [], "{block}");
    }
}
