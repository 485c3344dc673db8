//! Prepared queries are set and deleted, and events fired, each by one transaction.

use super::{Shared, in_time};
use crate::{
    catalog::names::Text,
    kv::{change::ChangeError, event::Event, query::Query, store::Store},
    publish::feed::{Receipt, SubmitError},
    sources::etcd::plan::{Ended, Plan, PlanError},
};

impl Shared {
    pub(super) async fn set_query(&self, query: &Query) -> Result<Receipt, SubmitError> {
        self.planned(|store| Plan::set_query(&self.layout, store, query)).await
    }

    pub(super) async fn delete_query(&self, id: &Text) -> Result<Receipt, SubmitError> {
        self.planned(|_| Ok((Plan::delete_query(&self.layout, id), Ok(())))).await
    }

    pub(super) async fn fire(&self, event: &Event) -> Result<Receipt, SubmitError> {
        self.planned(|store| Ok((Plan::fire(&self.layout, store, event)?, Ok(())))).await
    }

    /// Makes what is planned, or refuses it as planned: anew until it is planned on what etcd has.
    pub(super) async fn planned(
        &self,
        plan: impl Fn(&Store) -> Result<(Plan, Result<(), ChangeError>), PlanError>,
    ) -> Result<Receipt, SubmitError> {
        in_time(async {
            loop {
                let seen = self.listed().await?;
                let (plan, outcome) = self.on_store(&plan)?;
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
