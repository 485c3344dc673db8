//! What the server's process is given: threads and open files.

use std::io;

use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::runtime::{Builder, Runtime};

use crate::transport;

/// The threads for all tasks of a server. They give way to those that answer: probes are many, and no answer should wait for
/// their sum.
pub fn runtime() -> io::Result<Runtime> {
    Builder::new_multi_thread().enable_all().on_thread_start(transport::give_way).build()
}

/// Lets the process open as many files as it may.
pub fn raise_open_files() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::debug!(%error, "the limit of open files stays as it is");
    }
}
