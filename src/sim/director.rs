//! Plays the script, and carries what one backend does over to the others.
//!
//! Everything that happens by itself happens here, in order of time: a moment
//! of the script, a job that ends, a scrape. The same loop plays the hour
//! before the start (with the world's clock held in the past) and the present,
//! so what a client finds has grown by the same rules as what it will see.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::sim::{
    cause::{BackendName, Cause, Effect, Patch},
    causes::Inbox,
    clock::Clock,
    github::{Finished, Hub},
    http::FaultSwitch,
    kubernetes::Cluster,
    mlflow::{Provenance, Registry},
    prometheus::{Arm, Database, Generator, arms_of, millis},
    scenario::{Moment, Traffic, fill_facts},
};

/// Longest the director sleeps: acts of people are noticed by a bell, the rest is a safety net.
const LONGEST_NAP: Duration = Duration::from_secs(1);
/// Shortest nap, so that a burst is taken together.
const SHORTEST_NAP: Duration = Duration::from_millis(5);

/// Everything a cause can touch.
pub(crate) struct Stage {
    pub(crate) hub: Arc<Mutex<Hub>>,
    pub(crate) registry: Arc<Mutex<Registry>>,
    pub(crate) database: Arc<Mutex<Database>>,
    pub(crate) generator: Generator,
    pub(crate) cluster: Cluster,
    pub(crate) github_faults: FaultSwitch,
    pub(crate) mlflow_faults: FaultSwitch,
    pub(crate) prometheus_faults: FaultSwitch,
}

/// The player.
pub(crate) struct Director {
    pub(crate) stage: Stage,
    /// Second zero of the scenario.
    begins: DateTime<Utc>,
    speed: f64,
    /// What is still to come, soonest last.
    script: Vec<Moment>,
    /// What somebody asks for meanwhile.
    pub(crate) inbox: Inbox,
    /// Who gets the traffic, and the cluster's version at which that was looked up.
    arms: (u64, Vec<Vec<Arm>>),
    /// Steps of the scraping grid between two scrapes; more than one only in the
    /// part of the past that is longer than the story.
    pub(crate) stride: i64,
}

impl Stage {
    /// Which versions of each target of traffic get some, in the generator's order.
    fn arms(&self) -> Vec<Vec<Arm>> {
        let replica_sets = self.cluster.list("ReplicaSet");
        let of = |traffic: &Traffic| {
            let Traffic {
                kind,
                namespace,
                target,
                ..
            } = traffic;
            let target = self.cluster.get(kind, namespace, target);
            target
                .map(|target| arms_of(&target, &replica_sets))
                .unwrap_or_default()
        };
        self.generator.traffic.iter().map(of).collect()
    }
}

fn locked<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Seconds of a scenario as a wall-clock span.
pub(crate) fn span(seconds: f64, speed: f64) -> TimeDelta {
    TimeDelta::milliseconds(millis(seconds / speed))
}

impl Director {
    /// A player whose second zero is `begins`.
    pub(crate) fn new(
        stage: Stage,
        script: Vec<Moment>,
        begins: DateTime<Utc>,
        speed: f64,
    ) -> Self {
        let mut director = Self {
            stage,
            begins,
            speed,
            script,
            inbox: Inbox::default(),
            arms: (0, Vec::new()),
            stride: 1,
        };
        director.sort();
        director
    }

    fn sort(&mut self) {
        // Stable and reversed, so that popping the last gives what was written first.
        self.script.reverse();
        self.script.sort_by(|one, other| other.s.total_cmp(&one.s));
    }

    fn at(&self, seconds: f64) -> DateTime<Utc> {
        self.begins + span(seconds, self.speed)
    }

    /// When targets are next measured, in milliseconds.
    fn next_scrape(&self) -> i64 {
        let database = locked(&self.stage.database);
        database.next_scrape() + (self.stride - 1) * database.interval
    }

    /// When something next happens by itself.
    pub(crate) fn next(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        let scrape = DateTime::from_timestamp_millis(self.next_scrape()).unwrap_or(now);
        let scripted = self.script.last().map(|moment| self.at(moment.s));
        let job = locked(&self.stage.hub).next_event();
        [scripted, job]
            .into_iter()
            .flatten()
            .fold(scrape, DateTime::min)
    }

    /// Lets everything happen that is due at `now`, in order of time.
    pub(crate) fn play(&mut self, now: DateTime<Utc>) {
        let (begins, speed) = (self.begins, self.speed);
        let due = |moment: &mut Moment| begins + span(moment.s, speed) <= now;
        while let Some(moment) = self.script.pop_if(due) {
            let at = self.at(moment.s);
            if let Some(every) = moment.every {
                let s = moment.s + every;
                let again = Moment {
                    s,
                    every: Some(every),
                    cause: moment.cause.clone(),
                };
                let place = self.script.partition_point(|other| other.s > s);
                self.script.insert(place, again);
            }
            // What jobs did before this moment comes before it.
            self.finish_jobs(at);
            self.cause(moment.cause, at);
        }
        self.finish_jobs(now);
        for cause in self.inbox.take() {
            self.cause(cause, now);
        }
        loop {
            let due = self.next_scrape();
            if due > now.timestamp_millis() {
                break;
            }
            self.scrape(due);
        }
    }

    fn finish_jobs(&mut self, now: DateTime<Utc>) {
        let finished = locked(&self.stage.hub).advance(now);
        for job in finished {
            self.finish(&job);
        }
    }

