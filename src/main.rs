//! The `nameplate` program: everything is in the library.

use std::process::ExitCode;

use clap::Parser;
use mimalloc::MiMalloc;
use nameplate::{
    cli::{self, CommandLine},
    daemon,
};

/// Fewer bytes a registration than the system's, and far fewer after many changes (docs/benchmarks.md).
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    // Fails only where a provider is installed already, and then there is one. Without it rustls would choose among
    // those that dependencies bring, and panic when there are two.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match cli::run(CommandLine::parse(), daemon::serve) {
        Ok(verdict) => verdict.exit_code(),
        Err(error) => {
            // The chain in one line; settings have a line for each that is wrong.
            for line in format!("{error:#}").lines() {
                eprintln!("nameplate: {line}");
            }
            cli::exit_code(&error)
        }
    }
}
