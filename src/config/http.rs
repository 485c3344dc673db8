//! Settings of the HTTP API's connections.

use std::path::PathBuf;

use super::{
    Config,
    layer::Item,
    print::{list, quoted},
    problem::ConfigProblem,
    read::Reader,
    values::{self, Parsed, number},
};

/// The HTTP API's connections. The fields are named and explained in reference.toml, with `http_` before them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Http {
    /// Names that requests may be for, besides our own.
    pub hosts: Vec<String>,
    /// Most connections of one client address.
    pub connections_per_client: u32,
    /// Most connections altogether; without it as many as open files allow.
    pub connections: Option<usize>,
    /// Most reads that wait for a change.
    pub waiting: usize,
    /// TLS; without it, plain HTTP.
    pub tls: Option<HttpTls>,
}

/// TLS of the HTTP API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpTls {
    /// Our certificate.
    pub cert: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// Authorities of clients' certificates.
    pub client_ca: Option<PathBuf>,
}

/// Reads the settings.
pub(super) fn read(reader: &mut Reader) -> Http {
    let [cert, key, client_ca] = TLS_KEYS.map(|key| reader.one(key, values::path));
    let tls = match (cert, key) {
        (Some(cert), Some(key)) => Some(HttpTls { cert, key, client_ca }),
        (None, None) if client_ca.is_none() => None,
        (cert, key) => {
            let missing = if cert.is_none() { TLS_KEYS[0] } else { TLS_KEYS[1] };
            let given = [cert.map(|_| TLS_KEYS[0]), key.map(|_| TLS_KEYS[1])].into_iter().flatten().next();
            let given = given.unwrap_or(TLS_KEYS[2]);
            let problem = format!("set {missing} too: TLS needs a certificate and its key");
            reader.report(ConfigProblem { place: reader.place(given), key: Some(given.to_owned()), problem });
            None
        }
    };
    Http {
        hosts: reader.list("http_hosts", host),
        connections_per_client: reader.set("http_connections_per_client", number(1, CONNECTIONS_MOST)),
        connections: reader.one("http_connections", number(1, CONNECTIONS_MOST)),
        waiting: reader.set("http_waiting", number(0, CONNECTIONS_MOST)),
        tls,
    }
}

impl Http {
    /// Each setting with its value as TOML.
    pub(super) fn entries(&self) -> Vec<(&'static str, Option<String>)> {
        let tls = self.tls.as_ref();
        let path = |path: Option<&PathBuf>| path.map(|path| quoted(path.display()));
        vec![
            ("http_hosts", Some(list(&self.hosts))),
            ("http_connections_per_client", Some(self.connections_per_client.to_string())),
            ("http_connections", self.connections.map(|most| most.to_string())),
            ("http_waiting", Some(self.waiting.to_string())),
            (TLS_KEYS[0], path(tls.map(|tls| &tls.cert))),
            (TLS_KEYS[1], path(tls.map(|tls| &tls.key))),
            (TLS_KEYS[2], path(tls.and_then(|tls| tls.client_ca.as_ref()))),
        ]
    }
}

/// What is allowed and yet likely a mistake.
pub(super) fn warning(config: &Config, reader: &Reader) -> Option<ConfigProblem> {
    let problem = "has no effect: it is for loopback, and http is another address".to_owned();
    let idle = !config.http_api.hosts.is_empty() && !config.http.ip().is_loopback();
    idle.then(|| ConfigProblem { place: reader.place("http_hosts"), key: Some("http_hosts".to_owned()), problem })
}

/// A host's name without a port, or `*`.
fn host(item: &Item) -> Parsed<String> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let name = values::text(item).ok().map(|name| name.trim_end_matches('.').to_ascii_lowercase());
    let name = name.filter(|name| name == "*" || (!name.is_empty() && name.bytes().all(legal)));
    name.ok_or_else(|| "expected the name of a host without a port, such as consul.example, or *".to_owned())
}

const TLS_KEYS: [&str; 3] = ["http_tls_cert", "http_tls_key", "http_tls_client_ca"];

/// Source: none, chosen: more than there are connections, and reads, at all.
const CONNECTIONS_MOST: i64 = 1_000_000;
