//! What clients did and saw, and what was done to the hosts meanwhile: one order of events, because all have one clock.

use std::{
    collections::BTreeMap,
    fmt::{self, Display, Formatter},
    io::{self, Write},
    sync::Arc,
    time::Duration,
};

use serde::{Serialize, Serializer};

/// A stretch of time in which clients registered and resolved on all nodes. Times count from its begin.
#[derive(Debug, Default, Clone)]
pub struct History {
    /// Every instance there may be, and its state at the begin, known to all nodes.
    pub begin: BTreeMap<Instance, State>,
    /// Those of one instance do not overlap.
    pub operations: Vec<Operation>,
    /// In any order.
    pub answers: Vec<Answer>,
    /// In any order; those of one host do not overlap.
    pub faults: Vec<Fault>,
}

/// A registration of the one service, by the node that owns it and its number there, below 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instance {
    /// 1 to 3.
    pub node: u8,
    /// Its number on the node.
    pub slot: u8,
}

impl Instance {
    /// Its port, which no other instance has.
    pub fn port(self) -> u16 {
        10_000 + 100 * u16::from(self.node) + u16::from(self.slot)
    }

    /// The instance that has this port.
    pub fn of_port(port: u16) -> Option<Instance> {
        let number = port.checked_sub(10_000)?;
        let instance = Instance { node: (number / 100).try_into().ok()?, slot: (number % 100).try_into().ok()? };
        (1..=3).contains(&instance.node).then_some(instance)
    }

    /// The instance that has this service ID.
    pub fn of_id(id: &str) -> Option<Instance> {
        let (node, slot) = id.strip_prefix('n')?.split_once('-')?;
        Some(Instance { node: node.parse().ok()?, slot: slot.parse().ok()? })
    }
}

/// Its service ID.
impl Display for Instance {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        write!(formatter, "n{}-{:02}", self.node, self.slot)
    }
}

impl Serialize for Instance {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What is to be said about an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum State {
    /// Not registered.
    Absent,
    /// Registered, and not to be answered by DNS.
    Critical,
    /// Registered, and to be answered.
    Passing,
}

/// A call of a client to the instance's own node.
#[derive(Debug, Clone, Serialize)]
pub struct Operation {
    pub instance: Instance,
    pub verb: Verb,
    pub started: Duration,
    pub ended: Duration,
    pub outcome: Outcome,
}

/// What was called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Verb {
    Register,
    Deregister,
    Pass,
    Fail,
}

impl Verb {
    /// What it makes of an instance.
    pub fn makes(self) -> State {
        match self {
            Verb::Register | Verb::Pass => State::Passing,
            Verb::Fail => State::Critical,
            Verb::Deregister => State::Absent,
        }
    }

    /// Whether it changes a check only, whose results are on disk a while after they are acknowledged.
    pub fn is_flip(self) -> bool {
        matches!(self, Verb::Pass | Verb::Fail)
    }
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Outcome {
    /// It took effect.
    Acknowledged,
    /// It took effect or did not: there was no response, or an error.
    Unknown(String),
}

/// What a node told a client on it.
#[derive(Debug, Clone, Serialize)]
pub struct Answer {
    /// 1 to 3.
    pub node: u8,
    pub by: Way,
    pub asked: Duration,
    pub answered: Duration,
    pub seen: Seen,
}

/// How a client asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Way {
    /// Tells the passing instances.
    Dns,
    /// Tells all instances with their states.
    Http,
}

/// What was in an answer.
#[derive(Debug, Clone, Serialize)]
pub enum Seen {
    /// The instances, none of them absent.
    Instances(Arc<BTreeMap<Instance, State>>),
    /// There is no such name.
    NoName,
    /// No response, or an error.
    Failed(String),
}

/// What was done to hosts, and undone.
#[derive(Debug, Clone, Serialize)]
pub struct Fault {
    pub what: What,
    /// What exactly was done, for people.
    pub how: String,
    /// Just before it was done.
    pub from: Duration,
    /// When it was done.
    pub began: Duration,
    /// Just before it was undone.
    pub ends: Duration,
    /// When all was as before: links are open, processes answer.
    pub healed: Duration,
}

/// What a fault means for who keeps promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum What {
    /// The node's process was killed.
    Killed(u8),
    /// The node's process was stopped in order.
    Stopped(u8),
    /// The node's process stood still.
    Frozen(u8),
    /// The node reached no member of etcd.
    CutOff(u8),
    /// The node did not reach one member of etcd.
    LinkLost(u8),
    /// One member of etcd was away: the others are a quorum.
    MemberAway,
    /// No members of etcd that are a quorum reached each other.
    NoQuorum,
    /// All that etcd kept was lost.
    Wiped,
}

impl History {
    /// Writes it as JSON lines: states at the begin, operations, answers, faults.
    pub fn write(&self, mut to: impl Write) -> io::Result<()> {
        fn line(to: &mut impl Write, kind: &str, value: &impl Serialize) -> io::Result<()> {
            writeln!(to, "{}", serde_json::json!({ kind: value }))
        }
        line(&mut to, "begin", &self.begin)?;
        self.operations.iter().try_for_each(|operation| line(&mut to, "operation", operation))?;
        self.answers.iter().try_for_each(|answer| line(&mut to, "answer", answer))?;
        self.faults.iter().try_for_each(|fault| line(&mut to, "fault", fault))
    }
}
