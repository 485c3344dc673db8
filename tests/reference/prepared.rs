//! Prepared queries: which names they have, and what a name makes of the query.

use std::collections::{BTreeMap, BTreeSet};

use nameplate::{catalog::names::Text, kv::query::Query, wire::name::Name};
use regex::Regex;

use super::{
    facts::Filter,
    labels::{Holder, LabelList, ServiceNames},
    world::{PlainInstance, World},
};

/// What a query asks of instances, filled in for a name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PlainQuery {
    /// Tags to have; after `!`, not to have.
    pub tags: Vec<String>,
    /// Whether a warning is too much.
    pub only_passing: bool,
    /// IDs of checks that do not count.
    pub ignored: Vec<String>,
    /// Pairs of the node's meta.
    pub node_meta: Vec<(String, String)>,
    /// Pairs of the instance's meta.
    pub service_meta: Vec<(String, String)>,
    /// TTL of what is answered.
    pub ttl: Option<u32>,
}

impl PlainQuery {
    /// Whether an instance has all of it.
    pub fn fits(&self, world: &World, entry: &PlainInstance) -> bool {
        let has = |tag: &str| entry.instance.tags.iter().any(|own| own.as_str().eq_ignore_ascii_case(tag));
        let node = world.node(entry.instance.node.as_str()).map(|node| &node.node);
        self.tags.iter().all(|tag| if let Some(not) = tag.strip_prefix('!') { !has(not) } else { has(tag) })
            && self
                .node_meta
                .iter()
                .all(|(key, value)| node.and_then(|node| node.meta.get(&**key)).is_some_and(|own| **own == **value))
            && self
                .service_meta
                .iter()
                .all(|(key, value)| entry.instance.meta.get(&**key).is_some_and(|own| **own == **value))
    }
}

/// All queries, and the services that they may lead to.
#[derive(Debug, Clone, Default)]
pub struct QueryNames {
    queries: Vec<Query>,
    services: BTreeSet<String>,
    by_labels: BTreeMap<LabelList, Holder>,
}

impl QueryNames {
    /// Reads a world.
    pub fn of(world: &World, names: &ServiceNames) -> QueryNames {
        QueryNames {
            queries: world.queries.clone(),
            services: world.instances.iter().map(|entry| entry.instance.service.as_str().to_owned()).collect(),
            by_labels: names.by_labels.clone(),
        }
    }

    /// Whether any query is a template.
    pub fn has_templates(&self) -> bool {
        self.queries.iter().any(|query| query.template.is_some())
    }

    /// What the labels left of `query` mean: instances of a service.
    pub fn meaning(&self, labels: &[Vec<u8>]) -> Option<(Holder, Filter)> {
        let name = match labels {
            [first, .., last] if first.starts_with(b"_") && last.starts_with(b"_") => {
                [&[first[1..].to_vec()], &labels[1..labels.len() - 1]].concat()
            }
            _ => labels.to_vec(),
        };
        if name.iter().any(|label| label.contains(&b'.')) {
            return None;
        }
        let name = String::from_utf8(name.join(&b'.')).ok()?;
        let query = self.find(&name)?;
        let fill = |text: &str| fill(query, text, &name);
        let pairs = |pairs: &[(Text, Text)]| pairs.iter().map(|(key, value)| (key.to_string(), fill(value))).collect();
        let mut tags: Vec<String> = query.tags.iter().map(|tag| fill(tag)).collect();
        if query.template.as_ref().is_some_and(|template| template.remove_empty_tags) {
            tags.retain(|tag| !tag.is_empty());
        }
        let plain = PlainQuery {
            tags,
            only_passing: query.only_passing,
            ignored: query.ignore_check_ids.iter().map(ToString::to_string).collect(),
            node_meta: pairs(&query.node_meta),
            service_meta: pairs(&query.service_meta),
            ttl: query.dns_ttl.as_ref().map(|(seconds, _)| *seconds),
        };
        Some((self.service(&fill(&query.service))?, Filter { query: Some(plain), ..Filter::default() }))
    }

