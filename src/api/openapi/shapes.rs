//! What responses look like. The fields are those of [`super::super::body`] and its likes; a test holds the two together.

use super::schema::{
    Field,
    Schema::{self, Anything, Boolean, Count, EmptyList, Integer, Like, Named, Number, Object, OneOf, OrNull, Text},
    has, may,
};

pub(in crate::api) const TEXTS: Schema = Schema::List(&Text);
const TEXT_BY_NAME: Schema = Schema::Map(&Text);

/// Go's text of a span.
const GO_DURATION: Schema = Like(r"^([0-9]+(\.[0-9]+)?(ns|µs|ms|s|m|h))+$");

const INDEXES: &[Field] = &[has("CreateIndex", &Count), has("ModifyIndex", &Count)];

const PORT_NUMBER: Schema = Schema::Within(0, 65_535);
const PORT: Schema = Object(&[&[has("Name", &Text), has("Port", &PORT_NUMBER), has("Default", &Boolean)]]);
pub(super) const WEIGHTS: Schema = Object(&[&[has("Passing", &PORT_NUMBER), has("Warning", &PORT_NUMBER)]]);
const TAGGED_ADDRESS: Schema = Object(&[&[has("Address", &Text), has("Port", &PORT_NUMBER)]]);
const STATUS: Schema = OneOf(&["passing", "warning", "critical"]);

const NODE_FIELDS: &[Field] = &[
    has("ID", &Text),
    has("Node", &Text),
    has("Address", &Text),
    has("Datacenter", &Text),
    has("TaggedAddresses", &TEXT_BY_NAME),
];
pub(in crate::api) const NODE: Schema = Named("Node", &Object(&[NODE_FIELDS, &[has("Meta", &TEXT_BY_NAME)], INDEXES]));

const SERVICE_FIELDS: &[Field] = &[
    has("ID", &Text),
    has("Service", &Text),
    has("Tags", &TEXTS),
    has("Meta", &TEXT_BY_NAME),
    has("Port", &PORT_NUMBER),
    may("Ports", &Schema::List(&PORT)),
    has("Address", &Text),
    has("TaggedAddresses", &Schema::Map(&TAGGED_ADDRESS)),
    has("Weights", &WEIGHTS),
    has("EnableTagOverride", &Boolean),
    has("Datacenter", &Text),
    has("Origin", &Text),
    may("Shadowed", &TEXTS),
];
pub(in crate::api) const SERVICE: Schema = Named("Service", &Object(&[SERVICE_FIELDS, INDEXES]));
pub(in crate::api) const HASHED_SERVICE: Schema =
    Named("HashedService", &Object(&[SERVICE_FIELDS, INDEXES, &[has("ContentHash", &Text)]]));

const CATALOG_SERVICE_FIELDS: &[Field] = &[
    has("NodeMeta", &TEXT_BY_NAME),
    has("ServiceKind", &Text),
    has("ServiceID", &Text),
    has("ServiceName", &Text),
    has("ServiceTags", &TEXTS),
    has("ServiceAddress", &Text),
    has("ServiceTaggedAddresses", &Schema::Map(&TAGGED_ADDRESS)),
    has("ServiceWeights", &WEIGHTS),
    has("ServiceMeta", &TEXT_BY_NAME),
    has("ServicePort", &PORT_NUMBER),
    may("ServicePorts", &Schema::List(&PORT)),
    has("ServiceSocketPath", &Text),
    has("ServiceEnableTagOverride", &Boolean),
    has("ServiceProxy", &Object(&[])),
    has("ServiceConnect", &Object(&[])),
];
pub(in crate::api) const CATALOG_SERVICE: Schema =
    Named("CatalogService", &Object(&[NODE_FIELDS, CATALOG_SERVICE_FIELDS, INDEXES]));

