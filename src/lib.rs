//! gonogo: the release cockpit for machine-learning releases.
//!
//! Modules in reading order. Arrows point down only; `tests/it/layers.rs`
//! enforces it.
//!
//! ```text
//!         cli ──┬── ui           argv and stdout | terminal
//!               app              tasks, channels, executor, the clock
//!              config            as written → as meant
//!   backend   store   report     adapters | ledger | evidence as text
//!              engine            pure decisions
//!              domain            the words
//!   sim                          the demo's outside world; knows nothing above
//! ```

pub mod app;
pub mod backend;
pub mod cli;
pub mod config;
pub mod domain;
pub mod engine;
pub mod report;
pub mod sim;
pub mod store;
pub mod ui;
