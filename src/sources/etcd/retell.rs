//! What lies under the keys of what is of no node, as something that the store follows.
//!
//! | under a key | counts as |
//! |---|---|
//! | of a client's key, no such document | its bytes, as the value: another program wrote it |
//! | of a session, a query or an event, one that cannot be read | not there, and the log says so |
//! | of a barrier, or that is nobody's | nothing; of a barrier the revision alone counts |

pub(super) mod access;

use super::{
    client,
    document::DocumentError,
    kept::{Revisions, read_key, read_session},
    kept_event::read_event,
    kept_query::read_query,
    layout::{Kept, Layout},
    mirror::Complaint,
};
use crate::kv::{follow::Event, store::Entry};

/// What a change of one key tells; none where it is not of this part of the layout.
pub(super) fn told(layout: &Layout, event: &client::Event, complaints: &mut Vec<Complaint>) -> Option<Event> {
    let kept = layout.kept(event.key())?;
    let one = match event {
        client::Event::Put(one) => one,
        client::Event::Delete { mod_revision, .. } => return none(kept, unsigned(*mod_revision)),
    };
    match put(kept.clone(), one)? {
        Ok(event) => Some(event),
        Err(error) => {
            complaints.push(complaint(one, &error));
            none(kept, unsigned(one.mod_revision))
        }
    }
}

/// That something is not there, since this revision.
fn none(kept: Kept, revision: u64) -> Option<Event> {
    Some(match kept {
        Kept::Key(key) => Event::NoKey(key, revision),
        Kept::Session(id) => Event::NoSession(id, revision),
        Kept::SessionTtl(id) => Event::NoLease(id),
        Kept::LockDelay(key) => Event::NoDelay(key),
        Kept::Query(id) => Event::NoQuery(id, revision),
        Kept::Event(slot) => Event::NoEvent(slot),
        Kept::Policy(_) | Kept::Token(_) | Kept::Bootstrap => return None,
        Kept::Barrier(_) => return None,
    })
}

fn put(kept: Kept, one: &client::KeyValue) -> Option<Result<Event, DocumentError>> {
    let revisions = Revisions { create: unsigned(one.create_revision), modify: unsigned(one.mod_revision) };
    Some(match kept {
        Kept::Key(key) => Ok(Event::Key(Box::new(read_key(&key, &one.value, revisions).unwrap_or_else(|_| Entry {
            key,
            value: one.value.clone().into(),
            flags: 0,
            session: None,
            lock_index: 0,
            create_index: revisions.create,
            modify_index: revisions.modify,
        })))),
        Kept::Session(id) => {
            let session = read_session(&id, &one.value);
            session.map(|session| Event::Session(Box::new(session), revisions.create))
        }
        Kept::SessionTtl(id) => Ok(Event::Lease(id, one.lease)),
        Kept::LockDelay(key) => Ok(Event::Delay(key)),
        Kept::Query(id) => read_query(&id, &one.value, revisions).map(Event::Query),
        Kept::Event(slot) => read_event(slot, &one.value).map(|event| Event::Fired(Box::new(event))),
        Kept::Policy(_) | Kept::Token(_) | Kept::Bootstrap => return None,
        Kept::Barrier(_) => return None,
    })
}

fn complaint(one: &client::KeyValue, error: &DocumentError) -> Complaint {
    let key = String::from_utf8_lossy(&one.key).escape_debug().to_string();
    Complaint { key, problem: error.to_string() }
}

fn unsigned(revision: i64) -> u64 {
    u64::try_from(revision).unwrap_or_default()
}

#[cfg(test)]
#[path = "retell_tests.rs"]
mod tests;