const DEFINITION: Schema = Object(&[&[
    may("HTTP", &Text),
    may("Method", &Text),
    may("Header", &Schema::Map(&TEXTS)),
    may("Body", &Text),
    may("DisableRedirects", &Boolean),
    may("TCP", &Text),
    may("TCPUseTLS", &Boolean),
    may("TLSSkipVerify", &Boolean),
    may("TLSServerName", &Text),
    may("TTL", &GO_DURATION),
    may("GRPC", &Text),
    may("GRPCUseTLS", &Boolean),
    may("H2PING", &Text),
    may("H2PingUseTLS", &Boolean),
    may("UDP", &Text),
    may("Redis", &Text),
    may("MySQL", &Text),
    may("Postgres", &Text),
    may("AMQP", &Text),
    may("ICMP", &Text),
    may("DNS", &Object(&[&[has("Server", &Text), has("Name", &Text), has("Type", &Text), may("Expected", &TEXTS)]])),
    may("ScriptArgs", &TEXTS),
    may("DockerContainerID", &Text),
    may("Shell", &Text),
    may("OSService", &Text),
    may("AliasNode", &Text),
    may("AliasService", &Text),
    may("OutputMaxSize", &Count),
    may("Interval", &GO_DURATION),
    may("Timeout", &GO_DURATION),
    may("SuccessBeforePassing", &Count),
    may("FailuresBeforeWarning", &Count),
    may("FailuresBeforeCritical", &Count),
    may("DeregisterCriticalServiceAfter", &GO_DURATION),
]]);
const CHECK_FIELDS: &[Field] = &[
    has("Node", &Text),
    has("CheckID", &Text),
    has("Name", &Text),
    has("Status", &STATUS),
    has("Notes", &Text),
    has("Output", &Text),
    has("ServiceID", &Text),
    has("ServiceName", &Text),
    has("ServiceTags", &TEXTS),
    has("Type", &Text),
    has("Interval", &GO_DURATION),
    has("Timeout", &GO_DURATION),
    has("ExposedPort", &Count),
    has("Definition", &Named("CheckDefinition", &DEFINITION)),
];
pub(in crate::api) const CHECK: Schema = Named("Check", &Object(&[CHECK_FIELDS, INDEXES]));
pub(in crate::api) const CHECKS: Schema = Schema::List(&CHECK);

pub(in crate::api) const INSTANCE: Schema =
    Named("HealthOfInstance", &Object(&[&[has("Node", &NODE), has("Service", &SERVICE), has("Checks", &CHECKS)]]));

const AGGREGATED: Schema = OneOf(&["passing", "warning", "critical", "maintenance"]);
pub(in crate::api) const AGGREGATED_HEALTH: Schema = Named(
    "AggregatedHealth",
    &Object(&[&[
        has("AggregatedStatus", &AGGREGATED),
        has("Service", &OrNull(&SERVICE)),
        has("Checks", &OrNull(&CHECKS)),
    ]]),
);

pub(in crate::api) const NODE_WITH_SERVICES: Schema =
    OrNull(&Object(&[&[has("Node", &NODE), has("Services", &Schema::Map(&SERVICE))]]));
pub(in crate::api) const NODE_WITH_SERVICE_LIST: Schema =
    Object(&[&[has("Node", &OrNull(&NODE)), has("Services", &Schema::List(&SERVICE))]]);

const MEMBER: Schema = Named(
    "Member",
    &Object(&[&[
        has("Name", &Text),
        has("Addr", &Text),
        has("Port", &PORT_NUMBER),
        has("Tags", &TEXT_BY_NAME),
        has("Status", &Count),
        has("ProtocolMin", &Count),
        has("ProtocolMax", &Count),
        has("ProtocolCur", &Count),
        has("DelegateMin", &Count),
        has("DelegateMax", &Count),
        has("DelegateCur", &Count),
    ]]),
);
pub(in crate::api) const MEMBERS: Schema = Schema::List(&MEMBER);

/// Of the agent itself what clients read; beside it stands what they do not look at.
pub(in crate::api) const SELF: Schema = Object(&[&[
    has(
        "Config",
        &Object(&[&[
            has("Datacenter", &Text),
            has("PrimaryDatacenter", &Text),
            has("NodeName", &Text),
            has("NodeID", &Text),
            has("Revision", &Text),
            has("Server", &Boolean),
            has("Version", &Text),
            has("BuildDate", &Text),
        ]]),
    ),
    has("DebugConfig", &Schema::Map(&Anything)),
    has("Coord", &Schema::Map(&Anything)),
    has("Member", &MEMBER),
    has("Stats", &Schema::Map(&TEXT_BY_NAME)),
    has("Meta", &TEXT_BY_NAME),
    has("xDS", &Schema::Map(&Anything)),
]]);

pub(in crate::api) const VERSION: Schema =
    Object(&[&[has("SHA", &Text), has("BuildDate", &Text), has("HumanVersion", &Text), has("FIPS", &Text)]]);

const USE: &[Field] = &[has("total", &Count), has("used", &Count), has("free", &Count), has("usedPercent", &Number)];
pub(in crate::api) const HOST: Schema = Object(&[&[
    has("Memory", &Object(&[USE, &[has("available", &Count)]])),
    has("CPU", &Schema::List(&Object(&[&[has("cpu", &Count), has("modelName", &Text), has("mhz", &Number)]]))),
    has(
        "Host",
        &Object(&[&[
            has("hostname", &Text),
            has("uptime", &Count),
            has("os", &Text),
            has("kernelVersion", &Text),
            has("kernelArch", &Text),
        ]]),
    ),
    has("Disk", &OrNull(&Object(&[USE, &[has("path", &Text)]]))),
    has("CollectionTime", &Anything),
    has("Errors", &OrNull(&TEXTS)),
]]);

