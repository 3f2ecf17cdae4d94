//! The demo's GitHub: Actions as a client of api.github.com meets it.
//!
//! REST version `2022-11-28` (and `2026-03-10`), under `/` and, as on a GitHub
//! Enterprise Server, under `/api/v3`. Answers carry every field a real one
//! must have, an `ETag`, and a rate budget that really runs down: 304 is free.
//! Left out: GraphQL, webhooks, log archives, everything that is not Actions,
//! deployments or what a run refers to. Logs live on a second host that refuses
//! credentials, as GitHub's storage does.

mod act;
mod api;
mod budget;
mod engine;
mod logs;
mod lookup;
mod model;
mod people;
mod read;
mod seed;
mod settle;
mod shape;
mod shape_deploys;
mod shape_runs;
mod steps;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_acts;

pub(crate) use api::GitHub;
pub(crate) use engine::Finished;
pub(crate) use logs::LogStore;
pub(crate) use model::Hub;
pub(crate) use seed::hub;
