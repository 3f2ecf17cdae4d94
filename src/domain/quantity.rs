//! Quantities that carry their unit and range.

use std::fmt;

/// A share of traffic in whole percent, 0 to 100.
///
/// Controllers take integer weights of a maximum that may not be 100; the
/// adapter converts. A value above 100 is held at 100.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Weight(u8);

impl Weight {
    /// No traffic.
    pub const ZERO: Self = Self(0);
    /// All traffic.
    pub const FULL: Self = Self(100);

    /// A weight from whole percent; more than 100 is 100.
    pub fn percent(percent: u8) -> Self {
        Self(percent.min(100))
    }

    /// The share `part` of `whole`, rounded down as the controllers do; a
    /// `whole` of nothing is no traffic.
    pub fn share(part: u64, whole: u64) -> Self {
        let percent = part.saturating_mul(100).checked_div(whole).unwrap_or(0);
        Self::percent(u8::try_from(percent).unwrap_or(100))
    }

    /// What is left of all traffic.
    pub fn rest(self) -> Self {
        Self(Self::FULL.0 - self.0)
    }

    /// Whole percent, 0 to 100.
    pub fn get(self) -> u8 {
        self.0
    }
}

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // `pad` honours the caller's width; `write!` would ignore it.
        f.pad(&format!("{} %", self.0))
    }
}

/// A count and what is counted: `1 job`, `2 jobs`.
pub fn counted<N>(count: N, one: &str, many: &str) -> String
where
    N: Copy + fmt::Display + PartialEq + From<u8>,
{
    let what = if count == N::from(1) { one } else { many };
    format!("{count} {what}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_not_many() {
        let counts = [0_u64, 1, 2].map(|count| counted(count, "job", "jobs"));
        assert_eq!(counts, ["0 jobs", "1 job", "2 jobs"]);
    }

    #[test]
    fn shares_round_down_and_never_exceed_the_whole() {
        assert_eq!(Weight::share(1, 3).get(), 33);
        assert_eq!(Weight::share(0, 0), Weight::ZERO);
        assert_eq!(Weight::share(12, 10), Weight::FULL);
    }
}
