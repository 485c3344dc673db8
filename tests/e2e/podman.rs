//! Podman in Docker's place: the plain cases.

use crate::{
    containers::{HOST, LOOPBACK, gone, outside, silent, sought},
    dns::{A, NXDOMAIN},
    images,
    sandbox::{Sandbox, scenario},
    server::serve,
    until::{SOON, until},
};

#[test]
fn podmans_containers_are_answered() {
    scenario("podman", |sandbox| {
        sandbox.needs(&["podman"], "podman");
        sandbox.needs(&["conmon"], "conmon");
        sandbox.needs(&["/usr/lib/podman/netavark"], "netavark");
        sandbox.needs(&["docker"], "docker.io");
        let folder = sandbox.folder().display();
        sandbox.write("containers.conf", CONTAINERS_CONF);
        let service = format!(
            "env CONTAINERS_CONF={folder}/containers.conf podman --root {folder}/root --runroot {folder}/runroot \
             --tmpdir {folder}/podman-tmp system service -t 0 unix://{folder}/podman.sock"
        );
        let _podman = sandbox.start("podman", &service);
        let run = |words: &str| sandbox.run(&format!("docker -H unix://{folder}/podman.sock {words}"));
        until("Podman is up", SOON, || {
            sandbox.attempt(&format!("docker -H unix://{folder}/podman.sock version")).status.success().then_some(())
        });
        images::make(sandbox);
        sandbox.run(&format!(
            "tar -C images/busybox -c . | docker -H unix://{folder}/podman.sock import - {}",
            images::BUSYBOX
        ));
        sandbox.run(&format!("ip address add {HOST}/32 dev lo"));
        let listen = format!("--dns {LOOPBACK}:53 --advertise {HOST}");
        let server = serve(sandbox, &options(sandbox, &listen));

        let httpd = format!("{} httpd -f -p 80 -h /www", images::BUSYBOX);
        run(&format!("run -d --name web -p 8080:80 -e SERVICE_TAGS=blue {httpd}"));
        for name in ["busybox.service.internal", "blue.busybox.service.internal", "web.service.internal", "web"] {
            sought(name, &[HOST], &[8080]);
        }
        run("pause web");
        silent("web", "paused");
        run("unpause web");
        sought("web", &[HOST], &[8080]);
        run("rename web shop");
        sought("shop", &[HOST], &[8080]);
        assert_eq!(outside("web", A).rcode, NXDOMAIN);
        run("stop -t 0 shop");
        gone("shop");
        run("start shop");
        sought("shop", &[HOST], &[8080]);
        drop(server);
        let _server = serve(sandbox, &options(sandbox, &listen));
        sought("shop", &[HOST], &[8080]);
        run("rm -f shop");
        gone("busybox.service.internal");
    });
}

fn options(sandbox: &Sandbox, listen: &str) -> String {
    let folder = sandbox.folder().display();
    format!("--ephemeral --forward off --docker unix://{folder}/podman.sock {listen}")
}

/// Limits that a machine's own may not be below; crun would refuse control groups of both versions side by side.
const CONTAINERS_CONF: &str = r#"
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1000:1000"]

[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
"#;
