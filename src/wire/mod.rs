//! What the answering path needs of DNS bytes: names, headers, questions, EDNS and a response writer.
//!
//! Everything here works on byte slices, allocates only where it says so, and knows nothing of
//! services, zones or sockets.
//!
//! **Limits:** no compression other than pointers that the writer is told to make; no zone text.
//!
//! **Source:** RFC 1035, RFC 3597, RFC 6891, RFC 8914.

pub mod code;
pub mod name;
pub mod query;
pub mod writer;
