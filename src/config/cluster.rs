//! Settings of a catalog that several machines share.

use std::{path::PathBuf, time::Duration};

use super::{
    print::quoted,
    problem::ConfigProblem,
    read::Reader,
    store::StoreAddress,
    values::{self, duration, word},
};
use crate::catalog::duration::format_duration;

/// A catalog that several machines share. The fields are named and explained in reference.toml, with `store_` before them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// Where it is; none means that the catalog is ours alone.
    pub store: Option<StoreAddress>,
    /// Holds the password of the user that `store` names.
    pub password_file: Option<PathBuf>,
    /// Authorities of the store's certificates; set where TLS is spoken.
    pub tls_ca: Option<PathBuf>,
    /// Our certificate and its key.
    pub tls_pair: Option<(PathBuf, PathBuf)>,
    /// How long what is of this machine outlives it.
    pub lease: Duration,
    /// Whose keys and sessions hold at the first start with a store, if both have some.
    pub adopt: Option<Side>,
}

/// Reads the settings.
pub(super) fn read(reader: &mut Reader) -> Cluster {
    let store = reader.one("store", |item| StoreAddress::parse(values::text(item)?).map_err(|error| error.to_string()));
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
    if let Some(store) = &store {
        match (&store.user, &password_file) {
            (Some(user), None) => {
                report("store", format!("set {password_key} too: user {user:?} is asked for a password"));
            }
            (None, Some(_)) => report(password_key, "name its user in store: etcd://USER@HOST".to_owned()),
            _ => {}
        }
        if store.tls && tls_ca.is_none() {
            report(
                "store",
                format!("set {ca_key} too: with TLS it must be known who may sign the store's certificate"),
            );
        }
        for (key, is_set) in [(ca_key, tls_ca.is_some()), (cert_key, tls_pair.is_some())] {
            if is_set && !store.tls {
                report(key, "write store as etcds://...: etcd:// is without TLS".to_owned());
            }
        }
    }
    Cluster { store, password_file, tls_ca, tls_pair, lease, adopt }
}

impl Cluster {
    /// Each setting with its value as TOML.
    pub(super) fn entries(&self) -> Vec<(&'static str, Option<String>)> {
        let path = |path: Option<&PathBuf>| path.map(|path| quoted(path.display()));
        let pair = self.tls_pair.as_ref();
        vec![
            ("store", self.store.as_ref().map(quoted)),
            (FILE_KEYS[0], path(self.password_file.as_ref())),
            (FILE_KEYS[1], path(self.tls_ca.as_ref())),
            (FILE_KEYS[2], path(pair.map(|(cert, _)| cert))),
            (FILE_KEYS[3], path(pair.map(|(_, key)| key))),
            ("store_lease", Some(quoted(format_duration(self.lease)))),
            ("store_adopt", SIDES.iter().find(|(_, side)| Some(*side) == self.adopt).map(|(name, _)| quoted(name))),
        ]
    }
}

/// Whose keys and sessions hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// This machine's.
    Local,
    /// The store's.
    Remote,
}

const SIDES: [(&str, Side); 2] = [("local", Side::Local), ("remote", Side::Remote)];

const FILE_KEYS: [&str; 4] = ["store_password_file", "store_tls_ca", "store_tls_cert", "store_tls_key"];

/// Source: etcd gives no lease below three halves of its election's time-out, 1 s by default; and 1 s to put back what was lost.
const LEASE_LEAST: Duration = Duration::from_secs(3);

/// Source: none, chosen: an hour.
const LEASE_MOST: Duration = Duration::from_secs(3600);

#[cfg(test)]
#[path = "cluster_tests.rs"]
mod tests;
