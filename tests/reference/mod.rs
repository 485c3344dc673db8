//! The reference answerer: a second reading of the rules of answering, slow and obviously right.
//!
//! It lists every name that a catalog gives a meaning to, lays them out as the tree of a zone, and walks that tree
//! as RFC 1034 section 4.3.2 says. It shares no code with the engine: it takes the catalog's vocabulary, settings
//! and query bytes, and says which responses are acceptable ([`expected::Expected`]); [`check::check`] holds a real
//! response against that. Where the rules leave room, the reading taken is in `CHOICES.md`.
//!
//! **Limits:** every world is listed in full, so a few hundred instances are a lot.
//!
//! **Source:** RFC 1034 section 4.3.2, RFC 2308, RFC 2782, RFC 4592, RFC 6891, RFC 8482, RFC 8914, RFC 9471.
// The fuzz targets use parts; `hold!` makes ifs that look as if they could be joined; a literal list of texts is
// picked from by value; speed and size do not matter here.
#![allow(dead_code, clippy::collapsible_if, clippy::explicit_auto_deref, clippy::large_enum_variant)]

pub mod answer;
pub mod chain;
pub mod check;
pub mod drawn_queries;
pub mod expected;
pub mod facts;
pub mod gate;
pub mod generate;
pub mod labels;
pub mod nodes;
pub mod outside;
pub mod parse;
pub mod prepared;
pub mod queries;
pub mod rng;
pub mod rrsets;
pub mod services;
pub mod tree;
pub mod world;
pub mod zones;
