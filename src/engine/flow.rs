//! A release as one line: commit, tests, train, eval, gates, build, staging,
//! approve, rollout, live.

use std::time::Duration;

use crate::{
    domain::{
        Timestamp,
        approval::Answer,
        id::ReleaseId,
        pipeline::{Job, Outcome, Phase, Stage},
        rollout::Rollout,
        text::Clean,
        verdict::{Verdict, Word},
    },
    engine::{
        lane::{Lane, Place, approvals_for, stands_before},
        release::Release,
        world::{Known, World},
    },
};

/// Where a stage of the flow stands; screens have one sign for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FlowState {
    /// Done.
    Done,
    /// Done, with a remark.
    Warned,
    /// Bad.
    Failed,
    /// At work.
    Running,
    /// Waits for a machine, a rule or a timer.
    Queued,
    /// Waits for a person.
    AsksPerson,
    /// Held by a person.
    Held,
    /// Taken back.
    RolledBack,
    /// Left out or cancelled.
    Skipped,
    /// Not begun.
    NotYet,
    /// Cannot be told.
    Unknown,
}

/// One stage of the flow.
#[derive(Clone, Debug, PartialEq)]
pub struct FlowStage {
    /// Its name.
    pub name: &'static str,
    /// Where it stands.
    pub state: FlowState,
    /// A short fact (`9f3c2ab`, `7 of 8`, `30 %`).
    pub detail: Clean,
    /// How long it took or has been taking.
    pub took: Option<Duration>,
    /// Whether the release stands here.
    pub here: bool,
}

/// The flow of the release a lane shows. Stages no backend tells about are left out.
pub fn flow(world: &World, lane: &Lane, now: Timestamp) -> Vec<FlowStage> {
    let Some(release) = lane.release().and_then(|id| world.release(id)) else {
        return Vec::new();
    };
    let mut stages = Vec::new();
    if let Some(commit) = release.commit.value() {
        stages.push(stage("commit", FlowState::Done, commit.short().to_owned()));
    }
    let jobs = release
        .run
        .value()
        .map(|run| world.jobs_of(run))
        .unwrap_or_default();
    let gates = gates(world, lane, release);
    let push_jobs = |stages: &mut Vec<FlowStage>, name: &'static str, of: &dyn Fn(&Job) -> bool| {
        let own: Vec<&Known<Job>> = jobs.iter().copied().filter(|job| of(job)).collect();
        if !own.is_empty() {
            stages.push(of_jobs(name, &own, now));
        }
    };
    push_jobs(&mut stages, "tests", &|job| {
        matches!(job.stage, Stage::Setup | Stage::Validate | Stage::Trigger)
    });
    push_jobs(&mut stages, "train", &|job| job.stage == Stage::Train);
    push_jobs(&mut stages, "eval", &|job| job.stage == Stage::Evaluate);
    stages.extend(gates);
    push_jobs(&mut stages, "build", &|job| job.stage == Stage::Package);
    push_jobs(&mut stages, "staging", &|job| {
        job.stage == Stage::Deploy && is_staging(&job.name)
    });
    stages.extend(approval(world, lane, release));
    if world.rollouts.contains_key(&lane.target) {
        stages.extend(rollout(world, lane));
    }
    mark_here(&mut stages);
    stages
}

fn stage(name: &'static str, state: FlowState, detail: impl Into<Clean>) -> FlowStage {
    FlowStage {
        name,
        state,
        detail: detail.into(),
        took: None,
        here: false,
    }
}

fn is_staging(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.contains("stag") || name.contains("smoke")
}

/// Several jobs as one stage: the worst that is still going on decides.
fn of_jobs(name: &'static str, jobs: &[&Known<Job>], now: Timestamp) -> FlowStage {
    let any = |want: &dyn Fn(&Job) -> bool| jobs.iter().any(|job| want(job));
    let all_ended = jobs.iter().all(|job| job.status.has_ended());
    let state = if any(&|job| matches!(job.status.outcome, Some(Outcome::Failed))) {
        FlowState::Failed
    } else if any(&|job| {
        matches!(job.status.phase, Phase::Unknown(_))
            || matches!(job.status.outcome, Some(Outcome::Unknown(_)))
    }) {
        FlowState::Unknown
    } else if any(&|job| job.status.phase == Phase::Waiting) {
        FlowState::AsksPerson
    } else if any(&|job| job.status.phase == Phase::Running) {
        FlowState::Running
    } else if !all_ended {
        let begun = any(&|job| job.status.has_ended());
        if begun {
            FlowState::Running
        } else {
            FlowState::Queued
        }
    } else if jobs.iter().all(|job| {
        matches!(
            job.status.outcome,
            Some(Outcome::Skipped | Outcome::Cancelled)
        )
    }) {
        FlowState::Skipped
    } else if any(&|job| job.status.flags.warn) {
        FlowState::Warned
    } else {
        FlowState::Done
    };
    let done = jobs.iter().filter(|job| job.status.has_ended()).count();
    let detail = match jobs {
        [one] => one.status.word().to_owned(),
        _ => format!("{done} of {}", jobs.len()),
    };
    let started = jobs.iter().filter_map(|job| job.started_at).min();
    let ended = if all_ended {
        jobs.iter().filter_map(|job| job.ended_at).max()
    } else {
        Some(now)
    };
    let took = started
        .zip(ended)
        .and_then(|(from, to)| (to - from).to_std().ok());
    FlowStage {
        name,
        state,
        detail: detail.into(),
        took,
        here: false,
    }
}

