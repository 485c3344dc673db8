//! Templates for tags and names, in the part of Go's template language that Registrator's users have in `-tags`.
//!
//! ```
//! use nameplate::sources::docker::Template;
//! let template = Template::parse(r#"{{.Config.Hostname}},{{index .Config.Labels "tier" | toUpper}}"#).unwrap();
//! let document = serde_json::json!({"Config": {"Hostname": "h1", "Labels": {"tier": "web"}}});
//! assert_eq!(template.render(&document).unwrap(), "h1,WEB");
//! ```
//!
//! - `{{.Name}}` and paths of names into the inspect document, in any letter case if there is only one such (`.ID` for `Id`); what is not
//!   there is empty. `$` is the document, `.` too, but in `range` and `with`.
//! - `if`, `else if`, `else`, `range`, `with`, `end`; pipes, parentheses, texts, numbers, `true`, `false`; `{{-` and `-}}`; comments.
//! - Registrator's `strSlice sIndex mIndex toUpper toLower replace join split splitIndex matchFirstElement matchAllElements jsonParse`;
//!   Go's `index len print and or not eq ne`. Numbers may stand before or behind texts and lists.
//!
//! **Limits:** no variables, no `printf`, `define`, `block`; no `httpGet`, as nothing is fetched to map a container. What is rendered is
//! at most 64 KiB, in at most 100,000 steps.
//!
//! **Source:** Go's `text/template`; Registrator 7.4 for its functions.

mod eval;
mod functions;
mod parse;

use serde_json::Value;

use parse::Node;

/// A template that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    text: String,
    nodes: Vec<Node>,
}

/// What is wrong with a template, or with what it was given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TemplateError(String);

impl Template {
    /// Reads a template.
    pub fn parse(text: &str) -> Result<Template, TemplateError> {
        let nodes = parse::parse(text).map_err(TemplateError)?;
        Ok(Template { text: text.to_owned(), nodes })
    }

    /// What the template says of a document.
    pub fn render(&self, document: &Value) -> Result<String, TemplateError> {
        eval::render(&self.nodes, document).map_err(TemplateError)
    }

    /// The template as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

#[cfg(test)]
#[path = "../template_tests.rs"]
mod tests;
