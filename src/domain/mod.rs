//! The words: plain data that every layer above shares.
//!
//! Nothing here does I/O, reads a clock or knows a backend's spelling. A word
//! means one thing in the whole crate; the backends' own words stay inside
//! their adapters.

pub mod action;
pub mod approval;
pub mod backend;
pub mod catalog;
pub mod id;
pub mod measure;
pub mod model;
pub mod observation;
pub mod permit;
pub mod pipeline;
pub mod policy;
pub mod quantity;
pub mod rollout;
mod scopes;
pub mod text;
pub mod verdict;

/// An instant on the wall clock, UTC. The only kind of time in the crate.
pub type Timestamp = chrono::DateTime<chrono::Utc>;
