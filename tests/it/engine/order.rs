//! Whatever order the same answers are heard in, and however often, the same is
//! believed in the end: what arrived last in truth is what counts, and not what
//! was folded last.
//!
//! The network is one in which anything may happen to a release within the time
//! of a dozen answers: runs come and go from their list, an alias moves, a
//! rollout goes on, is deleted and made anew, questions fail and are answered,
//! lists repeat an older truth than a watch has told. What is expected is the
//! world of the same answers in the order of their stamps.
//!
//! Some things may differ. A release keeps the name it was first known by, so
//! names are compared only where nothing was concluded before everything was
//! heard. Since when a value is the same, since when a question fails, and what
//! was at 100 % for how long is known less exactly where answers came late.

use std::sync::Arc;

use gonogo::{
    domain::{
        action::{ActionKind, Subject},
        backend::{Budget, ErrorKind, Server},
        measure::{Arm, Sample},
        observation::{Batch, Fact, Failure, Key, Observation, Scope},
        permit::{Identity, Permit},
        pipeline::{Outcome, RunStatus},
        rollout::Rollout,
        text::Clean,
        verdict::Finding,
    },
    engine::{
        reduce::{reduce, settle},
        release::{Anchor, Release},
        world::{Known, Table, World},
    },
};
use proptest::prelude::*;

use crate::support::build::{
    accuracy_gate, aliases, answer, at, backend, canary, catalog, event, job, latency_gate, live,
    measure, metric, model_run, registry, revision, run, runs, target, version,
};

const A: &str = "9f3c2ab0000000000000000000000000000000aa";
const B: &str = "1111111bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
/// When everything has been heard, in seconds.
const NOW: i64 = 1_000;
/// Seconds between two answers.
const APART: i64 = 3;

/// One answer, without its stamp.
#[derive(Clone, Debug)]
enum Heard {
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
    /// Who we are and what is left, in an answer about permissions.
    Ours {
        allowed: bool,
        left: u64,
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
        1 => (any::<bool>(), 0_u64..5).prop_map(|(allowed, left)| Heard::Ours { allowed, left }),
    ]
}

/// What happened to the rollout, by the index of the answer it happened before.
#[derive(Clone, Debug)]
struct Past {
    /// From here on a canary, from here on it has everything.
    turns: [usize; 2],
    /// It was deleted and made anew.
    remade: Vec<usize>,
}

impl Past {
    fn of(heard: &[Heard], turns: [usize; 2]) -> Self {
        let gone =
            |(index, heard): (usize, &Heard)| matches!(heard, Heard::Gone { .. }).then_some(index);
        Self {
            turns,
            remade: heard.iter().enumerate().filter_map(gone).collect(),
        }
    }