fn gates(world: &World, lane: &Lane, release: &Release) -> Option<FlowStage> {
    let decision = world.decision(&release.id, &lane.environment)?;
    let state = match decision.word {
        Word::Go => FlowState::Done,
        Word::GoWithWarnings => FlowState::Warned,
        Word::HoldWaiting => FlowState::Queued,
        Word::HoldNotProven => FlowState::Unknown,
        Word::NoGo => FlowState::Failed,
    };
    let passed = decision.count(Verdict::Pass);
    Some(stage(
        "gates",
        state,
        format!("{passed} of {} pass", decision.findings.len()),
    ))
}

fn approval(world: &World, lane: &Lane, release: &Release) -> Option<FlowStage> {
    let run = release.run.value()?;
    let service = world.catalog.services.get(&lane.service)?;
    if let Some(waiting) = approvals_for(world, service, release, &lane.environment).first() {
        let state = if waiting.timer_ends_at.is_some() {
            FlowState::Queued
        } else {
            FlowState::AsksPerson
        };
        return Some(stage("approve", state, waiting.environment.clone()));
    }
    let (_, review) = world
        .reviews
        .from_where(&|id| id.run < *run)
        .take_while(|(id, _)| id.run == *run)
        .find(|(_, review)| stands_before(service, &review.environment, &lane.environment))?;
    let user = &review.user;
    Some(match &review.answer {
        Answer::Approved => stage("approve", FlowState::Done, user.clone()),
        // The word first: where there is no room the name is cut.
        Answer::Rejected => stage("approve", FlowState::Failed, format!("no, {user}")),
        Answer::Unknown(word) => stage("approve", FlowState::Unknown, format!("{word}, {user}")),
    })
}

fn rollout(world: &World, lane: &Lane) -> Vec<FlowStage> {
    let label = |id: Option<&ReleaseId>| {
        id.and_then(|id| world.release(id))
            .map(|release| release.label.clone())
    };
    let share = |rollout: &Known<Rollout>| Clean::from(rollout.weight_actual.to_string());
    let share = world
        .rollouts
        .get(&lane.target)
        .map(share)
        .unwrap_or_default();
    let mut users = Clean::default();
    let (rollout, live) = match &lane.place {
        Place::Live => {
            if let Some(back) = label(lane.rolled_back.as_ref()) {
                users = Clean::from(format!("{back} rolled back"));
            }
            (stage("rollout", FlowState::Done, share), FlowState::Done)
        }
        Place::RollingBack { to, done, .. } => {
            users = Clean::from(format!("{done} on {to}"));
            let state = FlowState::RolledBack;
            (
                stage("rollout", state, format!("back to {to}")),
                FlowState::Failed,
            )
        }
        Place::Aborting { weight, .. } => (
            stage(
                "rollout",
                FlowState::RolledBack,
                format!("going back, {weight}"),
            ),
            FlowState::NotYet,
        ),
        Place::Canary {
            weight,
            held,
            pause,
            cutover,
            ..
        } => {
            let state = if *held {
                FlowState::Held
            } else if pause.as_ref().is_some_and(|pause| pause.ends_at.is_none()) {
                FlowState::AsksPerson
            } else {
                FlowState::Running
            };
            let how_far = match cutover {
                Some(_) => lane.place.word(),
                None => weight.to_string(),
            };
            (stage("rollout", state, how_far), FlowState::NotYet)
        }
        Place::Aborted => {
            if let Some(live) = label(lane.live.as_ref()) {
                users = Clean::from(format!("{live} live"));
            }
            (
                stage("rollout", FlowState::RolledBack, share),
                FlowState::NotYet,
            )
        }
        Place::Degraded => (
            stage("rollout", FlowState::Failed, "degraded"),
            FlowState::NotYet,
        ),
        Place::Unknown { why } => (
            stage("rollout", FlowState::Unknown, why.clone()),
            FlowState::Unknown,
        ),
        // It goes nowhere: these are left out, not to come.
        Place::Rejected { .. } => (stage("rollout", FlowState::Skipped, ""), FlowState::Skipped),
        Place::Pipeline { .. } | Place::RunFailed | Place::Built | Place::Approval { .. } => {
            (stage("rollout", FlowState::NotYet, ""), FlowState::NotYet)
        }
    };
    vec![rollout, stage("live", live, users)]
}

/// The release stands at the last stage that has begun and is not done, else at the last done one.
fn mark_here(stages: &mut [FlowStage]) {
    let busy = stages.iter().rposition(|stage| {
        !matches!(
            stage.state,
            FlowState::Done | FlowState::Warned | FlowState::Skipped | FlowState::NotYet
        ) && stage.name != "gates"
    });
    let at = busy.or_else(|| {
        stages
            .iter()
            .rposition(|stage| stage.state != FlowState::NotYet)
    });
    if let Some(stage) = at.and_then(|at| stages.get_mut(at)) {
        stage.here = true;
    }
}
