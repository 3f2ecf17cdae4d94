//! Commands that act: wait for facts, propose, show, agree, submit, see.
//!
//! The plan that is printed is the plan that is submitted. What has to be
//! agreed to depends on it: a brake needs a yes, a throttle a GO as well, a bend
//! a reason.

mod shown;

use std::{collections::BTreeSet, time::Duration};

use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

use crate::{
    cli::{
        Stop,
        act::shown::Shown,
        args::{Act, Command},
        exit::Exit,
        output::Out,
        session::{self, Session},
    },
    domain::{
        id::{BackendId, TargetId, TargetKind},
        rollout::Strategy,
        text::Clean,
    },
    engine::{
        clear::Refusal,
        plan::{Ask, Class, Verb},
        propose::propose,
        standing::{Asks, Standing, standing},
        world::{LaneId, World},
    },
    report::SCHEMA,
};

/// Who we are is usually told with the rest; a brake waits no longer for it.
const IDENTITY: Duration = Duration::from_millis(300);
/// A roll back also moves the alias, so it waits this long for the registry, and
/// no longer: users come first.
const REGISTRY: Duration = Duration::from_secs(2);

/// What somebody asks for.
pub(super) struct Wanted {
    verb: Verb,
    act: Act,
    to: Option<Clean>,
    gate: Option<Clean>,
    dispatch: Option<(Clean, Vec<(Clean, Clean)>)>,
    full: bool,
}

/// The verb of a command; `None` for one that does not act.
pub(super) fn wanted(command: Command) -> Option<Wanted> {
    let plain = |verb, act| Wanted {
        verb,
        act,
        to: None,
        gate: None,
        dispatch: None,
        full: false,
    };
    Some(match command {
        Command::Hold(act) => plain(Verb::Hold, act),
        Command::Continue(act) => plain(Verb::Continue, act),
        Command::Skip(act) => plain(Verb::Skip, act),
        Command::Abort(act) => plain(Verb::Abort, act),
        Command::Retry(act) => plain(Verb::Retry, act),
        Command::Cancel(act) => plain(Verb::Cancel, act),
        Command::Restart(act) => plain(Verb::Restart, act),
        Command::Approve(answer) => Wanted {
            gate: answer.gate.as_deref().map(Clean::name),
            ..plain(Verb::Approve, answer.act)
        },
        Command::Reject(answer) => Wanted {
            gate: answer.gate.as_deref().map(Clean::name),
            ..plain(Verb::Reject, answer.act)
        },
        Command::Promote(promote) => Wanted {
            full: promote.full,
            ..plain(Verb::Promote, promote.act)
        },
        Command::Rollback(rollback) => Wanted {
            to: rollback.to.as_deref().map(Clean::name),
            ..plain(Verb::RollBack, rollback.act)
        },
        Command::Rerun(rerun) => {
            let verb = if rerun.all {
                Verb::RerunAll
            } else {
                Verb::RerunFailed
            };
            plain(verb, rerun.act)
        }
        Command::Dispatch(dispatch) => Wanted {
            dispatch: Some((
                Clean::name(&dispatch.reference),
                dispatch
                    .inputs
                    .iter()
                    .map(|(name, value)| (Clean::name(name), Clean::block(value)))
                    .collect(),
            )),
            ..plain(Verb::Dispatch, dispatch.act)
        },
        Command::Status(_)
        | Command::Check(_)
        | Command::Watch(_)
        | Command::Logs(_)
        | Command::Audit(_)
        | Command::Doctor(_)
        | Command::Init(_)
        | Command::Config(_)
        | Command::Completions { .. }
        | Command::Man { .. }
        | Command::Demo(_) => return None,
    })
}

