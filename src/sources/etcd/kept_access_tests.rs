use proptest::prelude::*;

use super::*;

const ID: &str = "6a1253d2-1785-44fd-91c2-f8e78c745511";

const REVISIONS: Revisions = Revisions { create: 3, modify: 5 };

fn token() -> Token {
    Token {
        description: "ci".into(),
        policies: vec!["p1".into(), "p2".into()],
        service_identities: vec!["web".into()],
        node_identities: vec!["n1".into()],
        is_local: true,
        created_secs: 1_700_000_000,
        expires_secs: Some(1_700_000_060),
        lease: 77,
        create_index: 3,
        modify_index: 5,
        ..Token::new(ID.into(), Secret::new("45a3bd52-07c7-47a4-a60d-7d5da01bcf0f"))
    }
}

fn policy(text: &str) -> Policy {
    Policy {
        id: ID.into(),
        name: "deploy".into(),
        description: "d".into(),
        text: text.into(),
        rules: Arc::new(Rules::parse(text).unwrap()),
        create_index: 3,
        modify_index: 5,
    }
}

fn reads_token(value: &str) -> Result<Token, String> {
    read_token(ID, value.as_bytes(), (REVISIONS, 77)).map_err(|error| error.to_string())
}

fn reads_policy(value: &str) -> Result<Policy, String> {
    read_policy(ID, value.as_bytes(), REVISIONS).map_err(|error| error.to_string())
}

#[test]
fn what_is_written_is_read_again_without_loss() {
    let written = String::from_utf8(write_token(&token()).unwrap()).unwrap();
    assert_eq!(
        written,
        r#"{"AccessorID":"6a1253d2-1785-44fd-91c2-f8e78c745511","SecretID":"45a3bd52-07c7-47a4-a60d-7d5da01bcf0f","#
            .to_owned()
            + r#""Description":"ci","Policies":[{"ID":"p1"},{"ID":"p2"}],"ServiceIdentities":[{"ServiceName":"web"}],"#
            + r#""NodeIdentities":[{"NodeName":"n1"}],"Local":true,"CreateTime":"2023-11-14T22:13:20Z","#
            + r#""ExpirationTime":"2023-11-14T22:14:20Z"}"#
    );
    assert_eq!(reads_token(&written), Ok(token()));
    let bare = Token { create_index: 3, modify_index: 5, lease: 77, ..Token::new(ID.into(), token().secret) };
    assert_eq!(reads_token(&String::from_utf8(write_token(&bare).unwrap()).unwrap()), Ok(bare));
    let anonymous = Token { lease: 77, create_index: 3, modify_index: 5, ..Token::anonymous() };
    let read = read_token(ANONYMOUS_ACCESSOR_ID, &write_token(&anonymous).unwrap(), (REVISIONS, 77));
    assert_eq!(read, Ok(anonymous));
    for text in ["", "service \"web\" { policy = \"write\" }"] {
        let written = String::from_utf8(write_policy(&policy(text)).unwrap()).unwrap();
        assert_eq!(reads_policy(&written), Ok(policy(text)), "{written}");
    }
}

