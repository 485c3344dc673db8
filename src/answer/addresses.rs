//! A and AAAA of services.

use std::net::IpAddr;

use super::{
    names::{Both, Chosen, Denier},
    order::CHOSEN_MAX,
    respond::{Place, Response},
    srv::Members,
};
use crate::{
    publish::snapshot::{
        Addressed, DefaultRule, Instance, Member, Owner, Reach, ServiceAnswers, Set, eligible, has_port,
    },
    wire::{code::rtype, name::Name, writer::Section},
};

/// How members that were found one by one are answered.
#[derive(Debug, Clone, Copy)]
pub struct Manner<'r> {
    /// What holds for their service.
    pub rule: &'r DefaultRule,
    /// The TTL in seconds of all their records, whatever they say themselves.
    pub ttl: Option<u32>,
}

impl<'r> Manner<'r> {
    /// That of a service's name.
    pub fn of(service: &'r ServiceAnswers) -> Manner<'r> {
        Manner { rule: &service.rule, ttl: None }
    }

    /// TTL of an instance's records.
    pub fn ttl_of(&self, instance: &Instance) -> u32 {
        self.ttl.unwrap_or_else(|| eligible::ttl(instance, self.rule))
    }

    /// TTL up to which may be denied what they lack.
    pub fn ttl_denied(&self) -> u32 {
        self.ttl.unwrap_or(self.rule.ttl_secs)
    }
}

impl<'a> Response<'a> {
    /// Writes the addresses of a set: all of them, or as many as are wanted and fit, in an order by weight.
    pub fn addresses<const N: usize>(&mut self, place: Place<'_>, set: &Set<Addressed<N>>, most: u16) {
        let all = set.table.len();
        if all == 0 {
            return;
        }
        let wanted = if most == 0 { all } else { all.min(usize::from(most)) };
        let fitting = self.fitting(wanted, ADDRESS_RECORD_BYTES + N);
        self.scratch.choose(&set.table, wanted.min(fitting));
        self.write_picks::<N>(place, set.ttl());
    }

    /// Writes the addresses of a set with this TTL: all of them, or as many as fit, in an order by weight.
    pub fn addresses_for<const N: usize>(&mut self, place: Place<'_>, set: &Set<Addressed<N>>, ttl: u32) {
        let fitting = self.fitting(set.table.len(), ADDRESS_RECORD_BYTES + N);
        self.scratch.choose(&set.table, fitting);
        self.write_picks::<N>(place, ttl);
    }

    /// How many records of a size fit, where so many are wanted; if not all do, the response says so.
    fn fitting(&mut self, wanted: usize, bytes: usize) -> usize {
        let fitting = self.writer.room() / bytes;
        if wanted <= fitting {
            return wanted;
        }
        let fitting = (self.writer.room() - self.room_for_error()) / bytes;
        self.cut(fitting, wanted);
        fitting
    }

    /// Writes the addresses that were chosen.
    pub fn write_picks<const N: usize>(&mut self, place: Place<'_>, ttl: u32) {
        let addresses = self.scratch.picks.iter().filter_map(|pick| pick.address.first_chunk::<N>());
        self.writer.addresses(place.owner, ttl, addresses);
    }

    /// The instances that have a tag and a named port at once.
    pub fn with_both(&mut self, place: Place<'_>, chosen: Chosen<'a>, both: Both) {
        let mut members = self.scratch.take_members();
        self.reading.members_with_both(place.question, (chosen, both), &mut members);
        let has_texts = self.asked.snapshot.settings.service_txt;
        match &members[..] {
            [] => self.nobody(place, chosen),
            members => self.listed(place, members, (Manner::of(chosen.service), has_texts), chosen.denier),
        }
        self.scratch.keep_members(members);
    }

