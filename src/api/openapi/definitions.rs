//! What the bodies of requests look like, in the spelling of Consul's documentation; letter case and underscores do not matter.

use super::{
    schema::{
        Field,
        Schema::{self, Anything, Boolean, Count, Either, Filled, Like, Map, Named, OneOf, Only, Text, Within},
        has, may,
    },
    shapes::TEXTS,
};

const TEXT_BY_NAME: Schema = Map(&Text);
const STATUS: Schema = OneOf(&["passing", "warning", "critical"]);
const PORT_NUMBER: Schema = Within(0, 65_535);
const DURATION: Schema = Named(
    "Duration",
    &Either(&[&Like(r"^(0|([0-9]{1,6}(\.[0-9]{1,3})?(ns|us|µs|ms|s|m|h)){0,3})$"), &Within(0, u32::MAX)]),
);

/// Where there is one of each, it may be named.
const TENANCY: &[Field] = &[may("Namespace", &OneOf(&["", "default"])), may("Partition", &OneOf(&["", "default"]))];

const CHECK_NAMES: &[Field] = &[
    may("CheckID", &Text),
    may("ID", &Text),
    may("Notes", &Text),
    may("Status", &OneOf(&["", "passing", "warning", "critical"])),
    may("ServiceID", &Text),
];
const CHECK_COUNTS: &[Field] = &[
    may("SuccessBeforePassing", &PORT_NUMBER),
    may("FailuresBeforeWarning", &PORT_NUMBER),
    may("FailuresBeforeCritical", &PORT_NUMBER),
    may("Rise", &PORT_NUMBER),
    may("Fall", &PORT_NUMBER),
    may("OutputMaxSize", &Count),
    may("DeregisterCriticalServiceAfter", &DURATION),
];
const PERIODIC: &[Field] = &[has("Interval", &DURATION), may("Timeout", &DURATION)];
const CERTIFICATE: &[Field] = &[may("TLSSkipVerify", &Boolean), may("TLSServerName", &Text)];
const HTTP: &[Field] = &[
    has("HTTP", &Like("^https?://[a-z0-9]")),
    may("Method", &Text),
    may("Header", &Map(&TEXTS)),
    may("Body", &Text),
    may("DisableRedirects", &Boolean),
];
const HOST_AND_PORT: Schema = Like(r"^([a-z0-9.-]+|\[[0-9a-f:.]+\]):[0-9]{1,5}$");
const TCP: &[Field] = &[has("TCP", &HOST_AND_PORT), may("TCPUseTLS", &Boolean)];
const GRPC: &[Field] = &[
    has("GRPC", &Like(r"^([a-z0-9.-]+|\[[0-9a-f:.]+\]):[0-9]{1,5}(/[A-Za-z0-9._/-]*)?$")),
    may("GRPCUseTLS", &Boolean),
];
const H2PING: &[Field] = &[has("H2PING", &HOST_AND_PORT), may("H2PingUseTLS", &Boolean)];
const UDP: &[Field] = &[has("UDP", &HOST_AND_PORT)];
const REDIS: &[Field] = &[has("Redis", &HOST_AND_PORT)];
const MYSQL: &[Field] = &[has("MySQL", &HOST_AND_PORT)];
const POSTGRES: &[Field] = &[has("Postgres", &HOST_AND_PORT)];
const AMQP: &[Field] = &[has("AMQP", &HOST_AND_PORT)];
const ICMP: &[Field] = &[has("ICMP", &Filled)];
const DNS: &[Field] = &[has(
    "DNS",
    &Only(&[&[
        has("Server", &HOST_AND_PORT),
        has("Name", &Filled),
        may("Type", &Text),
        may("Expected", &Either(&[&Text, &TEXTS])),
    ]]),
)];
const OS_SERVICE: &[Field] = &[has("OSService", &Filled)];
const SCRIPT: &[Field] = &[has("ScriptArgs", &TEXTS)];
const ARGS: &[Field] = &[has("Args", &TEXTS)];
const DOCKER: &[Field] = &[has("DockerContainerID", &Filled), has("ScriptArgs", &TEXTS), may("Shell", &Text)];
const ALIAS_OF_SERVICE: &[Field] = &[has("AliasService", &Filled), may("AliasNode", &Text)];
const ALIAS_OF_NODE: &[Field] = &[has("AliasNode", &Filled)];
const TTL: &[Field] = &[has("TTL", &DURATION)];

