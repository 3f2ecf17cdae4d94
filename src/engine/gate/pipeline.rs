//! Kind `pipeline`: jobs of the release's run must have succeeded.

use crate::{
    domain::{
        observation::Scope,
        pipeline::{Outcome, Phase},
        policy::{Binding, GateRule, GateSource},
        text::Clean,
        verdict::Verdict,
    },
    engine::{
        gate::{
            Gate, Judgement, View,
            front::{Covered, Evidence, Gathered, Producer, Value},
        },
        release::Link,
        standing::Asks,
    },
};

pub(super) static GATE: Pipeline = Pipeline;

pub(super) struct Pipeline;

impl Gate for Pipeline {
    fn kind(&self) -> &'static str {
        "pipeline"
    }

    fn rule(&self, rule: &GateRule) -> Clean {
        match &rule.source {
            GateSource::Pipeline(pattern) if !pattern.is_empty() => {
                Clean::from(format!("jobs `{pattern}` succeed"))
            }
            _ => "the run succeeds".into(),
        }
    }

    fn gather(&self, rule: &GateRule, view: &View<'_>) -> Gathered {
        let GateSource::Pipeline(pattern) = &rule.source else {
            return Gathered::NotAsked("not a pipeline".into());
        };
        let backend = view.service.run.as_ref().map(|run| run.backend.clone());
        let id = match &view.release.run {
            Link::Found { value, .. } => value,
            Link::Ambiguous { .. } => {
                return Gathered::Broken {
                    why: "which run is ambiguous".into(),
                    backend,
                };
            }
            Link::Unlinked => {
                return Gathered::Nothing {
                    why: "no run is linked to this release".into(),
                    producer: Producer::None,
                    backend,
                };
            }
        };
        let Some(run) = view.world.runs.get(id) else {
            return Gathered::Nothing {
                why: Clean::from(format!("run {id} is no longer listed")),
                producer: Producer::None,
                backend,
            };
        };
        let producer = if run.status.has_ended() {
            Producer::Ended
        } else {
            Producer::AtWork
        };
        let wanted = pattern.to_lowercase();
        let all = view.world.jobs_of(id);
        // Jobs held back by a gate, and those queued behind it, are what the
        // gate's answer lets go: they are not asked about before it.
        let held_back = all.iter().any(|job| job.status.phase == Phase::Waiting);
        let asked = |phase: &Phase| !(held_back && matches!(phase, Phase::Waiting | Phase::Queued));
        let jobs: Vec<_> = all
            .iter()
            .filter(|job| job.name.to_lowercase().contains(&wanted))
            .filter(|job| !wanted.is_empty() || asked(&job.status.phase))
            .map(|job| (job.name.clone(), job.status.clone()))
            .collect();
        if jobs.is_empty() && wanted.is_empty() && run.status.has_ended() {
            // An old run whose jobs were not read: its own status says it all.
            return found(
                vec![("run".into(), run.status.clone())],
                run.updated_at,
                producer,
                run,
                view,
            );
        }
        if jobs.is_empty() {
            return Gathered::Nothing {
                why: Clean::from(format!("no job `{pattern}` in run {id}")),
                producer,
                backend,
            };
        }
        let ended_at = all.iter().filter_map(|job| job.ended_at).max();
        found(jobs, ended_at.or(run.updated_at), producer, run, view)
    }

    fn asks(&self, _rule: &GateRule, view: &View<'_>) -> Asks {
        let run = view.release.run.value();
        Asks {
            first: view.service.run.iter().map(Scope::runs).collect(),
            more: run.into_iter().map(Scope::jobs).collect(),
            feeds: Vec::new(),
        }
    }

    fn judge(&self, _rule: &GateRule, evidence: &Evidence) -> Judgement {
        let Value::Jobs(jobs) = &evidence.value else {
            return Judgement::plain(Verdict::Error, "no jobs");
        };
        let named = |want: &dyn Fn(&crate::domain::pipeline::RunStatus) -> bool| -> Vec<String> {
            jobs.iter()
                .filter(|(_, status)| want(status))
                .map(|(name, status)| format!("{name} {}", status.word()))
                .collect()
        };
        let failed = named(&|status| status.outcome == Some(Outcome::Failed));
        if !failed.is_empty() {
            return Judgement::plain(Verdict::Fail, failed.join(", "));
        }
        let odd = named(&|status| {
            matches!(status.outcome, Some(Outcome::Unknown(_)))
                || matches!(status.phase, Phase::Unknown(_))
        });
        if !odd.is_empty() {
            return Judgement::plain(Verdict::Error, odd.join(", "));
        }
        let open = named(&|status| !status.has_ended());
        if !open.is_empty() {
            return Judgement::plain(Verdict::Pending, open.join(", "));
        }
        let stopped = named(&|status| matches!(status.outcome, Some(Outcome::Cancelled)));
        if !stopped.is_empty() {
            return Judgement::plain(Verdict::Missing, stopped.join(", "));
        }
        let done = jobs
            .iter()
            .filter(|(_, status)| status.has_succeeded())
            .count();
        if done == 0 {
            return Judgement::plain(
                Verdict::Missing,
                "every job was skipped: nothing was checked",
            );
        }
        let remarks = named(&|status| status.flags.warn);
        if !remarks.is_empty() {
            return Judgement::plain(Verdict::Warn, remarks.join(", "));
        }
        let jobs_word = if done == 1 { "job" } else { "jobs" };
        Judgement::plain(Verdict::Pass, format!("{done} {jobs_word} succeeded"))
    }
}

fn found(
    jobs: Vec<(Clean, crate::domain::pipeline::RunStatus)>,
    made_at: Option<crate::domain::Timestamp>,
    producer: Producer,
    run: &crate::engine::world::Known<crate::domain::pipeline::Run>,
    view: &View<'_>,
) -> Gathered {
    let samples = u64::try_from(jobs.len()).ok();
    let jobs_asked = jobs.len();
    // A job that was skipped or cancelled checked nothing; one that goes on may yet.
    let ran = jobs
        .iter()
        .filter(|(_, status)| {
            !matches!(status.outcome, Some(Outcome::Skipped | Outcome::Cancelled))
        })
        .count();
    Gathered::Found(Box::new(Evidence {
        value: Value::Jobs(jobs),
        baseline: None,
        about: vec![(Binding::Commit, run.head_sha.clone())],
        made_at,
        fetched_at: view.world.proved_at(run),
        default_max_age: None,
        changes_at: None,
        samples,
        covered: Some(Covered {
            done: ran as u64,
            of: jobs_asked as u64,
            what: "jobs ran",
        }),
        producer,
        backend: run.id.backend.clone(),
        url: Some(run.url.clone()),
    }))
}
