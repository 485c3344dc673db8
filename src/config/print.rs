//! The settings in force, as TOML that [`Config::load`] takes for the same settings.

use std::{fmt::Display, path::Path};

use toml::Value;

use super::{
    Config, DataDirectory, DockerDns, Forward, HostNames, LogFormat, NoneEligible, QueryLog, ScriptChecks, ServiceRule,
    ZoneUpstreams, keys::KEYS,
};
use crate::catalog::duration::format_duration;

impl Config {
    /// The settings in force; a setting without a value stands in a comment.
    pub fn to_toml(&self) -> String {
        let mut text = String::new();
        for (name, value) in self.entries() {
            match value {
                Some(value) => text.push_str(&format!("{name} = {value}\n")),
                None if name == "dns" => {
                    let addresses: Vec<String> = self.dns.iter().map(ToString::to_string).collect();
                    text.push_str(&format!("# dns: {}, and 127.0.0.1:53 if it can be had\n", addresses.join(", ")));
                }
                None => text.push_str(&format!("# {name}: not set\n")),
            }
        }
        for rule in &self.service_rules {
            text.push_str(&format!("\n[service.{}]\n", quoted(&rule.pattern)));
            text.push_str(&rule_lines(rule));
        }
        for zone in &self.forward_zones {
            let upstreams = match &zone.upstreams {
                ZoneUpstreams::Default => quoted("default"),
                ZoneUpstreams::Off => quoted("off"),
                ZoneUpstreams::Servers(servers) => list(servers),
            };
            text.push_str(&format!("\n[forward_zone.{}]\nupstreams = {upstreams}\n", quoted(&zone.suffix)));
        }
        text
    }

    /// Every setting but the tables, with its value as TOML, in the order of reference.toml; none where there is no
    /// value.
    pub(super) fn entries(&self) -> Vec<(&'static str, Option<String>)> {
        let mut entries = self.server_entries();
        entries.extend(self.http_api.entries());
        entries.extend(self.access.entries());
        entries.extend(self.cluster.entries());
        entries.extend(self.docker.entries());
        entries.extend(self.health.entries());
        entries.extend(self.answer_entries());
        entries.sort_by_key(|(name, _)| KEYS.iter().position(|key| key.name == *name));
        entries
    }

    fn server_entries(&self) -> Vec<(&'static str, Option<String>)> {
        let path = |path: &Path| quoted(path.display());
        let data = match &self.data {
            DataDirectory::At(directory) => Some(path(directory)),
            DataDirectory::Ephemeral => None,
        };
        let ephemeral = (self.data == DataDirectory::Ephemeral).to_string();
        let zones = self.zones.as_deref().unwrap_or(Path::new("off"));
        // Whoever leaves `dns` alone may get a port more than it names, so it is printed only where it was chosen.
        let dns = (!self.dns_is_default).then(|| list(&self.dns));
        vec![
            ("dns", dns),
            ("docker_dns", Some(docker_dns(self.docker_dns.as_ref()))),
            ("http", Some(quoted(self.http))),
            ("txn_max_ops", Some(self.txn_max_ops.to_string())),
            ("workers", self.workers.map(|workers| workers.to_string())),
            ("advertise", Some(list(&self.advertise))),
            ("domain", Some(quoted(&self.domain))),
            ("alt_domain", Some(list(&self.alt_domains))),
            ("datacenter", Some(quoted(&self.datacenter))),
            ("node", Some(quoted(&self.node))),
            ("data_dir", data),
            ("ephemeral", Some(ephemeral)),
            ("zones", Some(path(zones))),
            ("services", self.services.as_deref().map(path)),
            ("enable_script_checks", Some((self.script_checks == ScriptChecks::All).to_string())),
            ("enable_local_script_checks", Some((self.script_checks != ScriptChecks::Off).to_string())),
            ("stale_after", Some(quoted(format_duration(self.stale_after)))),
            ("stale_max", Some(quoted(format_duration(self.stale_max)))),
            ("mass_failure_guard", Some(self.mass_failure.guard.to_string())),
            ("mass_failure_targets", Some(list(&self.mass_failure.targets))),
            ("mass_failure_hold", Some(quoted(format_duration(self.mass_failure.hold)))),
            ("log", Some(quoted(&self.log))),
            ("log_format", Some(quoted(log_format(self.log_format)))),
            ("query_log", Some(quoted(query_log(self.query_log)))),
            ("query_log_file", self.query_log_file.as_deref().map(path)),
        ]
    }

