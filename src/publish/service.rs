//! All that DNS answers about one service, kept true change by change.

mod bulk;

use std::sync::Arc;

use crate::{
    catalog::{
        apply::Presence,
        change::Origin,
        names::ServiceName,
        node::Node,
        service::{Instance, IpNetwork, NetworkAddress},
        table::{Seed, Table},
    },
    publish::{
        eligible::{self, Reach, Via},
        label::{dotted_key, id_key, port_key},
        selection::{Addressed, Entry, Member, NodeTarget, Target},
        settings::{DefaultRule, NoneEligible, Settings},
        view::{Brought, GroupChange, View},
    },
    wire::name::Name,
};

/// What DNS answers about one service.
#[derive(Debug, Clone)]
pub struct ServiceAnswers {
    /// Its name.
    pub name: ServiceName,
    /// What holds for it.
    pub rule: DefaultRule,
    /// How many instances are registered.
    pub registered: u32,
    /// How many of them each origin has.
    origins: [u32; Origin::COUNT],
    /// Registered instances, those of one ID side by side ([`id_hash`]).
    ids: Table<Arc<Instance>>,
    /// What ordinary clients see.
    ordinary: Views,
    /// What clients in one of our client networks see; seldom any.
    networks: Option<Arc<Vec<NetworkViews>>>,
}

/// What one kind of client sees.
#[derive(Debug, Clone, Default)]
pub struct Views {
    /// The eligible members.
    pub eligible: View,
    /// Those that are answered where nobody is eligible, if that is wanted.
    pub everyone: Option<Arc<View>>,
}

#[derive(Debug, Clone)]
struct NetworkViews {
    network: IpNetwork,
    /// How many instances have an address in it.
    members: u32,
    views: Views,
}

/// What answers are built with.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The seed of all hashes.
    pub seed: Seed,
    /// The settings; the client networks of our own node are ours.
    pub settings: &'a Settings,
    /// A node as a target.
    pub target: &'a dyn Fn(&Node) -> Arc<NodeTarget>,
}

impl ServiceAnswers {
    /// A service without instances.
    pub fn new(name: ServiceName, rule: DefaultRule) -> ServiceAnswers {
        let everyone = (rule.none_eligible == NoneEligible::All).then(Arc::default);
        ServiceAnswers {
            name,
            rule,
            registered: 0,
            origins: [0; Origin::COUNT],
            ids: Table::default(),
            ordinary: Views { eligible: View::default(), everyone },
            networks: None,
        }
    }

    /// Reads what every answer about the service reads of it.
    pub fn touch_self(&self) -> u32 {
        let all = &self.ordinary.eligible.all;
        let sizes = all.v4.best().table.len() + all.ported.table.len();
        self.rule.ttl_secs.wrapping_add(self.registered).wrapping_add(sizes as u32)
    }

    /// Reads what an answer with addresses, or one with SRV, reads of its members if they are few.
    pub fn touch(&self, srv: bool) -> u32 {
        let all = &self.ordinary.eligible.all;
        if srv { all.ported.table.touch() } else { all.v4.best().table.touch() }
    }

    /// The addresses, if they are many, so that an answer may have only some of them.
    pub fn many_addresses(&self) -> Option<&Table<Addressed<4>>> {
        Some(&self.ordinary.eligible.all.v4.best().table).filter(|table| !table.is_leaf())
    }

    /// What a client sees whose address lies in this client network.
    pub fn views(&self, network: Option<IpNetwork>) -> &Views {
        let networks = self.networks.iter().flat_map(|networks| networks.iter());
        let found = network.and_then(|network| networks.into_iter().find(|views| views.network == network));
        found.map_or(&self.ordinary, |views| &views.views)
    }

