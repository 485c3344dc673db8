//! The README's tour, followed literally.
//!
//! In its `console` blocks a line that begins with `$ ` is run by one shell, the lines below are what it prints: `...`
//! stands for any text, also over several lines, and any blanks are as good as one. A reader who only looks (`dig`,
//! `nameplate query`) looks again until it is so. What the section says in prose is done here: a server runs, something
//! listens on port 8080 until the second block, and `resolv.conf` gets the lines that are shown for it.

use std::{
    fs,
    io::Write,
    net::TcpListener,
    process::{Child, ChildStdin, Stdio},
};

use crate::{
    dockerd::GATEWAY,
    fenced::{self, blocks},
    sandbox::{Sandbox, scenario},
    server::{OUTSIDE, UPSTREAM, serve, upstream},
    until::{SOON, until},
};

#[test]
fn the_tour_of_the_readme_is_true() {
    scenario("tour", |sandbox| {
        sandbox.needs(&["dig"], "bind9-dnsutils");
        sandbox.needs(&["curl"], "curl");
        let section = section();
        let _upstream = upstream(sandbox);
        sandbox.write("/etc/resolv.conf", &format!("nameserver {UPSTREAM}\n"));
        sandbox.write("/etc/nsswitch.conf", "hosts: files dns\n");

        let server = serve(sandbox, "");
        let service = TcpListener::bind("127.0.0.1:8080").unwrap();
        let mut shell = Shell::start(sandbox);
        let mut consoles = blocks(&section, "console").into_iter();
        let first = consoles.next().expect("the tour has a console block");
        let followed = shell.follow(&first);
        drop(service);
        let followed = followed + consoles.map(|console| shell.follow(&console)).sum::<usize>();
        assert!(followed >= 4, "the tour has registration, A, SRV and the bare name; {followed} commands were found");
        server.signal("TERM");
        drop(server);
        on_port_53(sandbox, &section);
    });
}

/// The second part: the server at an address and port 53 as the section says, and `resolv.conf` with its two lines.
fn on_port_53(sandbox: &Sandbox, section: &str) {
    let commands = blocks(section, "sh").concat();
    let serves = commands.lines().find_map(|line| line.strip_prefix("nameplate serve ")).expect("serves on port 53");
    let address = serves.split_whitespace().find_map(|word| word.strip_suffix(":53")).expect("names an address");
    let lines = blocks(section, "text").into_iter().find(|block| block.contains("nameserver")).expect("resolv.conf");
    assert!(
        lines.contains(&format!("nameserver {address}\n")),
        "resolv.conf names the address of the command: {lines}"
    );
    for json in blocks(section, "json") {
        let daemon: serde_json::Value = serde_json::from_str(&json).unwrap();
        let [first, _second] = &daemon["dns"].as_array().unwrap()[..] else { panic!("daemon.json names two servers") };
        assert_eq!(*first, GATEWAY.to_string(), "the first is docker0's address, on which --docker-dns answers");
    }
    sandbox.run(&format!("ip address add {address}/32 dev lo"));

    // The first start finds the upstream in resolv.conf, which names only us from then on; the second has to know.
    for start in ["first", "second"] {
        let server = serve(sandbox, serves);
        sandbox.write("/etc/resolv.conf", &lines);
        sandbox.run("nameplate register shop --port 80 --address 192.0.2.80");
        for (name, found) in [
            ("shop", "192.0.2.80"),
            ("shop.internal", "192.0.2.80"),
            ("shop.service.internal", "192.0.2.80"),
            (OUTSIDE.0, &*OUTSIDE.1.to_string()),
        ] {
            let printed = sandbox.attempt(&format!("getent hosts {name}"));
            let printed = String::from_utf8_lossy(&printed.stdout);
            assert_eq!(printed.split_whitespace().next(), Some(found), "{start} start: getent hosts {name}");
        }
        assert!(!sandbox.attempt("getent hosts nothing.example").status.success());
        // Files are looked at and written each second.
        until("the upstream is kept", SOON, || sandbox.file("/var/lib/nameplate/upstreams").exists().then_some(()));
        server.signal("TERM");
        drop(server);
    }
}

