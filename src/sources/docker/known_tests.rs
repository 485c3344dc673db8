use serde_json::json;

use super::{
    super::testing::{self, Document, running, settings, web},
    *,
};
use crate::catalog::{change::Change, node::Node, table::Seed};

/// What is known, and a catalog that has it.
struct Bench {
    known: Known,
    catalog: State,
    now: Instant,
}

fn bench_with(settings: Settings) -> Bench {
    let mut catalog = State::new(Seed(7), 100);
    catalog.apply(Change::RegisterNode(Node::example("n1"))).unwrap();
    Bench { known: Known::new(settings, testing::around().host), catalog, now: Instant::now() }
}

fn bench() -> Bench {
    bench_with(settings())
}

impl Bench {
    /// The container of this ID has this document.
    fn inspected(&mut self, id: &str, document: &Document) {
        self.known.inspected(id, document.clone().with("Id", id.into()).container(), self.now);
    }

    fn heard(&mut self, event: Event) -> Ask {
        self.known.heard(event, self.now)
    }

    /// Service IDs without their node, each with what keeps it from being answered.
    fn state(&mut self) -> Vec<String> {
        let plan = self.known.plan(&self.catalog);
        for change in &plan.changes {
            self.catalog.apply(change.clone()).unwrap();
        }
        self.known.applied(plan);
        let keys = self.catalog.of_origin(&self.known.settings.node, crate::catalog::change::Origin::Docker);
        let mut all: Vec<String> = Vec::new();
        for key in keys {
            let entry = self.catalog.instance(&key).unwrap();
            let critical =
                entry.checks.iter().filter(|own| own.check.status == crate::catalog::check::CheckStatus::Critical);
            let why: Vec<_> = critical.map(|own| own.check.shown_output().into_owned()).collect();
            all.push(format!("{} {}", key.id.as_str().trim_start_matches("n1:"), why.join(",")).trim_end().to_owned());
        }
        all.sort();
        all
    }

    /// Everything was listed.
    fn whole(&mut self) {
        let plan = self.known.whole(&self.catalog);
        for change in &plan.changes {
            self.catalog.apply(change.clone()).unwrap();
        }
        self.known.applied(plan);
    }

    #[track_caller]
    fn check(&mut self, expected: &[&str]) {
        assert_eq!(self.state(), expected);
    }
}

fn signalled(signal: &str) -> Event {
    Event::Signalled("a".to_owned(), signal.to_owned())
}

