//! The command line.
//!
//! All verbs but `serve`, `zone`, `config` and `completions` speak to a running server, by HTTP only.
//!
//! | exit code | meaning |
//! |---|---|
//! | 0 | done |
//! | 1 | the answer is no: not found, not passing |
//! | 2 | wrong use or setting |
//! | 3 | server not reached |
//!
//! Those of `exec` are the program's ([`exec`]).
//!
//! **Limits:** answers go to standard output, everything else to standard error.

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::CommandFactory;

pub mod args;
mod exec;
mod export;
mod import;
mod read;
mod settings;
mod shapes;
mod table;
mod values;
mod write;
mod zone;

pub use args::CommandLine;

use crate::{
    api::client::{Client, ClientError, ClientTls, DEFAULT_SERVER},
    config::Config,
};
use args::{CacheAction, ConfigAction, Connection, ServerArgs, Verb, ZoneAction};

/// What a verb found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is done, or the answer is yes.
    Done,
    /// The answer is no.
    No,
    /// A program was run, and this is its exit code.
    Ended(u8),
}

impl Verdict {
    /// The exit code.
    pub fn exit_code(self) -> ExitCode {
        match self {
            Verdict::Done => ExitCode::from(DONE),
            Verdict::No => ExitCode::from(NO),
            Verdict::Ended(code) => ExitCode::from(code),
        }
    }
}

/// Does what the command line says; `serve` runs the server until it is told to stop.
pub fn run(line: CommandLine, serve: fn(Config) -> anyhow::Result<()>) -> anyhow::Result<Verdict> {
    match line.verb {
        Verb::Serve(flags) => {
            serve(settings::load(&flags)?)?;
            Ok(Verdict::Done)
        }
        Verb::Zone { action: ZoneAction::Check { file, zone } } => {
            zone::check(&file, &settings::warned(&zone.settings())?)
        }
        Verb::Config(config) => match config.action {
            Some(ConfigAction::Check { file }) => settings::check(&file),
            None => print(&settings::warned(&config.settings)?.to_toml()),
        },
        Verb::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut CommandLine::command(), "nameplate", &mut script);
            print(&String::from_utf8_lossy(&script))
        }
        verb => block_on(ask(verb)),
    }
}

/// The exit code of an error.
pub fn exit_code(error: &anyhow::Error) -> ExitCode {
    let code = match error.downcast_ref::<ClientError>() {
        Some(ClientError::Unreached { .. } | ClientError::NotUnderstood { .. }) => NOT_REACHED,
        Some(ClientError::Refused { status: 404 | 500.., .. }) => NO,
        _ => WRONG_USE,
    };
    ExitCode::from(code)
}

/// Does what is done by a running server.
async fn ask(verb: Verb) -> anyhow::Result<Verdict> {
    match verb {
        Verb::Register(register) => write::register(&client(&register.server)?, &register).await,
        Verb::Deregister(deregister) => write::deregister(&client(&deregister.server)?, &deregister).await,
        Verb::Exec(exec) => exec::exec(&connected(&exec.connection)?, &exec).await,
        Verb::Services(services) => read::services(&client(&services.server)?, &services).await,
        Verb::Instances(instances) => read::instances(&client(&instances.server)?, &instances).await,
        Verb::Query(query) => read::query(&client(&query.server)?, &query).await,
        Verb::Export(args) => export::export(&client(&args.server)?, &args).await,
        Verb::Import(args) => import::import(&client(&args.server)?, &args).await,
        Verb::Cache { action: CacheAction::Flush { name, server } } => {
            write::flush(&client(&server)?, name.as_deref(), &server).await
        }
        Verb::Serve(_) | Verb::Zone { .. } | Verb::Config(_) | Verb::Completions { .. } => {
            anyhow::bail!("this verb needs no server")
        }
    }
}

fn client(server: &ServerArgs) -> Result<Client, ClientError> {
    connected(&server.connection)
}

fn connected(connection: &Connection) -> Result<Client, ClientError> {
    // An empty variable is as good as none, as for settings.
    let url = if connection.server.is_empty() { DEFAULT_SERVER } else { &connection.server };
    // So is that of a file.
    let file = |path: &Option<PathBuf>| path.clone().filter(|path| !path.as_os_str().is_empty());
    let identity = file(&connection.client_cert).zip(file(&connection.client_key));
    let tls = ClientTls { ca_file: file(&connection.ca_file), identity };
    Client::with_tls(url, connection.token.as_deref(), &tls)
}

fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

/// Writes to standard output. A reader that has gone away, as `head` does, has seen enough.
fn print(text: &str) -> anyhow::Result<Verdict> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(Verdict::Done),
    }
}

const DONE: u8 = 0;
const NO: u8 = 1;
const WRONG_USE: u8 = 2;
const NOT_REACHED: u8 = 3;

#[cfg(test)]
#[path = "cli_tests.rs"]
mod tests;
