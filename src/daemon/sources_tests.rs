use super::*;
use crate::{
    catalog::{change::Registration, node::Node, table::Seed, testing},
    config::{ConfigFile, Host, Inputs},
};

fn config(text: &str) -> Config {
    let inputs = Inputs {
        file: Some(ConfigFile { path: "test.toml".to_owned(), text: format!("ephemeral = true\n{text}") }),
        variables: vec![("DOCKER_HOST".to_owned(), "unix:///nonexistent/docker.sock".to_owned())],
        host: Host { hostname: Some("n1".to_owned()), ..Host::default() },
        ..Inputs::default()
    };
    Config::load(&inputs).unwrap()
}

/// A catalog in which Docker has one instance.
fn with_docker() -> State {
    let mut catalog = State::new(Seed(7), 100);
    catalog.apply(Change::RegisterNode(Node::example("n1"))).unwrap();
    let instance = testing::instance("web", "web-1");
    let instance = crate::catalog::service::Instance { origin: Origin::Docker, ..instance };
    let registration = Registration { instance, checks: Vec::new(), replace_existing_checks: true };
    catalog.apply(testing::register(registration)).unwrap();
    catalog
}

#[test]
fn what_docker_had_registered_goes_when_docker_is_off_and_else_stays() {
    for (text, left) in [("docker = \"off\"", 0), ("", 1), ("docker = \"unix:///x\"", 1)] {
        let mut catalog = with_docker();
        for change in Sources::forgotten(&config(text), &catalog) {
            catalog.apply(change).unwrap();
        }
        assert_eq!(catalog.instance_count(), left, "{text}");
    }
}

#[test]
fn docker_is_a_source_if_it_is_named_or_found_or_was_there_before() {
    let empty = State::new(Seed(7), 100);
    let status = |text: &str, catalog: &State| {
        let all = Sources::initial(&config(text), catalog, None);
        all.first().map(|status| (status.synced, status.stale))
    };
    assert_eq!(status("docker = \"off\"", &with_docker()), None);
    assert_eq!(status("", &empty), None);
    assert_eq!(status("", &with_docker()), Some((true, true)));
    assert_eq!(status("docker = \"unix:///x\"", &empty), Some((false, false)));
}

#[test]
fn services_of_another_registry_are_waited_for_and_go_when_it_is_named_no_more() {
    let mut catalog = State::new(Seed(7), 100);
    let followed = |text: &str, catalog: &State| {
        let all = Sources::initial(&config(&format!("docker = \"off\"\n{text}")), catalog, None);
        all.first().map(|status| (status.name.to_string(), status.synced))
    };
    let named = "etcd_services = \"etcd://192.0.2.1\"";
    assert_eq!(followed("", &catalog), None);
    assert_eq!(followed(named, &catalog), Some(("etcd_services".to_owned(), false)));
    let services = registry::services::Services::new("/services");
    let key = etcd::mirror::Event { key: b"/services/web/1".to_vec(), value: Some(b"192.0.2.7:80".to_vec()) };
    for change in services.relisted(&catalog, [key]).changes {
        catalog.apply(change).unwrap();
    }
    assert_eq!(followed(named, &catalog), Some(("etcd_services".to_owned(), true)));
    for (text, left) in [(named, 1), ("", 0)] {
        let changes = Sources::forgotten(&config(&format!("docker = \"off\"\n{text}")), &catalog);
        let changes = changes.into_iter().filter(|change| !matches!(change, Change::ReplaceOrigin { .. }));
        changes.for_each(|change| drop(catalog.apply(change).unwrap()));
        assert_eq!(catalog.instance_count(), left, "{text}");
    }
}
