//! What people write, checked and resolved.
//!
//! The file is parsed once, keeping where everything stands; each section is
//! read on its own, so that one mistake does not hide the others; names are
//! looked up; then every backend is built by its factory from the rest of its
//! section. Every error names file, line and column and never repeats a value
//! that could be a credential.

pub mod env;
pub mod example;
pub mod explain;
mod file;
pub mod locate;
mod policy;
pub mod problem;
mod queries;
mod read;
mod resolve;
mod service;
pub mod suggest;
mod written;

use std::{path::PathBuf, sync::Arc};

pub use crate::config::{
    explain::{Origin, Setting},
    locate::{Found, locate},
    problem::{Problem, Problems},
    read::{read, read_text},
};
use crate::{
    backend::Backend,
    domain::{catalog::Catalog, text::Clean},
    engine::clear::Mode,
};

/// The configuration in force.
pub struct Config {
    /// What there is, for the engine.
    pub catalog: Arc<Catalog>,
    /// The backends, built and not yet connected.
    pub backends: Vec<Backend>,
    /// What is let through at most. [`Mode::ReadOnly`] binds cockpit and commands.
    pub mode: Mode,
    /// Where the ledger is, if not in the usual place.
    pub ledger: Option<PathBuf>,
    /// How the cockpit looks.
    pub ui: Ui,
    /// Every value with where it comes from.
    pub settings: Vec<Setting>,
    /// What works and is worth a look.
    pub remarks: Vec<Clean>,
}

/// How the cockpit looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ui {
    /// Its colours.
    pub theme: Theme,
    /// Only ASCII signs.
    pub ascii: bool,
}

/// Colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Theme {
    /// For dark terminals.
    #[default]
    Dark,
    /// For light terminals.
    Light,
    /// Few, strong colours.
    Contrast,
    /// Told apart without red and green.
    ColourBlind,
    /// No colours.
    Mono,
}

impl Theme {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Dark,
        Self::Light,
        Self::Contrast,
        Self::ColourBlind,
        Self::Mono,
    ];

    /// Its name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dark => "dark",
            Self::Light => "light",
            Self::Contrast => "contrast",
            Self::ColourBlind => "colour-blind",
            Self::Mono => "mono",
        }
    }
}

/// What the configuration is read with.
#[derive(Clone)]
pub struct Surroundings {
    /// The clock.
    pub now: crate::backend::Now,
    /// Reads one environment variable.
    pub env: crate::backend::Env,
}
