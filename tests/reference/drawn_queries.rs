//! Random prepared queries, some of them templates.

use nameplate::{
    catalog::names::Text,
    kv::{
        query::{Query, Template},
        template::Expression,
    },
};

use super::{generate::SERVICES, rng::Rng};

/// Draws a few queries, no two of one name.
pub fn draw(rng: &mut Rng) -> Vec<Query> {
    let mut queries: Vec<Query> = Vec::new();
    for at in 0..rng.below(7) {
        let query = draw_one(rng, at);
        let same = |other: &Query| {
            other.template.is_some() == query.template.is_some()
                && other.name.to_lowercase() == query.name.to_lowercase()
        };
        if !queries.iter().any(same) {
            queries.push(query);
        }
    }
    queries
}

fn draw_one(rng: &mut Rng, at: usize) -> Query {
    let is_template = rng.one_in(3);
    let some = |rng: &mut Rng, of: &[&str], chance: usize| -> Vec<Text> {
        of.iter().filter(|_| rng.one_in(chance)).map(|text| Text::from(*text)).collect()
    };
    let pair = |rng: &mut Rng, key: &str, value: &str| {
        let pairs = rng.one_in(6).then(|| vec![(Text::from(key), Text::from(value))]);
        pairs.unwrap_or_default()
    };
    let template = is_template.then(|| Template {
        regexp: Expression::new(Text::from(*rng.pick(&EXPRESSIONS))).expect("an expression"),
        remove_empty_tags: rng.one_in(2),
    });
    let tags = match (rng.below(3), is_template) {
        (0, true) => some(rng, &TEMPLATE_TAGS, 3),
        (1, _) => some(rng, &TAGS, 4),
        _ => Vec::new(),
    };
    let filled = ["${match(1)}", "${name.suffix}", "${ name.full }", "web", "${match(2)}${match(3)}"];
    let service = match (is_template, rng.one_in(8)) {
        (true, _) => *rng.pick(&filled),
        (false, true) => "nobody",
        (false, false) => *rng.pick(&SERVICES),
    };
    Query {
        id: Text::from(format!("6e9c1a4e-0000-4000-8000-00000000000{at}")),
        name: Text::from(if is_template { *rng.pick(&PREFIXES) } else { *rng.pick(&NAMES) }),
        template,
        service: Text::from(service),
        tags,
        only_passing: rng.one_in(4),
        ignore_check_ids: if rng.one_in(5) { some(rng, &CHECKS, 2) } else { Vec::new() },
        node_meta: pair(rng, "os", "linux"),
        service_meta: pair(rng, "version", if is_template { "${match(2)}" } else { "1.2" }),
        dns_ttl: rng.one_in(3).then(|| (*rng.pick(&[0, 3, 600]), Text::from("3s"))),
        ..Query::default()
    }
}

const NAMES: [&str; 12] =
    ["", "q", "Web", "a.b", "c.a.b", "b", "_x", "_y._tcp", "x y", "geo-web", "dc1", "nobody.here"];

const PREFIXES: [&str; 5] = ["", "geo-", "Geo-x", "geo.", "_"];

const EXPRESSIONS: [&str; 6] =
    ["", "^geo-(.*)$", "^geo.x?-?(([a-z]+)(\\.[a-z]+)?)$", "(web)|(api)", "^(.*?)-([^-.]+)$", "^[^.]*\\.(.*)$"];

const TAGS: [&str; 6] = ["blue", "!blue", "PRIMARY", "!v1.2", "udp", "!"];

const TEMPLATE_TAGS: [&str; 4] = ["${match(2)}", "!${match(2)}", "${name.suffix}", "$${x}"];

const CHECKS: [&str; 6] = ["check::0", "check::1", "check:web-0:0", "check:web-1:0", "check:api-0:1", "check:db-0:0"];
