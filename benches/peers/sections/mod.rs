//! What is measured, in the order in which it runs.

pub mod checks;
pub mod churn;
pub mod cluster;
pub mod http;
pub mod large;
pub mod mix;
pub mod overload;
pub mod restart;
pub mod scale;
pub mod tcp;
pub mod write;

use anyhow::Result;

use crate::{
    catalog::{Group, Place},
    http::{Done, put_all},
    process::Cores,
    results::Results,
    rounds::Plan,
    server::Server,
};

/// What every section has.
pub struct Bench {
    pub cores: Cores,
    pub plan: Plan,
    pub results: Results,
}

/// A section: its name, what it does, and in what time about.
pub struct Section {
    pub name: &'static str,
    pub doc: &'static str,
    pub run: fn(&mut Bench) -> Result<()>,
}

pub static SECTIONS: &[Section] = &[
    Section { name: "mix", doc: "queries/s and CPU against NSD, Knot and the bare echo", run: mix::run },
    Section { name: "scale", doc: "the same at 30, 30,000 and 1,000,000 instances", run: scale::run },
    Section { name: "large", doc: "a service of 100,000 instances, and what a record costs", run: large::run },
    Section { name: "tcp", doc: "pipelined queries over TCP", run: tcp::run },
    Section { name: "churn", doc: "queries while instances fail and pass", run: churn::run },
    Section { name: "overload", doc: "three times the load that it can take", run: overload::run },
    Section { name: "checks", doc: "20,000 HTTP checks of 1,000 targets every 10 s", run: checks::run },
    Section { name: "write", doc: "registrations: when they are visible, and how many a second", run: write::run },
    Section { name: "http", doc: "a read of the API by wrk, beside nginx with a file", run: http::run },
    Section { name: "cluster", doc: "three nameplates with one catalog in etcd", run: cluster::run },
    Section { name: "restart", doc: "memory and restarts with 10,000 and 1,000,000 instances", run: restart::run },
];

/// Registers instances of the group, over 64 connections.
pub fn register(server: &Server, group: Group, places: impl Iterator<Item = Place> + 'static) -> Result<Done> {
    let path = "/v1/agent/service/register";
    put_all(server.http, CLIENTS, places.map(move |place| (path.to_owned(), group.registration(place))))
}

/// Concurrent clients of the API.
pub const CLIENTS: usize = 64;

/// A count with commas between the thousands.
pub fn thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