pub(super) async fn act(
    session: &mut Session,
    wanted: &Wanted,
    out: &mut Out,
) -> Result<Exit, Stop> {
    let act = &wanted.act;
    let lane = session::lane(&session.catalog, &act.service, act.env.as_deref())?;
    let ask = Ask {
        to: wanted.to.clone(),
        environment: wanted.gate.clone(),
        dispatch: wanted.dispatch.clone(),
        reason: act.reason.as_deref().map(Clean::block),
        ..Ask::new(wanted.verb, lane.clone())
    };
    wait_for_facts(session, &ask, act).await;
    let world = session.handle.world();
    needs_full(&world, wanted, &lane)?;
    let plan = match propose(&world, &ask, session.handle.now()) {
        Ok(plan) => plan,
        Err(refusal) => return unplanned(session, &world, &ask, &refusal, act, out),
    };
    let shown = Shown::of(session, &world, plan);
    if act.dry_run {
        return Ok(shown.dry_run(session, &world, act, out));
    }
    if !act.json.json {
        out.lines(shown.lines());
    }
    let consent = shown.agree(act, out)?;
    match session
        .handle
        .submit(&shown.plan, session.mode, &consent)
        .await
    {
        Ok(id) => Ok(shown.follow(session, &id, act, out).await?),
        Err(refusal) => Ok(shown.refused(&refusal, act, out)),
    }
}

/// Waits for what the plan will be made of. A brake waits for its target's own
/// backend and for no other; it goes as soon as there is something to send. What
/// is only asked for sends nothing, and waits to be told whether it may.
async fn wait_for_facts(session: &mut Session, ask: &Ask, act: &Act) {
    let most = act.timeout;
    let all = session.backends_of(std::slice::from_ref(&ask.lane));
    let own = own_backend(session, ask);
    match ask.verb.class() {
        Class::Brake => {
            let until = Instant::now() + most;
            let now = session.handle.now();
            let mut worlds = session.handle.worlds();
            let plannable = |world: &World| {
                !matches!(
                    propose(world, ask, now),
                    Err(Refusal::NoTarget(_)
                        | Refusal::NeedsTarget { .. }
                        | Refusal::NothingToDo(_))
                )
            };
            if ask.verb == Verb::RollBack {
                let registry = all.iter().filter(|id| is_registry(session, id)).cloned();
                let both: BTreeSet<BackendId> = registry.chain(own.clone()).collect();
                session.wait_for(&both, most.min(REGISTRY)).await;
            }
            let own: BTreeSet<BackendId> = own.into_iter().collect();
            tokio::select! {
                _ = timeout_at(until, worlds.wait_for(|world| plannable(world))) => {}
                _ = session.wait_for(&own, most) => {}
            }
            let patience = if act.dry_run { most } else { IDENTITY };
            session.wait_for(&own, patience).await;
        }
        Class::Neutral | Class::Throttle | Class::Bend => {
            session.wait_for(&all, most).await;
        }
    }
}

/// The backend of what the verb acts on.
fn own_backend(session: &Session, ask: &Ask) -> Option<BackendId> {
    let (service, environment) = &ask.lane;
    let service = session.catalog.services.get(service)?;
    if ask.verb == Verb::Reject {
        return service.run.as_ref().map(|run| run.backend.clone());
    }
    let place = service
        .places
        .iter()
        .find(|place| place.environment == *environment)?;
    Some(place.target.backend.clone())
}

fn is_registry(session: &Session, id: &BackendId) -> bool {
    let models = session
        .catalog
        .services
        .values()
        .filter_map(|service| service.model.as_ref());
    models.into_iter().any(|model| model.model.backend == *id)
}

/// In Argo's own tools "promote" means one step; here it means all of them. A
/// blue/green rollout has one step, and both mean the same.
fn needs_full(world: &World, wanted: &Wanted, lane: &LaneId) -> Result<(), Stop> {
    if wanted.verb != Verb::Promote || wanted.full {
        return Ok(());
    }
    let rollout = world
        .lanes
        .get(lane)
        .and_then(|row| world.rollouts.get(&row.target));
    let of = format!("{} --env {}", lane.0, lane.1);
    let yes = if wanted.act.yes { " --yes" } else { "" };
    match rollout {
        Some(rollout) if rollout.aborted.is_some() && !rollout.is_fully_promoted() => {
            Err(Stop::new(
                Exit::Usage,
                format!(
                    "it was aborted; say which you mean:\n  \
                     gonogo retry {of}{yes}    starts it again from its first step\n  \
                     gonogo promote {of} --full{yes}    ships what was rejected, with no analysis"
                ),
            ))
        }
        Some(rollout) if rollout.strategy == Strategy::Canary && !rollout.is_fully_promoted() => {
            Err(Stop::new(
                Exit::Usage,
                format!(
                    "a canary is running; say which you mean:\n  \
                     gonogo promote {of} --full{yes}    skips its remaining steps\n  \
                     gonogo continue {of}{yes}    ends the present pause"
                ),
            ))
        }
        Some(_) | None => Ok(()),
    }
}