    fn answer_entries(&self) -> Vec<(&'static str, Option<String>)> {
        let rule = &self.default_rule;
        let payloads = self.udp_payload_max.iter().map(|(prefix, bytes)| format!("{} = {bytes}", quoted(prefix)));
        let falls = self.fallthrough.iter().map(|(domain, to)| format!("{} = {}", quoted(domain), quoted(to)));
        let forward = match &self.forward {
            Forward::System => quoted("system"),
            Forward::Off => quoted("off"),
            Forward::Upstreams(servers) => list(servers),
        };
        let host_names = match self.host_names {
            HostNames::Resolve => "resolve",
            HostNames::Cname => "cname",
        };
        vec![
            ("ttl", Some(ttl(rule.ttl_secs))),
            ("negative_ttl", Some(ttl(self.negative_ttl_secs))),
            ("only_passing", Some(rule.only_passing.to_string())),
            ("none_eligible", Some(quoted(none_eligible(rule.none_eligible)))),
            ("max_answers", Some(rule.max_answers.to_string())),
            ("srv_weight_scale", Some(self.srv_weight_scale.to_string())),
            ("near", Some(self.near.to_string())),
            ("host_names", Some(quoted(host_names))),
            ("service_txt", Some(self.service_txt.to_string())),
            ("hide_version", Some(self.hide_version.to_string())),
            ("udp_payload_max", inline_table(payloads)),
            ("allow_query", Some(list(&self.allow_query))),
            ("allow_recursion", Some(list(&self.allow_recursion))),
            ("forward", Some(forward)),
            ("forward_bare", Some(self.forward_bare.to_string())),
            ("fallthrough", inline_table(falls)),
        ]
    }
}

fn rule_lines(rule: &ServiceRule) -> String {
    let lines = [
        ("ttl", rule.ttl_secs.map(ttl)),
        ("max_answers", rule.max_answers.map(|most| most.to_string())),
        ("none_eligible", rule.none_eligible.map(|what| quoted(none_eligible(what)))),
        ("only_passing", rule.only_passing.map(|only| only.to_string())),
    ];
    lines.into_iter().filter_map(|(name, value)| Some(format!("{name} = {}\n", value?))).collect()
}

fn ttl(secs: u32) -> String {
    quoted(format_duration(std::time::Duration::from_secs(u64::from(secs))))
}

fn none_eligible(what: NoneEligible) -> &'static str {
    match what {
        NoneEligible::Nodata => "nodata",
        NoneEligible::Nxdomain => "nxdomain",
        NoneEligible::All => "all",
    }
}

fn docker_dns(bridge: Option<&DockerDns>) -> String {
    match bridge {
        None => "false".to_owned(),
        Some(bridge) if *bridge == DockerDns::default() => "true".to_owned(),
        Some(DockerDns { interface, port: 53 }) => quoted(interface),
        Some(DockerDns { interface, port }) => quoted(format!("{interface}:{port}")),
    }
}

fn log_format(format: LogFormat) -> &'static str {
    match format {
        LogFormat::Text => "text",
        LogFormat::Json => "json",
    }
}

fn query_log(which: QueryLog) -> &'static str {
    match which {
        QueryLog::Off => "off",
        QueryLog::Errors => "errors",
        QueryLog::All => "all",
    }
}

pub(super) fn quoted(value: impl Display) -> String {
    Value::String(value.to_string()).to_string()
}

pub(super) fn list<T: Display>(values: &[T]) -> String {
    let values: Vec<String> = values.iter().map(quoted).collect();
    format!("[{}]", values.join(", "))
}

fn inline_table(pairs: impl Iterator<Item = String>) -> Option<String> {
    let pairs: Vec<String> = pairs.collect();
    (!pairs.is_empty()).then(|| format!("{{ {} }}", pairs.join(", ")))
}
