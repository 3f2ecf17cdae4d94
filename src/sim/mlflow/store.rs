//! What the registry holds: experiments, runs, models, versions, aliases.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::sim::{
    cause::{Dataset, Training},
    digest,
    scenario::Model as WrittenModel,
};

/// The whole registry.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    pub(crate) accounts: Vec<Account>,
    pub(crate) experiments: Vec<Experiment>,
    /// Newest last.
    pub(crate) runs: Vec<Run>,
    pub(crate) models: Vec<Model>,
    /// Changes made through the API, oldest first.
    pub(crate) acts: Vec<String>,
}

/// Someone who may ask.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    pub(crate) login: String,
    pub(crate) token: String,
    pub(crate) may_write: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct Experiment {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) created: i64,
}

#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) id: String,
    pub(crate) experiment: String,
    pub(crate) name: String,
    pub(crate) user: String,
    pub(crate) status: &'static str,
    pub(crate) start: i64,
    pub(crate) end: Option<i64>,
    pub(crate) metrics: Vec<Metric>,
    pub(crate) params: BTreeMap<String, String>,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) datasets: Vec<Dataset>,
    /// The logged model it produced.
    pub(crate) logged_model: Option<String>,
}

#[derive(Debug, Clone)]
pub(crate) struct Metric {
    pub(crate) key: String,
    pub(crate) value: f64,
    pub(crate) at: i64,
    pub(crate) step: i64,
}

#[derive(Debug, Clone)]
pub(crate) struct Model {
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) experiment: String,
    pub(crate) created: i64,
    pub(crate) updated: i64,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) aliases: BTreeMap<String, u32>,
    /// Oldest first.
    pub(crate) versions: Vec<Version>,
}

#[derive(Debug, Clone)]
pub(crate) struct Version {
    pub(crate) number: u32,
    pub(crate) created: i64,
    pub(crate) updated: i64,
    pub(crate) description: String,
    pub(crate) source: String,
    pub(crate) run: String,
    pub(crate) tags: BTreeMap<String, String>,
}

/// Where a training came from.
#[derive(Debug, Clone, Default)]
pub(crate) struct Provenance {
    pub(crate) sha: String,
    pub(crate) branch: String,
    pub(crate) author: String,
    /// Address of the pipeline run.
    pub(crate) run_url: String,
}

impl Registry {
    /// A registry with the models of a scenario and their old versions.
    pub(crate) fn seeded(
        models: &[WrittenModel],
        accounts: Vec<Account>,
        begins: DateTime<Utc>,
        when: impl Fn(f64) -> DateTime<Utc>,
    ) -> Self {
        let mut registry = Self {
            accounts,
            ..Self::default()
        };
        let long_ago = (begins - chrono::TimeDelta::days(300)).timestamp_millis();
        registry.experiments.push(Experiment {
            id: "0".to_owned(),
            name: "Default".to_owned(),
            created: long_ago,
        });
        for written in models {
            let experiment = written
                .experiment
                .clone()
                .unwrap_or_else(|| written.name.clone());
            registry.experiment(&experiment, long_ago);
            registry.models.push(Model {
                name: written.name.clone(),
                description: written.description.clone(),
                experiment,
                created: long_ago,
                updated: long_ago,
                tags: written.tags.clone(),
                aliases: BTreeMap::new(),
                versions: Vec::new(),
            });
            for version in &written.version {
                let provenance = Provenance {
                    sha: version.sha.clone(),
                    branch: version.branch.clone(),
                    author: version.author.clone(),
                    run_url: String::new(),
                };
                registry.register(&version.training, &provenance, when(version.s));
            }
            for (alias, version) in &written.aliases {
                registry.set_alias(&written.name, alias, *version);
            }
        }
        registry
    }

    /// The id of an experiment, which is made if it is missing.
    fn experiment(&mut self, name: &str, at: i64) -> String {
        if let Some(found) = self
            .experiments
            .iter()
            .find(|experiment| experiment.name == name)
        {
            return found.id.clone();
        }
        let id = self.experiments.len().to_string();
        self.experiments.push(Experiment {
            id: id.clone(),
            name: name.to_owned(),
            created: at,
        });
        id
    }

