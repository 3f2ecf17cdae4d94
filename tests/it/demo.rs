//! The demo's worlds and the rest of the program: what a scenario writes, the
//! configuration must take.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use gonogo::{
    config::{Surroundings, read},
    sim::{Sim, clock::Clock, scenario},
};
use tokio::time::Instant;

use crate::support::setup;

fn clock(speed: f64) -> Clock {
    let begins: DateTime<Utc> = "2026-08-21T14:32:07Z".parse().unwrap();
    let started = Instant::now();
    Clock::new(
        Arc::new(move || begins + TimeDelta::from_std(started.elapsed()).unwrap()),
        speed,
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_scenario_starts_quickly_and_its_configuration_is_taken() {
    drop(rustls::crypto::ring::default_provider().install_default());
    for summary in scenario::list() {
        let scenario = scenario::load(&summary.name).unwrap();
        let began = Instant::now();
        let sim = Sim::start(&scenario, clock(3.0)).await.unwrap();
        let took = began.elapsed();
        assert!(took < Duration::from_secs(20), "{}: {took:?}", summary.name);
        println!("{}: an hour of history in {took:?}", summary.name);
        let dir = tempfile::tempdir().unwrap();
        sim.write(dir.path()).unwrap();
        let surroundings = Surroundings {
            now: Arc::new(setup::start),
            env: Arc::new(|_| None),
        };
        match read(&dir.path().join("config.toml"), &surroundings) {
            Ok(config) => assert!(config.remarks.is_empty(), "{:?}", config.remarks),
            Err(problems) => panic!("{}: {problems:?}", summary.name),
        }
        sim.stop().await;
    }
}