    /// Registered instances whose ID has this label (in wire form), one a node. Costs O(what it returns), and one look
    /// at each 65,536th of the service's instances.
    pub fn by_id<'a>(&'a self, seed: Seed, label: &[u8]) -> impl Iterator<Item = &'a Arc<Instance>> {
        self.ids
            .with_prefix(seed.hash(label), ID_BITS)
            .filter(move |instance| id_key(instance.id.as_str()).as_wire() == label)
    }

    /// Whether an instance is registered by this origin.
    pub fn has_origin(&self, origin: Origin) -> bool {
        self.origins[origin as usize] > 0
    }

    /// The registered instances, in no order.
    pub fn instances(&self) -> impl Iterator<Item = &Arc<Instance>> {
        self.ids.iter()
    }

    /// Whether any registered instance has a tag below these labels, and a named port.
    pub fn has_below(&self, tag: &[u8], port: &[u8]) -> bool {
        let below = |instance: &Instance| {
            let mut keys = instance.tags.iter().map(|tag| dotted_key(tag.as_str()));
            keys.any(|key| key.ancestors().any(|ancestor| ancestor == tag))
        };
        self.ids.iter().any(|instance| below(instance) && has_port(instance, port))
    }

    /// Follows one instance. Returns which groups came into being or ceased to be.
    pub fn change(
        &mut self,
        context: Context<'_>,
        before: Option<&Presence>,
        after: Option<&Presence>,
    ) -> Vec<GroupChange> {
        self.change_networks(context, before, after);
        let brought =
            |who| [before, after].map(|presence| presence.map(|presence| self.brought(context, presence, None, who)));
        let [was, is] = brought(Who::Eligible);
        let everyone = self.ordinary.everyone.is_some().then(|| brought(Who::Everyone));
        let changes = self.ordinary.eligible.change(context.seed, was.as_ref(), is.as_ref());
        if let (Some([was, is]), Some(view)) = (everyone, &mut self.ordinary.everyone) {
            Arc::make_mut(view).change(context.seed, was.as_ref(), is.as_ref());
        }
        self.registered = self.registered + u32::from(after.is_some()) - u32::from(before.is_some());
        let origin = |presence: &Presence| presence.entry.instance.origin as usize;
        if let Some(after) = after {
            self.origins[origin(after)] += 1;
        }
        if let Some(before) = before {
            self.origins[origin(before)] -= 1;
        }
        self.change_ids(context.seed, before, after);
        changes
    }

    fn change_ids(&mut self, seed: Seed, before: Option<&Presence>, after: Option<&Presence>) {
        let instance = |presence: Option<&Presence>| presence.map(|presence| Arc::clone(&presence.entry.instance));
        match (instance(before), instance(after)) {
            (Some(before), Some(after)) if Arc::ptr_eq(&before, &after) => {}
            (Some(before), None) => {
                self.ids.remove(id_hash(seed, &before), |old| old.id == before.id && old.node == before.node);
            }
            (_, Some(after)) => {
                self.ids
                    .set(id_hash(seed, &after), Arc::clone(&after), |old| old.id == after.id && old.node == after.node);
            }
            (None, None) => {}
        }
    }

    /// Follows one instance in what clients in our networks see.
    fn change_networks(&mut self, context: Context<'_>, before: Option<&Presence>, after: Option<&Presence>) {
        let networks = |presence: Option<&Presence>| own_networks(context, presence);
        let (was_in, is_in) = (networks(before), networks(after));
        if self.networks.is_none() && is_in.is_empty() {
            return;
        }
        let mut all = self.networks.take().map(Arc::unwrap_or_clone).unwrap_or_default();
        for network in &is_in {
            if !all.iter().any(|views| views.network == *network) {
                // Nobody had an address in it until now, so its clients saw what ordinary ones see.
                all.push(NetworkViews { network: *network, members: 0, views: self.ordinary.clone() });
            }
        }
        for views in &mut all {
            let network = Some(views.network);
            let brought = |who| {
                [before, after].map(|presence| presence.map(|presence| self.brought(context, presence, network, who)))
            };
            let [was, is] = brought(Who::Eligible);
            views.views.eligible.change(context.seed, was.as_ref(), is.as_ref());
            if let Some(view) = &mut views.views.everyone {
                let [was, is] = brought(Who::Everyone);
                Arc::make_mut(view).change(context.seed, was.as_ref(), is.as_ref());
            }
            let inside = |networks: &[IpNetwork]| u32::from(networks.contains(&views.network));
            views.members = views.members + inside(&is_in) - inside(&was_in);
        }
        all.retain(|views| views.members > 0);
        self.networks = (!all.is_empty()).then(|| Arc::new(all));
    }

    /// What an instance brings to a view.
    fn brought(&self, context: Context<'_>, presence: &Presence, network: Option<IpNetwork>, who: Who) -> Brought {
        let instance = &presence.entry.instance;
        let local = network.filter(|_| instance.node == context.settings.node);
        let there = local.and_then(|network| eligible::network_address(instance, network));
        let brought = groups(instance, there);
        let counts = self.counts(presence, who);
        let reach = match there {
            Some(address) => eligible::network_reach(address, instance),
            None => eligible::reach(instance, &presence.node, context.settings),
        };
        let entry = counts.then(|| self.entry(context, presence, reach, brought.port)).flatten();
        Brought { entry, ..brought }
    }

    /// Whether an instance is a member.
    fn counts(&self, presence: &Presence, who: Who) -> bool {
        match who {
            Who::Eligible => eligible::is_eligible(presence, &self.rule),
            Who::Everyone => !presence.in_maintenance(),
        }
    }

    fn entry(&self, context: Context<'_>, presence: &Presence, reach: Reach<'_>, port: u16) -> Option<Entry> {
        let instance = &presence.entry.instance;
        let target = match reach.via {
            Via::V4 => Target::V4(reach.v4?),
            Via::V6 => Target::V6(reach.v6?),
            Via::Node => Target::Node((context.target)(&presence.node)),
            Via::Host(host) => Target::Host(Name::parse(host).ok()?),
            Via::Nothing => return None,
        };
        let member = Member {
            instance: Arc::clone(instance),
            target,
            port,
            weight: eligible::weight(instance, eligible::status(presence)),
            priority: eligible::priority(instance),
        };
        Some(Entry {
            hash: context.seed.hash(&(&instance.node, &instance.id)),
            member,
            v4: reach.v4,
            v6: reach.v6,
            host: reach.host.and_then(|host| Name::parse(host).ok()),
            ttl: eligible::ttl(instance, &self.rule),
            https: eligible::https(instance).is_some(),
        })
    }
}

