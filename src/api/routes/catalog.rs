//! The catalog, health, transactions and the export.

use super::{Route, TXN_MAX_BYTES, YES_OR_NO, get, put, run};
use crate::api::{
    catalog, export, external, health, nodes,
    openapi::{
        Content, LINES, definitions, json_of,
        parameters::{CHOSEN, PASSING, TAG, WAITING, WHERE},
        schema::Schema,
        shapes::{
            CATALOG_SERVICE, CHECKS, INSTANCE, NODE, NODE_WITH_SERVICE_LIST, NODE_WITH_SERVICES, TEXTS, TXN_RESULT,
        },
    },
    rights::Right::{Nothing, Pieces, ReadEverything},
    txn,
};

pub(super) const ROUTES: &[Route] = &[
    put("/v1/catalog/register", "Registers a node with what is on it.", Pieces, run!(external::register))
        .asks(&[WHERE])
        .takes(&definitions::REGISTRATION)
        .answers(YES_OR_NO),
    put(
        "/v1/catalog/deregister",
        "Deregisters a node, an instance or a check of any node.",
        Pieces,
        run!(external::deregister),
    )
    .asks(&[WHERE])
    .takes(&definitions::DEREGISTRATION)
    .answers(YES_OR_NO),
    get("/v1/catalog/datacenters", "Lists the datacenters: the one there is.", Nothing, run!(catalog::datacenters))
        .answers(&[(200, json_of(&TEXTS))]),
    get("/v1/catalog/services", "Lists the services with their tags.", Pieces, run!(catalog::services))
        .asks(&[WHERE, WAITING, CHOSEN])
        .answers(&[(200, json_of(&Schema::Map(&TEXTS)))]),
    get("/v1/catalog/service/{*name}", "Lists the instances of a service.", Pieces, run!(catalog::service))
        .asks(&[WHERE, WAITING, CHOSEN, &[TAG]])
        .answers(&[(200, json_of(&Schema::List(&CATALOG_SERVICE)))]),
    get("/v1/catalog/nodes", "Lists the nodes.", Pieces, run!(catalog::nodes))
        .asks(&[WHERE, WAITING, CHOSEN])
        .answers(&[(200, json_of(&Schema::List(&NODE)))]),
    get("/v1/catalog/node/{*name}", "Shows a node and its instances, by ID.", Pieces, run!(nodes::node))
        .asks(&[WHERE, WAITING, CHOSEN])
        .answers(&[(200, json_of(&NODE_WITH_SERVICES))]),
    get(
        "/v1/catalog/node-services/{*name}",
        "Shows a node and its instances, as a list.",
        Pieces,
        run!(nodes::node_services),
    )
    .asks(&[WHERE, WAITING, CHOSEN])
    .answers(&[(200, json_of(&NODE_WITH_SERVICE_LIST))]),
    get("/v1/catalog/connect/{*name}", NO_MESH, Nothing, run!(catalog::none_of_service))
        .asks(&[WHERE, WAITING, CHOSEN])
        .answers(NOTHING),
    get("/v1/catalog/gateway-services/{*name}", NO_MESH, Nothing, run!(catalog::none_of_service))
        .asks(&[WHERE, WAITING, CHOSEN])
        .answers(NOTHING),
    get(
        "/v1/health/service/{*name}",
        "Lists the instances of a service with their checks.",
        Pieces,
        run!(health::service),
    )
    .asks(&[WHERE, WAITING, CHOSEN, &[TAG, PASSING]])
    .answers(&[(200, json_of(&Schema::List(&INSTANCE)))]),
    get("/v1/health/checks/{*name}", "Lists the checks of a service.", Pieces, run!(health::of_service))
        .asks(&[WHERE, WAITING, CHOSEN])
        .answers(LISTED_CHECKS),
    get(
        "/v1/health/node/{*name}",
        "Lists the checks of a node and of its instances.",
        Pieces,
        run!(nodes::node_checks),
    )
    .asks(&[WHERE, WAITING, CHOSEN])
    .answers(LISTED_CHECKS),
    get("/v1/health/state/{*state}", "Lists the checks of a status.", Pieces, run!(health::state))
        .asks(&[WHERE, WAITING, CHOSEN])
        .answers(LISTED_CHECKS),
    get("/v1/health/connect/{*name}", NO_MESH, Nothing, run!(catalog::none_of_service))
        .asks(&[WHERE, WAITING, CHOSEN])
        .answers(NOTHING),
    get("/v1/health/ingress/{*name}", NO_MESH, Nothing, run!(catalog::none_of_service))
        .asks(&[WHERE, WAITING, CHOSEN])
        .answers(NOTHING),
    get("/v1/coordinate/datacenters", NO_DISTANCES, Nothing, run!(nodes::no_coordinates))
        .asks(&[WHERE, WAITING])
        .answers(NOTHING),
    get("/v1/coordinate/nodes", NO_DISTANCES, Nothing, run!(nodes::no_coordinates))
        .asks(&[WHERE, WAITING])
        .answers(NOTHING),
    get("/v1/coordinate/node/{*name}", NO_DISTANCES, Nothing, run!(nodes::no_coordinates))
        .asks(&[WHERE, WAITING])
        .answers(NOTHING),
    put("/v1/coordinate/update", "Does nothing: distances are not kept.", Nothing, run!(nodes::coordinate_update)),
    put("/v1/txn", "Applies operations on nodes, services and checks, all or none.", Pieces, run!(txn::txn))
        .asks(&[WHERE])
        .takes(&definitions::TRANSACTION)
        .body_at_most(TXN_MAX_BYTES)
        .answers(&[(200, json_of(&TXN_RESULT)), (409, json_of(&TXN_RESULT))]),
    get(
        "/v1/export",
        "Writes all that was registered by HTTP, as operations of transactions.",
        ReadEverything,
        run!(export::export),
    )
    .asks(&[WHERE])
    .answers(&[(200, LINES)]),
];

const NO_MESH: &str = "Lists nothing: there is no service mesh.";
const NO_DISTANCES: &str = "Lists nothing: distances are not measured.";
const NOTHING: &[(u16, Content)] = &[(200, json_of(&Schema::EmptyList))];
const LISTED_CHECKS: &[(u16, Content)] = &[(200, json_of(&CHECKS))];
