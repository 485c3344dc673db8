//! Random registrations for tests, and the model that the restored state is compared with.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc, time::Duration};

use crate::{
    catalog::{
        change::{Origin, Registration},
        check::{
            AliasCheck, Check, CheckDefinition, CheckKey, CheckKind, CheckResult, CheckStatus, ClientTls, DnsCheck,
            DockerExecCheck, HttpCheck, ScriptCheck,
        },
        few::Few,
        names::{CheckId, NodeName, PortName, ServiceId, ServiceName, Tag},
        node::{Address, Node},
        output::Output,
        service::{FurtherName, Instance, InstanceKey, IpNetwork, NetworkAddress, Port, TaggedAddress, Weights},
        state::{CheckEntry, InstanceEntry},
    },
    publish::journal::{Batch, Restored, StoredNode, Write},
};

/// What ought to be restored.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Model {
    pub(super) index: u64,
    /// Also sent as extinction index: it names the batch.
    pub(super) batches: u64,
    pub(super) nodes: BTreeMap<NodeName, StoredNode>,
    pub(super) instances: BTreeMap<InstanceKey, Arc<InstanceEntry>>,
    pub(super) documents: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Model {
    /// What was restored, in the same form.
    pub(super) fn of(restored: &Restored, index: u64) -> Model {
        let nodes = restored.nodes.iter().map(|stored| (stored.node.name.clone(), stored.clone()));
        let instances = restored.instances.iter().map(|entry| (entry.instance.key(), Arc::clone(entry)));
        let documents = restored.documents.iter().map(|document| (document.key.clone(), document.bytes.clone()));
        Model {
            index,
            batches: restored.extinction_index,
            nodes: nodes.collect(),
            instances: instances.collect(),
            documents: documents.collect(),
        }
    }

    /// Makes a random batch of one to four changes and applies it.
    pub(super) fn batch(&mut self, dice: &mut Dice) -> Batch {
        self.batches += 1;
        let writes = (0..dice.roll(4) + 1).filter_map(|_| self.change(dice)).collect();
        Batch {
            index: self.index,
            serial: self.batches as u32,
            extinction_index: self.batches,
            writes,
            acknowledge: Vec::new(),
            urgent: dice.roll(3) > 0,
        }
    }

    fn change(&mut self, dice: &mut Dice) -> Option<Write> {
        self.index += 1;
        let name = NodeName::new(format!("node-{}", dice.roll(3))).unwrap();
        let key = InstanceKey { node: name.clone(), id: ServiceId::new(format!("id-{}", dice.roll(6))).unwrap() };
        match dice.roll(13) {
            0 => {
                let stored = stored_node(dice, name.clone(), self.index);
                self.nodes.insert(name, stored.clone());
                Some(Write::Node(stored))
            }
            1 => self.nodes.remove(&name).map(|_| Write::ForgetNode(name)),
            2 | 3 => self.instances.remove(&key).map(|_| Write::ForgetInstance(key)),
            4..=6 => {
                let mut entry = instance_entry(dice, &key, self.index);
                entry.checks = self.placed(&key, entry.checks);
                let entry = Arc::new(entry);
                self.instances.insert(key, Arc::clone(&entry));
                Some(Write::Instance(entry))
            }
            7..=9 => self.flip(dice),
            _ => Some(self.document(dice)),
        }
    }

    fn document(&mut self, dice: &mut Dice) -> Write {
        // Keys, policies and tokens; each has its own byte in front.
        let kind = [1_u8, 5, 6][dice.roll(3) as usize];
        let key = [&[kind][..], format!("key/{}", dice.roll(6)).as_bytes()].concat();
        let bytes = (dice.roll(3) > 0).then(|| vec![dice.roll(256) as u8; dice.roll(20) as usize]);
        match &bytes {
            Some(bytes) => _ = self.documents.insert(key.clone(), bytes.clone()),
            None => _ = self.documents.remove(&key),
        }
        Write::Document { key, bytes }
    }

    /// Checks that are elsewhere on the node stay there; those that the instance had keep their state.
    fn placed(&self, key: &InstanceKey, checks: Few<CheckEntry>) -> Few<CheckEntry> {
        let elsewhere = |entry: &CheckEntry| {
            self.instances
                .values()
                .filter(|other| other.instance.node == key.node && other.instance.id != key.id)
                .any(|other| other.checks.iter().any(|check| check.check.id == entry.check.id))
        };
        let kept = |entry: CheckEntry| {
            let before = self.instances.get(key).into_iter().flat_map(|before| before.checks.iter());
            before.clone().find(|before| before.check.id == entry.check.id).cloned().unwrap_or(entry)
        };
        checks.iter().filter(|entry| !elsewhere(entry)).cloned().map(kept).collect()
    }

    fn flip(&mut self, dice: &mut Dice) -> Option<Write> {
        let result = CheckResult { status: status(dice), output: (&*text(dice)).into() };
        let modify_index = self.index;
        let flipped = |entry: &mut CheckEntry| {
            let mut check = (*entry.check).clone();
            check.status = result.status;
            check.output = Output::new(&result.output.shown(""), &check.target);
            entry.check = Arc::new(check);
            entry.modify_index = modify_index;
            entry.check.key()
        };
        let mut keys: Vec<CheckKey> = Vec::new();
        if dice.roll(4) == 0 {
            let at = dice.roll(self.nodes.len().max(1) as u64) as usize;
            if let Some(stored) = self.nodes.values_mut().nth(at) {
                keys.extend(Arc::make_mut(&mut stored.checks).first_mut().map(flipped));
            }
        } else {
            let at = dice.roll(self.instances.len().max(1) as u64) as usize;
            if let Some(entry) = self.instances.values_mut().nth(at) {
                keys.extend(Arc::make_mut(entry).checks.first_mut().map(flipped));
            }
        }
        keys.pop().map(|key| Write::CheckStatus { key, result, modify_index })
    }
}

