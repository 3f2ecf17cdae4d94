//! Turns what is asked into a plan made from what the world shows.
//!
//! A plan carries what the person will have seen. Proposing refuses only what
//! makes no sense (no target, nothing to do); whether it *may* be done is
//! [`crate::engine::clear`]'s question.

mod alias;
mod blue_green;
mod rollback;
mod rollout;

use crate::{
    domain::{
        Timestamp,
        action::{
            ApprovalOrder, ApprovalSeen, Order, RolloutAction, RolloutOrder, RolloutSeen,
            RunAction, RunOrder, Say, Subject,
        },
        approval::PendingApproval,
        catalog::{PlaceSpec, ServiceSpec},
        id::{ReleaseId, Version},
        pipeline::{Outcome, Phase, Run},
        rollout::Rollout,
        text::Clean,
    },
    engine::{
        back::{self, Back},
        clear::Refusal,
        correlate::release_of_revision,
        lane,
        plan::{Ask, Class, Plan, PlanStep, Verb},
        release::Release,
        world::{Known, World},
    },
};

pub(super) use alias::previous_alias;

/// Builds the plan for `ask` from `world`.
///
/// # Errors
///
/// [`Refusal::NoTarget`] when there is nothing of that name,
/// [`Refusal::NeedsTarget`] when a name has to be given,
/// [`Refusal::AlreadySo`] when it is so already, [`Refusal::NothingToDo`] when
/// the verb does not apply.
pub fn propose(world: &World, ask: &Ask, now: Timestamp) -> Result<Plan, Refusal> {
    let scene = Scene::new(world, ask, now)?;
    match ask.verb {
        Verb::Hold => rollout::hold(&scene),
        Verb::Abort => rollout::abort(&scene),
        Verb::Continue => rollout::go_on(&scene),
        Verb::Skip => rollout::skip(&scene),
        Verb::Retry => rollout::retry(&scene),
        Verb::Restart => rollout::restart(&scene),
        Verb::Promote => rollout::promote(&scene),
        Verb::RollBack => rollback::roll_back(&scene),
        Verb::Approve => answer(&scene, Say::Yes),
        Verb::Reject => answer(&scene, Say::No),
        Verb::RerunFailed => rerun(&scene, RunAction::RerunFailed),
        Verb::RerunAll => rerun(&scene, RunAction::RerunAll),
        Verb::Cancel => cancel(&scene),
        Verb::Dispatch => dispatch(&scene),
    }
}

/// Everything a proposal looks at.
struct Scene<'a> {
    world: &'a World,
    ask: &'a Ask,
    now: Timestamp,
    service: &'a ServiceSpec,
    place: &'a PlaceSpec,
    /// What the row points to.
    release: Option<&'a Release>,
    /// What the rollout wants to run, which may be another.
    carried: Option<&'a Release>,
}

impl<'a> Scene<'a> {
    fn new(world: &'a World, ask: &'a Ask, now: Timestamp) -> Result<Self, Refusal> {
        let (service_name, environment) = &ask.lane;
        let Some(service) = world.catalog.services.get(service_name) else {
            let known: Vec<&str> = world
                .catalog
                .services
                .keys()
                .map(crate::domain::id::ServiceName::as_str)
                .collect();
            return Err(Refusal::NoTarget(Clean::from(format!(
                "no service `{service_name}`; configured: {}",
                known.join(", ")
            ))));
        };
        let Some(place) = service
            .places
            .iter()
            .find(|place| place.environment == *environment)
        else {
            return Err(Refusal::NoTarget(Clean::from(format!(
                "service `{service_name}` has no environment `{environment}`"
            ))));
        };
        let release = world
            .lanes
            .get(&ask.lane)
            .and_then(|lane| lane.release())
            .and_then(|id| world.release(id))
            .map(AsRef::as_ref);
        let carried = world.rollouts.get(&place.target).and_then(|rollout| {
            let hash = rollout.current_hash.as_ref()?;
            release_of_revision(world, service, rollout, hash).map(AsRef::as_ref)
        });
        Ok(Self {
            world,
            ask,
            now,
            service,
            place,
            release,
            carried,
        })
    }

