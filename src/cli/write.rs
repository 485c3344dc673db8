//! Verbs that have a server change something.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use super::{
    Verdict,
    args::{DeregisterArgs, RegisterArgs, ServerArgs},
    print,
};
use crate::api::client::Client;

/// Body of `PUT /v1/agent/service/register`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Registration<'a> {
    name: &'a str,
    #[serde(rename = "ID", skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
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
    let body = registration(args)?;
    let written = client.put(&["agent", "service", "register"], &[], Some(&body)).await?;
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

fn registration(args: &RegisterArgs) -> anyhow::Result<Registration<'_>> {
    let mut meta = BTreeMap::new();
    for (key, value) in &args.meta {
        if meta.insert(key.as_str(), value.as_str()).is_some() {
            anyhow::bail!("--meta: key {key:?} is given twice");
        }
    }
    let interval = args.interval.as_deref().unwrap_or(DEFAULT_INTERVAL);
    let http = args.check_http.as_ref().map(|url| json!({ "HTTP": url, "Interval": interval }));
    let tcp = args.check_tcp.as_ref().map(|target| json!({ "TCP": target, "Interval": interval }));
    let deadline = args.check_ttl.as_ref().map(|span| json!({ "TTL": span }));
    Ok(Registration {
        name: &args.name,
        id: args.id.as_deref(),
        port: args.port,
        address: args.address.as_deref(),
        tags: &args.tag,
        meta,
        check: http.or(tcp).or(deadline),
    })
}

/// Time between probes when none is given. Source: none, chosen: Registrator's default.
const DEFAULT_INTERVAL: &str = "10s";

#[cfg(test)]
#[path = "write_tests.rs"]
mod tests;
