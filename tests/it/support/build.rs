//! Facts and worlds in few words, for tests of the engine.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use gonogo::{
    domain::{
        Timestamp,
        approval::PendingApproval,
        catalog::{
            BackendSpec, Catalog, EnvironmentSpec, MetricSpec, ModelSpec, PlaceSpec, ServiceSpec,
        },
        id::{
            ApprovalId, BackendId, EnvironmentName, GateId, JobId, MetricName, ModelId, PipelineId,
            PolicyName, RunId, ServiceName, TargetId, TargetKind, Version,
        },
        measure::{Arm, Measure, MetricId, Sample, Window, Windows},
        model::{Dataset, ModelRun, ModelRunStatus, ModelVersion, RegisteredModel, VersionStatus},
        observation::{Basis, Batch, Fact, Observation, Scope},
        pipeline::{Job, Outcome, Run, RunStatus, Stage},
        policy::{Better, GateRule, GateSource, Limit, Policy},
        quantity::Weight,
        rollout::{
            AnalysisPhase, BlueGreen, Image, Pause, PauseReason, PodCounts, Promotion, Revision,
            Role, Rollout, RolloutPhase, RolloutStep, Strategy, Substate, SwitchAnalysis,
        },
        text::Clean,
    },
    engine::{
        reduce::{reduce, settle},
        world::{LaneId, World},
    },
};

/// Seconds after an arbitrary start.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_timestamp(1_780_000_000 + seconds, 0).unwrap()
}

pub(crate) fn backend(name: &str) -> BackendId {
    BackendId::new(name)
}

pub(crate) fn pipeline() -> PipelineId {
    PipelineId {
        backend: backend("gh"),
        repo: "acme/recsys".into(),
        workflow: "ml-cicd.yml".into(),
    }
}

pub(crate) fn model() -> ModelId {
    ModelId {
        backend: backend("mlflow"),
        name: "ranker".into(),
    }
}

pub(crate) fn target() -> TargetId {
    TargetId {
        backend: backend("prod"),
        kind: TargetKind::Rollout,
        namespace: "recsys".into(),
        name: "ranker".into(),
    }
}

pub(crate) fn lane() -> LaneId {
    (
        ServiceName::new("recsys-ranker"),
        EnvironmentName::new("prod-eu"),
    )
}

/// A gate on a canary metric that must stay at or below `above`.
pub(crate) fn latency_gate(above: f64) -> GateRule {
    GateRule {
        id: GateId::new("latency"),
        class: 'L',
        required: true,
        source: GateSource::Metric(MetricName::new("latency_p95")),
        better: Better::Lower,
        fail: Limit {
            below: None,
            above: Some(above),
        },
        warn: Limit::default(),
        versus: None,
        unit: "ms".into(),
        breaches: None,
        min_traffic: None,
        max_age: None,
        bind: Vec::new(),
    }
}

/// A gate on a metric of the model version's run that must reach `below`.
pub(crate) fn accuracy_gate(below: f64) -> GateRule {
    GateRule {
        id: GateId::new("accuracy"),
        class: 'A',
        source: GateSource::ModelMetric("accuracy".into()),
        better: Better::Higher,
        fail: Limit {
            below: Some(below),
            above: None,
        },
        unit: "".into(),
        ..latency_gate(0.0)
    }
}

