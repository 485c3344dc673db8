//! What a request can say beside its path and body.

use super::schema::Schema::{self, Count, Filled, Like, Named, OneOf, Text};

/// A parameter of the query, or a header.
#[derive(Debug)]
pub(in crate::api) struct Parameter {
    pub(super) name: &'static str,
    pub(super) place: Place,
    pub(super) doc: &'static str,
    pub(super) schema: &'static Schema,
    pub(super) required: bool,
    /// Whether it may be given more than once.
    pub(super) repeated: bool,
    /// Whether it stands among the components, because many routes take it.
    pub(super) shared: bool,
}

/// Where a parameter stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// In the query.
    Query,
    /// Among the headers.
    Header,
}

impl Parameter {
    const fn new(name: &'static str, schema: &'static Schema, doc: &'static str) -> Parameter {
        Parameter { name, place: Place::Query, doc, schema, required: false, repeated: false, shared: false }
    }

    const fn header(name: &'static str, schema: &'static Schema, doc: &'static str) -> Parameter {
        Parameter { place: Place::Header, ..Parameter::new(name, schema, doc) }
    }

    const fn required(self) -> Parameter {
        Parameter { required: true, ..self }
    }

    const fn shared(self) -> Parameter {
        Parameter { shared: true, ..self }
    }

    const fn repeated(self) -> Parameter {
        Parameter { repeated: true, ..self }
    }
}

/// Go's words for true and false; nothing is true.
const FLAG: Schema =
    Named("Flag", &OneOf(&["", "true", "false", "1", "0", "t", "f", "T", "F", "True", "False", "TRUE", "FALSE"]));

const SPAN: Schema = Named("Span", &Like(r"^(0|([0-9]{1,6}(\.[0-9]{1,3})?(ns|us|µs|ms|s|m|h)){0,3})$"));

/// An index of Consul's Go clients, or -1 as Spring has it.
const INDEX: Schema = Named("Index", &Like("^(-1|[0-9]{1,18})?$"));

const NUMBER: Schema = Like("^[0-9]{1,18}$");

/// What all routes take.
pub(super) const EVERYWHERE: &[Parameter] = &[
    Parameter::new("ns", &OneOf(&["", "default"]), "The namespace: there is one.").shared(),
    Parameter::new("partition", &OneOf(&["", "default"]), "The partition: there is one.").shared(),
    Parameter::new("pretty", &FLAG, "Indents JSON.").shared(),
];

/// Where it is read, and how fresh it must be: all reads are current.
pub(in crate::api) const WHERE: &[Parameter] = &[
    Parameter::new("dc", &Schema::OwnDatacenter, "The datacenter: the one there is.").shared(),
    Parameter::new("stale", &FLAG, "Accepted.").shared(),
    Parameter::new("leader", &FLAG, "Accepted.").shared(),
    Parameter::new("cached", &FLAG, "Accepted.").shared(),
    Parameter::new("max_stale", &SPAN, "Accepted.").shared(),
    Parameter::new("consistent", &FLAG, "Accepted, but not together with stale, max_stale or cached.").shared(),
    Parameter::header("Cache-Control", &Like("^((max-age|stale-if-error)=[0-9]{1,9})?$"), "Accepted.").shared(),
];

/// Of reads that can wait for a change.
pub(in crate::api) const WAITING: &[Parameter] = &[
    Parameter::new("index", &INDEX, "Waits until the index of the result is another one.").shared(),
    Parameter::new("wait", &SPAN, "Waits so long at most.").shared(),
];

/// Which elements of a list are wanted, and in which order.
pub(in crate::api) const CHOSEN: &[Parameter] = &[
    Parameter::new("near", &Text, "What is on this node stands first.").shared(),
    Parameter::new("node-meta", &Filled, "Only what is on nodes with this pair, as key:value.").repeated().shared(),
    FILTER,
    Parameter::new("peer", &Text, "Only what this peer has: nothing, for there are no peers.").shared(),
];

pub(in crate::api) const FILTER: Parameter =
    Parameter::new("filter", &Text, "Only elements for which this expression of Consul's filter language holds.")
        .shared();

pub(in crate::api) const TAG: Parameter = Parameter::new("tag", &Text, "Only instances with this tag.").repeated();
pub(in crate::api) const PASSING: Parameter =
    Parameter::new("passing", &FLAG, "Only instances of which all checks pass.");
