//! The endpoints that look.

use serde_json::{Value, json};

use crate::sim::{
    github::{
        api::{Call, not_found, page, problem},
        logs,
        model::{Attempt, Hub, Job, Repo, Run},
        shape::Shaper,
        shape_runs::spec_of,
    },
    http::Reply,
};

/// Answers a GET.
pub(crate) fn answer(hub: &Hub, call: &Call<'_>, segments: &[&str]) -> Reply {
    let shaper = call.shaper(hub);
    match segments {
        [] => Reply::json(
            200,
            &json!({
                "current_user_url": format!("{}/user", call.api),
                "rate_limit_url": format!("{}/rate_limit", call.api),
                "repository_url": format!("{}/repos/{{owner}}/{{repo}}", call.api),
            }),
        ),
        ["versions"] => Reply::json(200, &json!(["2022-11-28", "2026-03-10"])),
        ["meta"] => Reply::json(200, &json!({"verifiable_password_authentication": false})),
        ["user"] => {
            let since = hub.repos.iter().map(|repo| repo.created_at).min();
            Reply::json(
                200,
                &shaper.me(call.login, since.unwrap_or(call.request.now)),
            )
        }
        ["user", "repos"] => {
            let repos = hub
                .repos
                .iter()
                .map(|repo| shaper.repo_full(repo, call.login))
                .collect();
            page(call, repos, None)
        }
        ["users", login] => hub.person(login).map_or_else(not_found, |person| {
            let since = hub.repos.iter().map(|repo| repo.created_at).min();
            Reply::json(
                200,
                &shaper.me(&person.login, since.unwrap_or(call.request.now)),
            )
        }),
        ["repos", owner, name, rest @ ..] => hub
            .repo(owner, name)
            .map_or_else(not_found, |repo| in_repo(&shaper, call, repo, rest)),
        _ => not_found(),
    }
}

fn in_repo(shaper: &Shaper<'_>, call: &Call<'_>, repo: &Repo, rest: &[&str]) -> Reply {
    match rest {
        [] => Reply::json(200, &shaper.repo_full(repo, call.login)),
        ["actions", "workflows"] => {
            let all = repo
                .workflows
                .iter()
                .map(|w| shaper.workflow(repo, w))
                .collect();
            page(call, all, Some("workflows"))
        }
        ["actions", "workflows", name] => {
            repo.workflow_named(name).map_or_else(not_found, |found| {
                Reply::json(200, &shaper.workflow(repo, found))
            })
        }
        ["actions", "workflows", name, "runs"] => repo
            .workflow_named(name)
            .map_or_else(not_found, |found| runs(shaper, call, repo, Some(found.id))),
        ["actions", "runs"] => runs(shaper, call, repo, None),
        ["actions", "runs", id, rest @ ..] => id
            .parse()
            .ok()
            .and_then(|id| repo.run(id))
            .map_or_else(not_found, |run| in_run(shaper, call, repo, run, rest)),
        ["actions", "jobs", id, rest @ ..] => {
            find_job(repo, id).map_or_else(not_found, |(run, attempt, job)| match rest {
                [] => Reply::json(200, &shaper.job(repo, run, attempt.number, job)),
                ["logs"] => log(shaper, call, repo, run, job),
                _ => not_found(),
            })
        }
        ["actions", "artifacts"] => {
            let all = repo
                .runs
                .iter()
                .rev()
                .flat_map(|run| shaper.artifacts(repo, run))
                .collect();
            page(call, named(call, all), Some("artifacts"))
        }
        ["environments"] => {
            let all = repo
                .environments
                .iter()
                .map(|e| shaper.environment(repo, e))
                .collect();
            page(call, all, Some("environments"))
        }
        ["environments", name] => repo.environment(name).map_or_else(not_found, |found| {
            Reply::json(200, &shaper.environment(repo, found))
        }),
        ["deployments", rest @ ..] => deployments(shaper, call, repo, rest),
        ["branches"] => {
            let all = repo.branches();
            page(
                call,
                all.iter()
                    .filter_map(|b| shaper.branch(repo, b, false))
                    .collect(),
                None,
            )
        }
        ["branches", name @ ..] => shaper.branch(repo, &name.join("/"), true).map_or_else(
            || problem(404, "Branch not found"),
            |branch| Reply::json(200, &branch),
        ),
        ["commits", rest @ ..] => commits(shaper, call, repo, rest),
        ["check-runs", id] => find_job(repo, id).map_or_else(not_found, |(run, _, job)| {
            Reply::json(200, &shaper.check_run(repo, run, job))
        }),
        ["check-runs", id, "annotations"] => {
            find_job(repo, id).map_or_else(not_found, |_| page(call, Vec::new(), None))
        }
        _ => not_found(),
    }
}

