//! A [`Setup`] with a clock and an environment of its own.

use std::{collections::BTreeMap, sync::Arc};

use chrono::{DateTime, TimeDelta};
use gonogo::{
    backend::Setup,
    domain::{Timestamp, catalog::Catalog},
};
use tokio::time::Instant;

/// When tests begin: `Tue, 10 Mar 2026 12:00:00 GMT`.
pub(crate) fn start() -> Timestamp {
    DateTime::parse_from_rfc3339("2026-03-10T12:00:00Z")
        .unwrap()
        .to_utc()
}

/// A setup with these environment variables; its clock starts at [`start`] and
/// goes with tokio's.
pub(crate) fn setup(catalog: Catalog, env: &[(&str, &str)]) -> Setup {
    let env: BTreeMap<String, String> = env
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let (wall, mono) = (start(), Instant::now());
    Setup {
        catalog: Arc::new(catalog),
        now: Arc::new(move || wall + TimeDelta::from_std(mono.elapsed()).unwrap()),
        base: std::env::temp_dir(),
        env: Arc::new(move |name| env.get(name).cloned()),
    }
}
