//! The house rules that no compiler knows: who may import whom, what the pure parts may not touch, sizes, words,
//! licences, and that the pages speak of what is there.
//!
//! **Limits.** Source is read as text, not parsed: comments are cut off, but strings are looked at like code. Function
//! size, parameters, missing docstrings and banned calls are lints (Cargo.toml and clippy.toml). That
//! `config/reference.toml` names the defaults and `docs/metrics.md` every metric is held by tests beside `config` and `observe`.
#![allow(clippy::unwrap_used, reason = "all of this is tests, also what stands outside a test function")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

#[path = "tidy/clients.rs"]
mod clients;

/// What each folder of `src/` may import from the others; a path allows what is below it.
const IMPORTS: &[(&str, &[&str])] = &[
    ("wire", &[]),
    ("catalog", &[]),
    ("access", &["catalog"]),
    ("observe", &[]),
    // Files of zones, services and upstreams are watched alike, and none of these may import another.
    ("fingerprint", &[]),
    ("random", &["catalog::uuid"]),
    ("zones", &["wire"]),
    ("kv", &["catalog"]),
    ("publish", &["wire", "catalog", "access", "kv", "zones", "observe"]),
    ("answer", &["wire", "publish::snapshot"]),
    ("forward", &["wire", "observe", "fingerprint"]),
    ("transport", &["wire", "answer", "forward", "publish::snapshot", "observe"]),
    // What a registry keeps of names is a zone.
    ("sources", &["catalog", "access", "kv", "publish", "observe", "fingerprint", "zones::skydns"]),
    ("health", &["catalog", "kv", "publish", "forward", "observe", "random", "sources::docker::client"]),
    (
        "api",
        &["catalog", "access", "kv", "publish", "health::deadlines", "forward", "answer::explain", "observe", "random"],
    ),
    // What settings of sources are: a template that is wrong is told before anything starts.
    (
        "config",
        &[
            "wire::name",
            "catalog",
            "access",
            "sources::docker::AddressMode",
            "sources::docker::Deregister",
            "sources::docker::Endpoint",
            "sources::docker::Template",
            "sources::docker::client::EndpointError",
            "sources::etcd::Side",
        ],
    ),
    // `catalog::duration` because a duration is read alike on the command line, in the settings and in JSON.
    // `sources::docker` because a container's variables, which a link hands on, are known to its daemon alone.
    ("cli", &["config", "zones", "api::client", "api::body", "daemon", "catalog::duration", "sources::docker"]),
    ("daemon", &[""]),
    ("lib", &[]),
    ("main", &["cli", "daemon"]),
];

/// Folders that do no I/O, see no clock and share nothing: what they need of these is handed in.
const PURE: &[&str] = &["wire", "catalog", "kv", "access", "answer"];

/// Words that no pure part has in its code.
const IMPURE: &str = "\
    async await tokio futures thread Instant SystemTime UNIX_EPOCH fs stdin stdout stderr env process \
    UdpSocket TcpStream TcpListener ToSocketAddrs Mutex RwLock Condvar Once mpsc dashmap arc_swap tracing \
    println eprintln dbg prometheus_client rand getrandom RandomState unsafe libc rustix socket2";

/// The only module of the product with unsafe code, its tests beside it, the test and the bench whose allocators count, and
/// the load that sends and receives as the product does.
const UNSAFE_ALLOWED: &[&str] = &[
    "src/transport/udp.rs",
    "src/transport/udp/interfaces.rs",
    "src/transport/udp/slice.rs",
    "src/transport/udp_tests.rs",
    "tests/allocation.rs",
    "benches/memory.rs",
    "benches/peers/batch.rs",
];

/// Most lines of a source file.
const FILE_LINES_MAX: usize = 500;

/// Most lines of a file below `fuzz/fuzz_targets`: a target calls an oracle, which plain tests call too.
const FUZZ_TARGET_LINES_MAX: usize = 40;

/// Most lines of ARCHITECTURE.md.
const ARCHITECTURE_LINES_MAX: usize = 150;