const CHECK_NAME: &[Field] = &[may("Name", &Text)];
const CHECK_OF_SERVICE: Schema = Named(
    "NewCheckOfService",
    &Either(&[
        &Only(&[CHECK_NAME, CHECK_NAMES, HTTP, CERTIFICATE, PERIODIC, CHECK_COUNTS, TENANCY]),
        &Only(&[CHECK_NAME, CHECK_NAMES, TCP, CERTIFICATE, PERIODIC, CHECK_COUNTS, TENANCY]),
        &Only(&[CHECK_NAME, CHECK_NAMES, GRPC, CERTIFICATE, PERIODIC, CHECK_COUNTS, TENANCY]),
        &Only(&[CHECK_NAME, CHECK_NAMES, H2PING, CERTIFICATE, PERIODIC, CHECK_COUNTS, TENANCY]),
        &Only(&[CHECK_NAME, CHECK_NAMES, UDP, PERIODIC, CHECK_COUNTS, TENANCY]),
        &Only(&[CHECK_NAME, CHECK_NAMES, REDIS, PERIODIC, CHECK_COUNTS, TENANCY]),
        &Only(&[CHECK_NAME, CHECK_NAMES, MYSQL, PERIODIC, CHECK_COUNTS, TENANCY]),
        &Only(&[CHECK_NAME, CHECK_NAMES, POSTGRES, PERIODIC, CHECK_COUNTS, TENANCY]),
        &Only(&[CHECK_NAME, CHECK_NAMES, AMQP, PERIODIC, CHECK_COUNTS, TENANCY]),
        &Only(&[CHECK_NAME, CHECK_NAMES, ICMP, PERIODIC, CHECK_COUNTS, TENANCY]),
        &Only(&[CHECK_NAME, CHECK_NAMES, DNS, PERIODIC, CHECK_COUNTS, TENANCY]),
        &Only(&[CHECK_NAME, CHECK_NAMES, OS_SERVICE, PERIODIC, CHECK_COUNTS, TENANCY]),
        &Only(&[CHECK_NAME, CHECK_NAMES, SCRIPT, PERIODIC, CHECK_COUNTS, TENANCY]),
        &Only(&[CHECK_NAME, CHECK_NAMES, ARGS, PERIODIC, CHECK_COUNTS, TENANCY]),
        &Only(&[CHECK_NAME, CHECK_NAMES, DOCKER, PERIODIC, CHECK_COUNTS, TENANCY]),
        &Only(&[CHECK_NAME, CHECK_NAMES, ALIAS_OF_SERVICE, CHECK_COUNTS, TENANCY]),
        &Only(&[CHECK_NAME, CHECK_NAMES, ALIAS_OF_NODE, CHECK_COUNTS, TENANCY]),
        &Only(&[CHECK_NAME, CHECK_NAMES, TTL, CHECK_COUNTS, TENANCY]),
    ]),
);

const CHECK_MUST_NAME: &[Field] = &[has("Name", &Filled)];
pub(in crate::api) const CHECK: Schema = Named(
    "NewCheck",
    &Either(&[
        &Only(&[CHECK_MUST_NAME, CHECK_NAMES, HTTP, CERTIFICATE, PERIODIC, CHECK_COUNTS, TENANCY]),
        &Only(&[CHECK_MUST_NAME, CHECK_NAMES, TCP, CERTIFICATE, PERIODIC, CHECK_COUNTS, TENANCY]),
        &Only(&[CHECK_MUST_NAME, CHECK_NAMES, GRPC, CERTIFICATE, PERIODIC, CHECK_COUNTS, TENANCY]),
        &Only(&[CHECK_MUST_NAME, CHECK_NAMES, H2PING, CERTIFICATE, PERIODIC, CHECK_COUNTS, TENANCY]),
        &Only(&[CHECK_MUST_NAME, CHECK_NAMES, UDP, PERIODIC, CHECK_COUNTS, TENANCY]),
        &Only(&[CHECK_MUST_NAME, CHECK_NAMES, REDIS, PERIODIC, CHECK_COUNTS, TENANCY]),
        &Only(&[CHECK_MUST_NAME, CHECK_NAMES, MYSQL, PERIODIC, CHECK_COUNTS, TENANCY]),
        &Only(&[CHECK_MUST_NAME, CHECK_NAMES, POSTGRES, PERIODIC, CHECK_COUNTS, TENANCY]),
        &Only(&[CHECK_MUST_NAME, CHECK_NAMES, AMQP, PERIODIC, CHECK_COUNTS, TENANCY]),
        &Only(&[CHECK_MUST_NAME, CHECK_NAMES, ICMP, PERIODIC, CHECK_COUNTS, TENANCY]),
        &Only(&[CHECK_MUST_NAME, CHECK_NAMES, DNS, PERIODIC, CHECK_COUNTS, TENANCY]),
        &Only(&[CHECK_MUST_NAME, CHECK_NAMES, OS_SERVICE, PERIODIC, CHECK_COUNTS, TENANCY]),
        &Only(&[CHECK_MUST_NAME, CHECK_NAMES, SCRIPT, PERIODIC, CHECK_COUNTS, TENANCY]),
        &Only(&[CHECK_MUST_NAME, CHECK_NAMES, ARGS, PERIODIC, CHECK_COUNTS, TENANCY]),
        &Only(&[CHECK_MUST_NAME, CHECK_NAMES, DOCKER, PERIODIC, CHECK_COUNTS, TENANCY]),
        &Only(&[CHECK_MUST_NAME, CHECK_NAMES, ALIAS_OF_SERVICE, CHECK_COUNTS, TENANCY]),
        &Only(&[CHECK_MUST_NAME, CHECK_NAMES, ALIAS_OF_NODE, CHECK_COUNTS, TENANCY]),
        &Only(&[CHECK_MUST_NAME, CHECK_NAMES, TTL, CHECK_COUNTS, TENANCY]),
    ]),
);

