//! The first start with a shared store: what was this machine's alone and machines share goes there.
//!
//! | this machine has | the store has | what holds from then on |
//! |---|---|---|
//! | none | | what the store has |
//! | some | none | what this machine has, which is copied |
//! | some | some | neither, until an operator says which: `--store-adopt` |

pub mod events;
pub mod nodes;

use super::{
    client::{Client, Error, Op, Txn},
    layout::Layout,
    plan::{Ended, Plan, PlanError},
};
use crate::{access::directory::Directory, kv::store::Store};

/// Which of two sides holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// What this machine has; what the store has is deleted.
    Local,
    /// What the store has; what this machine has is dropped.
    Remote,
}

/// What this machine has of its own.
#[derive(Debug, Clone, Copy)]
pub struct Own<'a> {
    /// Keys, sessions and prepared queries.
    pub store: &'a Store,
    /// Policies and tokens.
    pub directory: &'a Directory,
    /// The time, in seconds since 1970, by which tokens have ended.
    pub now_secs: u64,
}

/// Why what this machine has was not brought together with what the store has. This machine's is as it was.
#[derive(Debug, thiserror::Error)]
pub enum AdoptError {
    /// Both have some.
    #[error(
        "this machine has {own} of its own, and there are such below {root} in etcd, too; say which are to hold: --store-adopt \
         local replaces those in etcd, --store-adopt remote drops this machine's"
    )]
    Both {
        /// What this machine has, as `3 keys, 1 tokens`.
        own: String,
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
        "what this machine has of its own is to be copied into etcd at its first start with a store, and that failed: {0}"
    )]
    Client(#[from] Error),
    /// Something cannot be in etcd.
    #[error("what this machine has of its own cannot be copied into etcd: {0}")]
    Plan(#[from] PlanError),
}

impl Own<'_> {
    /// What there is, and how much.
    fn counts(&self) -> Vec<(usize, &'static str)> {
        let all = [
            (self.store.key_count(), "keys"),
            (self.store.session_count(), "sessions"),
            (self.store.query_count(), "prepared queries"),
            (self.directory.policies().count(), "policies"),
            (self.directory.tokens().count(), "tokens"),
        ];
        all.into_iter().filter(|(count, _)| *count > 0).collect()
    }

    fn plans(&self, layout: &Layout) -> Result<Vec<Plan>, PlanError> {
        let sessions = self.store.sessions().map(|entry| &*entry.session);
        let mut plans = Plan::copies(layout, sessions, self.store.keys_below("").map(|entry| &**entry))?;
        plans.append(&mut Plan::query_copies(layout, self.store.queries().map(|entry| &*entry.query))?);
        plans.append(&mut Plan::copies_of_access(layout, self.directory, self.now_secs)?);
        Ok(plans)
    }
}

/// Brings what this machine has together with what lies in etcd below a prefix. What the store then has is followed later.
pub async fn adopt((prefix, client): (&str, &Client), own: Own<'_>, side: Option<Side>) -> Result<(), AdoptError> {
    let layout = Layout::new(prefix);
    let plans = own.plans(&layout)?;
    if plans.is_empty() {
        return Ok(());
    }
    let counts: Vec<String> = own.counts().iter().map(|(count, what)| format!("{count} {what}")).collect();
    let counts = counts.join(", ");
    let both = || AdoptError::Both { own: counts.clone(), root: layout.root().to_owned() };
    if has_some(&layout, client).await? {
        match side {
            // That a first token was made once is nothing that anybody misses there.
            None if counts.is_empty() => return Ok(()),
            None => return Err(both()),
            Some(Side::Remote) => {
                tracing::warn!(own = counts, "etcd: what this machine had of its own is dropped (store_adopt)");
                return Ok(());
            }
            Some(Side::Local) => {
                tracing::warn!("etcd: what machines share there is replaced by what this machine has (store_adopt)");
                let then = folders(&layout).map(|folder| Op::DeletePrefix(folder.into_bytes())).collect();
                client.txn(Txn { then, ..Txn::default() }).await?;
            }
        }
    }
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
    tracing::info!(own = counts, "etcd: what this machine had of its own was copied there");
    Ok(())
}

/// Whether there is something in etcd that machines share.
async fn has_some(layout: &Layout, client: &Client) -> Result<bool, Error> {
    for folder in folders(layout) {
        let first = client.pages(folder.as_bytes(), None).next().await?;
        if first.is_some_and(|page| !page.key_values.is_empty()) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn folders(layout: &Layout) -> impl Iterator<Item = String> {
    layout.kept_folders().into_iter().chain(layout.access_folders())
}

#[cfg(test)]
#[path = "adopt_tests.rs"]
mod tests;
