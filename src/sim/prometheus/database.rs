//! The samples: what each version's service counted, scrape by scrape.
//!
//! A *track* is one exposing process seen from outside: a target of traffic in
//! one role at one version. It holds counters that only grow. At each scrape a
//! copy of them is kept; when a track stops being exposed a stale mark is kept
//! instead, as a real scraper does, so that it vanishes from queries at once.

use std::collections::VecDeque;

use crate::sim::{
    digest,
    prometheus::{
        histogram::{BOUNDS, mean, share_within},
        value::{Labels, seconds},
    },
};

/// How many scrapes of a track are kept.
const KEPT: usize = 4500;
/// Longest a single step of growth may be, in milliseconds; more is a stopped machine.
const LONGEST_STEP: i64 = 600_000;

/// All samples.
#[derive(Debug)]
pub(crate) struct Database {
    /// Milliseconds between scrapes.
    pub(crate) interval: i64,
    pub(crate) tracks: Vec<Track>,
    /// When each target was scraped and whether it answered.
    pub(crate) scrapes: Vec<Scrapes>,
    /// When it last scraped; at first, when it began.
    last: i64,
}

/// Whether a target could be scraped.
#[derive(Debug)]
pub(crate) struct Scrapes {
    pub(crate) target: String,
    pub(crate) up: VecDeque<(i64, bool)>,
}

/// How a version answers at the moment.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Behaviour {
    pub(crate) requests_per_second: f64,
    /// Seconds.
    pub(crate) latency_p95: f64,
    pub(crate) error_ratio: f64,
    /// Name, labels, value and share it wobbles by.
    pub(crate) gauges: Vec<(String, Labels, f64, f64)>,
}

/// What one process counts.
#[derive(Debug)]
pub(crate) struct Track {
    pub(crate) target: String,
    /// Labels all its series have.
    pub(crate) labels: Labels,
    pub(crate) counters: Counters,
    /// How it answers now; `None` when it gets no traffic.
    pub(crate) behaviour: Option<Behaviour>,
    /// The last behaviour it had, which names its gauges.
    pub(crate) shown: Option<Behaviour>,
    pub(crate) scrapes: VecDeque<Scrape>,
    seed: u64,
}

/// The growing numbers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counters {
    pub(crate) good: f64,
    pub(crate) bad: f64,
    /// Seconds spent.
    pub(crate) sum: f64,
    pub(crate) buckets: [f64; BOUNDS.len()],
}

/// One copy of the numbers; `None` is the stale mark.
#[derive(Debug)]
pub(crate) struct Scrape {
    pub(crate) at: i64,
    pub(crate) seen: Option<(Counters, Vec<f64>)>,
}

/// What a target shows at one moment: its labelled arms.
pub(crate) struct Observed {
    pub(crate) target: String,
    /// Labels and behaviour of each version that gets traffic.
    pub(crate) arms: Vec<(Labels, Behaviour)>,
    /// Whether it can be scraped.
    pub(crate) exposed: bool,
}

impl Database {
    /// An empty database scraped every `interval` milliseconds from `begins` on.
    pub(crate) fn new(interval: i64, begins: i64) -> Self {
        Self {
            interval: interval.max(1),
            tracks: Vec::new(),
            scrapes: Vec::new(),
            last: begins,
        }
    }

    /// The next moment to scrape at, on the grid.
    pub(crate) fn next_scrape(&self) -> i64 {
        (self.last.div_euclid(self.interval) + 1) * self.interval
    }

    /// Lets everything grow up to `at` and keeps a copy.
    pub(crate) fn scrape(&mut self, at: i64, observed: &[Observed]) {
        self.grow(at);
        for target in observed {
            self.see(target, at);
        }
        self.last = at;
    }

    /// Lets counters grow by what happened since the last scrape.
    fn grow(&mut self, at: i64) {
        let last = self.last;
        let step = (at - last).clamp(0, LONGEST_STEP);
        // Wobbles by where the step began, as a look in its middle does: what a
        // scraper from outside saw there must never be taken back.
        let tick = self.tick(last);
        for track in &mut self.tracks {
            track.grow(seconds(step), tick);
        }
    }

    /// Which step of the grid a moment belongs to.
    fn tick(&self, at: i64) -> u64 {
        at.div_euclid(self.interval).unsigned_abs()
    }

