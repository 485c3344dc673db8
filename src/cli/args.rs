//! What may be written on the command line.

use std::{ffi::OsString, path::PathBuf};

use clap::{ArgGroup, Args, Parser, Subcommand, ValueHint};
use clap_complete::Shell;

use super::{
    exec::Link,
    values::{duration, pair},
};
use crate::api::client::DEFAULT_SERVER;

/// The command line, read.
#[derive(Debug, Parser)]
#[command(
    name = "nameplate",
    version,
    about = "A DNS server that answers with the services that are up",
    after_help = "Exit codes: 0 done, 1 the answer is no (not found, not passing), 2 wrong use or setting, 3 server not reached."
)]
pub struct CommandLine {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Runs the server
    Serve(Box<ServeArgs>),
    /// Registers an instance of a service
    Register(RegisterArgs),
    /// Deregisters an instance by its service ID
    Deregister(DeregisterArgs),
    /// Runs a program: registered while it lives, and told where the services are that it needs
    Exec(ExecArgs),
    /// Lists the services
    Services(ServicesArgs),
    /// Lists the instances of a service and how they are
    Instances(InstancesArgs),
    /// Tells what DNS answers to a name, and why
    Query(QueryArgs),
    /// Writes all that was registered by HTTP as JSON lines
    Export(ExportArgs),
    /// Registers what `export` wrote
    Import(ImportArgs),
    /// Flushes the cache of forwarded answers
    Cache {
        /// What to do with it.
        #[command(subcommand)]
        action: CacheAction,
    },
    /// Checks zone files
    Zone {
        /// What to do with them.
        #[command(subcommand)]
        action: ZoneAction,
    },
    /// Prints the settings that `serve` would use, or checks a file
    Config(Box<ConfigArgs>),
    /// Prints completions for a shell
    Completions {
        /// The shell.
        shell: Shell,
    },
}

