//! What integration tests share.

pub(crate) mod backend;
pub(crate) mod build;
pub(crate) mod registry;
pub(crate) mod release;
pub(crate) mod script;
pub(crate) mod setup;
pub(crate) mod world;
