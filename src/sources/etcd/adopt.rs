//! The first start with a shared store: what was this machine's alone and machines share goes there.
//!
//! | this machine has | the store has | what holds from then on |
//! |---|---|---|
//! | none | | what the store has |
//! | some | none | what this machine has, which is copied |
//! | some | some | neither, until an operator says which: `--store-adopt` |
//!
//! Some of one kind is some: keys, sessions, prepared queries, events, policies, tokens and nodes that are no machine's are one
//! matter, because they name each other, and one answer is asked for all of them. A machine that follows the store already is
//! looked at for nodes alone.
//!
//! Who begins to copy compares that nothing is there yet: of machines that start with a store at the same time one copies, and the
//! others are refused with nothing of theirs copied.
//!
//! **Limits:** what is much is copied in several transactions. A start that is cut short leaves what it copied, and this machine has
//! all of it still: the next one finds that both have some, and `local` copies all anew. Two machines that copy nothing but nodes
//! at the same time both do, unless they have nodes of one name.

mod nodes;
mod there;

use std::sync::Arc;

use self::{
    nodes::OtherNodes,
    there::{Kinds, There},
};
use super::{
    EtcdSettings,
    client::{Client, Error},
    layout::Layout,
    plan::{Ended, Plan, PlanError},
};
use crate::{
    access::{directory::Directory, token::Token},
    catalog::{restore::StoredNode, state::InstanceEntry},
    kv::store::Store,
    publish::journal::Write,
};

/// Which of two sides holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// What this machine has; what the store has is deleted.
    Local,
    /// What the store has; what this machine has is dropped.
    Remote,
}

/// What this machine has of its own.
#[derive(Debug)]
pub struct Own<'a> {
    /// Keys, sessions, prepared queries and events; it tells, too, whether this machine follows the store already.
    pub store: &'a Store,
    /// Policies and tokens.
    pub directory: &'a Directory,
    /// The time, in seconds since 1970, by which tokens have ended.
    pub now_secs: u64,
    /// All nodes, as they were stored: those that are no machine's become the store's, or go.
    pub nodes: &'a mut Vec<StoredNode>,
    /// All instances, with them.
    pub instances: &'a mut Vec<Arc<InstanceEntry>>,
}

/// Why what this machine has was not brought together with what the store has. What is stored on this machine is as it was.
#[derive(Debug, thiserror::Error)]
pub enum AdoptError {
    /// Both have some.
    #[error(
        "this machine has {own} of its own, and etcd has some in {there}; say which are to hold, all of them: --store-adopt local \
         replaces those in etcd, also what a start that was cut short copied there, --store-adopt remote drops this machine's"
    )]
    Both {
        /// What this machine has, as `3 keys, 1 tokens`.
        own: String,
        /// Where those in etcd lie.
        there: String,
    },
    /// etcd cannot be reached, or refuses.
    #[error(
        "what this machine has of its own is to be copied into etcd at its first start with a store, and that failed: {0}"
    )]
    Client(#[from] Error),
    /// Something cannot be in etcd.
    #[error("what this machine has of its own cannot be copied into etcd: {0}")]
    Plan(#[from] PlanError),
}

/// Brings what this machine has together with what lies in etcd. What the store then has is followed later. Returns what is to be
/// written of what became of nodes.
pub async fn adopt(
    (settings, client): (&EtcdSettings, &Client),
    own: Own<'_>,
    side: Option<Side>,
) -> Result<Vec<Write>, AdoptError> {
    let layout = &Layout::new(&settings.prefix);
    let kinds = if own.store.revision().is_none() { Kinds::All } else { Kinds::Nodes };
    let others = OtherNodes { own: &settings.node, datacenter: &settings.datacenter };
    let mut adopted = others.names(own.nodes);
    let mut plans = if kinds == Kinds::All { own.plans(layout)? } else { Vec::new() };
    let there = match plans.is_empty() && adopted.is_empty() {
        true => There::default(),
        false => There::look(layout, client, kinds).await?,
    };
    let counts = own.counts(kinds, adopted.len());
    let replaces = match side {
        _ if there.is_empty() => false,
        // That a first token was made once is nothing that anybody misses there.
        _ if counts.is_empty() => return Ok(others.take_back(&adopted, (own.nodes, own.instances))),
        None => return Err(AdoptError::Both { own: counts, there: there.places(layout) }),
        Some(Side::Remote) => {
            tracing::warn!(own = counts, "etcd: what this machine had of its own is dropped (store_adopt)");
            adopted.clear();
            return Ok(others.take_back(&adopted, (own.nodes, own.instances)));
        }
        Some(Side::Local) => {
            let places = there.places(layout);
            tracing::warn!(
                places,
                "etcd: what machines share there is replaced by what this machine has (store_adopt)"
            );
            true
        }
    };
    let writes = others.take_back(&adopted, (own.nodes, own.instances));
    plans.extend(Plan::node_copies(layout, others.documents(&adopted, (own.nodes, own.instances))?));
    if replaces {
        there.delete(layout, client, kinds).await?;
    } else if let Some(first) = plans.first_mut() {
        first.only_if_empty(kinds.folders(layout));
    }
    for plan in plans {
        if !is_done(client, plan).await? {
            // Somebody wrote there since it was looked at.
            let there = There::look(layout, client, kinds).await?;
            return Err(AdoptError::Both { own: counts, there: there.places(layout) });
        }
    }
    if !counts.is_empty() {
        tracing::info!(own = counts, "etcd: what this machine had of its own was copied there");
    }
    Ok(writes)
}

async fn is_done(client: &Client, plan: Plan) -> Result<bool, Error> {
    let lease = match plan.lease() {
        Some(span) => client.grant(span.as_secs() + u64::from(span.subsec_nanos() > 0)).await?.id,
        None => 0,
    };
    let done = client.txn(plan.txn(lease)).await?;
    Ok(matches!(plan.ended(&done), Ended::Done { .. }))
}

impl Own<'_> {
    /// What there is of these kinds, and how much, with so many nodes.
    fn counts(&self, kinds: Kinds, nodes: usize) -> String {
        let of_nodes = (nodes, "nodes that are no machine's");
        let lives = |token: &&Arc<Token>| token.expires_secs.is_none_or(|at| at > self.now_secs);
        let all = [
            (self.store.key_count(), "keys"),
            (self.store.session_count(), "sessions"),
            (self.store.query_count(), "prepared queries"),
            (self.store.events().len(), "events"),
            (self.directory.policies().count(), "policies"),
            (self.directory.tokens().filter(lives).count(), "tokens"),
        ];
        let others = if kinds == Kinds::All { &all[..] } else { &[] };
        let some = others.iter().chain([&of_nodes]).filter(|(count, _)| *count > 0);
        some.map(|(count, what)| format!("{count} {what}")).collect::<Vec<_>>().join(", ")
    }

    /// What copies what is of no node.
    fn plans(&self, layout: &Layout) -> Result<Vec<Plan>, PlanError> {
        let sessions = self.store.sessions().map(|entry| &*entry.session);
        let mut plans = Plan::copies(layout, sessions, self.store.keys_below("").map(|entry| &**entry))?;
        plans.append(&mut Plan::query_copies(layout, self.store.queries().map(|entry| &*entry.query))?);
        plans.append(&mut Plan::event_copies(layout, self.store.events().iter().map(|event| &**event))?);
        plans.append(&mut Plan::copies_of_access(layout, self.directory, self.now_secs)?);
        Ok(plans)
    }
}

#[cfg(test)]
#[path = "adopt_tests.rs"]
mod tests;
