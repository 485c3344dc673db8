//! What an operator may say of how services are answered and checked: vocabulary that the configuration and those who follow it
//! share.

use std::{cmp::Reverse, sync::Arc};

use super::{
    change::Origin,
    check::{Check, CheckKind},
};

/// What holds for services of one name or pattern; none means the default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServiceRule {
    /// `web`, or `web*` for all that begin so, in lower case.
    pub pattern: Arc<str>,
    /// TTL in seconds.
    pub ttl_secs: Option<u32>,
    /// Most addresses in an answer; 0 for all.
    pub max_answers: Option<u16>,
    /// What is answered when nobody is eligible.
    pub none_eligible: Option<NoneEligible>,
    /// Whether warning instances are left out.
    pub only_passing: Option<bool>,
}

/// What holds for services that no rule names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DefaultRule {
    /// TTL in seconds.
    pub ttl_secs: u32,
    /// Most addresses in an answer; 0 for all.
    pub max_answers: u16,
    /// What is answered when nobody is eligible.
    pub none_eligible: NoneEligible,
    /// Whether warning instances are left out.
    pub only_passing: bool,
}

/// What is answered for a known service of which nobody is eligible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoneEligible {
    /// NODATA.
    Nodata,
    /// NXDOMAIN, Consul's way.
    Nxdomain,
    /// Everyone but those in maintenance.
    All,
}

/// How an address that is a host name is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostNames {
    /// By its addresses, at the name that was asked.
    Resolve,
    /// By a CNAME and its chain, Consul's way.
    Cname,
}

/// Whose checks may run commands, here or in a container.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ScriptChecks {
    /// Nobody's.
    #[default]
    Off,
    /// Those that stand in files of service definitions.
    Files,
    /// Everybody's.
    All,
}

impl ScriptChecks {
    /// Whether checks that this source registers may run commands.
    pub fn allows(self, origin: Origin) -> bool {
        match self {
            ScriptChecks::Off => false,
            ScriptChecks::Files => origin == Origin::File,
            ScriptChecks::All => true,
        }
    }

    /// Why a check may not be registered: it runs a command, and may not.
    pub fn refusal(self, check: &Check) -> Option<String> {
        let runs = matches!(check.definition.kind, CheckKind::Script(_) | CheckKind::DockerExec(_));
        (runs && !self.allows(check.origin))
            .then(|| format!("check {:?}: scripts are disabled on this agent; to enable, set {SCRIPTS_CURE}", check.id))
    }
}

impl DefaultRule {
    /// What holds for a service: each field from the most exact pattern that sets it, else as it is here.
    pub fn with(&self, rules: &[ServiceRule], service: &str) -> DefaultRule {
        let name = service.to_ascii_lowercase();
        let mut rules: Vec<&ServiceRule> = rules.iter().filter(|rule| rule.matches(&name)).collect();
        rules.sort_by_key(|rule| rule.exactness());
        DefaultRule {
            ttl_secs: rules.iter().find_map(|rule| rule.ttl_secs).unwrap_or(self.ttl_secs),
            max_answers: rules.iter().find_map(|rule| rule.max_answers).unwrap_or(self.max_answers),
            none_eligible: rules.iter().find_map(|rule| rule.none_eligible).unwrap_or(self.none_eligible),
            only_passing: rules.iter().find_map(|rule| rule.only_passing).unwrap_or(self.only_passing),
        }
    }
}

impl ServiceRule {
    /// The order of patterns: an exact name first, then the longest prefix.
    pub fn exactness(&self) -> (bool, Reverse<usize>) {
        (self.pattern.ends_with('*'), Reverse(self.pattern.len()))
    }

    fn matches(&self, name: &str) -> bool {
        match self.pattern.strip_suffix('*') {
            Some(prefix) => name.starts_with(prefix),
            None => name == &*self.pattern,
        }
    }
}

/// What makes scripts run.
pub const SCRIPTS_CURE: &str = "enable_script_checks, or for checks in files enable_local_script_checks";
