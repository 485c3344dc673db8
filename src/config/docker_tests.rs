use super::*;
use crate::config::{Config, ConfigFile, Host};

fn with(text: &str, variables: &[(&str, &str)]) -> Inputs {
    let variables = [("HOME", "/home/a")].iter().chain(variables);
    Inputs {
        variables: variables.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        host: Host { hostname: Some("n1".to_owned()), ..Host::default() },
        file: Some(ConfigFile { path: "nameplate.toml".to_owned(), text: text.to_owned() }),
        ..Inputs::default()
    }
}

fn load(text: &str, variables: &[(&str, &str)]) -> Config {
    Config::load(&with(text, variables)).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

#[track_caller]
fn check_auto(variables: &[(&str, &str)], expected: &[&str]) {
    let DockerDaemon::Auto(candidates) = load("", variables).docker.daemon else { panic!("not auto") };
    assert_eq!(candidates.iter().map(ToString::to_string).collect::<Vec<_>>(), expected);
}

#[track_caller]
fn check_problem(text: &str, expected: &str) {
    let problems: Vec<_> = Config::load(&with(text, &[])).unwrap_err().iter().map(ToString::to_string).collect();
    assert_eq!(problems, [format!("nameplate.toml line 1: {expected}")]);
}

#[test]
fn a_daemon_is_looked_for_where_the_environment_says_else_at_the_usual_sockets() {
    check_auto(&[], &["unix:///var/run/docker.sock", "unix:///run/podman/podman.sock"]);
    check_auto(
        &[("XDG_RUNTIME_DIR", "/run/user/7")],
        &[
            "unix:///var/run/docker.sock",
            "unix:///run/user/7/docker.sock",
            "unix:///run/podman/podman.sock",
            "unix:///run/user/7/podman/podman.sock",
        ],
    );
    check_auto(&[("DOCKER_HOST", "tcp://192.0.2.1:2375")], &["tcp://192.0.2.1:2375"]);
    check_auto(&[("DOCKER_HOST", "")], &["unix:///var/run/docker.sock", "unix:///run/podman/podman.sock"]);
}

#[test]
fn what_the_environment_says_and_nobody_speaks_is_a_warning() {
    let host = [("DOCKER_HOST", "ssh://root@192.0.2.1")];
    let config = load("", &host);
    let warnings: Vec<_> = config.warnings.iter().map(ToString::to_string).collect();
    assert!(warnings.len() == 1 && warnings[0].starts_with("DOCKER_HOST: SSH is not spoken here;"), "{warnings:?}");
    assert!(load("docker = \"off\"", &host).warnings.is_empty());
}

#[test]
fn a_daemon_is_named_by_a_url() {
    let at = |url: &str| DockerDaemon::At(url.parse().unwrap());
    assert_eq!(load("docker = \"unix:///run/d.sock\"", &[]).docker.daemon, at("unix:///run/d.sock"));
    assert_eq!(load("docker = \"http://d.example:2375\"", &[]).docker.daemon, at("tcp://d.example:2375"));
    assert_eq!(load("docker = \"off\"", &[]).docker.daemon, DockerDaemon::Off);
    let expected = "expected \"auto\", \"off\", or a URL such as unix:///var/run/docker.sock, got \"docker.sock\"";
    check_problem("docker = \"docker.sock\"", &format!("docker: {expected}"));
    check_problem(
        "docker = \"https://192.0.2.1:2376\"",
        "docker: TLS is not spoken here; name a socket (unix:///PATH) or a port without TLS (tcp://HOST:PORT), got \
         \"https://192.0.2.1:2376\"",
    );
}

#[test]
fn what_cannot_be_used_is_told_with_what_could() {
    check_problem(
        "docker_address = \"bridge\"",
        "docker_address: expected \"auto\" or \"host\" or \"container\", got \"bridge\"",
    );
    check_problem(
        "docker_deregister = \"never\"",
        "docker_deregister: expected \"always\" or \"on-success\", got \"never\"",
    );
    check_problem(
        "docker_ip = \"0.0.0.0\"",
        "docker_ip: expected an IP address that clients can reach, such as 192.0.2.10, got \"0.0.0.0\"",
    );
    check_problem(
        "docker_network = \"\"",
        "docker_network: expected the name of a Docker network, such as bridge, got \"\"",
    );
    for key in ["docker_tags", "docker_name"] {
        let problems = Config::load(&with(&format!("{key} = \"{{{{nosuch .Name}}}}\""), &[])).unwrap_err();
        let text = problems[0].to_string();
        assert!(text.starts_with(&format!("nameplate.toml line 1: {key}: expected a template: ")), "{text}");
        assert!(text.contains("nosuch"), "{text}");
    }
}
