//! Prepared queries: which instances of which service, under a name of its own.
//!
//! A query is found by its ID or by its name, in any letter case. A template is found by every name that begins as its
//! own, the longest first, and its texts are then filled in from the name that was asked ([`template`]).
//!
//! A name belongs to one query. Where machines share a store, another program may have written several of one name: that of
//! the lowest ID has it, and when it goes the next.
//!
//! **Limits:** failover is kept and shown; there is one datacenter, so that nobody is asked. Names are the same in any letter
//! case.
//!
//! **Source:** Consul's `/v1/query`.

use std::sync::Arc;

use super::{
    At,
    change::{ChangeError, Done, Touched},
    ordered::Dated,
    store::Store,
    template::{self, Expression, Filling},
};
use crate::catalog::{
    check::CheckStatus,
    names::Text,
    node::Node,
    service::Instance,
    state::{CheckEntry, InstanceEntry, NodeEntry},
};

/// A prepared query.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    /// Its ID, a UUID.
    pub id: Text,
    /// Its name, or what the names begin with if it is a template; empty: it is found by its ID alone.
    pub name: Text,
    /// The session with which it ends; empty: none.
    pub session: Text,
    /// Whether it is a template.
    pub template: Option<Template>,
    /// The service's name.
    pub service: Text,
    /// Tags that an instance must have; after `!`, must not have.
    pub tags: Vec<Text>,
    /// Whether instances with a warning are left out.
    pub only_passing: bool,
    /// Checks that do not count.
    pub ignore_check_ids: Vec<Text>,
    /// Pairs that the node's meta must have.
    pub node_meta: Vec<(Text, Text)>,
    /// Pairs that the instance's meta must have.
    pub service_meta: Vec<(Text, Text)>,
    /// The node whose instances stand first.
    pub near: Text,
    /// In how many other datacenters to look.
    pub nearest_n: u32,
    /// In which other datacenters to look.
    pub datacenters: Vec<Text>,
    /// TTL of DNS answers, in seconds, and as it was written.
    pub dns_ttl: Option<(u32, Text)>,
}

/// How names are read that begin as a template's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Template {
    /// An expression whose groups `${match(n)}` means; empty: none.
    pub regexp: Expression,
    /// Whether tags that come out empty are left out.
    pub remove_empty_tags: bool,
}

/// A query with its indexes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryEntry {
    /// The query.
    pub query: Arc<Query>,
    /// Index at which it was made.
    pub create_index: u64,
    /// Index of its last change.
    pub modify_index: u64,
}

impl Dated for Arc<QueryEntry> {
    fn index(&self) -> u64 {
        self.modify_index
    }
}

/// An ID.
impl Dated for Text {
    fn index(&self) -> u64 {
        0
    }
}

impl Query {
    /// Whether its texts can be filled in; what is wrong if not.
    pub fn validate(&self) -> Result<(), String> {
        if self.template.is_none() {
            return Ok(());
        }
        let texts = [&self.service, &self.near].into_iter().chain(&self.tags).chain(&self.datacenters);
        let mut texts = texts.chain(self.node_meta.iter().chain(&self.service_meta).map(|(_, value)| value));
        texts.try_for_each(|text| template::validate(self, text))
    }

    /// The query as it is for a name: a template is filled in.
    pub fn rendered(&self, name: &str) -> Query {
        let filling = Filling::new(self, name);
        let pairs =
            |pairs: &[(Text, Text)]| pairs.iter().map(|(key, value)| (key.clone(), filling.text(value))).collect();
        let removes = self.template.as_ref().is_some_and(|template| template.remove_empty_tags);
        let keep = |tag: &Text| !removes || !tag.is_empty();
        Query {
            service: filling.text(&self.service),
            tags: self.tags.iter().map(|tag| filling.text(tag)).filter(keep).collect(),
            near: filling.text(&self.near),
            datacenters: self.datacenters.iter().map(|name| filling.text(name)).collect(),
            node_meta: pairs(&self.node_meta),
            service_meta: pairs(&self.service_meta),
            ..self.clone()
        }
    }

    /// Whether an instance of this status may be chosen.
    pub fn takes(&self, status: CheckStatus) -> bool {
        if self.only_passing { status == CheckStatus::Passing } else { status != CheckStatus::Critical }
    }

