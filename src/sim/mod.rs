//! The demo's outside world: loopback servers that speak the real APIs of
//! GitHub, MLflow, Prometheus and Kubernetes.
//!
//! A [`scenario`] says what happens; [`Sim`] plays it. The rest of the program
//! meets this world through its ordinary adapters and nothing else: no module
//! of the crate is used here, and only the command line uses this. Time is
//! handed in as a [`clock::Clock`], whose speed divides durations and never
//! stamps.

pub mod clock;
pub mod kubernetes;
pub mod scenario;

mod cause;
mod causes;
mod digest;
mod director;
mod endpoints;
mod error;
mod github;
mod http;
mod mlflow;
mod prometheus;
mod serve;
mod start;
#[cfg(test)]
mod stories;
#[cfg(test)]
mod tests;

use std::{fmt, path::Path};

pub use endpoints::{
    Endpoints, GitHubEndpoint, KubernetesEndpoint, MlFlowEndpoint, PrometheusEndpoint,
};
pub use error::SimError;

use endpoints::{TOKEN_FILES, kubeconfig, write};
use start::World;

/// A running world.
///
/// Its servers end when it is dropped or [`Sim::stop`]ped.
pub struct Sim {
    world: World,
}

impl fmt::Debug for Sim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sim")
            .field("scenario", &self.world.scenario)
            .finish_non_exhaustive()
    }
}

impl Sim {
    /// Starts the servers of a scenario on free loopback ports.
    ///
    /// The hour before the start is played at once, so that clients find a
    /// world with a past; then the script goes on by itself.
    ///
    /// # Errors
    /// A port cannot be taken, or the scenario holds an object the cluster
    /// refuses.
    pub async fn start(
        scenario: &scenario::Scenario,
        clock: clock::Clock,
    ) -> Result<Self, SimError> {
        Ok(Self {
            world: start::start(scenario, clock).await?,
        })
    }

    /// Addresses, tokens and names for clients.
    pub fn endpoints(&self) -> &Endpoints {
        &self.world.endpoints
    }

    /// The configuration to open the cockpit with, whose credentials lie in `dir`.
    ///
    /// Cadences and windows in it are divided by the speed.
    pub fn config_toml(&self, dir: &Path) -> String {
        self.world.config_toml(dir)
    }

    /// The kubeconfig of the person the demo is opened as.
    pub fn kubeconfig(&self) -> String {
        kubeconfig(&self.world.endpoints.kubernetes, &self.world.login)
    }

    /// Writes `config.toml`, `kubeconfig`, `endpoints.json` and the token files into a folder.
    ///
    /// # Errors
    /// The folder does not exist or a file in it cannot be written.
    pub fn write(&self, dir: &Path) -> Result<(), SimError> {
        for (name, token) in TOKEN_FILES.iter().zip(self.world.endpoints.tokens()) {
            write(dir, name, token)?;
        }
        write(dir, "kubeconfig", &self.kubeconfig())?;
        write(dir, "config.toml", &self.config_toml(dir))?;
        write(dir, "endpoints.json", &self.world.endpoints.json())?;
        Ok(())
    }

    /// What clients changed on GitHub and in the registry, oldest first, for
    /// tests that count what was sent.
    pub fn acts(&self) -> Vec<String> {
        self.world.acts()
    }

    /// The cluster behind the Kubernetes server, for tests that break it or
    /// count what reached it.
    pub fn cluster(&self) -> &kubernetes::Cluster {
        &self.world.cluster
    }

    /// Ends the servers and the script, and waits until they are gone.
    pub async fn stop(self) {
        self.world.stop().await;
    }
}
