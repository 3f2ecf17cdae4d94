//! Kubernetes: Argo Rollouts and plain Deployments of one context.
//!
//! One stream per namespace tells rollouts joined with their ReplicaSets and
//! AnalysisRuns; one more tells permissions and identity. Orders go out through
//! a client of their own that never repeats anything. What a Rollout's fields
//! mean is worked out as upstream's own client does it, in `phase`,
//! `weights` and `steps`. Blue-green and rare steps are read and shown;
//! Argo CD, Flagger and experiments are left out.
//!
//! API: `argoproj.io/v1alpha1` and `apps/v1`,
//! <https://kubernetes.io/docs/reference/using-api/api-concepts/>,
//! <https://argo-rollouts.readthedocs.io/en/stable/features/specification/>.

mod access;
mod act;
mod analysis;
mod blue_green;
mod client;
mod command;
mod deployments;
pub mod discover;
mod encode;
mod exec;
mod fault;
#[cfg(test)]
mod fixtures;
mod gitops;
mod kind;
mod kubeconfig;
mod lines;
mod objects;
mod patch;
mod permits;
mod phase;
mod probe;
mod proxy;
mod reflect;
mod rollouts;
mod settings;
mod steps;
mod trouble;
mod undo;
mod view;
mod watch;
mod weights;
mod wire;

use std::sync::Arc;

use serde::Deserialize;

use crate::{
    backend::{
        Backend, Controls, Factory, Feed, Setup,
        kubernetes::{
            act::Rollouts, client::Connection, permits::Standing, probe::Doctor,
            settings::Settings, watch::Namespace,
        },
    },
    domain::{id::BackendId, text::Clean},
};

/// Builds one backend per context.
pub struct Kubernetes;

impl Factory for Kubernetes {
    fn kind(&self) -> &'static str {
        "kubernetes"
    }

    fn example(&self) -> &'static str {
        r#"# [backend.prod]
# kind = "kubernetes"
# kubeconfig = "~/.kube/config"            # default: KUBECONFIG, else this file
# context = "prod-eu"                      # default: the current one of the file
# namespaces = ["recsys"]                  # watched besides those the services name
# cadence = "20s"                          # a calm server is heard from about this often
# timeout = "10s"                          # longest wait for one answer
# watch_timeout = "50s"                    # longest life of one watch
"#
    }

    fn build(
        &self,
        id: BackendId,
        section: toml::de::ValueDeserializer<'_>,
        setup: &Setup,
    ) -> Result<Backend, toml::de::Error> {
        let settings = Settings::deserialize(section)?;
        let targets = settings::targets(&setup.catalog, &id);
        let namespaces = settings::namespaces(&settings, &targets);
        let cadence = settings.cadence;
        let link = Arc::new(Connection::new(id.clone(), settings, setup));
        let watched: Vec<(Clean, bool)> = namespaces
            .iter()
            .map(|(name, deployments)| (name.clone(), !deployments.is_empty()))
            .collect();
        let mut feeds: Vec<Feed> = namespaces
            .into_iter()
            .map(|(name, deployments)| {
                let stream = Namespace::new(link.clone(), name, deployments, &targets);
                Feed::Stream(Box::new(stream))
            })
            .collect();
        feeds.push(Feed::Stream(Box::new(Standing::new(
            link.clone(),
            targets.clone(),
        ))));
        Ok(Backend {
            id,
            kind: self.kind(),
            cadence,
            feeds,
            controls: Controls {
                rollout: Some(Arc::new(Rollouts::new(link.clone()))),
                ..Controls::default()
            },
            logs: None,
            probe: Arc::new(Doctor::new(link, targets, watched)),
        })
    }
}