/// Words for which the glossary has a better one.
const BANNED_WORDS: &[&str] = &["fqdn", "slave", "bailiwick", "whitelist"];

/// Marks of unfinished work: open an issue, or write the limit into the module's *Limits*.
const UNFINISHED: &[&str] = &["TODO", "FIXME", "XXX", "todo!", "unimplemented!", "#[ignore"];

/// Licences that a dependency may have, in SPDX's words: all permissive.
const LICENCES: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// The verbs of the command line, each with options of its own.
const VERBS: &[&str] = &[
    "serve",
    "register",
    "deregister",
    "exec",
    "services",
    "instances",
    "query",
    "export",
    "import",
    "cache flush",
    "zone check",
    "config",
    "completions",
];

#[test]
fn a_part_imports_only_what_its_row_allows() {
    let table: BTreeMap<_, _> = IMPORTS.iter().copied().collect();
    let mut wrong = BTreeSet::new();
    for (path, code) in product_code() {
        let part = part_of(&path);
        let Some(allowed) = table.get(part.as_str()) else {
            wrong.insert(format!("{path}: {part} has no row in the table"));
            continue;
        };
        for import in imports(&path, &code) {
            let allows =
                |prefix: &&str| prefix.is_empty() || import == **prefix || import.starts_with(&format!("{prefix}::"));
            if import != part && !import.starts_with(&format!("{part}::")) && !allowed.iter().any(allows) {
                wrong.insert(format!("{path} imports {import}"));
            }
        }
    }
    none(&wrong);
}

#[test]
fn pure_parts_are_handed_what_they_need() {
    let mut wrong = BTreeSet::new();
    for (path, code) in product_code().into_iter().filter(|(path, _)| PURE.contains(&part_of(path).as_str())) {
        let code = code.replace("env!", ""); // read when it is compiled
        wrong.extend(
            words(&code)
                .filter(|word| IMPURE.split(' ').any(|banned| banned == *word))
                .map(|word| format!("{path}: {word}")),
        );
    }
    none(&wrong);
}

#[test]
fn unsafe_code_stands_in_one_module() {
    let sources = files(&["src", "tests", "benches", "fuzz"], &["rs"]);
    none(
        &sources
            .iter()
            .filter(|(path, text)| {
                !UNSAFE_ALLOWED.contains(&path.as_str())
                    && path != "tests/tidy.rs"
                    && words(&code_of(text)).any(|word| word == "unsafe")
            })
            .map(|(path, _)| path)
            .collect(),
    );
}

#[test]
fn files_are_short() {
    let mut sources = files(&["src", "tests", "benches", "fuzz"], &["rs"]);
    sources.extend(["tests/run", "ARCHITECTURE.md"].map(|path| (path.to_owned(), read(path))));
    let most = |path: &str| match path {
        "ARCHITECTURE.md" => ARCHITECTURE_LINES_MAX,
        _ if path.starts_with("fuzz/fuzz_targets/") => FUZZ_TARGET_LINES_MAX,
        _ => FILE_LINES_MAX,
    };
    let lines = sources.iter().map(|(path, text)| (path, text.lines().count()));
    let long = lines.filter(|(path, lines)| *lines > most(path));
    none(&long.map(|(path, lines)| format!("{path}: {lines} lines, at most {}", most(path))).collect());
}

#[test]
fn words_are_those_of_the_glossary() {
    let mut wrong = BTreeSet::new();
    for (path, text) in all_text() {
        for (number, line) in (1..).zip(text.lines()) {
            let banned = words(line).any(|word| BANNED_WORDS.contains(&word.to_ascii_lowercase().as_str()));
            if banned || UNFINISHED.iter().any(|mark| line.contains(mark)) {
                wrong.insert(format!("{path}:{number}: {}", line.trim()));
            }
        }
    }
    none(&wrong);
}