    fn rollout(&self) -> Result<&'a Known<Rollout>, Refusal> {
        self.world.rollouts.get(&self.place.target).ok_or_else(|| {
            Refusal::NoTarget(Clean::from(format!(
                "rollout {} has not been seen on `{}`",
                self.place.target, self.place.target.backend
            )))
        })
    }

    /// The way back the rollout is on, if it is on one.
    fn back<'r>(&self, rollout: &'r Rollout) -> Option<Back<'r>> {
        back::under_way(self.world, self.service, self.place, rollout)
    }

    /// The rollout, if it has something to step through.
    fn canary(&self) -> Result<&'a Known<Rollout>, Refusal> {
        let rollout = self.rollout()?;
        if rollout.has_canary() {
            return Ok(rollout);
        }
        Err(Refusal::NothingToDo("a Deployment has no canary".into()))
    }

    fn run(&self) -> Result<&'a Known<Run>, Refusal> {
        let id = self.release.and_then(|release| release.run.value());
        id.and_then(|id| self.world.runs.get(id))
            .ok_or_else(|| Refusal::NoTarget("no run is linked to this release".into()))
    }

    /// A plan without steps. What acts on a rollout is about the release that is
    /// in it, whatever else is on its way there.
    fn plan(&self, class: Class, subject: Subject) -> Plan {
        let release = match subject {
            Subject::Rollout(_) => self.carried,
            Subject::Approval(_) | Subject::Run(_) | Subject::Pipeline(_) | Subject::Model(_) => {
                self.release
            }
        };
        Plan {
            ask: self.ask.clone(),
            class,
            bends: None,
            release: release.map(|release| release.id.clone()),
            release_label: release.map_or_else(
                || self.service.name.text().clone(),
                |release| release.label.clone(),
            ),
            subject,
            steps: Vec::new(),
            facts: Vec::new(),
            warnings: Vec::new(),
            alternatives: Vec::new(),
            undo: None,
        }
    }

    fn is_critical(&self) -> bool {
        self.world
            .catalog
            .environments
            .get(&self.place.environment)
            .is_some_and(|environment| environment.critical)
    }
}

/// What the person sees of a rollout when the sheet opens.
fn seen(rollout: &Rollout) -> RolloutSeen {
    RolloutSeen {
        uid: rollout.uid.clone(),
        pod_hash: rollout.current_hash.clone(),
        step: rollout.step,
        paused_since: rollout.pause.as_ref().and_then(|pause| pause.since),
    }
}

fn rollout_step(rollout: &Rollout, action: RolloutAction, effect: impl Into<Clean>) -> PlanStep {
    PlanStep {
        order: Order::Rollout(RolloutOrder {
            target: rollout.id.clone(),
            action,
            seen: seen(rollout),
        }),
        effect: effect.into(),
    }
}

/// A step of a brake that follows another: the step index moves meanwhile, and
/// a brake does not care.
fn without_index(mut step: PlanStep) -> PlanStep {
    if let Order::Rollout(order) = &mut step.order {
        order.seen.step = None;
    }
    step
}

fn fact(label: &'static str, text: impl Into<Clean>) -> (Clean, Clean) {
    (label.into(), text.into())
}

fn answer(scene: &Scene<'_>, say: Say) -> Result<Plan, Refusal> {
    let waiting = scene
        .release
        .map(|release| {
            lane::approvals_for(
                scene.world,
                scene.service,
                release,
                &scene.place.environment,
            )
        })
        .unwrap_or_default();
    let named: Vec<&Known<PendingApproval>> = match &scene.ask.environment {
        Some(name) => waiting
            .iter()
            .copied()
            .filter(|approval| approval.environment == *name)
            .collect(),
        None => waiting.clone(),
    };
    let approval = match (named.as_slice(), scene.ask.environment.as_ref()) {
        ([], Some(name)) => {
            return Err(Refusal::NothingToDo(Clean::from(format!(
                "environment `{name}` does not wait for approval before {}",
                scene.place.environment
            ))));
        }
        ([], None) => return Err(Refusal::NothingToDo(nothing_waits(scene))),
        ([one], _) => *one,
        (several, _) => {
            let names = several.iter().map(|one| one.environment.clone());
            let choices: Vec<Clean> = names.collect();
            return Err(Refusal::NeedsTarget {
                why: Clean::from(format!(
                    "several environments wait: name one of {}",
                    choices.join(", ")
                )),
                choices,
            });
        }
    };
    let run = scene.run()?;
    let yes = say == Say::Yes;
    let class = if yes { Class::Throttle } else { Class::Brake };
    let mut plan = scene.plan(class, Subject::Approval(approval.id.clone()));
    plan.facts.push(fact(
        "run",
        Clean::from(format!(
            "{} attempt {}: {}",
            run.id, approval.attempt, run.title
        )),
    ));
    plan.facts.push(fact("commit", approval.head_sha.clone()));
    plan.facts
        .push(fact("environment", approval.environment.clone()));
    if !approval.reviewers.is_empty() {
        let names: Vec<&str> = approval.reviewers.iter().map(Clean::as_str).collect();
        plan.facts
            .push(fact("reviewers", Clean::from(names.join(", "))));
    }
    let effect = if yes {
        format!("`{}` of run {} goes ahead", approval.environment, run.id)
    } else {
        format!(
            "the job that waits for `{}` fails, and run {} with it",
            approval.environment, run.id
        )
    };
    plan.steps.push(PlanStep {
        order: Order::Approval(ApprovalOrder {
            approval: approval.id.clone(),
            answer: say,
            comment: scene.ask.reason.clone().unwrap_or_default(),
            seen: ApprovalSeen {
                attempt: approval.attempt,
                head_sha: approval.head_sha.clone(),
                environment: approval.environment.clone(),
            },
        }),
        effect: effect.into(),
    });
    Ok(plan)
}