const LABELS: Field = has("Labels", &TEXT_BY_NAME);
const GAUGE: Schema = Object(&[&[has("Name", &Text), has("Value", &Number), LABELS]]);
const COUNTER: Schema = Object(&[&[
    has("Name", &Text),
    has("Count", &Number),
    has("Rate", &Number),
    has("Sum", &Number),
    has("Min", &Number),
    has("Max", &Number),
    has("Mean", &Number),
    has("Stddev", &Number),
    LABELS,
]]);
pub(in crate::api) const METRICS: Schema = Object(&[&[
    has("Timestamp", &Anything),
    has("Gauges", &Schema::List(&GAUGE)),
    has("Points", &EmptyList),
    has("Counters", &Schema::List(&COUNTER)),
    has("Samples", &EmptyList),
]]);

pub(in crate::api) const KEY: Schema = Named(
    "Key",
    &Object(&[
        &[
            has("LockIndex", &Count),
            has("Key", &Text),
            has("Flags", &Count),
            has("Value", &OrNull(&Text)),
            may("Session", &Text),
        ],
        INDEXES,
    ]),
);
pub(in crate::api) const KEYS_OR_NAMES: Schema = Schema::Either(&[&Schema::List(&KEY), &TEXTS]);

pub(in crate::api) const MADE: Schema = Object(&[&[has("ID", &Text)]]);

const SESSION: Schema = Named(
    "Session",
    &Object(&[
        &[
            has("ID", &Text),
            has("Name", &Text),
            has("Node", &Text),
            has("LockDelay", &Count),
            has("Behavior", &OneOf(&["release", "delete"])),
            has("TTL", &Text),
            has("NodeChecks", &TEXTS),
            has("ServiceChecks", &OrNull(&Schema::List(&Object(&[&[has("ID", &Text), has("Namespace", &Text)]])))),
        ],
        INDEXES,
    ]),
);
pub(in crate::api) const SESSIONS: Schema = Schema::List(&SESSION);

pub(in crate::api) const EVENT: Schema = Named(
    "Event",
    &Object(&[&[
        has("ID", &Text),
        has("Name", &Text),
        has("Payload", &OrNull(&Text)),
        has("NodeFilter", &Text),
        has("ServiceFilter", &Text),
        has("TagFilter", &Text),
        has("Version", &Count),
        has("LTime", &Count),
    ]]),
);
pub(in crate::api) const EVENTS: Schema = Schema::List(&EVENT);

const DNS_OF_QUERY: Field = has("DNS", &Object(&[&[has("TTL", &Text)]]));
const SERVICE_OF_QUERY: Schema = Object(&[&[
    has("Service", &Text),
    has("Failover", &Object(&[&[has("NearestN", &Count), has("Datacenters", &TEXTS)]])),
    has("OnlyPassing", &Boolean),
    has("IgnoreCheckIDs", &TEXTS),
    has("Near", &Text),
    has("Tags", &TEXTS),
    has("NodeMeta", &TEXT_BY_NAME),
    has("ServiceMeta", &TEXT_BY_NAME),
    has("Connect", &Boolean),
    has("Peer", &Text),
]]);
const QUERY: Schema = Named(
    "PreparedQuery",
    &Object(&[
        &[
            has("ID", &Text),
            has("Name", &Text),
            has("Session", &Text),
            has("Token", &Text),
            has("Template", &Object(&[&[has("Type", &Text), has("Regexp", &Text), has("RemoveEmptyTags", &Boolean)]])),
            has("Service", &SERVICE_OF_QUERY),
            DNS_OF_QUERY,
        ],
        INDEXES,
    ]),
);
pub(in crate::api) const QUERIES: Schema = Schema::List(&QUERY);
pub(in crate::api) const EXPLAINED_QUERY: Schema = Object(&[&[has("Query", &QUERY)]]);
pub(in crate::api) const EXECUTED_QUERY: Schema = Object(&[&[
    has("Service", &Text),
    has("Nodes", &Schema::List(&INSTANCE)),
    DNS_OF_QUERY,
    has("Datacenter", &Text),
    has("Failovers", &Count),
]]);

const RESULT: Schema =
    Object(&[&[may("KV", &KEY), may("Node", &NODE), may("Service", &SERVICE), may("Check", &CHECK)]]);
pub(in crate::api) const TXN_RESULT: Schema = Named(
    "TransactionResult",
    &Object(&[&[
        has("Results", &OrNull(&Schema::List(&RESULT))),
        has("Errors", &OrNull(&Schema::List(&Object(&[&[has("OpIndex", &Count), has("What", &Text)]])))),
    ]]),
);

