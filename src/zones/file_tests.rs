use std::fs;

use proptest::prelude::*;

use super::*;
use crate::zones::{
    check_file,
    testing::{check_problem, context, problems, read_as, shown, wire, zone},
};

/// Owner, TTL and type of what the file holds, in its order.
#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let dir = tempfile::tempdir().unwrap();
    let path: Arc<Path> = dir.path().join("example.zone").into();
    fs::write(&path, text).unwrap();
    let mut problems = Problems::default();
    let read = read_file(&path, Some(Name::parse("example.").unwrap()), &mut problems);
    let found: Vec<String> = read
        .records
        .iter()
        .map(|record| format!("{}: {} {} {}", record.line, record.owner, record.ttl_secs, record.rtype))
        .collect();
    assert_eq!(found, expected, "{:?}", problems.into_sorted());
}

#[test]
fn ttl_and_class_stand_in_any_order() {
    check(
        "a 5 IN A 192.0.2.1\nb IN 1m A 192.0.2.1\nc 7 A 192.0.2.1\n$TTL 9\nd in A 192.0.2.1\n",
        &["1: a.example. 5 1", "2: b.example. 60 1", "3: c.example. 7 1", "5: d.example. 9 1"],
    );
}

#[test]
fn a_line_that_begins_with_a_blank_has_the_owner_before_it() {
    check("a 5 A 192.0.2.1\n\n ; comment\n\tTXT x\n", &["1: a.example. 5 1", "4: a.example. 5 16"]);
}

#[test]
fn a_ttl_that_is_not_given_is_the_default_or_the_last() {
    check(
        "a 5 A 192.0.2.1\nb A 192.0.2.1\n$TTL 9\nc A 192.0.2.1\n",
        &["1: a.example. 5 1", "2: b.example. 5 1", "4: c.example. 9 1"],
    );
    check("@ SOA a b 1 2 3 4 77\nb A 192.0.2.1\n", &["1: example. 77 6", "2: b.example. 77 1"]);
    assert!(shown(&read_as("example.zone", "a A 192.0.2.1\n"))[0].starts_with("1: no TTL"));
}

#[test]
fn an_origin_completes_names_and_may_be_relative() {
    check(
        "$TTL 1\na A 192.0.2.1\n$ORIGIN sub\na A 192.0.2.1\n$origin other.\na A 192.0.2.1\n",
        &["2: a.example. 1 1", "4: a.sub.example. 1 1", "6: a.other. 1 1"],
    );
}

#[test]
fn an_included_file_leaves_origin_and_owner_as_they_were() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("more")).unwrap();
    let main = "$TTL 1\n@ SOA a. b. 1 1h 10m 1d 5m\n@ NS a.\nb A 192.0.2.1\n\
                $INCLUDE more/hosts sub\n TXT x\n$INCLUDE \"more/hosts\" ; again\n";
    fs::write(dir.path().join("example.zone"), main).unwrap();
    fs::write(dir.path().join("more/hosts"), "c A 192.0.2.2\n$ORIGIN deep\n$INCLUDE last\n").unwrap();
    fs::write(dir.path().join("more/last"), "d A 192.0.2.3\n").unwrap();
    let report = check_file(&dir.path().join("example.zone"), &context());
    assert_eq!(shown(&report), Vec::<String>::new());
    let zone = report.zone.unwrap();
    for name in ["c.sub.example.", "d.deep.sub.example.", "c.example.", "d.deep.example."] {
        assert!(zone.node(&wire(name)).is_some(), "{name}");
    }
    assert!(zone.node(&wire("b.example.")).unwrap().rrset(16).is_some());
    let included: Vec<_> = zone.included().iter().map(|path| path.strip_prefix(dir.path()).unwrap()).collect();
    assert_eq!(included, [Path::new("more/hosts"), Path::new("more/last")]);
}

#[test]
fn an_error_in_an_included_file_names_it_and_its_line() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("example.zone"), "$TTL 1\n$INCLUDE a\n$INCLUDE gone\n").unwrap();
    fs::write(dir.path().join("a"), "\nx A 192.0.2\n").unwrap();
    let report = check_file(&dir.path().join("example.zone"), &context());
    let found: Vec<String> = report.problems.iter().map(ToString::to_string).collect();
    assert!(found[0].contains("/a line 2: 192.0.2 is not an IPv4 address"), "{found:#?}");
    assert!(found.iter().any(|text| text.contains("example.zone line 3: cannot be read: $INCLUDE")), "{found:#?}");
}

#[test]
fn a_file_that_includes_itself_is_refused() {
    let found = shown(&read_as("example.zone", "$INCLUDE example.zone\n"));
    assert_eq!(found, ["1: $INCLUDE goes deeper than 8 files; does a file include itself?"]);
    // Twice in each file would be 256 reads of it; the number of problems stays bounded.
    let found = shown(&read_as("example.zone", "$INCLUDE example.zone\n$INCLUDE example.zone\n"));
    assert!(found.len() <= 501, "{}", found.len());
}

#[test]
fn a_zone_of_nothing_but_includes_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("empty"), "").unwrap();
    fs::write(dir.path().join("example.zone"), "$INCLUDE empty\n".repeat(1100)).unwrap();
    let found = shown(&check_file(&dir.path().join("example.zone"), &context()));
    assert_eq!(found[0], "1001: more than 1000 $INCLUDE in one zone");
}

#[test]
fn an_include_outside_the_folder_is_refused() {
    for file in ["/etc/passwd", "../example.zone", "a/../../b", "\"\"", "a/\\046./b"] {
        check_problem(&format!("$INCLUDE {file}\n"), "4: $INCLUDE");
    }
}