#[test]
fn dependencies_have_permissive_licences() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--offline", "--locked", "--format-version=1", "--filter-platform", &host()])
        .current_dir(root())
        .output()
        .expect("cargo runs this test");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("cargo writes JSON");
    let packages = metadata["packages"].as_array().expect("metadata lists packages");
    assert!(packages.len() > 100, "only {} packages", packages.len());
    none(
        &packages
            .iter()
            .filter_map(|package| {
                let licence = package["license"].as_str().unwrap_or("none");
                (!is_permissive(licence)).then(|| format!("{}: {licence}", package["name"]))
            })
            .collect(),
    );
}

#[test]
fn every_dependency_has_its_reason_in_the_architecture_page() {
    let page = read("ARCHITECTURE.md");
    let manifest: toml::Table = toml::from_str(&read("Cargo.toml")).expect("cargo has read it");
    let names = ["dependencies", "dev-dependencies", "build-dependencies"]
        .iter()
        .filter_map(|key| manifest.get(*key)?.as_table());
    none(&names.flat_map(|table| table.keys()).filter(|name| !page.contains(&format!("`{name}`"))).collect());
}

#[test]
fn toml_and_json_in_the_pages_parse() {
    let mut wrong = BTreeSet::new();
    for (path, text) in pages() {
        for (language, block) in blocks(&text) {
            let problem = match language.as_str() {
                "toml" => toml::from_str::<toml::Table>(&block).err().map(|error| error.to_string()),
                "json" => serde_json::from_str::<serde_json::Value>(&block).err().map(|error| error.to_string()),
                _ => None,
            };
            wrong.extend(problem.map(|problem| format!("{path}: {problem} in\n{block}")));
        }
    }
    none(&wrong);
}

#[test]
fn flags_in_the_readme_exist() {
    let helps: BTreeMap<_, _> = VERBS.iter().map(|verb| (*verb, flags(&help(verb)))).collect();
    let readme = read("README.md");
    let mut wrong = BTreeSet::new();
    for line in blocks(&readme).iter().flat_map(|(_, block)| command_lines(block)) {
        let Some((verb, known)) =
            helps.iter().find(|(verb, _)| line == **verb || line.starts_with(&format!("{verb} ")))
        else {
            continue;
        };
        wrong.extend(flags(&line).difference(known).map(|flag| format!("{verb} has no {flag}")));
    }
    let all: BTreeSet<_> = helps.into_values().flatten().collect();
    let spans = readme.split('`').filter(|span| span.starts_with("--") && !span.contains('\n'));
    wrong.extend(spans.flat_map(flags).filter(|flag| !all.contains(flag)).map(|flag| format!("no verb has {flag}")));
    none(&wrong);
}

#[test]
fn imports_are_found_in_every_form() {
    let code =
        "use crate::{\n    a::{self, b::{C, d as e}},\n    f::*,\n};\nfn x() -> crate::g::H { super::super::i::j() }";
    let found: Vec<_> = imports("src/k/l.rs", code).into_iter().collect();
    assert_eq!(found, ["a::b::C", "a::b::d", "a::self", "f::*", "g::H", "i::j"]);
}

#[test]
fn a_licence_is_permissive_if_one_choice_is_and_all_of_its_parts_are() {
    for expression in ["MIT", "GPL-3.0 OR MIT", "MIT/Apache-2.0", "(MIT OR GPL-2.0) AND ISC"] {
        assert!(is_permissive(expression), "{expression}");
    }
    for expression in ["", "none", "GPL-3.0", "MIT AND GPL-3.0", "(MIT OR ISC) AND MPL-2.0"] {
        assert!(!is_permissive(expression), "{expression}");
    }
}

#[track_caller]
fn none<T: std::fmt::Display>(wrong: &BTreeSet<T>) {
    let lines: Vec<_> = wrong.iter().map(T::to_string).collect();
    assert!(lines.is_empty(), "\n{}", lines.join("\n"));
}

