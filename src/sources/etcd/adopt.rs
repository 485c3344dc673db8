//! The first start with a shared store: keys, sessions and prepared queries that were this machine's alone go there.
//!
//! | this machine has | the store has | what holds from then on |
//! |---|---|---|
//! | none | | what the store has |
//! | some | none | what this machine has, which is copied |
//! | some | some | neither, until an operator says which: `--store-adopt` |

pub mod nodes;

use super::{
    client::{Client, Error, Op, Txn},
    layout::Layout,
    plan::{Ended, Plan, PlanError},
};
use crate::kv::store::Store;

/// Which of two sides holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// What this machine has; what the store has is deleted.
    Local,
    /// What the store has; what this machine has is dropped.
    Remote,
}

/// Why what this machine has was not brought together with what the store has. This machine's is as it was.
#[derive(Debug, thiserror::Error)]
pub enum AdoptError {
    /// Both have some.
    #[error(
        "this machine has {keys} keys, {sessions} sessions and {queries} prepared queries of its own, and there are some below \
         {root} in etcd, too; say which are to hold: --store-adopt local replaces those in etcd, --store-adopt remote drops this \
         machine's"
    )]
    Both {
        /// Of this machine.
        keys: usize,
        /// Of this machine.
        sessions: usize,
        /// Of this machine.
        queries: usize,
        /// Where those in etcd lie.
        root: String,
    },
    /// Both have nodes that are no machine's.
    #[error(
        "{nodes} nodes were registered on this machine by HTTP, and there are some that are no machine's below {root} in etcd, too; \
         say which are to hold: --store-adopt local replaces those in etcd, --store-adopt remote drops this machine's"
    )]
    BothNodes {
        /// Of this machine.
        nodes: usize,
        /// Where those in etcd lie.
        root: String,
    },
    /// etcd cannot be reached, or refuses.
    #[error(
        "the keys, sessions, queries and nodes that this machine has of its own are to be copied into etcd at its first start with a \
         store, and that failed: {0}"
    )]
    Client(#[from] Error),
    /// Something cannot be in etcd.
    #[error("the keys, sessions, queries and nodes that this machine has of its own cannot be copied into etcd: {0}")]
    Plan(#[from] PlanError),
}

/// Brings what this machine has together with what lies in etcd below a prefix. What the store then has is followed later.
pub async fn adopt((prefix, client): (&str, &Client), store: &Store, side: Option<Side>) -> Result<(), AdoptError> {
    let (keys, sessions, queries) = (store.key_count(), store.session_count(), store.query_count());
    if keys + sessions + queries == 0 {
        return Ok(());
    }
    let layout = Layout::new(prefix);
    let both = || AdoptError::Both { keys, sessions, queries, root: layout.root().to_owned() };
    if has_some(&layout, client).await? {
        match side {
            None => return Err(both()),
            Some(Side::Remote) => {
                tracing::warn!(
                    keys,
                    sessions,
                    queries,
                    "etcd: what this machine had of its own is dropped (store_adopt)"
                );
                return Ok(());
            }
            Some(Side::Local) => {
                tracing::warn!(
                    "etcd: the keys, sessions and queries there are replaced by this machine's (store_adopt)"
                );
                let folders = layout.kept_folders().map(|folder| Op::DeletePrefix(folder.into_bytes()));
                client.txn(Txn { then: folders.into(), ..Txn::default() }).await?;
            }
        }
    }
    let sessions_of = store.sessions().map(|entry| &*entry.session);
    let mut plans = Plan::copies(&layout, sessions_of, store.keys_below("").map(|entry| &**entry))?;
    plans.extend(Plan::query_copies(&layout, store.queries().map(|entry| &*entry.query))?);
    for plan in plans {
        let lease = match plan.lease() {
            Some(span) => client.grant(span.as_secs() + u64::from(span.subsec_nanos() > 0)).await?.id,
            None => 0,
        };
        let done = client.txn(plan.txn(lease)).await?;
        if !matches!(plan.ended(&done), Ended::Done { .. }) {
            // Another machine copies what it has, too.
            return Err(both());
        }
    }
    tracing::info!(keys, sessions, queries, "etcd: what this machine had of its own was copied there");
    Ok(())
}

/// Whether there are keys, sessions or queries in etcd.
async fn has_some(layout: &Layout, client: &Client) -> Result<bool, Error> {
    for folder in layout.kept_folders() {
        let first = client.pages(folder.as_bytes(), None).next().await?;
        if first.is_some_and(|page| !page.key_values.is_empty()) {
            return Ok(true);
        }
    }
    Ok(false)
}
