//! Verbs that ask a server.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{
    Verdict,
    args::{InstancesArgs, QueryArgs, ServicesArgs},
    print,
    shapes::{CheckShape, ExplainedInstance, Explanation, ExtendedError, HealthEntry},
    table::{shown, table},
};
use crate::api::client::Client;

/// Lists the services with their tags. Always done: no service is an answer too.
pub(super) async fn services(client: &Client, args: &ServicesArgs) -> anyhow::Result<Verdict> {
    let value: Value = client.get(&["catalog", "services"], &[]).await?;
    if args.server.json {
        return print(&pretty(&value));
    }
    print(&services_table(&client.understand(value)?))
}

/// Lists the instances of a service. No, if none passes.
pub(super) async fn instances(client: &Client, args: &InstancesArgs) -> anyhow::Result<Verdict> {
    let value: Value = client.get(&["health", "service", &args.name], &[]).await?;
    let text = pretty(&value);
    let entries: Vec<HealthEntry> = client.understand(value)?;
    if args.server.json {
        print(&text)?;
    } else if entries.is_empty() {
        eprintln!("nameplate: no instance of {} is registered", shown(&args.name));
    } else {
        print(&instances_table(&entries))?;
    }
    let passes = entries.iter().any(|entry| status(&entry.checks) == "passing");
    Ok(if passes { Verdict::Done } else { Verdict::No })
}

/// Tells what DNS answers, and why. No, if the answer section is empty.
pub(super) async fn query(client: &Client, args: &QueryArgs) -> anyhow::Result<Verdict> {
    let value: Value = client.get(&["dns", "query"], &[("name", &args.name), ("type", &args.kind)]).await?;
    let text = pretty(&value);
    let explanation: Explanation = client.understand(value)?;
    print(&if args.server.json { text } else { explanation_text(&explanation) })?;
    let answered = explanation.rcode == "NOERROR" && !explanation.answer.is_empty();
    Ok(if answered { Verdict::Done } else { Verdict::No })
}

fn services_table(services: &BTreeMap<String, Vec<String>>) -> String {
    let rows: Vec<Vec<String>> = services.iter().map(|(name, tags)| vec![name.clone(), tags.join(", ")]).collect();
    table(&["SERVICE", "TAGS"], &rows)
}

fn instances_table(entries: &[HealthEntry]) -> String {
    let rows = entries.iter().map(|entry| {
        let service = &entry.service;
        let address = if service.address.is_empty() { &entry.node.address } else { &service.address };
        vec![
            service.id.clone(),
            entry.node.node.clone(),
            address.clone(),
            service.port.to_string(),
            status(&entry.checks).to_owned(),
            service.tags.join(", "),
            why(&entry.checks),
        ]
    });
    table(&["ID", "NODE", "ADDRESS", "PORT", "STATUS", "TAGS", "WHY"], &rows.collect::<Vec<_>>())
}

/// What counts of several checks: maintenance, else the worst status; passing without any.
fn status(checks: &[CheckShape]) -> &'static str {
    let any = |status: &str| checks.iter().any(|check| check.status == status);
    match checks.iter().any(is_maintenance) {
        true => "maintenance",
        false if any("critical") => "critical",
        false if any("warning") => "warning",
        false => "passing",
    }
}

/// The first check that does not pass, and what it said.
fn why(checks: &[CheckShape]) -> String {
    let worst = checks.iter().find(|check| check.status == "critical");
    match worst.or_else(|| checks.iter().find(|check| check.status == "warning")) {
        Some(check) if check.output.is_empty() => check.id.clone(),
        Some(check) => format!("{}: {}", check.id, shown(&check.output)),
        None => String::new(),
    }
}

/// Source: Consul's check IDs of maintenance, of a node and of a service.
fn is_maintenance(check: &CheckShape) -> bool {
    check.id == "_node_maintenance" || check.id.starts_with("_service_maintenance:")
}

/// The response as dig shows it, then the instances and why each is in or out.
fn explanation_text(explanation: &Explanation) -> String {
    let mut text = format!("{} {}\n", explanation.rcode, explanation.flags.join(" "));
    let sections = [
        ("ANSWER", &explanation.answer),
        ("AUTHORITY", &explanation.authority),
        ("ADDITIONAL", &explanation.additional),
    ];
    for (title, records) in sections.into_iter().filter(|(_, records)| !records.is_empty()) {
        text.push_str(&format!("{title}\n"));
        for record in records {
            text.extend(record.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).chain(['\n']));
        }
    }
    if let Some(error) = &explanation.extended_error {
        text.push_str(&extended_error_line(error));
    }
    if let Some(service) = &explanation.service {
        let form = explanation.form.as_deref().unwrap_or("service");
        text.push_str(&format!("\nservice {}, asked by {}\n", shown(service), shown(form)));
    }
    if let Some(name) = &explanation.further_name {
        let form = explanation.form.as_deref().unwrap_or("service");
        let services = of_services(&explanation.instances);
        text.push_str(&format!(
            "\n{}, a further name of instances of {services}, asked by {}\n",
            shown(name),
            shown(form)
        ));
    }
    if !explanation.instances.is_empty() {
        text.push_str(&instances_explained(explanation));
    }
    text
}

/// The services of instances, each once, as far as they fit.
fn of_services(instances: &[ExplainedInstance]) -> String {
    let services: BTreeSet<&str> = instances.iter().map(|instance| &*instance.service).collect();
    shown(&Vec::from_iter(services).join(", "))
}

/// `EXTENDED ERROR 18 (Prohibited): what the server adds`.
fn extended_error_line(error: &ExtendedError) -> String {
    let name = EXTENDED_ERRORS.iter().find(|(code, _)| *code == error.code);
    let name = name.map_or(String::new(), |(_, name)| format!(" ({name})"));
    let text = if error.text.is_empty() { String::new() } else { format!(": {}", shown(&error.text)) };
    format!("EXTENDED ERROR {}{name}{text}\n", error.code)
}

fn instances_explained(explanation: &Explanation) -> String {
    let rows = explanation.instances.iter().map(|instance| {
        let origin = match &instance.shadowed[..] {
            [] => instance.origin.clone(),
            shadowed => format!("{} (shadows {})", instance.origin, shadowed.join(", ")),
        };
        vec![
            instance.id.clone(),
            instance.node.clone(),
            instance.address.clone(),
            instance.port.to_string(),
            instance.status.clone(),
            if instance.answered { "yes" } else { "no" }.to_owned(),
            origin,
            instance.reason.clone(),
        ]
    });
    let head = ["ID", "NODE", "ADDRESS", "PORT", "STATUS", "ANSWERED", "ORIGIN", "WHY"];
    table(&head, &rows.collect::<Vec<_>>())
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

/// What the codes mean that a server of ours sends. Source: RFC 8914 section 4.
const EXTENDED_ERRORS: [(u16, &str); 9] = [
    (0, "Other"),
    (3, "Stale Answer"),
    (14, "Not Ready"),
    (18, "Prohibited"),
    (19, "Stale NXDOMAIN Answer"),
    (20, "Not Authoritative"),
    (21, "Not Supported"),
    (22, "No Reachable Authority"),
    (23, "Network Error"),
];

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;
