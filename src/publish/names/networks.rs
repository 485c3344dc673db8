//! The client networks of our own node.

use std::sync::Arc;

use super::{Names, Settings};
use crate::{
    catalog::{
        apply::{Presence, TouchedInstance},
        service::IpNetwork,
    },
    publish::eligible::is_for_our_networks,
};

impl Names {
    pub(super) fn change_networks(&mut self, touched: &TouchedInstance, settings: &Settings) {
        let ours = |presence: &Option<Presence>| {
            let instance = presence.as_ref().map(|presence| Arc::clone(&presence.entry.instance));
            instance
                .filter(|instance| is_for_our_networks(instance, settings) && !instance.network_addresses.is_empty())
        };
        let (before, after) = (ours(&touched.before), ours(&touched.after));
        let same = before.as_ref().map(Arc::as_ptr) == after.as_ref().map(Arc::as_ptr);
        if same {
            return;
        }
        let mut networks = Vec::clone(&self.networks);
        for address in after.iter().flat_map(|instance| instance.network_addresses.iter()) {
            match networks.iter_mut().find(|(network, _)| *network == address.network) {
                Some((_, count)) => *count += 1,
                None => networks.push((address.network, 1)),
            }
        }
        for address in before.iter().flat_map(|instance| instance.network_addresses.iter()) {
            if let Some((_, count)) = networks.iter_mut().find(|(network, _)| *network == address.network) {
                *count -= 1;
            }
        }
        networks.retain(|(_, count)| *count > 0);
        sort_networks(&mut networks);
        self.networks = Arc::new(networks);
    }
}

/// The longest prefix first.
pub(super) fn sort_networks(networks: &mut [(IpNetwork, u32)]) {
    networks.sort_by_key(|(network, _)| (std::cmp::Reverse(network.prefix_length()), *network));
}
