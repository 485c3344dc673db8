//! What DNS makes of names that were registered.

use std::collections::{BTreeMap, BTreeSet};

use nameplate::catalog::service::Instance;

use super::world::World;

/// Labels of a name, leftmost first, in lower case.
pub type LabelList = Vec<Vec<u8>>;

/// The label of a service ID: one label; any change but of letter case adds a hash.
pub fn id_label(text: &str) -> Vec<u8> {
    let label = sanitised(text);
    let same = label == text.to_ascii_lowercase().as_bytes() && label.len() <= 63;
    if same { label } else { hashed(&label, text) }
}

/// The label of a port: one label; only length adds a hash.
pub fn port_label(text: &str) -> Vec<u8> {
    let label = sanitised(text);
    if label.len() <= 63 { label } else { hashed(&label, text) }
}

/// The labels of a tag or a node: dots separate, each label is mapped by itself; what is too long is one label.
pub fn dotted_labels(text: &str) -> LabelList {
    let labels: LabelList = text.split('.').map(sanitised).collect();
    if fit(&labels) { labels } else { vec![hashed(&labels.join(&b'-'), text)] }
}

/// Lower-cased; bytes that a label of ours does not have become `-`; nothing becomes `-` too.
fn sanitised(text: &str) -> Vec<u8> {
    let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
    let text = if text.is_empty() { "-" } else { text };
    text.bytes().map(|byte| byte.to_ascii_lowercase()).map(|byte| if legal(byte) { byte } else { b'-' }).collect()
}

/// Cut to 54 bytes, `-` and 8 hex digits of the hash of the original.
fn hashed(label: &[u8], original: &str) -> Vec<u8> {
    [&label[..label.len().min(54)], format!("-{:08x}", fnv1a(original.as_bytes())).as_bytes()].concat()
}

/// Whether labels are short enough, together and each.
fn fit(labels: &LabelList) -> bool {
    labels.iter().all(|label| label.len() <= 63) && labels.iter().map(|label| 1 + label.len()).sum::<usize>() <= 100
}

/// FNV-1a, 32 bit.
fn fnv1a(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

/// Whose a name is: a service's, or that of instances with a further name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Holder {
    /// The service of this name, as registered.
    Service(String),
    /// All instances with this further name, as registered.
    Further(String),
}

impl Holder {
    /// The name as registered.
    pub fn name(&self) -> &str {
        match self {
            Holder::Service(name) | Holder::Further(name) => name,
        }
    }

    /// Whether it stands for this instance.
    pub fn has(&self, instance: &Instance) -> bool {
        match self {
            Holder::Service(name) => instance.service.as_str() == name,
            Holder::Further(name) => instance.further_names.iter().any(|further| further.name.as_str() == name),
        }
    }
}

/// Which labels lead to which service.
#[derive(Debug, Clone, Default)]
pub struct ServiceNames {
    /// All label lists that are a name, with whose it is.
    pub by_labels: BTreeMap<LabelList, Holder>,
    /// The labels by which a service is named in what we write ourselves (PTR).
    pub primary: BTreeMap<String, LabelList>,
}

impl ServiceNames {
    /// Reads all services of a world, and then what is left to further names.
    pub fn of(world: &World) -> ServiceNames {
        let all = || world.instances.iter().map(|entry| &entry.instance);
        let services: BTreeSet<&str> = all().map(|instance| instance.service.as_str()).collect();
        let further = all().flat_map(|instance| instance.further_names.iter());
        let further: BTreeSet<&str> = further.map(|further| further.name.as_str()).collect();
        let mut names = ServiceNames::default();
        names.claim_all(&services, Holder::Service);
        names.claim_all(&further, Holder::Further);
        for service in services {
            let plain = plain_labels(service);
            let holds_plain = names.by_labels.get(&plain) == Some(&Holder::Service(service.to_owned()));
            let labels = if holds_plain || exact(service) { plain } else { hashed_labels(service) };
            names.primary.insert(service.to_owned(), labels);
        }
        names
    }

    fn claim_all(&mut self, all: &BTreeSet<&str>, holder: fn(String) -> Holder) {
        let holder = |name: &str| holder(name.to_owned());
        // Unchanged names are theirs; of several that differ in letter case only, the lowest has it.
        for name in all.iter().filter(|name| exact(name)) {
            self.claim(plain_labels(name), holder(name));
        }
        for name in all.iter().filter(|name| !exact(name)) {
            self.claim(hashed_labels(name), holder(name));
        }
        for name in all.iter().filter(|name| !exact(name)) {
            self.claim(plain_labels(name), holder(name));
        }
        for name in all {
            let plain = plain_labels(name);
            let dashed: LabelList = plain
                .iter()
                .map(|label| label.iter().map(|&byte| if byte == b'_' { b'-' } else { byte }).collect())
                .collect();
            if dashed != plain && self.by_labels.get(&plain) == Some(&holder(name)) {
                self.claim(dashed, holder(name));
            }
        }
    }

    fn claim(&mut self, labels: LabelList, holder: Holder) {
        if fit(&labels) {
            self.by_labels.entry(labels).or_insert(holder);
        }
    }
}

/// At most four labels; of more, the rest is joined.
fn plain_labels(service: &str) -> LabelList {
    let mut labels: LabelList = service.split('.').map(sanitised).collect();
    if labels.len() > 4 {
        let rest = labels.split_off(3).join(&b'-');
        labels.push(rest);
    }
    labels
}

/// The form that only this name has: the leftmost label carries the hash of the whole name.
fn hashed_labels(service: &str) -> LabelList {
    let mut labels = plain_labels(service);
    if !fit(&labels) {
        labels = vec![labels.concat()];
    }
    labels[0] = hashed(&labels[0], service);
    labels
}

/// Whether DNS can carry the name as it is, letter case aside.
fn exact(service: &str) -> bool {
    let labels = plain_labels(service);
    fit(&labels) && labels.join(&b'.') == service.to_ascii_lowercase().as_bytes()
}
