//! Which series a selector means, found without making the labels of those it
//! does not.
//!
//! The choice is remembered for the time of one request: a range query asks for
//! the same series at every step.

use std::{
    cell::RefCell,
    collections::{HashMap, VecDeque},
    rc::Rc,
    sync::LazyLock,
};

use crate::sim::prometheus::{
    ast::Selector,
    database::{Counters, Database, Scrape, Track},
    histogram::BOUNDS,
    matching::matches,
    value::{Labels, number},
};

/// The buckets' bounds as labels.
static BOUND_LABELS: LazyLock<Vec<String>> =
    LazyLock::new(|| BOUNDS.iter().map(|bound| number(*bound)).collect());

/// No scrapes, for a track that is not there.
static NO_SCRAPES: VecDeque<Scrape> = VecDeque::new();
static NO_UPS: VecDeque<(i64, bool)> = VecDeque::new();

/// What one request is evaluated on.
pub(crate) struct Context<'a> {
    database: &'a Database,
    /// Value of the `instance` label.
    instance: &'a str,
    chosen: RefCell<HashMap<usize, Rc<[Chosen]>>>,
}

/// A series that was chosen.
#[derive(Debug, Clone)]
pub(crate) struct Chosen {
    pub(crate) labels: Labels,
    pub(crate) place: Place,
}

/// Where a series' numbers are.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place {
    /// A number of a track.
    Track(usize, Field),
    /// Whether a target could be scraped.
    Up(usize),
}

/// One number of a track.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Field {
    Good,
    Bad,
    Bucket(usize),
    AllBuckets,
    Count,
    Sum,
    Gauge(usize),
}

/// What a field shows in a scrape. Counters of requests are whole numbers.
pub(crate) fn read(field: Field, (counters, gauges): &(Counters, Vec<f64>)) -> Option<f64> {
    match field {
        Field::Good => Some(counters.good.floor()),
        Field::Bad => Some(counters.bad.floor()),
        Field::Count | Field::AllBuckets => Some((counters.good + counters.bad).floor()),
        Field::Sum => Some(counters.sum),
        Field::Bucket(index) => counters.buckets.get(index).map(|count| count.floor()),
        Field::Gauge(index) => gauges.get(index).copied(),
    }
}

impl<'a> Context<'a> {
    pub(crate) fn new(database: &'a Database, instance: &'a str) -> Self {
        Self {
            database,
            instance,
            chosen: RefCell::default(),
        }
    }

    /// The series a selector means, in order of their labels.
    pub(crate) fn chosen(&self, selector: &Selector) -> Rc<[Chosen]> {
        // The expression outlives the context's use of it, so its address names the selector.
        let key = std::ptr::from_ref(selector).addr();
        if let Some(chosen) = self.chosen.borrow().get(&key) {
            return Rc::clone(chosen);
        }
        let mut found = self.search(selector, i64::MIN);
        found.sort_by(|one, other| one.labels.cmp(&other.labels));
        let found: Rc<[Chosen]> = found.into();
        self.chosen.borrow_mut().insert(key, Rc::clone(&found));
        found
    }

    /// The labels of all series any selector means and that were seen since a moment.
    pub(crate) fn labels(&self, selectors: &[Selector], since: i64) -> Vec<Labels> {
        let everything = [Selector {
            matchers: Vec::new(),
            offset: 0,
        }];
        let selectors = if selectors.is_empty() {
            &everything
        } else {
            selectors
        };
        let found = selectors
            .iter()
            .flat_map(|selector| self.search(selector, since));
        let mut labels: Vec<Labels> = found.map(|chosen| chosen.labels).collect();
        labels.sort();
        labels.dedup();
        labels
    }