pub(in crate::api) const REPLACE_EXISTING_CHECKS: Parameter =
    Parameter::new("replace-existing-checks", &FLAG, "Takes the checks away that the body does not name.");
pub(in crate::api) const HASH: Parameter =
    Parameter::new("hash", &Text, "An earlier X-Consul-ContentHash: waits until the instance is another one.");
pub(in crate::api) const WAIT: Parameter = Parameter::new("wait", &SPAN, "Waits so long at most.");
pub(in crate::api) const ENABLE: Parameter =
    Parameter::new("enable", &FLAG_GIVEN, "Whether to begin maintenance or to end it.").required();
pub(in crate::api) const REASON: Parameter = Parameter::new("reason", &Text, "Why, for people.");
pub(in crate::api) const NOTE: Parameter = Parameter::new("note", &Text, "The output of the check.");
pub(in crate::api) const HEALTH_FORMAT: Parameter =
    Parameter::new("format", &OneOf(&["text"]), "text: the body is one word.");
pub(in crate::api) const METRICS_FORMAT: Parameter =
    Parameter::new("format", &OneOf(&["prometheus"]), "prometheus: as /metrics.");
pub(in crate::api) const WAN: Parameter = Parameter::new("wan", &FLAG, "By the name that it has among datacenters.");
pub(in crate::api) const RECURSE: Parameter = Parameter::new("recurse", &FLAG, "All keys that begin so.");
pub(in crate::api) const KEYS: Parameter = Parameter::new("keys", &FLAG, "The names of all keys that begin so.");
pub(in crate::api) const SEPARATOR: Parameter =
    Parameter::new("separator", &Text, "With keys: names are cut behind the first one.");
pub(in crate::api) const RAW: Parameter = Parameter::new("raw", &FLAG, "The value itself.");
pub(in crate::api) const FLAGS: Parameter = Parameter::new("flags", &NUMBER, "A number to keep with the value.");
pub(in crate::api) const CAS: Parameter =
    Parameter::new("cas", &NUMBER, "Only if this is the ModifyIndex of the key; 0: if it is not there.");
pub(in crate::api) const ACQUIRE: Parameter = Parameter::new("acquire", &Text, "Locks the key for this session.");
pub(in crate::api) const RELEASE: Parameter = Parameter::new("release", &Text, "Unlocks the key of this session.");
pub(in crate::api) const EVENT_NAME: Parameter = Parameter::new("name", &Text, "Only events of this name.");
pub(in crate::api) const EVENT_FILTERS: &[Parameter] = &[
    Parameter::new("node", &Text, "A regular expression: for which nodes it is."),
    Parameter::new("service", &Text, "A regular expression: for which services it is."),
    Parameter::new("tag", &Text, "A regular expression: with service: for which tags it is."),
];
pub(in crate::api) const LIMIT: Parameter = Parameter::new("limit", &NUMBER, "So many instances at most.");
pub(in crate::api) const NEAR: Parameter = Parameter::new("near", &Text, "What is on this node stands first.");
pub(in crate::api) const DNS_NAME: Parameter = Parameter::new("name", &Filled, "The name.").required();
pub(in crate::api) const DNS_TYPE: Parameter = Parameter::new("type", &Text, "The type; A if none is given.");
pub(in crate::api) const FLUSHED_NAME: Parameter = Parameter::new("name", &Text, "Only this name.");
pub(in crate::api) const INTENTION: &[Parameter] = &[
    Parameter::new("by", &Text, "Of match: which end the name is."),
    Parameter::new("name", &Text, "Of match: the service."),
    Parameter::new("source", &Text, "Of check: who calls."),
    Parameter::new("destination", &Text, "Of check: who is called."),
];

pub(in crate::api) const OF_POLICY: Parameter = Parameter::new("policy", &Text, "Only those with this policy.");
pub(in crate::api) const OF_SERVICE: Parameter =
    Parameter::new("servicename", &Text, "Only those with the identity of this service.");

const FLAG_GIVEN: Schema = OneOf(&["true", "false", "1", "0", "t", "f", "T", "F", "True", "False", "TRUE", "FALSE"]);

/// The index of what was read.
pub(super) const INDEX_SHOWN: Schema = Count;
