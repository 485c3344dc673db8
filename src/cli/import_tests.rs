use super::*;

fn lines(text: &str) -> Result<Vec<(u64, String)>, String> {
    let mut lines = Lines { input: text.as_bytes(), number: 0 };
    std::iter::from_fn(|| lines.next().transpose()).collect()
}

#[test]
fn lines_are_counted_and_blank_ones_left_out() {
    let expected = [(1, "{}".to_owned()), (4, "[]".to_owned())];
    assert_eq!(lines("{}\n\n  \r\n[]"), Ok(expected.to_vec()));
    assert_eq!(lines(""), Ok(Vec::new()));
}

#[test]
fn a_line_that_is_too_long_is_refused_by_its_number() {
    let long = format!("{{}}\n\"{}\"\n", "x".repeat(1024 * 1024));
    assert_eq!(lines(&long), Err("line 2: must be at most 1 MiB".to_owned()));
}

#[test]
fn a_line_is_about_its_only_key() {
    assert_eq!(kind(r#"{"Node": {}}"#), Ok(Kind::Node));
    assert_eq!(kind(r#"{"KV": null, "service": {"Check": 1}}"#), Ok(Kind::Service));
    assert_eq!(kind(r#"{"Check": {}}"#), Ok(Kind::Check));
    for (line, problem) in [
        ("{", "not JSON as export writes it: EOF while parsing an object at line 1 column 1"),
        ("[]", "not JSON as export writes it: invalid type: sequence, expected a map at line 1 column 0"),
        ("{}", "must be an object with one of Node, Service and Check"),
    ] {
        assert_eq!(kind(line), Err(problem.to_owned()));
    }
}

#[test]
fn a_refusal_names_the_line_and_what_was_done() {
    let client = Client::new("http://127.0.0.1:9", None).unwrap();
    let mut import = Import::new(&client, 2, false);
    import.done = 4;
    import.add(5, "{}", Kind::Node);
    import.add(7, "{}", Kind::Service);
    let refused = |status, message: &str| {
        let error = import.refused(ClientError::Refused { status, message: message.to_owned() });
        (format!("{error:#}"), crate::cli::exit_code(&error))
    };
    let (wrong, no) = (std::process::ExitCode::from(2), std::process::ExitCode::from(1));
    let cure = "; mend that line and import all of it again: what is registered already is not changed by that\n\
                lines 1 to 4 are in force";
    let same = |(said, code): (String, std::process::ExitCode), text: &str, expected: std::process::ExitCode| {
        assert_eq!(said, text);
        assert_eq!(format!("{code:?}"), format!("{expected:?}"));
    };
    same(
        refused(400, "[1].Service.Service.Port: expected a number from 0 to 65535, not \"http\""),
        &format!("line 7: Service.Service.Port: expected a number from 0 to 65535, not \"http\"{cure}"),
        wrong,
    );
    same(
        refused(
            409,
            r#"{"Results": [], "Errors": [{"OpIndex": 0, "What": "unknown node \"n9\"; register it first"}]}"#,
        ),
        &format!("line 5: unknown node \"n9\"; register it first{cure}"),
        wrong,
    );
    same(refused(413, "too long"), "lines 1 to 4 are in force; lines 5 to 7 were refused: too long", wrong);
    same(refused(500, "no disk"), "lines 1 to 4 are in force; lines 5 to 7 may be in force or not: no disk", no);
}

#[test]
fn a_transaction_is_full_by_operations_or_by_bytes() {
    let client = Client::new("http://127.0.0.1:9", None).unwrap();
    let mut import = Import::new(&client, 2, false);
    import.add(1, "{}", Kind::Node);
    assert!(!import.is_full("{}") && import.is_full(&"x".repeat(BODY_MAX_BYTES)));
    import.add(2, "{}", Kind::Node);
    assert!(import.is_full("{}"));
    assert_eq!(import.body, "[{},{}");
}

#[test]
fn what_is_of_other_nodes_is_told_from_the_servers_own() {
    for line in [
        r#"{"Node": {"Verb": "set", "Node": {"Node": "n2"}}}"#,
        r#"{"Service": {"Verb": "set", "Node": "n2", "Service": {"Service": "web"}}}"#,
        r#"{"Check": {"Verb": "set", "Check": {"Node": "n2"}}}"#,
    ] {
        assert!(is_of_others(line, "n1") && !is_of_others(line, "n2"), "{line}");
    }
    assert!(!is_of_others(r#"{"Service": {"Verb": "set", "Service": {"Service": "web"}}}"#, "n1"));
}