/// One shell for the whole tour.
struct Shell<'a> {
    sandbox: &'a Sandbox,
    child: Child,
    input: ChildStdin,
    commands: usize,
}

impl<'a> Shell<'a> {
    fn start(sandbox: &'a Sandbox) -> Shell<'a> {
        let mut child = sandbox.command("exec sh").stdin(Stdio::piped()).spawn().unwrap();
        let input = child.stdin.take().unwrap();
        Shell { sandbox, child, input, commands: 0 }
    }

    /// Runs a block's commands, each until it has printed what the block says; returns how many there are.
    fn follow(&mut self, console: &str) -> usize {
        let steps = steps(console);
        for (command, expected) in &steps {
            let looks = ["dig ", "getent ", "nameplate query ", "nameplate services", "nameplate instances "];
            let looks = looks.iter().any(|verb| command.starts_with(verb));
            let mut number = self.run(command);
            until(&format!("this is printed:\n$ {command}\n{expected}"), SOON, || {
                let printed = self.printed(number)?;
                let right = matches(expected, &printed);
                if !right && looks {
                    number = self.run(command);
                }
                right.then_some(())
            });
        }
        steps.len()
    }

    /// Has the shell run a command; returns its number.
    fn run(&mut self, command: &str) -> usize {
        self.commands += 1;
        let step = format!("step-{}", self.commands);
        // Braces, not parentheses: what a command sets or starts is there for the next one.
        writeln!(self.input, "{{ {command}\n}} >{step}.log 2>&1; echo >{step}.done").unwrap();
        self.commands
    }

    /// What a command printed; none until it has ended.
    fn printed(&self, number: usize) -> Option<String> {
        let file = |end| self.sandbox.file(format!("step-{number}.{end}"));
        file("done").exists().then(|| fs::read_to_string(file("log")).unwrap())
    }
}

impl Drop for Shell<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The tour's section of the README.
fn section() -> String {
    let readme = fenced::page("README.md");
    let (_, tour) = readme.split_once("\n## A 60-second tour\n").expect("the README has the tour");
    tour.split("\n## ").next().unwrap_or_default().to_owned()
}

/// The commands of a console block, each with what it prints. A line that begins with `> ` continues a command.
fn steps(console: &str) -> Vec<(String, String)> {
    let mut steps: Vec<(String, String)> = Vec::new();
    for line in console.lines() {
        if let Some(command) = line.strip_prefix("$ ") {
            steps.push((command.to_owned(), String::new()));
        } else if let Some((command, printed)) = steps.last_mut() {
            match line.strip_prefix("> ").filter(|_| printed.is_empty()) {
                Some(more) => *command += &format!("\n{more}"),
                None => *printed += &format!("{line}\n"),
            }
        }
    }
    steps
}

/// Whether a text is the expected one, in which `...` stands for any text.
fn matches(expected: &str, text: &str) -> bool {
    let (expected, text) = (single_blanks(expected), single_blanks(text));
    let mut pieces = expected.split("...");
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut pieces: Vec<_> = pieces.collect();
    let Some(last) = pieces.pop() else { return rest.is_empty() };
    for piece in pieces {
        let Some(at) = rest.find(piece) else { return false };
        rest = &rest[at + piece.len()..];
    }
    rest.ends_with(last)
}

/// A text's lines with one blank for each run of blanks, and none at their ends.
fn single_blanks(text: &str) -> String {
    text.lines().map(|line| line.replace('\t', " ")).fold(String::new(), |all, line| {
        let words: Vec<_> = line.split(' ').filter(|word| !word.is_empty()).collect();
        let indent = if line.starts_with(' ') { " " } else { "" };
        all + indent + &words.join(" ") + "\n"
    })
}

#[test]
fn three_dots_stand_for_any_text() {
    assert!(matches("...b...\n", "a\nb c\n"));
    assert!(matches("a   b\n", "a\tb\n"));
    assert!(matches("", ""));
    assert!(!matches("a\n", "a\nb\n"));
    assert!(!matches("...\nb\n", "b\n"));
    assert!(!matches("", "a\n"));
}
