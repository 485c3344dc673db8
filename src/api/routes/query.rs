//! Events and prepared queries.

use super::{Route, delete, get, post, put, run};
use crate::api::{event, query, rights::Right::Pieces, txn_key};

pub(super) const ROUTES: &[Route] = &[
    put("/v1/event/fire/{*name}", "Fires an event.", Pieces, run!(event::fire))
        .body_at_most(txn_key::VALUE_MAX_BYTES as u64),
    get("/v1/event/list", "Lists the events that are kept.", Pieces, run!(event::list)),
    get("/v1/events", "The same, as Spring spells it.", Pieces, run!(event::list)),
    post("/v1/query", "Makes a prepared query.", Pieces, run!(query::create)),
    get("/v1/query", "Lists the prepared queries.", Pieces, run!(query::list)),
    get("/v1/query/{id}", "Shows a prepared query.", Pieces, run!(query::get)),
    put("/v1/query/{id}", "Replaces a prepared query.", Pieces, run!(query::update)),
    delete("/v1/query/{id}", "Takes a prepared query away.", Pieces, run!(query::delete)),
    get("/v1/query/{id}/execute", "Answers with what a prepared query chooses.", Pieces, run!(query::execute)),
    get("/v1/query/{id}/explain", "Shows a prepared query, filled in for a name.", Pieces, run!(query::explain)),
];
