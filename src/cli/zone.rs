//! `nameplate zone check FILE`.

use std::path::Path;

use super::{Verdict, print};
use crate::{
    config::Config,
    zones::{ZoneContext, Zones, check_file},
};

/// Checks a zone file beside these settings: a line for each problem, then the verdict.
pub(super) fn check(file: &Path, config: &Config) -> anyhow::Result<Verdict> {
    let context = ZoneContext {
        domain: config.domain.clone(),
        alt_domains: config.alt_domains.clone(),
        datacenter: config.datacenter.clone(),
        previous: Zones::default(),
    };
    let report = check_file(file, &context);
    let mut text = String::new();
    for problem in &report.problems {
        text.push_str(&format!("{}: {problem}\n", problem.severity().as_str()));
    }
    let refused = report.has_errors();
    text.push_str(&format!("{}: {}\n", file.display(), if refused { "refused" } else { "ok" }));
    print(&text)?;
    Ok(if refused { Verdict::No } else { Verdict::Done })
}
