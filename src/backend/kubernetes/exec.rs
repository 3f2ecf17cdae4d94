//! Credential plugins of a kubeconfig (`users[].user.exec`).
//!
//! Run by us and not by the client library: it would run them on a runtime
//! thread without a time limit, let them read the terminal, and print their
//! output when they fail. Protocol: client.authentication.k8s.io/v1
//! <https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins>.

use std::time::Duration;

use kube::config::{AuthInfo, Cluster, ExecAuthCluster, ExecConfig, ExecInteractiveMode};
use serde::Deserialize;
use tokio::process::Command;

use crate::{
    backend::{
        BackendError, ErrorKind,
        secret::{command, redactor},
    },
    domain::{Timestamp, text::Clean},
};

/// The most a plugin may print, in bytes: a token, or a certificate and a key.
const MOST: u64 = 1024 * 1024;

#[derive(Deserialize)]
struct Credential {
    status: Option<Status>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    expiration_timestamp: Option<String>,
    token: Option<String>,
    client_certificate_data: Option<String>,
    client_key_data: Option<String>,
}

/// Runs the plugin `exec` and puts what it gives into `auth`. Returns when the
/// credential expires, if it says so.
///
/// # Errors
///
/// [`ErrorKind::Unauthenticated`] when there is no credential; the message never
/// holds the plugin's output.
pub(super) async fn authenticate(
    auth: &mut AuthInfo,
    exec: &ExecConfig,
    cluster: &Cluster,
    limit: Duration,
) -> Result<Option<Timestamp>, BackendError> {
    let program = exec.command.as_deref().unwrap_or_default();
    let trouble = |why: &str| {
        BackendError::new(
            ErrorKind::Unauthenticated,
            Clean::line(&format!("credential plugin `{program}`: {why}")),
        )
    };
    if exec.interactive_mode == Some(ExecInteractiveMode::Always) {
        return Err(trouble(
            "it insists on a terminal (interactiveMode: Always); sign in outside gonogo first",
        ));
    }
    let printed = output(exec, cluster, limit)
        .await
        .map_err(|why| match &exec.install_hint {
            Some(hint) => trouble(&format!("{why}; {hint}")),
            None => trouble(&why),
        })?;
    // Plugins print JSON, some of them YAML, which contains JSON.
    let credential: Credential = serde_saphyr::from_slice(&printed)
        .map_err(|_| trouble("what it prints is no credential"))?;
    let status = credential
        .status
        .ok_or_else(|| trouble("what it prints has no status"))?;
    for secret in [&status.token, &status.client_key_data]
        .into_iter()
        .flatten()
    {
        redactor::remember(secret);
    }
    let expires = match status.expiration_timestamp.as_deref() {
        Some(written) => Some(
            chrono::DateTime::parse_from_rfc3339(written)
                .map_err(|_| trouble("its expiration time cannot be read"))?
                .to_utc(),
        ),
        None => None,
    };
    if let Some(token) = status.token {
        auth.token = Some(token.into());
    } else if let (Some(certificate), Some(key)) =
        (status.client_certificate_data, status.client_key_data)
    {
        auth.client_certificate_data = Some(super::encode::base64(certificate.as_bytes()));
        auth.client_key_data = Some(super::encode::base64(key.as_bytes()).into());
    } else {
        return Err(trouble("it gives neither a token nor a certificate"));
    }
    Ok(expires)
}

/// What the plugin prints.
async fn output(exec: &ExecConfig, cluster: &Cluster, limit: Duration) -> Result<Vec<u8>, String> {
    let program = exec
        .command
        .as_deref()
        .ok_or("the kubeconfig names no command")?;
    let mut plugin = Command::new(program);
    plugin.args(exec.args.iter().flatten());
    command::without_our_secrets(&mut plugin);
    for entry in exec.env.iter().flatten() {
        if let (Some(name), Some(value)) = (entry.get("name"), entry.get("value")) {
            plugin.env(name, value);
        }
    }
    plugin.env("KUBERNETES_EXEC_INFO", info(exec, cluster)?);
    command::output(plugin, limit, MOST).await
}

fn info(exec: &ExecConfig, cluster: &Cluster) -> Result<String, String> {
    let mut spec = serde_json::json!({ "interactive": false });
    if exec.provide_cluster_info {
        let cluster = ExecAuthCluster::try_from(cluster)
            .map_err(|_| "the cluster's certificate authority cannot be read".to_owned())?;
        let cluster = serde_json::to_value(&cluster).map_err(|error| error.to_string())?;
        if let Some(spec) = spec.as_object_mut() {
            spec.insert("cluster".into(), cluster);
        }
    }
    let info = serde_json::json!({
        "apiVersion": exec.api_version,
        "kind": "ExecCredential",
        "spec": spec,
    });
    Ok(info.to_string())
}
