//! Transcripts: commands and questions, and what is answered, as dig would show it.
//!
//! Input lines begin with `>`; what follows is output, rewritten by `BLESS=1 cargo test transcripts`. Records are
//! sorted within a section's RRset. The first line of an answer is the RCODE and the flags; extended errors follow.
//! Every answer is also held against the reference answerer.
//!
//! `ask NAME TYPE [CH] [+tcp] [+noedns] [+bufsize=N] [+dnssec] [+rec] [+cd] [+subnet[=0]] [+nsid] [+count]
//! [from=ADDRESS]`; without `from` the client is 192.0.2.250, which may not recurse. `+count` prints how many records
//! there are instead of the records, where a sample is answered.

use std::{
    fmt::Write as _,
    fs,
    net::IpAddr,
    path::{Path, PathBuf},
};

use nameplate::wire::name::Name;

use super::{
    engine::{ask, load_zones, plain_zones, publish},
    reference::{
        answer::{expect, udp_cap},
        check::{Actual, check},
        parse::read,
        tree::Forest,
        world::{Asker, World},
    },
    stage::{Stage, Words},
};

#[test]
fn transcripts_hold() {
    let mut failures = Vec::new();
    let files = files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts"));
    assert!(!files.is_empty(), "there are transcripts");
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let (actual, mut faults) = replay(&text);
        if actual != text && std::env::var_os("BLESS").is_some() {
            fs::write(&file, &actual).unwrap();
        } else if actual != text {
            faults.push(difference(&text, &actual));
        }
        failures.extend(faults.into_iter().map(|fault| format!("{}: {fault}", file.display())));
    }
    assert!(failures.is_empty(), "{}\n{} failed", failures.join("\n"), failures.len());
}

/// All transcripts below a folder, sorted.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "txt") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The first line that differs.
fn difference(wanted: &str, actual: &str) -> String {
    let (mut left, mut right) = (wanted.lines(), actual.lines());
    let mut number = 0;
    loop {
        number += 1;
        match (left.next(), right.next()) {
            (None, None) => return "differs at its end".into(),
            (a, b) if a == b => {}
            (a, b) => return format!("line {number}: wanted {:?}, got {:?}", a.unwrap_or(""), b.unwrap_or("")),
        }
    }
}

/// Runs a transcript; gives it with its output as it is now, and what the reference answerer objects to.
fn replay(text: &str) -> (String, Vec<String>) {
    let mut stage = Stage::new();
    let mut output = String::new();
    let mut faults = Vec::new();
    let mut skipping = false;
    for (number, line) in text.lines().enumerate() {
        if let Some(command) = line.strip_prefix("> ") {
            writeln!(output, "{line}").unwrap();
            skipping = true;
            let (verb, arguments) = command.split_once(' ').unwrap_or((command, ""));
            let outcome = match verb {
                "ask" => question(&stage, arguments, &mut output),
                _ => stage.run(verb, arguments),
            };
            faults.extend(outcome.err().map(|fault| format!("line {}: {fault}", number + 1)));
        } else if line.is_empty() || line.starts_with('#') {
            skipping = false;
            writeln!(output, "{line}").unwrap();
        } else if !skipping {
            writeln!(output, "{line}").unwrap();
        }
    }
    (output, faults)
}

/// Asks, and prints what comes.
fn question(stage: &Stage, arguments: &str, output: &mut String) -> Result<(), String> {
    let words = Words::read(arguments);
    let has = |option: &str| words.bare.iter().any(|word| word == option);
    let address: IpAddr = words.value("from").unwrap_or("192.0.2.250").parse().map_err(|_| "from: no address")?;
    let asker = Asker {
        address,
        suspect: false,
        tcp: has("+tcp"),
        udp_cap: udp_cap(&stage.settings, address),
        may_recurse: stage.settings.forwarding
            && stage.settings.allow_recursion.iter().any(|network| network.contains(address)),
    };
    let bytes = query(&words)?;
    let texts = stage.zone_lines.iter().map(|(origin, lines)| (origin.as_str(), lines.clone()));
    let zones = load_zones(texts, &stage.settings)?;
    let mut world = World::of(&stage.state, &stage.settings, plain_zones(&zones));
    world.sources = stage.sources.clone();
    world.queries = stage.queries.clone();
    world.serial = stage.clock;
    let snapshot = publish(&stage.state, &world, zones);
    let actual = ask(&snapshot, &asker, &bytes, 7);
    print(&actual, has("+count"), output);
    check(&expect(&world, &Forest::of(&world), &asker, &bytes), &actual)
}

