//! Reads the configured metrics, each in its own time.
//!
//! One feed for all of them. Numbers are evidence and keep their pace whoever
//! looks: a gate that wants three of five values must not be served five values
//! of the same minute because somebody opened a screen. Charts follow the eyes.
//! Numbers and charts are scopes of their own (`metric …`, `chart …`), so that
//! a chart that is not read this time is not taken for gone, and one query that
//! fails takes nothing with it but its own metric.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use chrono::TimeDelta;
use futures::{StreamExt, stream};

use crate::{
    backend::{
        BackendError, ErrorKind, Focus, Now, Poll, answered,
        prometheus::{
            api::Api,
            ask::{self, Instant},
        },
    },
    domain::{
        Timestamp,
        catalog::{Catalog, MetricSpec},
        id::{BackendId, ServiceName},
        measure::{Measure, MetricId, Series, Windows},
        observation::{Fact, Failure, Observation, Scope},
        text::Clean,
    },
};

/// Metrics asked about at the same time.
const AT_ONCE: usize = 4;
/// After so many failures in a row that are not about the query, asking on is
/// pointless.
const GIVE_UP_AFTER: usize = 4;
/// A chart on screen is read this many times as often as a number.
const CHART_CLOSER: u32 = 3;
/// One that nobody looks at is read this many times less often.
const CHART_RARER: u32 = 4;
/// How far back windows are kept, whatever gates look at.
const LOOKS_BACK: Duration = Duration::from_secs(2 * 3600);
/// And how many of them at most.
const MOST_WINDOWS: u32 = 120;

/// The feed of all metrics of one server.
pub(super) struct MetricPoll {
    id: BackendId,
    api: Arc<Api>,
    catalog: Arc<Catalog>,
    /// Per service, a query for the stamp of the newest sample.
    fresh: Arc<BTreeMap<ServiceName, Clean>>,
    now: Now,
    cadence: Duration,
    metrics: Vec<Metric>,
    /// The last request to look right now that was heeded.
    refresh: u64,
    /// Whether the server's clock was compared with ours.
    knows_clock: bool,
}

struct Metric {
    spec: MetricSpec,
    /// When it was last asked about.
    asked: Option<Timestamp>,
    /// When its chart was.
    charted: Option<Timestamp>,
    /// How many windows its gates look at.
    wanted: u32,
    /// Those that were over when they were last asked for. They do not change
    /// until the next one is.
    windows: Option<Windows>,
}

impl Metric {
    /// How many windows to ask for, if another one is over: all that are kept
    /// at first, later those that are new beside those gates look at, which may
    /// have been filled in since.
    fn windows_due(&self, at: Instant) -> Option<u32> {
        if self.wanted == 0 {
            return None;
        }
        let kept = self.kept();
        let Some(last) = self.windows.as_ref().and_then(|told| told.windows.last()) else {
            return Some(kept);
        };
        let end = ask::grid(self.spec.window, self.wanted, at.theirs).to;
        let since = at.ours_of(end) - last.ends_at;
        // The two clocks' difference wavers by less than half a window.
        let half = delta(self.spec.window / 2);
        let width = self.spec.window.as_millis().max(1);
        let new = (since + half).num_milliseconds().max(0).unsigned_abs();
        let new = u32::try_from(u128::from(new) / width).unwrap_or(u32::MAX);
        let count = new.saturating_add(self.wanted - 1);
        (since > half).then_some(count.clamp(self.wanted, kept))
    }

    /// How many windows are kept: those gates look at, and as many before them
    /// as it takes to judge a canary that was taken back a while ago.
    fn kept(&self) -> u32 {
        let width = self.spec.window.as_millis().max(1);
        let before = u32::try_from(LOOKS_BACK.as_millis() / width).unwrap_or(u32::MAX);
        self.wanted.max(before.min(MOST_WINDOWS))
    }

