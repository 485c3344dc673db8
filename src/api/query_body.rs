//! Prepared queries as JSON.

use std::time::Duration;

use serde::Serialize;

use crate::{
    catalog::{
        definition::{
            DefinitionError, Problem,
            fields::{Field, Fields, root},
            tree::Tree,
        },
        duration::parse_duration,
        names::Text,
    },
    kv::{
        query::{Query, QueryEntry, Template},
        template::Expression,
    },
};

/// Reads a query; what Consul's clients write of features that are not here is accepted without effect.
pub(super) fn decoded(tree: &Tree, id: Text) -> Result<Query, DefinitionError> {
    let object = root(tree, "");
    let fields = Fields::read(&object, FIELDS)?;
    let service = fields.field("Service").ok_or_else(|| fields.wrong("Service", Problem::Missing))?;
    let service = Fields::read(service, SERVICE_FIELDS)?;
    let name = service.text("Service")?.ok_or_else(|| service.wrong("Service", Problem::Missing))?;
    let text =
        |fields: &Fields<'_>, name: &str| Ok::<_, DefinitionError>(Text::from(fields.text(name)?.unwrap_or_default()));
    let failover = service.field("Failover").map(|field| Fields::read(field, FAILOVER_FIELDS)).transpose()?;
    let nearest_n = failover.as_ref().and_then(|fields| fields.field("NearestN")).map_or(Ok(0), Field::index)?;
    let dns = fields.field("DNS").map(|field| Fields::read(field, &["TTL"])).transpose()?;
    let dns_ttl = match dns.as_ref().and_then(|fields| fields.filled("TTL")) {
        Some(field) => Some(ttl(field)?),
        None => None,
    };
    let query = Query {
        id,
        name: text(&fields, "Name")?,
        session: text(&fields, "Session")?,
        template: fields.filled("Template").map(template).transpose()?,
        service: Text::from(name),
        tags: texts(&service, "Tags")?,
        only_passing: service.flag("OnlyPassing")?,
        ignore_check_ids: texts(&service, "IgnoreCheckIDs")?,
        node_meta: pairs(&service, "NodeMeta")?,
        service_meta: pairs(&service, "ServiceMeta")?,
        near: text(&service, "Near")?,
        nearest_n: u32::try_from(nearest_n).unwrap_or(u32::MAX),
        datacenters: failover.as_ref().map_or(Ok(Vec::new()), |fields| texts(fields, "Datacenters"))?,
        dns_ttl,
    };
    query.validate().map_err(|problem| DefinitionError {
        path: String::new(),
        line: 1,
        problem: Problem::Rule(problem),
    })?;
    Ok(query)
}

fn template(field: &Field<'_>) -> Result<Template, DefinitionError> {
    let fields = Fields::read(field, &["Type", "Regexp", "RemoveEmptyTags"])?;
    match fields.field("Type") {
        Some(kind) if kind.text()? != "name_prefix_match" => return Err(kind.expected("\"name_prefix_match\"")),
        Some(_) => {}
        None => return Err(fields.wrong("Type", Problem::Missing)),
    }
    let regexp = Text::from(fields.text("Regexp")?.unwrap_or_default());
    let regexp = Expression::new(regexp).map_err(|problem| fields.wrong("Regexp", Problem::Rule(problem)))?;
    Ok(Template { regexp, remove_empty_tags: fields.flag("RemoveEmptyTags")? })
}

fn ttl(field: &Field<'_>) -> Result<(u32, Text), DefinitionError> {
    let text = field.text()?;
    let span = parse_duration(text).ok().filter(|span| *span <= DNS_TTL_MAX);
    let span = span.ok_or_else(|| field.expected("a duration up to 24h"))?;
    Ok((span.as_secs() as u32, Text::from(text)))
}

fn texts(fields: &Fields<'_>, name: &str) -> Result<Vec<Text>, DefinitionError> {
    fields.items(name, ITEMS_MAX)?.iter().map(|item| Ok(Text::from(item.text()?))).collect()
}

