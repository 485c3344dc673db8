//! Verbs that have a server change something.

use std::{borrow::Cow, collections::BTreeMap, net::Ipv6Addr};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Verdict,
    args::{DeregisterArgs, InstanceArgs, RegisterArgs, ServerArgs},
    print,
};
use crate::api::client::{Client, ClientError, Written};

/// Body of `PUT /v1/agent/service/register`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Registration<'a> {
    name: &'a str,
    #[serde(rename = "ID", skip_serializing_if = "Option::is_none")]
    id: Option<Cow<'a, str>>,
    port: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<&'a str>,
    tags: &'a [String],
    meta: BTreeMap<&'a str, &'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    check: Option<Value>,
}

/// Registers an instance on the server's node.
pub(super) async fn register(client: &Client, args: &RegisterArgs) -> anyhow::Result<Verdict> {
    let id = args.id.as_deref().map(Cow::Borrowed);
    let written = Registration::new((&args.name, id, args.port), &args.instance)?.send(client).await?;
    for warning in &written.warnings {
        eprintln!("nameplate: warning: {warning}");
    }
    let id = args.id.as_deref().unwrap_or(&args.name);
    if args.server.json {
        return print(&format!("{:#}\n", json!({ "ID": id, "Warnings": written.warnings })));
    }
    print(&format!("registered {} as {id}\n", args.name))
}

/// Deregisters an instance of the server's node.
pub(super) async fn deregister(client: &Client, args: &DeregisterArgs) -> anyhow::Result<Verdict> {
    client.put::<()>(&["agent", "service", "deregister", &args.id], &[], None).await?;
    if args.server.json {
        return print(&format!("{:#}\n", json!({ "ID": args.id })));
    }
    print(&format!("deregistered {}\n", args.id))
}

/// Empties the forwarder's cache, or forgets one name.
pub(super) async fn flush(client: &Client, name: Option<&str>, server: &ServerArgs) -> anyhow::Result<Verdict> {
    let query: Vec<(&str, &str)> = name.iter().map(|name| ("name", *name)).collect();
    let written = client.put::<()>(&["dns", "cache", "flush"], &query, None).await?;
    let flushed = serde_json::from_str::<Value>(&written.body).ok().and_then(|body| body.get("Flushed")?.as_u64());
    match flushed {
        _ if server.json => print(&format!("{:#}\n", json!({ "Flushed": flushed }))),
        Some(count) => print(&format!("flushed {count} {}\n", if count == 1 { "entry" } else { "entries" })),
        None => print("flushed\n"),
    }
}

impl<'a> Registration<'a> {
    /// What the arguments say of an instance of this service, with this ID and port.
    pub(super) fn new(
        (name, id, port): (&'a str, Option<Cow<'a, str>>, u16),
        args: &'a InstanceArgs,
    ) -> anyhow::Result<Registration<'a>> {
        let mut meta = BTreeMap::new();
        for (key, value) in &args.meta {
            if meta.insert(key.as_str(), value.as_str()).is_some() {
                anyhow::bail!("--meta: key {key:?} is given twice");
            }
        }
        let interval = args.interval.as_deref().unwrap_or(DEFAULT_INTERVAL);
        let http = args.check_http.as_ref().map(|target| json!({ "HTTP": target, "Interval": interval }));
        let tcp = args.check_tcp.as_ref().map(|target| json!({ "TCP": target, "Interval": interval }));
        let deadline = args.check_ttl.as_ref().map(|span| json!({ "TTL": span }));
        let check = http.or(tcp).or(deadline);
        Ok(Registration { name, id, port, address: args.address.as_deref(), tags: &args.tag, meta, check })
    }

    /// Registers it. A check of a path is one of the instance's own address, or of that of the server's node if it has none.
    pub(super) async fn send(&self, client: &Client) -> Result<Written, ClientError> {
        let own = match self.address {
            Some(address) => address.to_owned(),
            None if self.checked_path().is_some() => node_address(client).await?,
            None => String::new(),
        };
        client.put(&["agent", "service", "register"], &[], Some(&self.checked_at(&own))).await
    }

    /// The same with the URL of the checked path at this address.
    fn checked_at(&self, address: &str) -> Registration<'a> {
        let mut all = self.clone();
        if let Some((check, path)) = all.check.as_mut().zip(self.checked_path()) {
            let host = if address.parse::<Ipv6Addr>().is_ok() { format!("[{address}]") } else { address.to_owned() };
            check["HTTP"] = format!("http://{host}:{}{path}", self.port).into();
        }
        all
    }

    fn checked_path(&self) -> Option<&str> {
        self.check.as_ref()?.get("HTTP")?.as_str().filter(|target| target.starts_with('/'))
    }
}

/// The address of the server's node.
async fn node_address(client: &Client) -> Result<String, ClientError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Agent {
        member: Member,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Member {
        addr: String,
    }
    Ok(client.get::<Agent>(&["agent", "self"], &[]).await?.member.addr)
}

/// Time between probes when none is given. Source: none, chosen: Registrator's default.
const DEFAULT_INTERVAL: &str = "10s";

#[cfg(test)]
#[path = "write_tests.rs"]
mod tests;
