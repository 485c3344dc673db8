//! SRV of services, with the addresses of their targets.

use super::{
    names::Denier,
    order::{MemberPlace, Scratch},
    respond::{Place, Response},
};
use crate::{
    publish::snapshot::{DefaultRule, Member, Set, Table, Target, Walk, eligible},
    wire::{
        code::rtype,
        name::NAME_MAX_BYTES,
        writer::{Fixed, Full, POINTER_MAX, Section},
    },
};

/// Members to choose from.
#[derive(Debug, Clone, Copy)]
pub enum Members<'m> {
    /// Those of a selection that have a port.
    Table(&'m Set<Member>),
    /// Some few, found one by one, those without a port among them.
    List(&'m [&'m Member], &'m DefaultRule),
}

impl<'m> Members<'m> {
    fn len(&self) -> usize {
        match self {
            Members::Table(set) => set.table.len(),
            Members::List(list, _) => list.len(),
        }
    }

    fn nth(&self, at: usize) -> Option<&'m Member> {
        match self {
            Members::Table(set) => nth(&set.table, at),
            Members::List(list, _) => list.get(at).copied(),
        }
    }

    fn ttl(&self) -> u32 {
        match self {
            Members::Table(set) => set.ttl(),
            Members::List(list, rule) => {
                let ported = list.iter().filter(|member| member.port > 0);
                ported.map(|member| eligible::ttl(&member.instance, rule)).min().unwrap_or(0)
            }
        }
    }

    fn each_from(&self, start: usize, each: &mut impl FnMut(&Member) -> Walk) -> Walk {
        match self {
            Members::Table(set) => set.table.each_from(start, each),
            Members::List(list, _) => {
                list.iter().skip(start).chain(list.iter().take(start)).try_for_each(|member| each(member))
            }
        }
    }
}

fn nth(table: &Table<Member>, at: usize) -> Option<&Member> {
    table.nth(at)
}

