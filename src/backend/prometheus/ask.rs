//! Asks everything about one metric at one instant.
//!
//! The canary, the stable revision and the traffic guard are evaluated at the
//! same instant, so that their windows are the same and a comparison compares
//! like with like.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta};
use futures::future::join_all;

use crate::{
    backend::{
        BackendError, ErrorKind,
        prometheus::{
            api::{Api, Window, unreadable},
            map,
        },
    },
    domain::{
        Timestamp,
        catalog::MetricSpec,
        measure::{Arm, Measure, Sample, Series, Window as Measured, Windows},
        quantity::counted,
        text::Clean,
    },
};

/// The most points of a chart; no terminal is wider.
const POINTS: u64 = 240;

/// A sample stamped later than it was asked for by more than this is from no
/// clock that can be trusted. A server that stamps by its own clock, after a
/// slow request, stays below.
const AHEAD: TimeDelta = TimeDelta::seconds(30);
/// Stamps that differ by less are the same: they are rounded on the way.
const SAME: TimeDelta = TimeDelta::seconds(1);

/// The instant at which everything of one look is evaluated.
#[derive(Clone, Copy, Debug)]
pub(super) struct Instant {
    /// By our clock.
    pub(super) ours: Timestamp,
    /// By the server's.
    pub(super) theirs: Timestamp,
}

impl Instant {
    /// An instant of the server's clock in ours.
    pub(super) fn ours_of(self, theirs: Timestamp) -> Timestamp {
        theirs - (self.theirs - self.ours)
    }
}

/// The queries a metric has, by side.
pub(super) fn queries(spec: &MetricSpec) -> impl Iterator<Item = (Arm, &Clean)> {
    let canary = Some((Arm::Canary, &spec.canary));
    let stable = spec.stable.as_ref().map(|query| (Arm::Stable, query));
    let traffic = spec.traffic.as_ref().map(|query| (Arm::Traffic, query));
    [canary, stable, traffic].into_iter().flatten()
}

/// The instant values of a metric. `newest` is the stamp of the newest sample
/// behind it, where the configuration says how to learn that.
///
/// # Errors
///
/// Any of its queries failed, or was answered in part only.
pub(super) async fn measures(
    api: &Arc<Api>,
    spec: &MetricSpec,
    at: Instant,
    newest: Option<Timestamp>,
) -> Result<Vec<Measure>, BackendError> {
    let asked = queries(spec).map(|(arm, query)| async move {
        let (sample, made_at) = instant(api, spec, query, at)
            .await
            .map_err(|error| name_arm(&error, arm))?;
        Ok(Measure {
            metric: spec.id.clone(),
            arm,
            sample,
            at: newest.map_or(made_at, |newest| newest.min(made_at)),
            query: query.clone(),
            backend: spec.backend.clone(),
        })
    });
    join_all(asked).await.into_iter().collect()
}

/// What one query comes to at one instant, and the stamp it bears, by our
/// clock: what a cache answers is as old as it was when it was put there.
///
/// # Errors
///
/// It failed, was answered in part only, or is stamped with a time to come.
pub(super) async fn instant(
    api: &Api,
    spec: &MetricSpec,
    query: &str,
    at: Instant,
) -> Result<(Sample, Timestamp), BackendError> {
    let (data, warnings) = api.query(query, at.theirs).await?;
    whole(&warnings)?;
    let stamps = map::stamps(&data);
    let sample = map::sample(data, spec.aggregate).map_err(|error| unreadable("query", &error))?;
    Ok((sample, made_at(api, &stamps, at)?))
}

/// A federated server that lost a store answers with what is left.
fn whole(warnings: &[Clean]) -> Result<(), BackendError> {
    warnings.first().map_or(Ok(()), |first| {
        Err(BackendError::new(
            ErrorKind::Server,
            Clean::line(&format!(
                "answered in part, {}, the first: {first}",
                counted(warnings.len(), "warning", "warnings")
            )),
        ))
    })
}

