//! Static zones, read from zone files; and zones that follow a registry (`skydns`).
//!
//! ```text
//! zones/example.zone --split--> entries --file--> records --build--> Zone, with lint
//!                                                               Zones --lookup--> what a question finds
//! ```
//!
//! A file that cannot be read in full is refused as a whole, with all its problems, and the last good state of it
//! stays in service. Reading the files is the only I/O, and nothing logs: problems are values.
//!
//! **Limits:** 64 MiB of text and 2,000,000 names a zone, `$INCLUDE` 8 files deep and only from the zone file's own
//! folder, 512 KiB an entry, 500 errors and 500 warnings a file. No DNAME, no `$GENERATE`, nothing signed; class IN.
//!
//! **Source:** RFC 1035 section 5, RFC 2181, RFC 2308, RFC 4592.

mod build;
mod file;
mod lint;
mod load;
pub mod lookup;
pub mod problem;
mod rdata;
pub mod skydns;
mod split;
mod svcb;
mod text;
mod zone;

pub use load::{LoadOutcome, Report, ZoneContext, check_file, check_text, load};
pub use zone::{RrSet, Soa, Zone, ZoneNode, Zones};

#[cfg(test)]
mod testing;
