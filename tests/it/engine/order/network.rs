//! A network in which anything may happen to a release within a dozen answers,
//! and in which they arrive in any order.

use gonogo::domain::{
    action::{ActionKind, Subject},
    backend::{Budget, ErrorKind, Server},
    measure::{Arm, Sample},
    observation::{Batch, Fact, Failure, Key, Observation, Scope},
    permit::{Identity, Permit},
    pipeline::{Outcome, RunStatus},
    rollout::Rollout,
    text::Clean,
};
use proptest::prelude::*;

use crate::support::build::{
    aliases, answer, at, backend, canary, event, job, live, measure, metric, model_run, registry,
    revision, run, runs, target, version,
};

const A: &str = "9f3c2ab0000000000000000000000000000000aa";
const B: &str = "1111111bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
/// When everything has been heard, in seconds.
pub(super) const NOW: i64 = 1_000;
/// Seconds between two answers.
const APART: i64 = 3;

/// One answer, without its stamp.
#[derive(Clone, Debug)]
pub(super) enum Heard {
    /// The list of runs: which of two are in it, and what they are called.
    Runs([bool; 2], &'static str),
    /// A job of the first run: still running or done.
    Job(bool),
    /// The registry: the champion, and whether the second version is there.
    Registry(u64, bool),
    /// A watch event about the rollout.
    Told,
    /// The list of rollouts, by so many answers behind the watch.
    Listed(usize),
    /// The rollout is deleted, as the watch says or as the list leaves it out.
    Gone {
        told: bool,
    },
    Measured(f64),
    Failed(Scope, ErrorKind),
    /// What may be done, who we are, what is left and how old the server is:
    /// some of it, in an answer about permissions.
    Ours {
        allowed: bool,
        left: u64,
        told: [bool; 4],
    },
}

fn scopes() -> Vec<Scope> {
    let of = |name, part: &str| Scope::new(&backend(name), part.to_owned());
    vec![
        of("gh", "runs acme/recsys ml-cicd.yml"),
        of("gh", "jobs 1"),
        of("mlflow", "model ranker"),
        of("prod", "rollouts recsys"),
        of("prod", "permits"),
        of("prom", "metric recsys-ranker/prod-eu/latency_p95"),
    ]
}

fn heard() -> impl Strategy<Value = Heard> {
    let kinds = vec![
        ErrorKind::Unreachable,
        ErrorKind::Timeout,
        ErrorKind::Forbidden,
    ];
    prop_oneof![
        3 => (any::<[bool; 2]>(), prop::sample::select(vec!["a change", "another"]))
            .prop_map(|(present, title)| Heard::Runs(present, title)),
        1 => any::<bool>().prop_map(Heard::Job),
        2 => (1_u64..3, any::<bool>()).prop_map(|(champion, both)| Heard::Registry(champion, both)),
        3 => Just(Heard::Told),
        2 => (0_usize..4).prop_map(Heard::Listed),
        1 => any::<bool>().prop_map(|told| Heard::Gone { told }),
        2 => prop::sample::select(vec![200.0, 300.0]).prop_map(Heard::Measured),
        4 => (prop::sample::select(scopes()), prop::sample::select(kinds))
            .prop_map(|(scope, kind)| Heard::Failed(scope, kind)),
        2 => (any::<bool>(), 0_u64..5, any::<[bool; 4]>())
            .prop_map(|(allowed, left, told)| Heard::Ours { allowed, left, told }),
    ]
}

/// What happened to the rollout, by the index of the answer it happened before.
#[derive(Clone, Debug)]
pub(super) struct Past {
    /// From here on a canary, taken back, tried again, and with everything.
    turns: [usize; 4],
    /// It was deleted and made anew.
    pub(super) remade: Vec<usize>,
}

impl Past {
    pub(super) fn of(heard: &[Heard], turns: [usize; 4]) -> Self {
        let gone =
            |(index, heard): (usize, &Heard)| matches!(heard, Heard::Gone { .. }).then_some(index);
        Self {
            turns,
            remade: heard.iter().enumerate().filter_map(gone).collect(),
        }
    }

    /// Which state of the rollout the answer at an index shows, if any.
    pub(super) fn shown(&self, heard: &Heard, index: usize) -> Option<usize> {
        match heard {
            Heard::Told => Some(index),
            Heard::Listed(behind) => {
                // No list is older than the last time it was made anew.
                let life = self.remade.iter().filter(|gone| **gone < index).max();
                let first = life.map_or(0, |gone| gone + 1);
                Some(index.saturating_sub(*behind).max(first))
            }
            _ => None,
        }
    }

