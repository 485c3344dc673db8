//! Tokens and policies.

use super::{READ_ACL, Route, WRITE_ACL, delete, get, put, run};
use crate::api::{
    acl,
    openapi::{
        Content, TEXT, definitions, json_of,
        parameters::{OF_POLICY, OF_SERVICE},
        schema::Schema::{self, Boolean},
        shapes::{POLICY, TOKEN},
    },
    rights::Right::{OwnToken, Tokens},
};

pub(super) const ROUTES: &[Route] = &[
    put("/v1/acl/bootstrap", "Makes the first token, once.", Tokens, run!(acl::bootstrap))
        .may_take(&definitions::BOOTSTRAP)
        .answers(A_TOKEN),
    put("/v1/acl/token", "Makes a token.", WRITE_ACL, run!(acl::create_token))
        .takes(&definitions::TOKEN)
        .answers(A_TOKEN),
    get("/v1/acl/tokens", "Lists the tokens.", READ_ACL, run!(acl::tokens))
        .asks(&[&[OF_POLICY, OF_SERVICE]])
        .answers(&[(200, json_of(&Schema::List(&TOKEN))), OFF]),
    get("/v1/acl/token/self", "Shows the token that asks.", OwnToken, run!(acl::own_token)).answers(A_TOKEN),
    get("/v1/acl/token/{id}", "Shows a token.", READ_ACL, run!(acl::token)).answers(A_TOKEN),
    put("/v1/acl/token/{id}", "Changes a token.", WRITE_ACL, run!(acl::update_token))
        .takes(&definitions::TOKEN)
        .answers(A_TOKEN),
    delete("/v1/acl/token/{id}", "Takes a token away.", WRITE_ACL, run!(acl::delete_token)).answers(GONE),
    put("/v1/acl/token/{id}/clone", "Makes another token with the same rights.", WRITE_ACL, run!(acl::clone_token))
        .may_take(&definitions::TOKEN)
        .answers(A_TOKEN),
    put("/v1/acl/policy", "Makes a policy.", WRITE_ACL, run!(acl::create_policy))
        .takes(&definitions::POLICY)
        .answers(A_POLICY),
    get("/v1/acl/policies", "Lists the policies.", READ_ACL, run!(acl::policies))
        .answers(&[(200, json_of(&Schema::List(&POLICY))), OFF]),
    get("/v1/acl/policy/name/{*name}", "Shows the policy of a name.", READ_ACL, run!(acl::policy_by_name))
        .answers(A_POLICY),
    get("/v1/acl/policy/{id}", "Shows a policy.", READ_ACL, run!(acl::policy)).answers(A_POLICY),
    put("/v1/acl/policy/{id}", "Changes a policy.", WRITE_ACL, run!(acl::update_policy))
        .takes(&definitions::POLICY)
        .answers(A_POLICY),
    delete("/v1/acl/policy/{id}", "Takes a policy away.", WRITE_ACL, run!(acl::delete_policy)).answers(GONE),
    get("/v1/acl/{*rest}", NONE, Tokens, run!(acl::other)).answers(&[OFF, UNKNOWN]),
    put("/v1/acl/{*rest}", NONE, Tokens, run!(acl::other)).answers(&[OFF, UNKNOWN]),
    delete("/v1/acl/{*rest}", NONE, Tokens, run!(acl::other)).answers(&[OFF, UNKNOWN]),
    put(
        "/v1/agent/token/{type}",
        "Is not there: this server needs no token for what it does itself.",
        Tokens,
        run!(acl::agents_token),
    )
    .answers(&[OFF, UNKNOWN]),
];

const NONE: &str = "Is not there: no roles, no auth methods.";
/// With access control off.
const OFF: (u16, Content) = (401, TEXT);
const UNKNOWN: (u16, Content) = (404, TEXT);
const A_TOKEN: &[(u16, Content)] = &[(200, json_of(&TOKEN)), OFF, UNKNOWN];
const A_POLICY: &[(u16, Content)] = &[(200, json_of(&POLICY)), OFF, UNKNOWN];
const GONE: &[(u16, Content)] = &[(200, json_of(&Boolean)), OFF, UNKNOWN];