/// The settings that have a flag, as they were written. They are read by `config`, which knows all places.
#[derive(Debug, Clone, Default, Args)]
#[command(
    after_help = "Each option has a key in the configuration file (- becomes _) and a variable NAMEPLATE_...; an option \
                        beats a variable, that beats the file. `nameplate config` prints what is in force."
)]
pub struct ServeArgs {
    /// Configuration file (TOML)
    #[arg(short = 'c', long = "config", value_name = "FILE", env = "NAMEPLATE_CONFIG")]
    pub config: Option<PathBuf>,
    /// Address for DNS, UDP and TCP; may be repeated [default: 127.0.0.1:8600, [::1]:8600, and 127.0.0.1:53 if it can be had]
    #[arg(long, value_name = "ADDR:PORT")]
    pub dns: Vec<String>,
    /// Answers on Docker's bridge too, port 53, whenever it is there [default interface: docker0]
    #[arg(long, value_name = "INTERFACE", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub docker_dns: Option<String>,
    /// Address of the HTTP API [default: 127.0.0.1:8500]
    #[arg(long, value_name = "ADDR:PORT")]
    pub http: Option<String>,
    /// Certificate of the HTTP API, PEM: it then speaks HTTPS
    #[arg(long, value_name = "FILE")]
    pub http_tls_cert: Option<String>,
    /// Key of the certificate, PEM
    #[arg(long, value_name = "FILE")]
    pub http_tls_key: Option<String>,
    /// Authorities, PEM, one of which must have signed each client's certificate
    #[arg(long, value_name = "FILE")]
    pub http_tls_client_ca: Option<String>,
    /// Name that requests on loopback may be for; may be repeated [default: addresses and our own names]
    #[arg(long = "http-hosts", value_name = "NAME")]
    pub http_hosts: Vec<String>,
    /// Whether tokens count: on or off [default: off]
    #[arg(long, value_name = "WHETHER")]
    pub access: Option<String>,
    /// What callers without a token may do: deny, read or write [default: write on loopback, else deny]
    #[arg(long, value_name = "LEVEL")]
    pub access_anonymous: Option<String>,
    /// File of policies and tokens, TOML
    #[arg(long, value_name = "FILE")]
    pub access_tokens: Option<String>,
    /// Domain under which services are answered [default: internal]
    #[arg(long, value_name = "NAME")]
    pub domain: Option<String>,
    /// Further domain under which every name works too; may be repeated
    #[arg(long, value_name = "NAME")]
    pub alt_domain: Vec<String>,
    /// Our datacenter [default: dc1]
    #[arg(long, value_name = "NAME")]
    pub datacenter: Option<String>,
    /// Name of this machine in the catalog [default: the host name]
    #[arg(long, value_name = "NAME")]
    pub node: Option<String>,
    /// Address under which others reach this server; may be repeated [default: the host's own]
    #[arg(long, value_name = "IP")]
    pub advertise: Vec<String>,
    /// Threads that answer DNS [default: one a core]
    #[arg(long, value_name = "N")]
    pub workers: Option<String>,
    /// Directory that keeps the catalog [default: /var/lib/nameplate for root, ~/.local/state/nameplate for others]
    #[arg(long, value_name = "DIR", conflicts_with = "ephemeral")]
    pub data_dir: Option<String>,
    /// Keeps nothing on disk: what was registered is forgotten at the end
    #[arg(long)]
    pub ephemeral: bool,
    /// Catalog that several machines share: etcd://HOST:PORT,HOST:PORT/PREFIX, or etcds:// with TLS
    #[arg(long, value_name = "URL")]
    pub store: Option<String>,
    /// Whose keys, sessions, events, tokens and the like hold if this machine and the store both have some: local or remote
    #[arg(long, value_name = "SIDE")]
    pub store_adopt: Option<String>,
    /// etcd in which other programs register services, HOST:PORT at keys /services/NAME/ID: etcd://HOST:PORT,.../PREFIX
    #[arg(long, value_name = "URL")]
    pub etcd_services: Option<String>,
    /// etcd in which other programs register names as SkyDNS and CoreDNS read them: etcd://HOST:PORT,.../PREFIX
    #[arg(long, value_name = "URL")]
    pub etcd_skydns: Option<String>,
    /// Directory of static zones, *.zone [default: zones, if it is there]
    #[arg(long, value_name = "DIR")]
    pub zones: Option<String>,
    /// Directory of service definitions, *.toml and *.json
    #[arg(long, value_name = "DIR")]
    pub services: Option<String>,
    /// Docker daemon whose containers become services: auto, off, unix:///PATH or tcp://HOST:PORT [default: auto]
    #[arg(long, value_name = "URL")]
    pub docker: Option<String>,
    /// Whose address is answered: auto (by client), host, or container [default: auto]
    #[arg(long, value_name = "MODE")]
    pub docker_address: Option<String>,
    /// Address of every published port, in place of the one it is bound to
    #[arg(long, value_name = "IP")]
    pub docker_ip: Option<String>,
    /// Label that holds a container's address
    #[arg(long, value_name = "LABEL")]
    pub docker_ip_label: Option<String>,
    /// Docker network whose address counts with --docker-address container
    #[arg(long, value_name = "NAME")]
    pub docker_network: Option<String>,
    /// Only containers that have a SERVICE_NAME are services
    #[arg(long)]
    pub docker_explicit: bool,
    /// Tags of every service, with commas; a template over the inspect document
    #[arg(long, value_name = "TEMPLATE")]
    pub docker_tags: Option<String>,
    /// Name of services that have none of their own, as a template [default: the image's]
    #[arg(long, value_name = "TEMPLATE")]
    pub docker_name: Option<String>,
    /// Which ends of a container deregister its services: always or on-success [default: always]
    #[arg(long, value_name = "WHEN")]
    pub docker_deregister: Option<String>,
    /// Who is asked about other names: system, off, or IP[:PORT],... [default: system]
    #[arg(long, value_name = "UPSTREAMS")]
    pub forward: Vec<String>,
    /// Level or filter of the log: error, warn, info, debug, trace [default: info]
    #[arg(long, value_name = "LEVEL")]
    pub log: Option<String>,
    /// How the log is written: text or json [default: text]
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<String>,
}

/// Which server is asked, and as whom.
#[derive(Debug, Clone, Args)]
pub struct Connection {
    /// The server's HTTP API
    #[arg(long, value_name = "URL", env = "NAMEPLATE_SERVER", default_value = DEFAULT_SERVER)]
    pub server: String,
    /// Token for the server
    #[arg(long, value_name = "T", env = "NAMEPLATE_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// Authorities of an https:// server, PEM [default: the system's]
    #[arg(long, value_name = "FILE", env = "NAMEPLATE_CA_FILE")]
    pub ca_file: Option<PathBuf>,
    /// Our certificate, where the server asks for one, PEM
    #[arg(long, value_name = "FILE", env = "NAMEPLATE_CLIENT_CERT", requires = "client_key")]
    pub client_cert: Option<PathBuf>,
    /// Its key, PEM
    #[arg(long, value_name = "FILE", env = "NAMEPLATE_CLIENT_KEY", requires = "client_cert")]
    pub client_key: Option<PathBuf>,
}

/// Which server is asked, and how the answer is written.
#[derive(Debug, Clone, Args)]
pub struct ServerArgs {
    /// The server.
    #[command(flatten)]
    pub connection: Connection,
    /// Prints JSON for programs
    #[arg(long)]
    pub json: bool,
}

