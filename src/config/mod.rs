//! What an operator may set, checked as a whole before anything starts.
//!
//! ```
//! use nameplate::config::{Config, Host, Inputs};
//! let inputs = Inputs {
//!     variables: vec![("NAMEPLATE_DOMAIN".into(), "example".into()), ("HOME".into(), "/home/a".into())],
//!     host: Host { hostname: Some("n1".into()), ..Host::default() },
//!     ..Inputs::default()
//! };
//! let config = Config::load(&inputs).unwrap();
//! assert_eq!(config.domain.to_string(), "example.");
//! assert_eq!(config.http.port(), 8500);
//! ```
//!
//! A flag beats a variable, that beats the file, and that the default. Each setting with its unit, default and reason
//! is in reference.toml; the defaults are read from there, so the two cannot differ.
//!
//! **Limits:** relative paths begin at the working directory. Tables (`service`, `forward_zone`) are for the file only.

use std::{
    fs, io,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

mod access;
mod cluster;
mod docker;
mod health;
mod host;
mod http;
mod keys;
mod layer;
mod print;
mod problem;
mod read;
mod rules;
mod store;
mod values;

pub use access::Access;
pub use cluster::Cluster;
pub use docker::{Docker, DockerDaemon};
pub use health::HealthChecks;
pub use host::Host;
pub use http::{Http, HttpTls};
pub use problem::{ConfigProblem, Place};
pub use store::{ApiVersion, StoreAddress, StoreAddressError, StoreHost};

pub use crate::catalog::policy::{DefaultRule, HostNames, NoneEligible, ScriptChecks, ServiceRule};
use crate::{
    catalog::{names::NodeName, service::IpNetwork},
    wire::name::Name,
};

/// All settings, each valid, and valid together. The fields are named and explained in reference.toml.
#[derive(Debug, Clone)]
pub struct Config {
    /// Addresses for DNS.
    pub dns: Vec<SocketAddr>,
    /// Whether nobody chose `dns`; then 127.0.0.1:53 is opened too where it can be.
    pub dns_is_default: bool,
    /// The bridge of Docker on which DNS is answered too, as far as it is there.
    pub docker_dns: Option<DockerDns>,
    /// Address of the HTTP API.
    pub http: SocketAddr,
    /// Its connections.
    pub http_api: Http,
    /// Access control.
    pub access: Access,
    /// How checks are run.
    pub health: HealthChecks,
    /// Most operations of a transaction.
    pub txn_max_ops: usize,
    /// Threads that answer DNS; none means one a core.
    pub workers: Option<usize>,
    /// Addresses answered at `ns.D`; empty means the host's own.
    pub advertise: Vec<IpAddr>,
    /// D, in lower case.
    pub domain: Name,
    /// ADs, in lower case.
    pub alt_domains: Vec<Name>,
    /// Our datacenter's label, in lower case.
    pub datacenter: Arc<str>,
    /// Our node.
    pub node: NodeName,
    /// Where data is kept.
    pub data: DataDirectory,
    /// The catalog that several machines share.
    pub cluster: Cluster,
    /// Directory of static zones.
    pub zones: Option<PathBuf>,
    /// Directory of service definitions.
    pub services: Option<PathBuf>,
    /// Whose checks may run commands.
    pub script_checks: ScriptChecks,
    /// Registration of Docker's containers.
    pub docker: Docker,
    /// What holds for services that no rule names.
    pub default_rule: DefaultRule,
    /// Rules for services; exact names first, then prefixes, the longest first.
    pub service_rules: Vec<ServiceRule>,
    /// TTL of negative answers, in seconds.
    pub negative_ttl_secs: u32,
    /// Multiplies SRV weights.
    pub srv_weight_scale: u16,
    /// Whether near instances come first.
    pub near: bool,
    /// How host names are answered.
    pub host_names: HostNames,
    /// Whether service names have TXT.
    pub service_txt: bool,
    /// Whether CH names of the server are refused.
    pub hide_version: bool,
    /// Largest UDP payload in bytes by client network.
    pub udp_payload_max: Vec<(IpNetwork, u16)>,
    /// Who may ask.
    pub allow_query: Vec<IpNetwork>,
    /// Who may recurse.
    pub allow_recursion: Vec<IpNetwork>,
    /// Who is asked about names that are not ours.
    pub forward: Forward,
    /// Whether unknown single labels are asked upstream.
    pub forward_bare: bool,
    /// Forward rules by suffix, sorted; those of reference.toml included, except what lies at or above a domain of
    /// ours.
    pub forward_zones: Vec<ForwardZone>,
    /// Domains of ours whose unknown names are asked elsewhere.
    pub fallthrough: Vec<(Name, SocketAddr)>,
    /// How long a source is away before its answers are marked stale.
    pub stale_after: Duration,
    /// How long other machines' data outlives them.
    pub stale_max: Duration,
    /// What is done when most checks fail at once.
    pub mass_failure: MassFailure,
    /// Level or filter of the log.
    pub log: String,
    /// How the log is written.
    pub log_format: LogFormat,
    /// Which queries are logged.
    pub query_log: QueryLog,
    /// Where to; set whenever `query_log` is not off.
    pub query_log_file: Option<PathBuf>,
    /// What is allowed and yet likely a mistake.
    pub warnings: Vec<ConfigProblem>,
    /// What it was made of, less the environment that is not about us.
    inputs: Arc<Inputs>,
}

/// A bridge of Docker, and the port there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DockerDns {
    /// The bridge's name.
    pub interface: String,
    /// The port; 53, but where something else brings packets to it.
    pub port: u16,
}

impl Default for DockerDns {
    fn default() -> DockerDns {
        DockerDns { interface: "docker0".to_owned(), port: 53 }
    }
}

