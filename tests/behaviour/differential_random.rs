//! The engine gives what the reference answerer accepts, for random catalogs and random questions.
//!
//! Time budget: 30 s. `WORLDS=n` draws more worlds, `FROM=n` others. `SEED=n` repeats one world, `ASK=hex` (of the bytes) then
//! shows all about a question, `SKIP=text` leaves out questions whose description contains it.

use std::{
    collections::BTreeMap,
    env,
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    thread,
};

use super::{
    engine::{ask, follow, load_zones, publish},
    reference::{
        answer::expect,
        check::{Actual, check},
        expected::Expected,
        generate::draw,
        parse::parse,
        queries::Questions,
        rng::Rng,
        tree::Forest,
        zones::text,
    },
};

/// Counts what was drawn, by form of name and by outcome.
#[derive(Debug, Default)]
struct Tally {
    drawn: BTreeMap<String, usize>,
    failures: BTreeMap<String, (usize, String)>,
}

/// Which questions of a world are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    All,
    /// Those whose form or outcome was not drawn often enough yet.
    Rare,
}

impl Tally {
    fn is_rare(&self, what: &str) -> bool {
        WANTED.contains(&what) && self.drawn.get(what).copied().unwrap_or(0) < DRAWN_MIN
    }

    fn count(&mut self, expected: &Expected, actual: &Actual) {
        for what in traits(expected, actual) {
            *self.drawn.entry(what).or_default() += 1;
        }
    }

    fn fail(&mut self, form: &str, reason: String, text: String) {
        // Numbers differ from case to case; the words tell cases apart.
        let kind: String = reason.chars().filter(|c| c.is_ascii_alphabetic() || *c == ' ').take(70).collect();
        let example = format!("{form}: {reason}\n    {text}");
        self.failures.entry(kind).or_insert((0, example)).0 += 1;
    }

    fn add(&mut self, other: Tally) {
        for (what, count) in other.drawn {
            *self.drawn.entry(what).or_default() += count;
        }
        for (kind, (count, example)) in other.failures {
            self.failures.entry(kind).or_insert((0, example)).0 += count;
        }
    }
}

/// What a question and its response are counted as.
fn traits(expected: &Expected, actual: &Actual) -> Vec<String> {
    let (form, outcome) = class(expected);
    let mut traits = vec![form.to_owned(), outcome];
    if let Actual::Sent(bytes) = actual
        && let Ok(parsed) = parse(bytes)
    {
        if parsed.flags & 0x0200 != 0 {
            traits.push("truncated".to_owned());
        }
        if parsed.sections[2].iter().any(|rr| rr.rtype == 1) {
            traits.push("additional A".to_owned());
        }
        traits.extend(parsed.sections[0].iter().map(|rr| format!("type {}", rr.rtype)));
    }
    traits.sort();
    traits.dedup();
    traits
}

/// The form and the outcome of what is expected.
fn class(expected: &Expected) -> (&'static str, String) {
    match expected {
        Expected::Drop => ("drop", "drop".into()),
        Expected::Forward => ("forward", "forward".into()),
        Expected::HostName(_) => ("host name to resolve", "slow".into()),
        Expected::Chase(_) => ("chain to chase", "slow".into()),
        Expected::AnyOf(all) => class(all.first().expect("something is accepted")),
        Expected::Response(response) => {
            let outcome = match (response.rcode, response.answer.is_empty() && response.chain.is_empty()) {
                (0, false) => "positive".into(),
                (0, true) if response.form == "referral" => "referral".into(),
                (0, true) => "NODATA".into(),
                (rcode, _) => format!("RCODE {rcode}"),
            };
            (response.form, outcome)
        }
    }
}

#[test]
fn the_engine_gives_what_the_reference_accepts() {
    let number = |name| env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let one = number("SEED");
    let first = one.or(number("FROM")).unwrap_or(0);
    let end = first + if one.is_some() { 1 } else { number("WORLDS").unwrap_or(WORLDS) };
    let mut tally = compare_worlds(first..end);
    // Further worlds for what is seldom drawn, until there is enough of it.
    for seed in end..end + FURTHER_WORLDS_MAX {
        if one.is_some() || !tally.failures.is_empty() || WANTED.iter().all(|what| !tally.is_rare(what)) {
            break;
        }
        compare_world(seed, &mut tally, Which::Rare);
    }
    let failed: usize = tally.failures.values().map(|(count, _)| count).sum();
    let list: Vec<String> =
        tally.failures.iter().map(|(kind, (count, example))| format!("{count} x {kind}\n    {example}")).collect();
    assert!(failed == 0, "{}\n{failed} differ in {} kinds", list.join("\n"), list.len());
    if one.is_none() {
        for what in WANTED {
            let drawn = tally.drawn.get(what).copied().unwrap_or(0);
            assert!(drawn >= DRAWN_MIN, "{what:?} was drawn {drawn} times only: {:#?}", tally.drawn);
        }
    }
}

