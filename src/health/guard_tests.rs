use super::{
    super::testing::{definition, http_check, tcp_check},
    *,
};

const SECOND: Duration = Duration::from_secs(1);

/// A guard over TCP checks of these targets, every 10 s, by their place in the list; and when it began.
struct Scene {
    guard: Guard,
    began: Instant,
}

impl Scene {
    fn of(targets: &[String]) -> Scene {
        let mut guard = Guard::default();
        for (slot, target) in targets.iter().enumerate() {
            guard.watch(slot as Slot, target, &definition(CheckKind::Tcp(tcp_check()), 10 * SECOND, SECOND));
        }
        Scene { guard, began: Instant::now() }
    }

    /// So many checks, each of an address of its own.
    fn of_addresses(count: usize) -> Scene {
        Scene::of(&targets(count))
    }

    /// A passing check turns critical so many seconds after the beginning.
    fn turn(&mut self, slot: usize, secs: u64) -> Turn {
        self.turn_of(slot, 10, secs)
    }

    fn turn_of(&mut self, slot: usize, interval_secs: u32, secs: u64) -> Turn {
        let ended = self.began + Duration::from_secs(secs);
        let probed = Probed { interval: interval_secs * SECOND, began: ended, ended };
        self.guard.turn(slot as Slot, failure(slot), probed)
    }

    /// Those turn critical one after the other in the same second, and are reported.
    #[track_caller]
    fn report(&mut self, slots: std::ops::Range<usize>, secs: u64) {
        for slot in slots {
            assert_eq!(self.turn(slot, secs), reported(slot), "{slot}");
        }
    }

    fn doubt(&mut self) -> Vec<Slot> {
        let shown = self.guard.doubt();
        assert!(shown.iter().all(|(slot, held)| *held == failure(*slot as usize)));
        sorted(shown.into_iter().map(|(slot, _)| slot))
    }

    fn believe(&mut self) -> Vec<Slot> {
        let all = self.guard.believe();
        assert!(all.iter().all(|(slot, result)| *result == failure(*slot as usize).result));
        sorted(all.into_iter().map(|(slot, _)| slot))
    }
}

fn targets(count: usize) -> Vec<String> {
    (1..=count).map(|number| format!("192.0.2.{number}:80")).collect()
}

fn failure(slot: usize) -> Held {
    let result = CheckResult { status: CheckStatus::Critical, output: format!("no route {slot}").as_str().into() };
    Held { former: CheckStatus::Passing, result }
}

fn reported(slot: usize) -> Turn {
    Turn::Report(failure(slot).result)
}

fn sorted(slots: impl Iterator<Item = Slot>) -> Vec<Slot> {
    let mut slots: Vec<Slot> = slots.collect();
    slots.sort_unstable();
    slots
}

#[test]
fn the_one_beyond_half_is_held_and_asks() {
    let mut scene = Scene::of_addresses(20);
    scene.report(0..10, 0);
    assert_eq!(scene.turn(10, 0), Turn::Ask);
    assert_eq!(scene.turn(11, 0), Turn::Hold);
    assert_eq!(scene.guard.held().len(), 2);
}

#[test]
fn exactly_half_is_reported() {
    let mut scene = Scene::of_addresses(20);
    scene.report(0..10, 0);
    assert!(scene.guard.is_watching());
}

#[test]
fn nine_checks_are_never_held() {
    let mut scene = Scene::of_addresses(9);
    scene.report(0..9, 0);
    let mut scene = Scene::of_addresses(10);
    scene.report(0..9, 0);
    assert_eq!(scene.turn(9, 0), Turn::Ask, "ten are");
}

#[test]
fn four_addresses_are_never_held_and_five_are() {
    let on = |addresses: usize| -> Vec<String> {
        (0..12).map(|number| format!("192.0.2.{}:{number}", number % addresses)).collect()
    };
    Scene::of(&on(4)).report(0..12, 0);
    let mut scene = Scene::of(&on(5));
    scene.report(0..9, 0);
    assert_eq!(scene.turn(9, 0), Turn::Ask);
}

#[test]
fn loopback_is_neither_held_nor_counted() {
    let mut local: Vec<String> = (1..=12).map(|number| format!("127.0.0.{number}:80")).collect();
    local.extend(
        ["[::1]:80", "localhost:80", "LOCALHOST.:80", "a.localhost:80", ":80", "[::ffff:127.0.0.1]:1"]
            .map(str::to_owned),
    );
    let own = local.len();
    let mut scene = Scene::of(&local);
    scene.report(0..own, 0);
    assert_eq!(scene.guard.counted(), 0);

    // Among others they make no half larger, and are reported while those are held.
    local.extend(targets(10));
    let mut scene = Scene::of(&local);
    scene.report(own..own + 9, 0);
    assert_eq!(scene.turn(own + 9, 0), Turn::Ask);
    scene.report(0..own, 0);
}

