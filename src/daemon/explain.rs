//! What DNS answers to a question, and why: `GET /v1/dns/query`.

use std::{net::IpAddr, sync::Arc};

use hickory_proto::{
    op::Message,
    rr::{RData, Record, RecordType, rdata::opt::EdnsOption},
};
use serde_json::{Value, json};

use super::engine::DnsEngine;
use crate::{
    answer::explain::{Explained, explain as explained},
    catalog::{apply::Presence, change::Origin, service::Instance, state::InstanceEntry},
    health::deadlines::Deadlines,
    observe::dns::rcode_name,
    publish::{
        eligible::{self, Via},
        service::{ServiceAnswers, Standing},
        settings::DefaultRule,
        snapshot::Snapshot,
        watch::Published,
    },
    wire::{
        code::{class, option},
        name::Name,
        query::Question,
    },
};

/// The response as a client on this machine gets it, and for each instance of the service why it is in or out.
pub async fn explain(
    engine: &DnsEngine,
    (published, deadlines): (Arc<Published>, Arc<Deadlines>),
    name: &str,
    kind: &str,
) -> Result<Value, String> {
    let asked = Name::parse(name).map_err(|error| format!("name: {error}"))?;
    let rtype = record_type(kind)?;
    let query = [&QUERY_HEAD[..], asked.as_wire(), &rtype.to_be_bytes(), &class::IN.to_be_bytes(), &OPT].concat();
    // Only names of others take time, and that is bounded by the forwarder.
    let response = engine.answer(&query).await;
    let message = Message::from_vec(&response).map_err(|error| format!("the response cannot be read: {error}"))?;
    // A service may have a million instances, which would hold up other tasks.
    let written =
        tokio::task::spawn_blocking(move || written((&published.load(), &deadlines), &asked, rtype, &message));
    written.await.map_err(|error| error.to_string())
}

fn written((snapshot, deadlines): (&Snapshot, &Deadlines), asked: &Name, rtype: u16, message: &Message) -> Value {
    let explained = explained(snapshot, &Question::of(asked, rtype, class::IN));
    let instances = explained.answers.map(|answers| instances(snapshot, answers, &explained, deadlines));
    let named = |standing| explained.answers.filter(|answers| answers.standing == standing).map(|it| it.name.as_str());
    json!({
        "Name": asked.to_string(),
        "Type": RecordType::from(rtype).to_string(),
        "Rcode": rcode(message),
        "Flags": flags(message),
        "Answer": records(&message.answers),
        "Authority": records(&message.authorities),
        "Additional": records(&message.additionals),
        "ExtendedError": extended_error(message),
        "Service": named(Standing::Service),
        "FurtherName": named(Standing::Further),
        "Form": explained.form,
        "Instances": instances.unwrap_or_default(),
    })
}

fn instances(
    snapshot: &Snapshot,
    answers: &ServiceAnswers,
    explained: &Explained<'_>,
    deadlines: &Deadlines,
) -> Vec<Value> {
    let mut registered: Vec<_> = answers.instances().collect();
    registered.sort_by_key(|instance| instance.key());
    let entries = registered.into_iter().filter_map(|it| snapshot.catalog.instance_of(&it.service, &it.key()));
    entries.filter_map(|entry| instance(snapshot, entry, &answers.rule, explained, deadlines)).collect()
}

fn instance(
    snapshot: &Snapshot,
    entry: &Arc<InstanceEntry>,
    rule: &DefaultRule,
    explained: &Explained<'_>,
    deadlines: &Deadlines,
) -> Option<Value> {
    let instance = &entry.instance;
    let node = snapshot.catalog.node(&instance.node)?;
    let presence = Presence::of(entry, node);
    let reach = eligible::reach(instance, &presence.node, &snapshot.settings);
    let address = match (reach.v4, reach.v6, reach.via) {
        (_, _, Via::Host(host)) => Some(host.to_owned()),
        (Some(v4), _, _) => Some(IpAddr::from(v4).to_string()),
        (_, Some(v6), _) => Some(IpAddr::from(v6).to_string()),
        _ => None,
    };
    let answered = explained.is_answered(instance);
    Some(json!({
        "Node": instance.node.as_str(),
        "ID": instance.id.as_str(),
        "Service": instance.service.as_str(),
        "Address": address.as_deref().unwrap_or_default(),
        "Port": instance.default_port().map_or(0, |port| port.number),
        "Status": eligible::status(&presence).as_str(),
        "Answered": answered,
        "Reason": match answered && explained.ignores_checks {
            true => format!("{}; the query ignores checks", eligible::status(&presence).as_str()),
            false => reason(&presence, rule, (answered, address.as_deref()), deadlines),
        },
        "Origin": instance.origin.as_str(),
        "Shadowed": entry.shadowed.iter().map(|loser| Origin::as_str(loser.instance.origin)).collect::<Vec<_>>(),
    }))
}

