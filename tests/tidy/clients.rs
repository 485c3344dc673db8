//! docs/clients.md has a row for each client, with the tests that replay it.

use std::collections::BTreeSet;

use super::{files, none, read};

#[test]
fn every_client_has_a_test_and_every_replay_a_client() {
    let page = read("docs/clients.md");
    let replays: BTreeSet<String> = files(&["tests/behaviour/clients", "tests/e2e"], &["rs"])
        .into_iter()
        .filter(|(path, _)| path.starts_with("tests/behaviour/clients/") || path == "tests/e2e/clients.rs")
        .flat_map(|(path, text)| {
            tests_of(&text).into_iter().map(move |name| format!("{path}::{name}")).collect::<Vec<_>>()
        })
        .collect();
    let mut wrong = BTreeSet::new();
    let mut named = BTreeSet::new();
    let rows = rows(&page);
    assert!(rows.len() >= CLIENTS.len(), "docs/clients.md has a table of clients");
    for row in &rows {
        let tests: Vec<&str> = row[row.len() - 1].split('`').filter(|span| span.contains("::")).collect();
        if tests.is_empty() {
            wrong.insert(format!("{} has no test", row[0]));
        }
        for test in tests {
            let (path, name) = test.rsplit_once("::").unwrap_or_default();
            if !tests_of(&read(path)).iter().any(|known| known == name) {
                wrong.insert(format!("{}: there is no test {test}", row[0]));
            }
            named.insert(test.to_owned());
        }
    }
    wrong.extend(replays.difference(&named).map(|test| format!("no client has {test}")));
    let missing = CLIENTS.iter().filter(|client| !rows.iter().any(|row| row[0].contains(**client)));
    wrong.extend(missing.map(|client| format!("{client} has no row")));
    none(&wrong);
}

/// The cells of a page's table rows, but for its head.
fn rows(page: &str) -> Vec<Vec<&str>> {
    let rows = page.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    rows.skip(1).map(|row| row.split(" | ").collect()).collect()
}

/// The names of a file's tests.
fn tests_of(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let is_test = |line: &str| line == "#[test]" || line.starts_with("#[tokio::test");
    let pairs = lines.windows(2).filter(|pair| is_test(pair[0]));
    pairs.filter_map(|pair| Some(pair[1].split_once("fn ")?.1.split('(').next()?.to_owned())).collect()
}

/// Who must have a row, by the name that it begins with.
const CLIENTS: &[&str] = &[
    "Registrator",
    "Prometheus",
    "Traefik",
    "consul-template",
    "Fabio",
    "py-consul",
    "python-consul",
    "Spring Cloud Consul",
    "data plane API",
    "DNS alone",
    "envoy-control",
    "consul-envoy-xds",
    "Nomad",
    "consul-esm",
    "`api.Lock`",
];

#[test]
fn tests_and_rows_are_found() {
    assert_eq!(tests_of("#[test]\nfn a() {}\n  #[tokio::test(x)]\n  async fn b() {}\nfn c() {}\n"), ["a", "b"]);
    assert_eq!(rows("| a | b |\n|---|---|\n| c | `d` |\n"), [["c", "`d`"]]);
}
