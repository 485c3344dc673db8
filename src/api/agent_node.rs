//! The node that this server is, as Consul's agent tells of itself: `/v1/agent/self`, `members`, `version`; its maintenance;
//! and what people tell an agent: `reload`, `leave`, `join`, `force-leave`.
//!
//! There is no gossip: members are the machines that share a catalog through etcd, with nothing to join or to leave. A server is
//! stopped by who started it, never by who reaches its port.

use std::{net::IpAddr, sync::Arc};

use axum::response::Response;
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    Api, LocalNode,
    access::Caller,
    agent::maintenance_reason,
    call::Call,
    respond::{ApiError, done, json},
    rights::Guarded,
    status::LEADER_PORT,
};
use crate::{
    catalog::{
        change::{Change, Origin},
        check::{Check, CheckDefinition, CheckKey, CheckKind, CheckStatus, NODE_MAINTENANCE_ID},
        names::{CheckId, NodeName},
    },
    publish::machines::Machine,
};

/// `GET /v1/agent/self`: what Prometheus, Nomad, Fabio and consul-template read.
pub(super) async fn agent_self(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    let local = &api.parts.local;
    let name = local.node.as_str();
    let listened = local.dns.borrow().clone();
    let dns: Vec<String> = listened.iter().flat_map(|at| [format!("udp://{at}"), format!("tcp://{at}")]).collect();
    let meta: serde_json::Map<String, Value> =
        local.meta.iter().map(|(key, value)| (key.to_string(), json!(&**value))).collect();
    let body = json!({
        "Config": {
            "Datacenter": &*local.datacenter,
            "PrimaryDatacenter": &*local.datacenter,
            "NodeName": name,
            "NodeID": &*local.uuid,
            "Revision": NAMEPLATE_VERSION,
            "Server": true,
            "Version": CONSUL_VERSION,
            "BuildDate": BUILD_DATE,
        },
        "DebugConfig": {
            "ACLsEnabled": false,
            "AdvertiseAddrLAN": local.advertise.to_string(),
            "ConnectEnabled": false,
            "DNSAddrs": dns,
            "DNSPort": listened.first().map_or(-1, |at| i32::from(at.port())),
            "Datacenter": &*local.datacenter,
            "GRPCPort": -1,
            "GRPCTLSPort": -1,
            "NodeID": &*local.uuid,
            "NodeName": name,
            "ServerMode": true,
            "Version": CONSUL_VERSION,
        },
        "Coord": { "Adjustment": 0, "Error": 1.5, "Height": 0.00001, "Vec": [0, 0, 0, 0, 0, 0, 0, 0] },
        "Member": Known::ours(&api).member(&api, name),
        "Stats": stats(&api),
        "Meta": meta,
        "xDS": { "SupportedProxies": {}, "Port": -1, "Ports": { "Plaintext": -1, "TLS": -1 } },
    });
    json(&body, call.pretty())
}

fn stats(api: &Api) -> Value {
    let snapshot = api.parts.published.load();
    let catalog = &snapshot.catalog;
    let here = catalog.node(&api.parts.local.node).map_or(0, |node| node.instance_count());
    let most = api.parts.txn_max_ops;
    let mut nameplate = json!({ "version": NAMEPLATE_VERSION, "txn_max_ops": most.to_string() });
    if let Some(shared) = api.parts.feed.shared_ops_max() {
        nameplate["txn_max_shared_ops"] = Value::from(shared.min(most).to_string());
    }
    json!({
        "agent": { "services": here.to_string() },
        "build": { "version": CONSUL_VERSION, "revision": NAMEPLATE_VERSION, "prerelease": "" },
        "consul": { "server": "true", "leader": "true", "acl": "disabled", "known_datacenters": "1" },
        "catalog": {
            "checks": catalog.check_count().to_string(),
            "checks_held": api.parts.metrics.checks_held.get().to_string(),
            "index": catalog.index().to_string(),
            "instances": catalog.instance_count().to_string(),
            "nodes": catalog.node_count().to_string(),
            "services": catalog.service_count().to_string(),
        },
        "runtime": { "os": std::env::consts::OS, "arch": std::env::consts::ARCH },
        "nameplate": nameplate,
    })
}

/// What is known of a machine.
struct Known<'a> {
    node: &'a NodeName,
    address: String,
    uuid: &'a str,
    version: &'a str,
}

