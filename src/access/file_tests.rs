use super::*;
use crate::{
    access::directory::HashKey,
    access::{Authorizer, Level, Resource, directory::rules_of},
    catalog::table::Seed,
};

fn load(text: &str) -> Result<Directory, AccessFileError> {
    read(text, Directory::new(Seed(7), HashKey([3; 16])))
}

#[track_caller]
fn refuses(text: &str, error: &str) {
    assert_eq!(load(text).unwrap_err().to_string(), error);
}

const FILE: &str = r#"
[policy.deploy]
description = "what CI may do"
rules = '''
service_prefix "web" { policy = "write" }
'''

[token.ci]
secret = "5f2c0c52-4a53-4d0c-9a3f-0d4c8a0f8f11"
policies = ["deploy"]
services = ["db"]
expires = 2027-01-01T00:00:00Z

[token.admin]
secret = "5f2c0c52-4a53-4d0c-9a3f-0d4c8a0f8f12"
policies = ["global-management"]

[anonymous]
policies = ["deploy"]
"#;

#[test]
fn a_file_has_policies_tokens_and_what_others_may_do() {
    let directory = load(FILE).unwrap();
    let ci = directory.token_by_secret("5f2c0c52-4a53-4d0c-9a3f-0d4c8a0f8f11").unwrap();
    assert_eq!((&*ci.description, ci.expires_secs), ("ci", Some(1_798_761_600)));
    let rules = rules_of(ci, |id| directory.policy(id));
    let authorizer = Authorizer::new(rules.iter().map(|rules| &**rules), Level::Deny);
    assert!(authorizer.allows(Resource::Service, "web-1", Level::Write));
    assert!(authorizer.allows(Resource::Service, "db", Level::Write));
    assert!(!authorizer.allows(Resource::Service, "cache", Level::Write));
    let anonymous = directory.token(super::super::token::ANONYMOUS_ACCESSOR_ID).unwrap();
    assert_eq!(anonymous.policies, ci.policies);
    assert_eq!(directory.tokens().count(), 3);
}

#[test]
fn ids_are_the_same_each_time() {
    let ids = |directory: &Directory| {
        let mut ids: Vec<_> = directory.tokens().map(|token| token.accessor_id.to_string()).collect();
        ids.sort();
        ids
    };
    let (one, other) = (load(FILE).unwrap(), load(FILE).unwrap());
    assert_eq!(ids(&one), ids(&other));
    assert!(ids(&one).iter().all(|id| id.len() == 36));
    assert_ne!(id("token", "a"), id("policy", "a"));
}

#[test]
fn an_error_names_the_line_and_no_secret() {
    refuses(
        "[policy.a]\nrules = '''\n\nservise \"x\" { policy = \"read\" }\n'''",
        "line 4: unknown rule \"servise\"; did you mean \"service\"?",
    );
    refuses("[policy.a]\nrules = \"operater = 1\"", "line 2: unknown rule \"operater\"; did you mean \"operator\"?");
    refuses(
        "[token.a]\nsecret = \"5f2c0c52-4a53-4d0c\"\npolicies = [\"b\"]",
        "line 3: no policy \"b\" in this file; write [policy.b]",
    );
    refuses(
        "[token.a]\nsecret = \"short\"",
        "line 2: the secret of token \"a\" is shorter than 16 characters: it could be guessed; `uuidgen` makes a good one",
    );
    refuses(
        "[token.a]\nsecret = \"long but with blanks\"",
        "line 2: a secret travels in an HTTP header: write letters, digits and signs without blanks",
    );
    refuses(
        "[token.a]\nsecret = \"5f2c0c52-4a53-4d0c\"\n[token.b]\nsecret = \"5f2c0c52-4a53-4d0c\"",
        "line 4: another token of this file has the same secret",
    );
    refuses(
        "[token.a]\nsecret = \"5f2c0c52-4a53-4d0c\"\nexpires = 2027-01-01",
        "line 3: expires needs a date, a time and an offset: 2027-01-01T00:00:00Z",
    );
    refuses(
        "[policy.global-management]\nrules = \"\"",
        "line 1: the policy global-management is built in; choose another name",
    );
    refuses(
        "[token.a]\nsecrets = \"5f2c0c52-4a53-4d0c\"",
        "line 2: unknown field `secrets`, expected one of `secret`, `description`, `policies`, `services`, `nodes`, `expires`",
    );
}

/// The blocks of docs/access.md in this language.
fn blocks(language: &str) -> Vec<&'static str> {
    let fence = format!("```{language}\n");
    include_str!("../../docs/access.md")
        .split(fence.as_str())
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .collect()
}

#[test]
fn the_examples_of_the_page_are_accepted() {
    let directory = load(blocks("toml")[0]).unwrap();
    assert_eq!((directory.tokens().count(), directory.policies().count()), (3, 2));
    let rules = Rules::parse(blocks("hcl")[0]).unwrap();
    assert_eq!(rules.iter().count(), blocks("hcl")[0].lines().count());
}
