//! The section of the configuration, as written, and what follows from it.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    time::Duration,
};

use serde::Deserialize;

use crate::{
    backend::settings::duration,
    domain::{
        catalog::Catalog,
        id::{BackendId, TargetId, TargetKind},
        text::Clean,
    },
};

/// One `[backend.…]` section of kind `kubernetes`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Settings {
    /// The kubeconfig; absent = `KUBECONFIG`, else `~/.kube/config`.
    pub(super) kubeconfig: Option<PathBuf>,
    /// The context in it; absent = its current one.
    pub(super) context: Option<String>,
    /// Namespaces to watch besides those the services name.
    pub(super) namespaces: Vec<String>,
    /// How often the server is heard from at least when all is calm.
    #[serde(deserialize_with = "duration")]
    pub(super) cadence: Duration,
    /// Longest wait for one answer.
    #[serde(deserialize_with = "duration")]
    pub(super) timeout: Duration,
    /// Longest life of one watch; a dead link is noticed soon after.
    #[serde(deserialize_with = "duration")]
    pub(super) watch_timeout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            kubeconfig: None,
            context: None,
            namespaces: Vec::new(),
            cadence: Duration::from_secs(20),
            timeout: Duration::from_secs(10),
            watch_timeout: Duration::from_secs(50),
        }
    }
}

/// The targets the services have on this backend.
pub(super) fn targets(catalog: &Catalog, backend: &BackendId) -> BTreeSet<TargetId> {
    catalog
        .services
        .values()
        .flat_map(|service| &service.places)
        .map(|place| &place.target)
        .filter(|target| target.backend == *backend)
        .cloned()
        .collect()
}

/// The namespaces to watch, each with the Deployments that are looked at in it.
/// Rollouts are few and all are looked at; Deployments are everywhere, so only
/// those that a service names are.
pub(super) fn namespaces(
    settings: &Settings,
    targets: &BTreeSet<TargetId>,
) -> BTreeMap<Clean, BTreeSet<Clean>> {
    let mut watched: BTreeMap<Clean, BTreeSet<Clean>> = settings
        .namespaces
        .iter()
        .map(|name| (Clean::name(name), BTreeSet::new()))
        .collect();
    for target in targets {
        let deployments = watched.entry(target.namespace.clone()).or_default();
        if target.kind == TargetKind::Deployment {
            deployments.insert(target.name.clone());
        }
    }
    watched
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_key_is_refused_with_the_names_there_are() {
        let error = toml::from_str::<Settings>("contxt = \"prod\"").unwrap_err();
        assert!(error.message().contains("contxt"), "{error}");
        assert!(error.message().contains("context"), "{error}");
        assert_eq!(error.span(), Some(0..6));
    }

    #[test]
    fn what_is_not_written_has_its_default() {
        let settings: Settings = toml::from_str("timeout = \"250ms\"").unwrap();
        assert_eq!(settings.timeout, Duration::from_millis(250));
        assert_eq!(settings.watch_timeout, Duration::from_secs(50));
        assert!(toml::from_str::<Settings>("timeout = \"0s\"").is_err());
    }
}
