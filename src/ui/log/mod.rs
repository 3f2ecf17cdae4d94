//! Logs: raw bytes in a bounded ring, made readable a screenful at a time.
//!
//! A log never enters the world and never reaches the terminal as it came.
//! What does not fit into the ring is forgotten from its beginning and counted.

pub mod ansi;
pub mod ring;
pub mod view;
