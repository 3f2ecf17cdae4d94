//! Looks at one pipeline: its runs, and what is inside those that matter.
//!
//! A look asks for whatever is due, in rounds: what one answer brings to light
//! (a new run, a job that waits) is asked about in the next round of the same
//! look. What is due follows from what people look at, from the state of each
//! run and from the budget; see [`super::tempo`] and [`super::watched`].

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use async_trait::async_trait;
use futures::future::join_all;

use crate::{
    backend::{
        BackendError, ErrorKind, Focus, Poll,
        github_actions::{
            api::List,
            ask::{Ask, Asker, Told},
            map,
            permits::{self, Access},
            tempo::{Closeness, RARELY, Tempo},
            watched::{Want, Watched},
            wire,
        },
    },
    domain::{
        Timestamp,
        id::PipelineId,
        observation::{Basis, Batch, Fact, Failure, Key, Observation, Scope},
        pipeline::{Job, Phase, Stage},
        text::Clean,
    },
};

/// Rounds in one look: the list, what it brings up, what that brings up.
const ROUNDS: usize = 4;

/// Looks at one pipeline.
pub(super) struct Pipeline {
    asker: Asker,
    /// Which jobs belong to which stage, as the services say.
    rules: Vec<(Clean, Stage)>,
    tempo: Tempo,
    list_asked: Option<Timestamp>,
    access_asked: Option<Timestamp>,
    access: Option<Access>,
    runs: BTreeMap<u64, Watched>,
    /// Runs people looked at that are not in the list, and when we asked.
    looked_up: BTreeMap<u64, Timestamp>,
    /// Runs people looked at that belong to other pipelines.
    foreign: BTreeSet<u64>,
    /// Questions whose last answer was none.
    troubled: BTreeSet<Ask>,
    refresh: u64,
}

impl Pipeline {
    pub(super) fn new(asker: Asker, rules: Vec<(Clean, Stage)>, tempo: Tempo) -> Self {
        Self {
            asker,
            rules,
            tempo,
            list_asked: None,
            access_asked: None,
            access: None,
            runs: BTreeMap::new(),
            looked_up: BTreeMap::new(),
            foreign: BTreeSet::new(),
            troubled: BTreeSet::new(),
            refresh: 0,
        }
    }

    fn now(&self) -> Timestamp {
        (self.asker.api.now)()
    }

    /// The run on screen, if it may be one of ours.
    fn on_screen(&self, focus: &Focus) -> Option<u64> {
        let pipeline = &self.asker.pipeline;
        let run = focus.run.as_ref()?;
        let ours = run.backend == pipeline.backend && run.repo == pipeline.repo;
        (ours && !self.foreign.contains(&run.id)).then_some(run.id)
    }

    /// Everything that is to be asked sooner or later.
    fn wants(&self, focus: &Focus) -> Vec<Want> {
        let on_screen = self.on_screen(focus);
        let close = |id: u64| match on_screen {
            _ if focus.away => Closeness::Away,
            Some(run) if run == id => Closeness::Watched,
            _ => Closeness::Aside,
        };
        let watches = self
            .runs
            .iter()
            .any(|(id, run)| close(*id) == Closeness::Watched && run.is_active() && run.listed);
        let finishing = self.runs.values().any(Watched::is_finishing);
        let list = self.tempo.list(watches, finishing, focus.away);
        let mut wants = vec![
            Want::regular(Ask::List, list, self.list_asked),
            Want::rare(Ask::Access, RARELY, self.access_asked),
        ];
        let mut ended = 0;
        for (id, run) in self.runs.iter().rev() {
            let rank = (!run.is_active()).then_some(ended);
            ended += usize::from(!run.is_active());
            run.wants(self.tempo, close(*id), rank, &mut wants);
        }
        // Someone opened a run that is not in the list.
        if let Some(run) = on_screen
            && self.list_asked.is_some()
            && !self.runs.contains_key(&run)
        {
            let again = self.tempo.list(false, false, true);
            wants.push(Want::rare(
                Ask::Run(run),
                again,
                self.looked_up.get(&run).copied(),
            ));
        }
        wants
    }

    /// How long until this is to be asked; `None` = not again.
    fn due_in(&self, want: &Want, now: Timestamp) -> Option<Duration> {
        let Some(last) = want.last else {
            return Some(Duration::ZERO);
        };
        let period = want.period?;
        let meter = self.asker.api.http.meter();
        let period = meter.map_or(period, |meter| meter.pace(period, now));
        // A clock that was set back must not postpone anything.
        let passed = (now - last).to_std().unwrap_or(period);
        Some(period.saturating_sub(passed))
    }

    /// What to ask in this round. `since` is the begin of a look that somebody
    /// asked for: everything that matters is asked again in it.
    fn due(&self, focus: &Focus, since: Option<Timestamp>) -> Vec<Ask> {
        let now = self.now();
        let mut asks: Vec<Ask> = self
            .wants(focus)
            .iter()
            .filter(|want| {
                let again = want.urgent && since.is_some_and(|since| want.last < Some(since));
                again || self.due_in(want, now).is_some_and(|wait| wait.is_zero())
            })
            .map(|want| want.ask)
            .collect();
        // Whatever the list says decides what else is worth asking.
        if asks.contains(&Ask::List) {
            asks.retain(|ask| *ask == Ask::List);
        }
        asks
    }