/// What is done when most checks fail at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MassFailure {
    /// Whether it is asked first whether it is us.
    pub guard: bool,
    /// Who is asked: each a host or `host:port`. Empty: the gateway and the first upstream.
    pub targets: Vec<Arc<str>>,
    /// How long failures are held at most.
    pub hold: Duration,
}

/// Where the catalog is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DataDirectory {
    /// In this directory.
    At(PathBuf),
    /// Nowhere: what was registered is forgotten at the end.
    Ephemeral,
}

/// Who is asked about names that are not ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Forward {
    /// The servers of the host's resolv.conf, less our own addresses.
    System,
    /// Nobody.
    Off,
    /// These; never empty.
    Upstreams(Vec<SocketAddr>),
}

/// Names at or below a suffix are forwarded, whatever domain of ours it lies in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForwardZone {
    /// The suffix, in lower case.
    pub suffix: Name,
    /// Who is asked.
    pub upstreams: ZoneUpstreams,
}

/// Who is asked about the names of a forward rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ZoneUpstreams {
    /// As [`Config::forward`] says.
    Default,
    /// Nobody: the names are ours where they lie below a domain of ours, else refused.
    Off,
    /// These; never empty.
    Servers(Vec<SocketAddr>),
}

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// JSON objects.
    Json,
}

/// Which queries are logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueryLog {
    /// None.
    Off,
    /// Those that ended in an error.
    Errors,
    /// All.
    All,
}

/// All that settings come from; handed in, so that loading is pure.
#[derive(Debug, Clone, Default)]
pub struct Inputs {
    /// Keys with the values of their flags, where a flag was given.
    pub flags: Vec<(&'static str, Vec<String>)>,
    /// The environment.
    pub variables: Vec<(String, String)>,
    /// The configuration file.
    pub file: Option<ConfigFile>,
    /// The machine.
    pub host: Host,
}

/// A configuration file, read.
#[derive(Debug, Clone)]
pub struct ConfigFile {
    /// As it was named; for messages.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration file {path}")]
    Read {
        /// The file, as it was named.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// Settings are wrong; a line for each.
    #[error("{}", lines(.0))]
    Wrong(Vec<ConfigProblem>),
}

impl ConfigFile {
    /// Reads the file.
    pub fn read(path: &Path) -> Result<ConfigFile, ConfigError> {
        let name = path.display().to_string();
        match fs::read_to_string(path) {
            Ok(text) => Ok(ConfigFile { path: name, text }),
            Err(source) => Err(ConfigError::Read { path: name, source }),
        }
    }
}

impl Config {
    /// Reads and checks everything; or every problem there is, those of one place in the order of their lines.
    pub fn load(inputs: &Inputs) -> Result<Config, Vec<ConfigProblem>> {
        let mut problems = Vec::new();
        let mut warnings = Vec::new();
        let mut given = layer::of_flags(&inputs.flags, &mut problems);
        given.extend(layer::of_variables(&inputs.variables, &mut problems, &mut warnings));
        if let Some(file) = &inputs.file {
            given.extend(layer::of_file(&file.path, &file.text, &mut problems));
        }
        let mut reader = read::Reader::new(given, problems);
        let mut config = read::config(&mut reader, inputs);
        rules::check(&config, &mut reader, &mut warnings);
        let mut problems = reader.into_problems();
        if problems.is_empty() {
            warnings.sort_by(|one, other| one.place.cmp(&other.place));
            config.warnings = warnings;
            return Ok(config);
        }
        problems.sort_by(|one, other| one.place.cmp(&other.place));
        problems.dedup();
        Err(problems)
    }

    /// The configuration file, if there is one; for watching it.
    pub fn file(&self) -> Option<&Path> {
        self.inputs.file.as_ref().map(|file| Path::new(&file.path))
    }

    /// Reads the file anew; flags, variables and the machine are as they were at the start. What takes effect at the
    /// next start only stays as it is; the names of those settings that differ in the file come second.
    pub fn reload(&self) -> Result<(Config, Vec<&'static str>), ConfigError> {
        let file = self.file().map(ConfigFile::read).transpose()?;
        let inputs = Inputs { file, ..Inputs::clone(&self.inputs) };
        let new = Config::load(&inputs).map_err(ConfigError::Wrong)?;
        let waiting = self.needs_restart(&new);
        Ok((new.started_as(self), waiting))
    }

    /// These settings, but for those that are as they were at the start.
    fn started_as(self, running: &Config) -> Config {
        let running = running.clone();
        Config {
            dns: running.dns,
            cluster: running.cluster,
            dns_is_default: running.dns_is_default,
            http: running.http,
            http_api: running.http_api,
            access: running.access,
            health: running.health,
            txn_max_ops: running.txn_max_ops,
            workers: running.workers,
            advertise: running.advertise,
            datacenter: running.datacenter,
            node: running.node,
            data: running.data,
            zones: running.zones,
            services: running.services,
            script_checks: running.script_checks,
            docker: running.docker,
            mass_failure: running.mass_failure,
            log_format: running.log_format,
            ..self
        }
    }

    /// Names of the settings that `new` changes and that take effect at the next start only.
    fn needs_restart(&self, new: &Config) -> Vec<&'static str> {
        let (old, new) = (self.entries(), new.entries());
        let changed = old.iter().zip(&new).filter(|(old, new)| old.1 != new.1).map(|(old, _)| old.0);
        changed.filter(|name| keys::key(name).is_some_and(|key| key.restart)).collect()
    }
}

fn lines(problems: &[ConfigProblem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// The documented defaults.
pub const REFERENCE: &str = include_str!("reference.toml");

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