const PORT: Schema = Only(&[&[has("Name", &Filled), has("Port", &Within(1, 65_535)), may("Default", &Boolean)]]);
const TAGGED_ADDRESSES: Schema = Map(&Only(&[&[has("Address", &Filled), may("Port", &PORT_NUMBER)]]));
const WEIGHTS: Schema = Only(&[&[may("Passing", &Within(1, 65_535)), may("Warning", &PORT_NUMBER)]]);

/// What services have in the agent's words and in the catalog's.
const SERVICE_FIELDS: &[Field] = &[
    may("ID", &Text),
    may("Address", &Text),
    may("Port", &PORT_NUMBER),
    may("Ports", &Schema::List(&PORT)),
    may("Tags", &Schema::List(&Filled)),
    may("Meta", &TEXT_BY_NAME),
    may("Weights", &WEIGHTS),
    may("TaggedAddresses", &TAGGED_ADDRESSES),
    may("EnableTagOverride", &Boolean),
];

/// Of Consul's service mesh: taken without effect.
const MESH: &[Field] = &[
    may("Kind", &Text),
    may("Proxy", &Anything),
    may("Connect", &Anything),
    may("Locality", &Anything),
    may("SocketPath", &Text),
];

pub(in crate::api) const SERVICE: Schema = Named(
    "NewService",
    &Only(&[
        &[has("Name", &Filled), may("Check", &CHECK_OF_SERVICE), may("Checks", &Schema::List(&CHECK_OF_SERVICE))],
        SERVICE_FIELDS,
        MESH,
        &[may("Token", &Text)],
        TENANCY,
    ]),
);

pub(in crate::api) const STATUS_UPDATE: Schema = Only(&[&[has("Status", &STATUS), may("Output", &Text)]]);

/// What a client may send back of what it was shown.
const SHOWN: &[Field] = &[may("CreateIndex", &Count), may("ModifyIndex", &Count), may("PeerName", &Text)];

const CATALOG_SERVICE_NAME: &[Field] = &[has("Service", &Filled)];
const CATALOG_SERVICE_OTHERS: &[Field] =
    &[may("ContentHash", &Text), may("Datacenter", &Text), may("Origin", &Text), may("Shadowed", &TEXTS)];
const CATALOG_SERVICE: Schema = Named(
    "NewCatalogService",
    &Only(&[CATALOG_SERVICE_NAME, SERVICE_FIELDS, MESH, CATALOG_SERVICE_OTHERS, SHOWN, TENANCY]),
);

