//! Values of options that are checked before a server is asked.

use std::time::Duration;

use crate::catalog::duration::parse_duration;

/// A key and its value.
pub(super) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("expected KEY=VALUE".to_owned()),
    }
}

/// Checks a duration here, so that a mistake is told without a server; the text is what is sent.
pub(super) fn duration(text: &str) -> Result<String, String> {
    let span: Duration = parse_duration(text).map_err(|problem| problem.to_string())?;
    if span.is_zero() { Err("a duration above 0 is needed".to_owned()) } else { Ok(text.to_owned()) }
}
