use super::*;

#[test]
fn null_is_as_nothing_wherever_it_stands() {
    let text = r#"{"Id": null, "Name": "/web", "State": {"Status": "running", "Health": null},
        "Config": {"Image": "nginx", "Env": null, "Labels": {"a": null}, "ExposedPorts": null}, "HostConfig": null,
        "NetworkSettings": {"Ports": {"80/tcp": null, "81/tcp": [null]}, "Networks": {"bridge": null}}}"#;
    let container = Container::read(text.as_bytes()).unwrap();
    assert_eq!((container.name.as_str(), container.plain_name()), ("/web", "web"));
    assert_eq!(container.config.labels["a"], "");
    assert_eq!(container.network_settings.ports["80/tcp"], container.network_settings.ports["81/tcp"]);
    assert_eq!(container.network_settings.networks["bridge"], Endpoint::default());
}

#[test]
fn words_and_fields_of_other_daemons_are_no_hindrance() {
    let text = r#"{"Id": "4bcff63911fcaa", "State": {"Status": "initialized", "ConmonPid": 7, "Healthcheck": {"Status": "healthy"}},
        "HostConfig": {"RestartPolicy": {"Name": "sometimes"}, "Isolation": "new"}, "Mounts": [{"Type": "glob"}],
        "NetworkSettings": {"IPAddress": "172.17.0.9", "Networks": {}}}"#;
    let container = Container::read(text.as_bytes()).unwrap();
    assert_eq!((container.state.status.as_str(), container.plain_name()), ("initialized", "4bcff63911fc"));
    assert_eq!(container.state.health.unwrap().status, "healthy");
    assert!(container.network_settings.networks.is_empty(), "the address at the top is not read");
}

#[test]
fn what_is_no_container_is_refused_with_its_place() {
    for text in ["", "[]", "7", r#"{"Config": {"Env": {"A": "b"}}}"#, r#"{"State": {"ExitCode": "0"}}"#] {
        let error = Container::read(text.as_bytes()).unwrap_err().to_string();
        assert!(error.starts_with("not the inspect document of a container: "), "{error}");
    }
}
