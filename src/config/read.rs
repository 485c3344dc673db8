//! From what was given to a [`Config`].

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use super::{
    Config, DataDirectory, DefaultRule, Forward, ForwardZone, HostNames, Inputs, LogFormat, MassFailure, NoneEligible,
    QueryLog, REFERENCE, ScriptChecks, ServiceRule, ZoneUpstreams, access, cluster, docker, health,
    host::ZONES_DIRECTORY,
    http,
    layer::{self, Given, Item},
    problem::{ConfigProblem, Place},
    values::{self, Parsed, number, word},
};
use crate::{
    catalog::{names::NodeName, service::IpNetwork},
    wire::name::Name,
};

/// Hands out settings, the best given first, and collects what is wrong with any of them.
pub(super) struct Reader {
    given: Vec<Given>,
    problems: Vec<ConfigProblem>,
}

impl Reader {
    /// Takes what was given, the best first, and the problems so far. The defaults come last.
    pub fn new(mut given: Vec<Given>, problems: Vec<ConfigProblem>) -> Reader {
        let mut own_problems = Vec::new();
        let defaults = layer::of_file("reference.toml", REFERENCE, &mut own_problems);
        debug_assert_eq!(own_problems, []);
        given.extend(defaults.into_iter().map(|given| Given { place: Place::Default, ..given }));
        Reader { given, problems }
    }

    /// Adds a problem to one or more settings that were given.
    pub fn report(&mut self, problem: ConfigProblem) {
        self.problems.push(problem);
    }

    /// All that is wrong.
    pub fn into_problems(self) -> Vec<ConfigProblem> {
        self.problems
    }

    /// Everything that was given of a key, the best first.
    pub fn all(&self, key: &str) -> Vec<Given> {
        self.given.iter().filter(|given| given.key == key).cloned().collect()
    }

    /// Where the value in force was given.
    pub fn place(&self, key: &str) -> Place {
        self.given.iter().find(|given| given.key == key).map_or(Place::Default, |given| given.place.clone())
    }

    /// The value of a setting, if it was given. Every place is checked, also where a better one wins.
    pub(super) fn one<T>(&mut self, key: &'static str, parse: impl Fn(&Item) -> Parsed<T>) -> Option<T> {
        let mut best = None;
        for given in self.all(key) {
            let value = self.item(&given, &parse);
            best = best.or(value);
        }
        best
    }

    /// The value of a setting that reference.toml gives.
    pub(super) fn set<T>(&mut self, key: &'static str, parse: impl Fn(&Item) -> Parsed<T>) -> T {
        self.one(key, parse).expect("reference.toml gives each setting that has a fixed default")
    }

    /// The values of a list; empty if it was not given.
    pub(super) fn list<T>(&mut self, key: &'static str, parse: impl Fn(&Item) -> Parsed<T>) -> Vec<T> {
        let mut best = None;
        for given in self.all(key) {
            let values = self.items(&given, &parse);
            best = best.or(values);
        }
        best.unwrap_or_default()
    }

    /// The one value that a place gives.
    fn item<T>(&mut self, given: &Given, parse: impl Fn(&Item) -> Parsed<T>) -> Option<T> {
        match &given.items[..] {
            [item] => match parse(item) {
                Ok(value) => Some(value),
                Err(expected) => {
                    self.problems.push(given.problem(format!("{expected}, got {item}")));
                    None
                }
            },
            items => {
                self.problems.push(given.problem(format!("expected one value, got {}", items.len())));
                None
            }
        }
    }

    /// All values that a place gives; none if any is wrong.
    fn items<T>(&mut self, given: &Given, parse: impl Fn(&Item) -> Parsed<T>) -> Option<Vec<T>> {
        let mut values = Vec::with_capacity(given.items.len());
        for item in &given.items {
            match parse(item) {
                Ok(value) => values.push(value),
                Err(expected) => self.problems.push(given.problem(format!("{expected}, got {item}"))),
            }
        }
        (values.len() == given.items.len()).then_some(values)
    }

