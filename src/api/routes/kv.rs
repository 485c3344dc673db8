//! Keys and sessions.

use super::{Route, UNKNOWN, YES_OR_NO, delete, get, put, run};
use crate::api::{
    kv,
    openapi::{
        Content, EMPTY, TEXT, definitions, json_of,
        parameters::{ACQUIRE, CAS, CHOSEN, FLAGS, KEYS, RAW, RECURSE, RELEASE, SEPARATOR, WAITING, WHERE},
        shapes::{KEYS_OR_NAMES, MADE, SESSIONS},
    },
    rights::Right::Pieces,
    session, txn_key,
};

pub(super) const ROUTES: &[Route] = &[
    put("/v1/kv/{*key}", "Sets, locks or unlocks a key.", Pieces, run!(kv::put))
        .asks(&[WHERE, &[FLAGS, CAS, ACQUIRE, RELEASE]])
        .takes_bytes(txn_key::VALUE_MAX_BYTES)
        .answers(YES_OR_NO),
    get("/v1/kv/{*key}", "Reads a key, or the keys that begin so.", Pieces, run!(kv::get))
        .asks(&[WHERE, WAITING, &[RECURSE, KEYS, SEPARATOR, RAW]])
        .answers(FOUND_KEYS),
    get("/v1/kv/", "Reads all keys, with recurse or keys.", Pieces, run!(kv::get))
        .asks(&[WHERE, WAITING, &[RECURSE, KEYS, SEPARATOR]])
        .answers(FOUND_KEYS),
    delete("/v1/kv/{*key}", "Takes a key out, or the keys that begin so.", Pieces, run!(kv::delete))
        .asks(&[WHERE, &[RECURSE, CAS]])
        .answers(YES_OR_NO),
    delete("/v1/kv/", "Takes all keys out, with recurse.", Pieces, run!(kv::delete))
        .asks(&[WHERE, &[RECURSE]])
        .answers(YES_OR_NO),
    put("/v1/session/create", "Makes a session.", Pieces, run!(session::create))
        .asks(&[WHERE])
        .may_take(&definitions::SESSION)
        .answers(&[(200, json_of(&MADE))]),
    put("/v1/session/renew/{*id}", "Gives a session its whole time again.", Pieces, run!(session::renew))
        .asks(&[WHERE])
        .answers(&[(200, json_of(&SESSIONS)), UNKNOWN]),
    get("/v1/session/info/{*id}", "Shows a session.", Pieces, run!(session::info))
        .asks(&[WHERE, WAITING, CHOSEN])
        .answers(FOUND_SESSIONS),
    get("/v1/session/list", "Lists the sessions.", Pieces, run!(session::list))
        .asks(&[WHERE, WAITING, CHOSEN])
        .answers(FOUND_SESSIONS),
    get("/v1/session/node/{*node}", "Lists the sessions of a node.", Pieces, run!(session::of_node))
        .asks(&[WHERE, WAITING, CHOSEN])
        .answers(FOUND_SESSIONS),
    put("/v1/session/destroy/{*id}", "Ends a session.", Pieces, run!(session::destroy))
        .asks(&[WHERE])
        .answers(YES_OR_NO),
];

const FOUND_KEYS: &[(u16, Content)] = &[(200, json_of(&KEYS_OR_NAMES).or(&TEXT)), (404, EMPTY)];
const FOUND_SESSIONS: &[(u16, Content)] = &[(200, json_of(&SESSIONS))];