fn started(document: Document, when: &str) -> Document {
    document.with("State.StartedAt", when.into())
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_container_comes_changes_and_goes() {
    let mut bench = bench();
    bench.inspected("a", &web());
    bench.check(&["web:80"]);
    bench.inspected("a", &web().state("paused"));
    bench.check(&["web:80 paused"]);
    bench.inspected("a", &web().with("Name", "/shop".into()));
    bench.check(&["shop:80"]);
    bench.known.gone("a");
    bench.check(&[]);
    assert_eq!(bench.known.ids().count(), 0);
}

#[test]
fn a_container_that_is_not_running_is_nothing() {
    let mut bench = bench();
    for status in ["created", "removing", "dead", "exited"] {
        bench.inspected("a", &web().state(status));
        bench.check(&[]);
        assert_eq!(bench.known.ids().count(), 0, "{status}");
    }
}

#[test]
fn an_end_deregisters_at_once_and_is_looked_at() {
    let mut bench = bench();
    bench.inspected("a", &web());
    bench.check(&["web:80"]);
    assert_eq!(bench.heard(Event::Ended("a".to_owned(), Some(1))), Ask::Container("a".to_owned()));
    bench.check(&[]);
    assert_eq!(bench.heard(Event::Ended("unknown".to_owned(), None)), Ask::Container("unknown".to_owned()));
    bench.inspected("a", &web());
    bench.heard(Event::Removed("a".to_owned()));
    bench.check(&[]);
}

#[test]
fn with_on_success_a_failed_container_keeps_what_it_had_until_it_is_removed() {
    let mut bench = bench_with(Settings { deregister: Deregister::OnSuccess, ..settings() });
    let kept = "web:80 container exited with status 3; kept because docker_deregister is on-success";
    bench.inspected("a", &web());
    bench.check(&["web:80"]);
    bench.heard(Event::Ended("a".to_owned(), None));
    bench.check(&["web:80"]);
    bench.heard(Event::Ended("a".to_owned(), Some(3)));
    bench.check(&[kept]);
    bench.inspected("a", &web().exited(3));
    bench.check(&[kept]);
    bench.inspected("a", &web());
    bench.check(&["web:80"]);
    bench.heard(Event::Ended("a".to_owned(), Some(0)));
    bench.check(&[]);
    bench.inspected("a", &web());
    bench.inspected("a", &web().exited(3));
    bench.check(&[kept]);
    bench.known.gone("a");
    bench.check(&[]);
    bench.inspected("a", &web().exited(3));
    bench.check(&[]);
}

#[test]
fn with_on_success_what_a_failed_container_had_stays_over_our_own_restart() {
    let kept = "web:80 container exited with status 3; kept because docker_deregister is on-success";
    // It failed before the restart, or while nobody looked.
    for failed_before in [true, false] {
        let mut before = bench_with(Settings { deregister: Deregister::OnSuccess, ..settings() });
        before.inspected("a", &web());
        before.check(&["web:80"]);
        if failed_before {
            before.inspected("a", &web().exited(3));
            before.check(&[kept]);
        }
        for (deregister, document, expected) in [
            (Deregister::OnSuccess, web().exited(3), &[kept][..]),
            (Deregister::OnSuccess, web().exited(0), &[]),
            (Deregister::OnSuccess, web().exited(137), &[]),
            (Deregister::OnSuccess, web(), &["web:80"]),
            (Deregister::OnSuccess, web().exited(3).with("Name", "/other".into()), &[]),
            (Deregister::Always, web().exited(3), &[]),
        ] {
            let mut after = bench_with(Settings { deregister, ..settings() });
            after.catalog = before.catalog.clone();
            after.known.remember(&after.catalog);
            after.inspected("a", &document);
            after.known.forget();
            after.whole();
            after.check(expected);
            after.inspected("a", &document);
            after.check(expected);
            after.known.gone("a");
            after.check(&[]);
            after.inspected("a", &web().exited(3));
            after.check(&[]);
        }
    }
}

#[test]
fn a_stop_signal_hides_a_container_until_it_has_survived_it() {
    let mut bench = bench();
    let document = started(web(), "1").with("Config.StopTimeout", 3.into());
    bench.inspected("a", &document);
    bench.heard(signalled("HUP"));
    bench.check(&["web:80"]);
    bench.heard(signalled("15"));
    bench.check(&["web:80 stopping"]);
    let until = bench.now + 3 * SECOND + STOP_MARGIN;
    assert_eq!(bench.known.next_look(), Some(until));
    bench.now = until - SECOND;
    assert!(bench.known.take_looks(bench.now).is_empty());
    bench.inspected("a", &document);
    bench.check(&["web:80 stopping"]);
    bench.now = until;
    assert_eq!(bench.known.take_looks(bench.now), ["a"]);
    bench.check(&["web:80 stopping"]);
    bench.inspected("a", &document);
    bench.check(&["web:80"]);
}

#[test]
fn a_second_stop_signal_begins_anew_and_a_start_ends_it() {
    let mut bench = bench();
    bench.inspected("a", &started(web(), "1"));
    bench.heard(signalled("TERM"));
    bench.now += 14 * SECOND;
    bench.heard(signalled("TERM"));
    bench.now += 2 * SECOND;
    bench.inspected("a", &started(web(), "1"));
    bench.check(&["web:80 stopping"]);
    bench.inspected("a", &started(web(), "2"));
    bench.check(&["web:80"]);
    bench.heard(signalled("TERM"));
    assert_eq!(bench.heard(Event::Started("a".to_owned())), Ask::Container("a".to_owned()));
    bench.inspected("a", &started(web(), "2"));
    bench.check(&["web:80"]);
}

#[test]
fn who_may_take_for_ever_to_stop_is_hidden_for_as_long() {
    let mut bench = bench();
    for seconds in [-1, i64::MAX] {
        let document = web().with("Config.StopTimeout", seconds.into());
        bench.inspected("a", &document);
        bench.heard(signalled("TERM"));
        assert_eq!(bench.known.next_look(), None);
        bench.now += 1_000_000 * SECOND;
        bench.inspected("a", &document);
        bench.check(&["web:80 stopping"]);
        bench.heard(Event::Ended("a".to_owned(), Some(0)));
        bench.check(&[]);
    }
}

#[test]
fn who_uses_the_network_of_another_follows_it() {
    let mut bench = bench();
    let joiner = |mode: &str| running("side", "side").mode(mode).label("SERVICE_PORTS", "80");
    bench.inspected("b", &joiner("container:a"));
    bench.inspected("c", &joiner("container:web").with("Name", "/by-name".into()));
    bench.check(&[]);
    bench.inspected("a", &web());
    bench.check(&["by-name:80", "side:80", "web:80"]);
    let told = bench.known.take_warnings();
    assert!(
        told.iter().any(|text| text.contains("its network is that of container \"a\", which is not running")),
        "{told:?}"
    );
    bench.heard(Event::Ended("a".to_owned(), Some(0)));
    bench.check(&[]);
    bench.inspected("a", &web().with("Name", "/renamed".into()));
    bench.check(&["renamed:80", "side:80"]);
    bench.known.gone("b");
    bench.inspected("a", &web());
    bench.check(&["by-name:80", "web:80"]);
}

#[test]
fn a_network_that_becomes_known_maps_its_containers_anew() {
    let mut bench = bench();
    bench.inspected("a", &running("web", "nginx").on("lan", "192.0.2.7/24").expose("80/tcp"));
    assert_eq!(bench.known.unlisted_networks(), 1);
    bench.state();
    let address = |bench: &Bench| {
        let key = bench.catalog.of_origin(&settings().node, crate::catalog::change::Origin::Docker).remove(0);
        bench.catalog.instance(&key).unwrap().instance.address.clone()
    };
    assert_eq!(address(&bench), None);
    bench.known.set_networks(BTreeMap::from([("lan".to_owned(), testing::network("macvlan"))]));
    assert_eq!(bench.known.unlisted_networks(), 0);
    bench.state();
    assert!(address(&bench).is_some(), "of a LAN, everybody reaches it");
}

#[test]
fn a_container_without_its_address_is_looked_at_again_some_times() {
    let mut bench = bench();
    let bare =
        running("web", "nginx").expose("80/tcp").with("NetworkSettings.Networks", json!({"app": {"IPAddress": ""}}));
    let mut looks = 0;
    let begin = bench.now;
    bench.inspected("a", &bare);
    while let Some(when) = bench.known.next_look() {
        bench.now = when;
        assert_eq!(bench.known.take_looks(when), ["a"]);
        bench.inspected("a", &bare);
        looks += 1;
    }
    assert_eq!(looks, LOOKS_MAX);
    assert!(bench.now - begin < 4 * SECOND);
    bench.heard(Event::Started("a".to_owned()));
    bench.inspected("a", &bare);
    assert!(bench.known.next_look().is_some(), "after another start it may be late again");
    for mode in ["host", "none"] {
        let mut bench = self::bench();
        bench.inspected(
            "a",
            &running("web", "nginx").mode(mode).with("NetworkSettings.Networks", json!({mode: {"IPAddress": ""}})),
        );
        assert_eq!(bench.known.next_look(), None, "{mode}");
    }
}

#[test]
fn a_warning_is_told_once() {
    let mut bench = bench();
    let document = web().label("SERVICE_CHECK_TTL", "soon");
    bench.inspected("a", &document);
    assert_eq!(bench.known.take_warnings().len(), 1);
    bench.inspected("a", &document);
    assert!(bench.known.take_warnings().is_empty());
    bench.known.gone("a");
    bench.inspected("a", &document);
    assert!(bench.known.take_warnings().is_empty());
}

#[test]
fn documents_are_kept_only_for_templates() {
    for (tags, is_kept) in [(None, false), (Some("{{.Name}}"), true)] {
        let tags = tags.map(|text| super::super::Template::parse(text).unwrap());
        let mut bench = bench_with(Settings { tags, ..settings() });
        bench.inspected("a", &web());
        assert_eq!(bench.known.containers["a"].container.document.is_object(), is_kept);
        bench.heard(signalled("TERM"));
        bench.state();
        let key = bench.catalog.of_origin(&settings().node, crate::catalog::change::Origin::Docker).remove(0);
        assert_eq!(bench.catalog.instance(&key).unwrap().instance.tags.len(), usize::from(is_kept));
    }
}