    fn search(&self, selector: &Selector, since: i64) -> Vec<Chosen> {
        let mut found = Vec::new();
        for (index, track) in self.database.tracks.iter().enumerate() {
            if track.scrapes.back().is_none_or(|scrape| scrape.at < since) {
                continue;
            }
            for field in fields(track) {
                let part = Part {
                    track,
                    field,
                    instance: self.instance,
                };
                if part.meets(selector) {
                    found.push(Chosen {
                        labels: part.labels(),
                        place: Place::Track(index, field),
                    });
                }
            }
        }
        for (index, scrapes) in self.database.scrapes.iter().enumerate() {
            let labels: Labels = [
                ("__name__", "up"),
                ("instance", self.instance),
                ("job", "models"),
                ("target", scrapes.target.as_str()),
            ]
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
            let meets = selector
                .matchers
                .iter()
                .all(|matcher| matches(matcher, labels.get(&matcher.label).map(String::as_str)));
            if meets {
                found.push(Chosen {
                    labels,
                    place: Place::Up(index),
                });
            }
        }
        found
    }

    pub(crate) fn scrapes_of(&self, track: usize) -> &VecDeque<Scrape> {
        self.database
            .tracks
            .get(track)
            .map_or(&NO_SCRAPES, |track| &track.scrapes)
    }

    pub(crate) fn ups_of(&self, target: usize) -> &VecDeque<(i64, bool)> {
        self.database
            .scrapes
            .get(target)
            .map_or(&NO_UPS, |scrapes| &scrapes.up)
    }
}

/// The numbers a track has.
fn fields(track: &Track) -> impl Iterator<Item = Field> {
    let gauges = track.shown.as_ref().map_or(0, |shown| shown.gauges.len());
    [
        Field::Good,
        Field::Bad,
        Field::Sum,
        Field::Count,
        Field::AllBuckets,
    ]
    .into_iter()
    .chain((0..BOUNDS.len()).map(Field::Bucket))
    .chain((0..gauges).map(Field::Gauge))
}

/// One number of one track, whose labels are looked up before they are made.
struct Part<'a> {
    track: &'a Track,
    field: Field,
    instance: &'a str,
}

impl Part<'_> {
    fn meets(&self, selector: &Selector) -> bool {
        selector
            .matchers
            .iter()
            .all(|matcher| matches(matcher, self.label(&matcher.label)))
    }

    fn name(&self) -> &str {
        match self.field {
            Field::Good | Field::Bad => "http_requests_total",
            Field::Bucket(_) | Field::AllBuckets => "predict_latency_seconds_bucket",
            Field::Count => "predict_latency_seconds_count",
            Field::Sum => "predict_latency_seconds_sum",
            Field::Gauge(index) => {
                let gauge = self
                    .track
                    .shown
                    .as_ref()
                    .and_then(|shown| shown.gauges.get(index));
                gauge.map_or("", |(name, ..)| name)
            }
        }
    }

    /// A label only this number has.
    fn own(&self) -> Option<(&str, &str)> {
        match self.field {
            Field::Good => Some(("code", "200")),
            Field::Bad => Some(("code", "500")),
            Field::AllBuckets => Some(("le", "+Inf")),
            Field::Bucket(index) => Some(("le", BOUND_LABELS.get(index)?)),
            Field::Count | Field::Sum | Field::Gauge(_) => None,
        }
    }

    fn gauge_labels(&self) -> Option<&Labels> {
        let Field::Gauge(index) = self.field else {
            return None;
        };
        self.track
            .shown
            .as_ref()?
            .gauges
            .get(index)
            .map(|(_, labels, ..)| labels)
    }

    fn label(&self, name: &str) -> Option<&str> {
        match name {
            "__name__" => Some(self.name()),
            "job" => Some("models"),
            "instance" => Some(self.instance),
            _ => self
                .own()
                .filter(|(own, _)| *own == name)
                .map(|(_, value)| value)
                .or_else(|| self.gauge_labels()?.get(name).map(String::as_str))
                .or_else(|| self.track.labels.get(name).map(String::as_str)),
        }
    }

    fn labels(&self) -> Labels {
        let mut labels = self.track.labels.clone();
        labels.extend(self.gauge_labels().cloned().unwrap_or_default());
        for (name, value) in [
            ("__name__", self.name()),
            ("job", "models"),
            ("instance", self.instance),
        ]
        .into_iter()
        .chain(self.own())
        {
            labels.insert(name.to_owned(), value.to_owned());
        }
        labels
    }
}