    /// Puts newer windows behind those known. Where time was slept through the
    /// older ones go, so that there is no gap.
    fn keep(&mut self, mut newer: Windows) {
        let (half, width) = (delta(self.spec.window / 2), delta(self.spec.window));
        let older = self.windows.take().filter(|old| old.width == newer.width);
        if let (Some(old), Some(first)) = (older, newer.windows.first()) {
            let before = first.ends_at - half;
            let mut windows = old.windows;
            windows.retain(|window| window.ends_at < before);
            let joined = windows
                .last()
                .is_some_and(|last| before - last.ends_at < width);
            if joined {
                windows.append(&mut newer.windows);
                newer.windows = windows;
            }
        }
        let most = usize::try_from(self.kept()).unwrap_or(usize::MAX);
        let too_many = newer.windows.len().saturating_sub(most);
        newer.windows.drain(..too_many);
        self.windows = Some(newer);
    }
}

/// What to ask about one metric.
#[derive(Clone, Copy)]
struct Due {
    index: usize,
    numbers: bool,
    chart: bool,
}

/// The values of now, and the windows where another one is over.
type Numbers = (Vec<Measure>, Option<Windows>);

/// What one look at one metric brought.
struct Look {
    index: usize,
    numbers: Option<Result<Numbers, BackendError>>,
    chart: Option<Result<Vec<Series>, BackendError>>,
}

impl Look {
    /// The first thing that went wrong.
    fn error(&self) -> Option<&BackendError> {
        let numbers = self
            .numbers
            .as_ref()
            .and_then(|numbers| numbers.as_ref().err());
        let chart = || self.chart.as_ref().and_then(|chart| chart.as_ref().err());
        numbers.or_else(chart)
    }
}

impl MetricPoll {
    pub(super) fn new(
        id: BackendId,
        api: Arc<Api>,
        catalog: Arc<Catalog>,
        fresh: Arc<BTreeMap<ServiceName, Clean>>,
        now: Now,
        cadence: Duration,
    ) -> Self {
        let metrics = specs(&catalog, &id)
            .map(|spec| Metric {
                spec: spec.clone(),
                asked: None,
                charted: None,
                wanted: catalog.windows_of(spec),
                windows: None,
            })
            .collect();
        Self {
            id,
            api,
            catalog,
            fresh,
            now,
            cadence,
            metrics,
            refresh: 0,
            knows_clock: false,
        }
    }

    /// Whether people look at this metric now.
    fn is_close(&self, metric: &MetricId, focus: &Focus) -> bool {
        let by_target = focus.target.as_ref().and_then(|target| {
            let (service, place) = self.catalog.place_of(target)?;
            Some(service.name == metric.service && place.environment == metric.environment)
        });
        let by_run = || {
            let run = focus.run.as_ref()?;
            let service = self.catalog.services.get(&metric.service)?;
            let pipeline = service.run.as_ref()?;
            Some(pipeline.backend == run.backend && pipeline.repo == run.repo)
        };
        !focus.away && by_target.or_else(by_run).unwrap_or(false)
    }

    /// The time between two looks at numbers.
    fn interval(&self, focus: &Focus) -> Duration {
        if focus.away {
            self.cadence * 2
        } else {
            self.cadence
        }
    }

    /// The time between two looks at a chart: a new point has to be there.
    fn chart_interval(&self, spec: &MetricSpec, focus: &Focus) -> Duration {
        let step = ask::step(spec.range);
        if self.is_close(&spec.id, focus) {
            step.max(self.cadence / CHART_CLOSER)
        } else {
            step.max(self.cadence * CHART_RARER)
        }
    }

    /// What to ask now; what people look at comes first.
    fn due(&self, focus: &Focus, now: Timestamp) -> Vec<Due> {
        let everything = focus.refresh != self.refresh;
        let is_due = |since: Option<Timestamp>, interval: Duration| {
            everything || since.is_none_or(|since| left(since, interval, now).is_zero())
        };
        let metrics = self.metrics.iter().enumerate();
        let mut due: Vec<Due> = metrics
            .map(|(index, metric)| Due {
                index,
                numbers: is_due(metric.asked, self.interval(focus)),
                chart: is_due(metric.charted, self.chart_interval(&metric.spec, focus)),
            })
            .filter(|due| due.numbers || due.chart)
            .collect();
        due.sort_by_key(|due| {
            let metric = self.metrics.get(due.index);
            metric.is_none_or(|metric| !self.is_close(&metric.spec.id, focus))
        });
        due
    }

