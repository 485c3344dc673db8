//! Drives zones, build and `respond` directly, without sockets.

use std::{path::Path, sync::Arc};

use nameplate::{
    access::{
        Realm,
        directory::{Directory, HashKey},
    },
    answer::{Buffer, Client, Need, Trail, Transport, Verdict, respond},
    catalog::{change::Change, state::State, table::Seed},
    kv::{
        query::{Query, QueryEntry},
        store::{Store, Stored},
    },
    publish::{names::Names, plan::Plan, settings::Settings, snapshot::Snapshot},
    zones::{ZoneContext, Zones, check_text},
};

use super::reference::{
    check::Actual,
    world::{Asker, PlainRecord, PlainZone, World},
};

/// Reads zone files, given as origin and text.
pub fn load_zones<'a>(
    texts: impl IntoIterator<Item = (&'a str, String)>,
    settings: &Settings,
) -> Result<Zones, String> {
    let context = ZoneContext {
        domain: settings.domain.clone(),
        alt_domains: settings.alt_domains.clone(),
        datacenter: settings.datacenter.clone(),
        previous: Zones::default(),
    };
    let mut zones = Vec::new();
    for (origin, text) in texts {
        let file = format!("/zones/{}.zone", origin.trim_end_matches('.'));
        let report = check_text(Path::new(&file), text.as_bytes(), &context);
        zones.push(report.zone.ok_or_else(|| format!("{:#?}", report.problems))?);
    }
    Ok(Zones::new(zones))
}

/// The zones as the reference answerer wants them.
pub fn plain_zones(zones: &Zones) -> Vec<PlainZone> {
    let mut plain: Vec<PlainZone> = Vec::new();
    for zone in zones.iter() {
        let mut records = Vec::new();
        let soa = zone.soa().into_iter().filter(|_| zone.is_domain()).map(|soa| (zone.origin(), &soa.rrset));
        let sets = zone.nodes().flat_map(|node| node.rrsets().iter().map(move |set| (node.owner(), set)));
        for (owner, set) in sets.chain(soa) {
            records.extend(set.rdatas.iter().map(|rdata| PlainRecord {
                owner: owner.clone(),
                rtype: set.rtype,
                ttl: set.ttl_secs,
                rdata: rdata.to_vec(),
            }));
        }
        plain.push(PlainZone { origin: zone.origin().clone(), records });
    }
    plain.sort_by(|a, b| a.origin.cmp(&b.origin));
    plain
}

/// A snapshot of a catalog, built from nothing.
pub fn publish(state: &State, world: &World, zones: Zones) -> Snapshot {
    let names = Names::build(state, &world.settings);
    snapshot(state.clone(), names, world, zones)
}

/// Applies changes one by one, the names following each; gives the catalog and its snapshot.
pub fn follow(changes: &[Change], world: &World, zones: Zones) -> (State, Snapshot) {
    let mut state = State::new(Seed(1), 1);
    let mut names = Names::build(&state, &world.settings);
    for change in changes {
        let effects = state.apply(change.clone()).expect("drawn changes fit");
        names.follow(&effects, &world.settings);
    }
    (state.clone(), snapshot(state, names, world, zones))
}

fn snapshot(catalog: State, names: Names, world: &World, zones: Zones) -> Snapshot {
    Snapshot {
        plan: Arc::new(Plan::new(&world.settings, &zones, Seed(1))),
        catalog,
        realm: Arc::new(Realm::of(Directory::new(Seed(1), HashKey([1; 16])))),
        store: store(&world.queries),
        names,
        settings: Arc::new(world.settings.clone()),
        zones: Arc::new(zones),
        held: None,
        sources: world.sources.clone().into(),
        machines: Arc::default(),
        serial: world.serial,
    }
}

fn store(queries: &[Query]) -> Store {
    let entry = |query: &Query| QueryEntry { query: Arc::new(query.clone()), create_index: 1, modify_index: 1 };
    let queries = queries.iter().map(entry).collect();
    Store::restore(Seed(1), 1, Stored { queries, ..Stored::default() })
}

/// Asks, and tells what was done.
pub fn ask(snapshot: &Snapshot, asker: &Asker, query: &[u8], random: u64) -> Actual {
    let mut buffer = if asker.tcp { Buffer::tcp() } else { Buffer::udp() };
    buffer.bytes_mut()[..query.len()].copy_from_slice(query);
    let client = Client {
        address: asker.address,
        port: if asker.suspect && random & 1 == 0 { 0 } else { 5353 },
        own_listener: asker.suspect && random & 1 != 0,
        transport: if asker.tcp { Transport::Tcp } else { Transport::Udp },
        random,
        trail: Trail::NONE,
    };
    match respond(snapshot, &mut buffer, query.len(), &client) {
        Verdict::Response(length) => Actual::Sent(buffer.bytes()[..length].to_vec()),
        Verdict::Drop => Actual::Dropped,
        Verdict::Slow(slow) => match slow.need {
            Need::Forward => Actual::Forwarded,
            Need::Resolve { name, .. } => Actual::Resolves(name.as_wire().to_vec()),
        },
    }
}