/// The groups that an instance is in for clients that have this address of it, or its ordinary one; without an entry.
fn groups(instance: &Instance, there: Option<&NetworkAddress>) -> Brought {
    let number = |at: usize| match there {
        Some(address) => address.ports.get(at).copied().unwrap_or(0),
        None => instance.ports[at].number,
    };
    let default = instance.default_port().and_then(|port| instance.ports.iter().position(|other| other == port));
    let port = default.map_or(0, number);
    let mut brought = Brought { port, ..Brought::default() };
    for tag in instance.tags.iter() {
        let key = dotted_key(tag.as_str());
        if !brought.tags.contains(&key) {
            brought.tags.push(key);
        }
    }
    for (at, name) in instance.ports.iter().enumerate().filter_map(|(at, port)| Some((at, port.name.as_ref()?))) {
        let key = port_key(name.as_str());
        if !brought.ports.iter().any(|(other, _)| *other == key) {
            brought.ports.push((key, number(at)));
        }
    }
    brought
}

/// The hash of an instance among those of its service: first bits from the label of its ID, so that all of one ID are
/// found, and the rest from ID and node, so that one ID on very many nodes does not make one leaf of them.
fn id_hash(seed: Seed, instance: &Instance) -> u32 {
    let node_bits = u32::MAX >> ID_BITS;
    let id = seed.hash(id_key(instance.id.as_str()).as_wire());
    id & !node_bits | seed.hash(&(&instance.node, &instance.id)) & node_bits
}

/// Whether an instance has a tag with these labels.
pub fn has_tag(instance: &Instance, labels: &[u8]) -> bool {
    instance.tags.iter().any(|tag| dotted_key(tag.as_str()).as_wire() == labels)
}

/// Whether an instance has a named port with this label.
pub fn has_port(instance: &Instance, label: &[u8]) -> bool {
    instance.ports.iter().filter_map(|port| port.name.as_ref()).any(|name| port_key(name.as_str()).as_wire() == label)
}

/// Who counts as a member.
#[derive(Debug, Clone, Copy)]
enum Who {
    Eligible,
    /// All but those in maintenance.
    Everyone,
}

/// The client networks of ours in which an instance has an address.
fn own_networks(context: Context<'_>, presence: Option<&Presence>) -> Vec<IpNetwork> {
    let instance =
        presence.map(|presence| &presence.entry.instance).filter(|instance| instance.node == context.settings.node);
    let mut networks: Vec<IpNetwork> = instance
        .into_iter()
        .flat_map(|instance| instance.network_addresses.iter())
        .map(|address| address.network)
        .collect();
    networks.dedup();
    networks
}

/// Bits of [`id_hash`] that are the ID's. Source: none, chosen: half of them, so that a million instances lie in small
/// leaves, whether each has an ID of its own or all have one.
const ID_BITS: u32 = 16;