const SOURCE: Schema = Object(&[&[
    has("Name", &Text),
    has("Origin", &Text),
    has("Synced", &Boolean),
    has("Stale", &Boolean),
    may("Away", &Text),
]]);
pub(in crate::api) const READY: Schema = Object(&[&[has("Ready", &Boolean), has("Sources", &Schema::List(&SOURCE))]]);

const EXPLAINED_INSTANCE: Schema = Object(&[&[
    has("Node", &Text),
    has("ID", &Text),
    has("Service", &Text),
    has("Address", &Text),
    has("Port", &PORT_NUMBER),
    has("Status", &STATUS),
    has("Answered", &Boolean),
    has("Reason", &Text),
    has("Origin", &Text),
    has("Shadowed", &TEXTS),
]]);
pub(in crate::api) const EXPLAINED_NAME: Schema = Object(&[&[
    has("Name", &Text),
    has("Type", &Text),
    has("Rcode", &Text),
    has("Flags", &TEXTS),
    has("Answer", &TEXTS),
    has("Authority", &TEXTS),
    has("Additional", &TEXTS),
    has("ExtendedError", &OrNull(&Object(&[&[has("Code", &Count), has("Text", &Text)]]))),
    has("Service", &OrNull(&Text)),
    has("FurtherName", &OrNull(&Text)),
    has("Form", &Text),
    has("Instances", &Schema::List(&EXPLAINED_INSTANCE)),
]]);
pub(in crate::api) const FLUSHED: Schema = Object(&[&[has("Flushed", &Count)]]);

const RAFT_SERVER: Schema = Object(&[&[
    has("ID", &Text),
    has("Node", &Text),
    has("Address", &Text),
    has("Leader", &Boolean),
    has("ProtocolVersion", &Text),
    has("Voter", &Boolean),
    has("LastIndex", &Count),
]]);
pub(in crate::api) const RAFT: Schema = Object(&[&[has("Servers", &Schema::List(&RAFT_SERVER)), has("Index", &Count)]]);

pub(in crate::api) const AUTOPILOT: Schema = Object(&[
    &[
        has("CleanupDeadServers", &Boolean),
        has("LastContactThreshold", &GO_DURATION),
        has("MaxTrailingLogs", &Count),
        has("MinQuorum", &Count),
        has("ServerStabilizationTime", &GO_DURATION),
        has("RedundancyZoneTag", &Text),
        has("DisableUpgradeMigration", &Boolean),
        has("UpgradeVersionTag", &Text),
    ],
    INDEXES,
]);
const AUTOPILOT_SERVER: Schema = Object(&[&[
    has("ID", &Text),
    has("Name", &Text),
    has("Address", &Text),
    has("SerfStatus", &Text),
    has("Version", &Text),
    has("Leader", &Boolean),
    has("LastContact", &GO_DURATION),
    has("LastTerm", &Count),
    has("LastIndex", &Count),
    has("Healthy", &Boolean),
    has("Voter", &Boolean),
    has("StableSince", &Text),
]]);
pub(in crate::api) const AUTOPILOT_HEALTH: Schema = Object(&[&[
    has("Healthy", &Boolean),
    has("FailureTolerance", &Integer),
    has("Servers", &Schema::List(&AUTOPILOT_SERVER)),
]]);

/// A list for each name, or whether something is allowed.
pub(in crate::api) const INTENTIONS: Schema =
    Schema::Either(&[&EmptyList, &Object(&[&[has("Allowed", &Boolean)]]), &Schema::Map(&EmptyList)]);

const LINK: Schema = Object(&[&[has("ID", &Text), has("Name", &Text)]]);
pub(in crate::api) const TOKEN: Schema = Named(
    "Token",
    &Object(&[
        &[
            may("ID", &Text),
            has("AccessorID", &Text),
            has("SecretID", &Text),
            has("Description", &Text),
            has("Policies", &Schema::List(&LINK)),
            may("ServiceIdentities", &Schema::List(&Object(&[&[has("ServiceName", &Text)]]))),
            may("NodeIdentities", &Schema::List(&Object(&[&[has("NodeName", &Text), has("Datacenter", &Text)]]))),
            has("Local", &Boolean),
            may("ExpirationTime", &Text),
            has("CreateTime", &Text),
        ],
        INDEXES,
    ]),
);
pub(in crate::api) const POLICY: Schema = Named(
    "Policy",
    &Object(&[&[has("ID", &Text), has("Name", &Text), has("Description", &Text), may("Rules", &Text)], INDEXES]),
);
