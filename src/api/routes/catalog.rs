//! The catalog, health, transactions and the export.

use super::{Route, TXN_MAX_BYTES, get, put, run};
use crate::api::{
    catalog, export, external, health, nodes,
    rights::Right::{Nothing, Pieces, ReadEverything},
    txn,
};

pub(super) const ROUTES: &[Route] = &[
    put("/v1/catalog/register", "Registers a node with what is on it.", Pieces, run!(external::register)),
    put(
        "/v1/catalog/deregister",
        "Deregisters a node, an instance or a check of any node.",
        Pieces,
        run!(external::deregister),
    ),
    get("/v1/catalog/datacenters", "Lists the datacenters: the one there is.", Nothing, run!(catalog::datacenters)),
    get("/v1/catalog/services", "Lists the services with their tags.", Pieces, run!(catalog::services)),
    get("/v1/catalog/service/{*name}", "Lists the instances of a service.", Pieces, run!(catalog::service)),
    get("/v1/catalog/nodes", "Lists the nodes.", Pieces, run!(catalog::nodes)),
    get("/v1/catalog/node/{*name}", "Shows a node and its instances, by ID.", Pieces, run!(nodes::node)),
    get(
        "/v1/catalog/node-services/{*name}",
        "Shows a node and its instances, as a list.",
        Pieces,
        run!(nodes::node_services),
    ),
    get(
        "/v1/catalog/connect/{*name}",
        "Lists nothing: there is no service mesh.",
        Nothing,
        run!(catalog::none_of_service),
    ),
    get(
        "/v1/catalog/gateway-services/{*name}",
        "Lists nothing: there is no service mesh.",
        Nothing,
        run!(catalog::none_of_service),
    ),
    get(
        "/v1/health/service/{*name}",
        "Lists the instances of a service with their checks.",
        Pieces,
        run!(health::service),
    ),
    get("/v1/health/checks/{*name}", "Lists the checks of a service.", Pieces, run!(health::of_service)),
    get(
        "/v1/health/node/{*name}",
        "Lists the checks of a node and of its instances.",
        Pieces,
        run!(nodes::node_checks),
    ),
    get("/v1/health/state/{*state}", "Lists the checks of a status.", Pieces, run!(health::state)),
    get(
        "/v1/health/connect/{*name}",
        "Lists nothing: there is no service mesh.",
        Nothing,
        run!(catalog::none_of_service),
    ),
    get(
        "/v1/health/ingress/{*name}",
        "Lists nothing: there is no service mesh.",
        Nothing,
        run!(catalog::none_of_service),
    ),
    get(
        "/v1/coordinate/datacenters",
        "Lists nothing: distances are not measured.",
        Nothing,
        run!(nodes::no_coordinates),
    ),
    get("/v1/coordinate/nodes", "Lists nothing: distances are not measured.", Nothing, run!(nodes::no_coordinates)),
    get(
        "/v1/coordinate/node/{*name}",
        "Lists nothing: distances are not measured.",
        Nothing,
        run!(nodes::no_coordinates),
    ),
    put("/v1/coordinate/update", "Does nothing: distances are not kept.", Nothing, run!(nodes::coordinate_update)),
    put("/v1/txn", "Applies operations on nodes, services and checks, all or none.", Pieces, run!(txn::txn))
        .body_at_most(TXN_MAX_BYTES),
    get(
        "/v1/export",
        "Writes all that was registered by HTTP, as operations of transactions.",
        ReadEverything,
        run!(export::export),
    ),
];
