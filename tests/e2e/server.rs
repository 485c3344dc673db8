//! The server under test.

use std::net::Ipv4Addr;

use crate::{
    dns::{A, Asker},
    dockerd::Docker,
    http, image,
    sandbox::{Process, Sandbox},
    until::{SOON, until},
};

/// Starts a server with these options, on its usual HTTP address, and returns when it is ready.
#[track_caller]
pub fn serve<'a>(sandbox: &'a Sandbox, options: &str) -> Process<'a> {
    let process = sandbox.start("nameplate", &format!("nameplate serve {options}"));
    ready();
    process
}

/// Waits until the server is ready.
#[track_caller]
pub fn ready() {
    until("the server is ready", SOON, || {
        http::request("GET", "/v1/status/ready", "").ok().filter(|response| response.status == 200)
    });
}

/// Where the server of a scenario with containers runs.
#[derive(Debug, Clone, Copy)]
pub enum Place {
    /// As a program of the host.
    Host,
    /// In a container on the host's network, from the image.
    Container,
}

impl Place {
    /// Where a server there finds the daemon's socket.
    pub fn socket(self, docker: &Docker<'_>) -> String {
        match self {
            Place::Host => format!("unix://{}/docker.sock", docker.sandbox.folder().display()),
            Place::Container => format!("unix://{}", image::SOCKET),
        }
    }

    /// Starts a server with these options, which keeps its catalog in the sandbox's folder `data`; returns when it is ready.
    #[track_caller]
    pub fn serve<'a>(self, docker: &Docker<'a>, options: &str) -> Process<'a> {
        match self {
            Place::Host => serve(docker.sandbox, &format!("--data-dir data {options}")),
            Place::Container => {
                image::build(docker);
                image::serve(docker, options)
            }
        }
    }

    /// Stops a server there as an operator does, and returns when it is gone.
    pub fn stop(self, docker: &Docker<'_>, mut server: Process<'_>) {
        match self {
            Place::Host => server.signal("TERM"),
            Place::Container => {
                docker.run("stop nameplate");
                docker.run("rm nameplate");
            }
        }
        assert!(server.wait().success(), "it stops in order");
    }
}

/// Starts the server that is asked about other names: a second one, with a static zone, at [`UPSTREAM`].
pub fn upstream(sandbox: &Sandbox) -> Process<'_> {
    let (name, address) = OUTSIDE;
    let zone = format!("@ IN SOA ns hostmaster 1 1h 10m 1d 5m\n@ NS ns\nns A {UPSTREAM}\n{name}. A {address}\n");
    sandbox.write("upstream/zones/example.zone", &format!("$ORIGIN example.\n$TTL 1m\n{zone}"));
    sandbox.run(&format!("ip address replace {UPSTREAM}/32 dev lo"));
    let listen = format!("--dns {UPSTREAM}:53 --http {UPSTREAM}:8500");
    let process = sandbox
        .start("upstream", &format!("nameplate serve --ephemeral --forward off --zones upstream/zones {listen}"));
    let mut asker = Asker::new((UPSTREAM, 53));
    until("the upstream answers", SOON, || asker.ask(name, A).ok().filter(|answer| answer.addresses == [address]));
    process
}

/// A name that only the upstream has, and its address.
pub const OUTSIDE: (&str, Ipv4Addr) = ("outside.example", Ipv4Addr::new(198, 51, 100, 7));

/// Where the upstream is asked.
pub const UPSTREAM: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 53);
