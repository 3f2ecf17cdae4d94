//! Makes a GitHub from a scenario.

use std::time::Duration;

use chrono::TimeDelta;

use crate::sim::{
    cause::Effect,
    github::model::{Environment, Hub, JobSpec, Person, Repo, StepSpec, Team, Time, Workflow},
    scenario::{self, Scenario},
};

/// How long the repositories have been there, in days.
const AGE_DAYS: i64 = 412;

/// A GitHub as it is before anything was pushed.
///
/// `token_of` gives the token of a persona; people without one can still be
/// named as authors and reviewers.
pub(crate) fn hub(
    scenario: &Scenario,
    speed: f64,
    begins: Time,
    web: String,
    token_of: impl Fn(&str) -> String,
) -> Hub {
    let mut hub = Hub::new(speed, web);
    let since = begins - TimeDelta::days(AGE_DAYS);
    for persona in &scenario.personas {
        let id = 100_000 + hub.ids.mint() % 9_000_000;
        hub.people.push(Person {
            id,
            login: persona.login.clone(),
            name: persona.name.clone(),
            email: format!("{}@acme.example", persona.login),
            token: Some(token_of(&persona.login)),
            may_write: persona.may_write,
        });
    }
    for (login, name) in &scenario.people {
        let id = 100_000 + hub.ids.mint() % 9_000_000;
        hub.people.push(Person {
            id,
            login: login.clone(),
            name: name.clone(),
            email: format!("{login}@acme.example"),
            token: None,
            may_write: true,
        });
    }
    for written in &scenario.repos {
        let repo = repo(&mut hub, written, since);
        hub.repos.push(repo);
    }
    hub
}

fn repo(hub: &mut Hub, written: &scenario::Repo, since: Time) -> Repo {
    let (owner, name) = written
        .name
        .split_once('/')
        .unwrap_or(("acme", &written.name));
    let teams = written
        .team
        .iter()
        .map(|team| Team {
            id: hub.ids.mint() % 9_000_000,
            slug: team.slug.clone(),
            members: team.members.clone(),
        })
        .collect();
    let environments = written
        .environment
        .iter()
        .map(|environment| Environment {
            id: hub.ids.mint(),
            name: environment.name.clone(),
            reviewers: environment.reviewers.clone(),
            teams: environment.teams.clone(),
            wait_minutes: environment.wait_minutes,
            prevent_self_review: environment.prevent_self_review,
            created_at: since,
        })
        .collect();
    let workflows = written
        .workflow
        .iter()
        .map(|workflow| Workflow {
            id: hub.ids.mint() % 900_000_000,
            name: workflow.name.clone(),
            file: workflow.file.clone(),
            on: workflow.on.clone(),
            jobs: workflow.job.iter().map(job).collect(),
            created_at: since,
            numbered: workflow.numbered,
        })
        .collect();
    Repo {
        id: hub.ids.mint() % 900_000_000,
        owner: owner.to_owned(),
        name: name.to_owned(),
        description: written.description.clone(),
        default_branch: written.default_branch.clone(),
        created_at: since,
        commits: Vec::new(),
        environments,
        teams,
        workflows,
        runs: Vec::new(),
        deployments: Vec::new(),
    }
}

fn job(written: &scenario::Job) -> JobSpec {
    let mut effects = Vec::new();
    effects.extend(
        written
            .registers
            .clone()
            .map(|model| Effect::Register { model }),
    );
    effects.extend(written.patch.iter().cloned().map(Effect::Patch));
    JobSpec {
        name: written.name.clone(),
        needs: written.needs.clone(),
        environment: written.environment.clone(),
        labels: written.labels.clone(),
        queue: seconds(written.queue),
        steps: written
            .step
            .iter()
            .map(|step| StepSpec {
                name: step.name.clone(),
                takes: seconds(step.seconds),
                log: step.log.clone(),
            })
            .collect(),
        effects,
        artifacts: written
            .artifact
            .iter()
            .map(|artifact| (artifact.name.clone(), artifact.bytes))
            .collect(),
    }
}

fn seconds(written: f64) -> Duration {
    Duration::try_from_secs_f64(written).unwrap_or_default()
}