/// Random numbers from a seed. Source: splitmix64's constants.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Dice(pub(super) u64);

impl Dice {
    /// A number below `sides`.
    pub(super) fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % sides
    }
}

pub(super) fn stored_node(dice: &mut Dice, name: NodeName, index: u64) -> StoredNode {
    let check_id = format!("node-check-{}", dice.roll(2));
    let checks = (0..dice.roll(2)).map(|_| entry(check(dice, &name, None, &check_id), index)).collect();
    let node = Node {
        name,
        uuid: text(dice),
        address: address(dice),
        tagged_addresses: (0..dice.roll(3)).map(|number| (Arc::from(format!("lan-{number}")), address(dice))).collect(),
        meta: Arc::new((0..dice.roll(3)).map(|_| (text(dice), text(dice))).collect()),
        origin: origin(dice),
    };
    StoredNode { node: Arc::new(node), checks, create_index: index, modify_index: index }
}

pub(super) fn instance_entry(dice: &mut Dice, key: &InstanceKey, index: u64) -> InstanceEntry {
    let mut ids: Vec<u64> = (0..dice.roll(3)).map(|_| dice.roll(8)).collect();
    ids.sort_unstable();
    ids.dedup();
    let checks = ids.iter().map(|id| entry(check(dice, &key.node, Some(&key.id), &format!("check-{id}")), index));
    let mut checks: Vec<_> = checks.collect();
    // As in any catalog: by ID, not by the number that it was made of.
    checks.sort_by(|left, right| left.check.id.cmp(&right.check.id));
    let checks = checks.into();
    let shadowed = (0..dice.roll(3) / 2).map(|_| {
        let checks = vec![check(dice, &key.node, Some(&key.id), "shadowed")];
        let replace_existing_checks = dice.roll(2) == 0;
        Arc::new(Registration { instance: instance(dice, key), checks, replace_existing_checks })
    });
    let shadowed = shadowed.collect();
    InstanceEntry {
        instance: Arc::new(instance(dice, key)),
        checks,
        shadowed,
        create_index: index,
        modify_index: index + 1,
    }
}

fn instance(dice: &mut Dice, key: &InstanceKey) -> Instance {
    let named = |dice: &mut Dice| (dice.roll(2) == 0).then(|| PortName::new("http").unwrap());
    Instance {
        node: key.node.clone(),
        id: key.id.clone(),
        service: ServiceName::new(format!("web-{}", dice.roll(3))).unwrap(),
        address: (dice.roll(3) > 0).then(|| address(dice)),
        ports: (0..dice.roll(3))
            .map(|_| Port { name: named(dice), number: dice.roll(65536) as u16, default: dice.roll(2) == 0 })
            .collect(),
        tags: (0..dice.roll(3)).map(|number| Tag::new(format!("v{number}")).unwrap()).collect(),
        meta: Arc::new((0..dice.roll(3)).map(|_| (text(dice), text(dice))).collect()),
        weights: Weights { passing: dice.roll(100) as u16, warning: dice.roll(100) as u16 },
        tagged_addresses: (0..dice.roll(2))
            .map(|_| TaggedAddress { role: text(dice), address: address(dice), port: dice.roll(65536) as u16 })
            .collect(),
        network_addresses: (0..dice.roll(2)).map(|_| network_address(dice)).collect(),
        further_names: (0..dice.roll(6) / 3).map(|_| further_name(dice)).collect(),
        enable_tag_override: dice.roll(2) == 0,
        origin: origin(dice),
    }
}

fn further_name(dice: &mut Dice) -> FurtherName {
    let name = ServiceName::new(format!("shop-web-{}", dice.roll(3))).unwrap();
    FurtherName { name, stands_for_id: dice.roll(2) == 0 }
}

fn network_address(dice: &mut Dice) -> NetworkAddress {
    NetworkAddress {
        network: IpNetwork::parse(["192.0.2.0/24", "2001:db8::/32", "198.51.100.7"][dice.roll(3) as usize]).unwrap(),
        address: ip(dice),
        ports: (0..dice.roll(3)).map(|_| dice.roll(65536) as u16).collect(),
    }
}