#[test]
fn what_turned_longer_than_an_interval_ago_does_not_count() {
    let mut scene = Scene::of_addresses(20);
    scene.report(0..10, 0);
    assert_eq!(scene.turn(10, 11), reported(10));
    let mut scene = Scene::of_addresses(20);
    scene.report(0..10, 0);
    assert_eq!(scene.turn(10, 10), Turn::Ask);
}

#[test]
fn the_longest_interval_counts_from_one_second_to_sixty() {
    let of_interval = |interval_secs: u32, gap_secs: u64| {
        let mut scene = Scene::of_addresses(20);
        for slot in 0..10 {
            scene.turn_of(slot, if slot == 3 { interval_secs } else { 1 }, 0);
        }
        scene.turn_of(10, 1, gap_secs) == Turn::Ask
    };
    assert!(of_interval(30, 30) && !of_interval(30, 31));
    assert!(of_interval(3600, 60) && !of_interval(3600, 61));
    assert!(of_interval(0, 1) && !of_interval(0, 2));
}

#[test]
fn an_answer_reports_what_was_held_and_nothing_comes_back() {
    let mut scene = Scene::of_addresses(20);
    scene.report(0..10, 0);
    scene.turn(10, 0);
    scene.turn(11, 0);
    assert_eq!(scene.guard.answered(scene.began).len(), 2);
    assert!(scene.guard.is_watching());
    scene.report(12..20, 1);
    assert_eq!(scene.guard.held().len(), 0);
}

#[test]
fn silence_brings_back_what_was_reported_within_the_interval() {
    let mut scene = Scene::of_addresses(20);
    scene.report(0..1, 0);
    scene.report(1..11, 15);
    assert_eq!(scene.turn(11, 16), Turn::Ask);
    assert_eq!(scene.doubt(), (1..=11).collect::<Vec<Slot>>(), "the first had failed before");
    assert!(scene.guard.is_holding());
    assert_eq!(scene.doubt(), [] as [Slot; 0], "they are shown once");
    assert_eq!(scene.turn(12, 20), Turn::Show(failure(12)));
    assert_eq!(scene.turn(12, 21), Turn::Hold);
    assert_eq!(scene.believe(), (1..=12).collect::<Vec<Slot>>());
}

#[test]
fn an_answer_while_holding_has_each_found_again() {
    let mut scene = Scene::of_addresses(20);
    scene.report(0..10, 0);
    scene.turn(10, 0);
    scene.doubt();
    assert_eq!(scene.guard.answered(scene.began + 5 * SECOND), []);
    assert!(scene.guard.is_holding());
    assert_eq!(scene.turn(0, 4), Turn::Hold, "its probe began when the link was away");
    assert_eq!(scene.turn(0, 5), reported(0), "the target is really away");
    assert_eq!(scene.turn(19, 4), Turn::Show(failure(19)), "that it fails is known from when the link was away");
    assert_eq!(scene.turn(18, 5), reported(18));
    assert!(scene.guard.passed(1));
    let rest: Vec<Slot> = (2..=10).chain([19]).collect();
    assert_eq!(scene.believe(), rest, "time is up");
    assert!(scene.guard.is_watching());
}

/// All twenty were held for five seconds and settle now; nine of them have passed since.
fn settling() -> Scene {
    let mut scene = Scene::of_addresses(20);
    scene.report(0..10, 0);
    (10..20).for_each(|slot| drop(scene.turn(slot, 0)));
    scene.doubt();
    scene.guard.answered(scene.began + 5 * SECOND);
    assert!((0..9).all(|slot| scene.guard.passed(slot)));
    scene
}

#[test]
fn a_link_that_goes_again_while_checks_settle_is_asked_about_again() {
    let mut scene = settling();
    scene.report(0..9, 6);
    scene.report(9..10, 6);
    assert_eq!(scene.turn(10, 6), Turn::Ask);
    assert!(scene.guard.is_holding(), "others are shown as held all the while");
    assert_eq!(scene.turn(11, 6), Turn::Hold);
    assert_eq!(scene.doubt(), (0..20).collect::<Vec<Slot>>());
    scene.guard.answered(scene.began + 9 * SECOND);
    assert!((0..20).all(|slot| scene.guard.passed(slot)) && scene.guard.is_watching());
}

