//! Finds what a scenario refers to and does not define.

use crate::sim::scenario::{
    ScenarioError,
    file::{At, Behaviour, File, Repo, Traffic, Workflow},
    resolve::Source,
};

type Checked = Result<(), ScenarioError>;

/// Refuses a scenario whose names or numbers do not hold together.
pub(crate) fn check(source: &Source<'_>, file: &File) -> Checked {
    for repo in &file.repo {
        check_repo(source, file, repo)?;
    }
    for traffic in &file.traffic {
        check_traffic(source, traffic)?;
    }
    for at in &file.at {
        check_moment(source, file, at)?;
    }
    if file.focus.is_some() && file.persona.is_empty() {
        let remedy = "add a `[[persona]]`; the first is who the demo is opened as";
        return Err(source.error("", "nobody has credentials".to_owned(), remedy));
    }
    if let Some(focus) = &file.focus {
        let repo = repo_called(source, file, &focus.repo)?;
        if !repo
            .workflow
            .iter()
            .any(|workflow| workflow.file == focus.workflow)
        {
            let why = format!(
                "`focus.workflow` names `{}`, which `{}` lacks",
                focus.workflow, focus.repo
            );
            return Err(source.error(
                &focus.workflow,
                why,
                "name a workflow file of the repository",
            ));
        }
        model_called(source, file, &focus.model)?;
    }
    Ok(())
}

fn check_repo(source: &Source<'_>, file: &File, repo: &Repo) -> Checked {
    let parts: Vec<&str> = repo.name.split('/').collect();
    if parts.len() != 2 || parts.iter().any(|part| part.is_empty()) {
        let why = format!("repository `{}` is not written owner/name", repo.name);
        return Err(source.error(&repo.name, why, "write it as in a GitHub address"));
    }
    for environment in &repo.environment {
        for slug in &environment.teams {
            if !repo.team.iter().any(|team| team.slug == *slug) {
                let why = format!(
                    "environment `{}` is reviewed by team `{slug}`, which is not defined",
                    environment.name
                );
                return Err(source.error(slug, why, "add a `[[repo.team]]` with this slug"));
            }
        }
    }
    repo.workflow
        .iter()
        .try_for_each(|workflow| check_workflow(source, file, repo, workflow))
}

fn check_workflow(source: &Source<'_>, file: &File, repo: &Repo, workflow: &Workflow) -> Checked {
    for (place, job) in workflow.job.iter().enumerate() {
        let earlier = workflow.job.get(..place).unwrap_or_default();
        for need in &job.needs {
            if !earlier.iter().any(|other| other.name == *need) {
                let why = format!(
                    "job `{}` needs `{need}`, which no job before it is called",
                    job.name
                );
                return Err(source.error(need, why, "define the job it needs above it"));
            }
        }
        if earlier.iter().any(|other| other.name == job.name) {
            let why = format!("two jobs are called `{}`", job.name);
            return Err(source.error(&job.name, why, "give each job its own name"));
        }
        if let Some(environment) = &job.environment
            && !repo
                .environment
                .iter()
                .any(|other| other.name == *environment)
        {
            let why = format!(
                "job `{}` deploys to `{environment}`, which is not defined",
                job.name
            );
            return Err(source.error(environment, why, "add a `[[repo.environment]]`"));
        }
        if let Some(model) = &job.registers {
            model_called(source, file, model)?;
        }
        let durations = job.step.iter().map(|step| step.seconds).chain([job.queue]);
        for seconds in durations {
            if !(seconds.is_finite() && seconds >= 0.0) {
                let why = format!("a duration of job `{}` is {seconds}", job.name);
                return Err(source.error(&job.name, why, "write seconds, 0 or more"));
            }
        }
    }
    Ok(())
}

fn check_traffic(source: &Source<'_>, traffic: &Traffic) -> Checked {
    let share = |value: f64| (0.0..=1.0).contains(&value);
    let amount = |value: f64| value.is_finite() && value >= 0.0;
    let version_good = |version: &Behaviour| {
        version.error_ratio.is_none_or(share)
            && version.latency_factor.is_none_or(amount)
            && amount(version.from_weight)
    };
    let good = amount(traffic.requests_per_second)
        && amount(traffic.latency_p95_ms)
        && share(traffic.error_ratio)
        && traffic.version.iter().all(version_good);
    if good {
        return Ok(());
    }
    let why = format!("traffic `{}` has a number that cannot be", traffic.name);
    Err(source.error(
        &traffic.name,
        why,
        "ratios are 0 to 1, everything else 0 or more",
    ))
}

fn check_moment(source: &Source<'_>, file: &File, at: &At) -> Checked {
    if !at.s.is_finite()
        || at
            .every
            .is_some_and(|every| !(every.is_finite() && every >= 1.0))
    {
        let why = format!("the moment at s = {} has no usable time", at.s);
        return Err(source.error("", why, "`s` is seconds from the start, `every` at least 1"));
    }
    if let Some(push) = &at.push {
        let repo = repo_called(source, file, &push.repo)?;
        for training in &push.training {
            model_called(source, file, &training.model)?;
        }
        for failure in &push.failure {
            let known = repo.workflow.iter().flat_map(|workflow| &workflow.job);
            if !known.into_iter().any(|job| job.name == failure.job) {
                let why = format!(
                    "a push lets job `{}` fail, which `{}` lacks",
                    failure.job, push.repo
                );
                return Err(source.error(&failure.job, why, "name a job of the repository"));
            }
        }
        if let Some(sha) = &push.sha
            && (sha.len() != 40 || !sha.bytes().all(|byte| byte.is_ascii_hexdigit()))
        {
            let why = format!("`{sha}` is no commit id");
            return Err(source.error(sha, why, "write forty hex digits, or leave `sha` out"));
        }
    }
    for answer in [&at.approve, &at.reject].into_iter().flatten() {
        let repo = repo_called(source, file, &answer.repo)?;
        if !repo
            .environment
            .iter()
            .any(|other| other.name == answer.environment)
        {
            let why = format!(
                "`{}` has no environment `{}`",
                answer.repo, answer.environment
            );
            return Err(source.error(
                &answer.environment,
                why,
                "name an environment of the repository",
            ));
        }
    }
    if let Some(rerun) = &at.rerun {
        repo_called(source, file, &rerun.repo)?;
    }
    if let Some(alias) = &at.alias {
        model_called(source, file, &alias.model)?;
    }
    if let Some(version) = &at.register {
        model_called(source, file, &version.training.model)?;
    }
    let traffic = at.shape.as_ref().map(|shape| &shape.traffic);
    let silent = at.silence.as_ref().map(|silence| &silence.traffic);
    for name in traffic.into_iter().chain(silent) {
        if !file.traffic.iter().any(|other| other.name == *name) {
            let why = format!("no traffic is called `{name}`");
            return Err(source.error(name, why, "name a `[[traffic]]` of the scenario"));
        }
    }
    Ok(())
}

fn repo_called<'a>(
    source: &Source<'_>,
    file: &'a File,
    name: &str,
) -> Result<&'a Repo, ScenarioError> {
    file.repo
        .iter()
        .find(|repo| repo.name == name)
        .ok_or_else(|| {
            let why = format!("no repository is called `{name}`");
            source.error(name, why, "add a `[[repo]]`, or name one that is there")
        })
}

fn model_called(source: &Source<'_>, file: &File, name: &str) -> Checked {
    if file.model.iter().any(|model| model.name == name) {
        return Ok(());
    }
    let why = format!("no registered model is called `{name}`");
    Err(source.error(name, why, "add a `[[model]]`, or name one that is there"))
}
