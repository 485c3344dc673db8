//! `nameplate exec` beside a real Docker daemon: its links, and itself as the first process of a container.

use std::collections::BTreeSet;

use crate::{
    dockerd::Docker,
    http, image, images,
    sandbox::scenario,
    server::serve,
    until::{SOON, until},
};

#[test]
fn a_link_gives_the_variables_that_docker_gives() {
    scenario("link", |sandbox| {
        let docker = Docker::start(sandbox, "--bip 172.17.0.1/16").has_images();
        let socket = format!("unix://{}/docker.sock", sandbox.folder().display());
        let _server = serve(sandbox, &format!("--ephemeral --forward off --docker {socket} --docker-ip 192.0.2.10"));
        let ports = "--expose 5432 --expose 8125/udp --expose 70 --expose 71 --expose 9000-9003 --expose 9001/udp";
        let variables = "-e PGDATA=/data -e EMPTY= -e SPACE='a b' -e PAIR=a=b -e lower=1 -e HOME=/nowhere";
        docker.run(&format!("run -d --name db {ports} {variables} {} sleep 100000", images::BUSYBOX));
        docker.run(&format!("run -d --name bare {} sleep 100000", images::BUSYBOX));
        for link in ["db:pg", "db", "db:my-db.1", "bare:b"] {
            // Docker calls the program by its container's name, nameplate by the service's.
            let dockers = docker.run(&format!("run --rm --name app --link {link} {} env", images::BUSYBOX));
            let exec = format!("DOCKER_HOST={socket} nameplate exec --name app --port 80 --link {link} -- env");
            let ours = sandbox.run(&exec);
            let alias = link.rsplit(':').next().unwrap().to_uppercase().replace('-', "_");
            let linked = |printed: &str| {
                let lines = printed.lines().filter(|line| line.starts_with(&format!("{alias}_")));
                lines.map(str::to_owned).collect::<BTreeSet<_>>()
            };
            assert_eq!(linked(&ours), linked(&dockers), "--link {link}");
            assert!(linked(&dockers).contains(&format!("{alias}_NAME=/app/{}", link.rsplit(':').next().unwrap())));
            assert_eq!(linked(&dockers).len() > 1, link != "bare:b", "{dockers}");
        }

        // By a service's name it is where the catalog says, under the number that the container itself listens on.
        let shop = "-p 15432:5432 -e SERVICE_NAME=orders";
        docker.run(&format!("run -d --name shop {shop} {} sleep 100000", images::BUSYBOX));
        let linked = || sandbox.attempt("nameplate exec --link orders:my-db -- env").stdout;
        let printed = until("the service is there", SOON, || Some(linked()).filter(|printed| !printed.is_empty()));
        let printed = String::from_utf8(printed).unwrap();
        for line in ["MY_DB_PORT=tcp://192.0.2.10:15432", "MY_DB_PORT_5432_TCP_PORT=15432"] {
            assert!(printed.lines().any(|printed| printed == line), "{line}:\n{printed}");
        }

        docker.run("stop -t 0 bare");
        let refused = sandbox.attempt("nameplate exec --link bare -- env");
        assert_eq!(refused.status.code(), Some(1), "{}", String::from_utf8_lossy(&refused.stderr));
    });
}

#[test]
fn the_first_process_of_a_container_reaps_and_leaves_before_it_stops() {
    scenario("first", |sandbox| {
        let docker = Docker::start(sandbox, "--bip 172.17.0.1/16").has_images();
        image::build(&docker);
        let _server = serve(sandbox, "--ephemeral --forward off");
        let mount = format!("-v {}/image/nameplate:/nameplate:ro", sandbox.folder().display());
        // Its own children live on without their parents, and end one after the other.
        sandbox.write(
            "first/run",
            "trap 'exit 4' TERM; for i in 1 2 3; do (sleep 0.$i &); done; while :; do sleep 0.05; done\n",
        );
        let script = format!("-v {}/first:/first:ro", sandbox.folder().display());
        let exec = "/nameplate exec --name inside --port 80 -- sh /first/run";
        docker.run(&format!("run -d --name first --network host {mount} {script} {} {exec}", images::BUSYBOX));
        let registered = || http::read("/v1/agent/services").get("inside-80").is_some();
        until("it is registered", SOON, || registered().then_some(()));
        let processes = || docker.run("exec first sh -c 'cat /proc/[0-9]*/stat 2>/dev/null; true'");
        until("the orphans are gone, and no zombie is left", SOON, || {
            let processes = processes();
            let ended = processes.lines().filter(|line| line.contains(") Z ")).count();
            let children = processes.lines().filter(|line| line.contains("(sleep) ")).count();
            (ended == 0 && children <= 1 && processes.contains("(nameplate) ")).then_some(())
        });
        docker.run("stop -t 10 first");
        assert_eq!(docker.run("inspect -f '{{.State.ExitCode}}' first").trim(), "4");
        assert!(!registered());
    });
}