    /// Records a training run and registers what it made.
    ///
    /// Returns the version number; `None` if the model is unknown.
    pub(crate) fn register(
        &mut self,
        training: &Training,
        provenance: &Provenance,
        at: DateTime<Utc>,
    ) -> Option<(u32, String)> {
        let now = at.timestamp_millis();
        let model = self
            .models
            .iter()
            .position(|model| model.name == training.model)?;
        let experiment_name = self.models.get(model)?.experiment.clone();
        let experiment = self.experiment(&experiment_name, now);
        let number = training.version.unwrap_or_else(|| {
            let last = self
                .models
                .get(model)
                .and_then(|model| model.versions.last());
            last.map_or(1, |version| version.number + 1)
        });
        let words = format!("{} {number} {} {now}", training.model, provenance.sha);
        let run_id = digest::short(&format!("run {words}"), 32);
        let logged = format!("m-{}", digest::short(&format!("model {words}"), 32));
        if !training.without_run {
            let run = run_of(training, provenance, &experiment, &run_id, &logged, now);
            self.runs.push(run);
        }
        let mut tags = training.tags.clone();
        if !training.without_commit && !provenance.sha.is_empty() {
            tags.entry("git_sha".to_owned())
                .or_insert_with(|| provenance.sha.clone());
        }
        let model = self.models.get_mut(model)?;
        let bare = format!("s3://acme-models/{}/{number}", model.name);
        model.updated = model.updated.max(now);
        model.versions.push(Version {
            number,
            created: now,
            updated: now,
            description: training.description.clone().unwrap_or_default(),
            source: if training.without_run {
                bare
            } else {
                format!("models:/{logged}")
            },
            run: if training.without_run {
                String::new()
            } else {
                run_id.clone()
            },
            tags,
        });
        Some((number, run_id))
    }

    /// Points an alias at a version, whatever it pointed at before.
    ///
    /// A real server does not touch the model's own stamp when it does this.
    pub(crate) fn set_alias(&mut self, model: &str, alias: &str, version: u32) {
        if let Some(model) = self.models.iter_mut().find(|other| other.name == model) {
            model.aliases.insert(alias.to_owned(), version);
        }
    }

    /// The newest version made from a commit, and its run.
    pub(crate) fn version_of_commit(&self, model: &str, sha: &str) -> Option<(u32, String)> {
        let from = |version: &&Version| version.tags.get("git_sha").is_some_and(|tag| tag == sha);
        let version = self.model(model)?.versions.iter().rev().find(from)?;
        Some((version.number, version.run.clone()))
    }

    pub(crate) fn model(&self, name: &str) -> Option<&Model> {
        self.models.iter().find(|model| model.name == name)
    }

    pub(crate) fn run(&self, id: &str) -> Option<&Run> {
        self.runs.iter().find(|run| run.id == id)
    }

    /// The version a logged model was registered as.
    pub(crate) fn version_of_logged(&self, logged: &str) -> Option<(&Model, &Version)> {
        let source = format!("models:/{logged}");
        self.models.iter().find_map(|model| {
            let version = model
                .versions
                .iter()
                .find(|version| version.source == source)?;
            Some((model, version))
        })
    }
}

impl Model {
    pub(crate) fn version(&self, number: u32) -> Option<&Version> {
        self.versions
            .iter()
            .find(|version| version.number == number)
    }

    /// Aliases that point at a version.
    pub(crate) fn aliases_of(&self, number: u32) -> Vec<&str> {
        self.aliases
            .iter()
            .filter(|(_, version)| **version == number)
            .map(|(alias, _)| alias.as_str())
            .collect()
    }
}

fn run_of(
    training: &Training,
    provenance: &Provenance,
    experiment: &str,
    id: &str,
    logged: &str,
    now: i64,
) -> Run {
    let name = training.run_name.clone().unwrap_or_else(|| {
        format!(
            "{}-{}",
            training.model,
            provenance.sha.chars().take(7).collect::<String>()
        )
    });
    let author = if provenance.author.is_empty() {
        "ci"
    } else {
        &provenance.author
    };
    let mut tags = training.run_tags.clone();
    let standard = [
        ("mlflow.user", author.to_owned()),
        ("mlflow.source.name", "train.py".to_owned()),
        ("mlflow.source.type", "JOB".to_owned()),
        ("mlflow.runName", name.clone()),
        ("mlflow.source.git.commit", provenance.sha.clone()),
        ("git.branch", provenance.branch.clone()),
        ("ci.run_url", provenance.run_url.clone()),
    ];
    for (key, value) in standard {
        let placed = training.without_commit && key.contains("git");
        if !value.is_empty() && !placed {
            tags.entry(key.to_owned()).or_insert(value);
        }
    }
    let metrics = training
        .metrics
        .iter()
        .map(|(key, value)| Metric {
            key: key.clone(),
            value: *value,
            at: now,
            step: 0,
        })
        .collect();
    Run {
        id: id.to_owned(),
        experiment: experiment.to_owned(),
        name,
        user: author.to_owned(),
        status: "FINISHED",
        start: now - 41 * 60 * 1000,
        end: Some(now),
        metrics,
        params: training.params.clone(),
        tags,
        datasets: training.datasets.clone(),
        logged_model: Some(logged.to_owned()),
    }
}
