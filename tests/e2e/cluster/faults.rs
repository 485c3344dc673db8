//! What is done to hosts: drawn from a seed, one fault after the other to nodes, and beside it to etcd.

use std::{collections::VecDeque, time::Duration};

use super::{
    history::{Fault, What},
    hosts::{Cluster, store},
    load::Load,
    net::{Host, between},
};
use crate::{
    http,
    rng::Rng,
    until::{SOON, pause, until},
};

/// The faults of a stretch of time.
#[derive(Debug)]
pub struct Plan {
    /// To nodes.
    pub nodes: Vec<Step>,
    /// To etcd.
    pub members: Vec<Step>,
}

/// One fault.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// When, since the begin.
    at: Duration,
    lasts: Duration,
    deed: Deed,
    /// To the host of this number, of those that it may be done to.
    number: u8,
}

/// What can be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    KillNode,
    StopNode,
    FreezeNode,
    UnplugNode,
    CutNodeOff,
    /// Kills the node while it is cut off, and starts it.
    RestartCutOff,
    CutNodeFromMember,
    CutMemberFromNodes,
    KillMember,
    FreezeMember,
    UnplugMember,
    /// The member's disk dies, and an operator puts in a new one.
    ReplaceMember,
    /// Each member is alone.
    SplitMembers,
    /// One is left.
    KillTwoMembers,
    /// All members lose their disks.
    Wipe,
}

/// Deeds in an order that has each once before any comes again.
pub struct Deck {
    all: Vec<Deed>,
    rest: VecDeque<Deed>,
}

impl Deck {
    fn draw(&mut self, rng: &mut Rng) -> Deed {
        if self.rest.is_empty() {
            let mut left = self.all.clone();
            while !left.is_empty() {
                self.rest.push_back(left.swap_remove(rng.below(left.len())));
            }
        }
        self.rest.pop_front().expect("a deck has cards")
    }
}

/// What is drawn from, over all stretches of a run.
pub struct Decks {
    long: Deck,
    nodes: Deck,
    members: Deck,
}

impl Decks {
    pub fn new() -> Decks {
        use Deed::*;
        let deck = |all: &[Deed]| Deck { all: all.to_vec(), rest: VecDeque::new() };
        Decks {
            long: deck(&[KillNode, FreezeNode, UnplugNode, CutNodeOff, RestartCutOff]),
            nodes: deck(&[
                KillNode,
                StopNode,
                FreezeNode,
                UnplugNode,
                CutNodeOff,
                RestartCutOff,
                CutNodeFromMember,
                CutMemberFromNodes,
            ]),
            members: deck(&[KillMember, FreezeMember, UnplugMember, ReplaceMember, SplitMembers, KillTwoMembers, Wipe]),
        }
    }

    /// Draws faults from one time to another: first a node is away for longer than its lease, then all comes together.
    pub fn plan(&mut self, rng: &mut Rng, from: Duration, to: Duration) -> Plan {
        let number = |rng: &mut Rng| u8::try_from(1 + rng.below(3)).expect("1 to 3");
        let step = |rng: &mut Rng, deck: &mut Deck, at, lasts_ms: [usize; 2]| {
            let lasts = span(rng, lasts_ms);
            Step { at, lasts, deed: deck.draw(rng), number: number(rng) }
        };
        let first = step(rng, &mut self.long, from, LONG_MS);
        let rest = from + first.lasts + span(rng, GAP_MS);
        let mut plan = Plan { nodes: vec![first], members: Vec::new() };
        for (steps, deck, lasts_ms) in
            [(&mut plan.nodes, &mut self.nodes, SHORT_MS), (&mut plan.members, &mut self.members, MEMBER_MS)]
        {
            let mut at = rest + span(rng, GAP_MS);
            loop {
                let next = step(rng, deck, at, lasts_ms);
                if at + next.lasts > to {
                    break;
                }
                steps.push(next);
                at += next.lasts + span(rng, GAP_MS);
            }
        }
        plan
    }
}

/// Does one fault after the other at its time, or as soon after it as the one before is undone.
pub fn run(load: &Load<'_, '_>, steps: &[Step]) -> Vec<Fault> {
    let mut faults = Vec::new();
    for step in steps {
        pause(step.at.saturating_sub(load.now()));
        faults.extend(step.run(load));
    }
    faults
}

