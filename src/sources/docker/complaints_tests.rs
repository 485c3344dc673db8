//! What Registrator's users complained of, and what happens here. Each test names the numbers of the issues.
//!
//! Complaints about events and the registries behind Registrator are for the client and the catalog.

use super::{
    super::{
        AddressMode, Deregister, Fate, Settings, Surroundings, Template, is_stop_signal, kept,
        testing::{
            around, check_line, check_lines, check_with, further_names, host, internal, lines, only, running, settings,
            web,
        },
    },
    map,
};
use crate::catalog::check::CheckStatus;

const WEB: &str = "nginx; n1:web:80; at 192.0.2.101 8080; and 2001:db8::101; in 172.17.0.0/16 172.17.0.2 80";

/// Lost and missed events (8, 94, 104, 325, 712), races at the start (73, 87), restarts of the registry (81).
#[test]
fn the_same_document_gives_the_same_registrations_whenever_it_is_read() {
    let container = web().env("SERVICE_TAGS=a,b").label("SERVICE_CHECK_TTL", "30s").container();
    let again = || map(&container, &settings(), &around());
    assert_eq!(again(), again());
    assert!(again().registrations.iter().all(|one| one.replace_existing_checks), "as a state, not as an addition");
}

/// Clean-up depends on the host name (193, 644, 277, 184, 208, 308, 505).
#[test]
fn ids_carry_our_node_and_never_a_host_name_of_the_container() {
    let web = web().with("Config.Hostname", "registrator".into());
    check_lines(&web, &internal(), &["nginx; n1:web:80; at 172.17.0.2 80"]);
}

/// Docker's HEALTHCHECK is ignored (578, 512).
#[test]
fn a_healthcheck_is_a_check() {
    let of = |status: &str, output: &str| {
        let log = serde_json::json!([{"Output": "old"}, {"Output": output}]);
        let web = web().with("State.Health", serde_json::json!({"Status": status, "Log": log}));
        only(&web, &settings()).checks.first().map(check_line)
    };
    let line = |text: &str| Some(format!("docker-health:n1:web:80 {text}"));
    assert_eq!(of("healthy", "fine\n"), line("passing   0/0 fine"));
    assert_eq!(of("unhealthy", " no disk"), line("critical   0/0 no disk"));
    assert_eq!(of("unhealthy", ""), line("critical   0/0 unhealthy"));
    assert_eq!(of("starting", ""), line("critical   0/0 starting: Docker has not found it healthy yet"));
    assert_eq!(of("none", ""), None);
    assert_eq!(of("", ""), None);
}

/// Services without a published port (38, 512).
#[test]
fn who_publishes_nothing_is_found_by_address() {
    let worker = running("worker", "celery").on("bridge", "172.17.0.5/16");
    check_lines(&worker, &settings(), &["celery; n1:worker; at nothing; in 172.17.0.0/16 172.17.0.5 -"]);
    check_lines(&worker, &internal(), &["celery; n1:worker; at 172.17.0.5 -"]);
    check_lines(&worker, &host(), &[]);
    assert!(only(&worker, &settings()).instance.ports.is_empty());
}

/// Removed only after the process is dead (127, 128, 431, 457, 685); pause.
#[test]
fn who_stops_or_is_frozen_leaves_before_it_ends() {
    let stopping = Surroundings { stopping: true, ..around() };
    let state = |document: &crate::sources::docker::testing::Document, around: &Surroundings<'_>| {
        let mapped = map(&document.container(), &settings(), around);
        assert_eq!(lines(&mapped), [WEB], "it stays registered");
        mapped.registrations[0].checks.iter().map(check_line).collect::<Vec<_>>()
    };
    assert_eq!(state(&web(), &around()), [""; 0]);
    assert_eq!(state(&web(), &stopping), ["docker-state:n1:web:80 critical   0/0 stopping"]);
    assert_eq!(state(&web().state("stopping"), &around()), ["docker-state:n1:web:80 critical   0/0 stopping"]);
    assert_eq!(state(&web().state("paused"), &around()), ["docker-state:n1:web:80 critical   0/0 paused"]);
    let paused = web().with("State.Paused", true.into());
    assert_eq!(state(&paused, &around()), ["docker-state:n1:web:80 critical   0/0 paused"]);
}

/// `docker kill -s HUP` removed a service (248).
#[test]
fn a_signal_that_is_not_for_stopping_stops_nothing() {
    let container = web().container();
    assert!(!is_stop_signal(&container, "1") && is_stop_signal(&container, "15"));
}