#[test]
fn what_is_not_a_regular_file_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("example.zone")).unwrap();
    let report = check_file(&dir.path().join("example.zone"), &context());
    assert_eq!(shown(&report), ["is not a regular file; put the text into a plain file"]);
    let report = check_file(&dir.path().join("none.zone"), &context());
    assert!(shown(&report)[0].starts_with("cannot be read: No such file"), "{:?}", report.problems);
}

#[test]
fn a_text_beyond_the_limit_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("example.zone");
    fs::File::create(&path).unwrap().set_len(TEXT_MAX_BYTES as u64 + 1).unwrap();
    assert!(shown(&check_file(&path, &context()))[0].starts_with("is longer than 67108864 bytes"));
}

#[test]
fn wrong_directives_are_told_with_their_line() {
    check_problem("$GENERATE 1-9 a$ A 192.0.2.$\n", "4: $GENERATE is not supported");
    check_problem("$FOO x\n", "4: $FOO is not known");
    check_problem("$TTL\n", "4: $TTL takes one time");
    check_problem("$TTL x\n", "4: x is not a TTL");
    check_problem("$ORIGIN a b\n", "4: $ORIGIN takes one name");
    check_problem("$INCLUDE\n", "4: $INCLUDE takes a file name");
}

#[test]
fn wrong_records_are_told_with_their_line() {
    check_problem("a\n", "4: the record has no type");
    check_problem("a 5 IN\n", "4: the record has no type");
    check_problem("a CH TXT x\n", "4: class CH is not supported");
    check_problem("a IN IN TXT x\n", "4: type IN cannot be read");
    check_problem("a 5x A 192.0.2.1\n", "4: 5x is not a TTL");
    check_problem("a DNAME b\n", "4: DNAME is not supported");
    check_problem("a..b A 192.0.2.1\n TXT x\n", "4: the name a..b is wrong");
    check_problem("a MX (\n 10\n", "4: the parenthesis is never closed");
    assert!(shown(&read_as("example.zone", " 5 A 192.0.2.1\n"))[0].starts_with("1: the first record has no owner"));
}

#[test]
fn all_problems_of_a_file_are_told() {
    let found = problems("a A x\nb A 192.0.2.1\nc FOO x\n$BAR\nd TXT \"x\n");
    let lines: Vec<&str> = found.iter().map(|text| &text[..2]).collect();
    assert_eq!(lines, ["4:", "6:", "7:", "8:"]);
    let found = problems(&"a A x\n".repeat(2000));
    assert_eq!(found.len(), 501);
    assert!(found[500].contains("more than 500 errors"));
}

#[test]
fn many_warnings_hide_no_error() {
    let found = problems(&format!("{}z A x\n", "a 0 A 192.0.2.1\n".repeat(2000)));
    assert_eq!(found.last().unwrap(), "2004: x is not an IPv4 address");
    let lots: String = (0..600).map(|at| format!("a{at} 0 A 192.0.2.1\n")).collect();
    let found = problems(&lots);
    assert_eq!(found.len(), 501);
    assert!(found[500].contains("more than 500 warnings"));
    let found = problems(&format!("{}z CNAME a\nz TXT x\n", "a A 192.0.2.1\n".repeat(700)));
    assert!(found.iter().any(|text| text.contains("z.example. has a CNAME beside")), "{found:?}");
}

#[test]
fn the_origin_is_the_file_name_or_the_first_origin_or_the_owner_of_the_soa() {
    let soa = "@ 1 SOA a. b. 1 1h 10m 1d 5m\n@ NS a.\n";
    for (file, text, origin) in [
        ("sub.example.zone", soa.to_owned(), "sub.example."),
        ("any.zone", format!("$ORIGIN example.\n{soa}"), "example."),
        ("sub.example", soa.to_owned(), "sub.example."),
        ("sub.example.zone", format!("$ORIGIN example.\n{}", soa.replace('@', "sub")), "sub.example."),
        ("..zone", format!("$ORIGIN example.\n{soa}"), "example."),
    ] {
        let report = read_as(file, text);
        assert_eq!(report.zone.unwrap_or_else(|| panic!("{:?}", report.problems)).origin().to_string(), origin);
    }
    assert!(shown(&read_as("a..b.zone", soa))[0].contains("cannot be taken from the file name"));
}

#[test]
fn a_zone_of_many_kinds_of_text_is_read() {
    let zone = zone("a\\.b 1h30m IN ( TXT \"x;y\" ; comment\n z ) ; end\n");
    let rrset = zone.node(b"\x03a.b\x07example\0").unwrap().rrset(16).unwrap();
    assert_eq!((rrset.ttl_secs, &*rrset.rdatas[0]), (5400, &b"\x03x;y\x01z"[..]));
}

proptest! {
    #[test]
    fn any_bytes_end_in_a_report(text in prop::collection::vec(any::<u8>(), 0..400)) {
        let report = read_as("example.zone", text);
        prop_assert!(report.zone.is_some() != report.has_errors());
    }

    #[test]
    fn any_words_end_in_a_report(words in prop::collection::vec(prop::sample::select(vec![
        "@", "a", "*", "b.a", "a.example.", "$TTL", "$ORIGIN", "$INCLUDE", "5", "1h", "IN", "A", "NS", "SOA",
        "CNAME", "MX", "TXT", "192.0.2.1", "\n", "\n", " ", "(", ")", "\"", ";", "\\", "\\#", "example.zone",
        "SOA a b 1 2 3 4 5\n", "HTTPS", "alpn=\"h2\"",
    ]), 0..60)) {
        let report = read_as("example.zone", words.join(" "));
        prop_assert!(report.zone.is_some() != report.has_errors());
    }
}