    /// The status of an instance by the checks that count.
    pub fn status_of(&self, node: &NodeEntry, entry: &InstanceEntry) -> CheckStatus {
        if self.ignore_check_ids.is_empty() {
            return node.status().max(entry.status());
        }
        let counts = |entry: &&CheckEntry| !self.ignore_check_ids.iter().any(|id| id == entry.check.id.as_str());
        let checks = node.checks.iter().chain(entry.checks.iter()).filter(counts);
        checks.map(|entry| entry.check.status).max().unwrap_or(CheckStatus::Passing)
    }

    /// Whether it chooses as its service's name does in DNS.
    pub fn is_plain(&self) -> bool {
        let Query { tags, only_passing, ignore_check_ids, node_meta, service_meta, dns_ttl, .. } = self;
        let texts = tags.is_empty() && ignore_check_ids.is_empty() && node_meta.is_empty() && service_meta.is_empty();
        texts && !only_passing && dns_ttl.is_none()
    }
}

impl Filling<'_> {
    /// Whether an instance on a node has the tags and the meta that the query asks for.
    pub fn is_for(&self, node: &Node, instance: &Instance) -> bool {
        let query = self.query();
        let tags = || instance.tags.iter().map(|tag| tag.as_str());
        let of_node =
            |(key, value): &(Text, Text)| node.meta.get(key.as_str()).is_some_and(|given| self.is(value, given));
        let of_instance =
            |(key, value): &(Text, Text)| instance.meta.get(key.as_str()).is_some_and(|given| self.is(value, given));
        query.tags.iter().all(|tag| self.fits_tags(tag, tags()))
            && query.node_meta.iter().all(of_node)
            && query.service_meta.iter().all(of_instance)
    }
}

impl Store {
    /// A query by its ID.
    pub fn query(&self, id: &str) -> Option<&Arc<QueryEntry>> {
        self.queries.get(id)
    }

    /// A query by its ID or its name, or the template with the longest name that this one begins with. Costs O(log n) for
    /// each byte of the name.
    pub fn find_query(&self, id_or_name: &str) -> Option<&Arc<QueryEntry>> {
        self.query(id_or_name).or_else(|| self.find_query_in_lower_case(&id_or_name.to_lowercase()))
    }

    /// The same for a name in lower case.
    pub fn find_query_in_lower_case(&self, name: &str) -> Option<&Arc<QueryEntry>> {
        let named = |id: &Text| self.query(id);
        if let Some(entry) = self.query(name).or_else(|| self.query_names.get(name).and_then(named)) {
            return Some(entry);
        }
        if self.query_templates.is_empty() {
            return None;
        }
        let beginnings = (0..=name.len()).rev().filter_map(|end| name.get(..end));
        beginnings.filter_map(|beginning| self.query_templates.get(beginning)).find_map(named)
    }

    /// Whether a query's name begins so, its parts between dots in reverse.
    pub fn has_query_below(&self, reversed: &str) -> bool {
        self.query_ends.newest_with_prefix(reversed) > 0
    }

    /// Whether any query is a template.
    pub fn has_templates(&self) -> bool {
        !self.query_templates.is_empty()
    }

    /// All queries, in order of their IDs.
    pub fn queries(&self) -> impl Iterator<Item = &Arc<QueryEntry>> {
        self.queries.iter().map(|(_, entry)| entry)
    }

    /// How many queries there are.
    pub fn query_count(&self) -> usize {
        self.queries.len()
    }

    /// X-Consul-Index of any read of queries.
    pub fn queries_index(&self) -> u64 {
        self.queries_index
    }

    /// Another query that has the name of this one.
    pub fn namesake(&self, query: &Query) -> Option<&Arc<QueryEntry>> {
        let names = if query.template.is_some() { &self.query_templates } else { &self.query_names };
        let holder = names.get(&query.name.to_lowercase())?;
        self.query(holder).filter(|holder| holder.query.id != query.id)
    }

    /// The queries that end with a session, in order of their IDs.
    pub fn queries_of(&self, session: &str) -> Vec<&Arc<QueryEntry>> {
        let bonds = bond(session, "");
        self.ties.with_prefix(&bonds).filter_map(|(tie, ())| self.query(&tie[bonds.len()..])).collect()
    }