    /// The rollout as it was at an index.
    pub(super) fn rollout(&self, index: usize) -> Rollout {
        let mut rollout = match self.turns.iter().filter(|turn| **turn <= index).count() {
            0 => live("r/ranker:1111111"),
            1 | 3 => canary("r/ranker:9f3c2ab", "r/ranker:1111111"),
            2 => Rollout {
                aborted: Some(None),
                ..canary("r/ranker:9f3c2ab", "r/ranker:1111111")
            },
            _ => {
                let image = "r/ranker:9f3c2ab";
                let role = gonogo::domain::rollout::Role::Stable;
                let mut full = live(image);
                full.current_hash = Some("new".into());
                full.stable_hash = Some("new".into());
                full.revisions = vec![revision(2, "new", image, role)];
                full
            }
        };
        let lives = self.remade.iter().filter(|gone| **gone < index).count();
        rollout.uid = Clean::from(format!("uid-{lives}"));
        rollout.version = Some(100 + u64::try_from(index).unwrap());
        rollout
    }
}

/// When the answer at an index arrives, in seconds.
pub(super) fn arrives(index: usize) -> i64 {
    NOW - 100 + APART * i64::try_from(index).unwrap()
}

pub(super) fn stamped(heard: &Heard, index: usize, past: &Past) -> Observation {
    let when = arrives(index);
    let boxed = |index| vec![Fact::Rollout(Box::new(past.rollout(index)))];
    let rollouts = "rollouts recsys";
    match heard {
        Heard::Runs(present, title) => {
            let both = [(1, A, 0), (2, B, 50)].map(|(id, sha, made)| {
                let mut run = run(id, sha, made);
                run.title = Clean::line(title);
                run
            });
            let named: Vec<_> = both.iter().zip(present).filter(|(_, is)| **is).collect();
            runs(when, &named.iter().map(|(run, _)| *run).collect::<Vec<_>>())
        }
        Heard::Job(done) => {
            let status = if *done {
                RunStatus::ended(Outcome::Succeeded)
            } else {
                RunStatus::at(gonogo::domain::pipeline::Phase::Running)
            };
            let job = job(&run(1, A, 0), 5, "train", status);
            answer("gh", "jobs 1", when, vec![Fact::Job(job)])
        }
        Heard::Registry(champion, both) => {
            let mut versions = vec![version(1, &[("git_sha", B)])];
            let mut model_runs = vec![model_run(1, &[("accuracy", 0.95)])];
            if *both {
                versions.push(version(2, &[("git_sha", A)]));
                model_runs.push(model_run(2, &[("accuracy", 0.96)]));
            }
            registry(
                when,
                aliases(&[("champion", *champion)]),
                versions,
                model_runs,
            )
        }
        Heard::Told => event("prod", rollouts, when, boxed(index)),
        Heard::Listed(_) => {
            let shown = past.shown(heard, index).unwrap();
            answer("prod", rollouts, when, boxed(shown))
        }
        Heard::Gone { told: true } => {
            let Observation::Batch(batch) = event("prod", rollouts, when, vec![]) else {
                unreachable!("an event is a batch")
            };
            Observation::Batch(Batch {
                gone: vec![Key::Rollout(target())],
                ..batch
            })
        }
        Heard::Gone { told: false } => answer("prod", rollouts, when, vec![]),
        Heard::Measured(value) => {
            let measure = measure(Arm::Canary, Sample::Value(*value), when);
            let scope = Scope::metric(&backend("prom"), &metric());
            answer("prom", &scope.part, when, vec![Fact::Measure(measure)])
        }
        Heard::Failed(scope, kind) => Observation::Failure(Failure {
            scope: scope.clone(),
            at: at(when),
            kind: *kind,
            message: Clean::from(format!("no {index}")),
            retry_at: None,
        }),
        Heard::Ours {
            allowed,
            left,
            told,
        } => {
            let all = [
                Fact::Permit(Permit {
                    subject: Subject::Rollout(target()),
                    kind: ActionKind::Hold,
                    allowed: *allowed,
                    why: "".into(),
                    seen_at: at(when),
                    until: at(when + 300),
                }),
                Fact::Budget(Budget {
                    left: *left,
                    limit: 5,
                    resets_at: at(NOW),
                }),
                Fact::Identity(Identity {
                    backend: backend("prod"),
                    name: Some(Clean::from(format!("mk{left}"))),
                    learnt_by: "review".into(),
                }),
                Fact::Server(Server {
                    version: Clean::from(format!("1.{left}")),
                    skew_ms: None,
                }),
            ];
            let some = all.into_iter().zip(told).filter(|(_, told)| **told);
            let facts = some.map(|(fact, _)| fact).collect();
            answer("prod", "permits", when, facts)
        }
    }
}

/// A past, and an order in which each of its answers is heard at least once.
pub(super) fn session() -> impl Strategy<Value = (Vec<Heard>, [usize; 4], Vec<usize>)> {
    prop::collection::vec(heard(), 2..14).prop_flat_map(|heard| {
        let count = heard.len();
        let again = prop::collection::vec(0..count, 0..5);
        let order = again
            .prop_map(move |again| (0..count).chain(again).collect::<Vec<_>>())
            .prop_shuffle();
        let turns = prop::array::uniform4(0..=count).prop_map(|mut turns| {
            turns.sort_unstable();
            turns
        });
        (Just(heard), turns, order)
    })
}
