//! What a set of rules allows.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::rules::{Level, Resource, Rule, Rules, Scope};

/// The rules of all policies of a token as one, ready for look-ups: O(log rules) for each step of a name that some
/// prefix shares.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Authorizer {
    tables: BTreeMap<Resource, RuleTable>,
    default: Level,
}

/// The rules of one resource.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
struct RuleTable {
    whole: Option<Level>,
    exact: BTreeMap<Box<str>, Level>,
    prefixes: BTreeMap<Box<str>, Level>,
}

impl Authorizer {
    /// Brings the rules together. The default holds for what no rule names, but for tokens and policies: without a rule
    /// nobody may read or write those.
    pub fn new<'a>(rules: impl IntoIterator<Item = &'a Rules>, default: Level) -> Authorizer {
        let mut authorizer = Authorizer { tables: BTreeMap::new(), default };
        for rule in rules.into_iter().flat_map(Rules::iter) {
            authorizer.add(rule);
        }
        authorizer
    }

    /// What may be done with this name of a resource; of a resource without names the name does not matter.
    pub fn level(&self, resource: Resource, name: &str) -> Level {
        let default = if resource == Resource::Acl { Level::Deny } else { self.default };
        let Some(table) = self.tables.get(&resource) else { return default };
        let exact = || table.exact.get(name).copied();
        table.whole.or_else(exact).or_else(|| table.longest_prefix(name)).unwrap_or(default)
    }

    /// Whether at least this may be done with the name.
    pub fn allows(&self, resource: Resource, name: &str, wanted: Level) -> bool {
        self.level(resource, name) >= wanted
    }

    /// Whether at least this may be done with every name that begins so, whatever it is.
    pub fn allows_all_below(&self, resource: Resource, prefix: &str, wanted: Level) -> bool {
        let default = if resource == Resource::Acl { Level::Deny } else { self.default };
        let Some(table) = self.tables.get(&resource) else { return default >= wanted };
        if let Some(whole) = table.whole {
            return whole >= wanted;
        }
        let below = |names: &BTreeMap<Box<str>, Level>| {
            let from = (Bound::Included(prefix), Bound::Unbounded);
            names
                .range::<str, _>(from)
                .take_while(|(name, _)| name.starts_with(prefix))
                .all(|(_, level)| *level >= wanted)
        };
        table.longest_prefix(prefix).unwrap_or(default) >= wanted && below(&table.exact) && below(&table.prefixes)
    }

    fn add(&mut self, rule: &Rule) {
        let table = self.tables.entry(rule.resource).or_default();
        match &rule.scope {
            Scope::Whole => table.whole = Some(table.whole.map_or(rule.level, |other| stronger(other, rule.level))),
            Scope::Exact(name) => add_to(&mut table.exact, name, rule.level),
            Scope::Prefix(name) => add_to(&mut table.prefixes, name, rule.level),
        }
    }
}

impl RuleTable {
    /// The level of the longest prefix of the name that there is a rule for.
    fn longest_prefix(&self, name: &str) -> Option<Level> {
        let mut shared = name;
        loop {
            // Of all prefixes not after the name, the last is the longest that can be one of its own.
            let (found, level) =
                self.prefixes.range::<str, _>((Bound::Unbounded, Bound::Included(shared))).next_back()?;
            if shared.starts_with(&**found) {
                return Some(*level);
            }
            let common = shared.char_indices().zip(found.chars()).take_while(|((_, one), other)| one == other);
            let end = common.last().map_or(0, |((at, last), _)| at + last.len_utf8());
            shared = &shared[..end];
        }
    }
}

fn add_to(names: &mut BTreeMap<Box<str>, Level>, name: &str, level: Level) {
    names.entry(name.into()).and_modify(|other| *other = stronger(*other, level)).or_insert(level);
}

/// Which of two levels for the same name holds. Source: Consul's documentation, "ACL rules".
fn stronger(one: Level, other: Level) -> Level {
    if one == Level::Deny || other == Level::Deny { Level::Deny } else { one.max(other) }
}

#[cfg(test)]
#[path = "authorizer_tests.rs"]
mod tests;