/// One service with one place, one model, one metric, and these gates.
pub(crate) fn catalog(gates: Vec<GateRule>) -> Catalog {
    let (service, environment) = lane();
    let policy = Policy {
        name: PolicyName::new("prod-high"),
        digest: "sha256:policy".into(),
        override_allowed: false,
        gates,
    };
    let metric = MetricSpec {
        id: metric(),
        backend: backend("prom"),
        canary: "canary_query".into(),
        stable: Some("stable_query".into()),
        traffic: Some("traffic_query".into()),
        unit: "ms".into(),
        aggregate: None,
        range: Duration::from_secs(900),
        window: Duration::from_secs(60),
        looks_back: Duration::from_secs(60),
    };
    let spec = ServiceSpec {
        name: service.clone(),
        run: Some(pipeline()),
        branch: Some("main".into()),
        stages: Vec::new(),
        model: Some(ModelSpec {
            model: model(),
            champion: "champion".into(),
        }),
        places: vec![PlaceSpec {
            environment: environment.clone(),
            target: target(),
            container: None,
        }],
        policy: policy.name.clone(),
        metrics: vec![metric],
        model_from_alias: false,
        mappings: Vec::new(),
    };
    let kinds = [
        ("gh", "github_actions"),
        ("mlflow", "mlflow"),
        ("prod", "kubernetes"),
        ("prom", "prometheus"),
    ];
    let backends = kinds
        .into_iter()
        .map(|(id, kind)| {
            (
                backend(id),
                BackendSpec {
                    kind,
                    cadence: Duration::from_secs(10),
                },
            )
        })
        .collect();
    Catalog {
        digest: "sha256:config".into(),
        services: BTreeMap::from([(service, spec)]),
        environments: BTreeMap::from([(
            environment,
            EnvironmentSpec {
                backend: backend("prod"),
                critical: false,
                read_only: false,
            },
        )]),
        policies: BTreeMap::from([(policy.name.clone(), Arc::new(policy))]),
        backends,
    }
}

pub(crate) fn metric() -> MetricId {
    let (service, environment) = lane();
    MetricId {
        service,
        environment,
        metric: MetricName::new("latency_p95"),
    }
}

/// A successful run of `sha`, made `made` seconds after the start.
pub(crate) fn run(id: u64, sha: &str, made: i64) -> Run {
    Run {
        id: RunId {
            backend: backend("gh"),
            repo: "acme/recsys".into(),
            id,
        },
        pipeline: pipeline(),
        number: id,
        attempt: 1,
        title: "a change".into(),
        branch: "main".into(),
        head_sha: Clean::name(sha),
        event: "push".into(),
        actor: "mk".into(),
        status: RunStatus::ended(Outcome::Succeeded),
        url: Clean::line(&format!(
            "https://github.example/acme/recsys/actions/runs/{id}"
        )),
        created_at: Some(at(made)),
        started_at: Some(at(made)),
        updated_at: Some(at(made + 60)),
        models: Vec::new(),
    }
}

pub(crate) fn job(of: &Run, id: u64, name: &str, status: RunStatus) -> Job {
    Job {
        id: JobId {
            run: of.id.clone(),
            id,
        },
        attempt: of.attempt,
        name: Clean::name(name),
        stage: Stage::guess(name),
        status,
        runner: None,
        started_at: of.started_at,
        ended_at: of.updated_at,
        url: "".into(),
        steps: Vec::new(),
    }
}

pub(crate) fn approval(of: &Run, environment: &str) -> PendingApproval {
    PendingApproval {
        id: ApprovalId {
            run: of.id.clone(),
            environment: 7,
        },
        attempt: of.attempt,
        head_sha: of.head_sha.clone(),
        environment: Clean::name(environment),
        may_approve: Some(true),
        reviewers: vec!["ana".into()],
        timer_ends_at: None,
        url: "".into(),
    }
}

pub(crate) fn aliases(of: &[(&str, u64)]) -> RegisteredModel {
    RegisteredModel {
        id: model(),
        aliases: of
            .iter()
            .map(|(alias, version)| (Clean::name(alias), Version(*version)))
            .collect(),
        url: None,
    }
}

pub(crate) fn version(number: u64, tags: &[(&str, &str)]) -> ModelVersion {
    ModelVersion {
        model: model(),
        version: Version(number),
        status: VersionStatus::Ready,
        run_id: Some("r".into()),
        source: "".into(),
        created_at: Some(at(0)),
        tags: tags
            .iter()
            .map(|(key, value)| (Clean::name(key), Clean::name(value)))
            .collect(),
    }
}

