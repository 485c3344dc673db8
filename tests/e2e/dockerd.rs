//! A Docker daemon of a scenario's own, with what the scenarios run in containers.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
};

use crate::{
    images,
    sandbox::{Process, Sandbox},
    until::{SOON, until},
};

/// A Docker daemon in the sandbox. Dropped, it is killed, and its containers end with the sandbox.
pub struct Docker<'a> {
    /// The sandbox that it runs in.
    pub sandbox: &'a Sandbox,
    /// Where its files are.
    folder: PathBuf,
    daemon: Process<'a>,
}

impl<'a> Docker<'a> {
    /// Starts a daemon with these options beside those of its folders, and returns when it answers. All that start in
    /// one sandbox, one after the other, have the same images and containers.
    pub fn start(sandbox: &'a Sandbox, options: &str) -> Docker<'a> {
        Docker::start_in(sandbox, ("dockerd", sandbox.folder().to_owned()), ("", options))
    }

    /// The same on a host of the sandbox, which is a network namespace of this name; each may have a daemon of its own.
    pub fn start_on(sandbox: &'a Sandbox, host: &str, options: &str) -> Docker<'a> {
        let name = format!("dockerd-{host}");
        let folder = sandbox.folder().join(&name);
        // `ip netns exec` would hide the control groups.
        Docker::start_in(sandbox, (&name, folder), (&format!("nsenter --net=/run/netns/{host}"), options))
    }

    fn start_in(sandbox: &'a Sandbox, (name, folder): (&str, PathBuf), (enter, options): (&str, &str)) -> Docker<'a> {
        sandbox.needs(&["dockerd", "docker"], "docker.io");
        sandbox.needs(&["iptables"], "iptables");
        let at = folder.display();
        sandbox.run(&format!("mkdir -p {at}/sockets"));
        let group = sandbox.folder().file_name().unwrap().to_string_lossy();
        let command = format!(
            "{enter} dockerd --data-root {at}/docker --exec-root {at}/docker-run --pidfile {at}/dockerd-own.pid \
             --host unix://{at}/docker.sock --host unix://{at}/sockets/docker.sock --exec-opt native.cgroupdriver=cgroupfs --cgroup-parent /{group} \
             {options}"
        );
        let docker = Docker { sandbox, daemon: sandbox.start(name, &command), folder };
        until("the daemon is up", SOON, || docker.attempt("version").then_some(()));
        docker
    }

    /// Makes the images of [`images`] and gives them to the daemon.
    pub fn has_images(self) -> Docker<'a> {
        images::make(self.sandbox);
        self.takes_images()
    }

    /// Gives it the images that were made for another daemon.
    pub fn takes_images(self) -> Docker<'a> {
        for image in [images::BUSYBOX, images::GLIBC] {
            let tree = image.split(':').next().unwrap();
            self.sandbox.run(&format!("tar -C images/{tree} -c . | {}", self.command(&format!("import - {image}"))));
        }
        self
    }

    /// Kills the daemon as `kill -9` does; its containers go on if it was started with `--live-restore`.
    pub fn kill(self) {
        self.daemon.kill();
    }

    /// Where it is reached.
    pub fn socket(&self) -> String {
        format!("unix://{}/docker.sock", self.folder.display())
    }

    /// A shell command: the client with these words.
    pub fn command(&self, words: &str) -> String {
        format!("docker -H {} {words}", self.socket())
    }

    /// Runs the client and returns what it printed; panics if it fails.
    #[track_caller]
    pub fn run(&self, words: &str) -> String {
        self.sandbox.run(&self.command(words))
    }

    /// Runs the client and returns whether it succeeded.
    pub fn attempt(&self, words: &str) -> bool {
        self.sandbox.attempt(&self.command(words)).status.success()
    }

    /// A container's address on the default bridge.
    #[track_caller]
    pub fn address(&self, container: &str) -> IpAddr {
        self.run(&format!("inspect -f '{{{{.NetworkSettings.IPAddress}}}}' {container}")).trim().parse().unwrap()
    }

    /// Stops the daemon, and its containers with it, as an operator does.
    pub fn stop(mut self) {
        self.daemon.signal("TERM");
        self.daemon.wait();
    }
}

/// The addresses that lines begin with.
pub fn first_words(printed: &str) -> BTreeSet<IpAddr> {
    printed.lines().filter_map(|line| line.split_whitespace().next()?.parse().ok()).collect()
}

/// The machine's address on the default bridge, if the daemon has chosen none else: what containers can reach.
pub const GATEWAY: Ipv4Addr = Ipv4Addr::new(172, 17, 0, 1);
