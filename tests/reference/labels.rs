//! What DNS makes of names that were registered.

use std::collections::BTreeMap;

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

/// Which labels lead to which service.
#[derive(Debug, Clone, Default)]
pub struct ServiceNames {
    /// All label lists that are a service's name, with the service as registered.
    pub by_labels: BTreeMap<LabelList, String>,
    /// The labels by which a service is named in what we write ourselves (PTR).
    pub primary: BTreeMap<String, LabelList>,
}

impl ServiceNames {
    /// Reads all services of a world.
    pub fn of(world: &World) -> ServiceNames {
        let mut services: Vec<&str> = world.instances.iter().map(|entry| entry.instance.service.as_str()).collect();
        services.sort_unstable();
        services.dedup();
        let mut names = ServiceNames::default();
        // Unchanged names are theirs; of several that differ in letter case only, the lowest has it.
        for service in services.iter().filter(|service| exact(service)) {
            names.claim(plain_labels(service), service);
        }
        for service in services.iter().filter(|service| !exact(service)) {
            names.claim(hashed_labels(service), service);
        }
        for service in services.iter().filter(|service| !exact(service)) {
            names.claim(plain_labels(service), service);
        }
        for service in &services {
            let plain = plain_labels(service);
            let dashed: LabelList = plain
                .iter()
                .map(|label| label.iter().map(|&byte| if byte == b'_' { b'-' } else { byte }).collect())
                .collect();
            if dashed != plain && names.by_labels.get(&plain).is_some_and(|owner| owner == service) {
                names.claim(dashed, service);
            }
        }
        for service in services {
            let plain = plain_labels(service);
            let holds_plain = names.by_labels.get(&plain).is_some_and(|owner| owner == service);
            let labels = if holds_plain || exact(service) { plain } else { hashed_labels(service) };
            names.primary.insert(service.to_owned(), labels);
        }
        names
    }

    fn claim(&mut self, labels: LabelList, service: &str) {
        if fit(&labels) {
            self.by_labels.entry(labels).or_insert_with(|| service.to_owned());
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
