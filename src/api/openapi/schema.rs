//! What a JSON value looks like, as constants that a route can have, and as JSON Schema.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// What a value is.
#[derive(Debug)]
pub(in crate::api) enum Schema {
    /// Whatever is there.
    Anything,
    /// A text.
    Text,
    /// A text of one character and more.
    Filled,
    /// A text that is one of these.
    OneOf(&'static [&'static str]),
    /// A text that matches a regular expression.
    Like(&'static str),
    /// The name of the server's own datacenter.
    OwnDatacenter,
    /// True or false.
    Boolean,
    /// A number.
    Number,
    /// A whole number.
    Integer,
    /// A whole number from 0.
    Count,
    /// A whole number from the first to the second.
    Within(u32, u32),
    /// A list of such values.
    List(&'static Schema),
    /// A list with nothing in it.
    EmptyList,
    /// An object with free names and such values.
    Map(&'static Schema),
    /// An object with these fields.
    Object(&'static [&'static [Field]]),
    /// An object that may have no other fields than these.
    Only(&'static [&'static [Field]]),
    /// This, or null.
    OrNull(&'static Schema),
    /// One of these.
    Either(&'static [&'static Schema]),
    /// What stands among the components by this name.
    Named(&'static str, &'static Schema),
}

/// A field of an object.
#[derive(Debug)]
pub(in crate::api) struct Field {
    name: &'static str,
    schema: &'static Schema,
    required: bool,
}

/// A field that is always there.
pub(in crate::api) const fn has(name: &'static str, schema: &'static Schema) -> Field {
    Field { name, schema, required: true }
}

/// A field that may be left out.
pub(in crate::api) const fn may(name: &'static str, schema: &'static Schema) -> Field {
    Field { name, schema, required: false }
}

/// What is found on the way: what is referred to by its name.
#[derive(Debug)]
pub(super) struct Components<'a> {
    pub(super) schemas: BTreeMap<&'static str, Value>,
    pub(super) parameters: BTreeMap<&'static str, Value>,
    pub(super) datacenter: &'a str,
}

impl Components<'_> {
    /// A schema as JSON; one with a name is put among the components, and referred to.
    pub(super) fn shown(&mut self, schema: &Schema) -> Value {
        match schema {
            Schema::Anything => json!({}),
            Schema::Text => json!({ "type": "string" }),
            Schema::Filled => json!({ "type": "string", "minLength": 1 }),
            Schema::OneOf(words) => json!({ "type": "string", "enum": words }),
            Schema::Like(pattern) => json!({ "type": "string", "pattern": pattern }),
            Schema::OwnDatacenter => json!({ "type": "string", "enum": [self.datacenter] }),
            Schema::Boolean => json!({ "type": "boolean" }),
            Schema::Number => json!({ "type": "number" }),
            Schema::Integer => json!({ "type": "integer" }),
            Schema::Count => json!({ "type": "integer", "minimum": 0 }),
            Schema::Within(least, most) => json!({ "type": "integer", "minimum": least, "maximum": most }),
            Schema::List(item) => json!({ "type": "array", "items": self.shown(item) }),
            Schema::EmptyList => json!({ "type": "array", "maxItems": 0 }),
            Schema::Map(value) => json!({ "type": "object", "additionalProperties": self.shown(value) }),
            Schema::Object(groups) => self.object(groups),
            Schema::Only(groups) => {
                let mut object = self.object(groups);
                object["additionalProperties"] = json!(false);
                object
            }
            Schema::OrNull(schema) => json!({ "anyOf": [self.shown(schema), { "type": "null" }] }),
            Schema::Either(schemas) => {
                json!({ "anyOf": schemas.iter().map(|schema| self.shown(schema)).collect::<Vec<_>>() })
            }
            Schema::Named(name, schema) => {
                if !self.schemas.contains_key(name) {
                    let shown = self.shown(schema);
                    self.schemas.insert(name, shown);
                }
                json!({ "$ref": format!("#/components/schemas/{name}") })
            }
        }
    }

    fn object(&mut self, groups: &[&[Field]]) -> Value {
        let fields = || groups.iter().copied().flatten();
        let properties: Map<String, Value> =
            fields().map(|field| (field.name.to_owned(), self.shown(field.schema))).collect();
        let required: Vec<&str> = fields().filter(|field| field.required).map(|field| field.name).collect();
        match required.is_empty() {
            true => json!({ "type": "object", "properties": properties }),
            false => json!({ "type": "object", "properties": properties, "required": required }),
        }
    }
}