/// Compares worlds on two threads, since most other tests wait.
fn compare_worlds(seeds: Range<u64>) -> Tally {
    let share = &|first: usize| {
        let mut tally = Tally::default();
        for seed in seeds.clone().skip(first).step_by(THREADS) {
            compare_world(seed, &mut tally, Which::All);
        }
        tally
    };
    let mut tally = Tally::default();
    thread::scope(|scope| {
        let shares: Vec<_> = (0..THREADS).map(|first| scope.spawn(move || share(first))).collect();
        shares.into_iter().for_each(|share| tally.add(share.join().expect("panics of the engine are caught")));
    });
    tally
}

fn compare_world(seed: u64, tally: &mut Tally, which: Which) {
    let mut rng = Rng::new(seed);
    let drawn = draw(&mut rng);
    let forest = Forest::of(&drawn.world);
    let texts: Vec<(String, String)> =
        drawn.world.zones.iter().map(|zone| (zone.origin.to_string(), text(zone))).collect();
    let texts = texts.iter().map(|(origin, text)| (origin.as_str(), text.clone()));
    let zones = load_zones(texts, &drawn.world.settings).expect("drawn zones have no errors");
    // Half of the snapshots follow change by change, half are built from nothing: both must be right.
    let snapshot = match seed % 2 {
        0 => publish(&drawn.state, &drawn.world, zones),
        _ => follow(&drawn.changes, &drawn.world, zones).1,
    };
    let questions = Questions::new(&drawn.world, &forest);
    for _ in 0..QUESTIONS {
        // The types that static zones alone have are asked for in every other world more.
        let asked = match which {
            Which::Rare if seed.is_multiple_of(2) => questions.draw_of(&mut rng, &[15, 257]),
            _ => questions.draw(&mut rng),
        };
        let expected = expect(&drawn.world, &forest, &asked.asker, &asked.bytes);
        let random = rng.next();
        let outcome = catch_unwind(AssertUnwindSafe(|| ask(&snapshot, &asked.asker, &asked.bytes, random)));
        let Ok(actual) = outcome else {
            tally.fail("panic", "the engine panicked".into(), format!("SEED={seed} {}", asked.text));
            continue;
        };
        if which == Which::Rare && !traits(&expected, &actual).iter().any(|what| tally.is_rare(what)) {
            continue;
        }
        tally.count(&expected, &actual);
        if env::var("ASK").is_ok_and(|wanted| asked.text.contains(&wanted)) {
            let parsed = match &actual {
                Actual::Sent(bytes) => format!("{:#?}", parse(bytes)),
                other => format!("{other:?}"),
            };
            println!("{:#?}\n{}\n{expected:#?}\n{actual:?}\n{parsed}", drawn.world, asked.text);
        }
        if env::var("SKIP").is_ok_and(|left_out| asked.text.to_lowercase().contains(&left_out)) {
            continue;
        }
        if let Err(reason) = check(&expected, &actual) {
            tally.fail(class(&expected).0, reason, format!("SEED={seed} {}", asked.text));
        }
    }
}

/// Worlds that are compared in full.
const WORLDS: u64 = 160;

/// Threads that compare.
const THREADS: usize = 2;

/// Questions to each world.
const QUESTIONS: usize = 500;

/// Where the search for what is seldom drawn ends.
const FURTHER_WORLDS_MAX: u64 = 300;

/// Fewest times that each form, outcome and type must be drawn.
const DRAWN_MIN: usize = 100;

/// Forms of names, outcomes, and types of records in answers.
const WANTED: [&str; 61] = [
    "S.service",
    "S.service.P.port",
    "S.D",
    "_S._T",
    "_S._T.service",
    "_S._tcp.service",
    "_S._udp.service",
    "_P._tcp.S.service",
    "I._id.S.service",
    "T.S.service",
    "Q.query",
    "bare",
    "bare unknown",
    "node",
    "addr",
    "apex",
    "ns",
    "empty",
    "missing",
    "reverse",
    "reserved",
    "localhost",
    "chaos",
    "static",
    "chain",
    "referral",
    "foreign",
    "forward",
    "gate",
    "not allowed",
    "notify",
    "update",
    "drop",
    "host name",
    "host name to resolve",
    "chain to chase",
    "empty zone",
    "slow",
    "positive",
    "NODATA",
    "RCODE 1",
    "RCODE 2",
    "RCODE 3",
    "RCODE 4",
    "RCODE 5",
    "RCODE 9",
    "RCODE 16",
    "truncated",
    "additional A",
    "type 1",
    "type 2",
    "type 5",
    "type 6",
    "type 12",
    "type 15",
    "type 16",
    "type 28",
    "type 33",
    "type 65",
    "type 257",
    "chain leaves",
];
