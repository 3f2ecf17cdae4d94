//! The real binary, from its arguments to its exit code.

mod acts;
mod files;
mod init;
mod kills;
mod outages;
mod prompt;
mod reads;
mod reference;
mod run;
mod usage;
