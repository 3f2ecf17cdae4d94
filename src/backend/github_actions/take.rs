//! What answers, and questions without one, mean for the world and for the
//! next look.

use std::collections::BTreeMap;

use crate::{
    backend::{
        BackendError, ErrorKind, Focus,
        github_actions::{
            api::List,
            ask::{Ask, Told},
            map, permits,
            poll::Pipeline,
            watched::Watched,
            wire,
        },
    },
    domain::{
        Timestamp,
        observation::{Basis, Batch, Fact, Failure, Key, Observation, Scope},
        pipeline::{Job, Phase},
        text::Clean,
    },
};

impl Pipeline {
    /// Makes observations of an answer, and remembers what it means.
    pub(super) fn take(&mut self, ask: Ask, told: Told, focus: &Focus) -> Vec<Observation> {
        let scope = self.asker.scope(ask);
        match told {
            Told::Runs(list) => self.take_runs(scope, &list, focus),
            Told::Run(run, asked, at) => self.take_run(scope, &run, asked, at),
            Told::Access(access, asked) => {
                let runs = self.runs.values();
                let permits = access
                    .of_pipeline(&self.asker.pipeline)
                    .into_iter()
                    .chain(runs.flat_map(|run| access.of_run(&run.run.id)));
                let facts = permits.map(Fact::Permit).collect();
                let told = batch(scope, false, asked, access.at, facts);
                self.access = Some(access);
                vec![told]
            }
            Told::Jobs(id, list) => self.take_jobs(scope, id, None, &list),
            Told::Earlier(id, attempt, list) => self.take_jobs(scope, id, Some(attempt), &list),
            Told::Pending(id, list) => self.take_pending(scope, id, &list),
            Told::Reviews(id, list) => self.take_reviews(scope, id, &list),
            Told::Deployments(list) => self.take_deployments(scope, &list),
        }
    }

    fn take_runs(
        &mut self,
        scope: Scope,
        list: &List<wire::Run>,
        focus: &Focus,
    ) -> Vec<Observation> {
        self.listed = Some((list.asked, list.at));
        for run in self.runs.values_mut() {
            run.listed = false;
        }
        for told in &list.items {
            self.note(told).listed = true;
        }
        let on_screen = self.on_screen(focus);
        self.runs
            .retain(|id, run| run.listed || run.is_active() || on_screen == Some(*id));
        let mut facts: Vec<Fact> = list
            .items
            .iter()
            .filter_map(|told| self.runs.get(&told.id))
            .flat_map(|run| self.run_facts(run))
            .collect();
        facts.extend(self.asker.api.remarks());
        observe(scope, list, facts)
    }

    fn take_run(
        &mut self,
        scope: Scope,
        told: &wire::Run,
        asked: Timestamp,
        at: Timestamp,
    ) -> Vec<Observation> {
        let workflow = self.asker.pipeline.workflow.as_str();
        let ours = told.path.as_deref().is_none_or(|path| {
            // `.github/workflows/ml-cicd.yml`, with `@ref` on some servers.
            let file = path.split('@').next().unwrap_or(path);
            file.rsplit('/').next() == Some(workflow)
        });
        if !ours {
            self.foreign.insert(told.id);
            return Vec::new();
        }
        self.note(told).asked = Some(asked);
        let run = self.runs.get(&told.id);
        let facts = run.map(|run| self.run_facts(run)).unwrap_or_default();
        vec![batch(scope, false, asked, at, facts)]
    }

    fn note(&mut self, told: &wire::Run) -> &mut Watched {
        let run = map::run(told, &self.asker.pipeline);
        let completed = told.is_completed();
        if !self.runs.contains_key(&told.id) {
            self.deployments_asked = None;
        }
        self.runs
            .entry(told.id)
            .and_modify(|watched| watched.note(run.clone(), completed))
            .or_insert_with(|| Watched::new(run, completed))
    }

    fn run_facts(&self, watched: &Watched) -> Vec<Fact> {
        let mut run = watched.run.clone();
        if run.status.phase == Phase::Waiting {
            run.status.flags.timed = watched.is_timed();
        }
        run.models = self
            .deployed
            .get(&run.head_sha)
            .cloned()
            .unwrap_or_default();
        let permits = self.access.as_ref().map(|access| access.of_run(&run.id));
        let permits = permits.into_iter().flatten().map(Fact::Permit);
        [Fact::Run(run)].into_iter().chain(permits).collect()
    }

    fn take_jobs(
        &mut self,
        scope: Scope,
        id: u64,
        earlier: Option<u32>,
        list: &List<wire::Job>,
    ) -> Vec<Observation> {
        let Some(watched) = self.runs.get_mut(&id) else {
            return Vec::new();
        };
        let attempt = earlier.unwrap_or(watched.run.attempt);
        let run = &watched.run.id;
        let jobs = list.items.iter();
        let mut jobs: Vec<Job> = jobs
            .map(|job| map::job(job, run, attempt, &self.rules))
            .collect();
        if earlier.is_none() {
            watched.note_jobs(&jobs);
        }
        let timed = watched.is_timed();
        let waiting = jobs
            .iter_mut()
            .filter(|job| job.status.phase == Phase::Waiting);
        for job in waiting {
            job.status.flags.timed = timed;
        }
        observe(scope, list, jobs.into_iter().map(Fact::Job).collect())
    }

