//! The endpoints that change something.
//!
//! As on GitHub an act is accepted first and seen later; where GitHub says no,
//! this says no with the same status and a sentence of the same meaning.

use serde_json::{Value, json};

use crate::sim::{
    github::{
        api::{Call, not_found, problem},
        model::{Act, Environment, Hub, Life, Review, Run},
        people::{self, Again},
        settle::environment_of,
    },
    http::Reply,
};

/// Answers a POST, PUT, PATCH or DELETE.
pub(crate) fn answer(hub: &mut Hub, call: &Call<'_>, segments: &[&str]) -> Reply {
    let ["repos", owner, name, "actions", rest @ ..] = segments else {
        return not_found();
    };
    let Some(full_name) = hub
        .repo(owner, name)
        .map(crate::sim::github::model::Repo::full_name)
    else {
        return not_found();
    };
    if call.request.method != "POST" {
        return not_found();
    }
    if !hub
        .person(call.login)
        .is_some_and(|person| person.may_write)
    {
        return problem(403, "Resource not accessible by personal access token");
    }
    let reply = match rest {
        ["workflows", workflow, "dispatches"] => dispatch(hub, call, &full_name, workflow),
        ["runs", id, act] => match id.parse() {
            Ok(run) => on_run(hub, call, &full_name, run, act),
            Err(_) => not_found(),
        },
        _ => not_found(),
    };
    if reply.status < 300 {
        let what = format!(
            "{} {}",
            call.request.path,
            String::from_utf8_lossy(&call.request.body)
        );
        hub.acts.push(Act {
            at: call.request.now,
            by: call.login.to_owned(),
            what: what.trim_end().to_owned(),
        });
    }
    reply
}

fn dispatch(hub: &mut Hub, call: &Call<'_>, full_name: &str, workflow: &str) -> Reply {
    let body = call.request.json();
    let Some(reference) = body.get("ref").and_then(Value::as_str) else {
        return problem(422, "Invalid request.\n\n\"ref\" wasn't supplied.");
    };
    let repo = hub
        .repo_index(full_name)
        .and_then(|index| hub.repos.get(index));
    let Some(found) = repo.and_then(|repo| repo.workflow_named(workflow)) else {
        return not_found();
    };
    if !found.on.iter().any(|event| event == "workflow_dispatch") {
        return problem(422, "Workflow does not have 'workflow_dispatch' trigger");
    }
    let id = found.id;
    let Some(run) = hub.dispatch(full_name, id, reference, call.login, call.request.now) else {
        return problem(422, &format!("No ref found for: {reference}"));
    };
    if body.get("return_run_details") != Some(&json!(true)) {
        return Reply::empty(204);
    }
    Reply::json(
        200,
        &json!({
            "workflow_run_id": run,
            "run_url": format!("{}/repos/{full_name}/actions/runs/{run}", call.api),
            "html_url": format!("{}/{full_name}/actions/runs/{run}", call.web),
        }),
    )
}

fn on_run(hub: &mut Hub, call: &Call<'_>, full_name: &str, id: u64, act: &str) -> Reply {
    let now = call.request.now;
    let Some(index) = hub.repo_index(full_name) else {
        return not_found();
    };
    let Hub {
        repos, ids, speed, ..
    } = hub;
    let Some(repo) = repos.get_mut(index) else {
        return not_found();
    };
    let Some(run) = repo.run(id) else {
        return not_found();
    };
    let over = run.latest().state(now).0 == "completed";
    match act {
        "pending_deployments" => review(hub, call, index, id),
        "rerun" | "rerun-failed-jobs" => {
            if !over {
                return problem(403, "This workflow is already running");
            }
            let again = if act == "rerun" {
                Again::All
            } else {
                Again::Failed
            };
            let failed = run
                .latest()
                .jobs
                .iter()
                .any(|job| job.conclusion() != Some("success"));
            if again == Again::Failed && !failed {
                return problem(403, "This workflow run has no failed jobs to rerun");
            }
            people::rerun(repo, id, again, call.login, now, ids, *speed);
            Reply::json(201, &json!({}))
        }
        "cancel" | "force-cancel" => {
            if over {
                return problem(409, "Cannot cancel a workflow run that is completed.");
            }
            people::cancel(repo, id, now, ids, *speed, act == "force-cancel");
            Reply::json(202, &json!({}))
        }
        _ => not_found(),
    }
}

fn review(hub: &mut Hub, call: &Call<'_>, index: usize, id: u64) -> Reply {
    let body = call.request.json();
    let asked: Option<Vec<u64>> = body
        .get("environment_ids")
        .and_then(Value::as_array)
        .map(|ids| ids.iter().filter_map(Value::as_u64).collect());
    let state = match body.get("state").and_then(Value::as_str) {
        Some("approved") => Some("approved"),
        Some("rejected") => Some("rejected"),
        _ => None,
    };
    let comment = body.get("comment").and_then(Value::as_str);
    let (Some(asked), Some(state), Some(comment)) = (asked, state, comment) else {
        return problem(422, "Invalid request.");
    };
    let Hub {
        repos, ids, speed, ..
    } = hub;
    let Some(repo) = repos.get_mut(index) else {
        return not_found();
    };
    let Some(run) = repo.run(id) else {
        return not_found();
    };
    let actor = run.latest().actor.clone();
    let waiting = waiting_environments(repo, run);
    let mut chosen: Vec<Environment> = Vec::new();
    for wanted in asked {
        let Some(environment) = waiting.iter().find(|environment| environment.id == wanted) else {
            return problem(
                422,
                "There are no pending deployment requests to approve or reject",
            );
        };
        if !repo.may_review(environment, call.login, &actor) {
            return problem(422, "You are not a required reviewer for this environment");
        }
        chosen.push(environment.clone());
    }
    if chosen.is_empty() {
        return problem(422, "Invalid request.");
    }
    let mut concerned = Vec::new();
    for environment in &chosen {
        let verdict = Review {
            environment: environment.id,
            state,
            by: call.login.to_owned(),
            comment: comment.to_owned(),
        };
        let now = call.request.now;
        concerned.extend(people::review(
            repo,
            id,
            environment,
            &verdict,
            now,
            ids,
            *speed,
        ));
    }
    let shaper = call.shaper(hub);
    let Some(repo) = hub.repos.get(index) else {
        return not_found();
    };
    let shapes: Vec<Value> = repo
        .deployments
        .iter()
        .filter(|deployment| concerned.contains(&deployment.id))
        .map(|deployment| shaper.deployment(repo, deployment))
        .collect();
    Reply::json(200, &Value::Array(shapes))
}

/// The environments of a run that still wait for people.
fn waiting_environments(repo: &crate::sim::github::model::Repo, run: &Run) -> Vec<Environment> {
    run.latest()
        .jobs
        .iter()
        .filter(|job| matches!(job.life, Life::Waiting { clear: false, .. }))
        .filter_map(|job| environment_of(repo, run, &job.name))
        .cloned()
        .collect()
}