    fn find(&self, name: &str) -> Option<&Query> {
        let named = |query: &&Query| {
            *query.id == *name
                || (query.template.is_none() && !query.name.is_empty() && query.name.to_lowercase() == name)
        };
        let begins = |query: &&Query| query.template.is_some() && name.starts_with(&query.name.to_lowercase());
        let templates = self.queries.iter().filter(begins);
        self.queries.iter().find(named).or_else(|| templates.max_by_key(|query| query.name.len()))
    }

    /// The service of exactly this name, else the one that its labels lead to, if it differs in letter case only.
    fn service(&self, name: &str) -> Option<Holder> {
        if self.services.contains(name) {
            return Some(Holder::Service(name.to_owned()));
        }
        let labels: LabelList = name.split('.').map(|label| label.to_ascii_lowercase().into_bytes()).collect();
        let holder = self.by_labels.get(&labels)?;
        let same = matches!(holder, Holder::Service(own) if own.eq_ignore_ascii_case(name));
        same.then(|| holder.clone())
    }

    /// Whether a query has a name below these labels, its service known or not.
    pub fn is_above(&self, labels: &[Vec<u8>]) -> bool {
        let below = |labels: &[Vec<u8>]| {
            self.queries.iter().filter(|query| query.template.is_none()).any(|query| {
                let own = parts(query);
                own.len() > labels.len() && own.ends_with(labels)
            })
        };
        match labels {
            [] => true,
            [protocol] if protocol.starts_with(b"_") => !self.queries.is_empty() || below(labels),
            [name @ .., protocol] if protocol.starts_with(b"_") => below(labels) || below(name),
            _ => below(labels),
        }
    }

    /// Names that lead to queries, for drawing questions.
    pub fn listed(&self) -> Vec<LabelList> {
        let mut listed = Vec::new();
        for query in &self.queries {
            let own = parts(query);
            let ends: &[&str] = if query.template.is_some() { &TEMPLATE_ENDS } else { &[""] };
            for end in ends {
                let text = [&own.join(&b'.')[..], end.as_bytes()].concat();
                let labels: LabelList = text.split(|byte| *byte == b'.').map(<[u8]>::to_vec).collect();
                let first = [b"_", &labels[0][..]].concat();
                listed.push([&[first], &labels[1..], &[b"_tcp".to_vec()]].concat());
                listed.push(labels);
            }
            listed.push(vec![query.id.as_bytes().to_vec()]);
        }
        listed
    }
}

/// The labels of a query's name.
fn parts(query: &Query) -> LabelList {
    query.name.to_lowercase().split('.').map(|part| part.as_bytes().to_vec()).collect()
}

/// A text of a template, filled in.
fn fill(query: &Query, text: &str, name: &str) -> String {
    let Some(template) = &query.template else { return text.to_owned() };
    let regexp = Some(template.regexp.as_str()).filter(|regexp| !regexp.is_empty());
    let captures = regexp.and_then(|regexp| Regex::new(regexp).expect("it was accepted").captures(name));
    let holes = Regex::new(r"\$?\$\{[^}]*\}").expect("an expression");
    let meaning = |hole: &str| match hole.trim_start_matches("${").trim_end_matches('}').trim() {
        "name.full" => name.to_owned(),
        "name.prefix" => query.name.to_string(),
        "name.suffix" => name[query.name.len()..].to_owned(),
        "agent.segment" => String::new(),
        group => {
            let number = group.trim_start_matches("match(").trim_end_matches(')').parse().expect("a number");
            let group = captures.as_ref().and_then(|captures| captures.get(number));
            group.map_or_else(String::new, |group| group.as_str().to_owned())
        }
    };
    let replace = |hole: &regex::Captures| match hole[0].strip_prefix('$').filter(|rest| rest.starts_with('$')) {
        Some(escaped) => escaped.to_owned(),
        None => meaning(&hole[0]),
    };
    holes.replace_all(text, replace).into_owned()
}

/// A name as one of a query, below a domain; none if it would be no name.
pub fn name_below(labels: &LabelList, parent: &[Vec<u8>]) -> Option<Name> {
    let all = labels.iter().chain(parent);
    if labels.iter().any(Vec::is_empty) { None } else { Name::from_labels(all).ok() }
}

const TEMPLATE_ENDS: [&str; 8] = ["", "web", "db", "api", "web.shop", "x-blue", "cache", "_under"];
