//! DNS probes: pass if a server answers a question, with what is expected where something is.
//!
//! | response | verdict |
//! |---|---|
//! | NOERROR, a record of the type asked for, and each expected text is that of one of them | passing |
//! | the same without one of the expected | critical, with what came |
//! | NOERROR without such a record (NODATA), NXDOMAIN, another RCODE | critical |
//! | a message that cannot be read or answers another question; a closed port; silence until the timeout | critical |
//!
//! Texts are those of zone files. Letter case and the dot at a name's end don't count, and addresses are compared as such;
//! of TXT each letter counts, and quotes around the whole don't.
//!
//! | bound | value |
//! |---|---|
//! | datagrams that are none of the question's, ignored | 100, then critical |
//! | size of a response | 4 KiB by UDP, 64 KiB by TCP |
//! | records shown | what fits into 256 bytes |
//!
//! Asked is by UDP without EDNS, and again by TCP if the response is truncated.
//!
//! **Limits:** a query that gets lost is not sent again: thresholds are for that.
//!
//! **Source:** RFC 1035 sections 4.1 and 4.2, RFC 7766 section 5 (truncated: by TCP), RFC 5452 section 9 (port and ID
//! of a query cannot be guessed; what matches neither address, ID nor question is ignored).

use std::{
    fmt::Write as _,
    net::{IpAddr, SocketAddr},
    str::FromStr,
    time::Duration,
};

