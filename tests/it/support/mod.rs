//! What integration tests share.

pub(crate) mod build;
pub(crate) mod script;
pub(crate) mod setup;