    /// The rollout as it was at an index.
    fn rollout(&self, index: usize) -> Rollout {
        let mut rollout = match self.turns.iter().filter(|turn| **turn <= index).count() {
            0 => live("r/ranker:1111111"),
            1 => canary("r/ranker:9f3c2ab", "r/ranker:1111111"),
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

fn stamped(heard: &Heard, index: usize, past: &Past) -> Observation {
    let when = NOW - 100 + APART * i64::try_from(index).unwrap();
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
        Heard::Listed(behind) => {
            // No list is older than the last time it was made anew.
            let life = past.remade.iter().filter(|gone| **gone < index).max();
            let first = life.map_or(0, |gone| gone + 1);
            let shown = index.saturating_sub(*behind).max(first);
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
        Heard::Ours { allowed, left } => {
            let facts = vec![
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
            answer("prod", "permits", when, facts)
        }
    }
}

/// The world after these, concluded after each or only once.
fn folded<'a>(heard: impl Iterator<Item = &'a Observation>, each: bool) -> World {
    let mut world = World::default();
    let gates = catalog(vec![latency_gate(250.0), accuracy_gate(0.9)]);
    reduce(&mut world, &Observation::Catalog(Arc::new(gates)));
    for observation in heard {
        reduce(&mut world, observation);
        if each {
            settle(&mut world, at(NOW));
        }
    }
    settle(&mut world, at(NOW));
    world
}

/// What is believed of the things in a table, how fresh it is and who told it.
/// Of a thing with a version counter any of several equal words may be kept.
fn table<K: std::fmt::Debug, V: std::fmt::Debug>(of: &Table<K, V>, counted: bool) -> String {
    let row = |(key, known): (&K, &Known<V>)| {
        let Known {
            value,
            scope,
            basis,
            at,
            ..
        } = known;
        let basis = (!counted).then_some(basis);
        format!("{key:?} {at} {basis:?} {scope:?} {value:?}\n")
    };
    of.iter().map(row).collect()
}

/// Everything that is believed, line by line; with the names of releases or
/// with what they stand for.
fn believed(world: &World, named: bool) -> Vec<String> {
    let World {
        runs,
        jobs,
        approvals,
        models,
        versions,
        model_runs,
        rollouts,
        measures,
        ..
    } = world;
    let mut lines = vec![
        table(runs, false),
        table(jobs, false),
        table(approvals, false),
        table(models, false),
        table(versions, false),
        table(model_runs, false),
        table(rollouts, true),
        table(measures, false),
        format!("{:?}", world.permits),
        format!("{:?}", world.identities),
    ];
    for (scope, state) in world.scopes.iter() {
        let trouble = state.trouble.as_ref();
        let trouble = trouble.map(|trouble| (trouble.kind, &trouble.message, trouble.last));
        let (proved, asked) = (state.proved_at, state.asked_at);
        lines.push(format!("{scope:?} {proved:?} {asked:?} {trouble:?}"));
    }
    for (id, state) in &world.backends {
        let trouble = state.trouble.as_ref();
        let trouble = trouble.map(|trouble| (trouble.kind, &trouble.message, trouble.last));
        let (budget, server) = (&state.budget, &state.server);
        let liveness = [NOW - 50, NOW, NOW + 40].map(|when| world.liveness(id, at(when)));
        lines.push(format!(
            "{id} {:?} {trouble:?} {budget:?} {server:?} {liveness:?}",
            state.answered_at
        ));
    }
    let mut releases: Vec<String> = world
        .releases
        .values()
        .map(|release| {
            let mut release = Release::clone(release);
            if !named {
                release.id = gonogo::domain::id::ReleaseId::new("");
            }
            format!("{release:?}")
        })
        .collect();
    releases.sort();
    lines.extend(releases);
    for lane in world.lanes.values() {
        let release = lane.release().and_then(|id| world.release(id));
        let label = release.map(|release| &release.label);
        lines.push(format!("{label:?} {:?} {:?}", lane.place, lane.waits_for));
    }
    let mut decisions: Vec<String> = world
        .decisions
        .iter()
        .map(|((release, environment), decision)| {
            let label = world.release(release).map(|release| &release.label);
            // Calm facts are not judged again each time they are fetched.
            let findings = decision.findings.iter().cloned().map(|finding| Finding {
                fetched_at: None,
                ..finding
            });
            let findings: Vec<Finding> = findings.collect();
            format!("{label:?} {environment} {:?} {findings:?}", decision.word)
        })
        .collect();
    decisions.sort();
    lines.extend(decisions);
    lines
}

/// What was seen at 100 % is in its order, and ends with what is so now.
fn history_is_in_order(world: &World) -> Result<(), TestCaseError> {
    let held = world.held_full.get(&target()).cloned().unwrap_or_default();
    for full in &held {
        prop_assert!(full.from <= full.until, "{:?}", held);
    }
    for pair in held.windows(2) {
        prop_assert!(pair[0].until <= pair[1].from, "{:?}", held);
    }
    if let Some(now) = world.rollouts.get(&target())
        && now.is_fully_promoted()
    {
        prop_assert_eq!(
            held.last().map(|full| &full.hash),
            now.current_hash.as_ref()
        );
    }
    Ok(())
}

/// Every part of a release leads to it, under whatever name.
fn parts_lead_home(world: &World) -> Result<(), TestCaseError> {
    for release in world.releases.values() {
        let commit = release.commit.value().cloned().map(Anchor::Commit);
        let image = release.image.value().cloned().map(Anchor::Image);
        let version = release.version.value().copied().map(Anchor::Version);
        for part in [commit, image, version].into_iter().flatten() {
            let id = world.minted.get(&(release.service.clone(), part.clone()));
            let home = id.and_then(|id| world.release(id));
            prop_assert_eq!(home, Some(release), "{:?}", part);
        }
    }
    Ok(())
}

/// A past, and an order in which each of its answers is heard at least once.
fn session() -> impl Strategy<Value = (Vec<Heard>, [usize; 2], Vec<usize>)> {
    prop::collection::vec(heard(), 2..14).prop_flat_map(|heard| {
        let count = heard.len();
        let again = prop::collection::vec(0..count, 0..5);
        let order = again
            .prop_map(move |again| (0..count).chain(again).collect::<Vec<_>>())
            .prop_shuffle();
        let turns = [0..count, 0..count].prop_map(|mut turns| {
            turns.sort_unstable();
            turns
        });
        (Just(heard), turns, order)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_order_of_answers_and_their_repetition_do_not_matter((heard, turns, order) in session(), each in any::<bool>()) {
        let past = Past::of(&heard, turns);
        let told: Vec<Observation> = heard
            .iter()
            .enumerate()
            .map(|(index, heard)| stamped(heard, index, &past))
            .collect();
        let straight = folded(told.iter(), each);
        let shuffled = folded(order.iter().map(|index| &told[*index]), each);
        let expected = believed(&straight, !each);
        for (is, should) in believed(&shuffled, !each).iter().zip(&expected) {
            prop_assert_eq!(is, should);
        }
        prop_assert_eq!(believed(&shuffled, !each).len(), expected.len());
        parts_lead_home(&shuffled)?;
        history_is_in_order(&shuffled)?;
    }
}