/// Paths (from the root of the library) that a file imports or names in full.
fn imports(path: &str, code: &str) -> BTreeSet<String> {
    // The module that `super` in this file means: src/a/b.rs is a::b, src/a/mod.rs is a.
    let module = path.trim_start_matches("src/").trim_end_matches(".rs").trim_end_matches("/mod");
    let own: Vec<_> = module.split('/').collect();
    let library = if path == "src/main.rs" { "nameplate::" } else { "crate::" };
    let mut found = BTreeSet::new();
    let mut add = |mut start: Vec<String>, rest: &str| {
        let mut all = Vec::new();
        expand(rest, &mut start, &mut all);
        found.extend(all);
    };
    for (at, _) in code.match_indices(library) {
        add(Vec::new(), &code[at + library.len()..]);
    }
    for (at, _) in code.match_indices("super::").filter(|(at, _)| !code[..*at].ends_with("super::")) {
        let rest = code[at..].trim_start_matches("super::");
        let ups = (code.len() - at - rest.len()) / "super::".len();
        let above = own.len().saturating_sub(ups);
        add(own[..above].iter().map(|part| (*part).to_owned()).collect(), rest);
    }
    found
}

/// Reads one tree of a `use` declaration and adds its paths below `start`; returns what follows it.
fn expand<'a>(tree: &'a str, start: &mut Vec<String>, found: &mut Vec<String>) -> &'a str {
    let tree = tree.trim_start();
    if let Some(mut list) = tree.strip_prefix('{') {
        loop {
            list = list.trim_start().trim_start_matches(',').trim_start();
            match list.strip_prefix('}') {
                Some(rest) => return rest,
                None if list.is_empty() => return list,
                None => list = expand(list, start, found),
            }
        }
    }
    let end = tree.find(|c: char| !c.is_alphanumeric() && c != '_' && c != '*').unwrap_or(tree.len());
    let (word, rest) = tree.split_at(end);
    if word.is_empty() {
        return tree.trim_start_matches(|c: char| c != '}' && c != ',');
    }
    start.push(word.to_owned());
    let rest = match rest.strip_prefix("::") {
        Some(below) => expand(below, start, found),
        None => {
            found.push(start.join("::"));
            rest.strip_prefix(" as ")
                .map_or(rest, |alias| alias.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_'))
        }
    };
    start.pop();
    rest
}

/// Whether each part of an SPDX expression that holds (`AND`) has a choice (`OR`) in [`LICENCES`].
///
/// Parentheses are left out: of `(A AND B) OR C` it asks more than it must, never less.
fn is_permissive(expression: &str) -> bool {
    let flat = expression.replace('/', " OR ").replace(['(', ')'], " ");
    let permissive = |choice: &str| LICENCES.contains(&choice.trim());
    flat.split(" AND ").all(|part| part.split(" OR ").any(permissive))
}

/// Commands of ours in a block of a page, from their verb on, with continued lines joined.
fn command_lines(block: &str) -> Vec<String> {
    let joined = block.replace("\\\n", " ");
    let command = |line: &str| {
        let line = line.split([';', '|', '&', '#']).next().unwrap_or_default().trim();
        let (_, arguments) = line.split_once("cargo run --release -- ").or_else(|| line.split_once("nameplate "))?;
        Some(arguments.to_owned())
    };
    joined.lines().filter_map(command).collect()
}

/// The long options in a text.
fn flags(text: &str) -> BTreeSet<String> {
    let starts =
        text.match_indices("--").filter(|(at, _)| !text[..*at].ends_with(|c: char| c == '-' || c.is_alphanumeric()));
    let flag = |(at, _): (usize, &str)| {
        let name = &text[at + 2..];
        let end = name.find(|c: char| !c.is_ascii_lowercase() && c != '-').unwrap_or(name.len());
        (end > 0 && !name.starts_with('-')).then(|| format!("--{}", name[..end].trim_end_matches('-')))
    };
    starts.filter_map(flag).collect()
}

