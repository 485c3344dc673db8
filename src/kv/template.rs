//! Templates of prepared queries: texts that are filled in from the name that was asked.
//!
//! | in a text | means |
//! |---|---|
//! | `${name.full}` | the name that was asked |
//! | `${name.prefix}`, `${name.suffix}` | the query's own name; what of the asked one comes after it |
//! | `${match(2)}` | the second group of the expression; empty if that does not match |
//! | `${agent.segment}` | nothing: there are no segments |
//! | `$${` | `${` |
//!
//! A filled text is never put together to be compared: it is a run of pieces, each of them a part of the template or of the
//! name. So DNS answers from templates without allocating. Expressions are compiled when a query is put in, and run by a
//! machine whose memory is kept from one name to the next; nothing else about that memory is ever seen.
//!
//! **Limits:** [`GROUPS_MAX`] groups, [`EXPRESSION_MAX_BYTES`] of a compiled expression. A name is looked at in time
//! proportional to its length times that of the expression.
//!
//! **Source:** Consul's `/v1/query`, "Prepared Query Templates".

use std::{cell::RefCell, error::Error as _, fmt, sync::Arc};

use regex_automata::{
    Input,
    nfa::thompson::{
        self,
        pikevm::{Cache, PikeVM},
    },
    util::primitives::NonMaxUsize,
};

use super::query::Query;
use crate::catalog::names::Text;

/// A regular expression, ready to be held against names.
#[derive(Clone, Default)]
pub struct Expression {
    text: Text,
    /// None if the text is empty, or came from an earlier life and cannot be used any more.
    compiled: Option<Arc<PikeVM>>,
}

/// Why an expression cannot be read, in one line: the library draws where over several.
pub fn reason(error: &impl fmt::Display) -> String {
    let drawn = error.to_string();
    let last = drawn.lines().last().unwrap_or_default();
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}

impl Expression {
    /// Reads an expression; an empty one matches nothing.
    pub fn new(text: Text) -> Result<Expression, String> {
        if text.is_empty() {
            return Ok(Expression::default());
        }
        let limit = thompson::Config::new().nfa_size_limit(Some(EXPRESSION_MAX_BYTES));
        let compiled = PikeVM::builder().thompson(limit).build(&text);
        let compiled = compiled.map_err(|error| match error.source() {
            Some(source) => reason(&source),
            None => reason(&error),
        })?;
        Ok(Expression { text, compiled: Some(Arc::new(compiled)) })
    }

    /// One that was stored: what cannot be read any more is kept, and matches nothing.
    pub fn stored(text: Text) -> Expression {
        Expression::new(text.clone()).unwrap_or(Expression { text, compiled: None })
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Where the groups lie in a name, as far as there is room; none if it does not match.
    fn find(&self, name: &str, slots: &mut Slots) {
        let Some(compiled) = &self.compiled else { return };
        MEMORY.with_borrow_mut(|memory| {
            let memory = match memory {
                Some(memory) => {
                    memory.reset(compiled);
                    memory
                }
                None => memory.insert(compiled.create_cache()),
            };
            // The machine takes no more slots than the expression has.
            let count = compiled.get_nfa().group_info().slot_len().min(slots.len());
            compiled.search_slots(memory, &Input::new(name), &mut slots[..count]);
        });
    }
}

thread_local! {
    /// What the machine works in: its size depends on the expression, its contents on nothing that came before.
    static MEMORY: RefCell<Option<Cache>> = const { RefCell::new(None) };
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.as_str().fmt(f)
    }
}

impl PartialEq for Expression {
    fn eq(&self, other: &Expression) -> bool {
        self.text == other.text
    }
}

impl Eq for Expression {}

/// Beginning and end of each group.
type Slots = [Option<NonMaxUsize>; 2 * GROUPS_MAX];

/// A query and the name that was asked, from which its texts are filled in if it is a template.
#[derive(Debug)]
pub struct Filling<'q> {
    query: &'q Query,
    name: &'q str,
    slots: Slots,
}

