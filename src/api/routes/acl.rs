//! Tokens and policies.

use super::{Route, delete, get, put, run};
use crate::api::{acl, rights::Right::Tokens};

pub(super) const ROUTES: &[Route] = &[
    get("/v1/acl/{*rest}", "Shows tokens and policies.", Tokens, run!(acl::get)),
    put("/v1/acl/{*rest}", "Is refused: tokens and policies are changed in their file.", Tokens, run!(acl::change)),
    delete("/v1/acl/{*rest}", "Is refused: tokens and policies are changed in their file.", Tokens, run!(acl::change)),
];