    fn take_pending(
        &mut self,
        scope: Scope,
        id: u64,
        list: &List<wire::Pending>,
    ) -> Vec<Observation> {
        let Some(watched) = self.runs.get_mut(&id) else {
            return Vec::new();
        };
        let waiting = list.items.iter();
        let waiting: Vec<_> = waiting.map(|one| map::pending(one, &watched.run)).collect();
        watched.note_pending(waiting.clone());
        let mut facts = Vec::new();
        for pending in waiting {
            let permits = permits::of_approval(&pending, list.at);
            facts.extend(permits.into_iter().map(Fact::Permit));
            facts.push(Fact::Approval(pending));
        }
        observe(scope, list, facts)
    }

    fn take_reviews(
        &mut self,
        scope: Scope,
        id: u64,
        list: &List<wire::Review>,
    ) -> Vec<Observation> {
        let Some(watched) = self.runs.get_mut(&id) else {
            return Vec::new();
        };
        let run = &watched.run.id;
        let entries = list.items.iter();
        let reviews: Vec<_> = entries.flat_map(|entry| map::reviews(entry, run)).collect();
        let certain = watched.note_reviews(&reviews);
        observe(scope, list, certain.into_iter().map(Fact::Review).collect())
    }

    /// Takes in what deployments say; the runs they speak of are as old as the
    /// list that told them.
    fn take_deployments(
        &mut self,
        scope: Scope,
        list: &List<wire::Deployment>,
    ) -> Vec<Observation> {
        let mut deployed: BTreeMap<Clean, Vec<_>> = BTreeMap::new();
        for told in &list.items {
            if let Some(model) = map::deployed(told) {
                let models = deployed.entry(Clean::name(&told.sha)).or_default();
                if !models.contains(&model) {
                    models.push(model);
                }
            }
        }
        let mut told = observe(scope, list, Vec::new());
        if self.deployed != deployed {
            self.deployed = deployed;
            if let Some((asked, at)) = self.listed {
                let runs = self.runs.values().filter(|run| run.listed);
                let facts = runs.flat_map(|run| self.run_facts(run)).collect();
                told.push(batch(self.asker.scope(Ask::List), false, asked, at, facts));
            }
        }
        told
    }

    /// What a question without an answer means.
    pub(super) fn miss(&mut self, ask: Ask, error: BackendError) -> Vec<Observation> {
        let at = self.now();
        let scope = self.asker.scope(ask);
        let missing = error.kind == ErrorKind::NotFound;
        match ask {
            // Somebody opened a run that is none, or is hidden from us.
            Ask::Run(id) if missing && !self.runs.contains_key(&id) => return Vec::new(),
            // The list answers, so this is no lost permission: it was deleted.
            Ask::Run(id) if missing => {
                self.runs.remove(&id);
                let mut gone = told(scope, at, at);
                gone.gone = vec![Key::Run(map::run_id(&self.asker.pipeline, id))];
                return vec![Observation::Batch(gone)];
            }
            // Not every attempt is kept for ever.
            Ask::Earlier(..) if missing => {
                return vec![batch(scope, true, at, at, Vec::new())];
            }
            // A token need not see them: then they tie nothing, and no more is lost.
            Ask::Deployments if missing || error.kind == ErrorKind::Forbidden => {
                return vec![batch(scope, true, at, at, Vec::new())];
            }
            Ask::Reviews(id) | Ask::Earlier(id, _) => {
                if let Some(watched) = self.runs.get_mut(&id) {
                    watched.missed(ask);
                }
            }
            Ask::List
            | Ask::Access
            | Ask::Deployments
            | Ask::Run(_)
            | Ask::Jobs(_)
            | Ask::Pending(_) => {}
        }
        self.troubled.insert(ask);
        let mut error = error;
        if missing && !matches!(ask, Ask::List | Ask::Access) {
            // GitHub hides what may not be seen.
            let words = format!(
                "{} (the run was listed: it was deleted since, or the token may not see this)",
                error.message
            );
            error.message = Clean::line(&words);
        }
        vec![failure(scope, at, error)]
    }
}

/// The truth of a list, after the trouble with what of it cannot be read.
fn observe<T>(scope: Scope, list: &List<T>, facts: Vec<Fact>) -> Vec<Observation> {
    let truth = batch(scope.clone(), list.complete, list.asked, list.at, facts);
    let trouble = list.trouble.clone();
    let trouble = trouble.map(|error| failure(scope, list.at, error));
    trouble.into_iter().chain([truth]).collect()
}

fn told(scope: Scope, asked: Timestamp, at: Timestamp) -> Batch {
    Batch {
        scope,
        complete: false,
        basis: Basis::Asked(asked),
        at,
        facts: Vec::new(),
        gone: Vec::new(),
    }
}

pub(super) fn batch(
    scope: Scope,
    complete: bool,
    asked: Timestamp,
    at: Timestamp,
    facts: Vec<Fact>,
) -> Observation {
    Observation::Batch(Batch {
        complete,
        facts,
        ..told(scope, asked, at)
    })
}

fn failure(scope: Scope, at: Timestamp, error: BackendError) -> Observation {
    Observation::Failure(Failure {
        scope,
        at,
        kind: error.kind,
        message: error.message,
        retry_at: None,
    })
}
