//! The gate: what is done with a message before its name is looked at.
//!
//! The rules, in the order in which they run; the first that applies decides.
//!
//! | message | outcome |
//! |---|---|
//! | shorter than a header, a response, from port 0, from our own listener | dropped |
//! | opcode other than QUERY, UPDATE, NOTIFY | NOTIMP |
//! | not exactly one question (RFC 9619) | FORMERR |
//! | malformed or compressed QNAME, a QUERY with answers, a malformed record, two OPT, OPT not at the root | FORMERR |
//! | EDNS version above 0 (RFC 6891 section 6.1.3) | BADVERS |
//! | malformed options, client subnet or cookie of illegal length | FORMERR |
//! | client not in `allow_query` | REFUSED |
//! | NOTIFY | NOTAUTH |
//! | UPDATE | REFUSED for a zone of ours, else NOTAUTH |
//! | class other than IN, or CH for the server's own names | REFUSED |
//! | QTYPE OPT, TSIG, TKEY, MAILA, MAILB | NOTIMP |
//! | AXFR over UDP (RFC 5936 section 4.2) | FORMERR |
//! | AXFR, IXFR | REFUSED |

use super::{Client, Transport};
use crate::{
    publish::snapshot::{Origin, Snapshot},
    wire::{
        code::{class, extended, opcode, rcode, rtype},
        query::{Query, Question},
    },
};

/// What the gate decided.
#[derive(Debug)]
pub enum Gate {
    /// No response.
    Drop,
    /// A response without records.
    Refuse {
        /// Its RCODE.
        rcode: u16,
        /// Its extended error.
        extended: Option<u16>,
    },
    /// The name is to be answered.
    Accept,
}

/// Decides what is done with a message.
pub fn accept(snapshot: &Snapshot, query: &Query, client: &Client) -> Gate {
    let header = &query.header;
    if header.response || client.port == 0 || client.own_listener {
        return Gate::Drop;
    }
    if !matches!(header.opcode, opcode::QUERY | opcode::UPDATE | opcode::NOTIFY) {
        return refuse_with(rcode::NOTIMP, extended::NOT_SUPPORTED);
    }
    let Some(question) = query.question() else {
        return refuse(rcode::FORMERR);
    };
    if query.malformed || (header.opcode == opcode::QUERY && header.answers > 0) {
        return refuse(rcode::FORMERR);
    }
    if let Some(edns) = &query.edns {
        if edns.version > 0 {
            return refuse(rcode::BADVERS);
        }
        if edns.malformed {
            return refuse(rcode::FORMERR);
        }
    }
    if !snapshot.plan.may_ask(client.address) {
        return refuse_with(rcode::REFUSED, extended::PROHIBITED);
    }
    match header.opcode {
        opcode::NOTIFY => return refuse(rcode::NOTAUTH),
        opcode::UPDATE => {
            let ours = matches!(snapshot.plan.origin(question), Some((_, Origin::Domain(_) | Origin::Zone(_))));
            return refuse(if ours { rcode::REFUSED } else { rcode::NOTAUTH });
        }
        _ => {}
    }
    accept_question(snapshot, question, client)
}

fn accept_question(snapshot: &Snapshot, question: &Question, client: &Client) -> Gate {
    let hidden = snapshot.settings.hide_version;
    let own_name = question.class == class::CH && !hidden && super::server::is_own_name(question);
    if question.class != class::IN && !own_name {
        return refuse_with(rcode::REFUSED, extended::NOT_SUPPORTED);
    }
    match question.rtype {
        rtype::OPT | rtype::TSIG | rtype::TKEY | rtype::MAILA | rtype::MAILB => return refuse(rcode::NOTIMP),
        rtype::AXFR if client.transport == Transport::Udp => return refuse(rcode::FORMERR),
        rtype::AXFR | rtype::IXFR if question.class == class::IN => return refuse(rcode::REFUSED),
        _ => {}
    }
    Gate::Accept
}

fn refuse(rcode: u16) -> Gate {
    Gate::Refuse { rcode, extended: None }
}

fn refuse_with(rcode: u16, extended: u16) -> Gate {
    Gate::Refuse { rcode, extended: Some(extended) }
}
