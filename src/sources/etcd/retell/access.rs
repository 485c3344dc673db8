//! What lies under the keys of policies and tokens, as something that access control follows.
//!
//! What cannot be read grants nothing: it counts as not there, and the log says so.

use super::{
    super::{
        client,
        kept::Revisions,
        kept_access::{read_policy, read_token},
        layout::{Kept, Layout},
        mirror::Complaint,
    },
    complaint, unsigned,
};
use crate::access::follow::Event;

/// What a change of one key tells; none where it is not of this part of the layout.
pub(in super::super) fn told(layout: &Layout, event: &client::Event, complaints: &mut Vec<Complaint>) -> Option<Event> {
    let kept = layout.kept(event.key())?;
    let client::Event::Put(one) = event else { return none(kept) };
    let revisions = Revisions { create: unsigned(one.create_revision), modify: unsigned(one.mod_revision) };
    let read = match &kept {
        Kept::Policy(id) => read_policy(id, &one.value, revisions).map(|policy| Event::Policy(Box::new(policy))),
        Kept::Token(accessor_id) => {
            let read = read_token(accessor_id, &one.value, (revisions, one.lease));
            read.map(|token| Event::Token(Box::new(token)))
        }
        Kept::Bootstrap => Ok(Event::Bootstrap(revisions.create)),
        _ => return None,
    };
    read.map_or_else(
        |error| {
            complaints.push(complaint(one, &error));
            none(kept)
        },
        Some,
    )
}

fn none(kept: Kept) -> Option<Event> {
    match kept {
        Kept::Policy(id) => Some(Event::NoPolicy(id.as_str().into())),
        Kept::Token(accessor_id) => Some(Event::NoToken(accessor_id.as_str().into())),
        Kept::Bootstrap => Some(Event::NoBootstrap),
        _ => None,
    }
}

#[cfg(test)]
#[path = "access_tests.rs"]
mod tests;