pub(crate) fn model_run(number: u64, metrics: &[(&str, f64)]) -> ModelRun {
    ModelRun {
        model: model(),
        version: Version(number),
        run_id: "r".into(),
        status: ModelRunStatus::Finished,
        started_at: Some(at(0)),
        ended_at: Some(at(10)),
        metrics: metrics
            .iter()
            .map(|(key, value)| (Clean::name(key), *value))
            .collect(),
        metric_times: BTreeMap::new(),
        tags: BTreeMap::new(),
        datasets: vec![Dataset {
            name: "holdout".into(),
            digest: "aabbccdd".into(),
            context: Some("eval".into()),
        }],
    }
}

pub(crate) fn revision(number: u64, hash: &str, image: &str, role: Role) -> Revision {
    Revision {
        number,
        earlier: Vec::new(),
        hash: Clean::name(hash),
        name: Clean::name(&format!("ranker-{hash}")),
        images: vec![Image::parse("app", image)],
        role,
        pods: PodCounts {
            desired: 3,
            ready: 3,
            available: 3,
        },
        kept_until: None,
        created_at: Some(at(i64::try_from(number).unwrap())),
    }
}

/// A canary at its first pause step: `canary` at 30 %, `stable` at the rest.
pub(crate) fn canary(canary: &str, stable: &str) -> Rollout {
    Rollout {
        phase: RolloutPhase::Paused,
        substate: Substate::PausedAtStep(None),
        message: "CanaryPauseStep".into(),
        pause: Some(Pause {
            reason: PauseReason::Step,
            since: Some(at(0)),
            ends_at: None,
        }),
        controller_paused: true,
        step: Some(1),
        current_hash: Some("new".into()),
        stable_hash: Some("old".into()),
        weight_wanted: Weight::percent(30),
        weight_actual: Weight::percent(30),
        images: vec![Image::parse("app", canary)],
        revisions: vec![
            revision(2, "new", canary, Role::Canary),
            revision(1, "old", stable, Role::Stable),
        ],
        ..live(stable)
    }
}

/// A preview that waits for its switch: `preview` is shown, users are on `stable`.
pub(crate) fn preview(preview: &str, stable: &str) -> Rollout {
    Rollout {
        strategy: Strategy::BlueGreen,
        blue_green: Some(BlueGreen {
            active_service: "ranker".into(),
            active: Some("old".into()),
            preview_service: Some("ranker-preview".into()),
            preview: Some("new".into()),
            promotion: Promotion::ByHand,
            preview_pods: None,
            before: None,
            after: None,
            keeps_old: Duration::from_secs(30),
            keeps_aborted: Some(Duration::from_secs(30)),
        }),
        message: "BlueGreenPause".into(),
        pause: Some(Pause {
            reason: PauseReason::BlueGreen,
            since: Some(at(0)),
            ends_at: None,
        }),
        step: None,
        steps: Vec::new(),
        weight_wanted: Weight::ZERO,
        weight_actual: Weight::ZERO,
        weight_is_pod_ratio: false,
        ..canary(preview, stable)
    }
}

/// The same after its switch: users are on `new`, the revision before is stable.
pub(crate) fn switched(new: &str, stable: &str) -> Rollout {
    let mut rollout = preview(new, stable);
    rollout.phase = RolloutPhase::Progressing;
    rollout.substate = Substate::Moving;
    rollout.message = "waiting for analysis to complete".into();
    rollout.pause = None;
    rollout.controller_paused = false;
    rollout.weight_wanted = Weight::FULL;
    rollout.weight_actual = Weight::FULL;
    if let Some(facts) = &mut rollout.blue_green {
        facts.active = Some("new".into());
    }
    rollout
}

/// An analysis around a switch that has come this far.
pub(crate) fn judged(template: &'static str, phase: Option<AnalysisPhase>) -> SwitchAnalysis {
    SwitchAnalysis {
        templates: vec![template.into()],
        phase,
        message: "".into(),
    }
}