fn runs(shaper: &Shaper<'_>, call: &Call<'_>, repo: &Repo, workflow: Option<u64>) -> Reply {
    let wants = |name: &str, value: &str| call.request.param(name).is_none_or(|want| want == value);
    let matches = |run: &&Run| {
        let (status, conclusion) = run.latest().state(call.request.now);
        workflow.is_none_or(|id| id == run.workflow)
            && wants("branch", &run.branch)
            && wants("event", &run.event)
            && wants("head_sha", &run.sha)
            && wants("actor", &run.actor)
            && wants("check_suite_id", &run.suite.to_string())
            && (wants("status", status)
                || conclusion.is_some_and(|conclusion| wants("status", conclusion)))
    };
    let all = repo
        .runs
        .iter()
        .rev()
        .filter(matches)
        .map(|run| shaper.run(repo, run, run.latest()))
        .collect();
    page(call, all, Some("workflow_runs"))
}

fn in_run(shaper: &Shaper<'_>, call: &Call<'_>, repo: &Repo, run: &Run, rest: &[&str]) -> Reply {
    let jobs = |attempt: &Attempt| -> Vec<Value> {
        attempt
            .jobs
            .iter()
            .map(|job| shaper.job(repo, run, attempt.number, job))
            .collect()
    };
    let attempt = |number: &str| number.parse().ok().and_then(|number| run.attempt(number));
    match rest {
        [] => Reply::json(200, &shaper.run(repo, run, run.latest())),
        ["jobs"] => {
            let all = if call.request.param("filter") == Some("all") {
                run.attempts.iter().rev().flat_map(jobs).collect()
            } else {
                jobs(run.latest())
            };
            page(call, all, Some("jobs"))
        }
        ["attempts", number] => attempt(number).map_or_else(not_found, |found| {
            Reply::json(200, &shaper.run(repo, run, found))
        }),
        ["attempts", number, "jobs"] => {
            attempt(number).map_or_else(not_found, |found| page(call, jobs(found), Some("jobs")))
        }
        ["artifacts"] => page(
            call,
            named(call, shaper.artifacts(repo, run)),
            Some("artifacts"),
        ),
        ["pending_deployments"] => {
            Reply::json(200, &Value::Array(shaper.pending(repo, run, call.login)))
        }
        ["approvals"] => {
            let all = run
                .reviews
                .iter()
                .map(|review| shaper.review(repo, review))
                .collect();
            Reply::json(200, &Value::Array(all))
        }
        _ => not_found(),
    }
}

fn named(call: &Call<'_>, artifacts: Vec<Value>) -> Vec<Value> {
    let Some(name) = call.request.param("name") else {
        return artifacts;
    };
    artifacts
        .into_iter()
        .filter(|artifact| artifact.get("name") == Some(&json!(name)))
        .collect()
}

fn find_job<'a>(repo: &'a Repo, id: &str) -> Option<(&'a Run, &'a Attempt, &'a Job)> {
    let id: u64 = id.parse().ok()?;
    repo.runs.iter().find_map(|run| {
        run.attempts.iter().find_map(|attempt| {
            let job = attempt.jobs.iter().find(|job| job.id == id)?;
            Some((run, attempt, job))
        })
    })
}

