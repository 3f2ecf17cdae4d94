//! What integration tests share.

pub(crate) mod script;
pub(crate) mod setup;
