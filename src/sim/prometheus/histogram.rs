//! Latency: how it is spread over buckets, and how a quantile is read back.

/// Upper bounds of the buckets, in seconds; the last real one is followed by `+Inf`.
pub(crate) const BOUNDS: [f64; 30] = [
    0.005, 0.0075, 0.01, 0.015, 0.02, 0.025, 0.03, 0.04, 0.05, 0.06, 0.075, 0.09, 0.1, 0.125, 0.15,
    0.175, 0.2, 0.225, 0.25, 0.275, 0.3, 0.35, 0.4, 0.5, 0.6, 0.75, 1.0, 1.5, 2.5, 5.0,
];

/// Width of the logarithm of latency; services with a cache and a model have about this.
const SPREAD: f64 = 0.42;
/// The standard normal's 95 % quantile.
const Z95: f64 = 1.644_853_627;

/// Share of requests answered within `bound` seconds, when 95 % are within `p95`.
pub(crate) fn share_within(bound: f64, p95: f64) -> f64 {
    if p95 <= 0.0 {
        return 1.0;
    }
    normal((bound / p95).ln() / SPREAD + Z95)
}

/// Mean latency in seconds, for the same distribution.
pub(crate) fn mean(p95: f64) -> f64 {
    p95 * (SPREAD * SPREAD / 2.0 - Z95 * SPREAD).exp()
}

/// The standard normal distribution function.
fn normal(z: f64) -> f64 {
    // Abramowitz and Stegun 7.1.26, good to 1.5e-7.
    let x = z.abs() / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * x);
    let poly = t
        * (0.254_829_592
            + t * (-0.284_496_736
                + t * (1.421_413_741 + t * (-1.453_152_027 + t * 1.061_405_429))));
    let error = 1.0 - poly * (-x * x).exp();
    if z < 0.0 {
        (1.0 - error) / 2.0
    } else {
        f64::midpoint(1.0, error)
    }
}

/// A quantile of cumulative buckets, as `histogram_quantile` reads it.
///
/// `buckets` are (upper bound, count) in any order.
pub(crate) fn quantile(q: f64, mut buckets: Vec<(f64, f64)>) -> f64 {
    if q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    buckets.sort_by(|one, other| one.0.total_cmp(&other.0));
    let Some(&(last, total)) = buckets.last() else {
        return f64::NAN;
    };
    if last != f64::INFINITY || buckets.len() < 2 || total == 0.0 || total.is_nan() {
        return f64::NAN;
    }
    // Scrapes of a live target may be slightly out of order.
    let mut highest = 0.0_f64;
    for bucket in &mut buckets {
        highest = highest.max(bucket.1);
        bucket.1 = highest;
    }
    let rank = q * total;
    let inner = buckets.get(..buckets.len() - 1).unwrap_or_default();
    let Some(place) = inner.iter().position(|(_, count)| *count >= rank) else {
        return inner.last().map_or(f64::NAN, |(bound, _)| *bound);
    };
    let (bound, count) = inner.get(place).copied().unwrap_or_default();
    if place == 0 && bound <= 0.0 {
        return bound;
    }
    let (start, before) = place
        .checked_sub(1)
        .and_then(|place| inner.get(place))
        .copied()
        .unwrap_or((0.0, 0.0));
    start + (bound - start) * ((rank - before) / (count - before))
}

#[cfg(test)]
mod tests {
    use super::{BOUNDS, mean, quantile, share_within};

    #[test]
    fn the_p95_put_in_is_the_p95_read_back() {
        for p95 in [0.044, 0.112, 0.205, 0.39, 0.8] {
            let mut buckets: Vec<(f64, f64)> = BOUNDS
                .iter()
                .map(|bound| (*bound, 1000.0 * share_within(*bound, p95)))
                .collect();
            buckets.push((f64::INFINITY, 1000.0));
            let read = quantile(0.95, buckets);
            assert!((read / p95 - 1.0).abs() < 0.06, "{p95} was read as {read}");
        }
    }

    #[test]
    fn the_normal_table_agrees_with_textbooks() {
        // Φ(0) = 0.5, Φ(1.96) = 0.975.
        assert!((super::normal(0.0) - 0.5).abs() < 1e-6);
        assert!((super::normal(1.96) - 0.975).abs() < 1e-4);
        assert!((super::normal(-1.96) - 0.025).abs() < 1e-4);
        assert!(mean(0.2) < 0.2);
    }

    #[test]
    fn no_observations_is_not_a_number() {
        assert!(quantile(0.95, vec![(0.1, 0.0), (f64::INFINITY, 0.0)]).is_nan());
        assert!(quantile(0.95, vec![(0.1, 3.0)]).is_nan());
    }
}
