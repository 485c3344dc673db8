//! The shapes in which records lie on disk, apart from those in memory, so that either can change alone.
//!
//! Encoded by postcard: fields in order, numbers as varints, enums by the place of the variant. So a field or a
//! variant that is added, moved or taken away is a new [`super::store::FORMAT`] with a migration step.
//!
//! Tags, meta and check definitions are byte strings of their own inside the record, because many instances have
//! equal ones: they are compared as bytes and decoded once (see [`super::format::Sharing`]).

use std::{borrow::Cow, net::IpAddr, time::Duration};

use serde::{Deserialize, Serialize};

use crate::catalog::{check::CheckStatus, few::Few};

/// What is written first when a process starts and last when it stops.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct CountersRecord {
    /// No index above it was ever handed out.
    pub(super) reserved_index: u64,
    pub(super) serial: u32,
    pub(super) extinction_index: u64,
    /// Whether the process that wrote it stopped in order, so that the numbers are exact.
    pub(super) clean: bool,
}

#[derive(Serialize, Deserialize)]
pub(super) struct InstanceRecord<'a> {
    #[serde(borrow)]
    pub(super) registration: RegistrationRecord<'a>,
    #[serde(borrow)]
    pub(super) shadowed: Vec<RegistrationRecord<'a>>,
    pub(super) create_index: u64,
    pub(super) modify_index: u64,
}

#[derive(Serialize, Deserialize)]
pub(super) struct RegistrationRecord<'a> {
    pub(super) service: &'a str,
    pub(super) origin: OriginRecord,
    #[serde(borrow)]
    pub(super) address: Option<AddressRecord<'a>>,
    #[serde(borrow, with = "few")]
    pub(super) ports: Few<PortRecord<'a>>,
    /// A list of texts.
    #[serde(borrow)]
    pub(super) tags: Cow<'a, [u8]>,
    /// A list of pairs of texts.
    #[serde(borrow)]
    pub(super) meta: Cow<'a, [u8]>,
    pub(super) passing_weight: u16,
    pub(super) warning_weight: u16,
    #[serde(borrow)]
    pub(super) tagged_addresses: Vec<TaggedAddressRecord<'a>>,
    pub(super) network_addresses: Vec<NetworkAddressRecord>,
    pub(super) enable_tag_override: bool,
    pub(super) replace_existing_checks: bool,
    #[serde(borrow, with = "few")]
    pub(super) checks: Few<CheckRecord<'a>>,
}

/// What stands behind an [`InstanceRecord`] since format 3, unless it would be empty: the further names of its registrations, that
/// of the instance first, then those of the shadowed ones.
pub(super) type FurtherNameRecords<'a> = Vec<Vec<FurtherNameRecord<'a>>>;

#[derive(Serialize, Deserialize)]
pub(super) struct FurtherNameRecord<'a> {
    pub(super) name: &'a str,
    pub(super) stands_for_id: bool,
}

/// Since format 7 an [`OriginRecord`] stands behind it, whose it is, unless it is the API's.
#[derive(Serialize, Deserialize)]
pub(super) struct NodeRecord<'a> {
    pub(super) uuid: &'a str,
    #[serde(borrow)]
    pub(super) address: AddressRecord<'a>,
    #[serde(borrow)]
    pub(super) tagged_addresses: Vec<(&'a str, AddressRecord<'a>)>,
    /// A list of pairs of texts.
    #[serde(borrow)]
    pub(super) meta: Cow<'a, [u8]>,
    #[serde(borrow)]
    pub(super) checks: Vec<CheckRecord<'a>>,
    pub(super) create_index: u64,
    pub(super) modify_index: u64,
}

#[derive(Serialize, Deserialize)]
pub(super) struct CheckRecord<'a> {
    pub(super) id: &'a str,
    pub(super) name: &'a str,
    pub(super) notes: &'a str,
    pub(super) status: StatusRecord,
    #[serde(borrow)]
    pub(super) output: Cow<'a, str>,
    /// A [`DefinitionRecord`].
    #[serde(borrow)]
    pub(super) definition: Cow<'a, [u8]>,
    pub(super) origin: OriginRecord,
    /// 0 in a shadowed registration.
    pub(super) create_index: u64,
    /// 0 in a shadowed registration.
    pub(super) modify_index: u64,
}

/// The newest result of a check, where it is newer than the check's own record.
#[derive(Serialize, Deserialize)]
pub(super) struct ResultRecord<'a> {
    pub(super) status: StatusRecord,
    #[serde(borrow)]
    pub(super) output: Cow<'a, str>,
    pub(super) modify_index: u64,
}

