//! Who may do what: rules, policies made of them, and tokens that have policies.
//!
//! ```
//! use nameplate::access::{Authorizer, Level, Resource, Rules};
//! let rules = Rules::parse(r#"
//!     service_prefix "" { policy = "read" }
//!     service "web"     { policy = "write" }
//! "#).unwrap();
//! let authorizer = Authorizer::new([&rules], Level::Deny);
//! assert!(authorizer.allows(Resource::Service, "web", Level::Write));
//! assert!(authorizer.allows(Resource::Service, "db", Level::Read));
//! assert!(!authorizer.allows(Resource::Service, "db", Level::Write));
//! ```
//!
//! Of the rules for a name, the one for exactly this name holds, else that of the longest prefix, else the default. Where two
//! policies speak of the same name or prefix, deny beats write, and write beats list and read.
//!
//! A token's secret is kept as it is, because Consul's clients read it back, and because the token's file has it too. It is
//! found by a hash under a key that is random for each process, and then compared in constant time, so that no answer's time
//! tells how much of a guess was right. `Debug` never shows it.
//!
//! **Limits:** no roles, templated policies, auth methods, namespaces; `intentions`, `sentinel`, `mesh`, `peering` and `keyring`
//! rules are read and rule over nothing, because there is nothing of these here.
//!
//! **Source:** Consul's documentation, "ACL rules" and "ACL HTTP API".

pub mod rules;

pub mod authorizer;
pub mod directory;
pub mod file;
pub mod follow;
pub mod hcl;
pub mod realm;
pub mod time;
pub mod token;

pub use authorizer::Authorizer;
pub use realm::Realm;
pub use rules::{Level, Resource, Rules, RulesError};
