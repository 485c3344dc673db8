//! What nameplate registers of itself: its node and the service `nameplate`.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tokio::sync::watch;

use crate::{
    api::LocalNode,
    catalog::{
        change::{Change, Origin, Registration},
        check::{Check, CheckDefinition, CheckKind, CheckStatus, ClientTls, HttpCheck},
        names::{CheckId, PortName, ServiceId, ServiceName},
        node::Address,
        service::{Instance, Meta, Port, Weights},
        state::State,
    },
    config::{Config, HttpTls},
};

/// What the API tells of the node.
pub fn local_node(
    config: &Config,
    uuid: Arc<str>,
    advertised: &[IpAddr],
    dns: watch::Receiver<Vec<SocketAddr>>,
) -> LocalNode {
    LocalNode {
        node: config.node.clone(),
        uuid,
        datacenter: config.datacenter.clone(),
        advertise: advertised.first().copied().unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        meta: Arc::default(),
        dns,
    }
}

/// The node, its check, and the service `nameplate` with ports `http` and `dns` and a check of its own health, in
/// place of what an earlier start registered, perhaps as another node.
pub fn registrations(
    local: &LocalNode,
    (http, tls): (SocketAddr, Option<&HttpTls>),
    catalog: &State,
) -> anyhow::Result<Vec<Change>> {
    let id = ServiceId::new(SERVICE)?;
    // Where HTTP listens on one address only, that is where it is reached.
    let address = (!http.ip().is_unspecified()).then(|| Address::Ip(http.ip()));
    let port = |name, number, default| anyhow::Ok(Port { name: Some(PortName::new(name)?), number, default });
    let mut ports = vec![port("http", http.port(), true)?];
    if let Some(dns) = local.dns.borrow().first() {
        ports.push(port("dns", dns.port(), false)?);
    }
    let instance = Instance {
        node: local.node.clone(),
        id: id.clone(),
        service: ServiceName::new(SERVICE)?,
        address,
        ports: ports.into(),
        tags: Arc::from([]),
        meta: Meta::default(),
        weights: Weights::default(),
        tagged_addresses: Default::default(),
        network_addresses: Default::default(),
        further_names: Default::default(),
        enable_tag_override: false,
        origin: Origin::Server,
    };
    let probed = if http.ip().is_unspecified() { SocketAddr::new(loopback_of(http), http.port()) } else { http };
    let check = HttpCheck {
        method: Arc::from("GET"),
        headers: Vec::new(),
        body: Arc::from(""),
        disable_redirects: true,
        // It is ours, whatever name its certificate is for.
        tls_skip_verify: tls.is_some(),
        tls_server_name: None,
    };
    let (kind, target) = match tls {
        None => (CheckKind::Http(Box::new(check)), format!("http://{probed}/v1/status/leader")),
        Some(HttpTls { client_ca: None, .. }) => {
            (CheckKind::Http(Box::new(check)), format!("https://{probed}/v1/status/leader"))
        }
        // We have no certificate of a client to show.
        Some(HttpTls { client_ca: Some(_), .. }) => (CheckKind::Tcp(ClientTls::default()), probed.to_string()),
    };
    let check = Check {
        node: local.node.clone(),
        id: CheckId::of_service(&id),
        service_id: Some(id),
        name: "HTTP API".into(),
        notes: "".into(),
        status: CheckStatus::Passing,
        output: "".into(),
        target: target.into(),
        definition: Arc::new(CheckDefinition {
            interval: Duration::from_secs(10),
            timeout: Duration::from_secs(5),
            ..CheckDefinition::unprobed(kind)
        }),
        origin: Origin::Server,
    };
    let registration = Registration { instance, checks: vec![check], replace_existing_checks: true };
    let mut changes = local.registration();
    let origin = Origin::Server;
    let ours = catalog.service(&registration.instance.service).into_iter().flat_map(|service| service.instances());
    let elsewhere = ours.filter(|ours| ours.instance.origin == origin && ours.instance.node != local.node);
    changes.extend(elsewhere.map(|ours| Change::Deregister { key: ours.instance.key(), origin }));
    changes.push(Change::ReplaceOrigin { node: local.node.clone(), origin, registrations: vec![registration] });
    Ok(changes)
}

fn loopback_of(address: SocketAddr) -> std::net::IpAddr {
    if address.is_ipv4() { std::net::Ipv4Addr::LOCALHOST.into() } else { std::net::Ipv6Addr::LOCALHOST.into() }
}

/// Source: DESIGN.md, "Command line and defaults".
pub const SERVICE: &str = "nameplate";