    /// The stamps of the newest samples, where the configuration says how to
    /// learn them.
    async fn newest(
        &self,
        due: &[Due],
        at: Instant,
    ) -> BTreeMap<ServiceName, Result<Timestamp, BackendError>> {
        let mut newest = BTreeMap::new();
        for due in due.iter().filter(|due| due.numbers) {
            let Some(metric) = self.metrics.get(due.index) else {
                continue;
            };
            let service = &metric.spec.id.service;
            if let Some(query) = self.fresh.get(service)
                && let Entry::Vacant(unknown) = newest.entry(service.clone())
            {
                unknown.insert(ask::newest_sample(&self.api, query, at).await);
            }
        }
        newest
    }

    fn tell(&mut self, look: Look, asked: Timestamp, at: Timestamp) -> Vec<Observation> {
        let Some(metric) = self.metrics.get_mut(look.index) else {
            return Vec::new();
        };
        let id = metric.spec.id.clone();
        if look.numbers.is_some() {
            metric.asked = Some(asked);
        }
        // A chart that was not tried because the numbers failed waits its turn.
        if look.chart.is_some() || look.error().is_some() {
            metric.charted = Some(asked);
        }
        let mut told = Vec::new();
        if let Some(numbers) = look.numbers {
            let facts = numbers.map(|(measures, windows)| {
                if let Some(windows) = windows {
                    metric.keep(windows);
                }
                let measures = measures.into_iter().map(Fact::Measure);
                let windows = metric.windows.iter().cloned().map(Fact::Windows);
                measures.chain(windows).collect()
            });
            told.push(observation(Scope::metric(&self.id, &id), asked, at, facts));
        }
        if let Some(chart) = look.chart {
            let facts = chart.map(|series| series.into_iter().map(Fact::Series).collect());
            told.push(observation(chart_scope(&self.id, &id), asked, at, facts));
        }
        told
    }
}

#[async_trait]
impl Poll for MetricPoll {
    fn scope(&self) -> Scope {
        Scope::metrics(&self.id)
    }

    fn cadence(&self, focus: &Focus) -> Duration {
        let now = (self.now)();
        let wait = |since: Option<Timestamp>, interval| {
            since.map_or(Duration::ZERO, |since| left(since, interval, now))
        };
        let waits = self.metrics.iter().map(|metric| {
            let numbers = wait(metric.asked, self.interval(focus));
            numbers.min(wait(
                metric.charted,
                self.chart_interval(&metric.spec, focus),
            ))
        });
        // What is due within moments of each other is asked together.
        let least = self.cadence / 8;
        waits.min().unwrap_or(self.cadence).max(least)
    }