    /// Measures every target at a moment in milliseconds.
    fn scrape(&mut self, at: i64) {
        let version = self.stage.cluster.version();
        if self.arms.0 != version {
            self.arms = (version, self.stage.arms());
        }
        let observed = self.stage.generator.observe(&self.arms.1);
        locked(&self.stage.database).scrape(at, &observed);
    }

    fn cause(&mut self, cause: Cause, at: DateTime<Utc>) {
        match cause {
            Cause::Push(push) => drop(locked(&self.stage.hub).push(&push, at)),
            Cause::Review {
                repo,
                environment,
                by,
                approve,
                comment,
            } => {
                let verdict = if approve { "approved" } else { "rejected" };
                locked(&self.stage.hub).review_newest(
                    &repo,
                    &environment,
                    &by,
                    verdict,
                    &comment,
                    at,
                );
            }
            Cause::Rerun { repo, by } => locked(&self.stage.hub).rerun_newest(&repo, &by, at),
            Cause::Effect(Effect::Patch(patch)) => self.patch(patch),
            Cause::Effect(Effect::Alias {
                model,
                alias,
                version,
            }) => {
                locked(&self.stage.registry).set_alias(&model, &alias, version);
            }
            // A training belongs to a commit; only a job can register it.
            Cause::Effect(Effect::Register { .. }) => (),
            Cause::Register {
                training,
                sha,
                branch,
                author,
            } => {
                let provenance = Provenance {
                    sha,
                    branch,
                    author,
                    run_url: String::new(),
                };
                locked(&self.stage.registry).register(&training, &provenance, at);
            }
            Cause::Apply(objects) => {
                for object in objects {
                    self.told(self.stage.cluster.apply(object));
                }
            }
            Cause::Delete {
                kind,
                namespace,
                name,
            } => {
                self.stage.cluster.delete(&kind, &namespace, &name);
            }
            Cause::Shape(shape) => self.stage.generator.shape(shape),
            Cause::Silence { traffic, on } => self.stage.generator.silence(&traffic, on),
            Cause::Fault { backend, fault } => match backend {
                BackendName::Github => self.stage.github_faults.set(fault),
                BackendName::Mlflow => self.stage.mlflow_faults.set(fault),
                BackendName::Prometheus => self.stage.prometheus_faults.set(fault),
                BackendName::Kubernetes => self.stage.cluster.set_fault(fault),
            },
            Cause::Swallow { patches } => self.stage.cluster.swallow(patches),
        }
    }

    /// What hangs on a job that ended well.
    fn finish(&mut self, job: &Finished) {
        for effect in &job.effects {
            match effect {
                Effect::Register { model } => self.register(job, model),
                Effect::Alias {
                    model,
                    alias,
                    version,
                } => {
                    locked(&self.stage.registry).set_alias(model, alias, *version);
                }
                Effect::Patch(patch) => {
                    let facts = locked(&self.stage.hub).facts(job.run);
                    let merge = fill_facts(patch.merge.clone(), &facts);
                    self.patch(Patch {
                        merge,
                        ..patch.clone()
                    });
                }
            }
        }
    }

    fn register(&self, job: &Finished, model: &str) {
        let known = locked(&self.stage.registry).version_of_commit(model, &job.sha);
        let training = job.training.iter().find(|training| training.model == model);
        let Some(training) = training else {
            // A commit from before the story: its version is there already.
            if let Some((version, run)) = known {
                self.learn(job.run, model, version, run);
            }
            return;
        };
        let provenance = Provenance {
            sha: job.sha.clone(),
            branch: job.branch.clone(),
            author: job.author.clone(),
            run_url: job.run_url.clone(),
        };
        let registered = locked(&self.stage.registry).register(training, &provenance, job.at);
        if let Some((version, run)) = registered {
            self.learn(job.run, model, version, run);
        }
    }

    fn learn(&self, run: u64, model: &str, version: u32, mlflow_run: String) {
        let mut hub = locked(&self.stage.hub);
        hub.learn(run, "model", model.to_owned());
        hub.learn(run, "model_version", version.to_string());
        hub.learn(run, "mlflow_run", mlflow_run);
    }

    fn patch(&self, patch: Patch) {
        let Patch {
            kind,
            namespace,
            name,
            merge,
        } = patch;
        self.told(self.stage.cluster.patch(&kind, &namespace, &name, merge));
    }

    /// A cause the cluster refuses is shown where an operator would look: as an event.
    fn told(&self, result: Result<Value, String>) {
        if let Err(why) = result {
            let now = self.begins.timestamp_micros();
            let event = json!({
                "apiVersion": "v1", "kind": "Event",
                "metadata": {"namespace": "default",
                             "name": format!("demo-script.{now:x}.{}", self.script.len())},
                "involvedObject": {"kind": "Namespace", "name": "default"},
                "reason": "ScriptRefused", "message": why, "type": "Warning",
            });
            // If not even the event is taken there is nobody left to tell.
            drop(self.stage.cluster.seed(event));
        }
    }

    /// Plays the present until the task is aborted.
    pub(crate) async fn run(mut self, clock: Clock, bell: Arc<Notify>) {
        loop {
            let now = clock.now();
            self.play(now);
            let wait = (self.next(now) - clock.now()).to_std().unwrap_or_default();
            let nap = wait.clamp(SHORTEST_NAP, LONGEST_NAP);
            tokio::select! {
                () = tokio::time::sleep(nap) => (),
                () = bell.notified() => (),
            }
        }
    }
}