/// That nothing waits here, and what waits elsewhere.
fn nothing_waits(scene: &Scene<'_>) -> Clean {
    let run = scene.release.and_then(|release| release.run.value());
    let elsewhere: Vec<String> = run
        .map(|run| scene.world.approvals_of(run))
        .unwrap_or_default()
        .iter()
        .map(|approval| format!("`{}`", approval.environment))
        .collect();
    if elsewhere.is_empty() {
        return "nothing waits for approval".into();
    }
    Clean::from(format!(
        "nothing waits for approval before {}; {} does",
        scene.place.environment,
        elsewhere.join(", ")
    ))
}

fn run_plan(scene: &Scene<'_>, run: &Run, action: RunAction, effect: String) -> Plan {
    let mut plan = scene.plan(Class::Neutral, Subject::Run(run.id.clone()));
    plan.facts.push(fact(
        "run",
        Clean::from(format!("{} attempt {}: {}", run.id, run.attempt, run.title)),
    ));
    plan.steps.push(PlanStep {
        order: Order::Run(RunOrder {
            pipeline: run.pipeline.clone(),
            run: Some(run.id.clone()),
            action,
            seen_attempt: run.attempt,
        }),
        effect: effect.into(),
    });
    plan
}

fn rerun(scene: &Scene<'_>, action: RunAction) -> Result<Plan, Refusal> {
    let run = scene.run()?;
    if !run.status.has_ended() {
        return Err(Refusal::NothingToDo(Clean::from(format!(
            "run {} is still {}",
            run.id,
            run.status.word()
        ))));
    }
    let failed_only = action == RunAction::RerunFailed;
    if failed_only && matches!(run.status.outcome, Some(Outcome::Succeeded)) {
        return Err(Refusal::NothingToDo(Clean::from(format!(
            "no job of run {} failed",
            run.id
        ))));
    }
    let what = if failed_only {
        "failed jobs"
    } else {
        "all jobs"
    };
    Ok(run_plan(
        scene,
        run,
        action,
        format!(
            "{what} of run {} start again as attempt {}",
            run.id,
            run.attempt + 1
        ),
    ))
}

fn cancel(scene: &Scene<'_>) -> Result<Plan, Refusal> {
    let run = scene.run()?;
    if run.status.phase == Phase::Ended {
        return Err(Refusal::NothingToDo(Clean::from(format!(
            "run {} has ended already",
            run.id
        ))));
    }
    let mut plan = run_plan(
        scene,
        run,
        RunAction::Cancel,
        format!("run {} is stopped", run.id),
    );
    if scene.is_critical() {
        plan.class = Class::Throttle;
    }
    Ok(plan)
}

fn dispatch(scene: &Scene<'_>) -> Result<Plan, Refusal> {
    let Some(pipeline) = &scene.service.run else {
        return Err(Refusal::NoTarget(Clean::from(format!(
            "service `{}` has no pipeline configured",
            scene.service.name
        ))));
    };
    let (reference, inputs) = scene.ask.dispatch.clone().unwrap_or_else(|| {
        (
            scene
                .service
                .branch
                .clone()
                .unwrap_or_else(|| "main".into()),
            Vec::new(),
        )
    });
    let mut plan = scene.plan(Class::Neutral, Subject::Pipeline(pipeline.clone()));
    plan.release = None;
    plan.facts.push(fact("workflow", pipeline.workflow.clone()));
    plan.facts.push(fact("ref", reference.clone()));
    let effect = Clean::from(format!(
        "a new run of {} on `{reference}`",
        pipeline.workflow
    ));
    plan.steps.push(PlanStep {
        order: Order::Run(RunOrder {
            pipeline: pipeline.clone(),
            run: None,
            action: RunAction::Dispatch { reference, inputs },
            seen_attempt: 0,
        }),
        effect,
    });
    Ok(plan)
}

/// The version of a release, if it is certain.
fn version_of(world: &World, release: Option<&ReleaseId>) -> Option<Version> {
    release
        .and_then(|id| world.release(id))
        .and_then(|release| release.version.value().copied())
}