    /// The entries of a table, from the best place that has any.
    fn entries_of_best(&self, key: &str) -> Vec<Given> {
        let mut all = self.all(key);
        if let Some(best) = all.first().map(|given| given.place.clone()) {
            all.retain(|given| same_layer(&given.place, &best));
        }
        all
    }
}

/// Whether two places are the same flag, variable, file, or both defaults.
fn same_layer(one: &Place, other: &Place) -> bool {
    std::mem::discriminant(one) == std::mem::discriminant(other)
}

/// Reads every setting. Where one is wrong the next best stands in; the problems then say that nothing holds.
pub(super) fn config(reader: &mut Reader, inputs: &Inputs) -> Config {
    let domain = reader.set("domain", values::own_domain);
    let alt_domains = reader.list("alt_domain", values::own_domain);
    let data = data_directory(reader, inputs);
    let query_log =
        reader.set("query_log", word(&[("off", QueryLog::Off), ("errors", QueryLog::Errors), ("all", QueryLog::All)]));
    Config {
        dns: reader.list("dns", values::listen_address),
        dns_is_default: reader.place("dns").is_default(),
        docker_dns: reader.set("docker_dns", values::docker_dns),
        http: reader.set("http", values::listen_address),
        http_api: http::read(reader),
        access: access::read(reader),
        health: health::read(reader),
        txn_max_ops: reader.set("txn_max_ops", number(1, TXN_OPS_MOST)),
        workers: reader.one("workers", number(1, WORKERS_MAX)),
        advertise: reader.list("advertise", values::reachable_address),
        forward_zones: forward_zones(reader, &domain, &alt_domains),
        fallthrough: fallthrough(reader),
        domain,
        alt_domains,
        datacenter: reader.set("datacenter", values::datacenter),
        node: node(reader, inputs),
        cluster: cluster::read(reader),
        zones: zones(reader, inputs),
        services: reader.one("services", values::path),
        script_checks: script_checks(reader),
        docker: docker::read(reader, inputs),
        default_rule: DefaultRule {
            ttl_secs: reader.set("ttl", values::ttl_secs),
            max_answers: reader.set("max_answers", number(0, i64::from(u16::MAX))),
            none_eligible: reader.set("none_eligible", none_eligible()),
            only_passing: reader.set("only_passing", values::boolean),
        },
        service_rules: service_rules(reader),
        negative_ttl_secs: reader.set("negative_ttl", values::ttl_secs),
        srv_weight_scale: reader.set("srv_weight_scale", number(1, i64::from(u16::MAX))),
        near: reader.set("near", values::boolean),
        host_names: reader.set("host_names", word(&[("resolve", HostNames::Resolve), ("cname", HostNames::Cname)])),
        service_txt: reader.set("service_txt", values::boolean),
        hide_version: reader.set("hide_version", values::boolean),
        udp_payload_max: udp_payload_max(reader),
        allow_query: reader.list("allow_query", values::prefix),
        allow_recursion: reader.list("allow_recursion", values::prefix),
        forward: forward(reader),
        forward_bare: reader.set("forward_bare", values::boolean),
        stale_after: reader.set("stale_after", values::duration(SECOND, STALE_MOST)),
        stale_max: reader.set("stale_max", values::duration(SECOND, STALE_MOST)),
        mass_failure: MassFailure {
            guard: reader.set("mass_failure_guard", values::boolean),
            targets: reader.list("mass_failure_targets", values::reference_target),
            hold: reader.set("mass_failure_hold", values::duration(SECOND, HOLD_MOST)),
        },
        log: reader.set("log", values::log_filter),
        log_format: reader.set("log_format", word(&[("text", LogFormat::Text), ("json", LogFormat::Json)])),
        query_log_file: query_log_file(reader, query_log, &data),
        query_log,
        data,
        warnings: Vec::new(),
        inputs: Arc::new(kept(inputs)),
    }
}

