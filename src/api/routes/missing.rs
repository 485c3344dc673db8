//! What Consul has and nameplate has not.

use super::{READ_OPERATOR, Route, UNKNOWN, get, post, put, run};
use crate::api::{
    missing,
    openapi::{
        Content, TEXT, json_of,
        parameters::{INTENTION, WHERE},
        schema::Schema,
        shapes::{AUTOPILOT, AUTOPILOT_HEALTH, INTENTIONS, RAFT},
    },
    rights::Right::Nothing,
};

pub(super) const ROUTES: &[Route] = &[
    get(
        "/v1/operator/raft/configuration",
        "Lists this server, in the place of all servers.",
        READ_OPERATOR,
        run!(missing::raft),
    )
    .answers(&[(200, json_of(&RAFT))]),
    get(
        "/v1/operator/autopilot/configuration",
        "Shows the defaults of Consul.",
        READ_OPERATOR,
        run!(missing::autopilot),
    )
    .answers(&[(200, json_of(&AUTOPILOT))]),
    get(
        "/v1/operator/autopilot/health",
        "Tells that this server is healthy.",
        READ_OPERATOR,
        run!(missing::autopilot_health),
    )
    .answers(&[(200, json_of(&AUTOPILOT_HEALTH))]),
    get("/v1/operator/autopilot/state", "The same.", READ_OPERATOR, run!(missing::autopilot_health))
        .answers(&[(200, json_of(&AUTOPILOT_HEALTH))]),
    get("/v1/snapshot", "Is not there; see /v1/export.", Nothing, run!(missing::snapshot)).answers(&[UNKNOWN]),
    put("/v1/snapshot", "Is not there; see nameplate import.", Nothing, run!(missing::snapshot)).answers(&[UNKNOWN]),
    get("/v1/connect/ca/roots", NO_MESH, Nothing, run!(missing::no_mesh)).answers(OFF),
    get("/v1/connect/ca/configuration", NO_MESH, Nothing, run!(missing::no_mesh)).answers(OFF),
    put("/v1/connect/ca/configuration", NO_MESH, Nothing, run!(missing::no_mesh)).answers(OFF),
    get("/v1/agent/connect/ca/roots", NO_MESH, Nothing, run!(missing::no_mesh)).answers(OFF),
    get("/v1/agent/connect/ca/leaf/{*name}", NO_MESH, Nothing, run!(missing::no_mesh)).answers(OFF),
    post("/v1/agent/connect/authorize", NO_MESH, Nothing, run!(missing::no_mesh)).answers(OFF),
    get("/v1/discovery-chain/{*name}", NO_MESH, Nothing, run!(missing::no_mesh)).answers(OFF),
    get("/v1/connect/intentions", "Lists nothing: no service mesh.", Nothing, run!(missing::nothing))
        .asks(&[WHERE])
        .answers(NOTHING),
    get(
        "/v1/connect/intentions/{*rest}",
        "Allows everything, and finds no intention.",
        Nothing,
        run!(missing::intention),
    )
    .asks(&[WHERE, INTENTION])
    .answers(&[(200, json_of(&INTENTIONS)), UNKNOWN]),
    put("/v1/connect/intentions/{*rest}", NO_MESH, Nothing, run!(missing::no_mesh)).answers(OFF),
    put("/v1/config", "Is refused: config entries are not kept.", Nothing, run!(missing::set_config_entry))
        .answers(&[(400, TEXT)]),
    get("/v1/config/{*kind}", "Lists nothing: config entries are not kept.", Nothing, run!(missing::config_entries))
        .asks(&[WHERE])
        .answers(&[(200, json_of(&Schema::EmptyList)), UNKNOWN]),
    get("/v1/exported-services", NO_PEERS, Nothing, run!(missing::nothing)).asks(&[WHERE]).answers(NOTHING),
    get("/v1/imported-services", NO_PEERS, Nothing, run!(missing::nothing)).asks(&[WHERE]).answers(NOTHING),
    get("/v1/peerings", NO_PEERS, Nothing, run!(missing::nothing)).asks(&[WHERE]).answers(NOTHING),
    get("/v1/peering/{*name}", "Finds nothing: there are no peers.", Nothing, run!(missing::peering))
        .answers(&[UNKNOWN]),
];

const NO_MESH: &str = "Is not there: no service mesh.";
const NO_PEERS: &str = "Lists nothing: there are no peers.";
const OFF: &[(u16, Content)] = &[(500, TEXT)];
const NOTHING: &[(u16, Content)] = &[(200, json_of(&Schema::EmptyList))];
