//! Prepared queries: what setting one asks of etcd, and what the end of a session takes of them.
//!
//! A query is set on a copy of the store, which says whether its session is there and its name is free (`kv::query`). That it is
//! free holds in etcd if no query changed there since: then two machines cannot give one name to two queries.

use std::time::Duration;

use super::{Plan, PlanError, Write, present, signed};
use crate::{
    catalog::names::Text,
    kv::{
        At,
        change::ChangeError,
        query::{Query, QueryEntry},
        store::Store,
    },
    sources::etcd::{
        client::Compare,
        kept::write_session,
        kept_query::write_query,
        layout::{Kept, Layout},
    },
};

impl Plan {
    /// Plans a query that is to be set, on what this machine knows; and why it is refused, if it is. Both hold if the transaction
    /// is made.
    pub fn set_query(
        layout: &Layout,
        store: &Store,
        query: &Query,
    ) -> Result<(Plan, Result<(), ChangeError>), PlanError> {
        let set = store.clone().set_query(query.clone(), At { index: u64::MAX, now: Duration::ZERO });
        let Err(refused) = set else {
            return Ok((Plan::of_query(layout, store, query)?, Ok(())));
        };
        let compares = match store.session(&query.session) {
            _ if query.session.is_empty() => vec![],
            Some(session) => vec![present(layout, session)],
            None => vec![Compare::absent(layout.kept_key(&Kept::Session(query.session.clone())).into_bytes())],
        };
        let holder = store.namesake(query).filter(|_| matches!(refused, ChangeError::NameTaken(_)));
        let holder = holder.map(|holder| unchanged(layout, &holder.query.id, Some(holder)));
        Ok((Plan::of(compares.into_iter().chain(holder).collect(), Vec::new()), Err(refused)))
    }

    /// Plans a query that can be set.
    fn of_query(layout: &Layout, store: &Store, query: &Query) -> Result<Plan, PlanError> {
        let before = store.query(&query.id);
        let session = store.session(&query.session);
        let followed = signed(store.revision().unwrap_or(0));
        let compares = [
            Some(unchanged(layout, &query.id, before.map(|before| &**before))),
            Some(Compare::none_after(layout.queries().as_bytes(), followed)),
            session.map(|session| present(layout, session)),
        ];
        let mut writes = Vec::new();
        if before.is_none_or(|before| *before.query != *query) {
            writes.push(Write::Put(layout.kept_key(&Kept::Query(query.id.clone())), write_query(query)?));
            let is_new = before.is_none_or(|before| before.query.session != query.session);
            if let Some(entry) = session.filter(|_| is_new) {
                // So that the end of the session does not miss it.
                let key = layout.kept_key(&Kept::Session(entry.session.id.clone()));
                writes.push(Write::Put(key, write_session(&entry.session)?));
            }
        }
        Plan::of(compares.into_iter().flatten().collect(), writes).within()
    }

    /// Plans that a query goes, whatever it is.
    pub fn delete_query(layout: &Layout, id: &Text) -> Plan {
        Plan::of(Vec::new(), vec![Write::Delete(layout.kept_key(&Kept::Query(id.clone())))])
    }

    /// Plans that queries of this machine alone become shared ones, where there are none of the same IDs.
    pub fn query_copies<'a>(layout: &Layout, queries: impl Iterator<Item = &'a Query>) -> Result<Vec<Plan>, PlanError> {
        Plan::batches(queries.map(|query| {
            let write = Write::Put(layout.kept_key(&Kept::Query(query.id.clone())), write_query(query)?);
            Ok((unchanged(layout, &query.id, None), vec![write]))
        }))
    }
}

/// How the queries go that end with a session.
pub(super) fn end_with(layout: &Layout, store: &Store, session: &str) -> Vec<(Compare, Vec<Write>)> {
    let end = |entry: &QueryEntry| {
        let id = &entry.query.id;
        (unchanged(layout, id, Some(entry)), vec![Write::Delete(layout.kept_key(&Kept::Query(id.clone())))])
    };
    store.queries_of(session).into_iter().map(|entry| end(entry)).collect()
}

/// That a query is as it was known, or not there.
fn unchanged(layout: &Layout, id: &Text, known: Option<&QueryEntry>) -> Compare {
    let seen = known.map_or(0, |entry| entry.modify_index);
    Compare::unchanged(layout.kept_key(&Kept::Query(id.clone())).into_bytes(), signed(seen))
}

#[cfg(test)]
#[path = "queries_tests.rs"]
mod tests;
