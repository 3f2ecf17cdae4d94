//! A small model registry that answers with what the real one answered, and
//! behaves as it did when several writers met.

use std::collections::BTreeMap;

use serde_json::json;

use crate::support::{
    backend::{fixture, fixture_json},
    script::{Reply, Seen},
};

/// What the registry does besides answering.
#[derive(Default)]
pub(crate) struct Registry {
    pub(crate) aliases: BTreeMap<String, u64>,
    /// After so many reads of the model somebody else moves the alias there.
    pub(crate) rival: Option<(usize, u64)>,
    /// So many reads after a write still show what was before.
    pub(crate) lag: usize,
    /// The next write loses against another first writer, who sets this.
    pub(crate) collision: Option<u64>,
    /// Writes are refused.
    pub(crate) read_only: bool,
    /// Whether the basic-auth app runs, and what it says was granted.
    pub(crate) granted: Option<&'static str>,
    pub(crate) before: BTreeMap<String, u64>,
    pub(crate) reads: usize,
    /// Reads of runs.
    pub(crate) run_reads: usize,
    /// Runs answer with this status.
    pub(crate) run_status: Option<u16>,
}

impl Registry {
    pub(crate) fn with_champion(version: u64) -> Self {
        Self {
            aliases: BTreeMap::from([("champion".to_owned(), version)]),
            ..Self::default()
        }
    }

    pub(crate) fn answer(&mut self, seen: &Seen) -> Reply {
        match seen.path() {
            "/health" => Reply::text(200, "text/plain", "OK"),
            "/version" => Reply::text(200, "text/html; charset=utf-8", "3.17.2"),
            "/api/2.0/mlflow/registered-models/get" => self.model(),
            "/api/2.0/mlflow/model-versions/search" => {
                Reply::json(200, &fixture_json("mlflow/model_versions_search.json"))
            }
            "/api/2.0/mlflow/model-versions/get" if seen.target.contains("version=99") => {
                Reply::json(404, &fixture_json("mlflow/model_versions_get_missing.json"))
            }
            "/api/2.0/mlflow/model-versions/get" => {
                let mut answer = fixture_json("mlflow/model_versions_get.json");
                let version = seen.target.split_once("version=").unwrap().1;
                answer["model_version"]["version"] = version.into();
                Reply::json(200, &answer)
            }
            "/api/2.0/mlflow/runs/get" => {
                self.run_reads += 1;
                match self.run_status {
                    Some(403) => Reply::text(
                        403,
                        "text/html; charset=utf-8",
                        &fixture("mlflow/auth/permission_denied_set_alias.txt"),
                    ),
                    Some(status) => Reply::status(status),
                    None => {
                        let mut answer = fixture_json("mlflow/runs_get.json");
                        let id = seen.target.split_once("run_id=").unwrap().1;
                        answer["run"]["info"]["run_id"] = id.into();
                        Reply::json(200, &answer)
                    }
                }
            }
            "/api/2.0/mlflow/users/current" if self.granted.is_some() => {
                Reply::json(200, &fixture_json("mlflow/auth/users_current_oncall.json"))
            }
            "/api/3.0/mlflow/users/current/permissions" if self.granted.is_some() => {
                Reply::json(200, &fixture_json(self.granted.unwrap()))
            }
            "/api/2.0/mlflow/registered-models/alias" if seen.method == "POST" => self.write(seen),
            _ => Reply::text(
                404,
                "text/html; charset=utf-8",
                &fixture("mlflow/error_unknown_endpoint.txt"),
            ),
        }
    }

    fn model(&mut self) -> Reply {
        self.reads += 1;
        let shown = if self.lag > 0 && !self.before.is_empty() {
            self.lag -= 1;
            &self.before
        } else {
            &self.aliases
        };
        let aliases: Vec<_> = shown
            .iter()
            .map(|(alias, version)| json!({"alias": alias, "version": version.to_string()}))
            .collect();
        let mut answer = fixture_json("mlflow/registered_models_get.json");
        answer["registered_model"]["aliases"] = aliases.into();
        if let Some((reads, version)) = self.rival
            && self.reads == reads
        {
            self.aliases.insert("champion".to_owned(), version);
        }
        Reply::json(200, &answer)
    }

    fn write(&mut self, seen: &Seen) -> Reply {
        if self.read_only {
            return Reply::text(
                403,
                "text/html; charset=utf-8",
                &fixture("mlflow/auth/permission_denied_set_alias.txt"),
            );
        }
        let body = seen.json();
        // The real server refuses a number here.
        let Some(version) = body["version"].as_str() else {
            return Reply::json(
                400,
                &fixture_json("mlflow/registered_models_alias_int_version.json"),
            );
        };
        let alias = body["alias"].as_str().unwrap().to_owned();
        if let Some(other) = self.collision.take() {
            self.aliases.insert(alias, other);
            return Reply::json(
                400,
                &json!({"error_code": "BAD_REQUEST", "message":
                    "(sqlite3.IntegrityError) UNIQUE constraint failed: \
                     registered_model_aliases.name, registered_model_aliases.alias"}),
            );
        }
        self.before.clone_from(&self.aliases);
        self.aliases.insert(alias, version.parse().unwrap());
        Reply::json(
            200,
            &fixture_json("mlflow/registered_models_alias_set_promote.json"),
        )
    }
}
