//! Fetches the log of a job once there is one.
//!
//! GitHub keeps no log of a job that still runs, and answers as if the job did
//! not exist. So the job is asked what is the matter, not the error.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::mpsc;

use crate::{
    backend::{
        BackendError, ErrorKind, Logs,
        github_actions::{api::Api, wire},
    },
    domain::{id::JobId, text::Clean},
};

/// Reads logs of one GitHub.
pub(super) struct JobLogs {
    pub(super) api: Arc<Api>,
}

#[async_trait]
impl Logs for JobLogs {
    async fn job_log(
        &self,
        job: &JobId,
        chunks: mpsc::Sender<Vec<u8>>,
    ) -> Result<(), BackendError> {
        let id = job.id.to_string();
        let path = ["actions", "jobs", &id, "logs"];
        let url = self.api.in_repo(&job.run.repo, &path);
        let mut download = match self.api.http.open(&url).await {
            Ok(download) => download,
            // Older servers fail to make an address for a log that is not there.
            Err(error) if matches!(error.kind, ErrorKind::NotFound | ErrorKind::Server) => {
                return Err(self.why_none(job, error).await);
            }
            Err(error) => return Err(error),
        };
        while let Some(chunk) = download.chunk().await? {
            if chunks.send(chunk).await.is_err() {
                // Nobody reads on.
                return Ok(());
            }
        }
        Ok(())
    }
}

impl JobLogs {
    /// Why there is no log, as the job itself tells.
    async fn why_none(&self, job: &JobId, error: BackendError) -> BackendError {
        let id = job.id.to_string();
        let url = self.api.in_repo(&job.run.repo, &["actions", "jobs", &id]);
        let told: Result<wire::Job, _> = match self.api.get(&url).await {
            Ok(answer) => answer.json(),
            Err(error) => Err(error),
        };
        let why = match told {
            Ok(job) if job.status.as_deref() != Some("completed") => {
                "GitHub keeps no live log: steps are shown, the log comes when the job ends"
            }
            Ok(job) if matches!(job.conclusion.as_deref(), Some("skipped" | "cancelled")) => {
                "a job that was skipped or cancelled may never have had a log"
            }
            Ok(_) if error.kind == ErrorKind::Server => return error,
            Ok(_) => "GitHub no longer has the log of this job",
            Err(error) if error.kind == ErrorKind::NotFound => {
                "the job is gone, or this token may not see it"
            }
            Err(error) => return error,
        };
        BackendError::new(ErrorKind::NotFound, Clean::from(why))
    }
}
