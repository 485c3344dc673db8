//! The agent: this node, its services and checks.

use super::{READ_AGENT, READ_OPERATOR, Route, UNKNOWN, WRITE_AGENT, get, put, run};
use crate::api::{
    agent, agent_health, agent_node, checks, host,
    openapi::{
        Content, EMPTY, METRICS, TEXT, definitions, json_of,
        parameters::{
            ENABLE, FILTER, HASH, HEALTH_FORMAT, METRICS_FORMAT, NOTE, REASON, REPLACE_EXISTING_CHECKS, WAIT, WAN,
            WHERE,
        },
        schema::Schema,
        shapes::{self, AGGREGATED_HEALTH, CHECK, HASHED_SERVICE, MEMBERS, SERVICE},
    },
    rights::Right::{Nothing, Pieces},
    status,
};

pub(super) const ROUTES: &[Route] = &[
    put("/v1/agent/service/register", "Registers an instance on this node.", Pieces, run!(agent::register))
        .asks(&[&[REPLACE_EXISTING_CHECKS]])
        .takes(&definitions::SERVICE),
    put("/v1/agent/service/deregister/{*id}", "Deregisters an instance of this node.", Pieces, run!(agent::deregister))
        .answers(CHANGED),
    put(
        "/v1/agent/service/maintenance/{*id}",
        "Puts an instance into maintenance or takes it out.",
        Pieces,
        run!(agent::maintenance),
    )
    .asks(&[&[ENABLE, REASON]])
    .answers(CHANGED),
    get("/v1/agent/services", "Lists the instances of this node.", Pieces, run!(agent::services))
        .asks(&[WHERE, &[FILTER]])
        .answers(&[(200, json_of(&Schema::Map(&SERVICE)))]),
    get("/v1/agent/service/{*id}", "Shows one instance of this node.", Pieces, run!(agent::service))
        .asks(&[WHERE, &[HASH, WAIT]])
        .answers(&[(200, json_of(&HASHED_SERVICE)), UNKNOWN]),
    put(
        "/v1/agent/check/register",
        "Registers a check of an instance or of this node.",
        Pieces,
        run!(checks::register),
    )
    .takes(&definitions::CHECK)
    .answers(CHANGED),
    put("/v1/agent/check/deregister/{*id}", "Deregisters a check.", Pieces, run!(checks::deregister)).answers(CHANGED),
    put("/v1/agent/check/pass/{*id}", "Renews a TTL check as passing.", Pieces, run!(checks::pass))
        .asks(&[&[NOTE]])
        .answers(CHANGED),
    put("/v1/agent/check/warn/{*id}", "Renews a TTL check as warning.", Pieces, run!(checks::warn))
        .asks(&[&[NOTE]])
        .answers(CHANGED),
    put("/v1/agent/check/fail/{*id}", "Renews a TTL check as critical.", Pieces, run!(checks::fail))
        .asks(&[&[NOTE]])
        .answers(CHANGED),
    put(
        "/v1/agent/check/update/{*id}",
        "Renews a TTL check with the status in the body.",
        Pieces,
        run!(checks::update),
    )
    .takes(&definitions::STATUS_UPDATE)
    .answers(CHANGED),
    get("/v1/agent/checks", "Lists the checks of this node and its instances.", Pieces, run!(checks::list))
        .asks(&[WHERE, &[FILTER]])
        .answers(&[(200, json_of(&Schema::Map(&CHECK)))]),
    get(
        "/v1/agent/health/service/id/{*id}",
        "Tells how an instance of this node is, as the status of the response.",
        Pieces,
        run!(agent_health::by_id),
    )
    .asks(&[WHERE, &[HEALTH_FORMAT]])
    .answers(&[
        (200, json_of(&AGGREGATED_HEALTH).or(&TEXT)),
        (404, json_of(&AGGREGATED_HEALTH).or(&TEXT)),
        (429, json_of(&AGGREGATED_HEALTH).or(&TEXT)),
        (503, json_of(&AGGREGATED_HEALTH).or(&TEXT)),
    ]),
    get(
        "/v1/agent/health/service/name/{*name}",
        "Tells how the instances of a service on this node are.",
        Pieces,
        run!(agent_health::by_name),
    )
    .asks(&[WHERE, &[HEALTH_FORMAT]])
    .answers(&[
        (200, json_of(&Schema::List(&AGGREGATED_HEALTH)).or(&TEXT)),
        (404, json_of(&Schema::EmptyList).or(&TEXT)),
        (429, json_of(&Schema::List(&AGGREGATED_HEALTH)).or(&TEXT)),
        (503, json_of(&Schema::List(&AGGREGATED_HEALTH)).or(&TEXT)),
    ]),
    put(
        "/v1/agent/maintenance",
        "Puts this node into maintenance or takes it out.",
        Pieces,
        run!(agent_node::maintenance),
    )
    .asks(&[&[ENABLE, REASON]]),
    get("/v1/agent/self", "Shows this node and its settings.", READ_AGENT, run!(agent_node::agent_self))
        .answers(&[(200, json_of(&shapes::SELF))]),
    get("/v1/agent/members", "Lists this node and those of the other servers.", Pieces, run!(agent_node::members))
        .asks(&[WHERE, &[WAN, FILTER]])
        .answers(&[(200, json_of(&MEMBERS))]),
    get("/v1/agent/version", "Tells the version of the API.", Nothing, run!(agent_node::version))
        .answers(&[(200, json_of(&shapes::VERSION))]),
    get("/v1/agent/host", "Tells of the machine.", READ_OPERATOR, run!(host::host))
        .answers(&[(200, json_of(&shapes::HOST))]),
    get("/v1/agent/metrics", "All metrics in the shape of Consul.", READ_AGENT, run!(status::agent_metrics))
        .asks(&[&[METRICS_FORMAT]])
        .answers(&[(200, json_of(&shapes::METRICS).or(&METRICS))]),
    put(
        "/v1/agent/reload",
        "Reads configuration, zones and service files again.",
        WRITE_AGENT,
        run!(agent_node::reload),
    ),
    put("/v1/agent/leave", "Is refused.", WRITE_AGENT, run!(agent_node::leave)).answers(&[(403, TEXT)]),
    put("/v1/agent/join/{*address}", "Does nothing: there is nothing to join.", WRITE_AGENT, run!(agent_node::join)),
    put(
        "/v1/agent/force-leave/{*name}",
        "Does nothing: there are no other members.",
        WRITE_AGENT,
        run!(agent_node::force_leave),
    )
    .answers(CHANGED),
];

/// Of what is changed if it is there.
const CHANGED: &[(u16, Content)] = &[(200, EMPTY), UNKNOWN];
