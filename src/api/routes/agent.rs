//! The agent: this node, its services and checks.

use super::{READ_AGENT, READ_OPERATOR, Route, WRITE_AGENT, get, put, run};
use crate::api::{
    agent, agent_health, agent_node, checks, host,
    rights::Right::{Nothing, Pieces},
    status,
};

pub(super) const ROUTES: &[Route] = &[
    put("/v1/agent/service/register", "Registers an instance on this node.", Pieces, run!(agent::register)),
    put("/v1/agent/service/deregister/{*id}", "Deregisters an instance of this node.", Pieces, run!(agent::deregister)),
    put(
        "/v1/agent/service/maintenance/{*id}",
        "Puts an instance into maintenance or takes it out.",
        Pieces,
        run!(agent::maintenance),
    ),
    get("/v1/agent/services", "Lists the instances of this node.", Pieces, run!(agent::services)),
    get("/v1/agent/service/{*id}", "Shows one instance of this node.", Pieces, run!(agent::service)),
    put(
        "/v1/agent/check/register",
        "Registers a check of an instance or of this node.",
        Pieces,
        run!(checks::register),
    ),
    put("/v1/agent/check/deregister/{*id}", "Deregisters a check.", Pieces, run!(checks::deregister)),
    put("/v1/agent/check/pass/{*id}", "Renews a TTL check as passing.", Pieces, run!(checks::pass)),
    put("/v1/agent/check/warn/{*id}", "Renews a TTL check as warning.", Pieces, run!(checks::warn)),
    put("/v1/agent/check/fail/{*id}", "Renews a TTL check as critical.", Pieces, run!(checks::fail)),
    put(
        "/v1/agent/check/update/{*id}",
        "Renews a TTL check with the status in the body.",
        Pieces,
        run!(checks::update),
    ),
    get("/v1/agent/checks", "Lists the checks of this node and its instances.", Pieces, run!(checks::list)),
    get(
        "/v1/agent/health/service/id/{*id}",
        "Tells how an instance of this node is, as the status of the response.",
        Pieces,
        run!(agent_health::by_id),
    ),
    get(
        "/v1/agent/health/service/name/{*name}",
        "Tells how the instances of a service on this node are.",
        Pieces,
        run!(agent_health::by_name),
    ),
    put(
        "/v1/agent/maintenance",
        "Puts this node into maintenance or takes it out.",
        Pieces,
        run!(agent_node::maintenance),
    ),
    get("/v1/agent/self", "Shows this node and its settings.", READ_AGENT, run!(agent_node::agent_self)),
    get("/v1/agent/members", "Lists this node, the only member.", Pieces, run!(agent_node::members)),
    get("/v1/agent/version", "Tells the version of the API.", Nothing, run!(agent_node::version)),
    get("/v1/agent/host", "Tells of the machine.", READ_OPERATOR, run!(host::host)),
    get("/v1/agent/metrics", "All metrics in the shape of Consul.", READ_AGENT, run!(status::agent_metrics)),
    put(
        "/v1/agent/reload",
        "Reads configuration, zones and service files again.",
        WRITE_AGENT,
        run!(agent_node::reload),
    ),
    put("/v1/agent/leave", "Is refused.", WRITE_AGENT, run!(agent_node::leave)),
    put("/v1/agent/join/{*address}", "Does nothing: there is nothing to join.", WRITE_AGENT, run!(agent_node::join)),
    put(
        "/v1/agent/force-leave/{*name}",
        "Does nothing: there are no other members.",
        WRITE_AGENT,
        run!(agent_node::force_leave),
    ),
];
