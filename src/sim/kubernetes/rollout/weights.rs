//! How many pods a canary weight stands for.
//!
//! Without a traffic router the share of traffic is the share of pods, so a
//! weight can only be approached. Pure arithmetic; the rules are those of Argo
//! Rollouts.

/// The size of one ReplicaSet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Size {
    /// Pods asked for.
    pub(crate) replicas: i64,
    /// Pods available.
    pub(crate) available: i64,
}

/// What a canary without traffic routing is sized by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Basic {
    /// Pods of the rollout.
    pub(crate) replicas: i64,
    pub(crate) weight: i64,
    pub(crate) max_weight: i64,
    pub(crate) surge: i64,
    pub(crate) unavailable: i64,
    pub(crate) canary: Size,
    /// The stable set, when it is another one than the canary.
    pub(crate) stable: Option<Size>,
    /// Pods asked for by sets that are neither.
    pub(crate) others: i64,
}

/// The canary and stable pods that come closest to a weight.
///
/// The sum is `replicas`, or one more when surging is allowed. A weight that
/// is neither none nor all keeps at least one pod on each side where two or
/// more are at hand.
pub(crate) fn approximate(replicas: i64, weight: i64, max_weight: i64, surge: i64) -> (i64, i64) {
    if replicas == 0 {
        return (0, 0);
    }
    let share = replicas * weight;
    let high = share.div_euclid(max_weight) + i64::from(share.rem_euclid(max_weight) > 0);
    let low = share.div_euclid(max_weight);
    let zero_allowed = weight == 0 || weight == max_weight || (replicas == 1 && surge == 0);
    let mut options = Vec::new();
    if high < replicas || zero_allowed {
        options.push((high, replicas));
    }
    let low_fits = |total: i64| {
        // Half-way between two counts the larger one is taken.
        let tied = 2 * (total * weight).rem_euclid(max_weight) == max_weight;
        !tied && (low != 0 || zero_allowed)
    };
    if low_fits(replicas) {
        options.push((low, replicas));
    }
    if surge > 0 {
        options.push((high, replicas + 1));
        if low_fits(replicas + 1) {
            options.push((low, replicas + 1));
        }
    }
    let distance = |(canary, total): &(i64, i64)| (canary * max_weight - weight * total).abs();
    let mut best = (0, replicas);
    let mut found = false;
    for option in options {
        // Fractions compared without dividing; the first of equals wins.
        if !found || distance(&option) * best.1 < distance(&best) * option.1 {
            best = option;
            found = true;
        }
    }
    (best.0, best.1 - best.0)
}

/// The next sizes of canary and stable: towards the weight, but never above
/// the surge nor below what must stay available.
pub(crate) fn basic(plan: &Basic) -> (i64, i64) {
    let Basic {
        replicas, canary, ..
    } = *plan;
    let (mut wanted, mut wanted_stable) =
        approximate(replicas, plan.weight, plan.max_weight, plan.surge);
    let stable = plan.stable.unwrap_or_default();
    if plan.stable.is_none() {
        (wanted, wanted_stable) = (replicas, 0);
    }
    let most = replicas + plan.surge;
    let mut room = most - (canary.replicas + stable.replicas + plan.others);
    let (mut next, mut next_stable) = (canary.replicas, stable.replicas);
    if plan.stable.is_some() && stable.replicas < wanted_stable && room > 0 {
        next_stable = wanted_stable.min(stable.replicas + room);
        room -= next_stable - stable.replicas;
    }
    if canary.replicas < wanted && room > 0 {
        next = wanted.min(canary.replicas + room);
    }
    if plan.others > 0 {
        // Neither set shrinks before the sets that are neither are gone.
        return (next, next_stable);
    }
    let least = replicas - plan.unavailable;
    let growing = wanted >= canary.replicas;
    let countable = |size: Size, ignore_availability: bool| {
        if ignore_availability || size.replicas < size.available {
            size.replicas
        } else {
            size.available
        }
    };
    let standing =
        countable(canary, !growing) + plan.stable.map_or(0, |size| countable(size, growing));
    let spare = standing - least;
    if spare <= 0 {
        return (next, next_stable);
    }
    let shrunk = |size: Size, target: i64, next: i64| {
        if size.replicas > target {
            target.max(size.replicas - spare)
        } else {
            next
        }
    };
    if !growing {
        next = shrunk(canary, wanted, next);
        (next, next_stable) = within((canary, next), (stable, next_stable), most, least);
    } else if plan.stable.is_some() {
        next_stable = shrunk(stable, wanted_stable, next_stable);
        (next_stable, next) = within((stable, next_stable), (canary, next), most, least);
    }
    (next, next_stable)
}

/// Trims the set that is kept, then the one that is drained, so that both fit
/// under `most` while `least` stay available.
fn within(drained: (Size, i64), kept: (Size, i64), most: i64, least: i64) -> (i64, i64) {
    let (drained, mut drained_next) = drained;
    let (kept, mut kept_next) = kept;
    kept_next -= (kept_next + drained_next - most).max(0);
    let available = drained.available.min(drained_next) + kept.available.min(kept_next);
    let lost = (kept.available - kept_next).max(0);
    kept_next += lost.min((least - available).max(0));
    drained_next -= (kept_next + drained_next - most).max(0);
    (drained_next, kept_next)
}