/// A redirect to the log of a job that is over; before that there is none.
fn log(shaper: &Shaper<'_>, call: &Call<'_>, repo: &Repo, run: &Run, job: &Job) -> Reply {
    let spec = spec_of(repo, run, &job.name);
    let ran = job.conclusion().is_some()
        && crate::sim::github::shape_runs::started(job, shaper.now).is_some();
    let Some(spec) = spec.filter(|_| ran) else {
        let body = "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><Error>\
                    <Code>BlobNotFound</Code><Message>The specified blob does not exist.\
                    </Message></Error>";
        return Reply::typed(404, "application/xml", body);
    };
    let text = logs::text(shaper.hub, job, spec, shaper.now);
    let target = call.logs.sign(job.id, text.into(), shaper.now);
    Reply::empty(302).with("location", target)
}

fn deployments(shaper: &Shaper<'_>, call: &Call<'_>, repo: &Repo, rest: &[&str]) -> Reply {
    let find = |id: &str| {
        let id: u64 = id.parse().ok()?;
        repo.deployments
            .iter()
            .find(|deployment| deployment.id == id)
    };
    match rest {
        [] => {
            let wants =
                |name: &str, value: &str| call.request.param(name).is_none_or(|want| want == value);
            let all = repo
                .deployments
                .iter()
                .rev()
                .filter(|deployment| {
                    wants("sha", &deployment.sha)
                        && wants("ref", &deployment.branch)
                        && wants("environment", &deployment.environment)
                        && wants("task", "deploy")
                })
                .map(|deployment| shaper.deployment(repo, deployment))
                .collect();
            page(call, all, None)
        }
        [id] => find(id).map_or_else(not_found, |found| {
            Reply::json(200, &shaper.deployment(repo, found))
        }),
        [id, "statuses"] => find(id).map_or_else(not_found, |found| {
            page(call, shaper.deployment_statuses(repo, found), None)
        }),
        _ => not_found(),
    }
}

fn commits(shaper: &Shaper<'_>, call: &Call<'_>, repo: &Repo, rest: &[&str]) -> Reply {
    let find = |reference: &str| repo.commit(reference);
    let missing = || problem(422, "No commit found for the given reference");
    match rest {
        [] => {
            let branch = call.request.param("sha").unwrap_or(&repo.default_branch);
            let all = repo
                .commits
                .iter()
                .rev()
                .filter(|commit| commit.branch == branch || commit.sha == branch)
                .map(|commit| shaper.commit(repo, commit))
                .collect();
            page(call, all, None)
        }
        [reference @ .., "check-runs"] => find(&reference.join("/")).map_or_else(missing, |c| {
            let all = repo
                .runs
                .iter()
                .filter(|run| run.sha == c.sha)
                .flat_map(|run| run.latest().jobs.iter().map(move |job| (run, job)))
                .map(|(run, job)| shaper.check_run(repo, run, job))
                .collect();
            page(call, all, Some("check_runs"))
        }),
        [reference @ .., "status"] => find(&reference.join("/")).map_or_else(missing, |commit| {
            let url = format!(
                "{}/repos/{}/commits/{}",
                call.api,
                repo.full_name(),
                commit.sha
            );
            Reply::json(
                200,
                &json!({
                    "state": "pending", "statuses": [], "sha": commit.sha, "total_count": 0,
                    "repository": shaper.repo_minimal(repo),
                    "commit_url": url, "url": format!("{url}/status"),
                }),
            )
        }),
        [reference, "pulls"] => {
            find(reference).map_or_else(missing, |_| page(call, Vec::new(), None))
        }
        reference => find(&reference.join("/")).map_or_else(missing, |found| {
            Reply::json(200, &shaper.commit(repo, found))
        }),
    }
}
