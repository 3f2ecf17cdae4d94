//! What goes with a run that is gone.

use gonogo::{
    domain::{
        action::{ActionKind, Subject},
        approval::{Answer, Review},
        id::RunId,
        observation::{Fact, Observation},
        permit::Permit,
        pipeline::{Outcome, Run, RunStatus},
    },
    engine::{
        reduce::{reduce, settle},
        world::World,
    },
};

use crate::support::build::{answer, approval, at, job, run, runs};

const A: &str = "9f3c2ab0000000000000000000000000000000aa";
const B: &str = "1111111bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

/// Everything that may be told of a run besides the run.
fn parts(of: &Run, when: i64) -> Vec<Observation> {
    let waiting = approval(of, "prod-eu");
    let name = |part: &str| format!("{part} acme/recsys#{}", of.id.id);
    let permit = |subject, kind| {
        Fact::Permit(Permit {
            subject,
            kind,
            allowed: true,
            why: "".into(),
            seen_at: at(when),
            until: at(when + 300),
        })
    };
    let review = Review {
        id: waiting.id.clone(),
        environment: "staging".into(),
        answer: Answer::Approved,
        user: "ana".into(),
        comment: "".into(),
    };
    let train = job(
        of,
        of.id.id * 10,
        "train",
        RunStatus::ended(Outcome::Succeeded),
    );
    let may_approve = permit(Subject::Approval(waiting.id.clone()), ActionKind::Approve);
    let may_cancel = permit(Subject::Run(of.id.clone()), ActionKind::Cancel);
    vec![
        answer("gh", &name("jobs"), when, vec![Fact::Job(train)]),
        answer("gh", &format!("{} attempt 1", name("jobs")), when, vec![]),
        answer(
            "gh",
            &name("approvals"),
            when,
            vec![Fact::Approval(waiting), may_approve],
        ),
        answer("gh", &name("reviews"), when, vec![Fact::Review(review)]),
        answer("gh", "access acme/recsys", when, vec![may_cancel]),
    ]
}

/// How many jobs, waiting gates, reviews, permits and scopes there are of a run.
fn kept(world: &World, run: &RunId) -> [usize; 5] {
    let of_run = |subject: &Subject| match subject {
        Subject::Run(id) => id == run,
        Subject::Approval(id) => id.run == *run,
        _ => false,
    };
    let name = format!("#{}", run.id);
    let is_named = |part: &str| part.split(' ').any(|word| word.ends_with(&name));
    [
        world.jobs.keys().filter(|id| id.run == *run).count(),
        world.approvals.keys().filter(|id| id.run == *run).count(),
        world.reviews.keys().filter(|id| id.run == *run).count(),
        world.permits.keys().filter(|(of, _)| of_run(of)).count(),
        world
            .scopes
            .keys()
            .filter(|scope| is_named(&scope.part))
            .count(),
    ]
}

fn fold(world: &mut World, heard: impl IntoIterator<Item = Observation>, now: i64) {
    for observation in heard {
        reduce(world, &observation);
    }
    settle(world, at(now));
}

const ALL: [usize; 5] = [1, 1, 1, 2, 4];

#[test]
fn the_parts_of_a_run_go_some_time_after_it() {
    let (first, other) = (run(1, A, 0), run(11, B, 0));
    let mut world = World::default();
    let heard = [runs(100, &[&first, &other])].into_iter();
    let heard = heard.chain(parts(&first, 100)).chain(parts(&other, 100));
    fold(&mut world, heard, 100);
    fold(&mut world, [runs(200, &[&other])], 799);
    assert_eq!(kept(&world, &first.id), ALL, "an answer may be on its way");
    // One that was, to a question from before.
    let late = [runs(150, &[&first, &other])].into_iter();
    fold(&mut world, late.chain(parts(&first, 150)), 799);
    assert!(!world.runs.contains_key(&first.id));

    settle(&mut world, at(800));
    assert_eq!(kept(&world, &first.id), [0; 5]);
    assert!(!world.runs.contains_key(&first.id));
    assert_eq!(kept(&world, &other.id), ALL);
    let told: Vec<_> = world.told.keys().map(|(scope, _)| &scope.part).collect();
    assert!(
        told.iter()
            .all(|part| !part.contains("#1 ") && !part.ends_with("#1")),
        "{told:?}"
    );
    assert!(world.forgotten.is_empty());
}

#[test]
fn a_run_that_is_listed_again_keeps_its_parts() {
    let first = run(1, A, 0);
    let mut world = World::default();
    let heard = [runs(100, &[&first])].into_iter().chain(parts(&first, 100));
    fold(&mut world, heard, 100);
    fold(&mut world, [runs(200, &[])], 200);
    fold(&mut world, [runs(300, &[&first])], 5000);
    assert_eq!(kept(&world, &first.id), ALL);
    assert!(world.forgotten.is_empty());
}
