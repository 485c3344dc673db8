//! Events and prepared queries.

use super::{Route, UNKNOWN, delete, get, post, put, run};
use crate::api::{
    event,
    openapi::{
        Content, EMPTY, definitions, json_of,
        parameters::{EVENT_FILTERS, EVENT_NAME, LIMIT, NEAR, WAITING, WHERE},
        shapes::{EVENT, EVENTS, EXECUTED_QUERY, EXPLAINED_QUERY, MADE, QUERIES},
    },
    query,
    rights::Right::Pieces,
    txn_key,
};

pub(super) const ROUTES: &[Route] = &[
    put("/v1/event/fire/{*name}", "Fires an event.", Pieces, run!(event::fire))
        .asks(&[WHERE, EVENT_FILTERS])
        .takes_bytes(txn_key::VALUE_MAX_BYTES)
        .answers(&[(200, json_of(&EVENT))]),
    get("/v1/event/list", "Lists the events that are kept.", Pieces, run!(event::list))
        .asks(&[WHERE, WAITING, &[EVENT_NAME]])
        .answers(KEPT_EVENTS),
    get("/v1/events", "The same, as Spring spells it.", Pieces, run!(event::list))
        .asks(&[WHERE, WAITING, &[EVENT_NAME]])
        .answers(KEPT_EVENTS),
    post("/v1/query", "Makes a prepared query.", Pieces, run!(query::create))
        .asks(&[WHERE])
        .takes(&definitions::QUERY)
        .answers(&[(200, json_of(&MADE))]),
    get("/v1/query", "Lists the prepared queries.", Pieces, run!(query::list))
        .asks(&[WHERE, WAITING])
        .answers(&[(200, json_of(&QUERIES))]),
    get("/v1/query/{id}", "Shows a prepared query.", Pieces, run!(query::get))
        .asks(&[WHERE, WAITING])
        .answers(&[(200, json_of(&QUERIES)), UNKNOWN]),
    get("/v1/query/{id}/execute", "Answers with what a prepared query chooses.", Pieces, run!(query::execute))
        .asks(&[WHERE, &[LIMIT, NEAR]])
        .answers(&[(200, json_of(&EXECUTED_QUERY)), UNKNOWN]),
    get("/v1/query/{id}/explain", "Shows a prepared query, filled in for a name.", Pieces, run!(query::explain))
        .asks(&[WHERE])
        .answers(&[(200, json_of(&EXPLAINED_QUERY)), UNKNOWN]),
    put("/v1/query/{id}", "Replaces a prepared query.", Pieces, run!(query::update))
        .asks(&[WHERE])
        .takes(&definitions::QUERY)
        .answers(&[(200, EMPTY), UNKNOWN]),
    delete("/v1/query/{id}", "Takes a prepared query away.", Pieces, run!(query::delete)).asks(&[WHERE]),
];

const KEPT_EVENTS: &[(u16, Content)] = &[(200, json_of(&EVENTS))];
