//! Changing policies and tokens.

use super::{Ended, Plan, Receipt, Shared, SubmitError, in_time};
use crate::access::directory::AccessChange;

impl Shared {
    /// Has a change made, or says why not as etcd has it.
    pub(super) async fn change_access(&self, change: &AccessChange) -> Result<Receipt, SubmitError> {
        in_time(async {
            loop {
                let seen = self.listed().await?;
                let snapshot = self.published.load();
                let known = (&*snapshot.realm, snapshot.store.revision().unwrap_or_default());
                let (plan, outcome) = Plan::access(&self.layout, known, change)?;
                drop(snapshot);
                if plan.is_empty() {
                    // It is of this machine alone: of its tokens file, or what is built in.
                    return Ok(outcome.map(|()| self.receipt(None, Vec::new()))?);
                }
                match self.make(plan).await? {
                    Ended::Done { revision, .. } => {
                        outcome?;
                        return self.done(revision, Vec::new()).await;
                    }
                    Ended::Refused(_) | Ended::Stale => self.newer(seen).await,
                }
            }
        })
        .await
    }
}