fn pairs(fields: &Fields<'_>, name: &str) -> Result<Vec<(Text, Text)>, DefinitionError> {
    let members = fields.field(name).map(Field::members).transpose()?.unwrap_or_default();
    members.into_iter().map(|(key, field)| Ok((Text::from(key), Text::from(field.text()?)))).collect()
}

/// A query, as Consul shows it.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct QueryBody<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    name: &'a str,
    session: &'a str,
    token: &'static str,
    template: TemplateBody<'a>,
    service: ServiceBody<'a>,
    #[serde(rename = "DNS")]
    dns: DnsBody<'a>,
    create_index: u64,
    modify_index: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct TemplateBody<'a> {
    #[serde(rename = "Type")]
    kind: &'static str,
    regexp: &'a str,
    remove_empty_tags: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ServiceBody<'a> {
    service: &'a str,
    failover: FailoverBody<'a>,
    only_passing: bool,
    #[serde(rename = "IgnoreCheckIDs")]
    #[serde(serialize_with = "texts_shown")]
    ignore_check_ids: &'a [Text],
    near: &'a str,
    #[serde(serialize_with = "texts_shown")]
    tags: &'a [Text],
    #[serde(serialize_with = "pairs_shown")]
    node_meta: &'a [(Text, Text)],
    #[serde(serialize_with = "pairs_shown")]
    service_meta: &'a [(Text, Text)],
    connect: bool,
    peer: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct FailoverBody<'a> {
    nearest_n: u32,
    #[serde(serialize_with = "texts_shown")]
    datacenters: &'a [Text],
}

#[derive(Serialize)]
struct DnsBody<'a> {
    #[serde(rename = "TTL")]
    ttl: &'a str,
}

fn texts_shown<S: serde::Serializer>(texts: &[Text], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(texts.iter().map(Text::as_str))
}

fn pairs_shown<S: serde::Serializer>(pairs: &[(Text, Text)], to: S) -> Result<S::Ok, S::Error> {
    to.collect_map(pairs.iter().map(|(key, value)| (key.as_str(), value.as_str())))
}

impl<'a> QueryBody<'a> {
    pub(super) fn of(entry: &'a QueryEntry) -> QueryBody<'a> {
        QueryBody::new(&entry.query, (entry.create_index, entry.modify_index))
    }

    pub(super) fn new(query: &'a Query, (create_index, modify_index): (u64, u64)) -> QueryBody<'a> {
        let template = query.template.as_ref();
        QueryBody {
            id: &query.id,
            name: &query.name,
            session: &query.session,
            token: "",
            template: TemplateBody {
                kind: if template.is_some() { "name_prefix_match" } else { "" },
                regexp: template.map_or("", |template| template.regexp.as_str()),
                remove_empty_tags: template.is_some_and(|template| template.remove_empty_tags),
            },
            service: ServiceBody {
                service: &query.service,
                failover: FailoverBody { nearest_n: query.nearest_n, datacenters: &query.datacenters },
                only_passing: query.only_passing,
                ignore_check_ids: &query.ignore_check_ids,
                near: &query.near,
                tags: &query.tags,
                node_meta: &query.node_meta,
                service_meta: &query.service_meta,
                connect: false,
                peer: "",
            },
            dns: DnsBody { ttl: query.dns_ttl.as_ref().map_or("", |(_, text)| text) },
            create_index,
            modify_index,
        }
    }
}

const FIELDS: &[&str] =
    &["Name", "Session", "Service", "DNS", "Template", "ID", "Token", "CreateIndex", "ModifyIndex", "Namespace"];

const SERVICE_FIELDS: &[&str] = &[
    "Service",
    "Failover",
    "OnlyPassing",
    "IgnoreCheckIDs",
    "Near",
    "Tags",
    "NodeMeta",
    "ServiceMeta",
    //
    "Connect",
    "Peer",
    "SamenessGroup",
    "Namespace",
    "Partition",
];

const FAILOVER_FIELDS: &[&str] = &["NearestN", "Datacenters", "Targets"];

/// Longest TTL of answers. Source: none, chosen: as for meta `dns-ttl`.
const DNS_TTL_MAX: Duration = Duration::from_secs(86_400);

/// Most items of a list in a query. Source: none, chosen.
const ITEMS_MAX: usize = 128;
