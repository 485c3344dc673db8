//! Redis probes: pass if a PING is answered.
//!
//! | answer | verdict |
//! |---|---|
//! | `+PONG` | passing |
//! | `-NOAUTH`, `-NOPERM` | passing: the server is up, and who may use it is not asked here |
//! | any other error, such as `-LOADING`, `-MASTERDOWN`, `-ERR`, `-DENIED`, `-BUSY` | critical |
//! | anything else; a closed connection; no whole line in 4 KiB; silence until the timeout | critical |
//!
//! **Limits:** no TLS, no password; of several addresses of a name, the first that accepts is asked.
//!
//! **Source:** Redis serialization protocol specification (RESP), "Simple strings", "Simple errors", "Arrays"; the
//! Redis command PING.

use std::time::Duration;

use super::{
    connect::{Connector, Target},
    exchange::{Exchange, Reading, shown, verdict},
    probe::{Outcome, deadline},
};

/// Probes a host and port once, within this time.
pub(super) async fn probe(connector: &Connector, target: &str, timeout: Duration) -> Outcome {
    let what = format!("Redis ping {target}");
    let target = Target { at: target, what: &what, deadline: deadline(timeout) };
    verdict(target, timeout, async {
        let mut exchange = Exchange::open(connector, target, PING).await?;
        exchange.receive(read).await?.map_err(|problem| target.critical(problem))
    })
    .await
}

/// Reads the answer: what of it passes, or the error that it is.
pub(super) fn read(bytes: &[u8]) -> Reading<Result<String, String>> {
    if !matches!(bytes.first(), None | Some(b'+' | b'-')) {
        return Reading::Wrong(format!("not an answer of Redis: {:?}", shown(bytes)));
    }
    let Some(end) = bytes.windows(2).position(|pair| pair == b"\r\n") else { return Reading::More };
    let line = shown(&bytes[..end]);
    let code = line.split(' ').next().unwrap_or_default();
    let answer = match code {
        "+PONG" => Ok("PONG".to_owned()),
        "-NOAUTH" | "-NOPERM" => Ok(format!("it lives, and refuses PING without a login: {line}")),
        _ if line.starts_with('-') => Err(line),
        _ => return Reading::Wrong(format!("not an answer to PING: {line:?}")),
    };
    Reading::Done(answer, end + 2)
}

/// PING as an array of bulk strings, which everything that speaks RESP understands; proxies take no inline commands.
const PING: &[u8] = b"*1\r\n$4\r\nPING\r\n";

#[cfg(test)]
#[path = "redis_tests.rs"]
mod tests;
