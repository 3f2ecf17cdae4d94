//! The real binary in a real pseudo-terminal: what people press, what they see,
//! what the world says afterwards, and how the terminal is given back.
//!
//! Nothing sleeps: everything is waited for with a deadline, and a wait that
//! runs out prints the screen.

mod actions;
mod faults;
mod hostile;
mod input;
mod record;
mod restore;
mod secrets;
mod terminal;