fn script_checks(reader: &mut Reader) -> ScriptChecks {
    let (all, files) = ("enable_script_checks", "enable_local_script_checks");
    match (reader.set(all, values::boolean), reader.set(files, values::boolean)) {
        (true, _) => ScriptChecks::All,
        (false, true) => ScriptChecks::Files,
        (false, false) => ScriptChecks::Off,
    }
}

/// What a reload needs of the inputs. The rest of the environment may hold secrets and is let go.
fn kept(inputs: &Inputs) -> Inputs {
    let ours =
        |name: &str| name != "NAMEPLATE_TOKEN" && (name.starts_with("NAMEPLATE_") || DEFAULT_VARIABLES.contains(&name));
    let variables = inputs.variables.iter().filter(|(name, _)| ours(name)).cloned().collect();
    Inputs { variables, ..inputs.clone() }
}

/// `data_dir` and `ephemeral` are two ways to set one thing: the better place wins.
fn data_directory(reader: &mut Reader, inputs: &Inputs) -> DataDirectory {
    let chosen = reader.one("data_dir", values::path);
    let ephemeral = reader.set("ephemeral", values::boolean);
    let (directory_at, ephemeral_at) = (reader.place("data_dir"), reader.place("ephemeral"));
    match (chosen, ephemeral) {
        (Some(_), true) if same_layer(&directory_at, &ephemeral_at) => {
            let problem = "data_dir and ephemeral exclude each other; leave one of them out".to_owned();
            reader.report(ConfigProblem { place: ephemeral_at, key: Some("ephemeral".to_owned()), problem });
            DataDirectory::Ephemeral
        }
        (Some(directory), true) if directory_at > ephemeral_at => DataDirectory::At(directory),
        (_, true) => DataDirectory::Ephemeral,
        (Some(directory), false) => DataDirectory::At(directory),
        (None, false) => match default_data_directory(inputs) {
            Some(directory) => DataDirectory::At(directory),
            None => {
                let problem = "there is no $STATE_DIRECTORY, $XDG_STATE_HOME or $HOME to keep data in; set data_dir, or \
                               ephemeral to keep none";
                let key = Some("data_dir".to_owned());
                reader.report(ConfigProblem { place: Place::Default, key, problem: problem.to_owned() });
                DataDirectory::Ephemeral
            }
        },
    }
}

fn default_data_directory(inputs: &Inputs) -> Option<PathBuf> {
    let variable = |name: &str| {
        let found = inputs.variables.iter().find(|(known, value)| known == name && !value.is_empty());
        found.map(|(_, value)| value.as_str())
    };
    // systemd lists several directories with colons; the first is the unit's main one.
    if let Some(directory) = variable("STATE_DIRECTORY").and_then(|list| list.split(':').next()) {
        return Some(PathBuf::from(directory));
    }
    if inputs.host.is_root {
        return Some(PathBuf::from("/var/lib/nameplate"));
    }
    let state = variable("XDG_STATE_HOME").map(PathBuf::from);
    let state = state.or_else(|| variable("HOME").map(|home| PathBuf::from(home).join(".local/state")));
    state.map(|state| state.join("nameplate"))
}

fn node(reader: &mut Reader, inputs: &Inputs) -> NodeName {
    let chosen = reader.one("node", values::node);
    let own = inputs.host.hostname.as_ref().and_then(|name| values::node(&Item::Text(name.clone())).ok());
    chosen.or(own).unwrap_or_else(|| {
        let problem = "the host name cannot be read; set node".to_owned();
        reader.report(ConfigProblem { place: Place::Default, key: Some("node".to_owned()), problem });
        NodeName::new("unknown").expect("a word is a node's name")
    })
}

