//! The cockpit in a terminal.
//!
//! [`update::update`] is a pure function of state, event, world and instant; it
//! returns what shall be done outside. [`screen::draw`] is a pure function of
//! the same to cells. Only [`drive`], [`terminal`], [`signals`] and [`browser`]
//! touch anything real, and no key ever waits for a backend.

pub mod accident;
pub mod browser;
pub mod clipboard;
pub mod command;
pub mod drive;
pub mod field;
pub mod filter;
pub mod keymap;
pub mod keys;
pub mod letters;
pub mod line;
pub mod log;
pub mod mode;
pub mod pace;
pub mod paint;
pub mod refusal;
pub mod screen;
pub mod sheet;
pub mod sign;
pub mod signals;
pub mod state;
pub mod terminal;
pub mod text;
pub mod theme;
pub mod update;
pub mod widget;

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod tests;
