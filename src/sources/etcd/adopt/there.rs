//! What lies in etcd of all that machines share, at the first start with a store.

use crate::{
    catalog::names::NodeName,
    sources::etcd::{
        client::{Client, Error, Op, Txn},
        layout::Layout,
        plan::Plan,
    },
};

/// What there is.
#[derive(Debug, Default)]
pub(super) struct There {
    /// Folders of what is of no node that have something.
    folders: Vec<String>,
    /// Nodes that are no machine's.
    nodes: Vec<NodeName>,
}

/// Of which kinds it is looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kinds {
    /// All that machines share.
    All,
    /// Nodes that are no machine's, and what is on them.
    Nodes,
}

impl There {
    /// Looks at all that is there.
    pub async fn look(layout: &Layout, client: &Client, kinds: Kinds) -> Result<There, Error> {
        let mut there = There { folders: Vec::new(), nodes: nodes(layout, client).await? };
        for folder in kinds.folders(layout) {
            let first = client.pages(folder.as_bytes(), None).next().await?;
            if first.is_some_and(|page| !page.key_values.is_empty()) {
                there.folders.push(folder);
            }
        }
        Ok(there)
    }

    pub fn is_empty(&self) -> bool {
        self.folders.is_empty() && self.nodes.is_empty()
    }

    /// Where it lies; below the prefix, if it is gone by now.
    pub fn places(&self, layout: &Layout) -> String {
        if self.is_empty() {
            return layout.root().to_owned();
        }
        let [of_nodes, _] = layout.folders();
        let of_nodes = Some(of_nodes).filter(|_| !self.nodes.is_empty());
        self.folders.iter().cloned().chain(of_nodes).collect::<Vec<_>>().join(", ")
    }

    /// Deletes all of it.
    pub async fn delete(self, layout: &Layout, client: &Client, kinds: Kinds) -> Result<(), Error> {
        for plan in Plan::node_deletions(layout, &self.nodes) {
            client.txn(plan.txn(0)).await?;
        }
        let then: Vec<_> = kinds.folders(layout).map(|folder| Op::DeletePrefix(folder.into_bytes())).collect();
        if !then.is_empty() {
            client.txn(Txn { then, ..Txn::default() }).await?;
        }
        Ok(())
    }
}

impl Kinds {
    /// The folders of these kinds that have nothing else.
    pub fn folders(self, layout: &Layout) -> impl Iterator<Item = String> {
        let all = || layout.kept_folders().into_iter().chain([layout.events()]).chain(layout.access_folders());
        (self == Kinds::All).then(all).into_iter().flatten()
    }
}

/// Nodes that are no machine's: their keys have no lease.
async fn nodes(layout: &Layout, client: &Client) -> Result<Vec<NodeName>, Error> {
    let [folder, _] = layout.folders();
    let mut pages = client.pages(folder.as_bytes(), None);
    let mut nodes = Vec::new();
    while let Some(page) = pages.next().await? {
        let places = page.key_values.iter().filter(|one| one.lease == 0).filter_map(|one| layout.place(&one.key));
        nodes.extend(places.map(|place| place.node().clone()));
    }
    Ok(nodes)
}