fn help(verb: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_nameplate")).args(verb.split(' ')).arg("--help").output().unwrap();
    assert!(output.status.success(), "{verb}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The fenced blocks of a page, each with its language.
fn blocks(page: &str) -> Vec<(String, String)> {
    let fences = page.split("\n```").skip(1).step_by(2);
    fences
        .filter_map(|block| block.split_once('\n'))
        .map(|(language, text)| (language.trim().to_owned(), format!("{text}\n")))
        .collect()
}

/// Every file of the library without its comments; tests and what only they use are left out.
fn product_code() -> Vec<(String, String)> {
    let sources = files(&["src"], &["rs"]);
    let tests: BTreeSet<_> = sources.iter().flat_map(|(path, text)| test_modules(path, text)).collect();
    sources.into_iter().filter(|(path, _)| !tests.contains(path)).map(|(path, text)| (path, code_of(&text))).collect()
}

/// Files that `text` takes in for tests only.
fn test_modules(path: &str, text: &str) -> Vec<String> {
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let below = match path.rsplit('/').next() {
        Some("mod.rs" | "lib.rs" | "main.rs") => folder.to_owned(),
        _ => path.trim_end_matches(".rs").to_owned(),
    };
    let mut found = Vec::new();
    for item in text.split("#[cfg(test)]").skip(1).map(str::trim_start) {
        let (named, item) = match item.strip_prefix("#[path = \"") {
            Some(rest) => rest.split_once("\"]").map_or((None, rest), |(file, item)| (Some(file), item.trim_start())),
            None => (None, item),
        };
        let declared = item.split_once(';').and_then(|(declaration, _)| declaration.rsplit_once("mod "));
        if let Some((_, module)) = declared.filter(|(before, _)| before.is_empty() || before.starts_with("pub")) {
            found.push(named.map_or_else(|| format!("{below}/{module}.rs"), |file| format!("{folder}/{file}")));
        }
    }
    found
}

/// The folder of `src/` that a file is in, or its own name.
fn part_of(path: &str) -> String {
    let part = path.trim_start_matches("src/").split('/').next().unwrap_or_default();
    part.trim_end_matches(".rs").to_owned()
}

fn code_of(text: &str) -> String {
    text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

/// The Markdown pages: those of the root, and those of folders that have some.
fn pages() -> Vec<(String, String)> {
    let mut pages = files(&["docs", "tests", "zones", "fuzz", "packaging"], &["md"]);
    let top = fs::read_dir(root()).expect("the root can be read").map(|entry| entry.expect("the root can be read"));
    let names = top.filter_map(|entry| entry.file_name().into_string().ok());
    pages.extend(names.filter(|name| name.ends_with(".md")).map(|name| (name.clone(), read(&name))));
    pages
}

/// Everything that people read, but for this file, which names what is banned.
fn all_text() -> Vec<(String, String)> {
    let folders = ["src", "tests", "benches", "fuzz", "zones", "config", "packaging"];
    let mut all = files(&folders, &["rs", "toml", "zone", "txt", "json"]);
    all.extend(pages());
    all.extend(["Cargo.toml", "clippy.toml", "tests/run", ".ci/run"].map(|path| (path.to_owned(), read(path))));
    all.retain(|(path, _)| path != "tests/tidy.rs");
    all
}

/// Text files in these folders and below, with one of these extensions, by their path from the root.
fn files(folders: &[&str], ends: &[&str]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut left: Vec<PathBuf> = folders.iter().map(|folder| root().join(folder)).collect();
    while let Some(folder) = left.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten() {
            let path = entry.expect("a folder of the repository can be read").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() {
                // What cargo and cargo-fuzz leave behind is not ours.
                left.extend((!["target", "corpus", "artifacts"].contains(&name.as_str())).then_some(path));
            } else if path.extension().is_some_and(|end| ends.iter().any(|known| end == *known)) {
                let short = path.strip_prefix(root()).expect("the folder is below the root").display().to_string();
                found.push((short, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The platform that this test was built on, in rustc's words.
fn host() -> String {
    let output = Command::new("rustc").arg("-vV").output().expect("cargo has run rustc");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().find_map(|line| line.strip_prefix("host: ")).expect("rustc names its host").to_owned()
}
