//! The immutable state that readers see. One response comes from exactly one snapshot.

use std::{collections::HashSet, sync::Arc};

use crate::{
    access::Realm,
    catalog::state::State,
    kv::store::Store,
    publish::{feed::SourceStatus, machines::Machine, names::Names, plan::Plan, settings::Settings},
    zones::Zones,
};

pub use crate::{
    catalog::{
        apply::Presence,
        change::Origin as Registrant,
        check::CheckStatus,
        names::ServiceName,
        service::{Instance, IpNetwork, Meta},
        table::{CHOSEN_TOGETHER_MAX, FOUND_TOGETHER_MAX, Measured, Seed, Table, Trail, Walk},
    },
    kv::{query::Query as PreparedQuery, template::Filling},
    publish::{
        eligible::{self, Reach, Via},
        label::{Key, SERVICE_LABELS_MAX, dotted_key, port_key},
        names::FoundService,
        nodes::{FoundNode, NodeAnswers, text_pairs},
        plan::{Domain, Origin},
        reverse::Owner,
        selection::{Addressed, Addresses, Member, Selection, Set, Sum, Target},
        service::{ServiceAnswers, has_port, has_tag},
        settings::{DefaultRule, HostNames, NoneEligible},
        view::{Found, GroupKind, View},
    },
    zones::{
        RrSet, Zone,
        lookup::{Lookup, Match, Referral, lowercase_into},
    },
};

/// All that is known at one index: the catalog, the store, and the names that DNS answers with.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The catalog.
    pub catalog: State,
    /// Keys with their values.
    pub store: Store,
    /// Policies and tokens; while access control is off, they count for nothing.
    pub realm: Arc<Realm>,
    /// What DNS answers about it.
    pub names: Names,
    /// The settings in force.
    pub settings: Arc<Settings>,
    /// Static zones.
    pub zones: Arc<Zones>,
    /// Both of them, made ready for answering.
    pub plan: Arc<Plan>,
    /// The sources and how they are.
    pub sources: Arc<[SourceStatus]>,
    /// The other machines of the cluster that live, by name; none where the catalog is not shared.
    pub machines: Arc<[Machine]>,
    /// Services with instances whose failures are held, because we may be cut off; none if there are no such.
    pub held: Option<Arc<HashSet<ServiceName>>>,
    /// SOA serial.
    pub serial: u32,
}

impl Snapshot {
    /// Whether every source has delivered its first list.
    pub fn is_synced(&self) -> bool {
        self.sources.iter().all(|source| source.synced)
    }

    /// Whether a source is away for too long.
    pub fn is_stale(&self) -> bool {
        self.stale_origins().next().is_some()
    }

    /// Whose registrations may be out of date, because their source is away for too long.
    pub fn stale_origins(&self) -> impl Iterator<Item = Registrant> {
        self.sources.iter().filter(|source| source.stale).map(|source| source.origin)
    }

    /// Why the store that machines share cannot be reached just now, if it cannot.
    pub fn store_is_away(&self) -> Option<&str> {
        self.sources
            .iter()
            .filter(|source| source.origin == Registrant::Cluster)
            .find_map(|source| source.away.as_deref())
    }

    /// Whether there is a store that machines share, and it is followed just now.
    pub fn follows_store(&self) -> bool {
        self.sources.iter().any(|source| source.origin == Registrant::Cluster && source.away.is_none())
    }

    /// Whether failures of its instances are held, because we may be cut off.
    pub fn is_held(&self, service: &ServiceName) -> bool {
        self.held.as_ref().is_some_and(|held| held.contains(service))
    }

    /// The global index.
    pub fn index(&self) -> u64 {
        self.catalog.index()
    }
}