    /// Makes a query, or replaces that of the same ID; or says why not.
    pub fn set_query(&mut self, query: Query, at: At) -> Result<Done, ChangeError> {
        if !query.session.is_empty() && self.session(&query.session).is_none() {
            return Err(ChangeError::UnknownSession(query.session));
        }
        if self.namesake(&query).is_some() {
            return Err(ChangeError::NameTaken(query.name));
        }
        let before = self.queries.get(&query.id).cloned();
        if before.as_ref().is_some_and(|before| *before.query == query) {
            return Ok(Done::default());
        }
        if let Some(before) = &before {
            self.forget_query(&before.query);
        }
        let create_index = before.map_or(at.index, |before| before.create_index);
        let touched = vec![Touched::Query(query.id.clone())];
        self.put_query(QueryEntry { query: Arc::new(query), create_index, modify_index: at.index });
        Ok(Done { touched, ..Done::default() })
    }

    pub(super) fn put_query(&mut self, entry: QueryEntry) {
        let query = Arc::clone(&entry.query);
        if let Some(claims) = claims(&query) {
            self.query_claims.set(Text::from(claims + &query.id), ());
        }
        if !query.session.is_empty() {
            self.ties.set(bond(&query.session, &query.id), ());
        }
        self.queries_index = self.queries_index.max(entry.modify_index);
        self.queries.set(query.id.clone(), Arc::new(entry));
        self.settle_name(&query);
    }

    pub(super) fn forget_query(&mut self, query: &Query) {
        if let Some(claims) = claims(query) {
            self.query_claims.remove(&(claims + &query.id));
        }
        self.ties.remove(&bond(&query.session, &query.id));
        self.queries.remove(&query.id);
        self.settle_name(query);
    }

    /// Gives a query's name to the first of those that claim it, or to none.
    fn settle_name(&mut self, query: &Query) {
        let Some(claims) = claims(query) else { return };
        let name = Text::from(query.name.to_lowercase());
        let first = self.query_claims.with_prefix(&claims).next();
        let holder = first.map(|(claim, ())| Text::from(&claim[claims.len()..]));
        match (&query.template, holder) {
            (Some(_), Some(id)) => _ = self.query_templates.set(name, id),
            (Some(_), None) => _ = self.query_templates.remove(&name),
            (None, Some(id)) => {
                self.query_ends.set(reversed(&name), 1);
                self.query_names.set(name, id);
            }
            (None, None) => {
                self.query_ends.remove(&reversed(&name));
                self.query_names.remove(&name);
            }
        }
    }

    /// Takes a query away; one that is not there is gone already.
    pub fn delete_query(&mut self, id: &str, at: At) -> Done {
        let Some(entry) = self.queries.get(id).cloned() else { return Done::default() };
        self.forget_query(&entry.query);
        self.queries_index = at.index;
        Done { touched: vec![Touched::Query(entry.query.id.clone())], ..Done::default() }
    }

    /// Takes the queries away that end with a session.
    pub(super) fn delete_queries_of(&mut self, session: &str, at: At) -> Vec<Touched> {
        let ids: Vec<Text> = self.queries_of(session).iter().map(|entry| entry.query.id.clone()).collect();
        ids.iter().flat_map(|id| self.delete_query(id, at).touched).collect()
    }
}

/// What the texts begin with by which those claim a query's name that have it, before their IDs; none if it has no name. With
/// the length no name is the beginning of another.
fn claims(query: &Query) -> Option<String> {
    let (is_template, name) = (query.template.is_some(), query.name.to_lowercase());
    (is_template || !name.is_empty()).then(|| format!("{}\0{}\0{name}\0", u8::from(is_template), name.len()))
}

/// The parts of a name between its dots, the last first.
fn reversed(name: &str) -> Text {
    Text::from(name.rsplit('.').collect::<Vec<&str>>().join("."))
}

/// Under which text a query is found by its session. No node has an empty name, so it is no tie of a session.
fn bond(session: &str, query: &str) -> Text {
    Text::from(format!("\0{session}\0{query}"))
}

#[cfg(test)]
#[path = "query_tests.rs"]
mod tests;
