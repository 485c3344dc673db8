use super::*;

/// Entries as `line[i]: token|token`, quoted strings in quotes; errors as `line! text`.
#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let show = |token: &Token<'_>| {
        let raw = String::from_utf8_lossy(token.raw);
        if token.quotes == Quotes::Around { format!("\"{raw}\"") } else { raw.into_owned() }
    };
    let found: Vec<String> = Splitter::new(text.as_bytes())
        .map(|entry| match entry {
            Ok(entry) => {
                let tokens: Vec<String> = entry.tokens.iter().map(show).collect();
                format!("{}{}: {}", entry.line, if entry.is_indented { "i" } else { "" }, tokens.join("|"))
            }
            Err((line, error)) => format!("{line}! {error}"),
        })
        .collect();
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found}");
    }
}

#[test]
fn an_entry_is_a_line() {
    check("a A 192.0.2.1\n\n b\tTXT x\r\nc", &["1: a|A|192.0.2.1", "3i: b|TXT|x", "4: c"]);
}

#[test]
fn a_byte_order_mark_is_skipped() {
    check("\u{feff}a A 192.0.2.1", &["1: a|A"]);
}

#[test]
fn parentheses_continue_an_entry_over_lines() {
    check("a (\n b ; not ) here\n (c) )d\ne", &["1: a|b|c|d", "4: e"]);
}

#[test]
fn a_comment_ends_with_its_line_and_may_end_a_word() {
    check("a;b\n; c\nd ; e", &["1: a", "3: d"]);
}

#[test]
fn quotes_and_escapes_keep_blanks_and_semicolons() {
    check(r#"a "b ; ( c" d\ e \; "f\"g""#, &[r#"1: a|"b ; ( c"|d\ e|\;|"f\"g""#]);
    check(r#"a "b""c""#, &[r#"1: a|"b"|"c""#]);
    check(r#"alpn="h2, h3" x"#, &[r#"1: alpn="h2, h3"|x"#]);
}

#[test]
fn an_error_is_told_with_its_line_and_reading_goes_on() {
    check("a \"b\nc", &["1! the quoted string", "2: c"]);
    check("a )\nb", &["1! a `)` without", "2: b"]);
    check("a\nb (\nc", &["1: a", "2! the parenthesis is never"]);
    check("a \u{1}\nb", &["1! control character 1", "2: b"]);
    check("a\\\nb", &["1: a\\", "2: b"]);
}

#[test]
fn a_huge_entry_is_refused() {
    let text = format!("a (\n{})\n", "x\n".repeat(ENTRY_MAX_BYTES));
    let (line, error) = Splitter::new(text.as_bytes()).find_map(Result::err).unwrap();
    assert_eq!((line, error), (1, ZoneFileError::EntryTooLong { max: ENTRY_MAX_BYTES }));
}
