//! The questions about one pipeline, and the requests that ask them.

use std::sync::Arc;

use crate::{
    backend::{
        BackendError,
        github_actions::{
            api::{self, Api, List},
            map,
            permits::Access,
            wire,
        },
    },
    domain::{Timestamp, id::PipelineId, observation::Scope, text::Clean},
};

/// One question to GitHub.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Ask {
    /// The newest runs.
    List,
    /// What the repository lets us do.
    Access,
    /// One run.
    Run(u64),
    /// The jobs of a run's newest attempt.
    Jobs(u64),
    /// The jobs of an earlier attempt.
    Earlier(u64, u32),
    /// The environments a run waits for.
    Pending(u64),
    /// The answers people gave.
    Reviews(u64),
    /// The newest deployments of the repository.
    Deployments,
}

/// What came back.
pub(super) enum Told {
    Runs(List<wire::Run>),
    Access(Access, Timestamp),
    Run(Box<wire::Run>, Timestamp, Timestamp),
    Jobs(u64, List<wire::Job>),
    Earlier(u64, u32, List<wire::Job>),
    Pending(u64, List<wire::Pending>),
    Reviews(u64, List<wire::Review>),
    Deployments(List<wire::Deployment>),
}

/// Asks about one pipeline.
pub(super) struct Asker {
    pub(super) api: Arc<Api>,
    pub(super) pipeline: PipelineId,
    /// The one branch that makes releases, if every service names the same.
    pub(super) branch: Option<Clean>,
}

impl Asker {
    /// The scope a question is about.
    pub(super) fn scope(&self, ask: Ask) -> Scope {
        let repo = &self.pipeline.repo;
        self.api.scope(&match ask {
            Ask::List | Ask::Run(_) => return Scope::runs(&self.pipeline),
            Ask::Jobs(run) => return Scope::jobs(&map::run_id(&self.pipeline, run)),
            Ask::Access => format!("access {repo}"),
            Ask::Deployments => format!("deployments {repo}"),
            Ask::Earlier(run, attempt) => format!("jobs {repo}#{run} attempt {attempt}"),
            Ask::Pending(run) => format!("approvals {repo}#{run}"),
            Ask::Reviews(run) => format!("reviews {repo}#{run}"),
        })
    }

    /// Asks it.
    pub(super) async fn ask(&self, ask: Ask) -> Result<Told, BackendError> {
        let api = &self.api;
        let run = |id: u64| map::run_id(&self.pipeline, id);
        match ask {
            Ask::List => {
                let mut url = api.in_workflow(&self.pipeline, &["runs"]);
                // Pull requests would be most of the bytes, and are not used.
                url.set_query(Some("per_page=20&exclude_pull_requests=true"));
                if let Some(branch) = &self.branch {
                    url.query_pairs_mut().append_pair("branch", branch);
                }
                api.list(url, 1, api::runs).await.map(Told::Runs)
            }
            Ask::Access => {
                let repo = &self.pipeline.repo;
                let answer = api.get(&api.in_repo(repo, &[])).await?;
                let scopes = api.learnt().scopes;
                let access = Access::read(&answer.json()?, scopes.as_deref(), repo, answer.at);
                Ok(Told::Access(access, answer.asked))
            }
            Ask::Run(id) => {
                let answer = api.get(&api.in_run(&run(id), &[])).await?;
                Ok(Told::Run(answer.json()?, answer.asked, answer.at))
            }
            Ask::Jobs(id) => {
                let mut url = api.in_run(&run(id), &["jobs"]);
                url.set_query(Some("filter=latest&per_page=100"));
                let list = api.list(url, usize::MAX, api::jobs).await?;
                Ok(Told::Jobs(id, list))
            }
            Ask::Earlier(id, attempt) => {
                let number = attempt.to_string();
                let mut url = api.in_run(&run(id), &["attempts", &number, "jobs"]);
                url.set_query(Some("per_page=100"));
                let list = api.list(url, usize::MAX, api::jobs).await?;
                Ok(Told::Earlier(id, attempt, list))
            }
            Ask::Pending(id) => {
                let url = api.in_run(&run(id), &["pending_deployments"]);
                let list = api.list(url, usize::MAX, api::bare).await?;
                Ok(Told::Pending(id, list))
            }
            Ask::Reviews(id) => {
                let url = api.in_run(&run(id), &["approvals"]);
                let list = api.list(url, usize::MAX, api::bare).await?;
                Ok(Told::Reviews(id, list))
            }
            Ask::Deployments => {
                let mut url = api.in_repo(&self.pipeline.repo, &["deployments"]);
                url.set_query(Some("per_page=50"));
                api.list(url, 1, api::bare).await.map(Told::Deployments)
            }
        }
    }
}
