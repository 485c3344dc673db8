//! The examples of docs/api.md against a running server, whose responses are as its OpenAPI document says.

use std::{collections::BTreeSet, fs, path::Path};

use regex::Regex;
use serde_json::Value;
use tokio::{io::AsyncWriteExt, net::TcpStream, time::timeout};

use crate::{
    harness::{PATIENCE, Page, Running, page, request, start},
    page::{Learned, examples},
};

#[tokio::test]
async fn each_route_answers_its_example_as_the_page_and_the_document_say() {
    let server = start("").await;
    let called = follow(&server, "docs/api.md").await;
    let all = operations(&server.at.json("/v1/openapi.json").await);
    assert_eq!(all.difference(&called).collect::<Vec<_>>(), Vec::<&(String, String)>::new(), "without an example");
}

#[tokio::test]
async fn with_access_control_on_tokens_and_policies_are_as_the_page_and_the_document_say() {
    let called = follow(&start("access = \"on\"").await, "docs/access.md").await;
    assert!(called.len() >= 4, "{called:?}");
}

/// Runs the examples of a page; returns what of the document they called.
async fn follow(server: &Running, page: &str) -> BTreeSet<(String, String)> {
    let document = server.at.json("/v1/openapi.json").await;
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(page)).unwrap();
    // Probes go to loopback only.
    let text = text.replace("192.0.2.7", "127.0.0.7").replace("192.0.2.9", "127.0.0.9");
    let mut learned = Learned::default();
    let mut called = BTreeSet::new();
    let mut problems = Vec::new();
    for example in examples(&text) {
        let command = learned.command(&example);
        let curl = Curl::read(&command);
        let answer = curl.send(&server.at.http.to_string()).await;
        let compared = learned.compare(&example, answer.status, &answer.body);
        let operation = operation(&document, &curl);
        let told = told(&document, &document["paths"][&operation.0][&operation.1], &answer);
        problems.extend([compared, told].into_iter().filter_map(Result::err).map(|it| format!("$ {command}\n{it}")));
        called.insert(operation);
    }
    assert!(problems.is_empty(), "{}", problems.join("\n\n"));
    called
}

/// Path and method of everything in a document.
fn operations(document: &Value) -> BTreeSet<(String, String)> {
    let paths = document["paths"].as_object().unwrap().iter();
    let methods = paths.flat_map(|(path, item)| {
        item.as_object().unwrap().keys().map(|method| (path.clone(), method.clone())).collect::<Vec<_>>()
    });
    methods.filter(|(_, method)| method != "parameters").collect()
}

/// The operation that a command calls: that of the path itself, or of the longest that it fits.
fn operation(document: &Value, curl: &Curl) -> (String, String) {
    let path = curl.target.split('?').next().unwrap();
    let method = curl.method.to_ascii_lowercase();
    let fits = |template: &str| match template.split_once('{') {
        None => template == path,
        Some((before, rest)) => {
            let after = rest.split_once('}').unwrap().1;
            path.starts_with(before) && path.ends_with(after) && path.len() > before.len() + after.len()
        }
    };
    let all = operations(document);
    let fitting = all.into_iter().filter(|(template, known)| *known == method && fits(template));
    let longest = fitting.max_by_key(|(template, _)| (template.ends_with('}') as u8 ^ 1, template.len()));
    longest.unwrap_or_else(|| panic!("{method} {path} is not in the document"))
}

/// Whether a response is one that the operation tells of.
fn told(document: &Value, operation: &Value, answer: &Page) -> Result<(), String> {
    let response = &operation["responses"][answer.status.to_string()];
    let response = resolved(document, response);
    if response.is_null() {
        return Err(format!("status {} is not told", answer.status));
    }
    for (name, header) in response["headers"].as_object().into_iter().flatten() {
        let required = resolved(document, header)["required"] == true;
        if required && answer.header(&name.to_ascii_lowercase()).is_none() {
            return Err(format!("header {name} is missing"));
        }
    }
    let kind = answer.header("content-type").unwrap_or_default().split(';').next().unwrap_or_default();
    let content = response["content"].as_object();
    match (content.and_then(|content| content.get(kind)), kind) {
        (None, "") if content.is_none() && answer.body.is_empty() => Ok(()),
        (None, _) => Err(format!("a body of type {kind:?} is not told")),
        (Some(media), "application/json") => {
            let body = serde_json::from_str(&answer.body).map_err(|error| error.to_string())?;
            conforms(document, &media["schema"], &body).map_err(|problem| format!("body{problem}"))
        }
        _ => Ok(()),
    }
}

fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str() {
        Some(reference) => document.pointer(reference.trim_start_matches('#')).expect("what is referred to is there"),
        None => value,
    }
}