use hickory_proto::{
    op::{Message, MessageType, Query, ResponseCode},
    rr::{Name, RData, RecordType},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{
    connect::{Connector, Target},
    exchange::{shown, verdict},
    probe::{Outcome, deadline},
    udp,
};
use crate::{catalog::check::DnsCheck, random};

/// Probes a server once, within this time.
pub(super) async fn probe(connector: &Connector, target: &str, check: &DnsCheck, timeout: Duration) -> Outcome {
    let what = format!("DNS query {} {} at {target}", check.name, check.record_type);
    let target = Target { at: target, what: &what, deadline: deadline(timeout) };
    verdict(target, timeout, async {
        let question = question(check).map_err(|problem| target.critical(problem))?;
        let mut query = Message::query();
        query.metadata.id = random::number() as u16;
        query.metadata.recursion_desired = true;
        query.add_query(question);
        let bytes = query.to_vec().map_err(|error| target.critical(error))?;
        let address = connector.first_address(target).await?;
        let response = match ask_by_udp(target, address, (&query, &bytes)).await? {
            Some(response) => response,
            None => ask_by_tcp(connector, target, (&query, &bytes)).await?,
        };
        judge(&response, check, query.queries[0].query_type()).map_err(|problem| target.critical(problem))
    })
    .await
}

/// Asks by UDP; none if the response is truncated.
async fn ask_by_udp(
    target: Target<'_>,
    address: SocketAddr,
    (query, bytes): (&Message, &[u8]),
) -> Result<Option<Message>, Outcome> {
    let socket = udp::connected(address).await.map_err(|error| target.failed(&error))?;
    socket.send(bytes).await.map_err(|error| target.failed(&error))?;
    let mut buffer = vec![0; DATAGRAM_MAX_BYTES];
    for _ in 0..=IGNORED_MAX {
        let length = socket.recv(&mut buffer).await.map_err(|error| target.failed(&error))?;
        match read(&buffer[..length], query) {
            Response::Whole(response) => return Ok(Some(response)),
            Response::Truncated => return Ok(None),
            Response::Unreadable(problem) => return Err(target.critical(problem)),
            Response::Other => {}
        }
    }
    Err(target.critical(format_args!("more than {IGNORED_MAX} datagrams that answer another question")))
}

/// Asks by TCP.
async fn ask_by_tcp(
    connector: &Connector,
    target: Target<'_>,
    (query, bytes): (&Message, &[u8]),
) -> Result<Message, Outcome> {
    let mut stream = connector.plain(target).await?;
    let exchange = async |stream: &mut TcpStream| {
        let mut framed = (bytes.len() as u16).to_be_bytes().to_vec();
        framed.extend_from_slice(bytes);
        stream.write_all(&framed).await?;
        let mut response = vec![0; stream.read_u16().await?.into()];
        stream.read_exact(&mut response).await?;
        Ok::<_, std::io::Error>(response)
    };
    let response = exchange(&mut stream).await.map_err(|error| target.failed(&error))?;
    match read(&response, query) {
        Response::Whole(response) => Ok(response),
        Response::Truncated => Err(target.critical("the response is truncated by TCP, too")),
        Response::Unreadable(problem) => Err(target.critical(problem)),
        Response::Other => Err(target.critical("the response answers another question")),
    }
}

/// What came instead of, or as, the response to a query.
#[derive(Debug)]
pub(super) enum Response {
    Whole(Message),
    /// It is to be asked for by TCP.
    Truncated,
    /// It has the query's ID, and more cannot be read.
    Unreadable(String),
    /// It answers another query, or none.
    Other,
}

pub(super) fn read(bytes: &[u8], query: &Message) -> Response {
    let [high, low, flags, ..] = bytes else { return Response::Other };
    if u16::from_be_bytes([*high, *low]) != query.metadata.id || flags & QR == 0 {
        return Response::Other;
    }
    // What is truncated need not be readable to its end.
    if flags & TC != 0 {
        return Response::Truncated;
    }
    let response = match Message::from_vec(bytes) {
        Ok(response) => response,
        Err(error) => return Response::Unreadable(format!("the response cannot be read: {error}")),
    };
    let echoed = match response.queries.as_slice() {
        // Some servers leave the question out of an error.
        [] => response.metadata.response_code != ResponseCode::NoError,
        [echoed] => *echoed == query.queries[0],
        _ => false,
    };
    if !echoed || response.metadata.message_type != MessageType::Response {
        return Response::Other;
    }
    Response::Whole(response)
}

/// Whether the response is as the check wants it: what it says, or what is wrong.
pub(super) fn judge(response: &Message, check: &DnsCheck, record_type: RecordType) -> Result<String, String> {
    let code = response.metadata.response_code;
    if code != ResponseCode::NoError {
        return Err(rcode(code));
    }
    let mut records: Vec<String> = response
        .answers
        .iter()
        .filter(|record| record.record_type() == record_type)
        .map(|record| text(&record.data))
        .collect();
    if records.is_empty() {
        return Err("no record of this type (NODATA)".to_owned());
    }
    records.sort();
    let came = shown(records.join(", ").as_bytes());
    let normal: Vec<_> = records.iter().map(|record| normalised(record, record_type)).collect();
    match check.expected.iter().find(|expected| !normal.contains(&normalised(expected, record_type))) {
        Some(missing) => Err(format!("{missing} is not in the answer, which is {came}")),
        None => Ok(came),
    }
}

/// The RDATA as in a zone file; empty for what has no such text.
fn text(data: &RData) -> String {
    let mut text = String::new();
    if write!(text, "{data}").is_err() {
        text.clear();
    }
    text
}

/// A text by which RDATA is compared.
fn normalised(text: &str, record_type: RecordType) -> String {
    if record_type == RecordType::TXT {
        let bare = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        return bare.unwrap_or(text).to_owned();
    }
    let field = |field: &str| match field.parse::<IpAddr>() {
        Ok(address) => address.to_string(),
        Err(_) => field.strip_suffix('.').unwrap_or(field).to_ascii_lowercase(),
    };
    text.split_whitespace().map(field).collect::<Vec<_>>().join(" ")
}

/// The RCODE by its name in the registry, where it is one that servers give to queries.
fn rcode(code: ResponseCode) -> String {
    match code {
        ResponseCode::FormErr => "FORMERR".to_owned(),
        ResponseCode::ServFail => "SERVFAIL".to_owned(),
        ResponseCode::NXDomain => "NXDOMAIN".to_owned(),
        ResponseCode::NotImp => "NOTIMP".to_owned(),
        ResponseCode::Refused => "REFUSED".to_owned(),
        code => format!("RCODE {}", u16::from(code)),
    }
}

fn question(check: &DnsCheck) -> Result<Query, String> {
    let bare = check.name.strip_suffix('.').unwrap_or(&check.name);
    let name = Name::from_ascii(format!("{bare}.")).map_err(|error| format!("{:?} is no name: {error}", check.name))?;
    let record_type = RecordType::from_str(&check.record_type)
        .map_err(|_| format!("{:?} is no type of records", check.record_type))?;
    Ok(Query::query(name, record_type))
}

/// Bits of the third byte of a message: response, truncated.
const QR: u8 = 0x80;
const TC: u8 = 0x02;

/// Longest datagram that is read. Source: none, chosen: without EDNS 512 are sent, and some servers send more.
const DATAGRAM_MAX_BYTES: usize = 4096;

/// Most datagrams that are ignored. Source: none, chosen: far more than come late from earlier queries of the same port.
const IGNORED_MAX: usize = 100;

#[cfg(test)]
#[path = "dns_tests.rs"]
mod tests;
