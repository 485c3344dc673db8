//! Clients that nobody here wrote: Python libraries for Consul, used as their documentation shows. What they do stands in
//! `tests/clients/*.py`.

use std::path::{Path, PathBuf};

use crate::{
    sandbox::{Sandbox, scenario},
    server::serve,
};

#[test]
fn py_consul_finds_a_consul() {
    scenario("py-consul", |sandbox| {
        let _server = serve(sandbox, SETTINGS);
        run(sandbox, "py-consul", "py_consul");
    });
}

#[test]
fn python_consul_finds_a_consul() {
    scenario("python-consul", |sandbox| {
        let _server = serve(sandbox, SETTINGS);
        run(sandbox, "python-consul", "python_consul");
    });
}

#[test]
fn py_consul_makes_and_uses_tokens() {
    scenario("py-consul-acl", |sandbox| {
        let _server = serve(sandbox, &format!("{SETTINGS} --access on"));
        run(sandbox, "py-consul", "py_consul_acl");
    });
}

#[test]
fn python_consul_uses_tokens() {
    scenario("python-consul-acl", |sandbox| {
        let _server = serve(sandbox, &format!("{SETTINGS} --access on"));
        run(sandbox, "python-consul", "python_consul_acl");
    });
}

/// Runs a script of `tests/clients` with this library.
#[track_caller]
fn run(sandbox: &Sandbox, library: &str, script: &str) {
    let environment = environment();
    let (python, library) = (environment.join("bin/python"), environment.join(library));
    assert!(library.exists(), "{} is missing: tests/run step prepare_clients", library.display());
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients");
    let script = scripts.join(script).with_extension("py");
    let paths = format!("PYTHONPATH={}", library.display());
    let printed = sandbox.run(&format!("{paths} {} -B {}", python.display(), script.display()));
    assert!(printed.lines().any(|line| line.ends_with(" done")), "each area is told when it is done:\n{printed}");
}

/// Where `tests/run` keeps the Python environment: in the build folder, two above that of the profile's programs.
pub fn environment() -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_nameplate")).ancestors().nth(2).unwrap().join("clients")
}

/// A server as the scripts expect it.
const SETTINGS: &str = "--ephemeral --forward off --docker off --node n1 --advertise 192.0.2.1";
