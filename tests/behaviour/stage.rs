//! What a transcript's commands act on: a catalog, settings and zones, published and asked without any socket.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use nameplate::{
    catalog::{
        change::{Change, Origin, Registration},
        check::{Check, CheckDefinition, CheckKey, CheckKind, CheckResult, CheckStatus},
        names::{CheckId, NodeName, PortName, ServiceId, ServiceName, Tag, Text},
        node::{Address, Node},
        service::{FurtherName, Instance, InstanceKey, IpNetwork, NetworkAddress, Port, TaggedAddress, Weights},
        state::State,
        table::Seed,
    },
    kv::{
        query::{Query, Template},
        template::Expression,
    },
    publish::{
        feed::SourceStatus,
        settings::{HostNames, NoneEligible, ServiceRule, Settings},
    },
    wire::name::Name,
};

/// A catalog, settings and static zones, as a transcript has made them.
#[derive(Debug)]
pub struct Stage {
    /// The catalog.
    pub state: State,
    /// The settings.
    pub settings: Settings,
    /// Lines of zone files, by origin.
    pub zone_lines: BTreeMap<String, String>,
    /// Prepared queries.
    pub queries: Vec<Query>,
    /// The sources.
    pub sources: Vec<SourceStatus>,
    /// SOA serial, which is also the time in seconds.
    pub clock: u32,
    /// When check deadlines pass.
    deadlines: Vec<(CheckKey, Duration, u32)>,
}

/// Words of a command: bare ones in order, and `key=value` ones.
#[derive(Debug, Default)]
pub struct Words {
    /// Without `=`.
    pub bare: Vec<String>,
    /// With `=`; a key may stand several times.
    pub pairs: Vec<(String, String)>,
}

impl Words {
    /// Splits a command's arguments; a word may be quoted with `"` to hold blanks.
    pub fn read(text: &str) -> Words {
        let mut words = Words::default();
        let mut rest = text.trim();
        while !rest.is_empty() {
            let mut quoted = false;
            let end = rest.find(|c: char| {
                quoted ^= c == '"';
                c.is_whitespace() && !quoted
            });
            let (word, after) = rest.split_at(end.unwrap_or(rest.len()));
            rest = after.trim_start();
            let word = word.replace('"', "");
            match word.split_once('=') {
                Some((key, value)) if !word.starts_with('+') => words.pairs.push((key.to_owned(), value.to_owned())),
                _ => words.bare.push(word),
            }
        }
        words
    }

    /// The value of a key.
    pub fn value(&self, key: &str) -> Option<&str> {
        self.all(key).next()
    }

    /// The bare word at a place; empty if there are fewer.
    pub fn word(&self, at: usize) -> &str {
        self.bare.get(at).map_or("", String::as_str)
    }

    /// All values of a key.
    fn all(&self, key: &str) -> impl Iterator<Item = &str> {
        self.pairs.iter().filter(move |(own, _)| own == key).map(|(_, value)| value.as_str())
    }

    /// All values of keys that begin so, with what follows.
    fn prefixed(&self, prefix: &str) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().filter_map(move |(key, value)| Some((key.strip_prefix(prefix)?, value.as_str())))
    }
}

impl Stage {
    /// An empty catalog, domain `example.`, node `n1` at 192.0.2.100.
    pub fn new() -> Stage {
        let mut stage = Stage {
            state: State::new(Seed(1), 1),
            settings: settings(),
            zone_lines: BTreeMap::new(),
            queries: Vec::new(),
            sources: Vec::new(),
            clock: 1,
            deadlines: Vec::new(),
        };
        stage.run("node", "n1 address=192.0.2.100").expect("the first node is registered");
        stage
    }

    /// Runs a command other than `ask`, or says what is wrong with it.
    pub fn run(&mut self, verb: &str, arguments: &str) -> Result<(), String> {
        let words = Words::read(arguments);
        let first = words.word(0);
        match verb {
            "zone" => self.settings.domain = read_name(first)?,
            "alias" => self.settings.alt_domains.push(read_name(first)?),
            "record" => {
                let (origin, line) = arguments.trim().split_once(' ').ok_or("record ORIGIN LINE")?;
                let lines = self.zone_lines.entry(origin.to_owned()).or_default();
                lines.push_str(line);
                lines.push('\n');
            }
            "node" => self.apply(Change::RegisterNode(read_node(first, &words)?))?,
            "register" => self.register(first, &words)?,
            "check" => self.node_check(first, words.word(1))?,
            "pass" => self.set(first, CheckStatus::Passing)?,
            "warn" => self.set(first, CheckStatus::Warning)?,
            "fail" => self.set(first, CheckStatus::Critical)?,
            "deregister" => {
                let key = self.key(first)?;
                let entry = self.state.instance(&key).ok_or("not registered")?;
                let origin = entry.instance.origin;
                self.apply(Change::Deregister { key, origin })?;
            }
            "maintenance" => {
                let reason = (words.word(1) != "off").then(|| Arc::from("maintenance"));
                let key = self.key(first)?;
                self.apply(Change::InstanceMaintenance { key, reason })?;
            }
            "advance" => self.advance(read_seconds(first)?)?,
            "source" => self.source(first, &words)?,
            "query" => {
                let query = read_query(first, &words)?;
                self.queries.retain(|other| other.id != query.id);
                self.queries.push(query);
            }
            "settings" => set_all(&mut self.settings, &words)?,
            _ => return Err(format!("unknown command {verb:?}")),
        }
        self.clock += 1;
        Ok(())
    }