/// Surprises of the exit policy (82, 113).
#[test]
fn what_stays_after_a_failure_says_why() {
    let on_success = Settings { deregister: Deregister::OnSuccess, ..settings() };
    let mut last = map(&web().container(), &on_success, &around()).registrations;
    let failed = map(&web().exited(1).container(), &on_success, &around());
    let Fate::Kept(reason) = &failed.fate else { panic!("{:?}", failed.fate) };
    kept(&mut last, reason);
    let line = "docker-state:n1:web:80 critical   0/0 container exited with status 1; kept because docker_deregister is on-success";
    assert_eq!(last[0].checks.iter().map(check_line).collect::<Vec<_>>(), [line]);
    assert!(failed.registrations.is_empty());
    assert_eq!(
        map(&web().exited(1).container(), &settings(), &around()).fate,
        Fate::Gone("exited with status 1".into())
    );
}

/// Wrong address 127.x, wrong interface (60, 160, 168, 228, 272, 409, 477).
#[test]
fn a_loopback_address_is_never_everybodys_in_silence() {
    let cure = "at which no other machine reaches it; set docker_ip to the address at which others reach this host";
    let local = running("web", "nginx").publish("80/tcp", &["127.0.0.1:8080"]);
    check_lines(&local, &settings(), &["nginx; n1:web:80; at nothing; in 127.0.0.0/8 127.0.0.1 8080"]);
    let warning = format!("127.0.0.1 is registered, {cure}");
    check_with(&local, &host(), &around(), &["nginx; n1:web:80; at 127.0.0.1 8080"], &[&warning]);
    let mut lost = Surroundings::default();
    lost.host.v4 = "127.0.1.1".parse().ok();
    let all = running("web", "nginx").publish("80/tcp", &["0.0.0.0:8080"]);
    let warning = format!("127.0.1.1 is registered, {cure}");
    check_with(&all, &settings(), &lost, &["nginx; n1:web:80; at 127.0.1.1 8080"], &[&warning]);
}

/// User-defined networks, several of them, overlay, macvlan (260, 291, 293, 303, 316, 337, 421, 498, 662).
#[test]
fn each_network_has_its_own_address_and_one_can_be_chosen() {
    let web = running("web", "nginx")
        .mode("front")
        .on("back", "172.19.0.2/16")
        .on("front", "172.18.0.2/16")
        .publish("80/tcp", &["0.0.0.0:8080"]);
    let line = "nginx; n1:web:80; at 192.0.2.101 8080; in 172.18.0.0/16 172.18.0.2 80; in 172.19.0.0/16 172.19.0.2 80";
    check_lines(&web, &settings(), &[line]);
    check_lines(&web, &host(), &["nginx; n1:web:80; at 192.0.2.101 8080"]);
    check_lines(&web, &internal(), &["nginx; n1:web:80; at 172.18.0.2 80"]);
    let chosen = |name: &str| Settings { network: Some(name.to_owned()), ..internal() };
    check_lines(&web, &chosen("back"), &["nginx; n1:web:80; at 172.19.0.2 80"]);
    check_lines(&web, &chosen("elsewhere"), &["nginx; n1:web:80; at 172.18.0.2 80"]);
    check_lines(&web.clone().mode("gone"), &internal(), &["nginx; n1:web:80; at 172.19.0.2 80"]);
    check_lines(&web.on("bridge", "172.17.0.2/16"), &internal(), &["nginx; n1:web:80; at 172.17.0.2 80"]);
}

