//! End to end: the built program with real components and nothing mocked, one module a scenario.
//!
//! ```sh
//! cargo test --test e2e
//! ```
//!
//! Every scenario has a sandbox of its own (`sandbox.rs`): namespaces in which ports, mounts, processes and files are
//! its own and end with it, however it ends. No name is asked at the resolver of the machine, and nothing leaves it.
//!
//! | scenario | what it shows |
//! |---|---|
//! | `tour` | the README's tour does what it says, line by line |
//! | `docker` | containers that never heard of nameplate find services that come and go |
//! | `access_page` | the calls and commands of docs/access.md do what it says, over TLS and with its tokens file |
//! | `etcd_client` | the client of etcd with a real one: many keys, compaction, members that hang, die or are cut off, users, TLS |
//! | `registries` | what other programs register in etcd is served |
//! | `exec` | a link gives what Docker gives; it can be the first process of a container |
//! | `image` | the image of packaging/ runs as its compose file says; what `docker` shows holds from inside a container too |
//! | `docker_dns` | containers of every network and C library resolve all kinds of names, also while nameplate is stopped |
//! | `docker_bridge` | docker0 is answered on when it comes and changes, and a firewall before it is told, with what opens it |
//! | `containers` | containers become services by themselves, and are answered as long as they serve; projects of compose (`compose`) |
//! | `bindings` | networks with IPv6, and ports published on any address of the host |
//! | `container_churn` | many at once, a daemon that goes away, how long a start and a stop take |
//! | `swarm` | services and tasks of a manager |
//! | `podman` | Podman in Docker's place |
//! | `clients` | py-consul and python-consul work unchanged (`tests/clients`) |
//! | `haproxy` | HAProxy follows SRV records without a reload, and 200 servers do not flap |
//! | `prometheus` | Prometheus finds all targets by SRV and A, follows them, and scrapes the server, whose metrics promtool approves |
//! | `nginx` | nginx follows addresses without a reload |
//! | `checks` | checks of every kind pass with the real server, and are critical while it hangs and when it is gone |
//! | `kill` | what was acknowledged is there after `kill -9`, and nothing half-written is served |
//! | `pages` | the examples of docs/api.md answer what the page shows |
//! | `schemathesis` | whatever is made of the API's own description, no request fails the server, and all is answered as described |
//! | `guard` | most checks that fail at once are held while our own link is away, and count when their targets are really dead |
//! | `cluster` | machines that share a catalog through etcd, whatever is killed, frozen or cut off |
//! | `disk` | a full disk fails writes, names itself, and hinders neither DNS nor checks |
//!
//! **Limits:** needs root and Linux, and the Debian packages that a missing program's message names.

#![allow(clippy::unwrap_used, reason = "all of it is test code: what fails, fails the scenario")]

mod access_page;
mod backends;
mod bindings;
mod checks;
mod clients;
mod cluster;
mod compose;
mod container_churn;
mod containers;
mod disk;
mod dns;
mod docker;
mod docker_bridge;
mod docker_dns;
mod dockerd;
mod etcd_client;
mod exec;
mod fenced;
mod guard;
mod haproxy;
mod http;
mod image;
mod images;
mod kill;
mod nginx;
#[path = "../page/mod.rs"]
mod page;
mod pages;
mod podman;
mod prometheus;
mod registries;
#[allow(dead_code, reason = "shared: the reference uses more of it")]
#[path = "../reference/rng.rs"]
mod rng;
mod sandbox;
mod schemathesis;
mod server;
mod swarm;
mod tour;
mod until;