    fn apply(&mut self, change: Change) -> Result<(), String> {
        self.state.apply(change).map(|_| ()).map_err(|error| error.to_string())
    }

    fn register(&mut self, service: &str, words: &Words) -> Result<(), String> {
        let instance = read_instance(service, words)?;
        let mut checks = Vec::new();
        if let Some(status) = words.value("check") {
            let check = read_check(&instance.node, Some(&instance.id), status)?;
            if let CheckKind::Deadline(deadline) = check.definition.kind {
                self.deadlines.push((check.key(), deadline, self.clock + deadline.as_secs() as u32));
            }
            checks.push(check);
        }
        self.apply(Change::Register(Box::new(Registration { instance, checks, replace_existing_checks: true })))
    }

    fn node_check(&mut self, node: &str, status: &str) -> Result<(), String> {
        let node = NodeName::new(node).map_err(|error| error.to_string())?;
        let mut check = read_check(&node, None, status)?;
        check.id = CheckId::new("node").map_err(|error| error.to_string())?;
        let (key, status) = (check.key(), check.status);
        self.apply(Change::RegisterCheck(Box::new(check)))?;
        self.apply(Change::SetStatus { key, result: CheckResult { status, output: "".into() } })
    }

    /// Sets the status of an instance's check.
    fn set(&mut self, id: &str, status: CheckStatus) -> Result<(), String> {
        let instance = self.key(id)?;
        let key = CheckKey { node: instance.node, id: CheckId::new(id).map_err(|error| error.to_string())? };
        let clock = self.clock;
        for (own, deadline, at) in self.deadlines.iter_mut().filter(|(own, ..)| *own == key) {
            let _ = own;
            *at = clock + deadline.as_secs() as u32;
        }
        self.apply(Change::SetStatus { key, result: CheckResult { status, output: "".into() } })
    }

    /// Time passes; check deadlines that were not renewed turn critical.
    fn advance(&mut self, seconds: u32) -> Result<(), String> {
        self.clock += seconds;
        let clock = self.clock;
        let passed: Vec<_> =
            self.deadlines.iter().filter(|(.., at)| *at <= clock).map(|(key, ..)| key.clone()).collect();
        for key in passed {
            let result = CheckResult { status: CheckStatus::Critical, output: "deadline passed".into() };
            self.apply(Change::SetStatus { key, result })?;
        }
        Ok(())
    }

    fn source(&mut self, name: &str, words: &Words) -> Result<(), String> {
        let origin = read_origin(words.value("origin").unwrap_or(name))?;
        let is = |key: &str, default: &str| words.value(key).unwrap_or(default) == "yes";
        self.sources.retain(|source| &*source.name != name);
        let status = SourceStatus {
            name: Arc::from(name),
            origin,
            synced: is("synced", "yes"),
            stale: is("stale", "no"),
            away: None,
        };
        self.sources.push(status);
        Ok(())
    }

    /// The instance with this service ID, on whatever node.
    fn key(&self, id: &str) -> Result<InstanceKey, String> {
        let entries = self.state.services().flat_map(|service| service.instances());
        let mut keys = entries.map(|entry| entry.instance.key()).filter(|key| key.id.as_str() == id);
        keys.next().ok_or_else(|| format!("no instance {id:?}"))
    }
}

fn read_query(name: &str, words: &Words) -> Result<Query, String> {
    let text = |key: &str| Text::from(words.value(key).unwrap_or_default());
    let texts = |key: &str| words.all(key).map(Text::from).collect();
    let pairs = |prefix: &str| words.prefixed(prefix).map(|(key, value)| (key.into(), value.into())).collect();
    let template = words.value("template").map(|regexp| {
        let remove_empty_tags = words.value("remove_empty_tags") == Some("yes");
        Ok::<_, String>(Template { regexp: Expression::new(regexp.into())?, remove_empty_tags })
    });
    let query = Query {
        id: Text::from(words.value("id").unwrap_or(name)),
        name: Text::from(name),
        template: template.transpose()?,
        service: text("service"),
        tags: texts("tag"),
        only_passing: words.value("only_passing") == Some("yes"),
        ignore_check_ids: texts("ignore"),
        node_meta: pairs("node."),
        service_meta: pairs("meta."),
        near: text("near"),
        dns_ttl: words.value("ttl").map(|ttl| Ok::<_, String>((read_seconds(ttl)?, ttl.into()))).transpose()?,
        ..Query::default()
    };
    query.validate()?;
    Ok(query)
}

