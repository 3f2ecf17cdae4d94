//! The real binary, from its arguments to its exit code.

mod acts;
mod files;
mod init;
mod reads;
mod run;
mod usage;
