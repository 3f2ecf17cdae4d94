//! Reads one registered model: aliases, versions, and the runs behind them.
//!
//! `model NAME` is read whole every time, because what is promoted and rolled
//! back hangs on it. Each run is a scope of its own (`model NAME run v42`): it
//! costs a request, near half a second on a server with passwords, so one that
//! has ended is read every second time only; and one that cannot be read takes
//! nothing with it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use futures::{StreamExt, future, stream};

use crate::{
    backend::{
        BackendError, ErrorKind, Focus, Now, Poll, answered,
        mlflow::{api::Api, denials::Denials, map},
    },
    domain::{
        id::{ModelId, Version},
        model::{ModelRunStatus, ModelVersion, RegisteredModel},
        observation::{Batch, Fact, Failure, Observation, Scope},
        text::Clean,
    },
};

/// The newest versions that are listed.
const LISTED: usize = 20;
/// Versions with an alias that are read one by one because they are older.
const ALIASED: usize = 10;
/// The newest versions whose runs are read.
const RUNS_OF_NEWEST: usize = 5;
/// Runs that are read in all.
const RUNS: usize = 12;
/// A run that has ended is read again at every so many polls.
const ENDED_RUN_EVERY: u64 = 2;
/// Requests for runs under way at the same time.
const AT_ONCE: usize = 4;

/// The feed of one registered model.
pub(super) struct ModelPoll {
    api: Api,
    model: ModelId,
    /// Aliases that name what serves now; their runs are read before others.
    champions: BTreeSet<Clean>,
    denials: Arc<Denials>,
    now: Now,
    cadence: Duration,
    /// Polls so far.
    polls: u64,
    /// The last request to look right now that was heeded.
    refresh: u64,
    /// Runs that were told about, or whose reading failed.
    runs: BTreeMap<Version, Told>,
}

/// What is known of a run that was asked about.
struct Told {
    run_id: Clean,
    /// It was read and has ended: it changes by hand only.
    has_ended: bool,
    /// The poll that asked.
    poll: u64,
}

/// A run that is worth reading.
#[derive(Clone)]
struct Wanted {
    version: Version,
    run_id: Clean,
}

impl ModelPoll {
    pub(super) fn new(
        api: Api,
        model: ModelId,
        champions: BTreeSet<Clean>,
        denials: Arc<Denials>,
        now: Now,
        cadence: Duration,
    ) -> Self {
        Self {
            api,
            model,
            champions,
            denials,
            now,
            cadence,
            polls: 0,
            refresh: 0,
            runs: BTreeMap::new(),
        }
    }

    async fn read_model(&self) -> Result<(RegisteredModel, Versions, Batch), BackendError> {
        let asked = (self.now)();
        let name = self.model.name.as_str();
        let (model, newest) =
            future::try_join(self.api.model(name), self.api.newest_versions(name, LISTED)).await?;
        let registered = map::model(&self.model, &model, Some(self.api.page_of(&model.name)));
        // A search that finds nothing is no proof that there is nothing: the
        // server also answers so when it did not understand the request.
        let complete = !newest.is_empty() || model.latest_versions.is_empty();
        let mut versions: Versions = newest
            .iter()
            .chain(if complete {
                &[][..]
            } else {
                &model.latest_versions
            })
            .filter_map(|version| map::version(&self.model, version))
            .map(|version| (version.version, version))
            .collect();
        self.add_aliased(&registered, &mut versions).await?;

        let at = (self.now)();
        let mut facts = vec![Fact::Model(registered.clone())];
        facts.extend(versions.values().cloned().map(Fact::Version));
        facts.extend(self.denials.permit(&self.model, at).map(Fact::Permit));
        let mut batch = answered(self.scope(), asked, at, facts);
        batch.complete = complete;
        Ok((registered, versions, batch))
    }