    async fn poll(&mut self, focus: &Focus) -> Result<Vec<Observation>, BackendError> {
        if !self.knows_clock {
            self.api.version().await?;
            self.knows_clock = true;
        }
        let asked = (self.now)();
        let at = Instant {
            ours: asked,
            theirs: self.api.server_time(asked),
        };
        let due = self.due(focus, asked);
        let newest = self.newest(&due, at).await;
        let looks: Vec<_> = due
            .into_iter()
            .filter_map(|due| {
                let metric = self.metrics.get(due.index)?;
                let spec = metric.spec.clone();
                let newest = newest.get(&spec.id.service).cloned().transpose();
                let windows = metric.windows_due(at);
                Some(look(self.api.clone(), due, spec, windows, at, newest))
            })
            .collect();
        let mut looks = stream::iter(looks).buffered(AT_ONCE);
        let (mut told, mut is_heard, mut in_a_row, mut trouble) = (Vec::new(), false, 0, None);
        while let Some(look) = looks.next().await {
            match look.error() {
                Some(error) if error.kind != ErrorKind::Rejected => {
                    in_a_row += 1;
                    trouble.get_or_insert_with(|| error.clone());
                }
                // A query that is refused was answered as well.
                Some(_) | None => {
                    is_heard = true;
                    in_a_row = 0;
                }
            }
            told.extend(self.tell(look, asked, (self.now)()));
            if in_a_row >= GIVE_UP_AFTER {
                break;
            }
        }
        if let Some(error) = trouble
            && !is_heard
        {
            // Nothing but the server's own trouble: the feed failed, and
            // everything is still to be asked.
            for metric in &mut self.metrics {
                metric.asked = metric.asked.filter(|instant| *instant != asked);
                metric.charted = metric.charted.filter(|instant| *instant != asked);
            }
            return Err(error);
        }
        self.refresh = focus.refresh;
        // Heals the feed's own trouble, should it have been in any. Where nothing
        // was due, nobody answered: that is no sign of life.
        if is_heard {
            let heard = answered(self.scope(), asked, (self.now)(), Vec::new());
            told.push(Observation::Batch(heard));
        }
        Ok(told)
    }
}

/// The chart of one metric.
fn chart_scope(backend: &BackendId, metric: &MetricId) -> Scope {
    let part = format!(
        "chart {}/{}/{}",
        metric.service, metric.environment, metric.metric
    );
    Scope::new(backend, part)
}

fn observation(
    scope: Scope,
    asked: Timestamp,
    at: Timestamp,
    facts: Result<Vec<Fact>, BackendError>,
) -> Observation {
    match facts {
        Ok(facts) => Observation::Batch(answered(scope, asked, at, facts)),
        Err(error) => Observation::Failure(Failure {
            scope,
            at,
            kind: error.kind,
            message: error.message,
            retry_at: None,
        }),
    }
}

async fn numbers(
    api: &Arc<Api>,
    spec: &MetricSpec,
    windows: Option<u32>,
    at: Instant,
    newest: Option<Timestamp>,
) -> Result<Numbers, BackendError> {
    let measures = ask::measures(api, spec, at, newest).await?;
    let windows = match windows {
        Some(count) => Some(ask::windows(api, spec, count, at, newest).await?),
        None => None,
    };
    Ok((measures, windows))
}

async fn look(
    api: Arc<Api>,
    due: Due,
    spec: MetricSpec,
    windows: Option<u32>,
    at: Instant,
    newest: Result<Option<Timestamp>, BackendError>,
) -> Look {
    let numbers = match newest {
        _ if !due.numbers => None,
        Ok(newest) => Some(numbers(&api, &spec, windows, at, newest).await),
        Err(error) => Some(Err(error)),
    };
    // Where the numbers just failed a chart would only fail as well.
    let worked = numbers.as_ref().is_none_or(Result::is_ok);
    let chart = if due.chart && worked {
        let window = ask::window(spec.range, at.theirs);
        Some(ask::charts(&api, &spec, window).await)
    } else {
        None
    };
    Look {
        index: due.index,
        numbers,
        chart,
    }
}

fn delta(duration: Duration) -> TimeDelta {
    TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX)
}

/// The metrics this backend answers for.
pub(super) fn specs<'a>(
    catalog: &'a Catalog,
    id: &'a BackendId,
) -> impl Iterator<Item = &'a MetricSpec> {
    let services = catalog.services.values();
    services
        .flat_map(|service| &service.metrics)
        .filter(|spec| spec.backend == *id)
}

/// How much of an interval is left. The last eighth does not count: looks come
/// a little early or late, and a late one must not become the next but one.
fn left(since: Timestamp, interval: Duration, now: Timestamp) -> Duration {
    // A clock that was set back must not postpone anything.
    let passed = (now - since).to_std().unwrap_or(interval);
    (interval * 7 / 8).saturating_sub(passed)
}
