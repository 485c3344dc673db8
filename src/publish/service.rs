//! All that DNS answers about one service, kept true change by change.

mod bulk;

use std::sync::Arc;

use crate::{
    catalog::{
        apply::Presence,
        change::Origin,
        check::CheckStatus,
        names::ServiceName,
        node::Node,
        service::{Instance, IpNetwork, NetworkAddress},
        table::{Seed, Table},
    },
    publish::{
        eligible::{self, Reach, Via},
        label::{Key, dotted_key, id_key, port_key},
        selection::{Addressed, Entry, Member, NodeTarget, Target},
        settings::{DefaultRule, NoneEligible, Settings},
        view::{Brought, GroupChange, View},
    },
    wire::name::Name,
};

/// A service, or all instances with one further name, which are answered as if they were one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Called {
    /// Which of the two.
    pub standing: Standing,
    /// Its name.
    pub name: ServiceName,
}

impl Called {
    /// A service of this name.
    pub fn service(name: &ServiceName) -> Called {
        Called { standing: Standing::Service, name: name.clone() }
    }

    /// The instances with this further name.
    pub fn further(name: &ServiceName) -> Called {
        Called { standing: Standing::Further, name: name.clone() }
    }
}

/// What a name is the name of. The order is that in which they win it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Standing {
    /// A service.
    Service,
    /// Instances, beside their service.
    Further,
}

/// What DNS answers about one service, or about the instances with one further name. What most answers read
/// comes first, and so lies together.
#[derive(Debug, Clone)]
#[repr(C)]
pub struct ServiceAnswers {
    /// What holds for it.
    pub rule: DefaultRule,
    /// What clients in one of our client networks see; seldom any.
    networks: Option<Arc<Vec<NetworkViews>>>,
    /// What ordinary clients see.
    ordinary: Views,
    /// Its name.
    pub name: ServiceName,
    /// How many instances are registered.
    pub registered: u32,
    /// How many of them are eligible, whether or not they have an address for anybody.
    pub eligible: u32,
    /// How many of them each origin has.
    origins: [u32; Origin::COUNT],
    /// Registered instances, those of one ID side by side ([`id_hash`]).
    ids: Table<Arc<Instance>>,
    /// Those of which a further name stands for the ID, by that name in the same way; seldom any.
    aliases: Option<Arc<Table<Arc<Instance>>>>,
    /// What that is the name of.
    pub standing: Standing,
}

