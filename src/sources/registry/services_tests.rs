use super::*;
use crate::catalog::table::Seed;

fn event(key: &str, value: Option<&str>) -> Event {
    Event { key: key.as_bytes().to_vec(), value: value.map(|value| value.as_bytes().to_vec()) }
}

/// A catalog that follows.
struct Following {
    services: Services,
    state: State,
}

impl Following {
    fn new() -> Following {
        Following { services: Services::new("/services"), state: State::new(Seed(7), 100) }
    }

    /// Follows, and returns what is complained of.
    #[track_caller]
    fn change(&mut self, events: &[(&str, Option<&str>)]) -> Vec<String> {
        let followed = self.services.changes(&self.state, events.iter().map(|(key, value)| event(key, *value)));
        self.apply(followed)
    }

    #[track_caller]
    fn relist(&mut self, listed: &[(&str, &str)]) -> Vec<String> {
        let followed = self.services.relisted(&self.state, listed.iter().map(|(key, value)| event(key, Some(value))));
        self.apply(followed)
    }

    #[track_caller]
    fn apply(&mut self, followed: Followed) -> Vec<String> {
        for change in followed.changes {
            let effects = self.state.apply(change.clone()).unwrap();
            assert!(!effects.is_empty(), "{change:?} does nothing");
        }
        followed.complaints.iter().map(ToString::to_string).collect()
    }

    /// Each instance as `ID address:port`.
    fn instances(&self) -> Vec<String> {
        let all = self.state.services().flat_map(|service| service.instances());
        let mut all: Vec<_> = all
            .map(|entry| {
                let one = &entry.instance;
                let port = one.default_port().map_or(0, |port| port.number);
                format!("{} {}:{port}", one.id, one.address.as_ref().unwrap())
            })
            .collect();
        all.sort();
        all
    }
}

#[test]
fn keys_come_change_and_go() {
    let mut followed = Following::new();
    assert!(followed.relist(&[]).is_empty());
    assert_eq!(followed.state.node_count(), 0);
    assert!(
        followed.relist(&[("/services/web/web-1", "192.0.2.1:80"), ("/services/db/1", "192.0.2.2:5432")]).is_empty()
    );
    assert_eq!(followed.instances(), ["db/1 192.0.2.2:5432", "web/web-1 192.0.2.1:80"]);
    followed.change(&[
        ("/services/web/web-1", Some("192.0.2.1:81")),
        ("/services/db/1", None),
        ("/services/db/2", None),
        ("/services/db/3", Some("192.0.2.3:1")),
        ("/services/db/3", None),
    ]);
    assert_eq!(followed.instances(), ["web/web-1 192.0.2.1:81"]);
    followed.relist(&[("/services/db/1", "192.0.2.2:5432")]);
    assert_eq!(followed.instances(), ["db/1 192.0.2.2:5432"]);
}

#[test]
fn the_same_again_changes_nothing() {
    let mut followed = Following::new();
    let listed = [("/services/web/web-1", "192.0.2.1:80")];
    followed.relist(&listed);
    let index = followed.state.index();
    followed.relist(&listed);
    followed.change(&[("/services/web/web-1", Some("{\"host\": \"192.0.2.1\", \"port\": 80}"))]);
    assert_eq!(followed.state.index(), index);
}

#[test]
fn one_id_of_two_services_is_two_instances() {
    let mut followed = Following::new();
    followed.relist(&[("/services/a/1", "192.0.2.1:80"), ("/services/b/1", "192.0.2.2:80")]);
    assert_eq!(followed.instances().len(), 2);
}

#[test]
fn what_cannot_be_read_keeps_what_was_there_and_hides_no_neighbour() {
    let mut followed = Following::new();
    let listed =
        [("/services/web/1", "192.0.2.1:80"), ("/services/web/2", "oops"), ("/services/web/3", "192.0.2.3:80")];
    let complaints = followed.relist(&listed);
    assert_eq!(complaints, ["/services/web/2: is neither HOST:PORT, an IP address, nor a JSON object"]);
    assert_eq!(followed.instances(), ["web/1 192.0.2.1:80", "web/3 192.0.2.3:80"]);
    followed.change(&[("/services/web/1", Some("oops"))]);
    followed.relist(&[("/services/web/1", "oops"), ("/services/web/3", "192.0.2.3:80")]);
    assert_eq!(followed.instances(), ["web/1 192.0.2.1:80", "web/3 192.0.2.3:80"]);
    followed.change(&[("/services/web/1", None)]);
    assert_eq!(followed.instances(), ["web/3 192.0.2.3:80"]);
}

#[test]
fn other_keys_are_passed_over() {
    let mut followed = Following::new();
    for key in ["/services/web", "/services/web/", "/services//1", "/services/web/1/host", "/services/", "/other/web/1"]
    {
        let complaints = followed.change(&[(key, Some("192.0.2.1:80"))]);
        assert_eq!(complaints, [format!("{key}: is not the key of an instance")]);
    }
    assert!(followed.instances().is_empty());
}

#[test]
fn when_it_is_followed_no_more_all_goes_but_what_is_of_others() {
    let mut followed = Following::new();
    followed.relist(&[("/services/web/1", "192.0.2.1:80")]);
    assert!(is_known(&followed.state));
    for change in none_followed(&followed.state) {
        followed.state.apply(change).unwrap();
    }
    assert_eq!((followed.state.node_count(), followed.state.instance_count()), (0, 0));
    assert!(none_followed(&followed.state).is_empty());

    followed.relist(&[("/services/web/1", "192.0.2.1:80")]);
    let key = followed.state.of_origin(&node_name(), Origin::Registry).remove(0);
    let mut instance = Instance::clone(&followed.state.instance(&key).unwrap().instance);
    (instance.id, instance.origin) = (ServiceId::new("other").unwrap(), Origin::Api);
    let other = Registration { instance, checks: Vec::new(), replace_existing_checks: true };
    followed.state.apply(Change::Register(Box::new(other))).unwrap();
    for change in none_followed(&followed.state) {
        followed.state.apply(change).unwrap();
    }
    assert_eq!(followed.instances(), ["other 192.0.2.1:80"]);
    assert!(!is_known(&followed.state));
}

#[test]
fn what_is_registered_here_for_the_same_instance_counts() {
    let mut followed = Following::new();
    followed.relist(&[("/services/web/1", "192.0.2.1:80")]);
    let key = followed.state.of_origin(&node_name(), Origin::Registry).remove(0);
    let mut instance = Instance::clone(&followed.state.instance(&key).unwrap().instance);
    (instance.address, instance.origin) = (Some(Address::parse("192.0.2.9").unwrap()), Origin::Api);
    let explicit = Registration { instance, checks: Vec::new(), replace_existing_checks: true };
    followed.state.apply(Change::Register(Box::new(explicit))).unwrap();
    assert_eq!(followed.instances(), ["web/1 192.0.2.9:80"]);
    followed.change(&[("/services/web/1", Some("192.0.2.2:80"))]);
    assert_eq!(followed.instances(), ["web/1 192.0.2.9:80"]);
    followed.change(&[("/services/web/1", None)]);
    assert_eq!(followed.instances(), ["web/1 192.0.2.9:80"]);
}
