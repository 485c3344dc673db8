//! `nameplate export`: all registrations as JSON lines, while the server goes on.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use anyhow::Context;
use serde_json::json;

use super::{Verdict, args::ExportArgs, print};
use crate::api::client::{Client, Download};

/// Writes all registrations to a file or to standard output. What was written is told on the other one.
pub(super) async fn export(client: &Client, args: &ExportArgs) -> anyhow::Result<Verdict> {
    let mut download = client.download(&["export"]).await?;
    let counts = Counts::of(&download);
    let file = args.file.as_deref().filter(|path| *path != Path::new("-"));
    match file {
        Some(path) => {
            let mut target = Target::create(path).with_context(|| format!("cannot write {}", path.display()))?;
            copy(&mut download, &mut target.file, counts.lines()).await?;
            target.finish(path).with_context(|| format!("cannot write {}", path.display()))?;
        }
        None => {
            if !copy(&mut download, &mut io::stdout().lock(), counts.lines()).await? {
                return Ok(Verdict::Done);
            }
        }
    }
    let told = if args.server.json { format!("{:#}\n", counts.json()) } else { counts.text() };
    if file.is_some() {
        return print(&told);
    }
    eprint!("{told}");
    Ok(Verdict::Done)
}

/// Copies all lines. False: the reader has gone away, as `head` does.
async fn copy(download: &mut Download<'_>, to: &mut impl Write, expected: u64) -> anyhow::Result<bool> {
    let mut lines = 0;
    while let Some(piece) = download.next().await? {
        lines += piece.iter().filter(|byte| **byte == b'\n').count() as u64;
        match to.write_all(&piece) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(false),
            written => written.context("cannot write what was exported")?,
        }
    }
    anyhow::ensure!(lines == expected, "the server announced {expected} lines and sent {lines}; export again");
    match to.flush() {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        flushed => Ok(flushed.map(|()| true)?),
    }
}

/// A file that comes in place when it is complete; else it is removed.
struct Target {
    file: File,
    beside: PathBuf,
    kept: bool,
}

impl Target {
    /// Readable for its owner only, because meta and headers of checks may hold secrets.
    fn create(path: &Path) -> io::Result<Target> {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".new");
        let beside = path.with_file_name(name);
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        Ok(Target { file, beside, kept: false })
    }

    fn finish(mut self, path: &Path) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.beside, path)?;
        self.kept = true;
        Ok(())
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if !self.kept {
            // What was interrupted is of no use; if it cannot be removed, its name says what it is.
            let _ = fs::remove_file(&self.beside);
        }
    }
}

/// How many lines the server announces, by kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Counts {
    nodes: u64,
    services: u64,
    checks: u64,
    left_out: u64,
}

impl Counts {
    fn of(download: &Download<'_>) -> Counts {
        let count = |name: &str| download.count(name).unwrap_or(0);
        Counts {
            nodes: count("x-nameplate-nodes"),
            services: count("x-nameplate-services"),
            checks: count("x-nameplate-checks"),
            left_out: count("x-nameplate-left-out"),
        }
    }

    fn lines(self) -> u64 {
        self.nodes + self.services + self.checks
    }

    fn json(self) -> serde_json::Value {
        let Counts { nodes, services, checks, left_out } = self;
        json!({ "Nodes": nodes, "Services": services, "Checks": checks, "LeftOut": left_out })
    }

    fn text(self) -> String {
        let Counts { nodes, services, checks, left_out } = self;
        let mut text = format!("exported {nodes} nodes, {services} services, {checks} checks\n");
        if left_out > 0 {
            text.push_str(&format!("left out {left_out} checks of services that another source registers\n"));
        }
        text
    }
}

#[cfg(test)]
#[path = "export_tests.rs"]
mod tests;
