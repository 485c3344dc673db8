//! Keys and sessions.

use super::{Route, delete, get, put, run};
use crate::api::{kv, rights::Right::Pieces, session, txn_key};

pub(super) const ROUTES: &[Route] = &[
    get("/v1/kv/", "Reads all keys, with recurse or keys.", Pieces, run!(kv::get)),
    delete("/v1/kv/", "Takes all keys out, with recurse.", Pieces, run!(kv::delete)),
    get("/v1/kv/{*key}", "Reads a key, or the keys that begin so.", Pieces, run!(kv::get)),
    put("/v1/kv/{*key}", "Sets, locks or unlocks a key.", Pieces, run!(kv::put))
        .body_at_most(txn_key::VALUE_MAX_BYTES as u64),
    delete("/v1/kv/{*key}", "Takes a key out, or the keys that begin so.", Pieces, run!(kv::delete)),
    put("/v1/session/create", "Makes a session.", Pieces, run!(session::create)),
    put("/v1/session/destroy/{*id}", "Ends a session.", Pieces, run!(session::destroy)),
    put("/v1/session/renew/{*id}", "Gives a session its whole time again.", Pieces, run!(session::renew)),
    get("/v1/session/info/{*id}", "Shows a session.", Pieces, run!(session::info)),
    get("/v1/session/list", "Lists the sessions.", Pieces, run!(session::list)),
    get("/v1/session/node/{*node}", "Lists the sessions of a node.", Pieces, run!(session::of_node)),
];