impl Response<'_> {
    /// Writes the SRV records of members, best priority first, in an order by weight; then the addresses of their
    /// targets. What does not fit is left out, the same for a client as long as the members stay the same, because
    /// load balancers drop what they no longer see.
    pub fn srv(&mut self, place: Place<'_>, members: Members<'_>, denier: Denier) {
        let all = members.len();
        if all == 0 {
            return;
        }
        let domain = Domain::of(self, place, denier);
        let client = self.asked.snapshot.names.seed().hash(&self.asked.client.address);
        let start = client as usize % all;
        let room = self.writer.room();
        let mut total = self.choose_members(members, &domain, (start, room));
        if self.scratch.places.len() < total {
            total = self.choose_members(members, &domain, (start, room - self.room_for_error()));
            self.cut(self.scratch.places.len(), total);
        }
        if self.scratch.places.is_empty() {
            return;
        }
        self.rank_places(members);
        let order = |left: &MemberPlace, right: &MemberPlace| {
            (left.priority, left.rank).cmp(&(right.priority, right.rank)).then(left.key.total_cmp(&right.key))
        };
        self.scratch.places.sort_unstable_by(order);
        let ttl = members.ttl();
        for at in 0..self.scratch.places.len() {
            let Some(member) = members.nth(self.scratch.places[at].at as usize) else { continue };
            if let Ok(offset) = self.srv_record(place, member, &domain, ttl) {
                self.scratch.places[at].offset = u16::try_from(offset).unwrap_or(u16::MAX);
            }
        }
        self.writer.begin(Section::Additional);
        let _ = self.target_addresses(members, &domain, ttl);
    }

    /// Where near instances come first, tells how near each chosen one is.
    fn rank_places(&mut self, members: Members<'_>) {
        if !self.asked.snapshot.settings.near {
            return;
        }
        for at in 0..self.scratch.places.len() {
            if let Some(member) = members.nth(self.scratch.places[at].at as usize) {
                self.scratch.places[at].rank = self.distance(member);
            }
        }
    }

    /// Chooses as many members as fit into the room, beginning with the client's own start, and returns how many
    /// there are. Members whose records are equal have one (RFC 2181 section 5).
    fn choose_members(&mut self, members: Members<'_>, domain: &Domain, (start, mut room): (usize, usize)) -> usize {
        self.scratch.places.clear();
        self.scratch.forget();
        let all = members.len();
        let mut at = start;
        let mut left_out = 0;
        let mut full = false;
        let seed = self.asked.snapshot.names.seed();
        let scratch = &mut *self.scratch;
        let _ = members.each_from(start, &mut |member| {
            let here = at;
            at = if at + 1 == all { 0 } else { at + 1 };
            let target = seed.hash(&member.target);
            let record = seed.hash(&(target, member.port, member.weight, member.priority)).max(1);
            if member.port == 0 || (!scratch.is_new(record) && is_listed(scratch, members, member)) {
                left_out += 1;
                return Walk::Continue(());
            }
            let bytes = SRV_RECORD_BYTES + domain.target_length(&member.target);
            if full || bytes > room || scratch.places.len() == scratch.places.capacity() {
                full = true;
                // A list may have members further on that do not count.
                return if matches!(members, Members::Table(_)) { Walk::Break(()) } else { Walk::Continue(()) };
            }
            room -= bytes;
            let key = scratch.key(member.weight.into());
            let priority = member.priority;
            scratch.places.push(MemberPlace { priority, rank: 0, offset: 0, key, at: here as u32, target });
            Walk::Continue(())
        });
        all - left_out
    }

    /// Writes one record; returns where its target is spelled.
    fn srv_record(&mut self, place: Place<'_>, member: &Member, domain: &Domain, ttl: u32) -> Result<usize, Full> {
        let scale = u32::from(self.asked.snapshot.settings.srv_weight_scale);
        let weight = (u32::from(member.weight) * scale).min(u32::from(u16::MAX)) as u16;
        let mut head = [0; 6];
        head[..2].copy_from_slice(&member.priority.to_be_bytes());
        head[2..4].copy_from_slice(&weight.to_be_bytes());
        head[4..].copy_from_slice(&member.port.to_be_bytes());
        let start = self.writer.position();
        let mut hex = [0; HEX_MAX];
        let (label, rest) = domain.target(&member.target, &mut hex);
        self.writer.record(place.owner, Fixed::new(rtype::SRV, ttl), &[&head, label, rest[0], rest[1]])?;
        Ok(start + SRV_RECORD_BYTES)
    }

    /// The addresses of targets, each RRset once; the first that does not fit ends it.
    fn target_addresses(&mut self, members: Members<'_>, domain: &Domain, ttl: u32) -> Result<(), Full> {
        self.scratch.forget();
        for at in 0..self.scratch.places.len() {
            let chosen = self.scratch.places[at];
            if !self.scratch.is_new(chosen.target.max(1)) {
                continue;
            }
            let Some(member) = members.nth(chosen.at as usize) else { continue };
            let (v4, v6) = match &member.target {
                Target::V4(address) => (Some(*address), None),
                Target::V6(address) => (None, Some(*address)),
                Target::Node(node) => (node.v4, node.v6),
                Target::Host(_) => continue,
            };
            let mut hex = [0; HEX_MAX];
            let (label, rest) = domain.target(&member.target, &mut hex);
            let mut owner = [0; NAME_MAX_BYTES];
            let owner = if usize::from(chosen.offset) < POINTER_MAX {
                owner[..2].copy_from_slice(&(0xc000 | chosen.offset).to_be_bytes());
                &owner[..2]
            } else {
                join(&mut owner, &[label, rest[0], rest[1]])
            };
            if let Some(v4) = v4 {
                self.writer.record_with_owner(owner, Fixed::new(rtype::A, ttl), &[&v4])?;
            }
            if let Some(v6) = v6 {
                self.writer.record_with_owner(owner, Fixed::new(rtype::AAAA, ttl), &[&v6])?;
            }
        }
        Ok(())
    }
}