fn reason(
    presence: &Presence,
    rule: &DefaultRule,
    (answered, address): (bool, Option<&str>),
    deadlines: &Deadlines,
) -> String {
    let status = eligible::status(presence).as_str();
    let Some(address) = address else {
        if eligible::is_for_networks_only(&presence.entry.instance) {
            return format!("{status}, but reached only by {}", networks(&presence.entry.instance));
        }
        return format!("{status}, but its address is link-local or multicast, which is not answered");
    };
    match (answered, eligible::is_eligible(presence, rule)) {
        (true, true) => format!("{status}; answered as {address}"),
        (true, false) => format!("{status}; answered because nobody is eligible"),
        (false, true) => format!("{status}, but the question is for others"),
        (false, false) if presence.in_maintenance() => "in maintenance".to_owned(),
        (false, false) => match worst_check(presence, deadlines) {
            Some((check, output)) if output.is_empty() => format!("{status}: check {check}"),
            Some((check, output)) => format!("{status}: check {check}: {output}"),
            None => format!("{status}: a check of its node"),
        },
    }
}

/// The client networks of an instance, and their node.
fn networks(instance: &Instance) -> String {
    let mut networks: Vec<String> = instance.network_addresses.iter().map(|there| there.network.to_string()).collect();
    networks.dedup();
    format!("clients in {} on {}", networks.join(", "), instance.node)
}

/// The instance's own check that is as bad as the instance, with the beginning of its output.
fn worst_check(presence: &Presence, deadlines: &Deadlines) -> Option<(String, String)> {
    let status = eligible::status(presence);
    let entry = presence.entry.checks.iter().find(|entry| entry.check.status == status)?;
    let output = match deadlines.newest_output(&entry.check.key(), status) {
        Some(newest) => newest.to_string(),
        None => entry.check.shown_output().into_owned(),
    };
    let output = output.lines().next().unwrap_or_default();
    Some((entry.check.id.to_string(), output.chars().take(OUTPUT_SHOWN).collect()))
}

fn record_type(kind: &str) -> Result<u16, String> {
    let upper = if kind.is_empty() { "A".to_owned() } else { kind.to_ascii_uppercase() };
    let number = match upper.strip_prefix("TYPE") {
        Some(number) => number.parse().ok(),
        None => upper.parse::<RecordType>().ok().map(u16::from),
    };
    number.ok_or_else(|| format!("type: expected a type such as A, SRV or TYPE65, not {kind:?}"))
}

fn rcode(message: &Message) -> String {
    let code = u16::from(message.metadata.response_code);
    rcode_name(code).map_or_else(|| format!("RCODE{code}"), str::to_owned)
}

fn flags(message: &Message) -> Vec<&'static str> {
    let metadata = &message.metadata;
    let all = [
        ("qr", true),
        ("aa", metadata.authoritative),
        ("tc", metadata.truncation),
        ("rd", metadata.recursion_desired),
        ("ra", metadata.recursion_available),
    ];
    all.into_iter().filter(|(_, set)| *set).map(|(name, _)| name).collect()
}

fn records(records: &[Record]) -> Vec<String> {
    let shown = records.iter().filter(|record| !matches!(record.data, RData::OPT(_)));
    shown.map(Record::to_string).collect()
}

/// Code and text of the extended error in a response (RFC 8914 section 2).
fn extended_error(message: &Message) -> Option<Value> {
    let options = message.edns.as_ref()?.options();
    let data = options.as_ref().iter().find_map(|(_, value)| match value {
        EdnsOption::Unknown(option::EXTENDED_ERROR, data) => Some(data),
        _ => None,
    })?;
    let (code, text) = data.split_first_chunk::<2>()?;
    Some(json!({ "Code": u16::from_be_bytes(*code), "Text": String::from_utf8_lossy(text) }))
}

/// One question, RD, and one additional record.
const QUERY_HEAD: [u8; 12] = [0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1];

/// An OPT that takes 1,232 bytes.
const OPT: [u8; 11] = [0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0];

/// Most characters of a check's output in a reason.
const OUTPUT_SHOWN: usize = 200;