/// How a check of the catalog is probed; without all of it, its status is set from outside.
const DEFINITION_PERIOD: &[Field] = &[may("Interval", &DURATION), may("Timeout", &DURATION)];
const DEFINITION: Schema = Either(&[
    &Only(&[HTTP, CERTIFICATE, DEFINITION_PERIOD, CHECK_COUNTS]),
    &Only(&[TCP, CERTIFICATE, DEFINITION_PERIOD, CHECK_COUNTS]),
    &Only(&[GRPC, CERTIFICATE, DEFINITION_PERIOD, CHECK_COUNTS]),
    &Only(&[H2PING, CERTIFICATE, DEFINITION_PERIOD, CHECK_COUNTS]),
    &Only(&[UDP, DEFINITION_PERIOD, CHECK_COUNTS]),
    &Only(&[REDIS, DEFINITION_PERIOD, CHECK_COUNTS]),
    &Only(&[MYSQL, DEFINITION_PERIOD, CHECK_COUNTS]),
    &Only(&[POSTGRES, DEFINITION_PERIOD, CHECK_COUNTS]),
    &Only(&[AMQP, DEFINITION_PERIOD, CHECK_COUNTS]),
    &Only(&[ICMP, DEFINITION_PERIOD, CHECK_COUNTS]),
    &Only(&[DNS, DEFINITION_PERIOD, CHECK_COUNTS]),
    &Only(&[OS_SERVICE, DEFINITION_PERIOD, CHECK_COUNTS]),
    &Only(&[SCRIPT, DEFINITION_PERIOD, CHECK_COUNTS]),
    &Only(&[ARGS, DEFINITION_PERIOD, CHECK_COUNTS]),
    &Only(&[DOCKER, DEFINITION_PERIOD, CHECK_COUNTS]),
    &Only(&[ALIAS_OF_SERVICE, CHECK_COUNTS]),
    &Only(&[ALIAS_OF_NODE, CHECK_COUNTS]),
    &Only(&[TTL, CHECK_COUNTS]),
    &Only(&[&[may("DeregisterCriticalServiceAfter", &DURATION)]]),
]);
const CATALOG_CHECK: Schema = Named(
    "NewCatalogCheck",
    &Only(&[
        &[
            has("Name", &Filled),
            may("Node", &Text),
            may("CheckID", &Text),
            may("Status", &OneOf(&["", "passing", "warning", "critical"])),
            may("Notes", &Text),
            may("Output", &Text),
            may("ServiceID", &Text),
            may("Definition", &DEFINITION),
            may("ExposedPort", &Count),
            may("Interval", &Text),
            may("Timeout", &Text),
            may("ServiceName", &Text),
            may("ServiceTags", &TEXTS),
            may("Type", &Text),
        ],
        SHOWN,
        TENANCY,
    ]),
);

const UUID: Schema = Like("^([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})?$");

/// An address, as the text of it or as a host name.
const ADDRESS: Schema = Like("^[a-z0-9.:-]+$");

pub(in crate::api) const REGISTRATION: Schema = Named(
    "Registration",
    &Only(&[
        &[
            has("Node", &Filled),
            may("Address", &ADDRESS),
            may("ID", &UUID),
            may("TaggedAddresses", &Map(&ADDRESS)),
            may("NodeMeta", &TEXT_BY_NAME),
            may("Datacenter", &Schema::OwnDatacenter),
            may("Service", &CATALOG_SERVICE),
            may("Check", &CATALOG_CHECK),
            may("Checks", &Schema::List(&CATALOG_CHECK)),
            may("SkipNodeUpdate", &Boolean),
            may("Locality", &Anything),
            may("PeerName", &Text),
        ],
        TENANCY,
    ]),
);

pub(in crate::api) const DEREGISTRATION: Schema = Named(
    "Deregistration",
    &Only(&[
        &[
            has("Node", &Filled),
            may("ServiceID", &Text),
            may("CheckID", &Text),
            may("Datacenter", &Schema::OwnDatacenter),
            may("Address", &Text),
            may("PeerName", &Text),
        ],
        TENANCY,
    ]),
);

