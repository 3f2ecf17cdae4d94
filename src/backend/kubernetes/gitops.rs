//! Who writes an object's spec from outside and would undo a change to it.

use crate::{
    backend::kubernetes::wire::Meta,
    domain::{rollout::GitOps, text::Clean},
};

/// The owner outside the cluster, by the strongest sign there is.
///
/// The label `app.kubernetes.io/instance` alone proves nothing: Argo CD can
/// track by it, and so does every plain Helm chart.
pub(super) fn owner(meta: &Meta) -> Option<GitOps> {
    let annotation = |key: &str| meta.annotations.get(key).map(String::as_str);
    let label = |key: &str| meta.labels.get(key).map(String::as_str);
    let managed_by = |name: &str| {
        meta.managed_fields
            .iter()
            .any(|entry| entry.manager == name)
    };
    let found = |tool: &'static str, owner: &str, evidence: String| {
        Some(GitOps {
            tool: tool.into(),
            owner: Clean::name(owner),
            evidence: Clean::line(&evidence),
        })
    };
    if let Some(id) = annotation("argocd.argoproj.io/tracking-id") {
        let application = id.split(':').next().unwrap_or_default();
        return found(
            "Argo CD",
            application,
            "annotation argocd.argoproj.io/tracking-id".into(),
        );
    }
    if let Some(application) = label("argocd.argoproj.io/instance") {
        return found(
            "Argo CD",
            application,
            "label argocd.argoproj.io/instance".into(),
        );
    }
    for (controller, prefix) in [
        ("kustomize-controller", "kustomize.toolkit.fluxcd.io"),
        ("helm-controller", "helm.toolkit.fluxcd.io"),
    ] {
        if let Some(name) = label(&format!("{prefix}/name")) {
            let namespace = label(&format!("{prefix}/namespace")).unwrap_or_default();
            return found(
                "Flux",
                &format!("{namespace}/{name}"),
                format!("label {prefix}/name"),
            );
        }
        if managed_by(controller) {
            return found("Flux", "", format!("field manager {controller}"));
        }
    }
    if managed_by("argocd-controller") {
        let application = label("app.kubernetes.io/instance").unwrap_or_default();
        return found(
            "Argo CD",
            application,
            "field manager argocd-controller".into(),
        );
    }
    if let Some(release) = annotation("meta.helm.sh/release-name") {
        return found(
            "Helm",
            release,
            "annotation meta.helm.sh/release-name".into(),
        );
    }
    None
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[track_caller]
    fn check(meta: Value, expected: Option<(&str, &str)>) {
        let meta: Meta = serde_json::from_value(meta).unwrap();
        let found = owner(&meta);
        let found = found
            .as_ref()
            .map(|owner| (owner.tool.as_str(), owner.owner.as_str()));
        assert_eq!(found, expected);
    }

    #[test]
    fn cluster_trap_6_who_would_revert_a_spec_change_is_named() {
        check(
            json!({"annotations": {"argocd.argoproj.io/tracking-id": "recsys-prod:argoproj.io/Rollout:recsys/ranker"}}),
            Some(("Argo CD", "recsys-prod")),
        );
        check(
            json!({"labels": {"kustomize.toolkit.fluxcd.io/name": "apps", "kustomize.toolkit.fluxcd.io/namespace": "flux-system"}}),
            Some(("Flux", "flux-system/apps")),
        );
        check(
            json!({"managedFields": [{"manager": "kubectl"}, {"manager": "argocd-controller"}], "labels": {"app.kubernetes.io/instance": "ranker"}}),
            Some(("Argo CD", "ranker")),
        );
        check(
            json!({"annotations": {"meta.helm.sh/release-name": "ranker"}, "labels": {"app.kubernetes.io/instance": "ranker"}}),
            Some(("Helm", "ranker")),
        );
        check(
            json!({"labels": {"app.kubernetes.io/instance": "ranker"}}),
            None,
        );
        check(json!({}), None);
    }
}
