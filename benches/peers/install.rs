//! The peers, from Debian: installed when root, without starting a service.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Mutex,
};

use anyhow::{Context, Result, bail, ensure};

use crate::process::lock;

/// Installs what is missing of NSD, Knot, nginx, wrk and etcd.
pub fn install() -> Result<()> {
    let missing: Vec<&str> =
        PACKAGES.iter().filter(|(_, program)| find(program).is_none()).map(|(name, _)| *name).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages = missing.join(" ");
    if !rustix::process::geteuid().is_root() {
        bail!("missing Debian packages; as root: apt-get install --no-install-recommends {packages}");
    }
    // A policy that is there holds again afterwards.
    let before = fs::read(POLICY).ok();
    *lock(&BEFORE) = Some(before);
    let result = with_policy(&missing);
    clean_up();
    result.with_context(|| format!("installing {packages}"))
}

/// Puts the policy about starting services back, if it is ours.
pub fn clean_up() {
    let Some(before) = lock(&BEFORE).take() else { return };
    let _ = match before {
        Some(before) => fs::write(POLICY, before),
        None => fs::remove_file(POLICY),
    };
}

/// Where a program is, also outside of an ordinary user's path.
pub fn find(program: &str) -> Option<PathBuf> {
    ["/usr/sbin", "/usr/bin"].iter().map(|folder| Path::new(folder).join(program)).find(|path| path.exists())
}

fn with_policy(packages: &[&str]) -> Result<()> {
    fs::write(POLICY, "#!/bin/sh\n# Of nameplate, benches/peers: no service starts.\nexit 101\n")?;
    fs::set_permissions(POLICY, fs::Permissions::from_mode(0o755))?;
    apt_get(&["update", "--quiet"])?;
    let install = ["install", "--yes", "--quiet", "--no-install-recommends"];
    apt_get(&install.iter().chain(packages).copied().collect::<Vec<_>>())
}

fn apt_get(arguments: &[&str]) -> Result<()> {
    let status = Command::new("apt-get")
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()?;
    ensure!(status.success(), "apt-get {}: {status}", arguments.join(" "));
    Ok(())
}

/// The policy that was there when ours took its place.
static BEFORE: Mutex<Option<Option<Vec<u8>>>> = Mutex::new(None);

const POLICY: &str = "/usr/sbin/policy-rc.d";

/// Packages, and a program of each.
const PACKAGES: &[(&str, &str)] =
    &[("nsd", "nsd"), ("knot", "knotd"), ("nginx-light", "nginx"), ("wrk", "wrk"), ("etcd-server", "etcd")];
