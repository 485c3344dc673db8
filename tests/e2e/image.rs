//! nameplate in an image of its own: what packaging/ has, on a real Docker daemon.
//!
//! The image is packaging/Dockerfile's, FROM scratch, with the program that packaging/build-static makes; so nothing is
//! pulled, and nothing is compiled in a container.

use std::{
    fs,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use crate::{
    dns::{A, Asker},
    dockerd::Docker,
    http,
    sandbox::{Process, scenario},
    server::ready,
    until::{SOON, until},
};

/// The image.
pub const IMAGE: &str = "nameplate";

/// Where a server in a container finds the daemon's socket: in a folder of the host's, so that it finds that of a daemon
/// which has started anew, too.
pub const SOCKET: &str = "/sockets/docker.sock";

/// Builds the image, from the program alone.
pub fn build(docker: &Docker<'_>) {
    let sandbox = docker.sandbox;
    let program = static_program();
    sandbox.write("image/Dockerfile", &packaged("Dockerfile"));
    fs::copy(&program, sandbox.file("image/nameplate")).unwrap();
    sandbox.run("chmod 755 image/nameplate");
    let build = docker.command(&format!("build --quiet --build-arg PROGRAM=prebuilt --tag {IMAGE} image"));
    sandbox.run(&format!("DOCKER_BUILDKIT=1 {build}"));
}

/// Starts a server in a container on the host's network, with the daemon's socket; returns when it is ready. Its catalog is in
/// the sandbox's folder `data`.
#[track_caller]
pub fn serve<'a>(docker: &Docker<'a>, options: &str) -> Process<'a> {
    let folder = docker.sandbox.folder().display();
    let mounts = format!("-v {folder}/data:/data -v {folder}/sockets:/sockets:ro");
    let run = docker
        .command(&format!("run --name nameplate --network host --cpu-shares 4096 {mounts} {IMAGE} serve {options}"));
    let process = docker.sandbox.start("nameplate", &run);
    ready();
    process
}

/// The program, linked statically: the one that is named, else built now.
fn static_program() -> PathBuf {
    let program = std::env::var_os("NAMEPLATE_E2E_PROGRAM").map_or_else(build_static, PathBuf::from);
    let told = Command::new("ldd").arg(&program).output().expect("ldd is there: Debian package libc-bin");
    let told = String::from_utf8_lossy(&told.stdout) + String::from_utf8_lossy(&told.stderr);
    let is_static = told.contains("statically linked") || told.contains("not a dynamic executable");
    assert!(
        is_static,
        "{} needs libraries; packaging/build-static makes one that does not:\n{told}",
        program.display()
    );
    program
}

fn build_static() -> PathBuf {
    let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/build-static"));
    // What cargo tells its tests would have build scripts run again.
    for (name, _) in std::env::vars_os() {
        let word = name.to_string_lossy();
        if word.starts_with("CARGO") && !["CARGO_HOME", "CARGO_TARGET_DIR"].contains(&&*word) {
            command.env_remove(&name);
        }
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "packaging/build-static: {}", String::from_utf8_lossy(&output.stderr));
    PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
}

fn packaged(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging").join(name)).unwrap()
}

#[test]
fn the_compose_file_runs_the_image_and_keeps_its_catalog() {
    scenario("image", |sandbox| {
        sandbox.needs(&["docker-compose"], "docker-compose");
        let docker = Docker::start(sandbox, "--bip 172.17.0.1/16");
        build(&docker);
        docker.run(&format!("create --name look {IMAGE}"));
        let files = sandbox.run(&format!("{} | tar -t", docker.command("export look")));
        let ours: Vec<_> =
            files.lines().filter(|path| !path.ends_with('/') && !MADE_BY_DOCKER.contains(path)).collect();
        assert_eq!(ours, ["nameplate"], "FROM scratch");

        // What the file says of the machine that it is for.
        let compose = packaged("compose.yaml");
        let address = "192.0.2.10";
        assert!(compose.contains(&format!("\"{address}:53\"")), "it names an address on port 53");
        sandbox.run(&format!(
            "ip address add {address}/32 dev lo; ln -s {}/docker.sock /run/",
            sandbox.folder().display()
        ));
        sandbox.write("packaging/compose.yaml", &compose);
        let compose = |words: &str| {
            let folder = sandbox.folder().display();
            sandbox
                .run(&format!("docker-compose -H unix://{folder}/docker.sock -f packaging/compose.yaml {words} 2>&1"))
        };
        let mut asker = Asker::new((address.parse::<Ipv4Addr>().unwrap(), 53));
        compose("up -d --no-build");
        ready();
        docker.run("exec packaging_nameplate_1 /nameplate register web --port 80 --address 192.0.2.80");
        compose("down");
        compose("up -d --no-build");
        ready();
        assert_eq!(asker.ask("web", A).unwrap().addresses, [Ipv4Addr::new(192, 0, 2, 80)]);
        // Docker's containers are known to it, and its own is not one more instance of itself.
        let labels = "--label SERVICE_IGNORE= --label SERVICE_NAME=other --expose 80";
        docker.run(&format!("run -d {labels} {IMAGE} serve --ephemeral"));
        until("a container is a service", SOON, || {
            (http::read("/v1/catalog/service/other").as_array().unwrap().len() == 1).then_some(())
        });
        assert_eq!(http::read("/v1/catalog/service/nameplate").as_array().unwrap().len(), 1);
        let health = || docker.run("inspect -f '{{.State.Health.Status}}' packaging_nameplate_1");
        until("Docker sees it healthy", HEALTHY_MAX, || (health().trim() == "healthy").then_some(()));

        docker.run("kill --signal TERM packaging_nameplate_1");
        let code = "inspect -f '{{.State.Running}} {{.State.ExitCode}}' packaging_nameplate_1";
        until("it has stopped in order", SOON, || (docker.run(code).trim() == "false 0").then_some(()));
    });
}

/// What Docker puts into every container.
const MADE_BY_DOCKER: [&str; 6] =
    [".dockerenv", "dev/console", "etc/hostname", "etc/hosts", "etc/mtab", "etc/resolv.conf"];

/// Most time until a container is healthy. Source: its Dockerfile's 10 s between two looks, with room.
const HEALTHY_MAX: Duration = Duration::from_secs(40);