    /// Reads the versions that have an alias and are too old for the list.
    async fn add_aliased(
        &self,
        model: &RegisteredModel,
        versions: &mut Versions,
    ) -> Result<(), BackendError> {
        let older: BTreeSet<Version> = self
            .by_importance(model)
            .into_iter()
            .filter(|version| !versions.contains_key(version))
            .take(ALIASED)
            .collect();
        let name = self.model.name.as_str();
        let mut reads = stream::iter(older)
            .map(|version| self.api.version(name, version))
            .buffered(AT_ONCE);
        while let Some(read) = reads.next().await {
            match read {
                Ok(version) => {
                    let version = map::version(&self.model, &version);
                    versions.extend(version.map(|version| (version.version, version)));
                }
                // Deleted between the two requests; its alias is gone with it.
                Err(error) if error.kind == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The versions that have an alias: what serves now first, then newest first.
    fn by_importance(&self, model: &RegisteredModel) -> Vec<Version> {
        let (mut first, mut rest) = (Vec::new(), Vec::new());
        for (alias, version) in &model.aliases {
            if self.champions.contains(alias) {
                first.push(*version);
            } else {
                rest.push(*version);
            }
        }
        rest.sort_unstable_by(|left, right| right.cmp(left));
        first.extend(rest);
        first
    }

    fn wanted(&self, model: &RegisteredModel, versions: &Versions) -> Vec<Wanted> {
        let newest = versions.keys().rev().take(RUNS_OF_NEWEST).copied();
        let champions = self.champions.iter();
        let mut seen = BTreeSet::new();
        champions
            .filter_map(|alias| model.aliases.get(alias).copied())
            .chain(newest)
            .chain(self.by_importance(model))
            .filter(|version| seen.insert(*version))
            .filter_map(|version| {
                let run_id = versions.get(&version)?.run_id.clone()?;
                Some(Wanted { version, run_id })
            })
            .take(RUNS)
            .collect()
    }

    /// Whether what was told of a run will do this time.
    fn is_known(&self, wanted: &Wanted) -> bool {
        self.runs.get(&wanted.version).is_some_and(|told| {
            told.run_id == wanted.run_id
                && told.has_ended
                && self.polls < told.poll + ENDED_RUN_EVERY
        })
    }

    async fn read_runs(&mut self, wanted: Vec<Wanted>, everything: bool) -> Vec<Observation> {
        let mut told = self.let_go(&wanted);
        let missing: Vec<_> = wanted
            .into_iter()
            .filter(|one| everything || !self.is_known(one))
            .collect();
        let reads: Vec<_> = stream::iter(missing)
            .map(|one| self.read_run(one))
            .buffered(AT_ONCE)
            .collect()
            .await;
        for (one, has_ended, observation) in reads {
            let known = Told {
                run_id: one.run_id,
                has_ended,
                poll: self.polls,
            };
            self.runs.insert(one.version, known);
            told.push(observation);
        }
        told
    }

    /// Runs that are of no interest any more: nothing is told of them from now
    /// on, neither facts nor trouble.
    fn let_go(&mut self, wanted: &[Wanted]) -> Vec<Observation> {
        let (id, now) = (&self.model, (self.now)());
        let mut told = Vec::new();
        self.runs.retain(|version, _| {
            let stays = wanted.iter().any(|one| one.version == *version);
            if !stays {
                let batch = answered(run_scope(id, *version), now, now, Vec::new());
                told.push(Observation::Batch(batch));
            }
            stays
        });
        told
    }

    async fn read_run(&self, one: Wanted) -> (Wanted, bool, Observation) {
        let asked = (self.now)();
        let read = self.api.run(&one.run_id).await;
        let at = (self.now)();
        let scope = run_scope(&self.model, one.version);
        match read {
            Ok(run) => {
                let run = map::run(&self.model, one.version, &run);
                let has_ended = run.status != ModelRunStatus::Running;
                let facts = vec![Fact::ModelRun(run)];
                let batch = answered(scope, asked, at, facts);
                (one, has_ended, Observation::Batch(batch))
            }
            // A run that was deleted for good has nothing to tell.
            Err(error) if error.kind == ErrorKind::NotFound => {
                let batch = answered(scope, asked, at, Vec::new());
                (one, true, Observation::Batch(batch))
            }
            Err(error) => {
                let failure = Failure {
                    scope,
                    at,
                    kind: error.kind,
                    message: Clean::line(&format!("run {}: {}", one.run_id, error.message)),
                    retry_at: None,
                };
                (one, false, Observation::Failure(failure))
            }
        }
    }
}

fn run_scope(model: &ModelId, version: Version) -> Scope {
    Scope::model_run(model, version)
}

type Versions = BTreeMap<Version, ModelVersion>;

#[async_trait]
impl Poll for ModelPoll {
    fn scope(&self) -> Scope {
        Scope::model(&self.model)
    }

    fn cadence(&self, focus: &Focus) -> Duration {
        if focus.away {
            return self.cadence * 2;
        }
        self.cadence
    }

    async fn poll(&mut self, focus: &Focus) -> Result<Vec<Observation>, BackendError> {
        let (model, versions, batch) = self.read_model().await?;
        let wanted = self.wanted(&model, &versions);
        let everything = focus.refresh != self.refresh;
        let mut told = vec![Observation::Batch(batch)];
        told.extend(self.read_runs(wanted, everything).await);
        self.refresh = focus.refresh;
        self.polls += 1;
        Ok(told)
    }
}
