//! What the last result of a check said.
//!
//! A probe's output names its target (as Consul's do), so that no two are equal. In memory a mark stands for the
//! target, and what very many probes say alike is kept once.

use std::borrow::Cow;

use super::names::Text;

/// What a result said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output(Text);

impl Output {
    /// What was said of a check with this target.
    pub fn new(said: &str, target: &str) -> Output {
        if target.len() >= TARGET_MIN_BYTES && said.contains(target) && !said.contains(TARGET) {
            let mut text = said.replace(target, TARGET.encode_utf8(&mut [0; 4]));
            text.insert(0, TARGET);
            return Output(text.into());
        }
        if said.starts_with([TARGET, PLAIN]) {
            return Output(format!("{PLAIN}{said}").into());
        }
        Output(said.into())
    }

    /// What was said of a check with this target, with which it must have been made.
    pub fn shown(&self, target: &str) -> Cow<'_, str> {
        if let Some(text) = self.0.strip_prefix(TARGET) {
            return Cow::Owned(text.replace(TARGET, target));
        }
        Cow::Borrowed(self.0.strip_prefix(PLAIN).unwrap_or(&self.0))
    }

    /// The text itself, for putting an equal one in its place.
    pub fn text_mut(&mut self) -> &mut Text {
        &mut self.0
    }
}

/// What was said where no target is meant.
impl From<&str> for Output {
    fn from(said: &str) -> Output {
        Output::new(said, "")
    }
}

/// Stands for the target; at the beginning, says that it does.
const TARGET: char = '\u{1}';

/// At the beginning, says that what follows is just what was said, though it looks otherwise.
const PLAIN: char = '\u{2}';

/// A shorter target stays as it is. Source: none, chosen: an address with a port is longer.
const TARGET_MIN_BYTES: usize = 8;

#[cfg(test)]
#[path = "output_tests.rs"]
mod tests;
