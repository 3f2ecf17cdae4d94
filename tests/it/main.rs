//! Integration tests, one binary: everything that needs a socket, a process or
//! a file.
//!
//! Each module is `cfg(test)`, so that the lints for tests hold in its helpers.

#[cfg(test)]
mod acting;
#[cfg(test)]
mod cli;
#[cfg(test)]
mod config;
#[cfg(test)]
mod demo;
#[cfg(test)]
mod demo_registry;
#[cfg(test)]
mod engine;
#[cfg(test)]
mod faults_mlflow;
#[cfg(test)]
mod faults_prometheus;
#[cfg(test)]
mod github;
#[cfg(test)]
mod http;
#[cfg(test)]
mod kubernetes;
#[cfg(test)]
mod layers;
#[cfg(test)]
mod ledger;
#[cfg(test)]
mod mlflow;
#[cfg(test)]
mod prometheus;
#[cfg(test)]
mod prometheus_windows;
#[cfg(test)]
mod pty;
#[cfg(test)]
mod real_servers;
#[cfg(test)]
mod support;
#[cfg(test)]
mod tidy;