impl<'a> Known<'a> {
    fn ours(api: &'a Api) -> Known<'a> {
        let LocalNode { node, uuid, advertise, .. } = &api.parts.local;
        Known { node, address: advertise.to_string(), uuid, version: NAMEPLATE_VERSION }
    }

    fn another(machine: &'a Machine) -> Known<'a> {
        let Machine { node, uuid, address, version, .. } = machine;
        Known { node, address: address.to_string(), uuid, version }
    }

    /// As a member, by this name.
    fn member(&self, api: &Api, name: &str) -> Value {
        json!({
            "Name": name,
            "Addr": self.address,
            "Port": SERF_PORT,
            "Tags": {
                "acls": "0",
                "build": format!("{CONSUL_VERSION}:{}", self.version),
                "dc": &*api.parts.local.datacenter,
                "id": self.uuid,
                "port": LEADER_PORT.to_string(),
                "raft_vsn": "3",
                "role": "consul",
                "segment": "",
                "vsn": "2",
                "vsn_max": "3",
                "vsn_min": "2",
            },
            "Status": MEMBER_ALIVE,
            "ProtocolMin": 1,
            "ProtocolMax": 5,
            "ProtocolCur": 2,
            "DelegateMin": 2,
            "DelegateMax": 5,
            "DelegateCur": 4,
        })
    }
}

/// `GET /v1/agent/members?wan=`
pub(super) async fn members(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    let (read, wan) = (call.read(&api)?, call.flag("wan")?);
    let snapshot = api.parts.published.load();
    let member = |known: Known<'_>| {
        let name = match wan {
            true => format!("{}.{}", known.node, api.parts.local.datacenter),
            false => known.node.to_string(),
        };
        Member { node: known.node.clone(), body: known.member(&api, &name) }
    };
    let all = std::iter::once(Known::ours(&api)).chain(snapshot.machines.iter().map(Known::another));
    json(&read.select(all.map(member))?, read.pretty)
}

/// A member of the cluster, which is a node.
#[derive(Serialize)]
struct Member {
    #[serde(skip)]
    node: NodeName,
    #[serde(flatten)]
    body: Value,
}

impl Guarded for Member {
    fn is_readable_by(&self, caller: &Caller) -> bool {
        self.node.is_readable_by(caller)
    }
}

/// `GET /v1/agent/version`
pub(super) async fn version(_: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    let body = json!({
        "SHA": NAMEPLATE_VERSION, "BuildDate": BUILD_DATE, "HumanVersion": CONSUL_VERSION, "FIPS": "",
    });
    json(&body, call.pretty())
}

/// `PUT /v1/agent/maintenance?enable=&reason=`
pub(super) async fn maintenance(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    let reason = maintenance_reason(&call)?;
    let key = CheckKey { node: api.parts.local.node.clone(), id: CheckId::derived(NODE_MAINTENANCE_ID) };
    let change = match reason {
        Some(reason) => Change::RegisterCheck(Box::new(Check {
            node: key.node,
            id: key.id,
            service_id: None,
            name: "Node Maintenance Mode".into(),
            notes: (&*reason).into(),
            status: CheckStatus::Critical,
            output: "".into(),
            target: "".into(),
            definition: Arc::new(CheckDefinition::unprobed(CheckKind::Maintenance)),
            origin: Origin::Api,
        })),
        None if api.parts.published.load().catalog.check(&key).is_none() => return Ok(done(&[])),
        None => Change::DeregisterCheck { key, origin: Origin::Api },
    };
    api.submit(call.caller(), vec![change]).await?;
    Ok(done(&[]))
}

/// `PUT /v1/agent/reload`: as SIGHUP does; answered when it is told, not when it is done.
pub(super) async fn reload(api: Arc<Api>, _: Call) -> Result<Response, ApiError> {
    api.parts.reload.notify_one();
    Ok(done(&[]))
}

/// `PUT /v1/agent/leave`: refused.
pub(super) async fn leave(_: Arc<Api>, _: Call) -> Result<Response, ApiError> {
    let problem = "this server is stopped by who started it (SIGTERM), not by HTTP; to take the node out of the answers, \
                   PUT /v1/agent/maintenance?enable=true";
    Err(ApiError::Forbidden(problem.to_owned()))
}

/// `PUT /v1/agent/join/:address`: who is a member has been joined.
pub(super) async fn join(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    let given = call.last();
    let host = given.strip_suffix(&format!(":{SERF_PORT}")).unwrap_or(given).trim_matches(['[', ']']);
    let (own, snapshot) = (api.parts.local.advertise, api.parts.published.load());
    let is_member = |address: &IpAddr| {
        let mut others = snapshot.machines.iter();
        *address == own || address.is_loopback() || others.any(|machine| machine.address.ip() == Some(*address))
    };
    if host.parse().is_ok_and(|address| is_member(&address)) {
        return Ok(done(&[]));
    }
    Err(ApiError::Failed(format!("Failed to join {given:?}: servers do not gossip here; there is nothing to join")))
}

/// `PUT /v1/agent/force-leave/:node`: a member is there while it runs, and one that is gone is no member any more.
pub(super) async fn force_leave(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    let snapshot = api.parts.published.load();
    let mut others = snapshot.machines.iter();
    if call.last() == api.parts.local.node.as_str() || others.any(|machine| machine.node.as_str() == call.last()) {
        return Ok(done(&[]));
    }
    let problem = format!(
        "agent: No node found with name {:?}; nodes of the catalog go by PUT /v1/catalog/deregister",
        call.last()
    );
    Err(ApiError::NotFound(problem))
}

const NAMEPLATE_VERSION: &str = env!("CARGO_PKG_VERSION");

/// The version of Consul's API that is spoken: Nomad and others want to know it.
pub(super) const CONSUL_VERSION: &str = "1.22.0";

/// What Consul says where its build has no date.
const BUILD_DATE: &str = "1970-01-01T00:00:00Z";

/// The port of Consul's gossip, which is not spoken. Source: Consul's default.
const SERF_PORT: u16 = 8301;

/// A member's status while it is there. Source: Serf.
const MEMBER_ALIVE: u8 = 1;

#[cfg(test)]
#[path = "agent_node_tests.rs"]
mod tests;