/// IPv6 (229, 256, 321, 341, 562, 598).
#[test]
fn ipv6_is_read_and_so_are_all_bindings() {
    let web = running("web", "nginx").on("app", "172.18.0.2/16").on("app", "2001:db8:1::2/64");
    let published = web.clone().publish("80/tcp", &["0.0.0.0:8080", ":::8080"]);
    let line = "nginx; n1:web:80; at 192.0.2.101 8080; and 2001:db8::101; in 172.18.0.0/16 172.18.0.2 80; \
                in 172.18.0.0/16 2001:db8:1::2 80; in 2001:db8:1::/64 2001:db8:1::2 80; in 2001:db8:1::/64 172.18.0.2 80";
    check_lines(&published, &settings(), &[line]);
    check_lines(&published, &internal(), &["nginx; n1:web:80; at 172.18.0.2 80; and 2001:db8:1::2"]);
    // One port is answered: a family with another number would lead nowhere.
    let other = web.clone().publish("80/tcp", &["0.0.0.0:8080", ":::8081"]);
    check_lines(&other, &host(), &["nginx; n1:web:80; at 192.0.2.101 8080"]);
    let six = web.clone().publish("80/tcp", &[":::8080"]);
    check_lines(&six, &host(), &["nginx; n1:web:80; at 2001:db8::101 8080"]);
    let given = web.clone().publish("80/tcp", &["2001:db8::7:8080", "192.0.2.7:8080"]);
    check_lines(&given, &host(), &["nginx; n1:web:80; at 192.0.2.7 8080; and 2001:db8::7"]);
    let podman = web.publish("80/tcp", &[":8080"]);
    check_lines(&podman, &host(), &["nginx; n1:web:80; at 192.0.2.101 8080; and 2001:db8::101"]);
}

/// Host, none and container network modes (19, 140, 152, 158, 180, 266, 317, 608).
#[test]
fn each_network_mode_has_its_rule() {
    let on_host = running("web", "nginx").mode("host").on("host", "").expose("80/tcp");
    for settings in [settings(), host(), internal()] {
        check_lines(&on_host, &settings, &["nginx; n1:web:80; at 192.0.2.101 80"]);
    }
    let exporter = running("exporter", "node-exporter").mode("host");
    check_lines(&exporter, &settings(), &["node-exporter; n1:exporter; at 192.0.2.101 -"]);
    check_lines(&exporter, &host(), &[]);
    let mut six = around();
    six.host.v4 = None;
    check_with(&on_host, &settings(), &six, &["nginx; n1:web:80; at 2001:db8::101 80"], &[]);

    let alone = running("batch", "python").mode("none").on("none", "").expose("80/tcp");
    check_lines(&alone, &settings(), &[]);

    let pause =
        running("pause", "pause").on("bridge", "172.17.0.9/16").publish("80/tcp", &["0.0.0.0:8080"]).container();
    let joins = running("web", "nginx")
        .mode("container:4bcff63911fc")
        .with("Config.ExposedPorts", serde_json::json!({"80/tcp": {}}));
    let beside = Surroundings { joined: Some(&pause), ..around() };
    let line = "nginx; n1:web:80; at 192.0.2.101 8080; in 172.17.0.0/16 172.17.0.9 80";
    check_with(&joins, &settings(), &beside, &[line], &[]);
    check_with(&joins, &internal(), &beside, &["nginx; n1:web:80; at 172.17.0.9 80"], &[]);
    let warning = "its network is that of container \"4bcff63911fc\", which is not running; it is registered when that \
                   container runs";
    check_with(&joins, &settings(), &around(), &[], &[warning]);
    let hosts = running("agent", "agent").mode("host").container();
    let beside = Surroundings { joined: Some(&hosts), ..around() };
    check_with(&joins, &settings(), &beside, &["nginx; n1:web:80; at 192.0.2.101 80"], &[]);
}

/// Images that expose nothing, on the host's network above all (19, 158, 266).
#[test]
fn ports_that_no_image_tells_are_named() {
    let on_host = running("web", "app").mode("host").env("SERVICE_PORTS=8080, 53/udp,9000-9001");
    let expected = [
        "app-53; n1:web:53:udp; at 192.0.2.101 53; tags udp",
        "app-8080; n1:web:8080; at 192.0.2.101 8080",
        "app-9000; n1:web:9000; at 192.0.2.101 9000",
        "app-9001; n1:web:9001; at 192.0.2.101 9001",
    ];
    check_lines(&on_host, &settings(), &expected);
    // In place of those that are exposed; where one is published counts all the same.
    check_lines(&web().expose("9000/tcp").env("SERVICE_PORTS=80"), &settings(), &[WEB]);
    let wrong = web().env("SERVICE_PORTS=80,http,0,9-8,80/quic,65536");
    let texts = ["http", "0", "9-8", "80/quic", "65536"]
        .map(|item| format!("SERVICE_PORTS: {item:?} is not a port; write for example 80,53/udp,8000-8010"));
    check_with(&wrong, &settings(), &around(), &[WEB], &texts.each_ref().map(String::as_str));
}

