//! Why the demo's world cannot be started.

use std::{io, path::PathBuf};

use super::scenario::ScenarioError;

/// What went wrong while starting or writing a world.
#[derive(Debug, thiserror::Error)]
pub enum SimError {
    /// The scenario cannot be played.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// No loopback port could be taken.
    #[error("cannot serve the demo's `{backend}` on 127.0.0.1")]
    Bind {
        /// Which server.
        backend: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The cluster refused an object of the scenario.
    #[error("the demo's cluster refuses {object}: {why}")]
    Object {
        /// Kind, namespace and name.
        object: String,
        /// The cluster's sentence.
        why: String,
    },
    /// The scenario's configuration is not valid once it is filled in.
    #[error("the configuration of scenario `{scenario}` is not TOML: {why}")]
    Config {
        /// Name of the scenario.
        scenario: String,
        /// The reader's sentence.
        why: String,
    },
    /// A file for clients could not be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}