    /// Notes that something was asked, answered or not.
    fn mark(&mut self, ask: Ask, at: Timestamp) {
        match ask {
            Ask::List => self.list_asked = Some(at),
            Ask::Access => self.access_asked = Some(at),
            Ask::Run(id)
            | Ask::Jobs(id)
            | Ask::Earlier(id, _)
            | Ask::Pending(id)
            | Ask::Reviews(id) => match self.runs.get_mut(&id) {
                Some(run) => run.mark(ask, at),
                None => {
                    self.looked_up.insert(id, at);
                }
            },
        }
    }

    /// Makes observations of an answer, and remembers what it means.
    fn take(&mut self, ask: Ask, told: Told, focus: &Focus) -> Vec<Observation> {
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
        }
    }

    fn take_runs(
        &mut self,
        scope: Scope,
        list: &List<wire::Run>,
        focus: &Focus,
    ) -> Vec<Observation> {
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
        self.runs
            .entry(told.id)
            .and_modify(|watched| watched.note(run.clone(), completed))
            .or_insert_with(|| Watched::new(run, completed))
    }

    fn run_facts(&self, watched: &Watched) -> Vec<Fact> {
        let mut run = watched.run.clone();
        run.status.flags.timed = run.status.phase == Phase::Waiting && watched.is_timed();
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
        for job in &mut jobs {
            job.status.flags.timed = timed && job.status.phase == Phase::Waiting;
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

    /// What a question without an answer means.
    fn miss(&mut self, ask: Ask, error: BackendError) -> Vec<Observation> {
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
            Ask::Reviews(id) | Ask::Earlier(id, _) => {
                if let Some(watched) = self.runs.get_mut(&id) {
                    watched.missed(ask);
                }
            }
            Ask::List | Ask::Access | Ask::Run(_) | Ask::Jobs(_) | Ask::Pending(_) => {}
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

    /// Trouble with things nobody asks about any more is over.
    fn let_go(&mut self, focus: &Focus) -> Vec<Observation> {
        let wanted: BTreeSet<Ask> = self.wants(focus).iter().map(|want| want.ask).collect();
        let now = self.now();
        let over: Vec<Ask> = self.troubled.difference(&wanted).copied().collect();
        over.into_iter()
            .map(|ask| {
                self.troubled.remove(&ask);
                batch(self.asker.scope(ask), false, now, now, Vec::new())
            })
            .collect()
    }

    /// Tells the meter how many things are looked at regularly.
    fn expect(&self, focus: &Focus) {
        let Some(meter) = self.asker.api.http.meter() else {
            return;
        };
        let wants = self.wants(focus);
        let is_regular = |want: &&Want| want.period.is_some_and(|period| period < RARELY);
        let regular = wants.iter().filter(is_regular).count();
        let PipelineId { repo, workflow, .. } = &self.asker.pipeline;
        let who = format!("{repo}/{workflow}");
        meter.expect(&who, u64::try_from(regular).unwrap_or(u64::MAX));
    }
}

#[async_trait]
impl Poll for Pipeline {
    fn scope(&self) -> Scope {
        self.asker.scope(Ask::List)
    }

    fn cadence(&self, focus: &Focus) -> Duration {
        let now = self.now();
        let wants = self.wants(focus);
        let next = wants.iter().filter_map(|want| self.due_in(want, now)).min();
        let meter = self.asker.api.http.meter();
        let stopped = meter.and_then(|meter| meter.stopped_for(now));
        next.unwrap_or_else(|| self.tempo.usual())
            .max(self.tempo.least())
            .max(stopped.unwrap_or_default())
    }

    async fn poll(&mut self, focus: &Focus) -> Result<Vec<Observation>, BackendError> {
        let backend = &self.asker.pipeline.backend;
        let wanted = focus.refresh != self.refresh || focus.urgent.contains(backend);
        let since = wanted.then(|| self.now());
        self.refresh = focus.refresh;
        let mut observations = Vec::new();
        for _ in 0..ROUNDS {
            let asks = self.due(focus, since);
            if asks.is_empty() {
                break;
            }
            let now = self.now();
            for ask in &asks {
                self.mark(*ask, now);
            }
            self.expect(focus);
            let answers = join_all(asks.iter().map(|ask| self.asker.ask(*ask))).await;
            let mut reached = true;
            for (ask, answer) in asks.into_iter().zip(answers) {
                match answer {
                    Ok(told) => {
                        self.troubled.remove(&ask);
                        observations.extend(self.take(ask, told, focus));
                    }
                    // Without the list nothing can be said about anything.
                    Err(error) if ask == Ask::List => return Err(error),
                    Err(error) => {
                        reached &= !is_general(error.kind);
                        observations.extend(self.miss(ask, error));
                    }
                }
            }
            if !reached {
                break;
            }
        }
        observations.extend(self.let_go(focus));
        Ok(observations)
    }
}

/// Trouble that the next question would meet as well.
fn is_general(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::Unreachable
            | ErrorKind::Timeout
            | ErrorKind::RateLimited
            | ErrorKind::Unauthenticated
    )
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

fn batch(
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
