//! SRV of services, with the addresses of their targets.

use std::cell::OnceCell;

use super::{
    addresses::Manner,
    names::Denier,
    order::{MemberPlace, Scratch},
    respond::{Place, Response},
};
use crate::{
    publish::snapshot::{Member, Seed, Set, Table, Target, Trail, Walk},
    wire::{
        code::rtype,
        name::{LABEL_MAX_BYTES, NAME_MAX_BYTES},
        writer::{Fixed, Full, POINTER_MAX, Section},
    },
};

/// Members to choose from.
#[derive(Debug, Clone, Copy)]
pub enum Members<'m> {
    /// Those of a selection that have a port.
    Table(&'m Set<Member>),
    /// Some few, found one by one, those without a port among them.
    List(&'m [&'m Member], Manner<'m>),
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
            Members::List(list, manner) => {
                let ported = list.iter().filter(|member| member.port > 0);
                ported.map(|member| manner.ttl_of(&member.instance)).min().unwrap_or(0)
            }
        }
    }

    fn each_from(&self, start: usize, each: &mut impl FnMut(&Member) -> Walk) -> Walk {
        match self {
            Members::Table(set) => set.table.each_from((start, Trail::NONE), each),
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
    /// targets. What does not fit is left out, the same for a client as long as the members stay the same, and nearly the
    /// same when one comes or goes, because load balancers drop what they no longer see.
    pub fn srv(&mut self, place: Place<'_>, members: Members<'_>, denier: Denier) {
        let all = members.len();
        if all == 0 {
            return;
        }
        let domain = Domain::of(self, place, denier);
        let client = self.asked.snapshot.names.seed().hash(&self.asked.client.address);
        // The client's place is a share of the whole way round, so that who comes or goes moves it by one member at most.
        let start = ((u64::from(client) * all as u64) >> 32) as usize;
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
        self.scratch.places.sort_unstable_by_key(MemberPlace::order);
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
    fn choose_members(
        &mut self,
        members: Members<'_>,
        domain: &Domain<'_>,
        (start, mut room): (usize, usize),
    ) -> usize {
        self.scratch.places.clear();
        let all = members.len();
        // Of a table, no more than fit are looked at, and one.
        self.scratch.forget(match members {
            Members::Table(_) => all.min(room / SRV_RECORD_BYTES + 1),
            Members::List(..) => all,
        });
        let mut at = start;
        let mut left_out = 0;
        let mut full = false;
        let seed = self.asked.snapshot.names.seed();
        let scratch = &mut *self.scratch;
        let _ = members.each_from(start, &mut |member| {
            let here = at;
            at = if at + 1 == all { 0 } else { at + 1 };
            let target = target_hash(seed, &member.target);
            let record = record_hash(seed, target, member);
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
    fn srv_record(&mut self, place: Place<'_>, member: &Member, domain: &Domain<'_>, ttl: u32) -> Result<usize, Full> {
        let scale = u32::from(self.asked.snapshot.settings.srv_weight_scale);
        let weight = (u32::from(member.weight) * scale).min(u32::from(u16::MAX)) as u16;
        let start = self.writer.position();
        let mut hex = [0; HEX_MAX];
        let target = domain.target(&member.target, &mut hex);
        self.writer.srv(place.owner, ttl, [member.priority, weight, member.port], target)?;
        Ok(start + SRV_RECORD_BYTES)
    }

    /// The addresses of targets, each RRset once; the first that does not fit ends it.
    fn target_addresses(&mut self, members: Members<'_>, domain: &Domain<'_>, ttl: u32) -> Result<(), Full> {
        self.scratch.forget(self.scratch.places.len());
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
            let offset = usize::from(chosen.offset);
            if offset < POINTER_MAX {
                v4.map_or(Ok(()), |v4| self.writer.address(offset, ttl, &v4))?;
                v6.map_or(Ok(()), |v6| self.writer.address(offset, ttl, &v6))?;
                continue;
            }
            let (mut hex, mut owner) = ([0; HEX_MAX], [0; NAME_MAX_BYTES]);
            let owner = join(&mut owner, &domain.target(&member.target, &mut hex));
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

/// A hash of a target. Most are IPv4 addresses: those are multiplied by what nobody who registers can know, because that
/// costs less than a hash and is as hard to aim at, and no two are alike. The half that all bits count in comes last.
fn target_hash(seed: Seed, target: &Target) -> u32 {
    match target {
        Target::V4(address) => u32::from_be_bytes(*address).wrapping_mul(seed.0 as u32 | 1).rotate_left(16),
        other => seed.hash(other),
    }
}

/// A hash of all that a member's record says but its TTL, from that of its target; never 0. See
/// [`target_hash`].
fn record_hash(seed: Seed, target: u32, member: &Member) -> u32 {
    let numbers = u64::from(member.port) | u64::from(member.weight) << 16 | u64::from(member.priority) << 32;
    let mixed = (u64::from(target) << 32 ^ numbers).wrapping_mul(seed.0 | 1);
    ((mixed >> 32) as u32 ^ target).max(1)
}

/// What targets end in: the domain that was asked, spelled as it was asked.
pub struct Domain<'p> {
    /// `addr` and the domain.
    addr: [u8; ADDR.len() + NAME_MAX_BYTES],
    addr_length: usize,
    /// The datacenter's label.
    datacenter: &'p [u8],
    /// `node`, the datacenter and the domain, and how long that is; made when the first target ends so.
    node: OnceCell<([u8; NODE_MAX_BYTES + NAME_MAX_BYTES], usize)>,
}

impl<'p> Domain<'p> {
    /// The domain of a place, or D where the name is not under one.
    pub fn of(response: &Response<'p>, place: Place<'_>, denier: Denier) -> Domain<'p> {
        let plan = &response.asked.snapshot.plan;
        let wire = match denier {
            Denier::Domain { first, .. } => {
                let start = place.offset(first);
                &response.writer.written()[start..start + place.question.suffix(first).len()]
            }
            _ => plan.domain(0).name.as_wire(),
        };
        let mut addr = [0; ADDR.len() + NAME_MAX_BYTES];
        let addr_length = join(&mut addr, &[ADDR, wire]).len();
        Domain { addr, addr_length, datacenter: &plan.datacenter, node: OnceCell::new() }
    }

    /// The domain in wire form.
    pub fn wire(&self) -> &[u8] {
        &self.addr[ADDR.len()..self.addr_length]
    }

    /// What comes after the labels of a node, the domain included.
    pub fn of_node(&self) -> &[u8] {
        let (node, length) = self.node.get_or_init(|| {
            let mut node = [0; NODE_MAX_BYTES + NAME_MAX_BYTES];
            let length = join(&mut node, &[b"\x04node", self.datacenter, self.wire()]).len();
            (node, length)
        });
        &node[..*length]
    }

    /// A target in two pieces: its own labels, and what they end in.
    fn target<'t>(&'t self, target: &'t Target, hex: &'t mut [u8; HEX_MAX]) -> [&'t [u8]; 2] {
        let addr = &self.addr[..self.addr_length];
        match target {
            Target::V4(address) => {
                hex[..HEX_V4].copy_from_slice(&spell_v4(*address));
                [&hex[..HEX_V4], addr]
            }
            Target::V6(address) => [spell_v6(address, hex), addr],
            Target::Node(node) => [&node.labels, self.of_node()],
            Target::Host(host) => [host.as_wire(), &[]],
        }
    }

    fn target_length(&self, target: &Target) -> usize {
        match target {
            Target::V4(_) => HEX_V4 + self.addr_length,
            Target::V6(_) => HEX_MAX + self.addr_length,
            Target::Node(node) => node.labels.len() + self.of_node().len(),
            Target::Host(host) => host.as_wire().len(),
        }
    }
}

/// The label that spells an IPv4 address in hex, with its length byte; all digits at once, because most answers with
/// SRV records spell several.
fn spell_v4(address: [u8; 4]) -> [u8; HEX_V4] {
    let packed = u64::from(u32::from_be_bytes(address));
    let halves = (packed << 16 | packed) & 0x0000_ffff_0000_ffff;
    let bytes = (halves << 8 | halves) & 0x00ff_00ff_00ff_00ff;
    let digits = (bytes << 4 | bytes) & 0x0f0f_0f0f_0f0f_0f0f;
    // 1 in each byte that is a letter: what is above 9 carries into the next half when 6 are added.
    let letters = (digits + 0x0606_0606_0606_0606) >> 4 & 0x0101_0101_0101_0101;
    let text = digits + 0x3030_3030_3030_3030 + letters * u64::from(b'a' - b'0' - 10);
    let mut label = [8; HEX_V4];
    label[1..].copy_from_slice(&text.to_be_bytes());
    label
}

/// The label that spells an IPv6 address in hex, with its length byte.
fn spell_v6<'h>(address: &[u8; 16], hex: &'h mut [u8; HEX_MAX]) -> &'h [u8] {
    hex[0] = 32;
    for (part, out) in address.chunks_exact(4).zip(hex[1..].chunks_exact_mut(8)) {
        out.copy_from_slice(&spell_v4([part[0], part[1], part[2], part[3]])[1..]);
    }
    hex
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

/// Label, with its length byte, that spells an IPv4 address.
const HEX_V4: usize = 9;

/// Longest label that spells an address, with its length byte.
const HEX_MAX: usize = 33;

/// `node` and the label of a datacenter, with their length bytes.
const NODE_MAX_BYTES: usize = 5 + 1 + LABEL_MAX_BYTES;

/// Pointer, type, class, TTL, length, priority, weight and port.
const SRV_RECORD_BYTES: usize = 18;

#[cfg(test)]
#[path = "srv_tests.rs"]
mod tests;