/// The query's bytes.
fn query(words: &Words) -> Result<Vec<u8>, String> {
    let has = |option: &str| words.bare.iter().any(|word| word == option);
    let name = Name::parse(words.word(0)).map_err(|error| error.to_string())?;
    let qtype = type_number(words.word(1))?;
    let class: u16 = if has("CH") { 3 } else { 1 };
    let flags = [u8::from(has("+rec")), if has("+cd") { 0x10 } else { 0 }];
    let mut bytes = [&[0x12, 0x34][..], &flags, &[0, 1, 0, 0, 0, 0, 0, u8::from(!has("+noedns"))]].concat();
    bytes.extend_from_slice(name.as_wire());
    bytes.extend(qtype.to_be_bytes());
    bytes.extend(class.to_be_bytes());
    if !has("+noedns") {
        let size = words.bare.iter().find_map(|word| word.strip_prefix("+bufsize="));
        let size: u16 = size.unwrap_or("1232").parse().map_err(|_| "+bufsize: no number")?;
        let subnet: &[u8] = if has("+subnet") {
            &[0, 8, 0, 7, 0, 1, 24, 0, 192, 0, 2]
        } else if has("+subnet=0") {
            &[0, 8, 0, 4, 0, 0, 0, 0]
        } else {
            &[]
        };
        let options = [subnet, if has("+nsid") { &[0, 3, 0, 0] } else { &[] }].concat();
        bytes.extend([0, 0, 41]);
        bytes.extend(size.to_be_bytes());
        bytes.extend([0, 0, if has("+dnssec") { 0x80 } else { 0 }, 0, 0, options.len() as u8]);
        bytes.extend(options);
    }
    Ok(bytes)
}

fn type_number(text: &str) -> Result<u16, String> {
    if let Some(number) = text.strip_prefix("TYPE") {
        return number.parse().map_err(|_| format!("type {text:?}"));
    }
    let known = text.parse::<hickory_proto::rr::RecordType>().map_err(|_| format!("type {text:?}"))?;
    Ok(known.into())
}

/// Prints an outcome as dig would.
fn print(actual: &Actual, count: bool, output: &mut String) {
    let line = |name: &[u8]| Name::from_wire(name).map(|name| name.to_string()).unwrap_or_default();
    match actual {
        Actual::Dropped => output.push_str("NO RESPONSE\n"),
        Actual::Forwarded => output.push_str("FORWARDED\n"),
        Actual::Resolves(name) => writeln!(output, "RESOLVES {}", line(name)).unwrap(),
        Actual::Sent(bytes) => print_response(bytes, count, output),
    }
}

fn print_response(bytes: &[u8], count: bool, output: &mut String) {
    let message = read(bytes).expect("a response can be read");
    let header = &message.metadata;
    output.push_str(RCODES.get(usize::from(u16::from(header.response_code))).unwrap_or(&"RCODE"));
    let flags =
        [(0x80, 2, "qr"), (4, 2, "aa"), (2, 2, "tc"), (1, 2, "rd"), (0x80, 3, "ra"), (0x20, 3, "ad"), (0x10, 3, "cd")];
    for (_, _, word) in flags.iter().filter(|(bit, at, _)| bytes[*at] & bit != 0) {
        write!(output, " {word}").unwrap();
    }
    output.push('\n');
    if let Ok(parsed) = super::reference::parse::parse(bytes) {
        for (code, contents) in parsed.opt.iter().flat_map(|opt| &opt.options) {
            match code {
                15 => {
                    let text = String::from_utf8_lossy(&contents[2..]).into_owned();
                    writeln!(output, "EDE {} {text}", u16::from_be_bytes([contents[0], contents[1]])).unwrap();
                }
                3 => writeln!(output, "NSID {}", String::from_utf8_lossy(contents)).unwrap(),
                8 => writeln!(output, "SUBNET {}/{}/{}", contents[1], contents[2], contents[3]).unwrap(),
                _ => writeln!(output, "OPTION {code}").unwrap(),
            }
        }
    }
    let sections =
        [("ANSWER", &message.answers), ("AUTHORITY", &message.authorities), ("ADDITIONAL", &message.additionals)];
    for (title, records) in sections {
        if records.is_empty() {
            continue;
        }
        if count {
            writeln!(output, "{title} {}", records.len()).unwrap();
            continue;
        }
        writeln!(output, "{title}").unwrap();
        let mut sets: Vec<(String, Vec<String>)> = Vec::new();
        for record in records {
            let key = format!("{} {}", record.name, record.record_type());
            let text = record.to_string();
            match sets.iter_mut().find(|(own, _)| *own == key) {
                Some((_, lines)) => lines.push(text),
                None => sets.push((key, vec![text])),
            }
        }
        if title == "ADDITIONAL" {
            sets.sort(); // They follow the order of the answer, which is drawn.
        }
        for (_, mut lines) in sets {
            lines.sort();
            output.push_str(&lines.join("\n"));
            output.push('\n');
        }
    }
}

const RCODES: [&str; 17] = [
    "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN", "YXRRSET", "NXRRSET", "NOTAUTH",
    "NOTZONE", "RCODE11", "RCODE12", "RCODE13", "RCODE14", "RCODE15", "BADVERS",
];