/// Whether a value is what a schema says, and an object has no field that is not told. Knows the keywords that the document uses.
fn conforms(document: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    let schema = resolved(document, schema).as_object().expect("a schema is an object");
    if let Some(choices) = schema.get("anyOf") {
        let problems = choices.as_array().unwrap().iter().map(|choice| conforms(document, choice, value));
        let problems: Vec<String> = problems.map_while(Result::err).collect();
        return if problems.len() < choices.as_array().unwrap().len() { Ok(()) } else { Err(problems.join("; ")) };
    }
    let kind = schema.get("type").and_then(Value::as_str);
    let is_of_kind = match (kind, value) {
        (None, _)
        | (Some("string"), Value::String(_))
        | (Some("boolean"), Value::Bool(_))
        | (Some("number"), Value::Number(_))
        | (Some("array"), Value::Array(_))
        | (Some("object"), Value::Object(_))
        | (Some("null"), Value::Null) => true,
        (Some("integer"), number) => number.is_u64() || number.is_i64(),
        _ => false,
    };
    if !is_of_kind {
        return Err(format!(" is not of type {kind:?}: {value}"));
    }
    for (keyword, wanted) in schema {
        let holds = match (keyword.as_str(), value) {
            ("type", _) => true,
            ("enum", value) => wanted.as_array().unwrap().contains(value),
            ("minLength", Value::String(text)) => text.len() as u64 >= wanted.as_u64().unwrap(),
            ("pattern", Value::String(text)) => Regex::new(wanted.as_str().unwrap()).unwrap().is_match(text),
            ("minimum", Value::Number(number)) => number.as_f64() >= wanted.as_f64(),
            ("maximum", Value::Number(number)) => number.as_f64() <= wanted.as_f64(),
            ("maxItems", Value::Array(items)) => items.len() as u64 <= wanted.as_u64().unwrap(),
            ("required", Value::Object(fields)) => {
                wanted.as_array().unwrap().iter().all(|name| fields.contains_key(name.as_str().unwrap()))
            }
            ("items", Value::Array(items)) => {
                items.iter().try_for_each(|item| conforms(document, wanted, item)).map_err(|it| format!("[]{it}"))?;
                true
            }
            // Below.
            ("properties" | "additionalProperties", Value::Object(_)) => true,
            (keyword, value) => panic!("{keyword} of {value}: what is that?"),
        };
        if !holds {
            return Err(format!(" is not of {keyword} {wanted}: {value}"));
        }
    }
    match value {
        Value::Object(fields) if !schema.is_empty() => fields_conform(document, schema, fields),
        _ => Ok(()),
    }
}

fn fields_conform(document: &Value, schema: &Object, fields: &Object) -> Result<(), String> {
    for (name, value) in fields {
        let of_name = schema.get("properties").and_then(|properties| properties.get(name));
        let schema = of_name.or(schema.get("additionalProperties")).ok_or_else(|| format!(".{name} is not told"))?;
        conforms(document, schema, value).map_err(|problem| format!(".{name}{problem}"))?;
    }
    Ok(())
}

type Object = serde_json::Map<String, Value>;

/// What a command has curl do, as far as the pages use curl.
struct Curl {
    method: String,
    /// Path and query.
    target: String,
    headers: Vec<String>,
    body: String,
}

impl Curl {
    fn read(command: &str) -> Curl {
        let mut curl =
            Curl { method: "GET".to_owned(), target: String::new(), headers: Vec::new(), body: String::new() };
        let mut words = words(command).into_iter().skip(1);
        while let Some(word) = words.next() {
            let mut value = || words.next().expect("the option has a value");
            match word.as_str() {
                "-X" => curl.method = value(),
                "-H" => curl.headers.push(value()),
                "-d" | "--data-binary" => curl.body = value(),
                "-s" => {}
                url => curl.target = url.strip_prefix("$N").expect("it is a URL of the server").to_owned(),
            }
        }
        curl
    }

    async fn send(&self, host: &str) -> Page {
        let head = request(&self.method, &self.target, self.body.len());
        // Of HTTP/1.0, so that no response comes in chunks.
        let headers: String = self.headers.iter().map(|header| format!("\r\n{header}")).collect();
        let head = head.replacen("HTTP/1.1", "HTTP/1.0", 1).replacen("\r\n\r\n", &format!("{headers}\r\n\r\n"), 1);
        let work = async {
            let mut stream = TcpStream::connect(host).await.unwrap();
            stream.write_all(head.as_bytes()).await.unwrap();
            stream.write_all(self.body.as_bytes()).await.unwrap();
            page(stream).await
        };
        timeout(PATIENCE, work).await.expect("an answer comes")
    }
}

/// The words of a command, as a shell takes them apart.
fn words(command: &str) -> Vec<String> {
    let mut words = Vec::new();
    let (mut word, mut quote) = (None::<String>, None);
    for character in command.chars() {
        match (quote, character) {
            (Some(open), _) if open == character => quote = None,
            (None, '\'' | '"') => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (None, ' ' | '\n') => words.extend(word.take()),
            _ => word.get_or_insert_default().push(character),
        }
    }
    words.extend(word);
    words
}
