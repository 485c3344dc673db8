//! The server itself, DNS and metrics.

use super::{READ_AGENT, Route, WRITE_AGENT, get, put, run};
use crate::api::{
    dns,
    openapi::{
        self, METRICS, json_of,
        parameters::{DNS_NAME, DNS_TYPE, FLUSHED_NAME},
        schema::Schema,
        shapes::{EXPLAINED_NAME, FLUSHED, READY, TEXTS},
    },
    rights::Right::Nothing,
    status,
};

pub(super) const ROUTES: &[Route] = &[
    get("/v1/status/leader", "Names this server, in the place of a leader.", Nothing, run!(status::leader))
        .answers(&[(200, json_of(&Schema::Text))]),
    get("/v1/status/peers", "Lists this server and the others that share its catalog.", Nothing, run!(status::peers))
        .answers(&[(200, json_of(&TEXTS))]),
    get("/v1/status/ready", "Tells whether all sources have delivered.", Nothing, run!(status::ready))
        .answers(&[(200, json_of(&READY)), (503, json_of(&READY))]),
    get("/v1/dns/query", "Tells what DNS answers to a name, and why.", READ_AGENT, run!(dns::query))
        .asks(&[&[DNS_NAME, DNS_TYPE]])
        .answers(&[(200, json_of(&EXPLAINED_NAME))]),
    put("/v1/dns/cache/flush", "Empties the forwarder's cache.", WRITE_AGENT, run!(dns::flush))
        .asks(&[&[FLUSHED_NAME]])
        .answers(&[(200, json_of(&FLUSHED))]),
    get("/metrics", "All metrics in the OpenMetrics text format.", READ_AGENT, run!(status::metrics))
        .answers(&[(200, METRICS)]),
    get("/v1/openapi.json", "Describes all of this for programs.", Nothing, run!(openapi::get))
        .answers(&[(200, json_of(&Schema::Map(&Schema::Anything)))]),
];