const VERB: Field = has("Verb", &OneOf(&["get", "set", "cas", "delete", "delete-cas"]));
const KEY_VERB: Field = has(
    "Verb",
    &OneOf(&[
        "set",
        "cas",
        "lock",
        "unlock",
        "get",
        "get-or-empty",
        "get-tree",
        "check-index",
        "check-session",
        "check-not-exists",
        "delete",
        "delete-tree",
        "delete-cas",
    ]),
);
const BASE64: Schema = Like("^([A-Za-z0-9+/]{4})*$");
const KEY_OPERATION: Schema = Only(&[
    &[
        KEY_VERB,
        has("Key", &Filled),
        may("Value", &BASE64),
        may("Flags", &Count),
        may("Index", &Count),
        may("Session", &Text),
    ],
    TENANCY,
]);
const NODE: Schema = Only(&[
    &[
        has("Node", &Filled),
        may("ID", &UUID),
        may("Address", &ADDRESS),
        may("TaggedAddresses", &Map(&ADDRESS)),
        may("Meta", &TEXT_BY_NAME),
        may("Datacenter", &Text),
        may("Locality", &Anything),
        may("Partition", &OneOf(&["", "default"])),
    ],
    SHOWN,
]);
const OPERATION: Schema = Named(
    "Operation",
    &Either(&[
        &Only(&[&[has("KV", &KEY_OPERATION)]]),
        &Only(&[&[has("Node", &Only(&[&[VERB, has("Node", &NODE)]]))]]),
        &Only(&[&[has("Service", &Only(&[&[VERB, may("Node", &Text), has("Service", &CATALOG_SERVICE)]]))]]),
        &Only(&[&[has("Check", &Only(&[&[VERB, has("Check", &CATALOG_CHECK)]]))]]),
    ]),
);
pub(in crate::api) const TRANSACTION: Schema = Schema::List(&OPERATION);

pub(in crate::api) const SESSION: Schema = Named(
    "NewSession",
    &Only(&[
        &[
            may("Name", &Text),
            may("Node", &Text),
            may("NodeChecks", &TEXTS),
            may("ServiceChecks", &Schema::List(&Only(&[&[has("ID", &Filled), may("Namespace", &Text)]]))),
            may("Checks", &TEXTS),
            may("LockDelay", &DURATION),
            may("Behavior", &OneOf(&["", "release", "delete"])),
            may("TTL", &DURATION),
            may("ID", &Text),
            may("CreateIndex", &Count),
            may("ModifyIndex", &Count),
        ],
        TENANCY,
    ]),
);

const FAILOVER: Schema =
    Only(&[&[may("NearestN", &Count), may("Datacenters", &TEXTS), may("Targets", &Schema::List(&Anything))]]);
const SERVICE_OF_QUERY: Schema = Only(&[
    &[
        has("Service", &Filled),
        may("Failover", &FAILOVER),
        may("OnlyPassing", &Boolean),
        may("IgnoreCheckIDs", &TEXTS),
        may("Near", &Text),
        may("Tags", &TEXTS),
        may("NodeMeta", &TEXT_BY_NAME),
        may("ServiceMeta", &TEXT_BY_NAME),
        may("Connect", &Boolean),
        may("Peer", &Text),
        may("SamenessGroup", &Text),
    ],
    TENANCY,
]);
const TEMPLATE: Schema =
    Only(&[&[has("Type", &OneOf(&["name_prefix_match"])), may("Regexp", &Text), may("RemoveEmptyTags", &Boolean)]]);
pub(in crate::api) const QUERY: Schema = Named(
    "NewPreparedQuery",
    &Only(&[&[
        has("Service", &SERVICE_OF_QUERY),
        may("Name", &Text),
        may("Session", &Text),
        may("DNS", &Only(&[&[may("TTL", &DURATION)]])),
        may("Template", &TEMPLATE),
        may("ID", &Text),
        may("Token", &Text),
        may("CreateIndex", &Count),
        may("ModifyIndex", &Count),
        may("Namespace", &Text),
    ]]),
);

pub(in crate::api) const BOOTSTRAP: Schema = Only(&[&[may("BootstrapSecret", &UUID)]]);

pub(in crate::api) const TOKEN: Schema = Named(
    "NewToken",
    &Only(&[
        &[
            may("AccessorID", &UUID),
            may("SecretID", &UUID),
            may("Description", &Text),
            may("Policies", &Schema::List(&Only(&[&[may("ID", &Text), may("Name", &Text)]]))),
            may(
                "ServiceIdentities",
                &Schema::List(&Only(&[&[has("ServiceName", &Filled), may("Datacenters", &TEXTS)]])),
            ),
            may("NodeIdentities", &Schema::List(&Only(&[&[has("NodeName", &Filled), has("Datacenter", &Text)]]))),
            may("Local", &Boolean),
            may("ExpirationTTL", &DURATION),
            may("ExpirationTime", &Text),
        ],
        TENANCY,
    ]),
);

pub(in crate::api) const POLICY: Schema = Named(
    "NewPolicy",
    &Only(&[
        &[
            has("Name", &Filled),
            may("ID", &Text),
            may("Description", &Text),
            may("Rules", &Text),
            may("Datacenters", &TEXTS),
        ],
        TENANCY,
    ]),
);
