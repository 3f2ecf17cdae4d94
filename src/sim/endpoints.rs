//! Where the demo's servers are, and the files that tell clients so.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::SimError;

/// Addresses, tokens and names a client needs, one object for each server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Endpoints {
    /// Runs, jobs, approvals.
    pub github: GitHubEndpoint,
    /// Models, versions, aliases.
    pub mlflow: MlFlowEndpoint,
    /// Measurements.
    pub prometheus: PrometheusEndpoint,
    /// Rollouts and deployments.
    pub kubernetes: KubernetesEndpoint,
}

/// The GitHub server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GitHubEndpoint {
    /// Base of the REST API.
    pub url: String,
    /// Token of the person the demo is opened as.
    pub token: String,
    /// `owner/name`.
    pub repo: String,
    /// File name of the workflow.
    pub workflow: String,
    /// Newest run of it, as the demo starts.
    pub run_id: u64,
}

/// The MLflow server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MlFlowEndpoint {
    /// Tracking and registry URI.
    pub url: String,
    /// Bearer token.
    pub token: String,
    /// Registered model.
    pub model: String,
}

/// The Prometheus server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PrometheusEndpoint {
    /// Base of the API.
    pub url: String,
    /// Bearer token; requests without one are served too.
    pub token: String,
    /// A query that has an answer.
    pub query: String,
}

/// The Kubernetes API server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KubernetesEndpoint {
    /// Address of the API server.
    pub url: String,
    /// Bearer token.
    pub token: String,
    /// Namespace of the rollout.
    pub namespace: String,
    /// Name of the rollout.
    pub rollout: String,
}

/// Names of the token files, in the folder the configuration refers to.
pub(crate) const TOKEN_FILES: [&str; 3] = ["github.token", "mlflow.token", "prometheus.token"];

impl Endpoints {
    /// The text of `endpoints.json`.
    pub(crate) fn json(&self) -> String {
        let text = serde_json::to_string_pretty(self)
            .expect("a struct of texts and numbers is always JSON");
        format!("{text}\n")
    }

    /// The tokens in the order of [`TOKEN_FILES`].
    pub(crate) fn tokens(&self) -> [&str; 3] {
        [
            &self.github.token,
            &self.mlflow.token,
            &self.prometheus.token,
        ]
    }
}

/// The kubeconfig of the person the demo is opened as; its one context is `demo`.
pub(crate) fn kubeconfig(endpoint: &KubernetesEndpoint, user: &str) -> String {
    format!(
        "apiVersion: v1\n\
         kind: Config\n\
         current-context: demo\n\
         clusters:\n\
         - name: demo\n\
         \x20 cluster:\n\
         \x20   server: {}\n\
         contexts:\n\
         - name: demo\n\
         \x20 context:\n\
         \x20   cluster: demo\n\
         \x20   namespace: {}\n\
         \x20   user: {user}\n\
         users:\n\
         - name: {user}\n\
         \x20 user:\n\
         \x20   token: {}\n",
        endpoint.url, endpoint.namespace, endpoint.token
    )
}

/// Writes one file; what holds a credential only its owner may read.
pub(crate) fn write(dir: &Path, name: &str, text: &str) -> Result<PathBuf, SimError> {
    let path = dir.join(name);
    let failed = |source| SimError::Write {
        path: path.clone(),
        source,
    };
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
        options.mode(0o600);
        if path.exists() {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).map_err(failed)?;
        }
    }
    let mut file = options.open(&path).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    Ok(path)
}