#[test]
fn an_answer_while_checks_settle_reports_what_was_found_since_the_first() {
    let mut scene = settling();
    scene.report(0..10, 6);
    assert_eq!(scene.turn(10, 6), Turn::Ask);
    assert_eq!(scene.turn(11, 4), Turn::Hold, "found without the link");
    assert_eq!(scene.turn(12, 6), Turn::Hold);
    let all = scene.guard.answered(scene.began + 7 * SECOND);
    assert_eq!(sorted(all.iter().map(|(slot, _)| *slot)), [10, 12]);
    assert!(scene.guard.is_holding());
    assert_eq!(scene.turn(13, 8), reported(13), "what was asked about once is not counted again");
    assert_eq!(scene.guard.held().len(), 7);
    scene.guard.passed(11);
    assert!((14..20).all(|slot| scene.guard.passed(slot)));
    assert!(scene.guard.is_watching());
}

#[test]
fn what_is_held_keeps_its_former_status_and_its_newest_failure() {
    let mut scene = Scene::of_addresses(10);
    scene.report(0..9, 0);
    let at = Probed { interval: 10 * SECOND, began: scene.began, ended: scene.began };
    let warned = Held { former: CheckStatus::Warning, ..failure(9) };
    assert_eq!(scene.guard.turn(9, warned.clone(), at), Turn::Ask);
    let newest = Held { former: CheckStatus::Passing, ..failure(99) };
    assert_eq!(scene.guard.turn(9, newest.clone(), at), Turn::Hold);
    let shown = scene.guard.doubt();
    let (_, held) = shown.into_iter().find(|(slot, _)| *slot == 9).unwrap();
    assert_eq!(held, Held { former: CheckStatus::Warning, ..newest });
}

#[test]
fn who_passes_is_held_no_more_and_the_last_one_ends_it() {
    let mut scene = Scene::of_addresses(10);
    scene.report(0..9, 0);
    scene.turn(9, 0);
    scene.doubt();
    assert!(scene.guard.passed(0) && !scene.guard.passed(0));
    assert!(scene.guard.is_holding());
    for slot in 1..9 {
        assert!(scene.guard.passed(slot));
    }
    scene.guard.forget(9);
    assert!(scene.guard.is_watching(), "the last one was deregistered");
    // All of it may happen again.
    scene.guard.watch(9, "192.0.2.10:80", &definition(CheckKind::Tcp(tcp_check()), 10 * SECOND, SECOND));
    scene.report(0..9, 2);
    assert_eq!(scene.turn(9, 2), Turn::Ask);
}

#[test]
fn who_passes_in_between_does_not_count() {
    let mut scene = Scene::of_addresses(20);
    scene.report(0..10, 0);
    assert!(!scene.guard.passed(0));
    assert_eq!(scene.turn(10, 1), reported(10));
    assert_eq!(scene.turn(0, 1), Turn::Ask);
}

#[test]
fn checks_that_go_are_counted_no_more() {
    let mut scene = Scene::of_addresses(20);
    scene.report(0..9, 0);
    for slot in 10..20 {
        scene.guard.forget(slot);
    }
    assert_eq!(scene.guard.counted(), 10);
    assert_eq!(scene.turn(9, 0), Turn::Ask);
}

#[test]
fn another_definition_counts_afresh() {
    let mut scene = Scene::of_addresses(10);
    scene.report(0..9, 0);
    scene.guard.watch(0, "127.0.0.1:80", &definition(CheckKind::Tcp(tcp_check()), SECOND, SECOND));
    assert_eq!(scene.guard.counted(), 9);
    assert_eq!(scene.turn(9, 0), reported(9), "nine are too few");
}

#[track_caller]
fn check_address(target: &str, kind: CheckKind, expected: Option<Address>) {
    assert_eq!(address(target, &kind), expected, "{target}");
}

#[test]
fn the_address_is_the_targets_host() {
    let ip = |text: &str| Some(Address::Ip(text.parse().unwrap()));
    let name = |text: &str| Some(Address::Name(text.to_owned()));
    let http = || CheckKind::Http(Box::new(http_check()));
    check_address("http://192.0.2.1:8080/health?a=b", http(), ip("192.0.2.1"));
    check_address("https://user:word@[2001:db8::1]/", http(), ip("2001:db8::1"));
    check_address("http://Web.Example./", http(), name("web.example"));
    check_address("http://127.1.2.3:80", http(), None);
    check_address("192.0.2.1:50051/web", CheckKind::Grpc(tcp_check()), ip("192.0.2.1"));
    check_address("[::ffff:192.0.2.1]:80", CheckKind::Redis, ip("192.0.2.1"));
    check_address("[fe80::1%eth0]:80", CheckKind::Udp, ip("fe80::1"));
    check_address("0.0.0.0:80", CheckKind::MySql, None);
    check_address("2001:db8::1", CheckKind::Icmp, ip("2001:db8::1"));
    check_address("gateway.example", CheckKind::Icmp, name("gateway.example"));
    check_address("web.service", CheckKind::Systemd, None);
    check_address("192.0.2.1:80", CheckKind::External, None);
}
