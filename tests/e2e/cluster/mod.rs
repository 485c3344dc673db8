//! Three nameplates and three members of etcd, on hosts of their own between which links are cut.
//!
//! | part | what |
//! |---|---|
//! | `net` | the hosts, as network namespaces on a bridge, and the links between them |
//! | `hosts` | the processes that run there |
//! | `harness` | scenarios: the above do what they say |
//! | `history` | what clients did and saw, and what faults there were |
//! | `levels`, `troubles`, `duties` | what follows from a history: what each node had to tell when |
//! | `promises` | each promise as a function over a history |
//! | `access` | policies and tokens that machines share |
//! | `keys`, `sessions`, `queries`; `locks`, `holders` | keys, sessions and prepared queries that machines share; one lock that clients of two machines want |
//! | `events` | events that are fired on one machine and listed on all |
//! | `foreign`, `dealt_out` | nodes that have no nameplate, and their checks |
//! | `trio`; `passing_on`, `death`, `away`, `by_hand`, `identity`, `members` | three nodes that answer alike; scenarios, one a promise |
//! | `clocks` | three nodes whose clocks are minutes apart |
//! | `bridges` | two nodes whose containers have the same addresses |
//! | `overlay` | a network of Docker's that spans two machines |
//! | `load`, `faults`, `churn` | clients and faults at random, and the scenario that holds them against the promises |

mod access;
mod away;
mod bridges;
mod by_hand;
mod churn;
mod clocks;
mod dealt_out;
mod death;
mod duties;
mod events;
mod faults;
mod foreign;
mod harness;
mod history;
mod holders;
mod hosts;
mod identity;
mod keys;
mod levels;
mod load;
mod locks;
mod members;
mod net;
mod overlay;
mod passing_on;
mod promises;
#[cfg(test)]
mod promises_tests;
mod queries;
mod sessions;
mod trio;
mod troubles;
