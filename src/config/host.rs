//! What defaults need to know of the machine; read once, so that the rest of the configuration is pure.

use std::{fs, path::Path};

/// Facts on the machine and the process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Host {
    /// The host name, if it can be read.
    pub hostname: Option<String>,
    /// Whether the process runs as root.
    pub is_root: bool,
    /// Whether there is a directory `zones` in the working directory.
    pub has_zones_directory: bool,
}

impl Host {
    /// Reads the facts.
    pub fn read() -> Host {
        let read = |path: &str| fs::read_to_string(path).ok();
        let hostname = read("/proc/sys/kernel/hostname").or_else(|| read("/etc/hostname"));
        Host {
            hostname: hostname.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()),
            is_root: rustix::process::geteuid().is_root(),
            has_zones_directory: Path::new(ZONES_DIRECTORY).is_dir(),
        }
    }
}

/// Where static zones are looked for by default.
pub(super) const ZONES_DIRECTORY: &str = "zones";