/// Rules of names (165, 245, 252, 270, 311, 380, 417, 425, 437, 473, 479, 530).
#[test]
fn names_are_registrators_and_a_template_makes_others() {
    let named = |image: &str| {
        let image = running("web", image).on("bridge", "172.17.0.2/16").expose("80/tcp");
        lines(&map(&image.container(), &internal(), &around()))
    };
    assert_eq!(named("registry:5000/team/Redis:7"), ["Redis; n1:web:80; at 172.17.0.2 80"]);
    assert_eq!(named("redis@sha256:0123456789abcdef"), ["redis; n1:web:80; at 172.17.0.2 80"]);
    assert_eq!(named("sha256:0123456789abcdef"), ["web; n1:web:80; at 172.17.0.2 80"]);
    let template =
        Settings { name: Some(Template::parse("{{.Name | replace \"/\" \"\" -1}}-svc").unwrap()), ..internal() };
    check_lines(&web(), &template, &["web-svc; n1:web:80; at 172.17.0.2 80"]);
    check_lines(&web().env("SERVICE_NAME=own"), &template, &["own; n1:web:80; at 172.17.0.2 80"]);
    let empty = Settings { name: Some(Template::parse("{{.Nothing}} ").unwrap()), ..internal() };
    check_lines(&web(), &empty, &["nginx; n1:web:80; at 172.17.0.2 80"]);
    let fails = Settings { name: Some(Template::parse("{{sIndex 9 .Config.Env}}").unwrap()), ..internal() };
    let warning = "docker_name: sIndex: there is no item 9 of 1; the image's name is used";
    check_with(&web(), &fails, &around(), &["nginx; n1:web:80; at 172.17.0.2 80"], &[warning]);
}

/// Names that DNS cannot carry (33).
#[test]
fn a_name_that_dns_cannot_carry_is_kept_and_told_of() {
    let web = web().env("SERVICE_NAME=my shop");
    let mapped = map(&web.container(), &internal(), &around());
    assert_eq!(lines(&mapped), ["my shop; n1:web:80; at 172.17.0.2 80"]);
    let [warning] = &mapped.warnings[..] else { panic!("{:?}", mapped.warnings) };
    let beginning = "container web: service name \"my shop\" cannot stand in DNS, where it is my-shop-";
    assert!(
        warning.starts_with(beginning) && warning.ends_with("; set SERVICE_NAME to letters, digits and -"),
        "{warning}"
    );
    let control = self::web_named("a\tb");
    let warning = "SERVICE_NAME: a service name must not contain control characters (byte 1); the service is left out";
    check_with(&control, &internal(), &around(), &[], &[warning]);
    check_lines(&web_named("my_shop"), &internal(), &["my_shop; n1:web:80; at 172.17.0.2 80"]);
}

fn web_named(name: &str) -> crate::sources::docker::testing::Document {
    web().env(&format!("SERVICE_NAME={name}"))
}

/// Address and attributes from elsewhere (415, 544, 674).
#[test]
fn a_label_gives_the_address() {
    let settings = Settings { ip_label: Some("io.example.ip".to_owned()), address: AddressMode::Host, ..settings() };
    let web = running("web", "nginx").mode("none").expose("80/tcp").label("io.example.ip", "198.51.100.7/16");
    check_lines(&web, &settings, &["nginx; n1:web:80; at 198.51.100.7 80"]);
}

/// Containers that are renamed, or replaced under the same name (224, 254).
#[test]
fn a_renamed_container_is_registered_under_its_new_name() {
    let renamed = web().with("Name", "/shop".into());
    check_lines(&renamed, &internal(), &["nginx; n1:shop:80; at 172.17.0.2 80"]);
    let mapped = map(&renamed.container(), &internal(), &around());
    assert_eq!(further_names(&mapped), ["shop"]);
    // Of the one before it the state says that it is gone, whatever the order of the news.
    let before = map(&renamed.exited(0).container(), &internal(), &around());
    assert_eq!((before.fate, before.registrations.len()), (Fate::Gone("exited with status 0".into()), 0));
}

/// The address at the top of `NetworkSettings` is gone with Engine 29.
#[test]
fn the_address_is_the_networks_with_and_without_the_old_field() {
    let old = web().with("NetworkSettings.IPAddress", "172.17.0.99".into());
    check_lines(&old, &internal(), &["nginx; n1:web:80; at 172.17.0.2 80"]);
    let registration = only(&old, &settings());
    assert!(registration.checks.iter().all(|check| check.status == CheckStatus::Passing));
}
