//! What of a change is told, and what it claims to prove.

use serde_json::{Value, json};

use super::*;
use crate::domain::rollout::Rollout;

fn at(seconds: i64) -> Timestamp {
    chrono::DateTime::from_timestamp(seconds, 0).unwrap()
}

fn rollout(name: &str, uid: &str, version: u64) -> Object {
    read(
        Kind::Rollouts,
        json!({
            "metadata": {"name": name, "namespace": "recsys", "uid": uid, "resourceVersion": version.to_string()},
            "spec": {"strategy": {"canary": {}}},
            "status": {"currentPodHash": "b", "stableRS": "a"},
        }),
    )
}

fn set(name: &str, owner: &str, hash: &str) -> Object {
    read(
        Kind::RolloutSets,
        json!({"metadata": {
            "name": name, "namespace": "recsys", "uid": format!("set-{name}"),
            "labels": {"rollouts-pod-template-hash": hash},
            "ownerReferences": [{"kind": "Rollout", "name": "lies", "uid": owner}],
        }}),
    )
}

fn read(kind: Kind, value: Value) -> Object {
    Object::read(kind, value).unwrap()
}

fn listed(kind: Kind, seconds: i64, objects: Vec<Object>) -> Change {
    Change::Listed {
        kind,
        asked: at(seconds),
        at: at(seconds + 1),
        objects,
        broken: Vec::new(),
    }
}

fn view() -> View {
    View::new(BackendId::new("prod"), "recsys".into(), BTreeSet::new())
}

/// A view that has told its first lists: one rollout, no sets, no runs.
fn settled() -> View {
    let mut view = view();
    view.apply(
        listed(Kind::Rollouts, 10, vec![rollout("ranker", "u1", 5)]),
        at(11),
    );
    view.apply(listed(Kind::RolloutSets, 10, Vec::new()), at(11));
    view.apply(listed(Kind::AnalysisRuns, 10, Vec::new()), at(11));
    assert_eq!(view.news(at(11)).len(), 1);
    assert!(!view.has_news());
    view
}

fn batches(news: &[Observation]) -> Vec<&Batch> {
    news.iter()
        .filter_map(|observation| match observation {
            Observation::Batch(batch) => Some(batch),
            _ => None,
        })
        .collect()
}

fn rollouts(batch: &Batch) -> Vec<&Rollout> {
    batch
        .facts
        .iter()
        .filter_map(|fact| match fact {
            Fact::Rollout(rollout) => Some(&**rollout),
            _ => None,
        })
        .collect()
}

#[test]
fn nothing_is_told_before_every_list_has_answered_once() {
    let mut view = view();
    view.apply(
        listed(Kind::Rollouts, 10, vec![rollout("ranker", "u1", 5)]),
        at(11),
    );
    view.apply(
        listed(Kind::RolloutSets, 9, vec![set("ranker-b", "u1", "b")]),
        at(11),
    );
    // A watch that opens early is no answer yet.
    view.apply(Change::Alive(Kind::Rollouts, at(11)), at(11));
    assert!(!view.has_news());
    view.apply(listed(Kind::AnalysisRuns, 9, Vec::new()), at(12));
    let news = view.news(at(12));
    let [batch] = batches(&news)[..] else {
        panic!("one batch: {news:?}");
    };
    assert!(batch.complete);
    assert_eq!(batch.scope.part, "rollouts recsys");
    assert_eq!(batch.basis, Basis::Asked(at(10)));
    assert_eq!(rollouts(batch)[0].revisions.len(), 1);
    assert!(view.news(at(13)).is_empty());
}

#[test]
fn a_burst_about_one_rollout_is_one_fact() {
    let mut view = settled();
    view.apply(
        Change::Put(Kind::Rollouts, rollout("ranker", "u1", 6)),
        at(20),
    );
    view.apply(
        Change::Put(Kind::RolloutSets, set("ranker-b", "u1", "b")),
        at(20),
    );
    view.apply(
        Change::Put(Kind::Rollouts, rollout("ranker", "u1", 7)),
        at(20),
    );
    let news = view.news(at(20));
    let [batch] = batches(&news)[..] else {
        panic!("one batch: {news:?}");
    };
    assert_eq!((batch.complete, batch.basis), (false, Basis::Told));
    let [fact] = rollouts(batch)[..] else {
        panic!("one fact");
    };
    assert_eq!((fact.version, fact.revisions.len()), (Some(7), 1));
}