/// The defaults, less what depends on the machine.
pub fn settings() -> Settings {
    let network = |text: &str| IpNetwork::parse(text).expect("a network");
    Settings {
        advertise: vec![IpAddr::from([192, 0, 2, 100])],
        forwarding: true,
        allow_recursion: vec![network("127.0.0.0/8"), network("10.0.0.0/8"), network("172.16.0.0/12"), network("::1")],
        ..Settings::new(Name::parse("example.").expect("a name"), NodeName::new("n1").expect("a name"))
    }
}

fn set_all(settings: &mut Settings, words: &Words) -> Result<(), String> {
    for (key, value) in &words.pairs {
        let number = || value.parse::<u32>().map_err(|error| error.to_string());
        let value = value.as_str();
        let yes = value == "yes";
        let (pattern, key) = key.rsplit_once(':').map_or((None, key.as_str()), |(pattern, key)| (Some(pattern), key));
        let mut rule = ServiceRule { pattern: Arc::from(pattern.unwrap_or_default()), ..ServiceRule::default() };
        match key {
            "ttl" => rule.ttl_secs = Some(number()?),
            "max_answers" => rule.max_answers = Some(number()? as u16),
            "only_passing" => rule.only_passing = Some(yes),
            "none_eligible" => {
                rule.none_eligible = Some(match value {
                    "nodata" => NoneEligible::Nodata,
                    "nxdomain" => NoneEligible::Nxdomain,
                    "all" => NoneEligible::All,
                    _ => return Err(format!("none_eligible={value}")),
                });
            }
            "negative_ttl" => settings.negative_ttl_secs = number()?,
            "service_txt" => settings.service_txt = yes,
            "srv_weight_scale" => settings.srv_weight_scale = number()? as u16,
            "host_names" => {
                settings.host_names = if value == "cname" { HostNames::Cname } else { HostNames::Resolve };
            }
            "hide_version" => settings.hide_version = yes,
            "forward_bare" => settings.forward_bare = yes,
            "near" => settings.near = yes,
            "forwarding" => settings.forwarding = yes,
            "forward_zone" => settings.forward_zones.push(read_name(value)?),
            "refused_zone" => settings.refused_zones.push(read_name(value)?),
            "fallthrough" => settings.fallthrough.push((read_name(value)?, SocketAddr::from(([192, 0, 2, 53], 8600)))),
            "allow_query" => settings.allow_query = vec![IpNetwork::parse(value).ok_or("not a network")?],
            "udp_payload_max" => {
                let (network, bytes) = value.split_once('@').ok_or("udp_payload_max=NETWORK@BYTES")?;
                let network = IpNetwork::parse(network).ok_or("not a network")?;
                settings.udp_payload_max.push((network, bytes.parse().map_err(|_| "not a number")?));
            }
            _ => return Err(format!("unknown setting {key:?}")),
        }
        if pattern.is_some() {
            settings.services.push(rule);
        } else {
            let default = &mut settings.default_rule;
            default.ttl_secs = rule.ttl_secs.unwrap_or(default.ttl_secs);
            default.max_answers = rule.max_answers.unwrap_or(default.max_answers);
            default.none_eligible = rule.none_eligible.unwrap_or(default.none_eligible);
            default.only_passing = rule.only_passing.unwrap_or(default.only_passing);
        }
    }
    Ok(())
}

