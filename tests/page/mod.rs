//! The examples of a page of docs/: commands that call curl, in the order of the page, and what they answer.
//!
//! In a `sh` block a line that begins with `curl ` begins a command, and the lines below it that begin with `# ` are what it
//! prints: first the status if it is not 200, then the body, in which `...` stands for any text. A UUID stands for the one
//! that is really there; it is learned where it is first shown, and put into the commands that follow.

use std::collections::BTreeMap;

use regex::{Regex, escape};

/// One command of a page.
#[derive(Debug)]
pub struct Example {
    /// As it is written.
    pub command: String,
    /// The status of the response.
    pub status: u16,
    /// The body, if the page shows it.
    pub body: Option<String>,
}

/// The commands of a page.
pub fn examples(page: &str) -> Vec<Example> {
    let mut examples: Vec<Example> = Vec::new();
    let blocks = page.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    for block in blocks.filter(|block| block.starts_with("curl ")) {
        for line in block.lines() {
            if line.starts_with("curl ") {
                examples.push(Example { command: line.to_owned(), status: 200, body: None });
                continue;
            }
            let example = examples.last_mut().expect("the block begins with a command");
            let Some(shown) = line.strip_prefix("# ") else {
                example.command += &format!("\n{line}");
                continue;
            };
            let (first, rest) = shown.split_once(' ').unwrap_or((shown, ""));
            match (first.parse(), &mut example.body) {
                (_, Some(body)) => *body += &format!("\n{shown}"),
                (Ok(status @ 100..=599), None) => {
                    example.status = status;
                    example.body = (!rest.is_empty()).then(|| rest.to_owned());
                }
                _ => example.body = Some(shown.to_owned()),
            }
        }
    }
    examples
}

/// The UUIDs of a page, and those that are really there.
#[derive(Debug, Default)]
pub struct Learned(BTreeMap<String, String>);

impl Learned {
    /// The command with what is really there.
    pub fn command(&self, example: &Example) -> String {
        self.0.iter().fold(example.command.clone(), |command, (shown, real)| command.replace(shown, real))
    }

    /// Compares a response with what the page shows; learns from it.
    pub fn compare(&mut self, example: &Example, status: u16, body: &str) -> Result<(), String> {
        if status != example.status {
            return Err(format!("the page says {}, the answer is {status}: {body}", example.status));
        }
        let Some(shown) = &example.body else { return Ok(()) };
        let uuid = Regex::new(UUID).unwrap();
        let new: Vec<String> = uuid.find_iter(shown).map(|found| found.as_str().to_owned()).collect();
        let new: Vec<String> = new.into_iter().filter(|shown| !self.0.contains_key(shown)).collect();
        let mut pattern = escape(shown).replace(r"\.\.\.", "(?s:.*)").replace(r"\-", "-");
        for (shown, real) in &self.0 {
            pattern = pattern.replace(shown, real);
        }
        for shown in &new {
            pattern = pattern.replacen(shown, &format!("({UUID})"), 1);
        }
        let pattern = Regex::new(&format!("^{pattern}$")).unwrap();
        let found = pattern.captures(body.trim_end());
        let found = found.ok_or_else(|| format!("the page shows\n{shown}\nand the answer is\n{body}"))?;
        let real = found.iter().skip(1).flatten().map(|real| real.as_str().to_owned());
        self.0.extend(new.into_iter().zip(real));
        Ok(())
    }
}

const UUID: &str = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}";

#[test]
fn what_was_shown_once_is_put_into_what_follows() {
    let shown = "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa";
    let real = "12345678-1234-1234-1234-123456789012";
    let page =
        format!("```sh\ncurl -X PUT a -d '{{\n}}'\n# {{\"ID\":\"{shown}\",...}}\ncurl b/{shown}\n# 404 no\n```\n");
    let examples = examples(&page);
    let mut learned = Learned::default();
    assert_eq!(learned.command(&examples[0]), "curl -X PUT a -d '{\n}'");
    assert!(learned.compare(&examples[0], 200, "{\"ID\":\"short\",}").is_err());
    learned.compare(&examples[0], 200, &format!("{{\"ID\":\"{real}\",\"x\":1}}\n")).unwrap();
    assert_eq!(learned.command(&examples[1]), format!("curl b/{real}"));
    assert!(learned.compare(&examples[1], 200, "no").is_err());
    learned.compare(&examples[1], 404, "no").unwrap();
}
