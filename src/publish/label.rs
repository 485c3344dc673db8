//! What DNS makes of the catalog's identifiers.
//!
//! | identifier | labels |
//! |---|---|
//! | service name | dots separate, at most 4 labels |
//! | node name, tag | dots separate |
//! | service ID, port name | one label |
//!
//! Letters become lower case, which is no change. `a-z 0-9 - _` stay, every other byte becomes `-`. A label that this
//! changes, or that is longer than 63 bytes, is cut to 54 and gets `-` and 8 hex digits of a fixed hash of the
//! original, so that no two meet and names never depend on the order of registration. A service name that changes
//! has its plain form too where no other name wants it; tags, ports and node names have the plain form alone where
//! it fits.
//!
//! **Limits:** 100 bytes for a name's labels together, so that every name made of them fits into 255.

use std::fmt;

use crate::{
    catalog::names::ServiceName,
    wire::name::{LABEL_MAX_BYTES, Name},
};

/// Labels in lower case, in wire form without the root label; what the answering path looks names up by.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(KeyBytes);

#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum KeyBytes {
    Short { length: u8, bytes: [u8; SHORT_MAX] },
    Long(Box<[u8]>),
}

impl Key {
    /// A key of these labels in wire form.
    pub fn from_wire(wire: &[u8]) -> Key {
        if wire.len() > SHORT_MAX {
            return Key(KeyBytes::Long(wire.into()));
        }
        let mut bytes = [0; SHORT_MAX];
        bytes[..wire.len()].copy_from_slice(wire);
        Key(KeyBytes::Short { length: wire.len() as u8, bytes })
    }

    fn from_labels(labels: &[Vec<u8>]) -> Key {
        let mut wire = Vec::with_capacity(SHORT_MAX);
        for label in labels {
            wire.push(label.len() as u8);
            wire.extend_from_slice(label);
        }
        Key::from_wire(&wire)
    }

    /// The labels in wire form.
    #[inline]
    pub fn as_wire(&self) -> &[u8] {
        match &self.0 {
            KeyBytes::Short { length, bytes } => &bytes[..usize::from(*length)],
            KeyBytes::Long(bytes) => bytes,
        }
    }

    /// A key that stands for a label at some place below a name. No name has it: names have no empty labels.
    pub fn below(label: &[u8], name: &[u8]) -> Key {
        Key::from_wire(&[label, &[0], name].concat())
    }

    /// Whether it is one label that still is one with `_` before it.
    pub fn takes_underscore(&self) -> bool {
        self.ancestors().next().is_none() && self.as_wire().len() <= LABEL_MAX_BYTES
    }

    /// Whether a service of this name is also found without a kind, as `web.D`: not where a label says something else.
    pub fn has_short_form(&self) -> bool {
        let mut rest = self.as_wire();
        let mut last: &[u8] = &[];
        while let Some((length, after)) = rest.split_first() {
            (last, rest) = after.split_at(usize::from(*length));
            if last.first() == Some(&b'_') || KIND_LABELS.contains(&last) {
                return false;
            }
        }
        !matches!(last, b"dc" | b"port")
    }

    /// The keys that are left when labels are taken away from the left: what lies between this name and its domain.
    pub fn ancestors(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = self.as_wire();
        std::iter::from_fn(move || {
            rest = &rest[1 + usize::from(*rest.first()?)..];
            (!rest.is_empty()).then_some(rest)
        })
    }
}

/// Presentation format, without a dot at the end; bytes, for what is no name.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Name::from_wire(&[self.as_wire(), &[0]].concat()) {
            Ok(name) => f.write_str(name.to_string().trim_end_matches('.')),
            Err(_) => self.as_wire().escape_ascii().fmt(f),
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({self})")
    }
}

/// The keys under which a service may be found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceKeys {
    /// The name itself, if DNS can carry it unchanged; else its plain form, which an unchanged name takes from it.
    pub plain: Option<Key>,
    /// The form that only this name has; only where the name was changed.
    pub hashed: Option<Key>,
    /// The form with `-` for `_`, which any other name takes from it.
    pub dashed: Option<Key>,
}

/// The keys of a service name.
pub fn service_keys(name: &ServiceName) -> ServiceKeys {
    if let Some(key) = plain_key(name.as_str()).filter(|_| !name.as_str().contains('_')) {
        return ServiceKeys { plain: Some(key), hashed: None, dashed: None };
    }
    let mut parts: Vec<Vec<u8>> = name.as_str().split('.').map(clean).collect();
    if parts.len() > SERVICE_LABELS_MAX {
        let rest = parts.split_off(SERVICE_LABELS_MAX - 1).join(&b'-');
        parts.push(rest);
    }
    let fits = fits(&parts);
    let changed = !fits || spelled(&parts) != name.as_str().to_ascii_lowercase().as_bytes();
    let hashed = changed.then(|| {
        let mut parts = if fits { parts.clone() } else { vec![parts.concat()] };
        parts[0] = hashed_label(&parts[0], name.as_str());
        Key::from_labels(&parts)
    });
    let dashes: Vec<Vec<u8>> =
        parts.iter().map(|part| part.iter().map(|byte| if *byte == b'_' { b'-' } else { *byte }).collect()).collect();
    ServiceKeys {
        dashed: (fits && dashes != parts).then(|| Key::from_labels(&dashes)),
        plain: fits.then(|| Key::from_labels(&parts)),
        hashed,
    }
}