fn read_instance(service: &str, words: &Words) -> Result<Instance, String> {
    let id = words.value("id").unwrap_or(service);
    let node = NodeName::new(words.value("node").unwrap_or("n1")).map_err(|error| error.to_string())?;
    let mut ports = Vec::new();
    for (name, number) in words.prefixed("port") {
        let name =
            name.strip_prefix('.').map(|name| PortName::new(name).map_err(|error| error.to_string())).transpose()?;
        let (number, default) = number.strip_suffix('!').map_or((number, false), |number| (number, true));
        ports.push(Port { name, number: number.parse().map_err(|_| "not a port")?, default });
    }
    let tags: Result<Vec<Tag>, _> = words.all("tag").map(Tag::new).collect();
    let meta: BTreeMap<Arc<str>, Arc<str>> =
        words.prefixed("meta.").map(|(key, value)| (Arc::from(key), Arc::from(value))).collect();
    let (passing, warning) = words.value("weight").map_or(("1", None), |text| {
        text.split_once('/').map_or((text, None), |(passing, warning)| (passing, Some(warning)))
    });
    let weight = |text: &str| text.parse::<u16>().map_err(|_| format!("weight={text}"));
    let mut tagged = Vec::new();
    for (role, text) in words.prefixed("tagged.") {
        tagged.push(TaggedAddress { role: Arc::from(role), address: read_address(text)?, port: 0 });
    }
    let mut networks = Vec::new();
    for text in words.all("network") {
        let (network, rest) = text.split_once('@').ok_or("network=NETWORK@ADDRESS@PORT,...")?;
        let (address, list) = rest.split_once('@').ok_or("network=NETWORK@ADDRESS@PORT,...")?;
        networks.push(NetworkAddress {
            network: IpNetwork::parse(network).ok_or("not a network")?,
            address: address.parse().map_err(|_| "not an address")?,
            ports: list.split(',').filter_map(|port| port.parse().ok()).collect(),
        });
    }
    let mut further = Vec::new();
    for (word, stands_for_id) in [("container", true), ("further", false)] {
        for name in words.all(word) {
            let name = ServiceName::new(name).map_err(|error| error.to_string())?;
            further.push(FurtherName { name, stands_for_id });
        }
    }
    Ok(Instance {
        node,
        id: ServiceId::new(id).map_err(|error| error.to_string())?,
        service: ServiceName::new(service).map_err(|error| error.to_string())?,
        address: words.value("address").map(read_address).transpose()?,
        ports: ports.into(),
        tags: tags.map_err(|error| error.to_string())?.into(),
        meta: Arc::new(meta),
        weights: Weights { passing: weight(passing)?, warning: weight(warning.unwrap_or("1"))? },
        tagged_addresses: tagged.into(),
        network_addresses: networks.into(),
        further_names: further.into(),
        enable_tag_override: false,
        origin: read_origin(words.value("origin").unwrap_or("api"))?,
    })
}

fn read_node(name: &str, words: &Words) -> Result<Node, String> {
    let tagged: Result<BTreeMap<Arc<str>, Address>, String> =
        words.prefixed("tagged.").map(|(role, text)| Ok((Arc::from(role), read_address(text)?))).collect();
    let meta: BTreeMap<Arc<str>, Arc<str>> =
        words.prefixed("meta.").map(|(key, value)| (Arc::from(key), Arc::from(value))).collect();
    Ok(Node {
        name: NodeName::new(name).map_err(|error| error.to_string())?,
        uuid: Arc::from("00000000-0000-0000-0000-000000000001"),
        address: read_address(words.value("address").ok_or("a node needs an address")?)?,
        tagged_addresses: tagged?,
        meta: Arc::new(meta),
        origin: read_origin(words.value("origin").unwrap_or("api"))?,
    })
}

/// `passing`, `warning`, `critical`, `maintenance`, or `deadline:10s` (passing until then).
fn read_check(node: &NodeName, service: Option<&ServiceId>, text: &str) -> Result<Check, String> {
    let (status, kind) = match text.strip_prefix("deadline:") {
        Some(span) => (CheckStatus::Passing, CheckKind::Deadline(Duration::from_secs(read_seconds(span)?.into()))),
        None if text == "maintenance" => (CheckStatus::Critical, CheckKind::Maintenance),
        None => (CheckStatus::parse(text).ok_or_else(|| format!("check={text}"))?, CheckKind::External),
    };
    Ok(Check {
        node: node.clone(),
        id: CheckId::new(service.map_or("node", ServiceId::as_str)).map_err(|error| error.to_string())?,
        service_id: service.cloned(),
        name: "check".into(),
        notes: "".into(),
        status,
        output: "".into(),
        target: "".into(),
        definition: Arc::new(CheckDefinition::unprobed(kind)),
        origin: Origin::Api,
    })
}

fn read_origin(text: &str) -> Result<Origin, String> {
    let all = [Origin::Server, Origin::Api, Origin::File, Origin::Cluster, Origin::Docker, Origin::Registry];
    all.into_iter().find(|origin| origin.as_str() == text).ok_or_else(|| format!("origin={text}"))
}

fn read_address(text: &str) -> Result<Address, String> {
    Address::parse(text).map_err(|error| error.to_string())
}

fn read_name(text: &str) -> Result<Name, String> {
    Name::parse(text).map_err(|error| error.to_string())
}

fn read_seconds(text: &str) -> Result<u32, String> {
    text.strip_suffix('s').and_then(|number| number.parse().ok()).ok_or_else(|| format!("{text:?} is no span like 11s"))
}
