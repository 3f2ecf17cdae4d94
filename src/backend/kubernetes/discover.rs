//! What a kubeconfig leads to, for a first configuration.
//!
//! Looks once and keeps nothing. Only the current context is asked what it
//! holds; the others are named.

use crate::{
    backend::{
        BackendError, Setup,
        kubernetes::{client::Connection, kubeconfig, settings::Settings},
    },
    domain::{id::BackendId, text::Clean},
};

/// Rollouts named at most; more are no first configuration any more.
const MOST: usize = 50;

/// What was found.
#[derive(Debug)]
pub struct Around {
    /// The contexts of the kubeconfig.
    pub contexts: Vec<Clean>,
    /// The current one.
    pub current: Option<Clean>,
    /// Namespace and name of every Rollout in it, or why they are not known.
    pub rollouts: Result<Vec<(Clean, Clean)>, BackendError>,
}

/// Reads the kubeconfig that kubectl would use and asks its current context for
/// Rollouts.
///
/// # Errors
///
/// There is no kubeconfig, or it cannot be read.
pub async fn look_around(setup: &Setup) -> Result<Around, BackendError> {
    let settings = Settings::default();
    let (contexts, current) = kubeconfig::contexts(&settings, &setup.base, &setup.env).await?;
    let connection = Connection::new(BackendId::new("cluster"), settings, setup);
    let path = format!("/apis/argoproj.io/v1alpha1/rollouts?limit={MOST}");
    let answer = connection.get(&path, "list rollouts").await;
    let rollouts = answer.map(|answer| {
        let items = answer.body.get("items").and_then(|items| items.as_array());
        let named = |item: &serde_json::Value| {
            let text = |key: &str| Some(Clean::name(item.pointer(key)?.as_str()?));
            Some((text("/metadata/namespace")?, text("/metadata/name")?))
        };
        items.into_iter().flatten().filter_map(named).collect()
    });
    Ok(Around {
        contexts,
        current,
        rollouts,
    })
}