/// The oldest of these stamps by our clock; the instant asked for where it is
/// that, or nothing is stamped.
fn made_at(api: &Api, stamps: &[f64], at: Instant) -> Result<Timestamp, BackendError> {
    let mut oldest = at.theirs;
    for seconds in stamps {
        let stamp = map::instant(*seconds).ok_or_else(|| {
            let words = format!("a sample is stamped {seconds}, which is no time");
            BackendError::new(ErrorKind::Malformed, Clean::line(&words))
        })?;
        not_ahead(stamp, at, "a sample")?;
        oldest = oldest.min(stamp);
    }
    Ok(if at.theirs - oldest < SAME {
        at.ours
    } else {
        api.our_time(oldest)
    })
}

/// Refuses a stamp of `what` that is later than what was asked for.
fn not_ahead(stamp: Timestamp, at: Instant, what: &str) -> Result<(), BackendError> {
    let ahead = stamp - at.theirs;
    if ahead <= AHEAD {
        return Ok(());
    }
    let words = format!(
        "{what} is stamped {} s ahead of the time it was asked for",
        ahead.num_seconds()
    );
    Err(BackendError::new(ErrorKind::Malformed, Clean::line(&words)))
}

/// The stamp of the newest sample, by our clock.
///
/// # Errors
///
/// The query failed, does not come to one number of Unix seconds, or names a
/// time to come.
pub(super) async fn newest_sample(
    api: &Api,
    query: &str,
    at: Instant,
) -> Result<Timestamp, BackendError> {
    let (data, _) = api.query(query, at.theirs).await?;
    let sample = map::sample(data, None);
    let stamp = match &sample {
        Ok(Sample::Value(seconds)) => map::instant(*seconds),
        _ => None,
    };
    let stamp = stamp.ok_or_else(|| {
        let came = sample.map_or_else(|error| error.to_string(), |sample| map::describe(&sample));
        BackendError::new(
            ErrorKind::Malformed,
            Clean::line(&format!(
                "the `fresh` query names no instant: it came to {came}"
            )),
        )
    })?;
    not_ahead(stamp, at, "the newest sample")?;
    Ok(api.our_time(stamp))
}

/// The charts of a metric: the canary and the stable revision over one window.
/// A side that has no single line (several series, no rule) is left out.
///
/// # Errors
///
/// Any of its queries failed.
pub(super) async fn charts(
    api: &Arc<Api>,
    spec: &MetricSpec,
    window: Window,
) -> Result<Vec<Series>, BackendError> {
    let arms = queries(spec).filter(|(arm, _)| *arm != Arm::Traffic);
    let asked = arms.map(|(arm, query)| async move {
        let (data, _) = api
            .query_range(query, window)
            .await
            .map_err(|error| name_arm(&error, arm))?;
        let points =
            map::points(data, spec.aggregate).map_err(|error| unreadable("query_range", &error))?;
        Ok(points.map(|points| Series {
            metric: spec.id.clone(),
            arm,
            points: points
                .into_iter()
                .map(|(at, value)| (api.our_time(at), value))
                .collect(),
            from: api.our_time(window.from),
            to: api.our_time(window.to),
        }))
    });
    let series: Result<Vec<_>, BackendError> = join_all(asked).await.into_iter().collect();
    Ok(series?.into_iter().flatten().collect())
}

