//! What lies under the key of a prepared query, as JSON in the words of Consul's `/v1/query`.
//!
//! ```json
//! {"ID": "8f24...", "Name": "near-db", "Service": {"Service": "db", "Tags": ["primary"], "OnlyPassing": true}, "DNS": {"TTL": "10s"}}
//! ```
//!
//! What is as usual is left out. The indexes of a query are the revisions that etcd gives its key. A field that is not known is a
//! newer nameplate's, and is passed over.
//!
//! **Source:** Consul's `/v1/query`.

use std::{fmt, sync::Arc, time::Duration};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{MapAccess, Visitor},
};

use super::{
    document::{
        DocumentError, encoded, parsed,
        shape::{or_default, same, wrong},
    },
    kept::{KeptTooLarge, Revisions, within},
};
use crate::{
    catalog::{
        duration::{format_duration, parse_duration},
        names::Text,
    },
    kv::{
        query::{Query, QueryEntry, Template},
        template::Expression,
    },
};

/// What is written of a query.
pub fn write_query(query: &Query) -> Result<Vec<u8>, KeptTooLarge> {
    let text = |text: &Text| text.as_str().to_owned();
    let texts = |all: &[Text]| all.iter().map(text).collect();
    let pairs = |pairs: &[(Text, Text)]| Pairs(pairs.iter().map(|(key, value)| (text(key), text(value))).collect());
    within(encoded(&QueryShape {
        id: text(&query.id),
        name: text(&query.name),
        session: text(&query.session),
        template: query.template.as_ref().map(|template| TemplateShape {
            kind: NAME_PREFIX_MATCH.to_owned(),
            regexp: template.regexp.as_str().to_owned(),
            remove_empty_tags: template.remove_empty_tags,
        }),
        service: ServiceShape {
            service: text(&query.service),
            failover: FailoverShape { nearest_n: query.nearest_n, datacenters: texts(&query.datacenters) },
            only_passing: query.only_passing,
            ignore_check_ids: texts(&query.ignore_check_ids),
            near: text(&query.near),
            tags: texts(&query.tags),
            node_meta: pairs(&query.node_meta),
            service_meta: pairs(&query.service_meta),
        },
        dns: DnsShape { ttl: query.dns_ttl.as_ref().map(|(_, ttl)| text(ttl)).unwrap_or_default() },
    }))
}

/// Reads what lies under the key of a query.
pub fn read_query(id: &Text, value: &[u8], revisions: Revisions) -> Result<QueryEntry, DocumentError> {
    let shape: QueryShape = parsed(value)?;
    same("ID", &shape.id, id)?;
    let texts = |texts: Vec<String>| texts.into_iter().map(Text::from).collect();
    let pairs = |Pairs(pairs)| pairs.into_iter().map(|(key, value)| (key.into(), value.into())).collect();
    let service = shape.service;
    let query = Query {
        id: id.clone(),
        name: shape.name.into(),
        session: shape.session.into(),
        template: shape.template.map(TemplateShape::template).transpose()?.flatten(),
        service: service.service.into(),
        tags: texts(service.tags),
        only_passing: service.only_passing,
        ignore_check_ids: texts(service.ignore_check_ids),
        node_meta: pairs(service.node_meta),
        service_meta: pairs(service.service_meta),
        near: service.near.into(),
        nearest_n: service.failover.nearest_n,
        datacenters: texts(service.failover.datacenters),
        dns_ttl: shape.dns.ttl()?,
    };
    query.validate().map_err(|problem| wrong("", problem))?;
    Ok(QueryEntry { query: Arc::new(query), create_index: revisions.create, modify_index: revisions.modify })
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct QueryShape {
    #[serde(default, rename = "ID", deserialize_with = "or_default")]
    id: String,
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    name: String,
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    session: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    template: Option<TemplateShape>,
    service: ServiceShape,
    #[serde(default, rename = "DNS", deserialize_with = "or_default", skip_serializing_if = "is_default")]
    dns: DnsShape,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TemplateShape {
    #[serde(default, rename = "Type", deserialize_with = "or_default")]
    kind: String,
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    regexp: String,
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "is_default")]
    remove_empty_tags: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ServiceShape {
    service: String,
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "is_default")]
    failover: FailoverShape,
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "is_default")]
    only_passing: bool,
    #[serde(
        default,
        rename = "IgnoreCheckIDs",
        deserialize_with = "or_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    ignore_check_ids: Vec<String>,
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    near: String,
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    tags: Vec<String>,
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "is_default")]
    node_meta: Pairs,
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "is_default")]
    service_meta: Pairs,
}

#[derive(Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct FailoverShape {
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "is_default")]
    nearest_n: u32,
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    datacenters: Vec<String>,
}

#[derive(Default, PartialEq, Serialize, Deserialize)]
struct DnsShape {
    #[serde(default, rename = "TTL", deserialize_with = "or_default")]
    ttl: String,
}

/// An object of texts, in the order in which it was written.
#[derive(Default, PartialEq)]
struct Pairs(Vec<(String, String)>);

impl TemplateShape {
    /// The template; a query that is none is shown with one that has no type.
    fn template(self) -> Result<Option<Template>, DocumentError> {
        match &*self.kind {
            "" => return Ok(None),
            NAME_PREFIX_MATCH => {}
            _ => return Err(wrong("Template.Type", format!("must be {NAME_PREFIX_MATCH:?}"))),
        }
        let regexp = Expression::new(self.regexp.into()).map_err(|problem| wrong("Template.Regexp", problem))?;
        Ok(Some(Template { regexp, remove_empty_tags: self.remove_empty_tags }))
    }
}

impl DnsShape {
    fn ttl(self) -> Result<Option<(u32, Text)>, DocumentError> {
        if self.ttl.is_empty() {
            return Ok(None);
        }
        let span = parse_duration(&self.ttl).map_err(|error| wrong("DNS.TTL", error))?;
        if span > DNS_TTL_MAX {
            return Err(wrong("DNS.TTL", format!("must be at most {}", format_duration(DNS_TTL_MAX))));
        }
        // It is at most a day.
        Ok(Some((span.as_secs() as u32, self.ttl.into())))
    }
}

impl Serialize for Pairs {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Pairs, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Pairs;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of texts")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = members.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        from.deserialize_map(Members)
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// The one type of templates that there is. Source: Consul.
const NAME_PREFIX_MATCH: &str = "name_prefix_match";

/// Longest TTL of answers. Source: none, chosen: as by HTTP.
const DNS_TTL_MAX: Duration = Duration::from_secs(86_400);

#[cfg(test)]
#[path = "kept_query_tests.rs"]
mod tests;