/// A registration.
#[derive(Debug, Args)]
pub struct RegisterArgs {
    /// Name of the service
    pub name: String,
    /// Port of the instance
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub port: u16,
    /// Service ID [default: the name]
    #[arg(long)]
    pub id: Option<String>,
    /// The rest of it.
    #[command(flatten)]
    pub instance: InstanceArgs,
    /// The server.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// What an instance has besides its service, port and ID.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("check").multiple(false))]
pub struct InstanceArgs {
    /// Address of the instance [default: that of the server's node]
    #[arg(long, value_name = "IP", requires = "name")]
    pub address: Option<String>,
    /// Tag; may be repeated
    #[arg(long, value_name = "T", requires = "name")]
    pub tag: Vec<String>,
    /// Pair of meta; may be repeated
    #[arg(long, value_name = "K=V", requires = "name", value_parser = pair)]
    pub meta: Vec<(String, String)>,
    /// Checks by an HTTP request: a URL, or a path at the instance's own address and port
    #[arg(long, value_name = "URL|PATH", requires = "name", group = "check")]
    pub check_http: Option<String>,
    /// Checks by a TCP connection
    #[arg(long, value_name = "ADDR:PORT", requires = "name", group = "check")]
    pub check_tcp: Option<String>,
    /// Check deadline: critical unless renewed within this time, by PUT /v1/agent/check/pass/service:ID
    #[arg(long, value_name = "DURATION", requires = "name", group = "check", value_parser = duration)]
    pub check_ttl: Option<String>,
    /// Time between two probes [default: 10s]
    #[arg(long, value_name = "DURATION", requires = "check", conflicts_with = "check_ttl", value_parser = duration)]
    pub interval: Option<String>,
}

/// A program to run, and what it is to others.
#[derive(Debug, Args)]
#[command(
    group = ArgGroup::new("purpose").args(["name", "link"]).required(true).multiple(true),
    after_help = "The program runs whether or not the server is reached; it is registered as soon as that works, and again when the \
                  server has forgotten it. A stop signal (TERM, INT, QUIT) is passed on when it is deregistered. A check deadline is \
                  renewed here while the program lives. Exit code: the program's, 128+N if signal N ended it, 126 if it cannot be \
                  run, 127 if it is not found."
)]
pub struct ExecArgs {
    /// Registers the program as an instance of this service
    #[arg(long, requires = "port")]
    pub name: Option<String>,
    /// Port of the instance
    #[arg(long, value_name = "N", requires = "name", value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Option<u16>,
    /// Service ID [default: NAME-PORT]
    #[arg(long, requires = "name")]
    pub id: Option<String>,
    /// The rest of the registration.
    #[command(flatten)]
    pub instance: InstanceArgs,
    /// Gives the program the variables of a Docker link to this service or container: ALIAS_PORT and so on; may be repeated
    #[arg(long, value_name = "NAME[:ALIAS]")]
    pub link: Vec<Link>,
    /// The server.
    #[command(flatten)]
    pub connection: Connection,
    /// The program and its arguments, as they are: no shell reads them
    #[arg(required = true, trailing_var_arg = true, value_name = "COMMAND", value_hint = ValueHint::CommandWithArguments)]
    pub command: Vec<OsString>,
}

