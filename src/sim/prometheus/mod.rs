//! The demo's Prometheus: query API and `/metrics`, over generated series.
//!
//! The series are what instrumented services would show: request counters and
//! latency histograms that only grow, gauges of model quality. They are made
//! from how much traffic each version gets and how that version behaves, on a
//! fixed scrape grid, so that a real Prometheus which scrapes `/metrics` sees
//! the same. The language is a subset; what is not in it is 400 `bad_data`, as
//! a typo is on a real server.

mod aggregate;
mod answers;
mod api;
mod ast;
mod binary;
mod database;
mod eval;
mod exposition;
mod functions;
mod histogram;
mod lex;
mod matching;
mod parse;
mod select;
#[cfg(test)]
mod tests;
mod traffic;
mod value;

pub(crate) use api::Prometheus;
pub(crate) use database::Database;
pub(crate) use traffic::{Arm, Generator, arms_of};
pub(crate) use value::millis;