    fn see(&mut self, target: &Observed, at: i64) {
        let place = self
            .scrapes
            .iter()
            .position(|scrapes| scrapes.target == target.target);
        let place = place.unwrap_or_else(|| {
            let target = target.target.clone();
            self.scrapes.push(Scrapes {
                target,
                up: VecDeque::new(),
            });
            self.scrapes.len() - 1
        });
        if let Some(scrapes) = self.scrapes.get_mut(place) {
            scrapes.up.push_back((at, target.exposed));
            while scrapes.up.len() > KEPT {
                scrapes.up.pop_front();
            }
        }
        for (labels, behaviour) in &target.arms {
            let known = self.tracks.iter().any(|track| track.labels == *labels);
            if !known {
                self.tracks.push(Track::new(&target.target, labels.clone()));
            }
            if let Some(track) = self.tracks.iter_mut().find(|track| track.labels == *labels) {
                track.behaviour = Some(behaviour.clone());
                track.shown = Some(behaviour.clone());
            }
        }
        let tick = self.tick(at);
        for track in self
            .tracks
            .iter_mut()
            .filter(|track| track.target == target.target)
        {
            let shown = target
                .arms
                .iter()
                .any(|(labels, _)| *labels == track.labels);
            if !shown {
                track.behaviour = None;
            }
            track.keep(at, tick, target.exposed);
        }
    }

    /// Counters and gauges as they are at `now`, for a scraper from outside.
    pub(crate) fn exposed(&self, now: i64) -> Vec<(&Track, Counters, Vec<f64>)> {
        let last = self.last;
        // Not past the next scrape: what happens there may change who gets traffic.
        let step = (now - last).min(self.next_scrape() - last).max(0);
        let tick = self.tick(last);
        self.tracks
            .iter()
            .filter(|track| {
                track
                    .scrapes
                    .back()
                    .is_some_and(|scrape| scrape.seen.is_some())
            })
            .map(|track| {
                let mut counters = track.counters.clone();
                track.add(&mut counters, seconds(step), tick);
                (track, counters, track.gauges(tick))
            })
            .collect()
    }
}

impl Track {
    fn new(target: &str, labels: Labels) -> Self {
        let words: Vec<&str> = labels.values().map(String::as_str).collect();
        Self {
            seed: digest::seed(&words.join(" ")),
            target: target.to_owned(),
            labels,
            counters: Counters::default(),
            behaviour: None,
            shown: None,
            scrapes: VecDeque::new(),
        }
    }

    fn grow(&mut self, span: f64, tick: u64) {
        let mut counters = std::mem::take(&mut self.counters);
        self.add(&mut counters, span, tick);
        self.counters = counters;
    }

    /// Adds what `span` seconds bring; the same tick always wobbles the same.
    fn add(&self, counters: &mut Counters, span: f64, tick: u64) {
        let Some(behaviour) = &self.behaviour else {
            return;
        };
        let wobble = |salt: u64, share: f64| {
            1.0 + share * (2.0 * digest::unit(self.seed ^ salt, tick) - 1.0)
        };
        let requests = behaviour.requests_per_second * span * wobble(1, 0.06);
        let p95 = behaviour.latency_p95 * wobble(2, 0.04);
        let ratio = (behaviour.error_ratio * wobble(3, 0.25)).clamp(0.0, 1.0);
        counters.good += requests * (1.0 - ratio);
        counters.bad += requests * ratio;
        counters.sum += requests * mean(p95);
        for (bucket, bound) in counters.buckets.iter_mut().zip(BOUNDS) {
            *bucket += requests * share_within(bound, p95);
        }
    }

    fn gauges(&self, tick: u64) -> Vec<f64> {
        let Some(behaviour) = &self.behaviour else {
            return Vec::new();
        };
        (0_u64..)
            .zip(&behaviour.gauges)
            .map(|(salt, (_, _, value, wobble))| {
                let noise = 2.0 * digest::unit(self.seed ^ (16 + salt), tick) - 1.0;
                value * (1.0 + wobble * noise)
            })
            .collect()
    }

    fn keep(&mut self, at: i64, tick: u64, exposed: bool) {
        let live = exposed && self.behaviour.is_some();
        let was_live = self
            .scrapes
            .back()
            .is_some_and(|scrape| scrape.seen.is_some());
        if !live && !was_live {
            return;
        }
        let seen = live.then(|| (self.counters.clone(), self.gauges(tick)));
        self.scrapes.push_back(Scrape { at, seen });
        while self.scrapes.len() > KEPT {
            self.scrapes.pop_front();
        }
    }
}
