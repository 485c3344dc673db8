//! What Consul has and nameplate has not.

use super::{READ_OPERATOR, Route, get, post, put, run};
use crate::api::{missing, rights::Right::Nothing};

pub(super) const ROUTES: &[Route] = &[
    get(
        "/v1/operator/raft/configuration",
        "Lists this server, in the place of all servers.",
        READ_OPERATOR,
        run!(missing::raft),
    ),
    get(
        "/v1/operator/autopilot/configuration",
        "Shows the defaults of Consul.",
        READ_OPERATOR,
        run!(missing::autopilot),
    ),
    get(
        "/v1/operator/autopilot/health",
        "Tells that this server is healthy.",
        READ_OPERATOR,
        run!(missing::autopilot_health),
    ),
    get("/v1/operator/autopilot/state", "The same.", READ_OPERATOR, run!(missing::autopilot_health)),
    get("/v1/snapshot", "Is not there; see /v1/export.", Nothing, run!(missing::snapshot)),
    put("/v1/snapshot", "Is not there; see nameplate import.", Nothing, run!(missing::snapshot)),
    get("/v1/connect/ca/roots", "Is not there: no service mesh.", Nothing, run!(missing::no_mesh)),
    get("/v1/connect/ca/configuration", "Is not there: no service mesh.", Nothing, run!(missing::no_mesh)),
    put("/v1/connect/ca/configuration", "Is not there: no service mesh.", Nothing, run!(missing::no_mesh)),
    get("/v1/agent/connect/ca/roots", "Is not there: no service mesh.", Nothing, run!(missing::no_mesh)),
    get("/v1/agent/connect/ca/leaf/{*name}", "Is not there: no service mesh.", Nothing, run!(missing::no_mesh)),
    post("/v1/agent/connect/authorize", "Is not there: no service mesh.", Nothing, run!(missing::no_mesh)),
    get("/v1/discovery-chain/{*name}", "Is not there: no service mesh.", Nothing, run!(missing::no_mesh)),
    get("/v1/connect/intentions", "Lists nothing: no service mesh.", Nothing, run!(missing::nothing)),
    get(
        "/v1/connect/intentions/{*rest}",
        "Allows everything, and finds no intention.",
        Nothing,
        run!(missing::intention),
    ),
    put("/v1/connect/intentions/{*rest}", "Is not there: no service mesh.", Nothing, run!(missing::no_mesh)),
    put("/v1/config", "Is refused: config entries are not kept.", Nothing, run!(missing::set_config_entry)),
    get("/v1/config/{*kind}", "Lists nothing: config entries are not kept.", Nothing, run!(missing::config_entries)),
    get("/v1/exported-services", "Lists nothing: there are no peers.", Nothing, run!(missing::nothing)),
    get("/v1/imported-services", "Lists nothing: there are no peers.", Nothing, run!(missing::nothing)),
    get("/v1/peerings", "Lists nothing: there are no peers.", Nothing, run!(missing::nothing)),
    get("/v1/peering/{*name}", "Finds nothing: there are no peers.", Nothing, run!(missing::peering)),
];
