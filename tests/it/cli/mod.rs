//! The real binary, from its arguments to its exit code.

mod acts;
mod codes;
mod contexts;
mod files;
mod init;
mod kills;
mod outages;
mod prompt;
mod reads;
mod reference;
pub(crate) mod run;
mod usage;
mod verbs;
