//! Kind `pipeline`: jobs of the release's run must have succeeded.

use crate::{
    domain::{
        Timestamp,
        observation::Scope,
        pipeline::{Job, Outcome, Phase, Run, RunStatus},
        policy::{Binding, GateRule, GateSource},
        quantity::counted,
        text::Clean,
        verdict::Verdict,
    },
    engine::{
        gate::{
            Gate, Judgement, View,
            front::{Covered, Evidence, Gathered, Producer, Value},
        },
        lane::Place,
        release::Link,
        standing::Asks,
        world::Known,
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
        let is_asked = !view.world.approvals_of(id).is_empty();
        let held_back = is_asked && all.iter().any(|job| job.status.phase == Phase::Waiting);
        let asked = |phase: &Phase| !(held_back && matches!(phase, Phase::Waiting | Phase::Queued));
        let mut jobs: Vec<_> = all
            .iter()
            .filter(|job| job.name.to_lowercase().contains(&wanted))
            .filter(|job| !wanted.is_empty() || asked(&job.status.phase))
            .map(|job| (job.name.clone(), job.status.clone()))
            .collect();
        if jobs.is_empty() && wanted.is_empty() && run.status.has_ended() {
            // An old run whose jobs were not read: its own status says it all.
            let itself = vec![("run".into(), run.status.clone())];
            let covered = coverage(&itself);
            return found(itself, covered, run.updated_at, producer, run, view);
        }
        if jobs.is_empty() {
            let none = match (&run.status.reason, wanted.is_empty()) {
                (Some(reason), _) if producer == Producer::AtWork => {
                    format!("run {id} {}: {reason}", run.status.word())
                }
                (_, true) => format!("run {id} has no jobs"),
                (_, false) => format!("no job `{pattern}` in run {id}"),
            };
            return Gathered::Nothing {
                why: Clean::from(none),
                producer,
                backend,
            };
        }
        let ended_at = all.iter().filter_map(|job| job.ended_at).max();
        let covered = coverage(&jobs);
        jobs.extend(ended_badly(&wanted, run, &jobs, &all, view));
        let goes_on = !run.status.has_ended() && jobs.iter().all(|(_, job)| job.has_ended());
        // A job is listed only once those before it have ended. Up to an approval
        // all are; without one in sight more of them may come.
        if wanted.is_empty() && goes_on && !is_asked {
            let status = run.status.clone();
            jobs.push((Clean::from(format!("run {}", run.number)), status));
        }
        found(
            jobs,
            covered,
            ended_at.or(run.updated_at),
            producer,
            run,
            view,
        )
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
        let named = |want: &dyn Fn(&RunStatus) -> bool| -> Vec<String> {
            jobs.iter()
                .filter(|(_, status)| want(status))
                .map(|(name, status)| said(name, status))
                .collect()
        };
        // A job that broke down measured nothing: that is no NO-GO.
        let failed =
            named(&|status| status.outcome == Some(Outcome::Failed) && !status.broke_down());
        let odd = named(&|status| {
            status.broke_down()
                || matches!(status.outcome, Some(Outcome::Unknown(_)))
                || matches!(status.phase, Phase::Unknown(_))
        });
        // These will say nothing any more, whatever the others are still about.
        let silent = named(&|status| {
            matches!(
                status.outcome,
                Some(Outcome::Cancelled | Outcome::Neutral) | None
            ) && status.has_ended()
        });
        let open = named(&|status| !status.has_ended());
        for (verdict, those) in [
            (Verdict::Fail, failed),
            (Verdict::Error, odd),
            (Verdict::Missing, silent),
            (Verdict::Pending, open),
        ] {
            if !those.is_empty() {
                return Judgement::plain(verdict, those.join(", "));
            }
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
        Judgement::plain(
            Verdict::Pass,
            format!("{} succeeded", counted(done, "job", "jobs")),
        )
    }
}

/// A job or run and how it stands, in few words.
fn said(name: &str, status: &RunStatus) -> String {
    let reason = status
        .reason
        .as_ref()
        .map_or_else(String::new, |reason| format!(" ({reason})"));
    format!("{name} {}{reason}", status.word())
}

/// The run itself, where it ended otherwise than well and no job asked about
/// says so. It counts for the run as a whole, and for any job as long as the
/// release is on its way: such a run brings it nowhere.
fn ended_badly(
    wanted: &str,
    run: &Run,
    asked: &[(Clean, RunStatus)],
    all: &[&Known<Job>],
    view: &View<'_>,
) -> Option<(Clean, RunStatus)> {
    let is_bad = |status: &RunStatus| {
        status.has_ended() && !matches!(status.outcome, Some(Outcome::Succeeded | Outcome::Skipped))
    };
    let on_its_way = matches!(view.lane.place, Place::RunFailed | Place::Rejected { .. });
    let counts = wanted.is_empty() || on_its_way;
    if !counts || !is_bad(&run.status) || asked.iter().any(|(_, status)| is_bad(status)) {
        return None;
    }
    let mut status = run.status.clone();
    let culprit = all.iter().find(|job| is_bad(&job.status));
    status.reason = match (&view.lane.place, culprit) {
        (Place::Rejected { by, .. }, _) => Some(Clean::from(format!("rejected by {by}"))),
        (_, Some(job)) => Some(Clean::from(said(&job.name, &job.status))),
        (_, None) => status.reason,
    };
    // Who reads that `tests` fails must not look for a failed test.
    let done = asked
        .iter()
        .filter(|(_, status)| status.has_succeeded())
        .count();
    let well = match asked {
        _ if wanted.is_empty() || done < asked.len() => String::new(),
        [(only, _)] => format!("{only} succeeded; "),
        _ => format!("all {done} jobs succeeded; "),
    };
    Some((Clean::from(format!("{well}run {}", run.number)), status))
}

/// Jobs that ran of those asked about: one that was skipped or cancelled checked
/// nothing; one that goes on may yet.
fn coverage(jobs: &[(Clean, RunStatus)]) -> Covered {
    let idle: Vec<String> = jobs
        .iter()
        .filter(|(_, status)| matches!(status.outcome, Some(Outcome::Skipped | Outcome::Cancelled)))
        .map(|(name, status)| said(name, status))
        .collect();
    Covered {
        done: (jobs.len() - idle.len()) as u64,
        of: jobs.len() as u64,
        what: ["job ran".into(), "jobs ran".into()],
        detail: Clean::from(idle.join(", ")),
    }
}

fn found(
    jobs: Vec<(Clean, RunStatus)>,
    covered: Covered,
    made_at: Option<Timestamp>,
    producer: Producer,
    run: &Known<Run>,
    view: &View<'_>,
) -> Gathered {
    Gathered::Found(Box::new(Evidence {
        value: Value::Jobs(jobs),
        baseline: None,
        about: vec![(Binding::Commit, run.head_sha.clone())],
        made_at,
        fetched_at: view.world.proved_at(run),
        default_max_age: None,
        changes_at: None,
        samples: Some(covered.of),
        covered: Some(covered),
        producer,
        backend: run.id.backend.clone(),
        url: Some(run.url.clone()),
    }))
}
