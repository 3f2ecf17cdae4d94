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
            ask::{Ask, Asker},
            permits::Access,
            take::batch,
            tempo::{Closeness, RARELY, Tempo},
            watched::{Want, Watched},
        },
    },
    domain::{
        Timestamp,
        id::{PipelineId, Version},
        observation::{Observation, Scope},
        pipeline::Stage,
        text::Clean,
    },
};

/// Rounds in one look: the list, what it brings up, what that brings up.
const ROUNDS: usize = 4;

/// Looks at one pipeline.
pub(super) struct Pipeline {
    pub(super) asker: Asker,
    /// Which jobs belong to which stage, as the services say.
    pub(super) rules: Vec<(Clean, Stage)>,
    tempo: Tempo,
    list_asked: Option<Timestamp>,
    /// When the last answered list was asked for, and came.
    pub(super) listed: Option<(Timestamp, Timestamp)>,
    /// `None` too when there is a run whose deployments nobody asked for.
    pub(super) deployments_asked: Option<Timestamp>,
    /// What deployments say of models, by commit.
    pub(super) deployed: BTreeMap<Clean, Vec<(Clean, Version)>>,
    access_asked: Option<Timestamp>,
    pub(super) access: Option<Access>,
    pub(super) runs: BTreeMap<u64, Watched>,
    /// Runs people looked at that are not in the list, and when we asked.
    pub(super) looked_up: BTreeMap<u64, Timestamp>,
    /// Runs people looked at that belong to other pipelines.
    pub(super) foreign: BTreeSet<u64>,
    /// Questions whose last answer was none.
    pub(super) troubled: BTreeSet<Ask>,
    refresh: u64,
}

impl Pipeline {
    pub(super) fn new(asker: Asker, rules: Vec<(Clean, Stage)>, tempo: Tempo) -> Self {
        Self {
            asker,
            rules,
            tempo,
            list_asked: None,
            listed: None,
            deployments_asked: None,
            deployed: BTreeMap::new(),
            access_asked: None,
            access: None,
            runs: BTreeMap::new(),
            looked_up: BTreeMap::new(),
            foreign: BTreeSet::new(),
            troubled: BTreeSet::new(),
            refresh: 0,
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        (self.asker.api.now)()
    }

    /// The run on screen, if it may be one of ours.
    pub(super) fn on_screen(&self, focus: &Focus) -> Option<u64> {
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
        let under_way = self.runs.values().any(Watched::is_active);
        let mut wants = vec![
            Want::regular(Ask::List, list, self.list_asked),
            Want::rare(Ask::Access, RARELY, self.access_asked),
            Want::rare(
                Ask::Deployments,
                self.tempo.deployments(under_way),
                self.deployments_asked,
            ),
        ];
        let mut ended = 0;
        for (id, run) in self.runs.iter().rev() {
            let rank = (!run.is_active()).then_some(ended);
            ended += usize::from(!run.is_active());
            run.wants(self.tempo, close(*id), rank, &mut wants);
        }
        // A run we started ourselves may be on another branch than the list.
        for run in self.asker.api.started(&self.asker.pipeline, self.now()) {
            if !self.runs.contains_key(&run) {
                let period = self.tempo.jobs(Closeness::Aside, false);
                let last = self.looked_up.get(&run).copied();
                wants.push(Want::regular(Ask::Run(run), period, last));
            }
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
            Ask::Deployments => self.deployments_asked = Some(at),
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
