//! What a template says of a document.

use serde_json::Value;

use super::parse::{Command, Node, Operand, Pipe, Start};

pub(super) fn render(nodes: &[Node], document: &Value) -> Result<String, String> {
    let mut evaluation = Evaluation { document, output: String::new(), steps: 0 };
    evaluation.nodes(nodes, document)?;
    Ok(evaluation.output)
}

struct Evaluation<'a> {
    document: &'a Value,
    output: String,
    steps: usize,
}

impl Evaluation<'_> {
    fn nodes(&mut self, nodes: &[Node], dot: &Value) -> Result<(), String> {
        for node in nodes {
            match node {
                Node::Text(text) => self.print(text)?,
                Node::Print(pipe) => {
                    let value = self.pipe(pipe, dot)?;
                    self.print(&shown(&value))?;
                }
                Node::If { condition, then, otherwise } => {
                    let holds = is_true(&self.pipe(condition, dot)?);
                    self.nodes(if holds { then } else { otherwise }, dot)?;
                }
                Node::With { value, body, otherwise } => {
                    let value = self.pipe(value, dot)?;
                    if is_true(&value) {
                        self.nodes(body, &value)?;
                    } else {
                        self.nodes(otherwise, dot)?;
                    }
                }
                Node::Range { over, body, otherwise } => {
                    let over = self.pipe(over, dot)?;
                    let items: Vec<&Value> = match &over {
                        Value::Array(items) => items.iter().collect(),
                        Value::Object(pairs) => pairs.values().collect(),
                        Value::Null => Vec::new(),
                        other => return Err(format!("range is over a list or a map, not {}", shown(other))),
                    };
                    for item in &items {
                        self.nodes(body, item)?;
                    }
                    if items.is_empty() {
                        self.nodes(otherwise, dot)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn pipe(&mut self, pipe: &Pipe, dot: &Value) -> Result<Value, String> {
        let mut last: Option<Value> = None;
        for command in pipe {
            self.steps += 1;
            if self.steps > STEPS_MAX {
                return Err(format!("a template takes more than {STEPS_MAX} steps"));
            }
            last = Some(match command {
                Command::Value(operand) => self.operand(operand, dot)?,
                Command::Call(function, operands) => {
                    let mut arguments = Vec::with_capacity(operands.len() + 1);
                    for operand in operands {
                        arguments.push(self.operand(operand, dot)?);
                    }
                    arguments.extend(last.take());
                    function.call(arguments)?
                }
            });
        }
        Ok(last.unwrap_or_default())
    }

    fn operand(&mut self, operand: &Operand, dot: &Value) -> Result<Value, String> {
        let made;
        let start = match &operand.start {
            Start::Dot => dot,
            Start::Document => self.document,
            Start::Literal(value) => value,
            Start::Pipe(pipe) => {
                made = self.pipe(pipe, dot)?;
                &made
            }
        };
        let found = operand.path.iter().try_fold(start, |value, name| member(value, name));
        Ok(found.cloned().unwrap_or_default())
    }

    fn print(&mut self, text: &str) -> Result<(), String> {
        self.output.push_str(text);
        if self.output.len() > OUTPUT_MAX_BYTES {
            return Err(format!("a template renders more than {OUTPUT_MAX_BYTES} bytes"));
        }
        Ok(())
    }
}

/// A member by its name; by another spelling in letter case, if only one has that.
fn member<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    let pairs = value.as_object()?;
    pairs.get(name).or_else(|| {
        let mut alike = pairs.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
        alike.next().filter(|_| alike.next().is_none()).map(|(_, value)| value)
    })
}

/// Whether Go's `if` holds for it.
pub(super) fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(flag) => *flag,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(pairs) => !pairs.is_empty(),
    }
}

/// As Go prints it, but nothing for what is not there.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::Array(items) => format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(" ")),
        Value::Object(pairs) => {
            let pairs: Vec<_> = pairs.iter().map(|(key, value)| format!("{key}:{}", shown(value))).collect();
            format!("map[{}]", pairs.join(" "))
        }
    }
}

/// Most bytes that a template renders. Source: none, chosen: more than all tags that a service may have in earnest.
const OUTPUT_MAX_BYTES: usize = 64 << 10;

/// Most commands that are run for one rendering. Source: none, chosen: a tenth of a second.
const STEPS_MAX: usize = 100_000;
