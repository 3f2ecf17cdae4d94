//! GitHub's answers as far as they are used. Tolerant on purpose: what is not
//! needed may be missing or new, and one object that cannot be read does not
//! take its neighbours with it.

use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::Value;

use crate::domain::Timestamp;

/// A list in an envelope. The count beside it is not used: it is an estimate
/// on large repositories.
#[derive(Deserialize)]
pub(super) struct Runs {
    #[serde(rename = "workflow_runs")]
    pub(super) items: Vec<Value>,
}

/// A list in an envelope; relatives of GitHub name it differently.
#[derive(Deserialize)]
pub(super) struct Jobs {
    #[serde(rename = "jobs", alias = "workflow_jobs")]
    pub(super) items: Vec<Value>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Run {
    pub(super) id: u64,
    pub(super) name: Option<String>,
    pub(super) display_title: Option<String>,
    #[serde(rename = "run_number", default)]
    pub(super) number: u64,
    #[serde(rename = "run_attempt")]
    attempt: Option<u32>,
    pub(super) event: Option<String>,
    pub(super) status: Option<String>,
    pub(super) conclusion: Option<String>,
    pub(super) head_branch: Option<String>,
    pub(super) head_sha: String,
    pub(super) path: Option<String>,
    pub(super) html_url: Option<String>,
    pub(super) actor: Option<User>,
    pub(super) triggering_actor: Option<User>,
    #[serde(default, deserialize_with = "time")]
    pub(super) created_at: Option<Timestamp>,
    #[serde(rename = "run_started_at", default, deserialize_with = "time")]
    pub(super) started_at: Option<Timestamp>,
    #[serde(default, deserialize_with = "time")]
    pub(super) updated_at: Option<Timestamp>,
}

impl Run {
    /// The attempt; servers that know no attempts are at the first.
    pub(super) fn attempt(&self) -> u32 {
        self.attempt.unwrap_or(1).max(1)
    }

    /// Whether it is over. A run of a fork that waits for a maintainer is
    /// `completed` too.
    pub(super) fn is_completed(&self) -> bool {
        self.status.as_deref() == Some("completed")
    }
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct User {
    pub(super) login: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Job {
    pub(super) id: u64,
    pub(super) run_attempt: Option<u32>,
    pub(super) name: Option<String>,
    pub(super) status: Option<String>,
    pub(super) conclusion: Option<String>,
    pub(super) html_url: Option<String>,
    pub(super) runner_name: Option<String>,
    #[serde(default, deserialize_with = "time")]
    pub(super) started_at: Option<Timestamp>,
    #[serde(default, deserialize_with = "time")]
    pub(super) completed_at: Option<Timestamp>,
    #[serde(default, deserialize_with = "or_empty")]
    pub(super) steps: Vec<Step>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Step {
    #[serde(default)]
    pub(super) number: u32,
    pub(super) name: Option<String>,
    pub(super) status: Option<String>,
    pub(super) conclusion: Option<String>,
    #[serde(default, deserialize_with = "time")]
    pub(super) started_at: Option<Timestamp>,
    #[serde(default, deserialize_with = "time")]
    pub(super) completed_at: Option<Timestamp>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Pending {
    pub(super) environment: Environment,
    /// In minutes.
    #[serde(default, deserialize_with = "or_empty")]
    pub(super) wait_timer: u32,
    #[serde(default, deserialize_with = "time")]
    pub(super) wait_timer_started_at: Option<Timestamp>,
    pub(super) current_user_can_approve: Option<bool>,
    #[serde(default, deserialize_with = "or_empty")]
    pub(super) reviewers: Vec<Reviewer>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Environment {
    pub(super) id: u64,
    pub(super) name: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Reviewer {
    #[serde(rename = "reviewer")]
    pub(super) who: Option<Who>,
}

/// A user has a login, a team a slug.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Who {
    pub(super) login: Option<String>,
    pub(super) slug: Option<String>,
    pub(super) name: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Review {
    pub(super) state: String,
    pub(super) comment: Option<String>,
    pub(super) user: Option<User>,
    #[serde(default, deserialize_with = "or_empty")]
    pub(super) environments: Vec<Environment>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Deployment {
    pub(super) sha: String,
    /// What the creator liked to say: an object, or text that may be JSON.
    #[serde(default)]
    pub(super) payload: Value,
    pub(super) description: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Repository {
    #[serde(default)]
    pub(super) private: bool,
    #[serde(default)]
    pub(super) archived: bool,
    pub(super) permissions: Option<Permissions>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Permissions {
    #[serde(default)]
    pub(super) push: bool,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Workflow {
    pub(super) name: Option<String>,
    pub(super) state: Option<String>,
}

/// What a dispatch answers where the server tells which run it made.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Dispatched {
    pub(super) workflow_run_id: u64,
}

/// The items that can be read, and why the first of the others cannot.
pub(super) fn each<T: DeserializeOwned>(items: Vec<Value>) -> (Vec<T>, Option<String>) {
    let mut read = Vec::with_capacity(items.len());
    let mut trouble = None;
    for item in items {
        match serde_json::from_value(item) {
            Ok(item) => read.push(item),
            Err(error) => {
                trouble.get_or_insert_with(|| error.to_string());
            }
        }
    }
    (read, trouble)
}

/// A time that may be missing, empty, nonsense or "unset" (the year 1).
fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    let Value::String(text) = Value::deserialize(deserializer)? else {
        return Ok(None);
    };
    let time = chrono::DateTime::parse_from_rfc3339(&text).ok();
    Ok(time
        .map(|time| time.to_utc())
        .filter(|time| time.timestamp() > 0))
}

/// `null` and absence mean the same.
fn or_empty<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
