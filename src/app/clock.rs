//! The only place that reads the clock.

use std::sync::Arc;

use crate::{backend::Now, domain::Timestamp};

/// The wall clock, now.
pub fn now() -> Timestamp {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the clock"
    )]
    chrono::Utc::now()
}

/// The wall clock, to hand in.
pub fn wall() -> Now {
    Arc::new(now)
}
