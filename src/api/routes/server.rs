//! The server itself, DNS and metrics.

use super::{READ_AGENT, Route, WRITE_AGENT, get, put, run};
use crate::api::{dns, rights::Right::Nothing, status};

pub(super) const ROUTES: &[Route] = &[
    get("/v1/status/leader", "Names this server, in the place of a leader.", Nothing, run!(status::leader)),
    get("/v1/status/peers", "Lists this server, in the place of all servers.", Nothing, run!(status::peers)),
    get("/v1/status/ready", "Tells whether all sources have delivered.", Nothing, run!(status::ready)),
    get("/v1/dns/query", "Tells what DNS answers to a name, and why.", READ_AGENT, run!(dns::query)),
    put("/v1/dns/cache/flush", "Empties the forwarder's cache.", WRITE_AGENT, run!(dns::flush)),
    get("/metrics", "All metrics in the OpenMetrics text format.", READ_AGENT, run!(status::metrics)),
];