impl<'q> Filling<'q> {
    /// A query, as it is for a name.
    pub fn new(query: &'q Query, name: &'q str) -> Filling<'q> {
        let mut slots = [None; 2 * GROUPS_MAX];
        if let Some(template) = &query.template {
            template.regexp.find(name, &mut slots);
        }
        Filling { query, name, slots }
    }

    /// The query.
    pub fn query(&self) -> &'q Query {
        self.query
    }

    /// A text of the query, filled in, piece by piece; no piece is empty.
    pub fn pieces<'f>(&'f self, text: &'q str) -> Pieces<'f, 'q> {
        Pieces { filling: self, rest: text }
    }

    /// A text of the query, filled in.
    pub fn text(&self, text: &'q Text) -> Text {
        match self.query.template {
            None => text.clone(),
            Some(_) => Text::from(self.pieces(text).collect::<String>()),
        }
    }

    /// The same in a buffer, if that is needed; none if it does not fit.
    pub fn text_in<'b>(&self, text: &'q str, buffer: &'b mut [u8]) -> Option<&'b str>
    where
        'q: 'b,
    {
        if self.query.template.is_none() {
            return Some(text);
        }
        let mut length = 0;
        for piece in self.pieces(text) {
            buffer.get_mut(length..length + piece.len())?.copy_from_slice(piece.as_bytes());
            length += piece.len();
        }
        std::str::from_utf8(&buffer[..length]).ok()
    }

    /// Whether a text of the query, filled in, is this one.
    pub fn is(&self, text: &'q str, other: &str) -> bool {
        let mut rest = other;
        let begins = |piece: &str| rest.strip_prefix(piece).map(|after| rest = after).is_some();
        self.pieces(text).all(begins) && rest.is_empty()
    }

    /// Whether an instance with these tags has the tag that a text says, filled in; after `!`, has it not.
    pub fn fits_tags<'t>(&self, text: &'q str, tags: impl Iterator<Item = &'t str>) -> bool {
        let mut pieces = self.pieces(text);
        let Some(first) = pieces.next() else {
            // A tag that came out empty is left out, or is one that nobody has.
            return self.query.template.as_ref().is_some_and(|template| template.remove_empty_tags);
        };
        let (is_wanted, first) = match first.strip_prefix('!') {
            Some(first) => (false, first),
            None => (true, first),
        };
        let is = |tag: &str| {
            let mut rest = tag.as_bytes();
            let begins = |piece: &str| {
                let beginning = rest.split_at_checked(piece.len());
                let same = beginning.filter(|(beginning, _)| beginning.eq_ignore_ascii_case(piece.as_bytes()));
                same.map(|(_, after)| rest = after).is_some()
            };
            std::iter::once(first).chain(pieces.clone()).all(begins) && rest.is_empty()
        };
        let mut tags = tags;
        tags.any(is) == is_wanted
    }

    /// What stands between `${` and `}`; none if it means nothing.
    fn meaning(&self, word: &str) -> Option<&'q str> {
        let prefix = self.query.name.len();
        Some(match word.trim() {
            "name.full" => self.name,
            "name.prefix" => &self.query.name,
            "name.suffix" => self.name.get(prefix..).unwrap_or_default(),
            "agent.segment" => "",
            word => {
                let number = word.strip_prefix("match(")?.strip_suffix(')')?.trim().parse::<usize>().ok()?;
                let slots = self.slots.get(2 * number..2 * number + 2)?;
                match slots {
                    [Some(start), Some(end)] => self.name.get(start.get()..end.get()).unwrap_or_default(),
                    _ => "",
                }
            }
        })
    }
}

/// Parts of a text that is filled in.
#[derive(Debug, Clone)]
pub struct Pieces<'f, 'q> {
    filling: &'f Filling<'q>,
    rest: &'q str,
}

impl<'q> Pieces<'_, 'q> {
    /// Takes so many bytes away.
    fn take(&mut self, bytes: usize) -> &'q str {
        let (taken, rest) = self.rest.split_at(bytes);
        self.rest = rest;
        taken
    }
}

impl<'q> Iterator for Pieces<'_, 'q> {
    type Item = &'q str;

    fn next(&mut self) -> Option<&'q str> {
        loop {
            let is_template = self.filling.query.template.is_some();
            let hole = self.rest.find("${").filter(|_| is_template);
            let hole = hole.and_then(|at| Some((at, at + self.rest[at..].find('}')?)));
            let Some((at, end)) = hole else {
                let all = self.take(self.rest.len());
                return Some(all).filter(|all| !all.is_empty());
            };
            let is_escaped = self.rest[..at].ends_with('$');
            let before = at - usize::from(is_escaped);
            if before > 0 {
                return Some(self.take(before));
            }
            let hole = self.take(end + 1);
            if is_escaped {
                return Some(&hole[1..]);
            }
            match self.filling.meaning(&hole[2..hole.len() - 1]) {
                None | Some("") => {}
                Some(piece) => return Some(piece),
            }
        }
    }
}

/// Whether all in a template's text can be filled in; what is wrong if not.
pub fn validate(query: &Query, text: &str) -> Result<(), String> {
    let filling = Filling::new(query, "");
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let hole = &rest[at + 2..];
        let end = hole.find('}').ok_or_else(|| format!("{text:?}: a ${{ is not closed"))?;
        if !rest[..at].ends_with('$') {
            filling.meaning(&hole[..end]).ok_or_else(|| format!("{text:?}: {:?} is unknown", &hole[..end]))?;
        }
        rest = &hole[end + 1..];
    }
    Ok(())
}

/// Most groups of an expression that a text can name, the whole match among them. Source: none, chosen.
const GROUPS_MAX: usize = 32;

/// Most memory of a compiled expression. Source: none, chosen: `\w` takes a tenth of it.
pub(super) const EXPRESSION_MAX_BYTES: usize = 256 * 1024;

#[cfg(test)]
#[path = "template_tests.rs"]
mod tests;