fn zones(reader: &mut Reader, inputs: &Inputs) -> Option<PathBuf> {
    match reader.one("zones", values::path) {
        Some(path) => Some(path).filter(|path| path.as_os_str() != "off"),
        None => inputs.host.has_zones_directory.then(|| PathBuf::from(ZONES_DIRECTORY)),
    }
}

fn query_log_file(reader: &mut Reader, query_log: QueryLog, data: &DataDirectory) -> Option<PathBuf> {
    let chosen = reader.one("query_log_file", values::path);
    match (query_log, chosen, data) {
        (QueryLog::Off, chosen, _) => chosen,
        (_, Some(file), _) => Some(file),
        (_, None, DataDirectory::At(directory)) => Some(directory.join("query.log")),
        (_, None, DataDirectory::Ephemeral) => {
            let place = reader.place("query_log");
            let problem = "set query_log_file too: without a data directory it has no default".to_owned();
            reader.report(ConfigProblem { place, key: Some("query_log".to_owned()), problem });
            None
        }
    }
}

fn forward(reader: &mut Reader) -> Forward {
    let mut best = None;
    for given in reader.all("forward") {
        let value = match &given.items[..] {
            [Item::Text(word) | Item::Untyped(word)] if word == "system" => Some(Forward::System),
            [Item::Text(word) | Item::Untyped(word)] if word == "off" => Some(Forward::Off),
            [] => {
                reader.report(given.problem("expected \"system\", \"off\" or a list of IP[:PORT]"));
                None
            }
            _ => reader.items(&given, values::upstream).map(Forward::Upstreams),
        };
        best = best.or(value);
    }
    best.unwrap_or(Forward::System)
}

/// Forward rules of every place, the better one for each suffix. Those of reference.toml that lie at or above a domain
/// of ours are left out: the domain is meant.
fn forward_zones(reader: &mut Reader, domain: &Name, alt_domains: &[Name]) -> Vec<ForwardZone> {
    let mut zones: Vec<(String, ForwardZone)> = Vec::new();
    for given in reader.all("forward_zone") {
        let (suffix, upstreams) = (entry_domain(reader, &given), zone_upstreams(reader, &given));
        let (Some(suffix), Some(upstreams)) = (suffix, upstreams) else { continue };
        let is_default = given.place.is_default();
        let known = zones.iter().find(|(_, zone)| zone.suffix == suffix).map(|(path, _)| path.clone());
        match known {
            Some(known) if !is_default => reader.report(given.problem(format!("stands already as {known}"))),
            Some(_) => {}
            None if is_default && alt_domains.iter().chain([domain]).any(|own| own.is_at_or_below(&suffix)) => {}
            None => zones.push((given.path(), ForwardZone { suffix, upstreams })),
        }
    }
    zones.sort_by(|(_, one), (_, other)| one.suffix.cmp(&other.suffix));
    zones.into_iter().map(|(_, zone)| zone).collect()
}

fn zone_upstreams(reader: &mut Reader, given: &Given) -> Option<ZoneUpstreams> {
    match &given.items[..] {
        [Item::Text(word)] if word == "default" => Some(ZoneUpstreams::Default),
        [Item::Text(word)] if word == "off" => Some(ZoneUpstreams::Off),
        [] => {
            reader.report(given.problem("expected \"default\", \"off\" or a list of IP[:PORT]"));
            None
        }
        _ => reader.items(given, values::upstream).map(ZoneUpstreams::Servers),
    }
}

fn fallthrough(reader: &mut Reader) -> Vec<(Name, SocketAddr)> {
    let mut pairs = Vec::new();
    for given in reader.entries_of_best("fallthrough") {
        if let (Some(domain), Some(server)) = (entry_domain(reader, &given), reader.item(&given, values::upstream)) {
            pairs.push((domain, server));
        }
    }
    pairs
}

