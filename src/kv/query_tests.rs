use std::time::Duration;

use super::*;
use crate::catalog::table::Seed;

fn at(index: u64) -> At {
    At { index, now: Duration::ZERO }
}

fn query(id: &str, name: &str) -> Query {
    Query { id: id.into(), name: name.into(), service: "web".into(), ..Query::default() }
}

fn template(id: &str, name: &str, regexp: &str) -> Query {
    let template = Template { regexp: Expression::new(regexp.into()).unwrap(), remove_empty_tags: true };
    Query { template: Some(template), ..query(id, name) }
}

fn store(queries: Vec<Query>) -> Store {
    let mut store = Store::new(Seed(1), 0);
    for (index, query) in (1..).zip(queries) {
        store.set_query(query, at(index)).unwrap();
    }
    store
}

fn found(store: &Store, name: &str) -> Option<String> {
    store.find_query(name).map(|entry| entry.query.id.to_string())
}

#[test]
fn a_query_is_found_by_id_name_or_the_longest_beginning() {
    let all = vec![query("1", "Web"), template("2", "", ""), template("3", "geo-", ""), template("4", "geo-db", "")];
    let store = store(all);
    let find = |name: &str| found(&store, name).unwrap();
    assert_eq!(["1", "wEB", "web2", "geo-x", "GEO-dbx", "geo"].map(find), ["1", "1", "2", "3", "4", "2"]);
}

#[test]
fn a_name_belongs_to_one_query_at_a_time() {
    let mut store = store(vec![query("1", "web"), query("2", "")]);
    let refused = store.set_query(query("3", "WEB"), at(9)).unwrap_err().to_string();
    assert_eq!(refused, "name 'WEB' aliases an existing query name");
    store.set_query(query("1", "other"), at(10)).unwrap();
    store.set_query(query("3", "WEB"), at(11)).unwrap();
    assert_eq!((found(&store, "web").unwrap(), found(&store, "other").unwrap()), ("3".into(), "1".into()));
    let entry = store.query("1").unwrap();
    assert_eq!((entry.create_index, entry.modify_index, store.queries_index()), (1, 10, 11));
    store.delete_query("3", at(12));
    assert_eq!((found(&store, "web"), store.queries_index()), (None, 12));
    assert!(store.set_query(query("1", "other"), at(13)).unwrap().touched.is_empty(), "it is the same");
}

#[test]
fn what_lies_above_a_name_is_known() {
    let mut store = store(vec![query("1", "a.b.C"), query("2", "d"), template("3", "x.y", "")]);
    for (reversed, is_above) in [("c.", true), ("c.b.", true), ("c.b.a.", false), ("b.", false), ("y.", false)] {
        assert_eq!(store.has_query_below(reversed), is_above, "{reversed}");
    }
    store.set_query(query("1", "a.e"), at(9)).unwrap();
    assert_eq!((store.has_query_below("c."), store.has_query_below("e.")), (false, true));
    store.delete_query("1", at(10));
    assert!(!store.has_query_below("e."));
}