/// The last `count` windows of a metric that are over, on the grid of their own
/// width: the same whoever asks, and however often. `newest` is the stamp of
/// the newest sample: what begins after it was not measured.
///
/// # Errors
///
/// Any of its queries failed, or was answered in part only.
pub(super) async fn windows(
    api: &Arc<Api>,
    spec: &MetricSpec,
    count: u32,
    at: Instant,
    newest: Option<Timestamp>,
) -> Result<Windows, BackendError> {
    let grid = grid(spec.window, count, at.theirs);
    let asked = queries(spec).map(|(arm, query)| async move {
        let (data, warnings) = api
            .query_range(query, grid)
            .await
            .map_err(|error| name_arm(&error, arm))?;
        whole(&warnings).map_err(|error| name_arm(&error, arm))?;
        let points =
            map::points(data, spec.aggregate).map_err(|error| unreadable("query_range", &error))?;
        Ok((arm, points.unwrap_or_default()))
    });
    let measured: Result<Vec<_>, BackendError> = join_all(asked).await.into_iter().collect();
    let measured = measured?;
    let width = TimeDelta::from_std(grid.step).unwrap_or_default();
    let value = |arm: Arm, end: Timestamp| {
        let points = measured.iter().find(|(of, _)| *of == arm);
        let mut at_end = points.into_iter().flat_map(|(_, points)| points);
        at_end.find(|(at, _)| *at == end).map(|(_, value)| *value)
    };
    let windows = (0..count.cast_signed())
        .map(|index| grid.from + width * index)
        .map(|end| {
            let ends_at = api.our_time(end);
            let of = |arm| value(arm, end).filter(|_| newest.is_none_or(|at| ends_at - width < at));
            Measured {
                ends_at,
                canary: of(Arm::Canary),
                stable: of(Arm::Stable),
                traffic: of(Arm::Traffic),
            }
        })
        .collect();
    Ok(Windows {
        metric: spec.id.clone(),
        width: grid.step,
        windows,
    })
}

/// Where the last `count` windows end that are over.
pub(super) fn grid(width: Duration, count: u32, theirs: Timestamp) -> Window {
    let width = width.max(Duration::from_millis(1));
    let step = i64::try_from(width.as_millis()).unwrap_or(i64::MAX);
    let now = theirs.timestamp_millis();
    let end = now - now.rem_euclid(step);
    let to = DateTime::from_timestamp_millis(end).unwrap_or(theirs);
    let reach = i64::from(count.saturating_sub(1)).saturating_mul(step);
    Window {
        from: to - TimeDelta::milliseconds(reach),
        to,
        step: width,
    }
}

/// The time between two points of a chart that shows `range`.
pub(super) fn step(range: Duration) -> Duration {
    Duration::from_secs(range.as_secs().div_ceil(POINTS - 1).max(1))
}

/// The newest window of a chart that shows `range`, on a grid of its own step,
/// so that points stand still between two looks.
pub(super) fn window(range: Duration, theirs: Timestamp) -> Window {
    let step = step(range);
    let grid = i64::try_from(step.as_secs()).unwrap_or(i64::MAX);
    let end = theirs.timestamp() - theirs.timestamp().rem_euclid(grid);
    let to = DateTime::from_timestamp(end, 0).unwrap_or(theirs);
    let steps = range.as_secs() / step.as_secs();
    let reach = step * u32::try_from(steps).unwrap_or(u32::MAX);
    let reach = TimeDelta::from_std(reach).unwrap_or_default();
    Window {
        from: to - reach,
        to,
        step,
    }
}

fn name_arm(error: &BackendError, arm: Arm) -> BackendError {
    let message = Clean::line(&format!("{} query: {}", arm.name(), error.message));
    BackendError::new(error.kind, message).after(error.retry_after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_has_at_most_240_points_on_a_grid_that_stands_still() {
        let at = DateTime::from_timestamp(1_795_403_113, 189_000_000).unwrap();
        for minutes in [1, 5, 30, 60, 360, 1440, 10_080] {
            let range = Duration::from_secs(minutes * 60);
            let window = window(range, at);
            let length = (window.to - window.from).num_seconds();
            let step = i64::try_from(window.step.as_secs()).unwrap();
            assert!(length / step < 240, "{minutes} min: {length}/{step}");
            assert_eq!(length % step, 0);
            assert_eq!(window.to.timestamp() % step, 0);
            assert!((at - window.to).num_seconds() < step + 1);
            assert!(length > i64::try_from(range.as_secs()).unwrap() - step);
        }
        let half_hour = window(Duration::from_secs(1800), at);
        assert_eq!(half_hour.step, Duration::from_secs(8));
        assert_eq!(
            super::window(Duration::from_secs(1800), at + TimeDelta::seconds(1)).to,
            half_hour.to + TimeDelta::seconds(8) * i32::from(1_795_403_114 % 8 == 0)
        );
    }
}