#[test]
fn objects_are_joined_by_uid_and_never_by_name() {
    let mut view = settled();
    view.apply(
        Change::Put(Kind::RolloutSets, set("ranker-x", "u-other", "x")),
        at(20),
    );
    let news = view.news(at(20));
    assert!(batches(&news).iter().all(|batch| batch.facts.is_empty()));
}

#[test]
fn a_deleted_rollout_is_gone_and_a_remade_one_has_changed() {
    let mut view = settled();
    view.apply(Change::Gone(Kind::Rollouts, "u1".into()), at(20));
    let news = view.news(at(20));
    let [batch] = batches(&news)[..] else {
        panic!("one batch: {news:?}");
    };
    assert!(matches!(&batch.gone[..], [Key::Rollout(target)] if target.name == "ranker"));
    view.apply(
        Change::Put(Kind::Rollouts, rollout("ranker", "u2", 9)),
        at(21),
    );
    view.news(at(21));
    view.apply(
        Change::Put(Kind::Rollouts, rollout("ranker", "u3", 12)),
        at(22),
    );
    view.apply(Change::Gone(Kind::Rollouts, "u2".into()), at(22));
    let news = view.news(at(22));
    let [batch] = batches(&news)[..] else {
        panic!("one batch: {news:?}");
    };
    assert!(batch.gone.is_empty());
    assert_eq!(rollouts(batch)[0].uid, "u3");
}

#[test]
fn crates_trap_3_an_unreadable_object_keeps_its_last_state_and_is_named() {
    let mut view = settled();
    let odd = json!({"metadata": {"name": "ranker", "uid": "u1"}, "spec": {"replicas": "three"}});
    let broken = Object::read(Kind::Rollouts, odd).unwrap_err();
    view.apply(
        Change::Listed {
            kind: Kind::Rollouts,
            asked: at(20),
            at: at(21),
            objects: vec![rollout("scorer", "u9", 8)],
            broken: vec![broken.clone()],
        },
        at(21),
    );
    let news = view.news(at(21));
    let [Observation::Failure(failure), Observation::Batch(batch)] = &news[..] else {
        panic!("a failure and a batch: {news:?}");
    };
    assert_eq!(failure.scope.part, "rollouts recsys/ranker");
    assert_eq!(failure.kind, ErrorKind::Malformed);
    assert!(failure.message.contains("\"three\""), "{}", failure.message);
    // It removes nothing, and both rollouts are in it.
    assert!(!batch.complete && batch.gone.is_empty());
    let names: Vec<&str> = rollouts(batch).iter().map(|r| r.id.name.as_str()).collect();
    assert_eq!(names, ["ranker", "scorer"]);
    // Said once; over when it can be read again.
    view.apply(Change::Spoilt(Kind::Rollouts, broken), at(22));
    assert!(view.news(at(22)).is_empty());
    view.apply(
        Change::Put(Kind::Rollouts, rollout("ranker", "u1", 9)),
        at(23),
    );
    let news = view.news(at(23));
    let healed = batches(&news)[0];
    assert_eq!(healed.scope.part, "rollouts recsys/ranker");
    assert!(healed.complete && healed.facts.is_empty());
}

