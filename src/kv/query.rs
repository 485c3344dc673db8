//! Prepared queries: which instances of which service, under a name of its own.
//!
//! A query is found by its ID or by its name, in any letter case. A template is found by every name that begins as its
//! own, the longest first, and its texts are then filled in from the name that was asked.
//!
//! **Limits:** failover is kept and shown; there is one datacenter, so that nobody is asked. Names are the same in any letter
//! case.
//!
//! **Source:** Consul's `/v1/query`.

use std::sync::Arc;

use regex::{Captures, Regex};

use super::{
    At,
    change::{ChangeError, Done, Touched},
    ordered::Dated,
    store::Store,
};
use crate::catalog::names::Text;

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
    pub regexp: Text,
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
    /// Whether its expression and its texts can be used; what is wrong if not.
    pub fn validate(&self) -> Result<(), String> {
        let Some(template) = &self.template else { return Ok(()) };
        Regex::new(&template.regexp).map_err(|error| format!("Template.Regexp: {error}"))?;
        let texts = [&self.service, &self.near].into_iter().chain(&self.tags).chain(&self.datacenters);
        let values = self.node_meta.iter().chain(&self.service_meta).map(|(_, value)| value);
        for text in texts.chain(values) {
            fill(text, &|word| meaning(word, ("", ""), None))?;
        }
        Ok(())
    }

    /// The query as it is for a name: a template is filled in.
    pub fn rendered(&self, name: &str) -> Query {
        let Some(template) = &self.template else { return self.clone() };
        let regex = Some(&template.regexp).filter(|text| !text.is_empty()).and_then(|text| Regex::new(text).ok());
        let captures = regex.as_ref().and_then(|regex| regex.captures(name));
        let meaning = |word: &str| meaning(word, (&self.name, name), captures.as_ref());
        let render = |text: &Text| Text::from(fill(text, &meaning).unwrap_or_default());
        let pairs = |pairs: &[(Text, Text)]| pairs.iter().map(|(key, value)| (key.clone(), render(value))).collect();
        let keep = |tag: &Text| !template.remove_empty_tags || !tag.is_empty();
        Query {
            service: render(&self.service),
            tags: self.tags.iter().map(render).filter(keep).collect(),
            near: render(&self.near),
            datacenters: self.datacenters.iter().map(render).collect(),
            node_meta: pairs(&self.node_meta),
            service_meta: pairs(&self.service_meta),
            ..self.clone()
        }
    }
}

/// What stands between `${` and `}`; none if it means nothing.
fn meaning(word: &str, (prefix, name): (&str, &str), captures: Option<&Captures<'_>>) -> Option<String> {
    let word = word.trim();
    match word {
        "name.full" => return Some(name.to_owned()),
        "name.prefix" => return Some(prefix.to_owned()),
        "name.suffix" => return Some(name.get(prefix.len()..).unwrap_or_default().to_owned()),
        "agent.segment" => return Some(String::new()),
        _ => {}
    }
    let number = word.strip_prefix("match(")?.strip_suffix(')')?.trim().parse().ok()?;
    let group = captures.and_then(|captures| captures.get(number));
    Some(group.map_or_else(String::new, |group| group.as_str().to_owned()))
}

/// The text with all `${...}` filled in. `$$` before a brace is one `$`.
fn fill(text: &str, meaning: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut filled = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        filled.push_str(&rest[..at]);
        let word = &rest[at + 2..];
        let end = word.find('}').ok_or_else(|| format!("{text:?}: a ${{ is not closed"))?;
        if filled.ends_with('$') {
            filled.push_str(&rest[at + 1..at + 3 + end]);
        } else {
            filled.push_str(&meaning(&word[..end]).ok_or_else(|| format!("{text:?}: {:?} is unknown", &word[..end]))?);
        }
        rest = &word[end + 1..];
    }
    filled.push_str(rest);
    Ok(filled)
}

impl Store {
    /// A query by its ID.
    pub fn query(&self, id: &str) -> Option<&Arc<QueryEntry>> {
        self.queries.get(id)
    }

    /// A query by its ID or its name, or the template with the longest name that this one begins with. Costs O(log n) for
    /// each byte of the name.
    pub fn find_query(&self, id_or_name: &str) -> Option<&Arc<QueryEntry>> {
        let name = id_or_name.to_lowercase();
        let named = |id: &Text| self.query(id);
        if let Some(entry) = self.query(id_or_name).or_else(|| self.query_names.get(&name).and_then(named)) {
            return Some(entry);
        }
        let beginnings = (0..=name.len()).rev().filter_map(|end| name.get(..end));
        beginnings.filter_map(|beginning| self.query_templates.get(beginning)).find_map(named)
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

    pub(super) fn set_query(&mut self, query: Query, at: At) -> Result<Done, ChangeError> {
        if !query.session.is_empty() && self.session(&query.session).is_none() {
            return Err(ChangeError::UnknownSession(query.session));
        }
        let names = if query.template.is_some() { &self.query_templates } else { &self.query_names };
        let is_named = !query.name.is_empty() || query.template.is_some();
        if is_named && names.get(&query.name.to_lowercase()).is_some_and(|other| *other != query.id) {
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
        let query = &entry.query;
        let name = Text::from(query.name.to_lowercase());
        if query.template.is_some() {
            self.query_templates.set(name, query.id.clone());
        } else if !name.is_empty() {
            self.query_names.set(name, query.id.clone());
        }
        if !query.session.is_empty() {
            self.ties.set(bond(&query.session, &query.id), ());
        }
        self.queries_index = self.queries_index.max(entry.modify_index);
        self.queries.set(query.id.clone(), Arc::new(entry));
    }

    fn forget_query(&mut self, query: &Query) {
        let names = if query.template.is_some() { &mut self.query_templates } else { &mut self.query_names };
        names.remove(&query.name.to_lowercase());
        self.ties.remove(&bond(&query.session, &query.id));
        self.queries.remove(&query.id);
    }

    pub(super) fn delete_query(&mut self, id: &str, at: At) -> Done {
        let Some(entry) = self.queries.get(id).cloned() else { return Done::default() };
        self.forget_query(&entry.query);
        self.queries_index = at.index;
        Done { touched: vec![Touched::Query(entry.query.id.clone())], ..Done::default() }
    }

    /// Takes the queries away that end with a session.
    pub(super) fn delete_queries_of(&mut self, session: &str, at: At) -> Vec<Touched> {
        let bonds = bond(session, "");
        let ids: Vec<Text> = self.ties.with_prefix(&bonds).map(|(tie, ())| Text::from(&tie[bonds.len()..])).collect();
        ids.iter().flat_map(|id| self.delete_query(id, at).touched).collect()
    }
}

/// Under which text a query is found by its session. No node has an empty name, so it is no tie of a session.
fn bond(session: &str, query: &str) -> Text {
    Text::from(format!("\0{session}\0{query}"))
}

#[cfg(test)]
#[path = "query_tests.rs"]
mod tests;
