//! What a nameplate says of itself in its metrics.

use anyhow::{Context, Result, ensure};

use crate::{http::get, server::Server};

/// What the server says of its checks since its start, or within a time.
pub struct Checks {
    pub made: f64,
    pub failed: f64,
    late: Buckets,
    pub late_p99_millis: f64,
}

impl Checks {
    pub fn by(server: &Server) -> Result<Checks> {
        let page = get(server.http, "/metrics")?;
        let sum = |matches: &dyn Fn(&str) -> bool| -> Result<f64> {
            let results = series(&page, "nameplate_checks_total")?;
            Ok(results.iter().filter(|(labels, _)| matches(labels)).map(|(_, value)| value).sum())
        };
        let failed = sum(&|labels| !labels.contains("\"passing\""))?;
        let late = Buckets::of(&page, "nameplate_check_lateness_seconds")?;
        Ok(Checks { made: sum(&|_| true)?, failed, late, late_p99_millis: 0.0 })
    }

    /// What it says of the time between.
    pub fn until(&self, later: &Checks) -> Checks {
        let late = self.late.until(&later.late);
        let late_p99_millis = late.as_ref().map_or(f64::NAN, Buckets::p99_millis);
        let late = late.unwrap_or(Buckets(Vec::new()));
        Checks { made: later.made - self.made, failed: later.failed - self.failed, late, late_p99_millis }
    }
}

/// A histogram: upper bounds in seconds, each with the count of what lies below.
pub struct Buckets(Vec<(f64, f64)>);

impl Buckets {
    pub fn of(page: &str, name: &str) -> Result<Buckets> {
        let mut buckets = Vec::new();
        for (labels, count) in series(page, &format!("{name}_bucket"))? {
            let bound = labels.split('"').nth(1).context("a bucket has a bound")?;
            buckets.push((bound.parse().unwrap_or(f64::INFINITY), count));
        }
        Ok(Buckets(buckets))
    }

    pub fn until(&self, later: &Buckets) -> Result<Buckets> {
        let between: Vec<(f64, f64)> =
            self.0.iter().zip(&later.0).map(|((bound, before), (_, after))| (*bound, after - before)).collect();
        ensure!(between.last().is_some_and(|(_, count)| *count > 0.0), "the server counted nothing");
        Ok(Buckets(between))
    }

    /// The upper bound of the bucket in which the 99th percentile lies.
    pub fn p99_millis(&self) -> f64 {
        let total = self.0.last().map_or(0.0, |(_, count)| *count);
        let bucket = self.0.iter().find(|(_, below)| *below >= total * 0.99);
        bucket.map_or(0.0, |(bound, _)| bound * 1e3)
    }
}

/// Labels and values of all series of a metric.
pub fn series<'a>(page: &'a str, name: &str) -> Result<Vec<(&'a str, f64)>> {
    let mut found = Vec::new();
    for line in page.lines() {
        let Some(rest) = line.strip_prefix(name).filter(|rest| rest.starts_with(['{', ' '])) else { continue };
        let (labels, value) = rest.rsplit_once(' ').context("a metric has a value")?;
        found.push((labels, value.parse()?));
    }
    Ok(found)
}
