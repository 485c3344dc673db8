//! Commands in a container of a real Docker daemon: what they say, what the container does, and what the daemon does.

use serde_json::json;

use super::{Check, Shown, nameplate, shown};
use crate::{
    dockerd::Docker,
    http, images,
    sandbox::scenario,
    server::Place,
    until::{SOON, until},
};

#[test]
fn a_check_says_what_a_command_in_a_container_says() {
    scenario("checks-docker", |sandbox| {
        let docker = Docker::start(sandbox, OPTIONS).has_images();
        docker.run(&format!("run -d --name web {} sleep 100000", images::BUSYBOX));
        does(&docker, "echo fine");
        let _server = nameplate(sandbox, &format!("--docker {}", Place::Host.socket(&docker)));
        let check = |id, script, shell, shown| {
            let definition = json!({ "DockerContainerID": "web", "ScriptArgs": [script], "Shell": shell });
            Check::always(id, definition, shown).register();
        };
        check("probe", "sh /probe", "/bin/sh", ("passing", ""));
        check("no-shell", "sh /probe", "/bin/none", ("critical", ""));
        shown(&[("probe", FINE), ("no-shell", ("critical", "/bin/none"))], SOON);

        for (script, expected) in [
            ("echo 'slow | load=3'; exit 1", ("warning", "slow\nperfdata: load=3")),
            ("echo 'broken' >&2; exit 2", ("critical", "broken")),
            ("echo fine", FINE),
            ("exit 3", ("critical", "exit status 3, and no output")),
            ("echo fine; echo aside >&2", FINE),
            ("busybox yes | busybox head -c 9999999 | busybox tr -d '\\n'; exit 2", ("critical", "yyyyyyyy")),
            ("echo fine", FINE),
            ("echo begun; exec sleep 100000", ("critical", "timed out after 2s\nbegun")),
            ("echo fine", FINE),
        ] {
            does(&docker, script);
            shown(&[("probe", expected)], SOON);
            let said = http::read("/v1/agent/checks")["probe"]["Output"].as_str().unwrap().len();
            assert!(said <= 4096, "{script}: {said} bytes");
        }
        for (words, expected) in [
            ("pause web", ("critical", "paused")),
            ("unpause web", FINE),
            ("stop -t 0 web", ("critical", "not running")),
            ("start web", FINE),
            ("rename web shop", ("critical", "No such container")),
            ("rename shop web", FINE),
        ] {
            docker.run(words);
            shown(&[("probe", expected)], SOON);
        }

        // A daemon that hangs, or is gone, says nothing of the container.
        stays(|| drop(sandbox.run("kill -STOP $(cat dockerd.pid)")));
        docker.kill();
        stays(|| {});
        let docker = Docker::start(sandbox, OPTIONS);
        does(&docker, "echo down; exit 2");
        shown(&[("probe", ("critical", "down"))], SOON);
        docker.run("rm -f web");
        shown(&[("probe", ("critical", ""))], SOON);
    });
}

/// From now on this is the script that the check runs.
fn does(docker: &Docker<'_>, script: &str) {
    docker.sandbox.write("probe", script);
    // All at once, because it may be read at any time.
    docker.run("exec -i web sh -c 'cat >/next && busybox mv /next /probe' <probe");
}

/// Does this; the check stays passing while two more probes could not be made, and says that they were not.
fn stays(change: impl FnOnce()) {
    let not_made = || {
        let metrics = http::request("GET", "/metrics", "").unwrap().body;
        let lines = metrics.lines().filter(|line| line.starts_with("nameplate_checks_not_made_total"));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum::<u64>()
    };
    change();
    let before = not_made();
    until("probes could not be made", SOON, || (not_made() >= before + 2).then_some(()));
    shown(&[("probe", ("passing", "not probed: "))], SOON);
}

const FINE: Shown<'_> = ("passing", "fine");

/// Without its daemon a container goes on.
const OPTIONS: &str = "--live-restore";
