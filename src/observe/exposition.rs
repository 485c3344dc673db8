//! The text formats of metrics: OpenMetrics for who asks for it, as Prometheus does, and Prometheus' older one for all
//! others, so that `curl .../metrics | promtool check metrics` reads it too.
//!
//! | OpenMetrics 1.0 | text format 0.0.4 |
//! |---|---|
//! | `# TYPE x counter` and the sample `x_total` | `# TYPE x_total counter` |
//! | `# TYPE x info` and the sample `x_info` | `# TYPE x_info gauge` |
//! | `# UNIT`, `# EOF` | nothing |
//!
//! **Limits:** weights (`q=`) in `Accept` are not looked at.
//!
//! **Source:** OpenMetrics 1.0; Prometheus' "Exposition formats".

/// A text format of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exposition {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// Prometheus' text format 0.0.4.
    Text,
}

impl Exposition {
    /// The format for a client that sends this `Accept`.
    pub fn accepted(accept: Option<&str>) -> Exposition {
        let ranges = accept.unwrap_or_default().split(',');
        let mut types = ranges.map(|range| range.split(';').next().unwrap_or_default().trim());
        match types.any(|media| media.eq_ignore_ascii_case("application/openmetrics-text")) {
            true => Exposition::OpenMetrics,
            false => Exposition::Text,
        }
    }

    /// Its content type.
    pub fn content_type(self) -> &'static str {
        match self {
            Exposition::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Exposition::Text => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// OpenMetrics as the older format.
pub(super) fn to_text(open_metrics: &str) -> String {
    let mut text = String::with_capacity(open_metrics.len());
    let mut help = None;
    for line in open_metrics.lines() {
        if let Some(described) = line.strip_prefix("# HELP ") {
            // Its name depends on the type, which the next line tells.
            help = described.split_once(' ');
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            let (suffix, kind) = match kind {
                "counter" => ("_total", "counter"),
                "info" => ("_info", "gauge"),
                kind => ("", kind),
            };
            if let Some((_, words)) = help.take().filter(|(described, _)| *described == name) {
                text.push_str(&format!("# HELP {name}{suffix} {words}\n"));
            }
            text.push_str(&format!("# TYPE {name}{suffix} {kind}\n"));
        } else if !line.starts_with('#') {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
#[path = "exposition_tests.rs"]
mod tests;