/// What to deregister.
#[derive(Debug, Args)]
pub struct DeregisterArgs {
    /// Service ID on the server's node
    pub id: String,
    /// The server.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// Whose services to list.
#[derive(Debug, Args)]
pub struct ServicesArgs {
    /// The server.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// Which instances to list.
#[derive(Debug, Args)]
pub struct InstancesArgs {
    /// Name of the service
    pub name: String,
    /// The server.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// What to ask.
#[derive(Debug, Args)]
pub struct QueryArgs {
    /// Name, as in dig
    pub name: String,
    /// Type: A, AAAA, SRV, ...
    #[arg(value_name = "TYPE", default_value = "A")]
    pub kind: String,
    /// The server.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// Where to write registrations.
#[derive(Debug, Args)]
#[command(
    after_help = "Each line is an operation of PUT /v1/txn. What files and other sources register is not written: they register it \
                  themselves."
)]
pub struct ExportArgs {
    /// File to write, put in place when it is complete [default: standard output]
    pub file: Option<PathBuf>,
    /// The server.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// Where to read registrations.
#[derive(Debug, Args)]
#[command(
    after_help = "Lines are registered in transactions of as many as the server takes (its txn_max_ops), each in force as a whole or not \
                  at all. What is registered already is not changed by importing it again."
)]
pub struct ImportArgs {
    /// File to read [default: standard input]
    pub file: Option<PathBuf>,
    /// The server.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// What to do with the cache.
#[derive(Debug, Subcommand)]
pub enum CacheAction {
    /// Forgets forwarded answers: all, or those of one name
    Flush {
        /// The name.
        name: Option<String>,
        /// The server.
        #[command(flatten)]
        server: ServerArgs,
    },
}

/// What to do with zone files.
#[derive(Debug, Subcommand)]
pub enum ZoneAction {
    /// Checks a zone file: errors that would keep it out of service, and warnings
    Check {
        /// The zone file.
        file: PathBuf,
        /// What the zone stands beside.
        #[command(flatten)]
        zone: ZoneArgs,
    },
}

/// The settings that say which names of a zone are the catalog's.
#[derive(Debug, Args)]
pub struct ZoneArgs {
    /// Configuration file (TOML)
    #[arg(short = 'c', long = "config", value_name = "FILE", env = "NAMEPLATE_CONFIG")]
    pub config: Option<PathBuf>,
    /// Domain under which services are answered [default: internal]
    #[arg(long, value_name = "NAME")]
    pub domain: Option<String>,
    /// Further domain under which every name works too; may be repeated
    #[arg(long, value_name = "NAME")]
    pub alt_domain: Vec<String>,
    /// Our datacenter [default: dc1]
    #[arg(long, value_name = "NAME")]
    pub datacenter: Option<String>,
}

impl ZoneArgs {
    /// These settings, as `serve` takes them.
    pub fn settings(&self) -> ServeArgs {
        ServeArgs {
            config: self.config.clone(),
            domain: self.domain.clone(),
            alt_domain: self.alt_domain.clone(),
            datacenter: self.datacenter.clone(),
            // Nothing is kept, so that a user without a home can check a zone too.
            data_dir: Some(".".to_owned()),
            ..ServeArgs::default()
        }
    }
}

/// What to do with settings.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct ConfigArgs {
    /// Prints the settings in force if it is left out.
    #[command(subcommand)]
    pub action: Option<ConfigAction>,
    /// The settings.
    #[command(flatten)]
    pub settings: ServeArgs,
}

/// What to do with a configuration file.
#[derive(Debug, Subcommand)]
pub enum ConfigAction {
    /// Checks a configuration file, and tells every problem at once
    Check {
        /// The file.
        file: PathBuf,
    },
}

impl ServeArgs {
    /// Keys with the values of the flags that were given.
    pub fn flags(&self) -> Vec<(&'static str, Vec<String>)> {
        let one = |value: &Option<String>| value.iter().cloned().collect::<Vec<String>>();
        let set = |flag: bool| if flag { vec!["true".to_owned()] } else { Vec::new() };
        let mut flags = vec![
            ("dns", self.dns.clone()),
            ("docker_dns", one(&self.docker_dns)),
            ("http", one(&self.http)),
            ("http_tls_cert", one(&self.http_tls_cert)),
            ("http_tls_key", one(&self.http_tls_key)),
            ("http_tls_client_ca", one(&self.http_tls_client_ca)),
            ("http_hosts", self.http_hosts.clone()),
            ("access", one(&self.access)),
            ("access_anonymous", one(&self.access_anonymous)),
            ("access_tokens", one(&self.access_tokens)),
            ("domain", one(&self.domain)),
            ("alt_domain", self.alt_domain.clone()),
            ("datacenter", one(&self.datacenter)),
            ("node", one(&self.node)),
            ("advertise", self.advertise.clone()),
            ("workers", one(&self.workers)),
            ("data_dir", one(&self.data_dir)),
            ("ephemeral", set(self.ephemeral)),
            ("store", one(&self.store)),
            ("store_adopt", one(&self.store_adopt)),
            ("etcd_services", one(&self.etcd_services)),
            ("etcd_skydns", one(&self.etcd_skydns)),
            ("zones", one(&self.zones)),
            ("services", one(&self.services)),
            ("docker", one(&self.docker)),
            ("docker_address", one(&self.docker_address)),
            ("docker_ip", one(&self.docker_ip)),
            ("docker_ip_label", one(&self.docker_ip_label)),
            ("docker_network", one(&self.docker_network)),
            ("docker_explicit", set(self.docker_explicit)),
            ("docker_tags", one(&self.docker_tags)),
            ("docker_name", one(&self.docker_name)),
            ("docker_deregister", one(&self.docker_deregister)),
            ("forward", self.forward.clone()),
            ("log", one(&self.log)),
            ("log_format", one(&self.log_format)),
        ];
        flags.retain(|(_, values)| !values.is_empty());
        flags
    }
}
