//! The command to paste when nothing else is left.

use crate::{
    backend::kubernetes::{
        client::Patch,
        deployments,
        encode::shell,
        kind::{Family, Kind},
        patch::JSON_PATCH,
        rollouts,
        settings::Settings,
    },
    domain::{
        action::{RolloutAction, RolloutOrder},
        id::TargetKind,
    },
};

/// A `kubectl` command that does by hand what `patch` does.
pub(super) fn by_hand(settings: &Settings, order: &RolloutOrder, patch: &Patch) -> String {
    let target = &order.target;
    let resource = match Family::from(target.kind).primary() {
        Kind::Rollouts => "rollouts.argoproj.io",
        other => other.plural(),
    };
    let kubectl = kubectl(settings, &target.namespace);
    let name = shell(&target.name);
    if let RolloutAction::Undo { hash } = &order.action {
        let label = match target.kind {
            TargetKind::Rollout => rollouts::HASH,
            TargetKind::Deployment => deployments::HASH,
        };
        let filter = format!(
            "[{{op:\"replace\",path:\"/spec/template\",value:(.items[0].spec.template|\
             del(.metadata.labels[\"{label}\"]))}}]"
        );
        return format!(
            "{kubectl} get replicasets -l {} -o json | jq -c {} | \
             {kubectl} patch {resource} {name} --type=json --patch-file=/dev/stdin",
            shell(&format!("{label}={hash}")),
            shell(&filter),
        );
    }
    let part = if patch.path.contains("/status?") {
        " --subresource=status"
    } else {
        ""
    };
    let kind = if patch.content_type == JSON_PATCH {
        "json"
    } else {
        "merge"
    };
    let body = shell(&patch.body.to_string());
    format!("{kubectl} patch {resource} {name}{part} --type={kind} -p {body}")
}

fn kubectl(settings: &Settings, namespace: &str) -> String {
    let mut words = "kubectl".to_owned();
    if let Some(path) = &settings.kubeconfig {
        words.push_str(" --kubeconfig ");
        words.push_str(&shell(&path.display().to_string()));
    }
    if let Some(context) = &settings.context {
        words.push_str(" --context ");
        words.push_str(&shell(context));
    }
    format!("{words} -n {}", shell(namespace))
}