/// There is no plan: it is so already, or nothing of the kind is there.
fn unplanned(
    session: &Session,
    world: &World,
    ask: &Ask,
    refusal: &Refusal,
    act: &Act,
    out: &mut Out,
) -> Result<Exit, Stop> {
    if let Refusal::AlreadySo(why) = refusal {
        if act.json.json {
            out.json(&document(
                Exit::Ok,
                json!({ "outcome": "already so", "note": why.as_str() }),
            ));
        } else {
            out.line(why);
        }
        return Ok(Exit::Ok);
    }
    // What is not there may only not have been told: then that is the reason.
    let missing = matches!(refusal, Refusal::NoTarget(_));
    if missing && let Some(silent) = unheard(session, world, ask) {
        return Err(Stop::new(Exit::Failed, silent));
    }
    let backend = own_backend(session, ask);
    let state = backend.as_ref().and_then(|id| world.backends.get(id));
    if let (true, Some(id), Some(trouble)) = (
        missing,
        &backend,
        state.and_then(|state| state.trouble.as_ref()),
    ) {
        let message = format!(
            "backend `{id}`: {}: {} ({})",
            trouble.kind,
            trouble.message,
            trouble.kind.remedy()
        );
        return Err(Stop::new(Exit::Failed, message));
    }
    Err(Stop::new(Exit::from(refusal), refusal.to_string()))
}

/// What to say when the rollout's cluster has not answered at all: a brake must
/// not end there.
fn unheard(session: &Session, world: &World, ask: &Ask) -> Option<String> {
    let (service, environment) = &ask.lane;
    let service = session.catalog.services.get(service)?;
    let place = service
        .places
        .iter()
        .find(|place| place.environment == *environment)?;
    let target = &place.target;
    let asks = Asks::rollout(target);
    let Standing::Awaited { .. } = standing(world, &asks, false, session.handle.now()) else {
        return None;
    };
    let said = format!(
        "backend `{}` did not answer in time: nothing was sent (`gonogo doctor` looks closer)",
        target.backend
    );
    Some(match by_hand(ask.verb, target) {
        Some(command) => format!("{said}\n  by hand: {command}"),
        None => said,
    })
}

/// The brake without gonogo, as far as it can be known without having seen the
/// target.
fn by_hand(verb: Verb, target: &TargetId) -> Option<String> {
    let TargetId {
        namespace, name, ..
    } = target;
    match (verb, target.kind) {
        (Verb::Hold, TargetKind::Rollout) => Some(format!(
            "kubectl -n {namespace} patch rollout {name} --type merge -p '{{\"spec\":{{\"paused\":true}}}}'"
        )),
        (Verb::Abort, TargetKind::Rollout) => Some(format!(
            "kubectl -n {namespace} patch rollout {name} --subresource status --type merge -p '{{\"status\":{{\"abort\":true}}}}'"
        )),
        (Verb::Hold, TargetKind::Deployment) => Some(format!(
            "kubectl -n {namespace} rollout pause deployment/{name}"
        )),
        (Verb::RollBack, TargetKind::Deployment) => Some(format!(
            "kubectl -n {namespace} rollout undo deployment/{name}"
        )),
        _ => None,
    }
}

fn document(exit: Exit, more: Value) -> Value {
    let mut value = json!({ "schema": SCHEMA, "code": exit.code(), "word": exit.word() });
    if let (Value::Object(members), Value::Object(more)) = (&mut value, more) {
        members.extend(more);
    }
    value
}
