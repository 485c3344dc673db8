use super::*;

fn call(query: &[(&str, &str)]) -> Call {
    let query = query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Call {
        path: "/v1/catalog/services",
        last: None,
        query,
        headers: HeaderMap::new(),
        body: Vec::new(),
        caller: Caller::of_everybody(),
        _large: None,
    }
}

#[test]
fn waits_have_a_default_and_a_limit() {
    let check = |text: &str, secs: u64| assert_eq!(call(&[("wait", text)]).wait().unwrap(), Duration::from_secs(secs));
    check("", 300);
    check("0s", 300);
    check("120000ms", 120);
    check("1h", 600);
    assert!(call(&[("wait", "-1s")]).wait().is_err());
    assert!(call(&[("wait", "5")]).wait().is_err());
}

#[test]
fn a_negative_index_is_none() {
    let check = |text: &str, index: Option<u64>| assert_eq!(call(&[("index", text)]).index().ok(), index);
    check("", Some(0));
    check("7", Some(7));
    check("-1", Some(0));
    check("-", None);
    check("1e3", None);
}

#[test]
fn booleans_are_gos() {
    for text in ["1", "t", "T", "true", "True", "TRUE"] {
        assert_eq!(parse_bool(text), Some(true));
    }
    for text in ["0", "f", "F", "false", "False", "FALSE"] {
        assert_eq!(parse_bool(text), Some(false));
    }
    assert_eq!(parse_bool("yes"), None);
}
