//! Settings of what lies in etcd: a catalog that several machines share, and services that other programs register there.

use std::{path::PathBuf, time::Duration};

use super::{
    print::{list, quoted},
    problem::ConfigProblem,
    read::Reader,
    store::{ApiVersion, StoreAddress},
    values::{self, duration, word},
};
use crate::{catalog::duration::format_duration, sources::etcd::Side, wire::name::Name};

/// A catalog that several machines share, and services of other programs. The fields are named and explained in reference.toml,
/// with `store_` or `etcd_` before them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// Where it is; none means that the catalog is ours alone.
    pub store: Option<StoreAddress>,
    /// Where other programs register services, each at a key `<service>/<id>` below the prefix.
    pub services: Option<StoreAddress>,
    /// Where other programs register names, as SkyDNS and CoreDNS read them.
    pub skydns: Option<StoreAddress>,
    /// Zones of such names, in lower case.
    pub skydns_domains: Vec<Name>,
    /// Holds the password of the users that they name.
    pub password_file: Option<PathBuf>,
    /// Authorities of etcd's certificates; set where TLS is spoken.
    pub tls_ca: Option<PathBuf>,
    /// Our certificate and its key.
    pub tls_pair: Option<(PathBuf, PathBuf)>,
    /// How long what is of this machine outlives it.
    pub lease: Duration,
    /// Which hold at the first start with a store, if both have some: this machine's own, or those in the store.
    pub adopt: Option<Side>,
}

/// Reads the settings.
pub(super) fn read(reader: &mut Reader) -> Cluster {
    let mut address = |key, default_prefix: &str| {
        reader.one(key, |item| {
            StoreAddress::parse(values::text(item)?, default_prefix).map_err(|error| error.to_string())
        })
    };
    let (store, services) = (address(STORE, "/nameplate"), address(SERVICES, "/services"));
    let skydns = address(SKYDNS, "/skydns");
    let skydns_domains = reader.list("skydns_domain", values::own_domain);
    let [password_file, tls_ca, cert, key] = FILE_KEYS.map(|key| reader.one(key, values::path));
    let lease = reader.set("store_lease", duration(LEASE_LEAST, LEASE_MOST));
    let adopt = reader.one("store_adopt", word(&SIDES));
    let mut report = |key: &'static str, problem: String| {
        reader.report(ConfigProblem { place: reader.place(key), key: Some(key.to_owned()), problem });
    };
    let [password_key, ca_key, cert_key, key_key] = FILE_KEYS;
    let tls_pair = match (cert, key) {
        (Some(cert), Some(key)) => Some((cert, key)),
        (None, None) => None,
        (Some(_), None) => {
            report(cert_key, format!("set {key_key} too: a certificate needs its key"));
            None
        }
        (None, Some(_)) => {
            report(key_key, format!("set {cert_key} too: a key needs its certificate"));
            None
        }
    };
    let all: Vec<_> = [(STORE, &store), (SERVICES, &services), (SKYDNS, &skydns)]
        .into_iter()
        .filter_map(|(key, address)| Some((key, address.as_ref()?)))
        .collect();
    if store.as_ref().is_some_and(|store| store.version == ApiVersion::V2) {
        report(STORE, "write it as etcd://...: version 2 of etcd's API has no leases".to_owned());
    }
    for (key, address) in &all {
        if let Some(user) = address.user.as_ref().filter(|_| password_file.is_none()) {
            report(key, format!("set {password_key} too: user {user:?} is asked for a password"));
        }
        if address.tls && tls_ca.is_none() {
            report(key, format!("set {ca_key} too: with TLS it must be known who may sign etcd's certificate"));
        }
    }
    // Which of them is wrong is not known, if there are several.
    let Some((first, _)) = all.first() else {
        return Cluster { store, services, skydns, skydns_domains, password_file, tls_ca, tls_pair, lease, adopt };
    };
    if password_file.is_some() && all.iter().all(|(_, address)| address.user.is_none()) {
        report(password_key, format!("name its user in {first}: etcd://USER@HOST"));
    }
    for (key, is_set) in [(ca_key, tls_ca.is_some()), (cert_key, tls_pair.is_some())] {
        if is_set && !all.iter().any(|(_, address)| address.tls) {
            report(key, format!("write {first} as etcds://...: etcd:// is without TLS"));
        }
    }
    Cluster { store, services, skydns, skydns_domains, password_file, tls_ca, tls_pair, lease, adopt }
}

impl Cluster {
    /// Each setting with its value as TOML.
    pub(super) fn entries(&self) -> Vec<(&'static str, Option<String>)> {
        let path = |path: Option<&PathBuf>| path.map(|path| quoted(path.display()));
        let pair = self.tls_pair.as_ref();
        vec![
            (STORE, self.store.as_ref().map(quoted)),
            (SERVICES, self.services.as_ref().map(quoted)),
            (SKYDNS, self.skydns.as_ref().map(quoted)),
            ("skydns_domain", Some(list(&self.skydns_domains))),
            (FILE_KEYS[0], path(self.password_file.as_ref())),
            (FILE_KEYS[1], path(self.tls_ca.as_ref())),
            (FILE_KEYS[2], path(pair.map(|(cert, _)| cert))),
            (FILE_KEYS[3], path(pair.map(|(_, key)| key))),
            ("store_lease", Some(quoted(format_duration(self.lease)))),
            ("store_adopt", SIDES.iter().find(|(_, side)| Some(*side) == self.adopt).map(|(name, _)| quoted(name))),
        ]
    }
}

const SIDES: [(&str, Side); 2] = [("local", Side::Local), ("remote", Side::Remote)];

const STORE: &str = "store";

const SERVICES: &str = "etcd_services";

const SKYDNS: &str = "etcd_skydns";

const FILE_KEYS: [&str; 4] = ["store_password_file", "store_tls_ca", "store_tls_cert", "store_tls_key"];

/// Source: etcd gives no lease below three halves of its election's time-out, 1 s by default; and 1 s to put back what was lost.
const LEASE_LEAST: Duration = Duration::from_secs(3);

/// Source: none, chosen: an hour.
const LEASE_MOST: Duration = Duration::from_secs(3600);

#[cfg(test)]
#[path = "cluster_tests.rs"]
mod tests;
