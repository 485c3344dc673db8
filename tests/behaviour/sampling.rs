//! What single answers cannot show: that order and samples follow the weights, and that SRV samples stay the same.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use nameplate::{publish::snapshot::Snapshot, wire::name::Name, zones::Zones};

use super::{
    engine::{ask, publish},
    reference::{
        answer::udp_cap,
        check::Actual,
        parse::{Parsed, parse},
        world::{Asker, World},
    },
    stage::Stage,
};

/// A snapshot after these commands.
fn staged(commands: &str) -> Snapshot {
    let mut stage = Stage::new();
    for command in commands.lines().filter(|line| !line.is_empty()) {
        let (verb, arguments) = command.split_once(' ').unwrap();
        stage.run(verb, arguments).unwrap();
    }
    publish(&stage.state, &World::of(&stage.state, &stage.settings, Vec::new()), Zones::default())
}

fn asked(snapshot: &Snapshot, client: &str, tcp: bool, qtype: u16, random: u64) -> Parsed {
    let address = client.parse().unwrap();
    let asker =
        Asker { address, suspect: false, tcp, udp_cap: udp_cap(&snapshot.settings, address), may_recurse: false };
    let name = Name::parse("web.service.example.").unwrap();
    let mut query = vec![0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    query.extend_from_slice(name.as_wire());
    query.extend(qtype.to_be_bytes());
    query.extend([0, 1, 0, 0, 41, 4, 0xd0, 0, 0, 0, 0, 0, 0]);
    match ask(snapshot, &asker, &query, random) {
        Actual::Sent(bytes) => parse(&bytes).unwrap(),
        other => panic!("{other:?}"),
    }
}

fn instances(count: usize) -> String {
    let mut commands = String::new();
    for at in 0..count {
        let (high, low) = (at / 250, 1 + at % 250);
        writeln!(commands, "register web id=web-{at} address=127.1.{high}.{low} port=80").unwrap();
    }
    commands
}

/// Random numbers that differ in all their bits.
fn randoms(count: u64) -> impl Iterator<Item = u64> {
    (1..=count).map(|at| at.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(17).wrapping_mul(0xbf58_476d_1ce4_e5b9))
}

#[test]
fn the_first_address_follows_the_weights() {
    let snapshot = staged(
        "register web id=a address=192.0.2.1 weight=6\nregister web id=b address=192.0.2.2 weight=3\n\
         register web id=c address=192.0.2.3 weight=1\nregister web id=d address=192.0.2.4 weight=0",
    );
    let mut first: BTreeMap<u8, u32> = BTreeMap::new();
    for random in randoms(10_000) {
        let answer = asked(&snapshot, "192.0.2.9", false, 1, random);
        *first.entry(answer.sections[0][0].rdata[3]).or_default() += 1;
        assert_eq!(answer.sections[0][3].rdata[3], 4, "weight 0 comes last");
    }
    // Five standard deviations are less than 250.
    for (octet, wanted) in [(1, 6_000), (2, 3_000), (3, 1_000)] {
        assert!(first[&octet].abs_diff(wanted) < 250, "{first:?}");
    }
}

#[test]
fn a_sample_of_max_answers_takes_everyone_in_turn() {
    let snapshot = staged(&format!("{}settings max_answers=3", instances(60)));
    let mut seen: BTreeMap<Vec<u8>, u32> = BTreeMap::new();
    for random in randoms(4_000) {
        let answer = asked(&snapshot, "192.0.2.9", false, 1, random);
        assert_eq!(answer.sections[0].len(), 3);
        for rr in &answer.sections[0] {
            *seen.entry(rr.rdata.clone()).or_default() += 1;
        }
    }
    // 200 each are expected; five standard deviations are 70.
    assert_eq!(seen.len(), 60);
    assert!(seen.values().all(|count| count.abs_diff(200) < 80), "{seen:?}");
}

#[test]
fn srv_that_does_not_fit_is_the_same_sample_for_a_client() {
    let snapshot = staged(&instances(200));
    let sample = |client: &str, random| -> BTreeSet<Vec<u8>> {
        asked(&snapshot, client, false, 33, random).sections[0].iter().map(|rr| rr.rdata.clone()).collect()
    };
    let mut samples = BTreeSet::new();
    for host in 1..=40 {
        let client = format!("192.0.2.{host}");
        let mut own: BTreeSet<_> = randoms(10).map(|random| sample(&client, random)).collect();
        assert_eq!(own.len(), 1, "one sample for {client}");
        samples.append(&mut own);
    }
    assert!(samples.len() > 10, "clients have different samples");
    let union: BTreeSet<_> = samples.into_iter().flatten().collect();
    assert!(union.len() > 150, "together they see nearly everyone: {}", union.len());
}

#[test]
fn a_sample_that_stays_the_same_loses_no_more_than_two_when_one_member_comes_or_goes() {
    // Of 200 members a client sees 20 or so: others come one by one, then go.
    let joining = (0..25).map(|at| format!("register web id=new-{at} address=127.2.0.{at} port=80"));
    let leaving = (0..25).map(|at| format!("deregister new-{at}"));
    let mut commands = instances(200);
    let clients: Vec<_> = (1..=40).map(|host| format!("192.0.2.{host}")).collect();
    let samples = |commands: &str| -> Vec<BTreeSet<Vec<u8>>> {
        let snapshot = staged(commands);
        let sample = |client: &String| {
            asked(&snapshot, client, false, 33, 1).sections[0].iter().map(|rr| rr.rdata.clone()).collect()
        };
        clients.iter().map(sample).collect()
    };
    let mut before = samples(&commands);
    for change in joining.chain(leaving) {
        writeln!(commands, "{change}").unwrap();
        let after = samples(&commands);
        for ((client, before), after) in clients.iter().zip(&before).zip(&after) {
            let lost = before.difference(after).count();
            assert!(lost <= 2, "{client} after {change}: {lost} of {} are lost", before.len());
        }
        before = after;
    }
}

#[test]
fn over_tcp_what_does_not_fit_is_told_without_tc() {
    let snapshot = staged(&instances(5_000));
    let answer = asked(&snapshot, "192.0.2.9", true, 1, 7);
    let count = answer.sections[0].len();
    assert!((4_000..5_000).contains(&count), "{count}");
    assert_eq!(answer.flags & 0x0200, 0);
    let errors: Vec<_> = answer.opt.unwrap().options.into_iter().filter(|(code, _)| *code == 15).collect();
    assert_eq!(errors.len(), 1);
    assert_eq!(String::from_utf8_lossy(&errors[0].1[2..]), format!("{count} of 5000"));
}