/// What one kind of client sees.
#[derive(Debug, Clone, Default)]
#[repr(C)]
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
    pub fn new(Called { standing, name }: Called, rule: DefaultRule) -> ServiceAnswers {
        let everyone = (rule.none_eligible == NoneEligible::All).then(Arc::default);
        ServiceAnswers {
            name,
            standing,
            rule,
            registered: 0,
            eligible: 0,
            origins: [0; Origin::COUNT],
            ids: Table::default(),
            aliases: None,
            ordinary: Views { eligible: View::default(), everyone },
            networks: None,
        }
    }

    /// Whose answers they are.
    pub fn called(&self) -> Called {
        Called { standing: self.standing, name: self.name.clone() }
    }

    /// Whether they are those of this service or further name.
    pub fn is_of(&self, called: &Called) -> bool {
        self.standing == called.standing && self.name == called.name
    }

    /// Reads what every answer about the service reads of it.
    pub fn touch_self(&self) -> u32 {
        let all = &self.ordinary.eligible.all;
        let sizes = all.v4.best().table.len() + all.ported.table.len();
        self.rule.ttl_secs.wrapping_add(sizes as u32)
    }

    /// Reads what an answer with addresses, or one with SRV, reads of its members if they are few.
    pub fn touch(&self, srv: bool) -> u32 {
        let all = &self.ordinary.eligible.all;
        if srv { all.ported.table.touch() } else { all.v4.best().table.touch() }
    }

    /// The addresses, if they are many, so that an answer may have only some of them.
    pub fn many_addresses(&self) -> Option<&Table<Addressed<4>>> {
        Some(&self.ordinary.eligible.all.v4.best().table).filter(|table| table.few().is_none())
    }

    /// What a client sees whose address lies in this client network.
    pub fn views(&self, network: Option<IpNetwork>) -> &Views {
        let networks = self.networks.iter().flat_map(|networks| networks.iter());
        let found = network.and_then(|network| networks.into_iter().find(|views| views.network == network));
        found.map_or(&self.ordinary, |views| &views.views)
    }

    /// Registered instances whose ID has this label (in wire form), one a node; if there are none, those of which a further
    /// name stands for the ID. Costs O(what it returns), and one look at each 65,536th of the service's instances.
    pub fn by_id<'a>(&'a self, seed: Seed, label: &'a [u8]) -> impl Iterator<Item = &'a Arc<Instance>> {
        let hash = seed.hash(label);
        let is_id = || self.ids.with_prefix(hash, ID_BITS).any(|one| id_key(one.id.as_str()).as_wire() == label);
        let aliases = self.aliases.as_deref().filter(|_| !is_id());
        let by_alias = aliases.is_some();
        aliases.unwrap_or(&self.ids).with_prefix(hash, ID_BITS).filter(move |instance| {
            let id = if by_alias { instance.id_alias().map(ServiceName::as_str) } else { Some(instance.id.as_str()) };
            id.is_some_and(|id| id_key(id).as_wire() == label)
        })
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
        let changes = self.change_ordinary(context, before, after);
        self.registered = self.registered + u32::from(after.is_some()) - u32::from(before.is_some());
        let counts = |presence: Option<&Presence>| u32::from(presence.is_some_and(|it| self.counts(it, Who::Eligible)));
        self.eligible = self.eligible + counts(after) - counts(before);
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

    /// Follows one instance in what ordinary clients see.
    fn change_ordinary(
        &mut self,
        context: Context<'_>,
        before: Option<&Presence>,
        after: Option<&Presence>,
    ) -> Vec<GroupChange> {
        if let (Some(before), Some(after)) = (before, after)
            && before.is_registered_as(after)
            && self.ordinary.everyone.is_none()
            && self.ordinary.eligible.is_undivided()
        {
            // A flip: its groups are what they were, and each has what all have.
            let [was, is] = [before, after].map(|presence| self.member_entry(context, presence, Who::Eligible));
            self.ordinary.eligible.flip(context.seed, was, is);
            return Vec::new();
        }
        let brought =
            |who| [before, after].map(|presence| presence.map(|presence| self.brought(context, presence, None, who)));
        let [was, is] = brought(Who::Eligible);
        let everyone = self.ordinary.everyone.is_some().then(|| brought(Who::Everyone));
        let changes = self.ordinary.eligible.change(context.seed, was.as_ref(), is.as_ref());
        if let (Some([was, is]), Some(view)) = (everyone, &mut self.ordinary.everyone) {
            Arc::make_mut(view).change(context.seed, was.as_ref(), is.as_ref());
        }
        changes
    }

    fn change_ids(&mut self, seed: Seed, before: Option<&Presence>, after: Option<&Presence>) {
        let instance = |presence: Option<&Presence>| presence.map(|presence| Arc::clone(&presence.entry.instance));
        let (before, after) = (instance(before), instance(after));
        if before.as_ref().map(Arc::as_ptr) == after.as_ref().map(Arc::as_ptr) {
            return;
        }
        let at = |instance: &Arc<Instance>| (id_hash(seed, instance), Arc::clone(instance));
        place(&mut self.ids, before.as_ref().map(at), after.as_ref().map(at));
        let at = |instance: &Arc<Instance>| Some((alias_hash(seed, instance)?, Arc::clone(instance)));
        let (before, after) = (before.as_ref().and_then(at), after.as_ref().and_then(at));
        if before.is_some() || after.is_some() {
            let aliases = Arc::make_mut(self.aliases.get_or_insert_default());
            place(aliases, before, after);
            if aliases.is_empty() {
                self.aliases = None;
            }
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
        let (there, reach) = reached(context, presence, network);
        let brought = groups(&presence.entry.instance, there);
        let counts = self.counts(presence, who);
        let entry = counts.then(|| self.entry(context, presence, reach, brought.port)).flatten();
        Brought { entry, ..brought }
    }

    /// What an instance brings to all members that ordinary clients see; none if it does not count.
    fn member_entry(&self, context: Context<'_>, presence: &Presence, who: Who) -> Option<Entry> {
        if !self.counts(presence, who) {
            return None;
        }
        let (there, reach) = reached(context, presence, None);
        self.entry(context, presence, reach, default_port(&presence.entry.instance, there))
    }

    /// An instance as a member, whether or not it counts, with the weight that it has at this status.
    pub fn member(
        &self,
        context: Context<'_>,
        (presence, status): (&Presence, CheckStatus),
        network: Option<IpNetwork>,
    ) -> Option<Member> {
        let instance = &presence.entry.instance;
        let (there, reach) = reached(context, presence, network);
        let entry = self.entry(context, presence, reach, default_port(instance, there))?;
        Some(Member { weight: eligible::weight(instance, status), ..entry.member })
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

/// Which address of an instance clients in a network have, if they have their own, and how they reach it.
fn reached<'p>(
    context: Context<'p>,
    presence: &'p Presence,
    network: Option<IpNetwork>,
) -> (Option<&'p NetworkAddress>, Reach<'p>) {
    let instance = &presence.entry.instance;
    let local = network.filter(|_| eligible::is_for_our_networks(instance, context.settings));
    let there = local.and_then(|network| eligible::network_address(instance, network));
    let reach = match there {
        Some(address) => eligible::network_reach(address, instance),
        None => eligible::reach(instance, &presence.node, context.settings),
    };
    (there, reach)
}

/// The groups that an instance is in for clients that have this address of it, or its ordinary one; without an entry.
fn groups(instance: &Instance, there: Option<&NetworkAddress>) -> Brought {
    let mut brought = Brought { port: default_port(instance, there), ..Brought::default() };
    for tag in instance.tags.iter() {
        let key = dotted_key(tag.as_str());
        if !brought.tags.contains(&key) {
            brought.tags.push(key);
        }
    }
    for (at, name) in instance.ports.iter().enumerate().filter_map(|(at, port)| Some((at, port.name.as_ref()?))) {
        let key = port_key(name.as_str());
        if !brought.ports.iter().any(|(other, _)| *other == key) {
            brought.ports.push((key, port_number(instance, there, at)));
        }
    }
    brought
}

/// The number of the port that an instance has without a name, for clients that have this address of it, or its ordinary
/// one; 0 if it has none.
fn default_port(instance: &Instance, there: Option<&NetworkAddress>) -> u16 {
    let default = instance.default_port().and_then(|port| instance.ports.iter().position(|other| other == port));
    default.map_or(0, |at| port_number(instance, there, at))
}

fn port_number(instance: &Instance, there: Option<&NetworkAddress>, at: usize) -> u16 {
    match there {
        Some(address) => address.ports.get(at).copied().unwrap_or(0),
        None => instance.ports[at].number,
    }
}

/// Puts an instance in, in place of what it was; each comes with its hash.
fn place(table: &mut Table<Arc<Instance>>, before: Option<Hashed>, after: Option<Hashed>) {
    let is = |one: &Arc<Instance>| {
        let (id, node) = (one.id.clone(), one.node.clone());
        move |old: &Arc<Instance>| old.id == id && old.node == node
    };
    if let Some((hash, before)) = before
        && after.as_ref().is_none_or(|(now, _)| *now != hash)
    {
        table.remove(hash, is(&before));
    }
    if let Some((hash, after)) = after {
        let is = is(&after);
        table.set(hash, after, is);
    }
}

type Hashed = (u32, Arc<Instance>);

/// The hash of an instance among those of its service, by the label of its ID.
fn id_hash(seed: Seed, instance: &Instance) -> u32 {
    label_hash(seed, &id_key(instance.id.as_str()), instance)
}

/// The same by the label of the further name that stands for its ID, if one does.
fn alias_hash(seed: Seed, instance: &Instance) -> Option<u32> {
    Some(label_hash(seed, &id_key(instance.id_alias()?.as_str()), instance))
}

/// First bits from the label, so that all of one label are found, and the rest from ID and node, so that one ID on very many
/// nodes does not make one leaf of them.
fn label_hash(seed: Seed, label: &Key, instance: &Instance) -> u32 {
    let node_bits = u32::MAX >> ID_BITS;
    seed.hash(label.as_wire()) & !node_bits | seed.hash(&(&instance.node, &instance.id)) & node_bits
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
    let is_ours = |instance: &&Arc<Instance>| eligible::is_for_our_networks(instance, context.settings);
    let instance = presence.map(|presence| &presence.entry.instance).filter(is_ours);
    let mut networks: Vec<IpNetwork> = instance
        .into_iter()
        .flat_map(|instance| instance.network_addresses.iter())
        .map(|address| address.network)
        .collect();
    networks.dedup();
    networks
}

/// Bits of [`label_hash`] that are the label's. Source: none, chosen: half of them, so that a million instances lie in small
/// leaves, whether each has an ID of its own or all have one.
const ID_BITS: u32 = 16;
