use super::*;

const LEASE: i64 = 7;

/// What of these events counts, as the last part of each key, with a minus if it is gone.
struct World {
    grace: Grace,
    now: Instant,
}

fn key(path: &str) -> Vec<u8> {
    format!("/nameplate/v1/{path}").into_bytes()
}

fn stored(path: &str, (lease, value): (i64, &str)) -> KeyValue {
    KeyValue { key: key(path), value: value.as_bytes().to_vec(), lease, ..KeyValue::default() }
}

fn put(path: &str) -> Event {
    Event::Put(stored(path, (LEASE, "{}")))
}

fn delete(path: &str) -> Event {
    Event::Delete { key: key(path), mod_revision: 9 }
}

fn names(events: Vec<mirror::Event>) -> Vec<String> {
    let name = |event: mirror::Event| {
        let key = String::from_utf8(event.key).unwrap();
        let path = key.strip_prefix("/nameplate/v1/").unwrap();
        if event.value.is_some() { path.to_owned() } else { format!("-{path}") }
    };
    events.into_iter().map(name).collect()
}

impl World {
    /// A node with two instances, under this lease.
    fn new(lease: i64) -> World {
        let mut grace = Grace::new(Layout::new("/nameplate"));
        let all = ["nodes/n2", "services/n2/a", "services/n2/b"].map(|path| stored(path, (lease, "{}")));
        assert_eq!(grace.listed(&all), None);
        World { grace, now: Instant::now() }
    }

    #[track_caller]
    fn check(&mut self, events: impl Into<Vec<Event>>, counted: &[&str]) {
        assert_eq!(names(self.grace.events(events.into(), self.now)), counted);
    }

    /// When the next machine may be gone, in milliseconds from now.
    fn next_ms(&self) -> Option<u128> {
        self.grace.next().map(|(until, _)| (until - self.now).as_millis())
    }

    fn pass_ms(&mut self, ms: u64) {
        self.now += Duration::from_millis(ms);
    }

    fn gone(&mut self) -> Vec<String> {
        let (_, name) = self.grace.next().unwrap();
        names(self.grace.gone(&name))
    }
}

fn all_go() -> [Event; 3] {
    [delete("nodes/n2"), delete("services/n2/a"), delete("services/n2/b")]
}

#[test]
fn what_a_machine_loses_stays_for_a_second() {
    let mut world = World::new(LEASE);
    world.check(all_go(), &[]);
    assert_eq!(world.next_ms(), Some(1000));
    assert!(world.grace.is_lost(&NodeName::new("n2").unwrap()));
    assert_eq!(world.gone(), ["-nodes/n2", "-services/n2/a", "-services/n2/b"]);
    assert_eq!(world.next_ms(), None);
}

#[test]
fn what_is_put_back_never_went_and_the_rest_has_a_second_more() {
    let mut world = World::new(LEASE);
    world.check(all_go(), &[]);
    world.pass_ms(900);
    world.check([put("nodes/n2"), put("services/n2/a")], &["nodes/n2", "services/n2/a"]);
    assert_eq!(world.next_ms(), Some(1000));
    // What was not lost says nothing of what was.
    world.pass_ms(500);
    world.check([put("services/n2/c")], &["services/n2/c"]);
    assert_eq!(world.next_ms(), Some(500));
    assert_eq!(world.gone(), ["-services/n2/b"]);
}

#[test]
fn when_all_is_put_back_nothing_is_waited_for() {
    let mut world = World::new(LEASE);
    world.check(all_go(), &[]);
    let back = [put("nodes/n2"), put("services/n2/a"), put("services/n2/b")];
    world.check(back, &["nodes/n2", "services/n2/a", "services/n2/b"]);
    assert_eq!(world.next_ms(), None);
    // The next time is as the first.
    world.check(all_go(), &[]);
    assert_eq!(world.next_ms(), Some(1000));
}

#[test]
fn who_says_that_he_leaves_is_gone_at_once() {
    let document = farewell(br#"{"Node":{"Node":"n2"},"Checks":[]}"#).unwrap();
    let said = std::str::from_utf8(&document).unwrap();
    assert_eq!(said, r#"{"Checks":[],"Leaving":true,"Node":{"Node":"n2"}}"#);
    let mut world = World::new(LEASE);
    world.check([Event::Put(stored("nodes/n2", (LEASE, said)))], &["nodes/n2"]);
    world.check(all_go(), &["-nodes/n2", "-services/n2/a", "-services/n2/b"]);
    // Both may come at once.
    let mut world = World::new(LEASE);
    world.check([Event::Put(stored("nodes/n2", (LEASE, said))), delete("nodes/n2")], &["nodes/n2", "-nodes/n2"]);
    // Who is back may be waited for again.
    world.check([put("nodes/n2")], &["nodes/n2"]);
    world.check([delete("nodes/n2")], &[]);
}

#[test]
fn what_no_nameplate_writes_goes_at_once() {
    World::new(0).check(all_go(), &["-nodes/n2", "-services/n2/a", "-services/n2/b"]);
    let mut world = World::new(LEASE);
    world.check([delete("services/n2/a")], &["-services/n2/a"]);
    world.check([delete("nodes/n3"), delete("services/n3/a")], &["-nodes/n3", "-services/n3/a"]);
}

#[test]
fn what_goes_while_the_node_is_lost_stays_as_long() {
    let mut world = World::new(LEASE);
    world.check([delete("nodes/n2")], &[]);
    world.pass_ms(400);
    world.check([delete("services/n2/a")], &[]);
    assert_eq!(world.next_ms(), Some(600));
    // When the node is there again, what goes was deregistered.
    world.check([put("nodes/n2"), delete("services/n2/b")], &["nodes/n2", "-services/n2/b"]);
    assert_eq!(world.gone(), ["-services/n2/a"]);
}

#[test]
fn while_nobody_could_put_anything_back_the_time_does_not_count() {
    let mut world = World::new(LEASE);
    world.check(all_go(), &[]);
    world.pass_ms(5_000);
    world.grace.extend(world.now);
    assert_eq!(world.next_ms(), Some(1000));
}

#[test]
fn a_list_says_until_when_what_was_lost_stays() {
    let mut world = World::new(LEASE);
    world.check(all_go(), &[]);
    assert_eq!(world.grace.listed(&[]), Some(world.now + GRACE));
    assert_eq!((world.next_ms(), world.grace.living()), (None, 0));
}
