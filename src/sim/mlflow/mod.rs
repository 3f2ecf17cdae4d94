//! The demo's model registry: an MLflow tracking server, version 3.17.
//!
//! Every path, quirk and error text follows answers captured from a real
//! server, which a test replays: a missing alias is 400, aliases show only
//! where they really show, empty fields are left out, an unknown route is an
//! HTML page, broken JSON counts as no parameters. Left out: artifacts' bytes,
//! traces, webhooks, workspaces, the user database.

mod api;
mod filter;
mod problem;
mod read;
mod search;
mod shape;
mod store;
#[cfg(test)]
mod tests;
mod write;

pub(crate) use api::MlFlow;
pub(crate) use store::{Account, Provenance, Registry};
