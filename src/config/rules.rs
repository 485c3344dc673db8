//! What settings must be together.

use super::{
    Config, Forward, access, docker, http,
    layer::{Given, Item},
    problem::{ConfigProblem, Place},
    read::Reader,
};
use crate::wire::name::{NAME_MAX_BYTES, Name};

/// Adds what contradicts itself to the reader's problems, and what is likely a mistake to the warnings.
pub(super) fn check(config: &Config, reader: &mut Reader, warnings: &mut Vec<ConfigProblem>) {
    warnings.extend(docker::warning(&config.docker, &config.inputs));
    warnings.extend(http::warning(config, reader));
    warnings.extend(access::warning(config, reader));
    check_domains(config, reader, warnings);
    check_tables(config, reader);
    check_forwarding(config, reader, warnings);
    if config.dns.is_empty() {
        report(reader, "dns", "expected at least one ADDR:PORT");
    }
    if let Some(twice) = duplicate(&config.dns) {
        report(reader, "dns", &format!("{twice} stands twice"));
    }
    if config.dns.contains(&config.http) && config.http.port() != 0 {
        report(reader, "http", &format!("{} is an address for DNS already; choose another port", config.http));
    }
    if config.stale_max < config.stale_after {
        report(reader, "stale_max", "expected at least stale_after");
    }
}

fn check_domains(config: &Config, reader: &mut Reader, warnings: &mut Vec<ConfigProblem>) {
    let mut warn = |reader: &Reader, key: &str, problem: String| {
        warnings.push(ConfigProblem { place: reader.place(key), key: Some(key.to_owned()), problem });
    };
    if config.alt_domains.contains(&config.domain) {
        report(reader, "alt_domain", &format!("{} is the domain itself; leave it out", config.domain));
    }
    if let Some(twice) = duplicate(&config.alt_domains) {
        report(reader, "alt_domain", &format!("{twice} stands twice"));
    }
    for (index, alt) in config.alt_domains.iter().enumerate() {
        let others = config.alt_domains.iter().take(index).chain([&config.domain]).filter(|other| *other != alt);
        for other in others.filter(|other| alt.is_at_or_below(other) || other.is_at_or_below(alt)) {
            let problem = format!("{alt} and {other} overlap: names below both are read as names of the longer one");
            warn(reader, "alt_domain", problem);
        }
    }
    let own = |name: &Name| *name == config.domain || config.alt_domains.contains(name);
    let mut of_skydns = config.cluster.skydns.iter().flat_map(|_| &config.cluster.skydns_domains);
    if let Some(taken) = of_skydns.find(|name| own(name)) {
        report(reader, "skydns_domain", &format!("{taken} is a domain of ours; they need different names"));
    }
    // `<node>.node.<datacenter>.<domain>`, the longest name that SRV records point at.
    let room = NAME_MAX_BYTES - NODE_MAX_BYTES - b"\x04node".len() - (1 + config.datacenter.len());
    for (key, name) in
        [("domain", &config.domain)].into_iter().chain(config.alt_domains.iter().map(|alt| ("alt_domain", alt)))
    {
        if name.as_wire().len() > room {
            let datacenter = &config.datacenter;
            let problem = format!(
                "{name} and the datacenter {datacenter:?} are too long together for names of nodes; shorten one"
            );
            report(reader, key, &problem);
        }
    }
    let local = |name: &&Name| name.labels().last().is_some_and(|label| label == b"local");
    let own = [("domain", &config.domain)].into_iter();
    for (key, name) in
        own.chain(config.alt_domains.iter().map(|alt| ("alt_domain", alt))).filter(|(_, name)| local(name))
    {
        let problem = format!(
            "{name} belongs to multicast DNS (RFC 6762): many clients never ask a DNS server for it; \"internal\" is safe"
        );
        warn(reader, key, problem);
    }
}

fn check_tables(config: &Config, reader: &mut Reader) {
    let own = |name: &Name| *name == config.domain || config.alt_domains.contains(name);
    for given in reader.all("forward_zone").into_iter().filter(|given| !given.place.is_default()) {
        let suffix = given.entry.as_deref().and_then(|entry| Name::parse(entry).ok());
        if suffix.as_ref().is_some_and(own) {
            reader.report(given.problem("is a domain of ours; use fallthrough to ask elsewhere for its unknown names"));
        }
    }
    for given in reader.all("fallthrough") {
        let domain = given.entry.as_deref().and_then(|entry| Name::parse(entry).ok());
        if domain.is_some_and(|domain| !own(&domain)) {
            reader.report(given.problem("is no domain of ours; use a forward_zone table"));
        }
    }
    let domains: Vec<&Name> = config.fallthrough.iter().map(|(domain, _)| domain).collect();
    if let Some(twice) = duplicate(&domains) {
        report(reader, "fallthrough", &format!("{twice} stands twice"));
    }
    let prefixes: Vec<_> = config.udp_payload_max.iter().map(|(prefix, _)| *prefix).collect();
    if let Some(twice) = duplicate(&prefixes) {
        report(reader, "udp_payload_max", &format!("{twice} stands twice"));
    }
}

/// Tells whom nobody is going to ask.
fn check_forwarding(config: &Config, reader: &Reader, warnings: &mut Vec<ConfigProblem>) {
    if config.forward != Forward::Off {
        return;
    }
    let asked = |given: &Given| !given.place.is_default() && given.items != [Item::Text("off".to_owned())];
    for given in ["fallthrough", "forward_zone"].iter().flat_map(|key| reader.all(key)).filter(asked) {
        warnings.push(given.problem("has no effect while forward is \"off\""));
    }
}

fn report(reader: &mut Reader, key: &str, problem: &str) {
    let place: Place = reader.place(key);
    reader.report(ConfigProblem { place, key: Some(key.to_owned()), problem: problem.to_owned() });
}

fn duplicate<T: PartialEq>(values: &[T]) -> Option<&T> {
    values.iter().enumerate().find(|(index, value)| values[..*index].contains(value)).map(|(_, value)| value)
}

/// Most bytes of the labels of a node's name. Source: `publish::label`, which cuts what is longer.
const NODE_MAX_BYTES: usize = 100;