/// Pods for a weight when a router splits the traffic: rounded up.
pub(crate) fn routed(replicas: i64, weight: i64, max_weight: i64) -> i64 {
    let share = replicas * weight;
    share.div_euclid(max_weight) + i64::from(share.rem_euclid(max_weight) > 0)
}

/// A count written as a number or as a percentage of `total`.
pub(crate) fn portion(written: &serde_json::Value, total: i64, round_up: bool) -> Option<i64> {
    if let Some(number) = written.as_i64() {
        return Some(number);
    }
    let text = written.as_str()?;
    let Some(percent) = text.strip_suffix('%') else {
        return text.parse().ok();
    };
    let share = percent.trim().parse::<i64>().ok()? * total;
    let up = i64::from(round_up && share.rem_euclid(100) > 0);
    Some(share.div_euclid(100) + up)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Worked out by hand from the rules: candidates, then the smallest
    /// distance.
    #[test]
    fn a_weight_becomes_the_closest_split_of_pods() {
        for (replicas, weight, surge, canary, stable) in [
            (0, 50, 1, 0, 0),
            (1, 1, 0, 0, 1),
            (1, 50, 0, 1, 0),
            (1, 1, 1, 1, 1),
            (1, 99, 1, 1, 1),
            (1, 100, 1, 1, 0),
            (2, 1, 0, 1, 1),
            (2, 99, 0, 1, 1),
            (2, 1, 1, 1, 2),
            (2, 99, 1, 2, 1),
            (3, 25, 0, 1, 2),
            (3, 50, 0, 2, 1),
            (3, 25, 1, 1, 3),
            (3, 50, 1, 2, 2),
            (10, 0, 1, 0, 10),
            (10, 14, 0, 1, 9),
            (10, 15, 0, 2, 8),
            (10, 30, 1, 3, 7),
            (10, 100, 0, 10, 0),
        ] {
            assert_eq!(
                approximate(replicas, weight, 100, surge),
                (canary, stable),
                "{replicas} pods at {weight} %, surge {surge}"
            );
        }
    }

    #[test]
    fn another_maximum_weight_counts_as_the_whole() {
        assert_eq!(approximate(10, 500, 1000, 0), (5, 5));
    }

    fn ten(weight: i64, surge: i64, unavailable: i64, canary: Size, stable: Size) -> Basic {
        Basic {
            replicas: 10,
            weight,
            max_weight: 100,
            surge,
            unavailable,
            canary,
            stable: Some(stable),
            others: 0,
        }
    }

    fn size(replicas: i64) -> Size {
        Size {
            replicas,
            available: replicas,
        }
    }

    #[test]
    fn the_canary_grows_and_the_stable_shrinks_as_far_as_availability_allows() {
        let none = size(0);
        // Room for one more, none may be missing: first the canary comes.
        assert_eq!(basic(&ten(10, 1, 0, none, size(10))), (1, 10));
        // Then the stable set can give one up.
        assert_eq!(basic(&ten(10, 1, 0, size(1), size(10))), (1, 9));
        // Three at once where three may surge.
        assert_eq!(basic(&ten(30, 3, 0, none, size(10))), (3, 10));
        // No surge: the stable set goes first.
        assert_eq!(basic(&ten(30, 0, 5, none, size(10))), (0, 7));
    }

    #[test]
    fn an_unavailable_canary_does_not_let_the_stable_set_shrink() {
        let starting = Size {
            replicas: 1,
            available: 0,
        };
        assert_eq!(basic(&ten(10, 1, 0, starting, size(10))), (1, 10));
    }

    #[test]
    fn an_abort_brings_the_stable_set_back_before_the_canary_goes() {
        // Weight 0 with 3 canaries and 7 stable, one may surge.
        assert_eq!(basic(&ten(0, 1, 0, size(3), size(7))), (3, 8));
        assert_eq!(basic(&ten(0, 1, 0, size(3), size(8))), (2, 8));
        assert_eq!(basic(&ten(0, 1, 0, size(0), size(10))), (0, 10));
    }

    #[test]
    fn without_a_stable_set_the_canary_takes_all() {
        let plan = Basic {
            stable: None,
            ..ten(10, 1, 0, size(0), size(0))
        };
        assert_eq!(basic(&plan), (10, 0));
    }

    #[test]
    fn portions_are_numbers_or_percentages() {
        assert_eq!(portion(&json!("25%"), 10, true), Some(3));
        assert_eq!(portion(&json!("25%"), 10, false), Some(2));
        assert_eq!(portion(&json!(2), 10, true), Some(2));
        assert_eq!(portion(&json!("x"), 10, true), None);
    }

    #[test]
    fn a_router_needs_pods_rounded_up() {
        assert_eq!(routed(10, 5, 100), 1);
        assert_eq!(routed(4, 25, 100), 1);
        assert_eq!(routed(10, 0, 100), 0);
    }
}