fn udp_payload_max(reader: &mut Reader) -> Vec<(IpNetwork, u16)> {
    let mut pairs = Vec::new();
    for given in reader.entries_of_best("udp_payload_max") {
        let bytes = reader.item(&given, number(UDP_PAYLOAD_LEAST, UDP_PAYLOAD_MOST));
        match (values::prefix(&Item::Text(given.entry.clone().unwrap_or_default())), bytes) {
            (Ok(prefix), Some(bytes)) => pairs.push((prefix, bytes)),
            (Err(expected), _) => reader.report(given.problem(expected)),
            (Ok(_), None) => {}
        }
    }
    pairs
}

/// The rules of `[service."..."]`, the most exact first.
fn service_rules(reader: &mut Reader) -> Vec<ServiceRule> {
    let mut rules: Vec<(String, ServiceRule)> = Vec::new();
    for given in reader.all("service") {
        let entry = given.entry.clone().unwrap_or_default();
        let pattern = match values::service_pattern(&entry) {
            Ok(pattern) => pattern,
            Err(expected) => {
                reader.report(given.problem(expected));
                continue;
            }
        };
        if rules.iter().any(|(other, rule)| rule.pattern == pattern && *other != entry) {
            reader.report(given.problem("stands twice: the case of letters does not count"));
            continue;
        }
        let mut at = rules.iter().position(|(_, rule)| rule.pattern == pattern);
        let index = *at.get_or_insert_with(|| {
            rules.push((entry, ServiceRule { pattern, ..ServiceRule::default() }));
            rules.len() - 1
        });
        let rule = &mut rules[index].1;
        match given.field {
            Some("ttl") => rule.ttl_secs = reader.item(&given, values::ttl_secs),
            Some("max_answers") => rule.max_answers = reader.item(&given, number(0, i64::from(u16::MAX))),
            Some("none_eligible") => rule.none_eligible = reader.item(&given, none_eligible()),
            Some("only_passing") => rule.only_passing = reader.item(&given, values::boolean),
            _ => {}
        }
    }
    let mut rules: Vec<ServiceRule> = rules.into_iter().map(|(_, rule)| rule).collect();
    rules.sort_by_key(ServiceRule::exactness);
    rules
}

fn none_eligible() -> impl Fn(&Item) -> Parsed<NoneEligible> {
    word(&[("nodata", NoneEligible::Nodata), ("nxdomain", NoneEligible::Nxdomain), ("all", NoneEligible::All)])
}

/// The domain name that a table's entry is for.
fn entry_domain(reader: &mut Reader, given: &Given) -> Option<Name> {
    match values::domain(&Item::Text(given.entry.clone().unwrap_or_default())) {
        Ok(name) => Some(name),
        Err(expected) => {
            reader.report(given.problem(expected));
            None
        }
    }
}

/// Variables that the defaults of `data_dir` and `docker` are made of.
const DEFAULT_VARIABLES: [&str; 5] = ["STATE_DIRECTORY", "XDG_STATE_HOME", "HOME", "DOCKER_HOST", "XDG_RUNTIME_DIR"];

/// Highest `txn_max_ops`. Source: none, chosen: so many operations hold up others for some ten milliseconds.
const TXN_OPS_MOST: i64 = 4096;

/// Most workers. Source: none, chosen: more than the cores of any machine that answers DNS.
const WORKERS_MAX: i64 = 1024;

/// Bounds of `udp_payload_max`. Source: RFC 6891 section 6.2.3 for the least; the most is what a worker's buffer holds.
const UDP_PAYLOAD_LEAST: i64 = 512;
const UDP_PAYLOAD_MOST: i64 = 16_384;

const SECOND: Duration = Duration::from_secs(1);

/// Longest `stale_after` and `stale_max`. Source: none, chosen: a year.
const STALE_MOST: Duration = Duration::from_secs(365 * 86_400);

/// Longest `mass_failure_hold`. Source: none, chosen: by then somebody has looked.
const HOLD_MOST: Duration = Duration::from_secs(3600);