/// Everything on `image`.
pub(crate) fn live(image: &str) -> Rollout {
    Rollout {
        id: target(),
        uid: "uid-1".into(),
        version: Some(100),
        observed: true,
        strategy: Strategy::Canary,
        blue_green: None,
        phase: RolloutPhase::Healthy,
        substate: Substate::FullyPromoted,
        message: "".into(),
        held: false,
        pause: None,
        controller_paused: false,
        aborted: None,
        promoting_full: false,
        step: Some(4),
        steps: vec![
            RolloutStep::SetWeight(Weight::percent(30)),
            RolloutStep::Pause(None),
            RolloutStep::SetWeight(Weight::percent(60)),
            RolloutStep::Pause(Some(Duration::from_secs(600))),
        ],
        current_hash: Some("old".into()),
        stable_hash: Some("old".into()),
        weight_wanted: Weight::FULL,
        weight_actual: Weight::FULL,
        weight_is_pod_ratio: true,
        weight_verified: None,
        pods: PodCounts {
            desired: 6,
            ready: 6,
            available: 6,
        },
        images: vec![Image::parse("app", image)],
        revisions: vec![revision(1, "old", image, Role::Stable)],
        analyses: Vec::new(),
        rollback_window: None,
        gitops: None,
        annotations: Vec::new(),
        created_at: Some(at(0)),
        changed_at: Some(at(0)),
        completed_at: None,
    }
}

pub(crate) fn measure(arm: Arm, sample: Sample, when: i64) -> Measure {
    Measure {
        metric: metric(),
        arm,
        sample,
        at: at(when),
        query: "q".into(),
        backend: backend("prom"),
    }
}

/// Minutes of one metric, the newest ending `end` seconds after the start: what
/// the canary came to in each, and the stable revision where it is compared.
pub(crate) fn minutes(end: i64, of: &[(Option<f64>, Option<f64>)]) -> Windows {
    let age = |index: usize| i64::try_from(of.len() - 1 - index).unwrap() * 60;
    let windows = of
        .iter()
        .enumerate()
        .map(|(index, (canary, stable))| Window {
            ends_at: at(end - age(index)),
            canary: *canary,
            stable: *stable,
            traffic: Some(1000.0),
        });
    Windows {
        metric: metric(),
        width: Duration::from_secs(60),
        windows: windows.collect(),
    }
}

/// A complete answer of `backend` about `part`, asked and answered at `when`.
pub(crate) fn answer(of: &str, part: &str, when: i64, facts: Vec<Fact>) -> Observation {
    Observation::Batch(Batch {
        scope: Scope::new(&backend(of), Clean::name(part)),
        complete: true,
        basis: Basis::Asked(at(when)),
        at: at(when),
        facts,
        gone: Vec::new(),
    })
}

/// A watch event.
pub(crate) fn event(of: &str, part: &str, when: i64, facts: Vec<Fact>) -> Observation {
    let Observation::Batch(batch) = answer(of, part, when, facts) else {
        unreachable!("an answer is a batch")
    };
    Observation::Batch(Batch {
        complete: false,
        basis: Basis::Told,
        ..batch
    })
}

pub(crate) fn runs(when: i64, of: &[&Run]) -> Observation {
    answer(
        "gh",
        "runs acme/recsys ml-cicd.yml",
        when,
        of.iter().map(|run| Fact::Run((*run).clone())).collect(),
    )
}

pub(crate) fn rollout(when: i64, of: Rollout) -> Observation {
    answer(
        "prod",
        "rollouts recsys",
        when,
        vec![Fact::Rollout(Box::new(of))],
    )
}

pub(crate) fn registry(
    when: i64,
    model: RegisteredModel,
    versions: Vec<ModelVersion>,
    model_runs: Vec<ModelRun>,
) -> Observation {
    let mut facts = vec![Fact::Model(model)];
    facts.extend(versions.into_iter().map(Fact::Version));
    facts.extend(model_runs.into_iter().map(Fact::ModelRun));
    answer("mlflow", "model ranker", when, facts)
}

/// The world after these observations, concluded at `now`.
pub(crate) fn world(catalog: Catalog, observations: &[Observation], now: i64) -> World {
    let mut world = World::default();
    reduce(&mut world, &Observation::Catalog(Arc::new(catalog)));
    for observation in observations {
        reduce(&mut world, observation);
        settle(&mut world, at(now));
    }
    settle(&mut world, at(now));
    world
}