#[test]
fn what_is_not_known_is_passed_over() {
    let newer = r#"{"SecretID": "0123456789abcdef", "Roles": [{"ID": "r"}], "Newer": {"a": [1]}, "Policies": null}"#;
    assert_eq!(reads_token(newer).unwrap().policies, Vec::<Arc<str>>::new());
    assert!(reads_policy(r#"{"Name": "deploy", "Newer": 7}"#).is_ok());
}

#[test]
fn rules_that_cannot_be_read_are_no_policy() {
    let wrong = reads_policy(r#"{"Name": "deploy", "Rules": "service \"web\" { policy = \"rite\" }"}"#).unwrap_err();
    assert!(wrong.starts_with("Rules: "), "{wrong}");
    for (value, field) in [
        (r#"{"Rules": ""}"#, "Name"),
        (r#"{"Name": ""}"#, "Name"),
        (r#"{"Name": "deploy", "ID": "other"}"#, "ID"),
        (r#"{"Name": "deploy", "Datacenters": ["elsewhere"]}"#, "Datacenters"),
        (r#"{"Name": "deploy"}, {}"#, ""),
    ] {
        let wrong = reads_policy(value).unwrap_err();
        assert!(wrong.contains(field), "{value}: {wrong}");
    }
    let built_in = read_policy(MANAGEMENT_POLICY_ID, br#"{"Name": "mine"}"#, REVISIONS).unwrap_err();
    assert!(built_in.to_string().contains("built in"), "{built_in}");
}

#[test]
fn a_token_that_could_be_guessed_or_would_hold_elsewhere_alone_is_none() {
    for (value, field) in [
        ("{}", "SecretID"),
        (r#"{"SecretID": "short"}"#, "SecretID"),
        (r#"{"SecretID": "anonymous"}"#, "SecretID"),
        (r#"{"SecretID": "0123456789 abcdef"}"#, "SecretID"),
        (r#"{"SecretID": "0123456789abcdef", "ExpirationTime": "soon"}"#, "ExpirationTime"),
        (
            r#"{"SecretID": "0123456789abcdef", "ServiceIdentities": [{"ServiceName": "web", "Datacenters": ["dc2"]}]}"#,
            "Datacenters",
        ),
        (
            r#"{"SecretID": "0123456789abcdef", "NodeIdentities": [{"NodeName": "n1", "Datacenter": "dc2"}]}"#,
            "Datacenter",
        ),
    ] {
        let wrong = reads_token(value).unwrap_err();
        assert!(wrong.contains(field), "{value}: {wrong}");
    }
    let upper = ID.to_ascii_uppercase();
    assert!(read_token(&upper, br#"{"SecretID": "0123456789abcdef"}"#, (REVISIONS, 0)).is_err());
}

#[test]
fn what_callers_without_a_token_may_do_has_no_end() {
    let value = br#"{"Policies": [{"ID": "p"}], "ExpirationTime": "2026-01-01T00:00:00Z"}"#;
    let wrong = read_token(ANONYMOUS_ACCESSOR_ID, value, (REVISIONS, 0)).unwrap_err();
    assert!(wrong.to_string().starts_with("ExpirationTime: "), "{wrong}");
}

#[test]
fn no_error_repeats_a_secret() {
    for value in [
        r#""5ecret5ecret5ecret""#,
        r#"{"SecretID": 5555555555555555}"#,
        r#"{"AccessorID": "5ecret5ecret5ecret", "SecretID": "5ecret5ecret5ecret"}"#,
        r#"{"SecretID": "5ecret5ecret5ecret", "Local": "5ecret, expected 5ecret"}"#,
        r#"{"SecretID": ["5ecret5ecret5ecret"]}"#,
        r#"{"SecretID": "5ecret"}"#,
        r#"{"SecretID": "5ecret5ecret5ecret", "CreateTime": "5ecret"}"#,
        r#"{"SecretID": "5ecret5ecret5ecret"#,
        r#"{"5ecret5ecret5ecret": nothing}"#,
        r#"{"Newer": {"5ecret5ecret5ecret": nothing}}"#,
        r#"{"Policies": [{"ID": "p", "5ecret5ecret5ecret": nothing}]}"#,
    ] {
        let wrong = reads_token(value).unwrap_err();
        assert!(!wrong.contains("5ecret") && !wrong.contains("555"), "{value}: {wrong}");
    }
    assert!(!format!("{:?}", reads_token(r#"{"SecretID": "5ecret5ecret5ecret"}"#)).contains("5ecret"));
}

proptest! {
    #[test]
    fn any_bytes_end_in_a_document_or_an_error(bytes: Vec<u8>, text in r#"\{("(SecretID|Name|Rules|Local)": ?("[a-z "]{0,20}"|[0-9]|null),?){0,4}\}"#) {
        for value in [&bytes[..], text.as_bytes()] {
            let _ = read_token(ID, value, (REVISIONS, 0));
            let _ = read_policy(ID, value, REVISIONS);
        }
    }
}
