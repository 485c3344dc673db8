//! What lies under the key of an event, as JSON in the words of Consul's `/v1/event`.
//!
//! ```json
//! {"Number": 7, "ID": "b54f...", "Name": "deploy", "Payload": "MS4y", "ServiceFilter": "web"}
//! ```
//!
//! `Number` counts the events of all machines, from 1: it is the `LTime` that clients see, and the rest of its division by 256 is
//! the key. `Payload` is in base64. A field that is not known is a newer nameplate's, and is passed over.
//!
//! **Source:** Consul's `/v1/event`.

use serde::{Deserialize, Serialize};

use super::{
    document::{
        DocumentError, encoded, parsed,
        shape::{or_default, wrong},
    },
    kept::{KeptTooLarge, within},
};
use crate::kv::{
    base64::{self, Base64},
    event::{Event, Filters},
};

/// What is written of an event.
pub fn write_event(event: &Event) -> Result<Vec<u8>, KeptTooLarge> {
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Document<'a> {
        number: u64,
        #[serde(rename = "ID")]
        id: &'a str,
        name: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        payload: Option<Base64<'a>>,
        #[serde(skip_serializing_if = "str::is_empty")]
        node_filter: &'a str,
        #[serde(skip_serializing_if = "str::is_empty")]
        service_filter: &'a str,
        #[serde(skip_serializing_if = "str::is_empty")]
        tag_filter: &'a str,
    }
    within(encoded(&Document {
        number: event.number,
        id: &event.id,
        name: &event.name,
        payload: Base64::unless_empty(&event.payload),
        node_filter: &event.node_filter,
        service_filter: &event.service_filter,
        tag_filter: &event.tag_filter,
    }))
}

/// Reads what lies under the key of an event; whether it is for our node is not decided.
pub fn read_event(slot: u8, value: &[u8]) -> Result<Event, DocumentError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Shape {
        number: u64,
        #[serde(rename = "ID")]
        id: String,
        name: String,
        #[serde(default, deserialize_with = "or_default")]
        payload: String,
        #[serde(default, deserialize_with = "or_default")]
        node_filter: String,
        #[serde(default, deserialize_with = "or_default")]
        service_filter: String,
        #[serde(default, deserialize_with = "or_default")]
        tag_filter: String,
    }
    let shape: Shape = parsed(value)?;
    let payload = base64::decode(&shape.payload).ok_or_else(|| wrong("Payload", "must be a text in base64"))?;
    let event = Event {
        id: shape.id.into(),
        name: shape.name.into(),
        payload: payload.into(),
        node_filter: shape.node_filter.into(),
        service_filter: shape.service_filter.into(),
        tag_filter: shape.tag_filter.into(),
        number: shape.number,
        is_here: false,
    };
    if event.number == 0 || event.number > NUMBER_MAX || event.slot() != slot {
        return Err(wrong("Number", format!("must be from 1 on, and {slot} modulo 256, as the key says")));
    }
    match Filters::of(&event) {
        Ok(_) => Ok(event),
        Err(error) => {
            let field = match error.filter {
                "node" => "NodeFilter",
                "service" => "ServiceFilter",
                _ => "TagFilter",
            };
            Err(wrong(field, error.problem))
        }
    }
}

/// Highest number of an event. Source: the integers that JSON readers keep exactly.
pub const NUMBER_MAX: u64 = 1 << 53;

#[cfg(test)]
#[path = "kept_event_tests.rs"]
mod tests;