/// Whether a record equal to this member's is among the chosen.
fn is_listed(scratch: &Scratch, members: Members<'_>, member: &Member) -> bool {
    let facts = |member: &Member| (member.port, member.weight, member.priority);
    let chosen = scratch.places.iter().filter_map(|place| members.nth(place.at as usize));
    chosen.into_iter().any(|other| facts(other) == facts(member) && other.target == member.target)
}

/// What targets end in: the domain that was asked, spelled as it was asked.
pub struct Domain {
    wire: [u8; NAME_MAX_BYTES],
    length: usize,
    node_suffix: [u8; 80],
    node_suffix_length: usize,
}

impl Domain {
    /// The domain of a place, or D where the name is not under one.
    pub fn of(response: &Response<'_>, place: Place<'_>, denier: Denier) -> Domain {
        let plan = &response.asked.snapshot.plan;
        let mut domain = Domain { wire: [0; NAME_MAX_BYTES], length: 0, node_suffix: [0; 80], node_suffix_length: 0 };
        match denier {
            Denier::Domain { first, .. } => {
                let start = place.offset(first);
                let length = place.question.suffix(first).len();
                let spelled = &response.writer.written()[start..start + length];
                domain.length = join(&mut domain.wire, &[spelled]).len();
            }
            _ => domain.length = join(&mut domain.wire, &[plan.domain(0).name.as_wire()]).len(),
        }
        domain.node_suffix_length = join(&mut domain.node_suffix, &[b"\x04node", &plan.datacenter]).len();
        domain
    }

    /// The domain in wire form.
    pub fn wire(&self) -> &[u8] {
        &self.wire[..self.length]
    }

    /// What comes after the label of a node.
    pub fn node_suffix(&self) -> &[u8] {
        &self.node_suffix[..self.node_suffix_length]
    }

    /// A target in pieces: its own labels, and what they end in.
    fn target<'t>(&'t self, target: &'t Target, hex: &'t mut [u8; HEX_MAX]) -> (&'t [u8], [&'t [u8]; 2]) {
        match target {
            Target::V4(address) => (spell(address, hex), [ADDR, self.wire()]),
            Target::V6(address) => (spell(address, hex), [ADDR, self.wire()]),
            Target::Node(node) => (&node.labels, [self.node_suffix(), self.wire()]),
            Target::Host(host) => (host.as_wire(), [&[], &[]]),
        }
    }

    fn target_length(&self, target: &Target) -> usize {
        match target {
            Target::V4(_) => 9 + ADDR.len() + self.length,
            Target::V6(_) => 33 + ADDR.len() + self.length,
            Target::Node(node) => node.labels.len() + self.node_suffix_length + self.length,
            Target::Host(host) => host.as_wire().len(),
        }
    }
}

/// The label that spells an address in hex, with its length byte.
fn spell<'h>(address: &[u8], hex: &'h mut [u8; HEX_MAX]) -> &'h [u8] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    hex[0] = 2 * address.len() as u8;
    for (byte, pair) in address.iter().zip(hex[1..].chunks_exact_mut(2)) {
        pair.copy_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 0x0f)]]);
    }
    &hex[..1 + 2 * address.len()]
}

/// Puts pieces one after the other; what does not fit is left out, and nothing made of valid names is that long.
pub fn join<'b>(buffer: &'b mut [u8], pieces: &[&[u8]]) -> &'b [u8] {
    let mut length = 0;
    for piece in pieces {
        let Some(out) = buffer.get_mut(length..length + piece.len()) else { break };
        out.copy_from_slice(piece);
        length += piece.len();
    }
    &buffer[..length]
}

const ADDR: &[u8] = b"\x04addr";

/// Longest label that spells an address, with its length byte.
const HEX_MAX: usize = 33;

/// Pointer, type, class, TTL, length, priority, weight and port.
const SRV_RECORD_BYTES: usize = 18;