fn texts(dice: &mut Dice) -> Box<[Arc<str>]> {
    (0..dice.roll(3)).map(|_| text(dice)).collect()
}

fn client_tls(dice: &mut Dice) -> ClientTls {
    ClientTls {
        use_tls: dice.roll(2) == 0,
        tls_skip_verify: dice.roll(2) == 0,
        tls_server_name: (dice.roll(2) == 0).then(|| text(dice)),
    }
}

fn check(dice: &mut Dice, node: &NodeName, service_id: Option<&ServiceId>, id: &str) -> Check {
    let kind = match dice.roll(18) {
        0 => CheckKind::Http(Box::new(HttpCheck {
            method: Arc::from("GET"),
            headers: (0..dice.roll(3)).map(|_| (text(dice), text(dice))).collect(),
            body: text(dice),
            disable_redirects: dice.roll(2) == 0,
            tls_skip_verify: dice.roll(2) == 0,
            tls_server_name: (dice.roll(2) == 0).then(|| text(dice)),
        })),
        1 => CheckKind::Tcp(client_tls(dice)),
        2 => CheckKind::Deadline(Duration::from_nanos(dice.roll(u64::MAX))),
        3 => CheckKind::External,
        4 => CheckKind::Grpc(client_tls(dice)),
        5 => CheckKind::Script(ScriptCheck { args: texts(dice) }),
        6 => CheckKind::Udp,
        7 => CheckKind::H2Ping(client_tls(dice)),
        8 => CheckKind::DockerExec(Box::new(DockerExecCheck { container: text(dice), args: texts(dice) })),
        9 => CheckKind::Alias(Box::new(AliasCheck {
            node: (dice.roll(2) == 0).then(|| NodeName::new("other").unwrap()),
            service_id: (dice.roll(2) == 0).then(|| ServiceId::new("other-1").unwrap()),
        })),
        10 => CheckKind::Dns(Box::new(DnsCheck { name: text(dice), record_type: text(dice), expected: texts(dice) })),
        11 => CheckKind::Systemd,
        12 => CheckKind::MySql,
        13 => CheckKind::Redis,
        14 => CheckKind::Postgres,
        15 => CheckKind::Amqp,
        16 => CheckKind::Icmp,
        _ => CheckKind::Maintenance,
    };
    let untargeted = matches!(
        kind,
        CheckKind::Deadline(_)
            | CheckKind::External
            | CheckKind::Maintenance
            | CheckKind::Script(_)
            | CheckKind::DockerExec(_)
            | CheckKind::Alias(_)
    );
    let target = if untargeted { Arc::from("") } else { text(dice) };
    let definition = CheckDefinition {
        kind,
        interval: Duration::from_millis(dice.roll(100_000)),
        timeout: Duration::from_secs(dice.roll(100)),
        success_before_passing: dice.roll(4) as u32,
        failures_before_warning: dice.roll(4) as u32,
        failures_before_critical: dice.roll(4) as u32,
        deregister_critical_service_after: (dice.roll(2) == 0).then(|| Duration::from_secs(dice.roll(9999))),
        output_max_bytes: [4096, 1, 200][dice.roll(3) as usize],
    };
    // As long as one that is made of the longest service ID.
    let id = if id.ends_with('7') { format!("_service_maintenance:{id}{}", "x".repeat(246)) } else { id.to_owned() };
    Check {
        node: node.clone(),
        id: CheckId::derived(&id),
        service_id: service_id.cloned(),
        name: text(dice).into(),
        notes: text(dice).into(),
        status: status(dice),
        output: Output::new(&text(dice), &target),
        target: target.into(),
        definition: Arc::new(definition),
        origin: origin(dice),
    }
}

fn entry(check: Check, index: u64) -> CheckEntry {
    CheckEntry { check: Arc::new(check), create_index: index, modify_index: index }
}

/// Texts of all lengths up to 400 bytes, often equal ones, not all ASCII.
fn text(dice: &mut Dice) -> Arc<str> {
    match dice.roll(4) {
        0 => Arc::from(""),
        1 => Arc::from("HTTP GET http://192.0.2.1/: 200 OK"),
        2 => Arc::from(format!("größe-{}", dice.roll(1000))),
        _ => Arc::from("y".repeat(dice.roll(400) as usize)),
    }
}

fn address(dice: &mut Dice) -> Address {
    if dice.roll(4) == 0 { Address::Host(Arc::from("db.example")) } else { Address::Ip(ip(dice)) }
}

fn ip(dice: &mut Dice) -> IpAddr {
    match dice.roll(2) {
        0 => IpAddr::from([192, 0, 2, dice.roll(256) as u8]),
        _ => IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, dice.roll(65536) as u16]),
    }
}

fn status(dice: &mut Dice) -> CheckStatus {
    [CheckStatus::Passing, CheckStatus::Warning, CheckStatus::Critical][dice.roll(3) as usize]
}

fn origin(dice: &mut Dice) -> Origin {
    let all = [Origin::Server, Origin::Api, Origin::File, Origin::Cluster, Origin::Docker, Origin::Registry];
    all[dice.roll(6) as usize]
}
