//! What etcd is reached by, for the store that machines share and for services of other programs: its address, and what files
//! hold; and what was stored here before the store.

use std::{fs, net::IpAddr, path::Path, sync::Arc, time::Duration};

use anyhow::Context;
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

use crate::{
    access::directory::{Directory, HashKey},
    catalog::{state::State, table::Seed},
    config::{ApiVersion, Cluster, Config, StoreAddress},
    kv::store::Store,
    observe::metrics::Metrics,
    publish::{
        journal::{Batch, Journal, Restored},
        kept,
    },
    random,
    sources::etcd::{
        self, ClientV2, Etcd, EtcdSettings, EtcdSource,
        client::{Client, Host, Login, Settings, Timeouts},
    },
};

/// Clients of etcd, where it is spoken to.
pub struct Stores {
    /// For the store that other machines share with us: our node's name is free in it.
    pub shared: Option<(EtcdSettings, Client)>,
    /// For services of other programs.
    pub services: Option<Etcd>,
    /// For names of other programs.
    pub skydns: Option<Etcd>,
}

/// Connects to what the settings name.
pub async fn connect(
    config: &Config,
    (uuid, addresses): (&Arc<str>, &[IpAddr]),
    metrics: &Arc<Metrics>,
) -> anyhow::Result<Stores> {
    let cluster = &config.cluster;
    let of_others =
        |address: &Option<StoreAddress>| address.as_ref().map(|address| reached(cluster, address)).transpose();
    let (services, skydns) = (of_others(&cluster.services)?, of_others(&cluster.skydns)?);
    let Some(address) = &cluster.store else { return Ok(Stores { shared: None, services, skydns }) };
    let client = Client::connect(reached_by(cluster, address, timeouts(cluster.lease))?);
    let settings = EtcdSettings {
        prefix: address.prefix.clone(),
        node: config.node.clone(),
        uuid: Arc::clone(uuid),
        addresses: addresses.to_vec(),
        datacenter: Arc::clone(&config.datacenter),
        lease: cluster.lease,
        stale_after: config.stale_after,
        stale_max: config.stale_max,
        metrics: Arc::clone(metrics),
    };
    EtcdSource::look_for_name(&settings, &client).await?;
    Ok(Stores { shared: Some((settings, client)), services, skydns })
}

fn reached(cluster: &Cluster, address: &StoreAddress) -> anyhow::Result<Etcd> {
    let settings = reached_by(cluster, address, Timeouts::default())?;
    Ok(match address.version {
        ApiVersion::V3 => Etcd::V3(Client::connect(settings)),
        ApiVersion::V2 => Etcd::V2(ClientV2::new(settings).context("cannot speak HTTP to etcd")?),
    })
}

fn reached_by(cluster: &Cluster, address: &StoreAddress, timeouts: Timeouts) -> anyhow::Result<Settings> {
    let hosts = address.hosts.iter().map(|host| Host { name: host.name.clone(), port: host.port });
    let login = match (&address.user, password(cluster)?) {
        (Some(user), Some(password)) => Some(Login { user: user.clone(), password }),
        _ => None,
    };
    let tls = if address.tls { tls(cluster)? } else { None };
    Ok(Settings { hosts: hosts.collect(), tls, login, timeouts })
}

/// All that was stored, with what machines share where it belongs: in their store, if there is one.
pub async fn stored(
    config: &Config,
    (journal, restored): (&Journal, Restored),
    shared: Option<&(EtcdSettings, Client)>,
) -> anyhow::Result<(State, Store, Directory)> {
    let seed = Seed(random::number());
    let (mut store, directory) = (restored.store(seed)?, restored.directory(seed, HashKey(random::bytes()))?);
    let (mut index, mut nodes, mut instances) = (restored.index, restored.nodes, restored.instances);
    let mut writes = Vec::new();
    let moves = shared.is_some() != store.revision().is_some();
    match shared {
        Some((settings, client)) => {
            let (now_secs, nodes, instances) = (super::unix_secs(), &mut nodes, &mut instances);
            let own = etcd::Own { store: &store, directory: &directory, now_secs, nodes, instances };
            writes.extend(etcd::adopt((settings, client), own, config.cluster.adopt).await?);
            store.share();
        }
        None if moves => {
            index = index.max(store.newest_index()).max(directory.newest_index());
            store.part(index);
        }
        None => {}
    }
    if moves {
        writes.push(kept::revision(&store));
    }
    if !writes.is_empty() {
        journal.write(Batch {
            index,
            serial: restored.serial,
            extinction_index: restored.extinction_index,
            writes,
            acknowledge: Vec::new(),
            urgent: true,
        });
    }
    Ok((State::restore(seed, index, nodes, instances), store, directory))
}

/// One member that hangs should not cost a lease that is shorter than usual.
fn timeouts(lease: Duration) -> Timeouts {
    let usual = Timeouts::default();
    Timeouts { connect: usual.connect.min(lease / 5), call: usual.call.min(lease / 4), ..usual }
}

/// TLS for connections to etcd; none where no authority is named.
fn tls(cluster: &Cluster) -> anyhow::Result<Option<Arc<ClientConfig>>> {
    let Some(authorities) = &cluster.tls_ca else { return Ok(None) };
    let mut roots = RootCertStore::empty();
    for certificate in certificates("store_tls_ca", authorities)? {
        roots.add(certificate).with_context(|| format!("store_tls_ca: {}", authorities.display()))?;
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring provides cipher suites for the default versions")
        .with_root_certificates(roots);
    let config = match &cluster.tls_pair {
        Some((cert, key)) => {
            let chain = certificates("store_tls_cert", cert)?;
            let private = PrivateKeyDer::from_pem_file(key)
                .with_context(|| format!("store_tls_key: {}: no private key as PEM", key.display()))?;
            let pair = builder.with_client_auth_cert(chain, private);
            pair.context("store_tls_cert and store_tls_key: name a certificate and the key that it was made for")?
        }
        None => builder.with_no_client_auth(),
    };
    Ok(Some(Arc::new(config)))
}

/// The password of etcd's user: the file's first line.
fn password(cluster: &Cluster) -> anyhow::Result<Option<String>> {
    let Some(path) = &cluster.password_file else { return Ok(None) };
    let text =
        fs::read_to_string(path).with_context(|| format!("store_password_file: cannot read {}", path.display()))?;
    let password = text.lines().next().unwrap_or_default();
    anyhow::ensure!(!password.is_empty(), "store_password_file: {}: its first line is empty", path.display());
    Ok(Some(password.to_owned()))
}

fn certificates(setting: &str, path: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let certificates = read.with_context(|| format!("{setting}: cannot read {}", path.display()))?;
    anyhow::ensure!(!certificates.is_empty(), "{setting}: {}: no certificate as PEM is in it", path.display());
    Ok(certificates)
}