    /// The instances with one service ID, one a node.
    pub fn by_id(
        &mut self,
        place: Place<'_>,
        (service, label, port): (&'a ServiceAnswers, usize, Option<usize>),
        denier: Denier,
    ) {
        if place.question.rtype == rtype::TXT {
            return self.texts_of_id(place, (service, label, port), denier);
        }
        let mut members = self.scratch.take_members();
        self.reading.members_of_id(place.question, (service, label, port), &mut members);
        if members.is_empty() {
            let selection = &service.views(self.reading.network).eligible.all;
            self.nobody(place, Chosen { service, selection, both: None, denier });
        } else {
            self.listed(place, &members, (Manner::of(service), true), denier);
        }
        self.scratch.keep_members(members);
    }

    /// Some few members, found one by one, with the TXT of their meta or without.
    pub fn listed(
        &mut self,
        place: Place<'_>,
        members: &[&Member],
        (manner, has_texts): (Manner<'_>, bool),
        denier: Denier,
    ) {
        let before = self.writer.count(Section::Answer);
        let most = manner.rule.max_answers;
        match place.question.rtype {
            rtype::A => self.listed_addresses::<4>(place, (members, manner), (u32::MAX, most)),
            rtype::AAAA => self.listed_addresses::<16>(place, (members, manner), (u32::MAX, most)),
            rtype::ANY => {
                self.listed_addresses::<4>(place, (members, manner), (u32::MAX, most));
                self.listed_addresses::<16>(place, (members, manner), (u32::MAX, most));
                if self.wrote_nothing_since(before) {
                    self.srv(place, Members::List(members, manner), denier);
                }
                if self.wrote_nothing_since(before) {
                    self.listed_https(place, members, manner);
                }
                if self.wrote_nothing_since(before) && has_texts {
                    self.texts(place, members.iter().map(|member| &*member.instance), manner);
                }
            }
            rtype::SRV => self.srv(place, Members::List(members, manner), denier),
            rtype::HTTPS => self.listed_https(place, members, manner),
            rtype::TXT if has_texts => self.texts(place, members.iter().map(|member| &*member.instance), manner),
            _ => {}
        }
        if self.wrote_nothing_since(before) && !self.flags.truncated {
            if let rtype::A | rtype::AAAA | rtype::ANY = place.question.rtype
                && !self.bars_cname(self.any_address(members))
                && let Some((host, ttl)) = self.host_among(members, manner)
            {
                return self.host(place, &host, (ttl, manner.ttl_denied()), denier);
            }
            self.nodata(place, denier, Some(manner.ttl_denied()));
        }
    }

    fn any_address(&self, members: &[&Member]) -> bool {
        members.iter().filter_map(|member| self.reach(member)).any(|reach| reach.v4.is_some() || reach.v6.is_some())
    }

    /// One of the host names that stand for addresses which members lack: of the lowest priority, by weight; with the
    /// TTL of all of that priority.
    pub fn host_among(&mut self, members: &[&Member], manner: Manner<'_>) -> Option<(Name, u32)> {
        let host = |member: &Member| self.reach(member)?.host.and_then(|host| Name::parse(host).ok());
        let found: Vec<(&Member, Name)> = members.iter().filter_map(|member| Some((*member, host(member)?))).collect();
        let best = found.iter().map(|(member, _)| member.priority).min()?;
        let of_best = |(member, _): &&(&Member, Name)| member.priority == best;
        let sum: u64 = found.iter().filter(of_best).map(|(member, _)| u64::from(member.weight)).sum();
        let mut at = if sum > 0 { self.scratch.below(sum) } else { 0 };
        let chosen = found.iter().filter(of_best).find(|(member, _)| {
            let weight = u64::from(member.weight);
            let here = sum == 0 || at < weight;
            at -= weight.min(at);
            here
        });
        let ttl = found.iter().filter(of_best).map(|(member, _)| manner.ttl_of(&member.instance)).min()?;
        chosen.map(|(_, name)| (name.clone(), ttl))
    }

    fn listed_https(&mut self, place: Place<'_>, members: &[&Member], manner: Manner<'_>) {
        let asking = members.iter().filter(|member| eligible::https(&member.instance).is_some());
        let ttl = asking.map(|member| manner.ttl_of(&member.instance)).min().unwrap_or(0);
        self.https_of(place, members.iter().copied(), ttl);
    }

    /// The addresses of some few members, with no TTL above this one.
    pub fn listed_addresses<const N: usize>(
        &mut self,
        place: Place<'_>,
        (members, manner): (&[&Member], Manner<'_>),
        (mut ttl, most): (u32, u16),
    ) {
        let with_address = members.iter().filter(|member| self.address_of::<N>(member).is_some());
        let Some(best) = with_address.map(|member| member.priority).min() else { return };
        self.scratch.begin_gathering(members.len());
        for member in members.iter().filter(|member| member.priority == best) {
            let Some(address) = self.address_of::<N>(member) else { continue };
            let mut bytes = [0; 16];
            bytes[..N].copy_from_slice(&address);
            let rank = if self.asked.snapshot.settings.near { self.distance(member) } else { 0 };
            self.scratch.gather(bytes, member.weight.into(), rank);
            ttl = ttl.min(manner.ttl_of(&member.instance));
        }
        let all = self.scratch.picks.len();
        let wanted = if most == 0 { all } else { all.min(usize::from(most)) };
        let fitting = self.fitting(wanted, ADDRESS_RECORD_BYTES + N).min(CHOSEN_MAX);
        self.scratch.order_picks(wanted.min(fitting));
        self.write_picks::<N>(place, ttl);
    }

    /// The address of one family at which this client reaches a member.
    fn address_of<const N: usize>(&self, member: &Member) -> Option<[u8; N]> {
        let reach = self.reach(member)?;
        if N == 4 { reach.v4?.as_slice().try_into().ok() } else { reach.v6?.as_slice().try_into().ok() }
    }

    /// How a member is reached by this client.
    pub fn reach<'m>(&self, member: &'m Member) -> Option<Reach<'m>>
    where
        'a: 'm,
    {
        let snapshot = self.asked.snapshot;
        let instance = &member.instance;
        let local = self.reading.network.filter(|_| eligible::is_for_our_networks(instance, &snapshot.settings));
        if let Some(address) = local.and_then(|network| eligible::network_address(instance, network)) {
            return Some(eligible::network_reach(address, instance));
        }
        let node = snapshot.catalog.node(&instance.node)?;
        Some(eligible::reach(instance, &node.node, &snapshot.settings))
    }

    /// How far an instance is from the client: 0 on the same node, 1 in the same subnet, 2 elsewhere.
    pub fn distance(&self, member: &Member) -> u8 {
        let snapshot = self.asked.snapshot;
        let client = self.asked.client.address;
        let names = &snapshot.names;
        let local = client.is_loopback() || self.reading.network.is_some();
        let same_node = match names.reverse.owner(names.seed(), client) {
            _ if local => member.instance.node == snapshot.settings.node,
            Some(Owner::Node(node)) => member.instance.node == *node,
            _ => false,
        };
        if same_node {
            return 0;
        }
        let Some(reach) = self.reach(member) else { return 2 };
        let same_subnet = match client {
            IpAddr::V4(v4) => reach.v4.is_some_and(|other| other[..SUBNET_V4_BYTES] == v4.octets()[..SUBNET_V4_BYTES]),
            IpAddr::V6(v6) => reach.v6.is_some_and(|other| other[..SUBNET_V6_BYTES] == v6.octets()[..SUBNET_V6_BYTES]),
        };
        if same_subnet { 1 } else { 2 }
    }

    /// All eligible members one by one, so that the near ones come first.
    pub fn near_first(&mut self, place: Place<'_>, chosen: Chosen<'a>) {
        let mut members = self.scratch.take_members();
        members.extend(chosen.selection.members());
        let has_texts = self.asked.snapshot.settings.service_txt;
        self.listed(place, &members, (Manner::of(chosen.service), has_texts), chosen.denier);
        self.scratch.keep_members(members);
    }

    /// TXT of the meta of instances with one service ID.
    fn texts_of_id(
        &mut self,
        place: Place<'_>,
        (service, label, port): (&'a ServiceAnswers, usize, Option<usize>),
        denier: Denier,
    ) {
        let before = self.writer.count(Section::Answer);
        let label_of = |at: usize| place.question.labels(at, at + 1);
        let instances = service.by_id(self.asked.snapshot.names.seed(), label_of(label));
        let instances = instances.filter(|instance| port.is_none_or(|port| has_port(instance, label_of(port))));
        self.texts(place, instances.map(|instance| &**instance), Manner::of(service));
        if self.wrote_nothing_since(before) && !self.flags.truncated {
            self.nodata(place, denier, Some(service.rule.ttl_secs));
        }
    }
}

/// Bytes of an IPv4 subnet. Source: none, chosen: the usual size of a segment.
const SUBNET_V4_BYTES: usize = 3;

/// Bytes of an IPv6 subnet. Source: RFC 4291 section 2.5.4.
const SUBNET_V6_BYTES: usize = 8;

/// Pointer, type, class, TTL and length of a record of an address.
const ADDRESS_RECORD_BYTES: usize = 12;
