use std::{fs, os::unix::fs::PermissionsExt, time::Duration};

use super::*;

const BOUNDS: Bounds = Bounds { timeout: Duration::from_secs(20), output_max_bytes: 4096 };

/// Answers by the name of the unit, in words and exit statuses of systemctl's.
const FAKE: &str = "#!/bin/sh
[ \"$1 $2 $#\" = 'is-active -- 3' ] || { echo 'wrong arguments' >&2; exit 64; }
case $3 in
  web.service) echo active ;;
  slow.service) exec sleep 1000 ;;
  mute.service) exit 1 ;;
  bus.service) echo 'System has not been booted with systemd' >&2; exit 1 ;;
  *.service) echo ${3%.service}; exit 3 ;;
esac
";

async fn ask(unit: &str, bounds: Bounds) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("systemctl");
    fs::write(&program, FAKE).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let commands = Commands::new(Some(format!("{}:/usr/bin:/bin", folder.path().display()).into()));
    loop {
        // Another test's child may have had the file open, still to be written to, until its program began.
        match probe(&commands, unit, bounds).await {
            Outcome::NotMade(_) => {}
            outcome => return outcome,
        }
    }
}

#[tokio::test]
async fn the_state_of_a_unit_is_the_verdict() {
    for (unit, status, word) in [
        ("web", CheckStatus::Passing, "active"),
        ("activating", CheckStatus::Warning, "activating"),
        ("deactivating", CheckStatus::Warning, "deactivating"),
        ("reloading", CheckStatus::Warning, "reloading"),
        ("inactive", CheckStatus::Critical, "inactive"),
        ("failed", CheckStatus::Critical, "failed"),
        ("unknown", CheckStatus::Critical, "unknown"),
        ("mute", CheckStatus::Critical, "systemctl said nothing"),
        ("bus", CheckStatus::Critical, "System has not been booted with systemd"),
    ] {
        let output = format!("unit {unit}.service: {word}");
        assert_eq!(ask(&format!("{unit}.service"), BOUNDS).await, Outcome::Done { status, output });
    }
}

#[tokio::test]
async fn a_systemctl_that_hangs_is_critical() {
    let bounds = Bounds { timeout: Duration::from_secs(1), ..BOUNDS };
    assert_eq!(ask("slow.service", bounds).await, Outcome::critical("unit slow.service: systemctl timed out after 1s"));
}

#[tokio::test]
async fn an_option_is_no_unit() {
    for unit in ["--help", "-H", ""] {
        let words = format!("{unit:?} cannot be the name of a unit");
        assert_eq!(ask(unit, BOUNDS).await, Outcome::critical(words));
    }
}

#[tokio::test]
async fn without_systemctl_all_units_are_critical() {
    let folder = tempfile::tempdir().unwrap();
    let commands = Commands::new(Some(folder.path().into()));
    assert_eq!(probe(&commands, "web.service", BOUNDS).await, Outcome::critical("no systemctl in PATH"));
}
