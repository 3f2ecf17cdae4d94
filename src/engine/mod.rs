//! Pure decisions: what is believed, what follows, what may be done.
//!
//! Nothing here does I/O, reads a clock or is async; `now` is an argument. The
//! only input is [`crate::domain::observation::Observation`], so the same
//! session played twice decides the same twice.

pub mod back;
pub mod clear;
pub mod concern;
pub mod correlate;
pub mod decision;
pub mod flow;
pub mod gate;
pub mod hurting;
pub mod lane;
pub mod plan;
pub mod propose;
pub mod queue;
pub mod reduce;
pub mod release;
pub mod shared;
pub mod standing;
pub mod verify;
pub mod world;