/// The labels of a service name that stays as it is but for letter case; none if it is changed.
pub fn unchanged<'b>(name: &str, buffer: &'b mut [u8; KEY_MAX_BYTES]) -> Option<&'b [u8]> {
    let wire = buffer.get_mut(..=name.len())?;
    let (mut start, mut labels) = (0, 1);
    for (at, byte) in (1..).zip(name.bytes().chain([b'.'])) {
        if byte != b'.' {
            wire[at] = kept(byte)?;
            continue;
        }
        let length = at - start - 1;
        if length == 0 || length > LABEL_MAX_BYTES || labels > SERVICE_LABELS_MAX {
            return None;
        }
        wire[start] = length as u8;
        (start, labels) = (at, labels + 1);
    }
    Some(wire)
}

/// The one label of a service ID.
pub fn id_key(id: &str) -> Key {
    if let Some(key) = plain_key(id) {
        return key;
    }
    let label = clean(id);
    let label: Vec<u8> = label.iter().map(|byte| if *byte == b'.' { b'-' } else { *byte }).collect();
    let changed = label.len() > LABEL_MAX_BYTES || label != id.to_ascii_lowercase().as_bytes();
    Key::from_labels(&[if changed { hashed_label(&label, id) } else { label }])
}

/// The one label of a port's name.
pub fn port_key(port: &str) -> Key {
    if let Some(key) = plain_key(port) {
        return key;
    }
    let label = clean(port);
    Key::from_labels(&[if label.len() > LABEL_MAX_BYTES { hashed_label(&label, port) } else { label }])
}

/// The labels of a tag or of a node's name.
pub fn dotted_key(text: &str) -> Key {
    if let Some(key) = plain_key(text) {
        return key;
    }
    let parts: Vec<Vec<u8>> = text.split('.').map(clean).collect();
    if fits(&parts) {
        return Key::from_labels(&parts);
    }
    Key::from_labels(&[hashed_label(&parts.join(&b'-'), text)])
}

/// What an operator is told when DNS cannot carry a name as it is spelled.
pub fn warning(service: &ServiceName, id: &str) -> Option<String> {
    let keys = service_keys(service);
    let mut lines = Vec::new();
    if let Some(hashed) = &keys.hashed {
        let plain = keys.plain.as_ref().map(|plain| format!(", and as {plain} while no other service wants it"));
        lines.push(format!("service name {service:?} is answered as {hashed}{}", plain.unwrap_or_default()));
    }
    let key = id_key(id);
    if key.as_wire()[1..] != *id.to_ascii_lowercase().as_bytes() {
        lines.push(format!("service ID {id:?} is answered as {key}"));
    }
    (!lines.is_empty()).then(|| lines.join("; "))
}

/// The key of a text that is one label as it stands, as nearly all are; what is found out about the others below comes
/// to the same for these, and costs an allocation a step.
fn plain_key(text: &str) -> Option<Key> {
    let mut wire = [0; 1 + LABEL_MAX_BYTES];
    if text.is_empty() || text.len() > LABEL_MAX_BYTES {
        return None;
    }
    wire[0] = text.len() as u8;
    for (to, from) in wire[1..].iter_mut().zip(text.bytes()) {
        *to = kept(from)?;
    }
    Some(Key::from_wire(&wire[..=text.len()]))
}

/// One label's text with what DNS names can carry; never empty.
fn clean(text: &str) -> Vec<u8> {
    if text.is_empty() {
        return b"-".to_vec();
    }
    text.bytes().map(|byte| kept(byte).unwrap_or(b'-')).collect()
}

/// The byte as names have it, if DNS can carry it.
fn kept(byte: u8) -> Option<u8> {
    match byte.to_ascii_lowercase() {
        kept @ (b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_') => Some(kept),
        _ => None,
    }
}

fn spelled(parts: &[Vec<u8>]) -> Vec<u8> {
    parts.join(&b'.')
}

fn fits(parts: &[Vec<u8>]) -> bool {
    let total: usize = parts.iter().map(|part| 1 + part.len()).sum();
    total <= KEY_MAX_BYTES && parts.iter().all(|part| part.len() <= LABEL_MAX_BYTES)
}

fn hashed_label(label: &[u8], original: &str) -> Vec<u8> {
    let mut out = label[..label.len().min(HASHED_PREFIX_BYTES)].to_vec();
    out.extend_from_slice(format!("-{:08x}", fnv1a(original.as_bytes())).as_bytes());
    out
}

/// FNV-1a, 32 bit. Fixed for ever: names that people wrote down depend on it.
fn fnv1a(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

/// Labels that say what kind of thing is left of them. Source: DNS.md.
const KIND_LABELS: [&[u8]; 7] = [b"service", b"node", b"addr", b"query", b"connect", b"ingress", b"virtual"];

/// Bytes of a label that stay before the hash: with it, 63. Source: RFC 1035 section 2.3.4.
const HASHED_PREFIX_BYTES: usize = LABEL_MAX_BYTES - 9;

/// Most labels of a service name, so that reading a name costs at most as many look-ups.
pub const SERVICE_LABELS_MAX: usize = 4;

/// Most bytes of one name's labels. Source: none, chosen: with a datacenter and a domain it stays below 255.
pub const KEY_MAX_BYTES: usize = 100;

/// Longest key that needs no allocation.
const SHORT_MAX: usize = 30;

#[cfg(test)]
#[path = "label_tests.rs"]
mod tests;
