//! What a rollout must have before the controller touches it.

use serde_json::Value;

use crate::sim::kubernetes::resource::{Key, Resource};
use crate::sim::kubernetes::rollout::Pass;
use crate::sim::kubernetes::rollout::weights::portion;
use crate::sim::kubernetes::selector::Selector;
use crate::sim::kubernetes::value::{Fields, members};

impl Pass<'_, '_> {
    /// What is wrong with the spec, in the words of the controller.
    pub(super) fn complaint(&self) -> Option<String> {
        self.complaint_about_workload()
            .or_else(|| self.complaint_about_strategy())
            .or_else(|| self.complaint_about_sizes())
            .or_else(|| self.complaint_about_steps())
            .or_else(|| self.complaint_about_services())
    }

    fn complaint_about_workload(&self) -> Option<String> {
        let reference = self.rollout.at("/spec/workloadRef");
        if reference.is_object() && self.template.is_null() {
            let name = reference.text("/name");
            return Some(format!(
                "spec.workloadRef.name: Invalid value: \"{name}\": {} \"{name}\" not found",
                reference.text("/kind").to_lowercase()
            ));
        }
        let selector = self.rollout.at("/spec/selector");
        if members(selector).next().is_none() {
            return Some(
                "spec.selector: Required value: Rollout has missing field '.spec.selector'".into(),
            );
        }
        let template = serde_json::json!({"metadata": self.template.at("/metadata")});
        if !Selector::of_workload(selector).matches(&template) {
            return Some(
                "spec.template.metadata.labels: Invalid value: `selector` does not match template `labels`"
                    .into(),
            );
        }
        None
    }

    fn complaint_about_strategy(&self) -> Option<String> {
        let strategy = self.rollout.at("/spec/strategy");
        match (strategy.get("canary").is_some(), strategy.get("blueGreen").is_some()) {
            (true, true) => Some(
                "spec.strategy.strategy: Invalid value: Multiple Strategies can not be listed"
                    .into(),
            ),
            (false, false) => Some(
                "spec.strategy.strategy: Required value: Rollout has missing field '.spec.strategy.canary or .spec.strategy.blueGreen'"
                    .into(),
            ),
            _ => None,
        }
    }

    fn complaint_about_sizes(&self) -> Option<String> {
        let canary = self.rollout.at("/spec/strategy/canary");
        let is_zero = |field: &str| {
            canary
                .get(field)
                .and_then(|written| portion(written, 100, true))
                == Some(0)
        };
        (is_zero("maxSurge") && is_zero("maxUnavailable")).then(|| {
            "spec.strategy.maxSurge: Invalid value: 0: MaxSurge and MaxUnavailable both can not be zero"
                .into()
        })
    }

    fn complaint_about_steps(&self) -> Option<String> {
        for (at, step) in self.steps().iter().enumerate() {
            let path = format!("spec.strategy.canary.steps[{at}]");
            if members(step).count() != 1 {
                return Some(format!(
                    "{path}.steps[{at}]: Invalid value: Step must have one of the following set: experiment, setWeight, setCanaryScale, plugin, or pause"
                ));
            }
            let weight = step.number("/setWeight");
            if weight.is_some_and(|weight| weight < 0 || weight > self.max_weight()) {
                return Some(format!(
                    "{path}.setWeight: Invalid value: {}: SetWeight needs to be between 0 and {}",
                    weight.unwrap_or(0),
                    self.max_weight()
                ));
            }
            let pause = step.at("/pause/duration");
            if !pause.is_null() && crate::sim::kubernetes::duration::read(pause).is_none() {
                return Some(format!(
                    "{path}.pause.duration: Invalid value: {pause}: Duration needs to be greater than 0"
                ));
            }
            let missing = self.missing_template(step.at("/analysis"));
            if let Some(name) = missing {
                return Some(format!(
                    "{path}.analysis.templates: Invalid value: \"{name}\": AnalysisTemplate '{name}' not found"
                ));
            }
        }
        [
            "canary/analysis",
            "blueGreen/prePromotionAnalysis",
            "blueGreen/postPromotionAnalysis",
        ]
        .into_iter()
        .find_map(|place| {
            let analysis = self.rollout.at(&format!("/spec/strategy/{place}"));
            let name = self.missing_template(analysis)?;
            Some(format!(
                "spec.strategy.{}.templates: Invalid value: \"{name}\": AnalysisTemplate '{name}' not found",
                place.replace('/', ".")
            ))
        })
    }

    fn missing_template(&self, analysis: &Value) -> Option<String> {
        analysis
            .items("/templates")
            .iter()
            .find(|reference| self.analysis_template(reference).is_none())
            .map(|reference| reference.text("/templateName").to_owned())
    }

    fn complaint_about_services(&self) -> Option<String> {
        let resource = Resource::by_kind("Service")?;
        [
            ("canary", "canaryService"),
            ("canary", "stableService"),
            ("blueGreen", "activeService"),
            ("blueGreen", "previewService"),
        ]
        .into_iter()
        .find_map(|(strategy, field)| {
            let name = self.rollout.text(&format!("/spec/strategy/{strategy}/{field}"));
            let key = Key::new(resource, &self.key.namespace, name);
            (!name.is_empty() && self.world.store.get(&key).is_none()).then(|| {
                format!(
                    "spec.strategy.{strategy}.{field}: Invalid value: \"{name}\": service \"{name}\" not found"
                )
            })
        })
    }
}