#[test]
fn what_we_may_not_see_does_not_hide_the_rest() {
    let mut view = view();
    let error = BackendError::new(ErrorKind::Forbidden, "no");
    view.apply(
        listed(Kind::Rollouts, 10, vec![rollout("ranker", "u1", 5)]),
        at(11),
    );
    view.apply(listed(Kind::AnalysisRuns, 10, Vec::new()), at(11));
    view.apply(
        Change::Refused {
            kind: Kind::RolloutSets,
            at: at(11),
            error,
            retry: Duration::from_secs(30),
        },
        at(11),
    );
    let news = view.news(at(11));
    let [Observation::Failure(failure), Observation::Batch(batch)] = &news[..] else {
        panic!("a failure and a batch: {news:?}");
    };
    assert_eq!(failure.scope.part, "replicasets recsys");
    assert_eq!(failure.retry_at, Some(at(41)));
    assert_eq!(rollouts(batch).len(), 1);
    // Permitted later: the trouble is over and the facts are joined anew.
    view.apply(
        listed(Kind::RolloutSets, 40, vec![set("ranker-b", "u1", "b")]),
        at(41),
    );
    let news = view.news(at(41));
    let [healed, joined] = batches(&news)[..] else {
        panic!("two batches: {news:?}");
    };
    assert_eq!(healed.scope.part, "replicasets recsys");
    assert!(healed.complete);
    assert_eq!(rollouts(joined)[0].revisions.len(), 1);
}

#[test]
fn a_look_proves_and_is_not_undone_by_an_older_event() {
    let mut view = settled();
    view.apply(
        Change::Looked {
            kind: Kind::Rollouts,
            name: "ranker".into(),
            asked: at(30),
            at: at(31),
            object: Some(rollout("ranker", "u1", 9)),
        },
        at(31),
    );
    let news = view.news(at(31));
    let [batch] = batches(&news)[..] else {
        panic!("one batch: {news:?}");
    };
    assert_eq!((batch.complete, batch.basis), (false, Basis::Asked(at(30))));
    assert_eq!(rollouts(batch)[0].version, Some(9));
    view.apply(
        Change::Put(Kind::Rollouts, rollout("ranker", "u1", 8)),
        at(32),
    );
    assert!(!view.has_news());
}

#[test]
fn a_list_removes_what_it_omits_even_when_it_cannot_speak_for_all() {
    let mut view = settled();
    let odd = json!({"metadata": {"name": "odd", "uid": "u7"}, "status": {"phase": 3}});
    let broken = Object::read(Kind::Rollouts, odd).unwrap_err();
    view.apply(
        Change::Listed {
            kind: Kind::Rollouts,
            asked: at(20),
            at: at(21),
            objects: Vec::new(),
            broken: vec![broken],
        },
        at(21),
    );
    let news = view.news(at(21));
    let gone = &batches(&news)[0].gone;
    assert!(matches!(&gone[..], [Key::Rollout(target)] if target.name == "ranker"));
}

#[test]
fn a_sign_of_life_is_an_empty_batch() {
    let mut view = settled();
    view.apply(Change::Alive(Kind::RolloutSets, at(50)), at(50));
    assert!(!view.has_news());
    view.apply(Change::Alive(Kind::Rollouts, at(51)), at(51));
    let news = view.news(at(52));
    let [batch] = batches(&news)[..] else {
        panic!("one batch: {news:?}");
    };
    assert!(!batch.complete && batch.facts.is_empty());
    assert_eq!((batch.basis, batch.at), (Basis::Told, at(51)));
}

#[test]
fn only_deployments_that_are_named_are_looked_at() {
    let deployment = |name: &str| {
        read(
            Kind::Deployments,
            json!({"metadata": {"name": name, "namespace": "recsys", "uid": format!("d-{name}")}}),
        )
    };
    let named = BTreeSet::from(["gateway".into()]);
    let mut view = View::new(BackendId::new("prod"), "recsys".into(), named);
    assert_eq!(view.families(), [Family::Rollouts, Family::Deployments]);
    view.apply(
        listed(
            Kind::Deployments,
            10,
            vec![deployment("gateway"), deployment("other")],
        ),
        at(11),
    );
    view.apply(listed(Kind::DeploymentSets, 10, Vec::new()), at(11));
    let news = view.news(at(11));
    let [batch] = batches(&news)[..] else {
        panic!("one batch: {news:?}");
    };
    assert_eq!(batch.scope.part, "deployments recsys");
    let names: Vec<&str> = rollouts(batch).iter().map(|r| r.id.name.as_str()).collect();
    assert_eq!(names, ["gateway"]);
}
