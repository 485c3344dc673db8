//! Tokens and policies.

use super::{READ_ACL, Route, WRITE_ACL, delete, get, put, run};
use crate::api::{
    acl,
    rights::Right::{OwnToken, Tokens},
};

pub(super) const ROUTES: &[Route] = &[
    put("/v1/acl/bootstrap", "Makes the first token, once.", Tokens, run!(acl::bootstrap)),
    put("/v1/acl/token", "Makes a token.", WRITE_ACL, run!(acl::create_token)),
    get("/v1/acl/tokens", "Lists the tokens.", READ_ACL, run!(acl::tokens)),
    get("/v1/acl/token/self", "Shows the token that asks.", OwnToken, run!(acl::own_token)),
    get("/v1/acl/token/{id}", "Shows a token.", READ_ACL, run!(acl::token)),
    put("/v1/acl/token/{id}", "Changes a token.", WRITE_ACL, run!(acl::update_token)),
    delete("/v1/acl/token/{id}", "Takes a token away.", WRITE_ACL, run!(acl::delete_token)),
    put("/v1/acl/token/{id}/clone", "Makes another token with the same rights.", WRITE_ACL, run!(acl::clone_token)),
    put("/v1/acl/policy", "Makes a policy.", WRITE_ACL, run!(acl::create_policy)),
    get("/v1/acl/policies", "Lists the policies.", READ_ACL, run!(acl::policies)),
    get("/v1/acl/policy/name/{*name}", "Shows the policy of a name.", READ_ACL, run!(acl::policy_by_name)),
    get("/v1/acl/policy/{id}", "Shows a policy.", READ_ACL, run!(acl::policy)),
    put("/v1/acl/policy/{id}", "Changes a policy.", WRITE_ACL, run!(acl::update_policy)),
    delete("/v1/acl/policy/{id}", "Takes a policy away.", WRITE_ACL, run!(acl::delete_policy)),
    get("/v1/acl/{*rest}", "Is not there: no roles, no auth methods.", Tokens, run!(acl::other)),
    put("/v1/acl/{*rest}", "Is not there: no roles, no auth methods.", Tokens, run!(acl::other)),
    delete("/v1/acl/{*rest}", "Is not there: no roles, no auth methods.", Tokens, run!(acl::other)),
];
