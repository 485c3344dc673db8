use super::*;
use crate::config::{Config, Host, Inputs};

fn with_docker_dns(value: &str) -> Result<Config, String> {
    let inputs = Inputs {
        variables: vec![("HOME".into(), "/home/a".into()), ("NAMEPLATE_DOCKER_DNS".into(), value.into())],
        host: Host { hostname: Some("n1".into()), ..Host::default() },
        ..Inputs::default()
    };
    Config::load(&inputs).map_err(|problems| problems[0].to_string())
}

#[test]
fn dockers_bridge_is_named_or_taken_for_granted_and_printed_as_it_is_read() {
    for (value, bridge, printed) in [
        ("false", None, "false"),
        ("true", Some(("docker0", 53)), "true"),
        ("docker0", Some(("docker0", 53)), "true"),
        ("br-lan", Some(("br-lan", 53)), "\"br-lan\""),
        ("docker0:5353", Some(("docker0", 5353)), "\"docker0:5353\""),
    ] {
        let config = with_docker_dns(value).unwrap();
        let found = config.docker_dns.as_ref().map(|bridge| (bridge.interface.as_str(), bridge.port));
        assert_eq!(found, bridge, "{value}");
        assert!(config.to_toml().contains(&format!("docker_dns = {printed}\n")), "{value}");
        let file = Item::Text(printed.trim_matches('"').to_owned());
        if printed.starts_with('"') {
            assert_eq!(docker_dns(&file).unwrap(), config.docker_dns);
        }
    }
    assert_eq!(docker_dns(&Item::Boolean(true)).unwrap(), Some(DockerDns::default()));
}

#[test]
fn what_is_no_name_of_an_interface_is_refused() {
    for value in ["off", "a/b", "sixteen-letters-", "docker0:0", "docker0:70000", ":53", "..", "a b"] {
        let problem = with_docker_dns(value).unwrap_err();
        assert_eq!(
            problem,
            format!("NAMEPLATE_DOCKER_DNS: expected true, false or an interface's name, got {value:?}")
        );
    }
}
