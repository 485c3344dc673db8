//! What must hold of queries and answers for any bytes. Taken in by the fuzz targets and by plain `cargo test`, which
//! replays seeds and regressions. Names and zone files have theirs in `oracles.rs`.

use std::{net::IpAddr, sync::OnceLock};

use nameplate::{publish::snapshot::Snapshot, wire::query::Query, zones::Zones};

use crate::{
    engine::{ask, follow, load_zones, publish},
    reference::{
        answer::{expect, udp_cap},
        check::check,
        gate::{Gate, gate},
        generate,
        queries::Questions,
        rng::Rng,
        tree::Forest,
        world::{Asker, PlainZone, World},
        zones,
    },
};

/// A query is read as the reference answerer reads it.
pub fn message(bytes: &[u8]) {
    let mut read = Query::NONE;
    let is_read = read.read(bytes);
    assert_eq!(is_read, bytes.len() >= 12, "a header is all that is needed");
    let (true, Gate::Pass(wanted)) = (is_read, gate(bytes, true)) else { return };
    assert!(!read.malformed && read.edns.is_none_or(|edns| !edns.malformed), "a query without fault");
    let question = read.question().expect("it has a question");
    assert_eq!((question.rtype, question.class), (wanted.qtype, wanted.class));
    assert_eq!(read.header.opcode, wanted.opcode);
    assert_eq!(read.edns.map(|edns| (edns.payload, edns.dnssec_ok)), wanted.opt.map(|opt| (opt.size, opt.dnssec_ok)));
}

/// Any bytes get what the reference answerer accepts. The first three choose world and client.
pub fn respond(bytes: &[u8]) {
    let Some((choice, query)) = bytes.split_first_chunk::<3>() else { return };
    let worlds = worlds();
    let (world, forest, snapshot) = &worlds[usize::from(choice[0]) % worlds.len()];
    let clients: [IpAddr; 4] =
        [[127, 0, 0, 1].into(), [192, 0, 2, 9].into(), [172, 17, 0, 9].into(), [10, 1, 2, 3].into()];
    let address = clients[usize::from(choice[1]) % clients.len()];
    let asker = Asker {
        address,
        suspect: false,
        tcp: choice[2] & 1 != 0,
        udp_cap: udp_cap(&world.settings, address),
        may_recurse: world.settings.forwarding
            && world.settings.allow_recursion.iter().any(|network| network.contains(address)),
    };
    let actual = ask(snapshot, &asker, query, u64::from(choice[2]));
    if let Err(reason) = check(&expect(world, forest, &asker, query), &actual) {
        panic!("{reason}\n{query:02x?}\n{actual:02x?}");
    }
}

/// Any sequence of changes, followed one by one, gives what a rebuild gives: both are what the reference accepts.
pub fn catalog(bytes: &[u8]) {
    let mut rng = Rng::from_bytes(bytes);
    let settings = generate::plain_settings();
    let changes = generate::changes(&mut rng, &settings);
    let empty = World::of(&generate::empty_state(), &settings, Vec::new());
    let (state, followed) = follow(&changes, &empty, Zones::default());
    let world = World::of(&state, &settings, Vec::new());
    for (entry, service) in state.services().flat_map(|service| service.instances().map(move |entry| (entry, service)))
    {
        assert_eq!(entry.instance.service, service.name);
        assert!(state.node(&entry.instance.node).is_some(), "an instance has a node");
    }
    let forest = Forest::of(&world);
    questions((&world, &forest), &followed, &mut rng.clone(), 30);
    questions((&world, &forest), &publish(&state, &world, Zones::default()), &mut rng, 30);
}

/// Asks some questions.
fn questions((world, forest): (&World, &Forest), snapshot: &Snapshot, rng: &mut Rng, count: usize) {
    let questions = Questions::new(world, forest);
    for _ in 0..count {
        let asked = questions.draw(rng);
        let actual = ask(snapshot, &asked.asker, &asked.bytes, rng.next());
        if let Err(reason) = check(&expect(world, forest, &asked.asker, &asked.bytes), &actual) {
            panic!("{}: {reason}\n{actual:02x?}", asked.text);
        }
    }
}

/// A few worlds that stay the same.
fn worlds() -> &'static [(World, Forest, Snapshot)] {
    static WORLDS: OnceLock<Vec<(World, Forest, Snapshot)>> = OnceLock::new();
    WORLDS.get_or_init(|| {
        let draw = |seed| {
            let world = generate::draw(&mut Rng::new(seed));
            let text = |zone: &PlainZone| (zone.origin.to_string(), zones::text(zone));
            let texts: Vec<(String, String)> = world.world.zones.iter().map(text).collect();
            let texts = texts.iter().map(|(origin, text)| (origin.as_str(), text.clone()));
            let zones = load_zones(texts, &world.world.settings).expect("drawn zones have no errors");
            let snapshot = publish(&world.state, &world.world, zones);
            (world.world.clone(), Forest::of(&world.world), snapshot)
        };
        (0..8).map(draw).collect()
    })
}
