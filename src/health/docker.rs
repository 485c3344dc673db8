//! Docker probes: a command inside a running container, by the daemon's API; its exit status is read as a script's.
//!
//! | what happens | verdict |
//! |---|---|
//! | exit 0, 1, any other | passing, warning, critical |
//! | no such container; it does not run or is paused; the command cannot be executed in it | critical |
//! | the timeout, once the command runs | critical |
//! | the daemon is away, silent, or says what cannot be read | none: it tells nothing of the container, so the status stays |
//! | checks of this origin may run no commands | none: the status stays |
//!
//! | bound | value |
//! |---|---|
//! | commands at once | 64, those of scripts included |
//! | output kept | the definition's, each of stdout and stderr; the rest is read and thrown away |
//!
//! **Limits:** a daemon cannot be told to end a command: one that hangs goes on in its container after the timeout.
//!
//! **Source:** Docker's Engine API 1.24 and later (exec create, start, inspect); Consul's Docker check, for which a daemon that is
//! away is critical.

use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

use super::{
    command::{Bounds, Commands},
    probe::{Outcome, cut_to, deadline, within},
    script::{output, status_of_code},
};
use crate::{
    catalog::check::DockerExecCheck,
    sources::docker::client::{Client, ClientError, Endpoint, first_socket},
};

/// Runs a check's command once, by the first of these daemons that is there.
pub(super) async fn probe(
    daemons: &[Endpoint],
    commands: &Commands,
    check: &DockerExecCheck,
    bounds: Bounds,
) -> Outcome {
    let Some(daemon) = first_socket(daemons) else {
        return Outcome::NotMade("no Docker daemon is known here".to_owned());
    };
    let name = &check.container;
    if name.is_empty() || !name.bytes().all(is_of_name) {
        return Outcome::critical(format!("{name:?} cannot be the name of a container"));
    }
    let _place = commands.place().await;
    let mut said = Said { most: bounds.output_max_bytes, ..Said::default() };
    let ended = within(deadline(bounds.timeout), run(daemon.clone(), check, &mut said)).await;
    let text = output(&said.stdout, &said.stderr);
    match ended {
        Some(Ok(code)) => {
            let text = if text.is_empty() { format!("exit status {code}, and no output") } else { text };
            let output = cut_to(&text, bounds.output_max_bytes).to_owned();
            Outcome::Done { status: status_of_code(Some(code)), output }
        }
        Some(Err(Failed::Container(problem))) => Outcome::critical(format!("container {name}: {problem}")),
        Some(Err(Failed::Daemon(problem))) => Outcome::NotMade(problem),
        None if said.started => {
            let text = format!("timed out after {:?}\n{text}", bounds.timeout);
            Outcome::critical(cut_to(text.trim_end(), bounds.output_max_bytes))
        }
        None => Outcome::NotMade(format!("{daemon}: no answer within {:?}", bounds.timeout)),
    }
}

/// Why a command has no exit status.
#[derive(Debug)]
enum Failed {
    /// It lies with the container, or with the command in it.
    Container(String),
    /// It lies with the daemon.
    Daemon(String),
}

impl From<ClientError> for Failed {
    fn from(error: ClientError) -> Failed {
        match error {
            // 400, 404, 409: the container is not there, does not run, or has no such program.
            ClientError::Refused { status, message, .. } if status.is_client_error() => Failed::Container(message),
            error => Failed::Daemon(error.to_string()),
        }
    }
}

/// What a command has said so far.
#[derive(Debug, Default)]
struct Said {
    started: bool,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    most: usize,
    /// The header of the frame that comes next, as far as it has come.
    header: Vec<u8>,
    /// What is still to come of the frame.
    left: usize,
}

impl Said {
    /// Takes in what has come of frames: a stream's number, three bytes, a length, so much of the stream.
    fn push(&mut self, mut piece: &[u8]) -> Result<(), Failed> {
        while !piece.is_empty() {
            if self.left == 0 {
                let count = (HEADER_BYTES - self.header.len()).min(piece.len());
                self.header.extend_from_slice(&piece[..count]);
                piece = &piece[count..];
                if self.header.len() < HEADER_BYTES {
                    return Ok(());
                }
                let (stream, length) = (self.header[0], &self.header[4..]);
                if stream > STDERR {
                    return Err(Failed::Daemon("what the daemon sends is no output of a command".to_owned()));
                }
                let length = <[u8; 4]>::try_from(length).map(u32::from_be_bytes).unwrap_or_default();
                self.left = usize::try_from(length).unwrap_or(usize::MAX);
                if self.left == 0 {
                    self.header.clear();
                }
                continue;
            }
            let count = self.left.min(piece.len());
            let kept = if self.header[0] == STDERR { &mut self.stderr } else { &mut self.stdout };
            let room = self.most.saturating_sub(kept.len()).min(count);
            kept.extend_from_slice(&piece[..room]);
            piece = &piece[count..];
            self.left -= count;
            if self.left == 0 {
                self.header.clear();
            }
        }
        Ok(())
    }
}

/// The output that these pieces are, as [`Said`] keeps it; none if they are no output.
pub(super) fn output_of<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, most: usize) -> Option<String> {
    let mut said = Said { most, ..Said::default() };
    pieces.into_iter().try_for_each(|piece| said.push(piece)).ok()?;
    Some(output(&said.stdout, &said.stderr))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Created {
    id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Inspected {
    running: bool,
    exit_code: Option<i64>,
}

/// Runs a command to its end and tells its exit status.
async fn run(daemon: Endpoint, check: &DockerExecCheck, said: &mut Said) -> Result<i64, Failed> {
    let client = Client::connect(daemon).await?;
    let wanted = json!({"AttachStdout": true, "AttachStderr": true, "Cmd": &check.args});
    let created = client.post(&format!("/containers/{}/exec", check.container), &wanted).await?;
    let created: Created = read(&created)?;
    if created.id.is_empty() || !created.id.bytes().all(is_of_name) {
        return Err(Failed::Daemon(format!("{:?} cannot be the ID of a command", created.id)));
    }
    let mut pieces = client.post_for_pieces(&format!("/exec/{}/start", created.id), &json!({"Detach": false})).await?;
    said.started = true;
    while let Some(piece) = pieces.next().await {
        said.push(&piece?)?;
    }
    let path = format!("/exec/{}/json", created.id);
    let mut looks = tokio::time::interval(LOOK_AGAIN);
    loop {
        looks.tick().await;
        // The output may end before the command does.
        if let Inspected { running: false, exit_code: Some(code) } = read(&client.get(&path).await?)? {
            return Ok(code);
        }
    }
}

fn read<T: for<'a> Deserialize<'a>>(document: &[u8]) -> Result<T, Failed> {
    serde_json::from_slice(document)
        .map_err(|error| Failed::Daemon(format!("what the daemon says is unknown: {error}")))
}

/// Whether a name or an ID may have this byte; Docker's own rule, and nothing that means something in a path.
fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_.-".contains(&byte)
}

/// Source: Docker's Engine API, attach: the stream format.
const HEADER_BYTES: usize = 8;

/// The last of the streams: 0 and 1 are standard output. Source: the same.
const STDERR: u8 = 2;

/// How often a command whose output has ended is looked at. Source: none, chosen.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

#[cfg(test)]
#[path = "docker_tests.rs"]
mod tests;
