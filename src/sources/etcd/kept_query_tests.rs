use proptest::{collection::vec, option, prelude::*};

use super::*;

const REVISIONS: Revisions = Revisions { create: 3, modify: 7 };

fn read(text: &str) -> Result<Query, String> {
    let entry = read_query(&"q1".into(), text.as_bytes(), REVISIONS).map_err(|error| error.to_string())?;
    assert_eq!((entry.create_index, entry.modify_index), (3, 7));
    Ok(Query::clone(&entry.query))
}

fn plain() -> Query {
    Query { id: "q1".into(), service: "web".into(), ..Query::default() }
}

fn full() -> Query {
    Query {
        id: "q1".into(),
        name: "geo-".into(),
        session: "s1".into(),
        template: Some(Template { regexp: Expression::new("^geo-(.*)$".into()).unwrap(), remove_empty_tags: true }),
        service: "web-${match(1)}".into(),
        tags: vec!["blue".into(), "!v1".into()],
        only_passing: true,
        ignore_check_ids: vec!["disk".into()],
        node_meta: vec![("rack".into(), "r7".into()), ("a".into(), "b".into())],
        service_meta: vec![("tier".into(), "1".into())],
        near: "_agent".into(),
        nearest_n: 3,
        datacenters: vec!["dc2".into()],
        dns_ttl: Some((10, "10s".into())),
    }
}

#[test]
fn a_query_is_written_in_the_words_of_consul() {
    let written = |query: &Query| String::from_utf8(write_query(query).unwrap()).unwrap();
    assert_eq!(written(&plain()), r#"{"ID":"q1","Service":{"Service":"web"}}"#);
    let text = r#"{"ID":"q1","Name":"geo-","Session":"s1","#.to_owned()
        + r#""Template":{"Type":"name_prefix_match","Regexp":"^geo-(.*)$","RemoveEmptyTags":true},"#
        + r#""Service":{"Service":"web-${match(1)}","Failover":{"NearestN":3,"Datacenters":["dc2"]},"OnlyPassing":true,"#
        + r#""IgnoreCheckIDs":["disk"],"Near":"_agent","Tags":["blue","!v1"],"NodeMeta":{"rack":"r7","a":"b"},"#
        + r#""ServiceMeta":{"tier":"1"}},"DNS":{"TTL":"10s"}}"#;
    assert_eq!(written(&full()), text);
    assert_eq!(read(&text), Ok(full()));
    let every = Query { template: Some(Template::default()), ..plain() };
    assert_eq!(read(&written(&every)), Ok(every));
}

#[test]
fn what_others_write_may_leave_out_what_is_as_usual() {
    assert_eq!(read(r#"{"Service": {"Service": "web"}}"#), Ok(plain()));
    // As Consul shows one, with what is not here and what is newer.
    let shown = r#"{"ID": "q1", "Name": "", "Session": "", "Token": "", "Newer": [1], "DNS": {"TTL": ""}, "CreateIndex": 7,
        "Template": {"Type": "", "Regexp": "", "RemoveEmptyTags": false},
        "Service": {"Service": "web", "Failover": null, "OnlyPassing": false, "IgnoreCheckIDs": null, "Near": "", "Tags": null,
            "NodeMeta": null, "ServiceMeta": {}, "Connect": false, "Peer": ""}}"#;
    assert_eq!(read(shown), Ok(plain()));
    assert_eq!(read(r#"{"Template": null, "DNS": null, "Service": {"Service": "web"}}"#), Ok(plain()));
}

#[test]
fn what_is_wrong_is_said_with_its_field() {
    let check = |text: &str, error: &str| {
        let problem = read(text).unwrap_err();
        assert!(problem.contains(error), "{problem}");
    };
    let with = |field: &str| format!(r#"{{"Service": {{"Service": "web"}}, {field}}}"#);
    check("", "EOF");
    check("{}", "missing field `Service`");
    check(r#"{"Service": {}}"#, "Service: missing field `Service`");
    check(r#"{"Service": {"Service": "web", "Tags": [1]}}"#, "Service.Tags[0]: invalid type");
    check(r#"{"Service": {"Service": "web", "NodeMeta": {"a": 1}}}"#, "Service.NodeMeta.a: invalid type");
    check(r#"{"Service": {"Service": "web", "NodeMeta": []}}"#, "Service.NodeMeta: invalid type");
    check(
        r#"{"Service": {"Service": "web", "Failover": {"NearestN": -1}}}"#,
        "Service.Failover.NearestN: invalid value",
    );
    check(&with(r#""ID": "q2""#), "ID: must be \"q1\", as the key says");
    check(&with(r#""DNS": {"TTL": "x"}"#), "DNS.TTL: ");
    check(&with(r#""DNS": {"TTL": "25h"}"#), "DNS.TTL: must be at most 24h");
    check(&with(r#""Template": {"Type": "x"}"#), "Template.Type: must be \"name_prefix_match\"");
    check(&with(r#""Template": {"Type": "name_prefix_match", "Regexp": "("}"#), "Template.Regexp: ");
    let text = r#"{"Service": {"Service": "${x}"}, "Template": {"Type": "name_prefix_match"}}"#;
    check(text, "\"x\" is unknown");
}

fn any_query() -> impl Strategy<Value = Query> {
    let text = || any::<String>().prop_map(Text::from);
    let texts = move || vec(text(), 0..3);
    let pairs = move || vec((text(), text()), 0..3);
    let template = option::of((prop::sample::select(&["", "^a(.*)$", "b|c"]), any::<bool>()).prop_map(
        |(regexp, remove_empty_tags)| Template { regexp: Expression::new(regexp.into()).unwrap(), remove_empty_tags },
    ));
    let ttl = option::of(
        (0_u32..=86_400).prop_map(|secs| (secs, Text::from(format_duration(Duration::from_secs(secs.into()))))),
    );
    let texts_of = ([text(), text(), text(), text()], texts(), texts(), texts(), pairs(), pairs());
    (texts_of, template, ttl, any::<(bool, u32)>()).prop_map(
        |((names, tags, ignore_check_ids, datacenters, node_meta, service_meta), template, dns_ttl, numbers)| {
            let [name, session, service, near] = names;
            let (only_passing, nearest_n) = numbers;
            Query {
                id: "q/1".into(),
                name,
                session,
                template,
                service,
                tags,
                only_passing,
                ignore_check_ids,
                node_meta,
                service_meta,
                near,
                nearest_n,
                datacenters,
                dns_ttl,
            }
        },
    )
}

proptest! {
    #[test]
    fn a_query_is_read_as_it_was_written(query in any_query()) {
        prop_assume!(query.validate().is_ok());
        let entry = QueryEntry { query: query.into(), create_index: 3, modify_index: 7 };
        prop_assert_eq!(read_query(&entry.query.id, &write_query(&entry.query).unwrap(), REVISIONS), Ok(entry));
    }

    #[test]
    fn any_bytes_are_read_or_refused(
        bytes: Vec<u8>,
        text in r#"\{("(Name|Service|Template|DNS)": ?("[a-z0-9]*"|[0-9]|null|\{"(Service|Type|TTL)": "[a-z0-9]{0,3}"\}),?){0,4}\}"#,
    ) {
        let _ = read_query(&"a".into(), &bytes, REVISIONS);
        let _ = read_query(&"a".into(), text.as_bytes(), REVISIONS);
    }
}
