//! Events at the first start with a shared store: a machine's own go there if there are none; else they are dropped, because
//! nobody misses what was told once.

use super::AdoptError;
use crate::{
    kv::store::Store,
    sources::etcd::{
        client::Client,
        layout::Layout,
        plan::{Ended, Plan},
    },
};

/// Copies the events that this machine has to below a prefix in etcd, unless there are some.
pub async fn adopt_events((prefix, client): (&str, &Client), store: &Store) -> Result<(), AdoptError> {
    if store.events().is_empty() {
        return Ok(());
    }
    let layout = Layout::new(prefix);
    let first = client.pages(layout.events().as_bytes(), None).next().await?;
    if first.is_some_and(|page| !page.key_values.is_empty()) {
        return Ok(());
    }
    for plan in Plan::event_copies(&layout, store.events().iter().map(|event| &**event))? {
        let done = client.txn(plan.txn(0)).await?;
        if !matches!(plan.ended(&done), Ended::Done { .. }) {
            // Another machine copies what it has, too: those hold.
            return Ok(());
        }
    }
    Ok(())
}
