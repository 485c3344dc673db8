use std::{collections::BTreeSet, fmt::Write as _, path::Path};

use super::*;
use crate::observe::dns::{DropReason, Proto};

/// Metrics in which every one has at least one series.
fn touched() -> Metrics {
    let metrics = Metrics::new();
    metrics.dns_worker().record(Proto::Udp, 1, 0);
    metrics.dns().record_drop(DropReason::Source);
    metrics.set_checks(2, 1, 0);
    metrics.check_result("http", "passing");
    metrics.kv_operation("set", Ok(()));
    metrics.forward(ForwardOutcome::Answered);
    metrics.http_request("GET", "/v1/catalog/services", 200, Duration::from_millis(2));
    metrics.reload(Reload::Zones, Ok(()));
    metrics.set_docker_dns([("docker0", true)].into_iter());
    metrics.set_source(&Arc::from("docker"), SourceState { synced: true, stale: false, away: false });
    metrics
}

/// The text as a table: name with its unit, type, labels, help.
fn table(text: &str) -> String {
    let mut rows: Vec<(String, String, BTreeSet<String>, String)> = Vec::new();
    for line in text.lines() {
        if let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) {
            rows.push((name.to_owned(), String::new(), BTreeSet::new(), help.trim_end_matches('.').to_owned()));
        } else if let Some((_, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            rows.last_mut().unwrap().1 = kind.to_owned();
        } else if let Some((_, labels)) = line.split_once('{') {
            let labels = labels.split_once('}').unwrap().0;
            let names = labels.split("\",").map(|label| label.split_once('=').unwrap().0.to_owned());
            rows.last_mut().unwrap().2.extend(names.filter(|name| name != "le"));
        }
    }
    rows.sort();
    let mut table = String::from("| metric | type | labels | what |\n|---|---|---|---|\n");
    for (name, kind, labels, help) in rows {
        let suffix = match &*kind {
            "counter" => "_total",
            "info" => "_info",
            _ => "",
        };
        let labels: Vec<String> = labels.into_iter().collect();
        writeln!(table, "| `{name}{suffix}` | {kind} | {} | {help} |", labels.join(", ")).unwrap();
    }
    table
}

#[test]
fn docs_metrics_md_lists_every_metric() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md");
    let table = table(&touched().encode(Exposition::OpenMetrics));
    let have = std::fs::read_to_string(&path).unwrap_or_default();
    let head = have.split_once("| metric |").map_or(have.as_str(), |(head, _)| head);
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, format!("{head}{table}")).unwrap();
        return;
    }
    assert_eq!(have.strip_prefix(head), Some(table.as_str()), "run BLESS=1 cargo test docs_metrics_md");
}

#[test]
fn the_text_is_complete_and_each_line_is_a_sample_or_a_comment() {
    let text = touched().encode(Exposition::OpenMetrics);
    assert!(text.ends_with("# EOF\n"));
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').unwrap();
        assert!(name.starts_with("nameplate_"), "{line}");
        assert!(value.parse::<f64>().is_ok(), "{line}");
    }
}

#[test]
fn every_sample_has_help_and_type_in_the_older_format_too() {
    let text = touched().encode(Exposition::Text);
    let named = |comment: &str| -> BTreeSet<String> {
        let lines = text.lines().filter_map(|line| line.strip_prefix(comment)?.split(' ').next());
        lines.map(str::to_owned).collect()
    };
    let (helped, typed) = (named("# HELP "), named("# TYPE "));
    assert_eq!(helped, typed);
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().unwrap();
        let of_histogram = ["_bucket", "_sum", "_count"].into_iter().find_map(|end| name.strip_suffix(end));
        assert!(typed.contains(name) || of_histogram.is_some_and(|name| typed.contains(name)), "{line}");
    }
}

#[test]
fn no_metric_stands_twice() {
    let text = touched().encode(Exposition::OpenMetrics);
    let names: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
    assert_eq!(names.len(), names.iter().collect::<BTreeSet<_>>().len(), "{names:?}");
}

#[test]
fn a_method_that_nobody_knows_makes_no_new_series() {
    let metrics = Metrics::new();
    metrics.http_request("BREW", "unmatched", 405, Duration::ZERO);
    metrics.http_request("MELT", "unmatched", 405, Duration::ZERO);
    let line = r#"nameplate_http_requests_total{method="other",path="unmatched",code="405"} 2"#;
    assert!(metrics.encode(Exposition::OpenMetrics).contains(line));
}

#[test]
fn of_bridges_that_are_gone_nothing_is_told() {
    let metrics = Metrics::new();
    metrics.set_docker_dns([("docker0", true), ("br-0123456789ab", false)].into_iter());
    metrics.set_docker_dns([("docker0", false)].into_iter());
    let text = metrics.encode(Exposition::OpenMetrics);
    let told: Vec<&str> = text.lines().filter(|line| line.starts_with("nameplate_docker_dns_reached{")).collect();
    assert_eq!(told, [r#"nameplate_docker_dns_reached{interface="docker0"} 0"#]);
}