impl Step {
    fn run(self, load: &Load<'_, '_>) -> Vec<Fault> {
        let Step { deed, lasts, number, .. } = self;
        let (node, member) = (Host::Node(number), Host::Member(number));
        let others: Vec<_> = Host::MEMBERS.into_iter().filter(|other| *other != member).collect();
        let Cluster { net, .. } = load.cluster;
        let (cluster, pairs) = (load.cluster, between(node, &Host::MEMBERS));
        let lasts = if deed == Deed::FreezeMember { lasts.min(FROZEN_MAX) } else { lasts };
        let all_pairs = [(others[0], others[1]), (others[0], member), (others[1], member)];
        let did = |what, host: Host, begin: &dyn Fn(), end: &dyn Fn()| {
            let how = if what == What::Wiped { format!("{deed:?}") } else { format!("{deed:?} {host}") };
            vec![during(load, (what, how), lasts, begin, end)]
        };
        match deed {
            Deed::KillNode => did(What::Killed(number), node, &|| cluster.kill(node), &|| start(cluster, node)),
            Deed::StopNode => did(What::Stopped(number), node, &|| cluster.stop(node), &|| start(cluster, node)),
            Deed::FreezeNode => did(What::Frozen(number), node, &|| cluster.freeze(node), &|| cluster.thaw(node)),
            Deed::UnplugNode => did(What::CutOff(number), node, &|| net.unplug(node), &|| net.plug(node)),
            Deed::CutNodeOff => did(What::CutOff(number), node, &|| net.cut(&pairs), &|| net.heal(&pairs)),
            Deed::RestartCutOff => restart_cut_off(load, number, lasts),
            Deed::CutNodeFromMember => {
                let pair = [(node, Host::Member(1 + number % 3))];
                did(What::LinkLost(number), node, &|| net.cut(&pair), &|| net.heal(&pair))
            }
            Deed::CutMemberFromNodes => {
                let pairs = between(member, &Host::NODES);
                did(What::MemberAway, member, &|| net.cut(&pairs), &|| net.heal(&pairs))
            }
            Deed::KillMember => did(What::MemberAway, member, &|| cluster.kill(member), &|| back(cluster, &[member])),
            Deed::FreezeMember => did(What::MemberAway, member, &|| cluster.freeze(member), &|| cluster.thaw(member)),
            Deed::UnplugMember => did(What::MemberAway, member, &|| net.unplug(member), &|| net.plug(member)),
            Deed::ReplaceMember => {
                let end = || {
                    cluster.wipe(member);
                    back(cluster, &[member]);
                };
                did(What::MemberAway, member, &|| cluster.kill(member), &end)
            }
            Deed::SplitMembers => did(What::NoQuorum, member, &|| net.cut(&all_pairs), &|| net.heal(&all_pairs)),
            Deed::KillTwoMembers => {
                let begin = || others.iter().for_each(|member| cluster.kill(*member));
                did(What::NoQuorum, member, &begin, &|| back(cluster, &others))
            }
            Deed::Wipe => {
                let begin = || Host::MEMBERS.into_iter().for_each(|member| cluster.kill(member));
                let end = || {
                    cluster.wipe_members();
                    back(cluster, &Host::MEMBERS);
                };
                did(What::Wiped, member, &begin, &end)
            }
        }
    }
}

/// Two faults, one in the other.
fn restart_cut_off(load: &Load<'_, '_>, number: u8, lasts: Duration) -> Vec<Fault> {
    let (node, Cluster { net, .. }) = (Host::Node(number), load.cluster);
    let pairs = between(node, &Host::MEMBERS);
    let from = load.now();
    net.cut(&pairs);
    let began = load.now();
    pause(lasts / 2);
    let kill = (What::Killed(number), format!("RestartCutOff {node}, killed"));
    let killed = during(load, kill, Duration::ZERO, &|| load.cluster.kill(node), &|| start(load.cluster, node));
    pause(lasts / 2);
    let ends = load.now();
    net.heal(&pairs);
    let how = format!("RestartCutOff {node}");
    vec![killed, Fault { what: What::CutOff(number), how, from, began, ends, healed: load.now() }]
}

fn during(
    load: &Load<'_, '_>,
    (what, how): (What, String),
    lasts: Duration,
    begin: &dyn Fn(),
    end: &dyn Fn(),
) -> Fault {
    let from = load.now();
    begin();
    let began = load.now();
    pause(lasts);
    let ends = load.now();
    end();
    Fault { what, how, from, began, ends, healed: load.now() }
}

/// Starts a node again; returns when it answers, be it that it is not ready.
fn start(cluster: &Cluster<'_>, node: Host) {
    cluster.start_node(node, &store());
    let answers = || cluster.net.on(node, || http::request("GET", "/v1/status/ready", "").ok());
    until("a nameplate answers that was started again", SOON, answers);
}

/// Starts members again; returns when there is a quorum.
fn back(cluster: &Cluster<'_>, members: &[Host]) {
    members.iter().for_each(|member| cluster.start_member(*member));
    cluster.until_members_serve(members);
}

fn span(rng: &mut Rng, [from_ms, to_ms]: [usize; 2]) -> Duration {
    let ms = from_ms + rng.below(to_ms - from_ms);
    Duration::from_millis(ms.try_into().expect("it is small"))
}

/// How long a node is away for longer than its lease, 10 s, and the 5 s that its instances may stay; shorter than a client
/// waits for a response, 20 s, so that none is given up that a frozen node may still take.
const LONG_MS: [usize; 2] = [16_500, 18_500];

/// How long other faults of nodes last. Source: none, chosen: some end before the lease of the node does.
const SHORT_MS: [usize; 2] = [300, 5_000];

/// How long a member of etcd stands still: longer than a lease. Debian 12's 3.4.23 has a fault (issue 15247 of etcd): a leader
/// that goes on after leases have ended by its own count takes them back, though another leader has renewed them meanwhile.
pub const FROZEN_MAX: Duration = Duration::from_secs(15);

/// How long faults of etcd last. Source: none, chosen: an election takes 1 s to 2 s.
const MEMBER_MS: [usize; 2] = [1_000, 8_000];

/// The time between faults. Source: none, chosen.
const GAP_MS: [usize; 2] = [500, 3_000];