/// Since format 6 the most bytes of output stand behind it, a number, unless they are the most that there may be.
#[derive(Serialize, Deserialize)]
pub(super) struct DefinitionRecord<'a> {
    #[serde(borrow)]
    pub(super) kind: KindRecord<'a>,
    pub(super) interval: Duration,
    pub(super) timeout: Duration,
    pub(super) success_before_passing: u32,
    pub(super) failures_before_warning: u32,
    pub(super) failures_before_critical: u32,
    pub(super) deregister_critical_service_after: Option<Duration>,
}

#[derive(Serialize, Deserialize)]
pub(super) enum KindRecord<'a> {
    Http {
        url: &'a str,
        method: &'a str,
        headers: Vec<(&'a str, &'a str)>,
        body: &'a str,
        disable_redirects: bool,
        tls_skip_verify: bool,
        tls_server_name: Option<&'a str>,
    },
    Tcp {
        target: &'a str,
        use_tls: bool,
        tls_skip_verify: bool,
        tls_server_name: Option<&'a str>,
    },
    Deadline(Duration),
    External,
    Maintenance,
    /// Since format 2, as is what follows.
    Grpc {
        target: &'a str,
        use_tls: bool,
        tls_skip_verify: bool,
    },
    Script(Vec<&'a str>),
    /// Since format 6, as is what follows; before, gRPC had no server name.
    GrpcNamed {
        target: &'a str,
        use_tls: bool,
        tls_skip_verify: bool,
        tls_server_name: Option<&'a str>,
    },
    Udp(&'a str),
    H2Ping {
        target: &'a str,
        use_tls: bool,
        tls_skip_verify: bool,
        tls_server_name: Option<&'a str>,
    },
    DockerExec {
        container: &'a str,
        args: Vec<&'a str>,
    },
    Alias {
        node: Option<&'a str>,
        service_id: Option<&'a str>,
    },
    Systemd(&'a str),
    MySql(&'a str),
    Redis(&'a str),
    Postgres(&'a str),
    Amqp(&'a str),
    Dns {
        server: &'a str,
        name: &'a str,
        record_type: &'a str,
        expected: Vec<&'a str>,
    },
    Icmp(&'a str),
}

#[derive(Serialize, Deserialize)]
pub(super) enum AddressRecord<'a> {
    Ip(IpAddr),
    Host(&'a str),
}

/// It hashes as the port of which it is the record.
#[derive(Hash, Serialize, Deserialize)]
pub(super) struct PortRecord<'a> {
    pub(super) name: Option<&'a str>,
    pub(super) number: u16,
    pub(super) default: bool,
}

#[derive(Serialize, Deserialize)]
pub(super) struct TaggedAddressRecord<'a> {
    pub(super) role: &'a str,
    #[serde(borrow)]
    pub(super) address: AddressRecord<'a>,
    pub(super) port: u16,
}

#[derive(Serialize, Deserialize)]
pub(super) struct NetworkAddressRecord {
    pub(super) network: IpAddr,
    pub(super) prefix_length: u8,
    pub(super) address: IpAddr,
    pub(super) ports: Vec<u16>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
pub(super) enum OriginRecord {
    Server,
    Api,
    File,
    Docker,
    Registry,
    /// Since format 7.
    Cluster,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
pub(super) enum StatusRecord {
    Passing,
    Warning,
    Critical,
}

impl From<StatusRecord> for CheckStatus {
    fn from(record: StatusRecord) -> CheckStatus {
        match record {
            StatusRecord::Passing => CheckStatus::Passing,
            StatusRecord::Warning => CheckStatus::Warning,
            StatusRecord::Critical => CheckStatus::Critical,
        }
    }
}

/// Lists that nearly always have one value, which then is read without an allocation.
mod few {
    use std::{fmt, marker::PhantomData};

    use serde::{
        Deserialize, Deserializer, Serialize, Serializer,
        de::{SeqAccess, Visitor},
    };

    use super::Few;

    pub(super) fn serialize<T: Serialize, S: Serializer>(few: &Few<T>, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(few.iter())
    }

    pub(super) fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<Few<T>, D::Error> {
        from.deserialize_seq(Values(PhantomData))
    }

    struct Values<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for Values<T> {
        type Value = Few<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Few<T>, A::Error> {
            let Some(first) = values.next_element()? else { return Ok(Few::default()) };
            let Some(second) = values.next_element()? else { return Ok(Few::One(first)) };
            let mut all = vec![first, second];
            while let Some(next) = values.next_element()? {
                all.push(next);
            }
            Ok(all.into())
        }
    }
}
