//! The names of the scopes that more than one side has to know.
//!
//! An adapter says which scope an answer speaks for, and the engine must know
//! which one would have spoken of a thing it knows nothing about. Scopes that
//! only their adapter cares for (permits, budgets, charts) are named there.

use crate::domain::{
    id::{BackendId, ModelId, PipelineId, RunId, TargetId, TargetKind, Version},
    measure::MetricId,
    observation::Scope,
    text::Clean,
};

impl Scope {
    fn line(backend: &BackendId, part: &str) -> Self {
        Self::new(backend, Clean::line(part))
    }

    /// The runs of a pipeline.
    pub fn runs(pipeline: &PipelineId) -> Self {
        let PipelineId { repo, workflow, .. } = pipeline;
        Self::line(&pipeline.backend, &format!("runs {repo} {workflow}"))
    }

    /// The jobs of a run's newest attempt.
    pub fn jobs(run: &RunId) -> Self {
        Self::line(&run.backend, &format!("jobs {}#{}", run.repo, run.id))
    }

    /// Whether this is a part of one run, whichever: `reviews acme/recsys#7`.
    pub fn is_of_run(&self, run: &RunId) -> bool {
        let name = format!("{}#{}", run.repo, run.id);
        self.backend == run.backend && self.part.split(' ').any(|word| word == name)
    }

    /// A registered model with its aliases and versions.
    pub fn model(model: &ModelId) -> Self {
        Self::new(&model.backend, Clean::from(format!("model {}", model.name)))
    }

    /// The training run of a version.
    pub fn model_run(model: &ModelId, version: Version) -> Self {
        Self::new(
            &model.backend,
            Clean::from(format!("model {} run {version}", model.name)),
        )
    }

    /// All rollouts (or all Deployments) of a target's namespace.
    pub fn rollouts(target: &TargetId) -> Self {
        let word = match target.kind {
            TargetKind::Rollout => "rollouts",
            TargetKind::Deployment => "deployments",
        };
        Self::line(&target.backend, &format!("{word} {}", target.namespace))
    }

    /// Whether this is about everything in a target's namespace.
    pub fn is_around(&self, target: &TargetId) -> bool {
        let rest = self.part.strip_suffix(target.namespace.as_str());
        self.backend == target.backend && rest.is_some_and(|rest| rest.ends_with(' '))
    }

    /// One of them, where it alone cannot be read.
    pub fn rollout(target: &TargetId) -> Self {
        let Self { backend, part } = Self::rollouts(target);
        Self::line(&backend, &format!("{part}/{}", target.name))
    }

    /// What tells the revisions of a target.
    pub fn revisions(target: &TargetId) -> Self {
        let word = match target.kind {
            TargetKind::Rollout => "replicasets",
            TargetKind::Deployment => "deployment replicasets",
        };
        Self::line(&target.backend, &format!("{word} {}", target.namespace))
    }

    /// The controller's analyses in a target's namespace.
    pub fn analyses(target: &TargetId) -> Self {
        Self::line(
            &target.backend,
            &format!("analysisruns {}", target.namespace),
        )
    }

    /// The stream that carries everything of a target's namespace, whatever its kind.
    pub fn namespace(target: &TargetId) -> Self {
        Self::line(&target.backend, &format!("rollouts {}", target.namespace))
    }

    /// The numbers of one metric.
    pub fn metric(backend: &BackendId, metric: &MetricId) -> Self {
        Self::new(
            backend,
            Clean::from(format!(
                "metric {}/{}/{}",
                metric.service, metric.environment, metric.metric
            )),
        )
    }

    /// The feed that carries the numbers of all metrics.
    pub fn metrics(backend: &BackendId) -> Self {
        Self::new(backend, "metrics")
    }
}
