//! A service of 100,000 instances, of which answers have three, against a service of three, which is always the same, and
//! against one of very many such services; and what a record more costs in an answer that is full at 1,232 bytes.

use anyhow::Result;

use super::{Bench, register};
use crate::{
    catalog::{Edns, Group, Kind, Queries},
    rounds::{Entrant, alternate},
    server::Server,
    tally::Checking,
    verify::verify,
};

pub fn run(bench: &mut Bench) -> Result<()> {
    let server = Server::nameplate(bench.cores, "[service.\"big0\"]\nmax_answers = 3\n")?;
    for group in [BIG, HUGE, SMALL, TEN, FULL, MANY] {
        register(&server, group, group.places())?;
    }
    for group in [SMALL, TEN, FULL] {
        verify(&server, &group, &[Kind::A])?;
    }
    let only_a = |group: &Group| Queries::only(group, Kind::A, Edns::With);
    let few = only_a(&BIG).with_answers(3);
    let queries = [only_a(&SMALL), few, only_a(&TEN), only_a(&FULL), only_a(&HUGE), only_a(&MANY)];
    let keys = ["3 of 3", "3 of 100000", "10 of 10", "70 of 70", "full of 100000", "3 of 33333 x 3"];
    let mut entrants: Vec<Entrant<'_>> =
        keys.iter().zip(&queries).map(|(key, queries)| Entrant::new((*key).to_owned(), &server, queries)).collect();
    entrants[4].checking = Checking::Cut;
    let outcomes = alternate(&entrants, bench.plan, &mut bench.results)?;
    let (ten, full) = (outcomes[2].user_micros, outcomes[3].user_micros);
    let more = f64::from(FULL.instances_each - TEN.instances_each);
    bench.results.tell("record more ns", (full - ten) * 1e3 / more, "ns of user time");
    let cut = &outcomes[4];
    let counts = cut.tally.kinds[Kind::A as usize];
    let records = counts.sections[0] as f64 / counts.responses as f64;
    bench.results.tell("record sampled ns", cut.user_micros * 1e3 / records, "ns of user time");
    Ok(())
}

const fn group(prefix: &'static str, instances_each: u32, first_address: u32) -> Group {
    Group { prefix, services: 1, instances_each, first_address }
}

const BIG: Group = group("big", 100_000, 0);
/// All of its instances may be in an answer; they don't fit.
pub const HUGE: Group = group("huge", 100_000, 200_000);
const SMALL: Group = group("small", 3, 400_000);
const TEN: Group = group("ten", 10, 400_100);
/// As many instances as [`BIG`] has, in services of three, of which each query asks for one at random: what it costs that
/// they don't all fit into the caches, whatever it is that finds them.
const MANY: Group = Group { prefix: "many", services: 33_333, instances_each: 3, first_address: 500_000 };
/// As many A records as fit, but for a few.
const FULL: Group = group("full", 70, 400_200);
