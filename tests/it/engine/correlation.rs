//! Which run, model version and image belong to one release.

use gonogo::{
    domain::{
        catalog::Mapping,
        id::{Commit, GateId, Version},
        observation::{Fact, Scope},
        pipeline::{Outcome, RunStatus},
        policy::{Binding, GateRule, GateSource},
        rollout::Rollout,
        text::Clean,
        verdict::{Verdict, Word},
    },
    engine::{
        release::{Link, Release, Rule},
        world::World,
    },
};

use crate::support::build::{
    accuracy_gate, aliases, answer, canary, catalog, event, job, lane, live, model_run, registry,
    rollout, run, runs, version, world,
};

const A: &str = "9f3c2ab0000000000000000000000000000000aa";
const B: &str = "1111111bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
/// Shares seven digits with [`A`].
const A_TWIN: &str = "9f3c2ab1111111111111111111111111111111aa";

fn with_commit<'a>(world: &'a World, sha: &str) -> &'a Release {
    let commit = Commit::parse(sha).unwrap();
    let mut found = world
        .releases
        .values()
        .filter(|release| release.commit.value() == Some(&commit));
    let release = found.next().expect("a release with this commit");
    assert!(found.next().is_none(), "one release per commit");
    release
}

fn found<T>(value: T, rule: Rule) -> Link<T> {
    Link::Found { value, rule }
}

#[test]
fn two_candidates_in_flight_stay_apart() {
    let (first, second) = (run(1, A, 0), run(2, B, 100));
    let world = world(
        catalog(vec![]),
        &[
            runs(200, &[&first, &second]),
            registry(
                200,
                aliases(&[]),
                vec![
                    version(41, &[("git_sha", A)]),
                    version(42, &[("git_sha", B)]),
                ],
                vec![],
            ),
            rollout(200, canary("r/ranker:1111111", "r/ranker:9f3c2ab")),
        ],
        200,
    );
    let (a, b) = (with_commit(&world, A), with_commit(&world, B));
    assert_eq!(a.version, found(Version(41), Rule::RegistryTag));
    assert_eq!(b.version, found(Version(42), Rule::RegistryTag));
    assert_eq!(a.run.value(), Some(&first.id));
    assert_eq!(b.run.value(), Some(&second.id));
    let lane = &world.lanes[&lane()];
    assert_eq!(lane.live.as_ref(), Some(&a.id));
    assert_eq!(lane.candidate.as_ref(), Some(&b.id));
}

#[test]
fn a_deployment_that_names_the_model_version_ties_it_to_its_commit() {
    let mut first = run(1, A, 0);
    first.models = vec![
        ("another".into(), Version(42)),
        ("ranker".into(), Version(41)),
    ];
    let second = run(2, B, 100);
    // The registry believes that both were trained on the second commit.
    let versions = vec![
        version(41, &[("git_sha", B)]),
        version(42, &[("git_sha", B)]),
    ];
    let registry = registry(200, aliases(&[]), versions, vec![]);
    let told = [runs(200, &[&first, &second]), registry];
    let world = world(catalog(vec![]), &told, 200);
    assert_eq!(
        with_commit(&world, A).version,
        found(Version(41), Rule::Deployment)
    );
    assert_eq!(
        with_commit(&world, B).version,
        found(Version(42), Rule::RegistryTag)
    );
}

#[test]
fn a_version_deployed_with_two_commits_is_the_registrys_or_ambiguous() {
    let (mut first, mut second) = (run(1, A, 0), run(2, B, 100));
    first.models = vec![("ranker".into(), Version(41))];
    second.models = first.models.clone();
    let told = |tags: &[(&str, &str)]| {
        let registry = registry(200, aliases(&[]), vec![version(41, tags)], vec![]);
        world(
            catalog(vec![]),
            &[runs(200, &[&first, &second]), registry],
            200,
        )
    };
    assert_eq!(
        with_commit(&told(&[("git_sha", A)]), A).version,
        found(Version(41), Rule::RegistryTag)
    );
    let unsure = told(&[]);
    let of_version = unsure
        .releases
        .values()
        .find(|release| release.version.value() == Some(&Version(41)))
        .unwrap();
    let Link::Ambiguous { rivals, rule } = &of_version.commit else {
        panic!("{:?}", of_version.commit);
    };
    assert_eq!((rivals.len(), *rule), (2, Rule::Deployment));
}

#[test]
fn a_rerun_is_the_same_release_with_the_same_run() {
    let first = run(1, A, 0);
    let mut again = first.clone();
    again.attempt = 2;
    let before = world(catalog(vec![]), &[runs(100, &[&first])], 100);
    let after = world(
        catalog(vec![]),
        &[runs(100, &[&first]), runs(200, &[&again])],
        200,
    );
    assert_eq!(with_commit(&before, A).id, with_commit(&after, A).id);
    assert_eq!(with_commit(&after, A).run.value(), Some(&first.id));
}

#[test]
fn the_newest_of_two_runs_of_one_commit_is_the_releases_run() {
    let (old, new) = (run(1, A, 0), run(2, A, 500));
    let world = world(catalog(vec![]), &[runs(600, &[&new, &old])], 600);
    let release = with_commit(&world, A);
    assert_eq!(release.run, found(new.id.clone(), Rule::RunOfCommit));
    assert_eq!(release.created_at, old.created_at);
}

#[test]
fn a_tag_that_was_pushed_twice_makes_the_image_ambiguous() {
    let world = world(
        catalog(vec![]),
        &[
            runs(100, &[&run(1, A, 0)]),
            rollout(
                100,
                canary(
                    "r/ranker:9f3c2ab@sha256:beef",
                    "r/ranker:9f3c2ab@sha256:cafe",
                ),
            ),
        ],
        100,
    );
    let Link::Ambiguous { rivals, rule } = &with_commit(&world, A).image else {
        panic!("two digests under one tag are not one image");
    };
    assert_eq!((rivals.len(), *rule), (2, Rule::ImageTag));
}

#[test]
fn a_short_commit_that_fits_two_is_ambiguous_and_names_both() {
    let world = world(
        catalog(vec![]),
        &[
            runs(100, &[&run(1, A, 0), &run(2, A_TWIN, 10)]),
            rollout(100, live("r/ranker:9f3c2ab")),
        ],
        100,
    );
    let release = world
        .releases
        .values()
        .find(|release| release.image.value().is_some())
        .unwrap();
    let Link::Ambiguous { rivals, rule } = &release.commit else {
        panic!("`9f3c2ab` fits two commits, got {:?}", release.commit);
    };
    let names: Vec<&str> = rivals.iter().map(Commit::as_str).collect();
    assert_eq!((names, *rule), (vec![A, A_TWIN], Rule::ImageTag));
    assert_eq!(release.run, Link::Unlinked);
}

/// A rollout of `image` whose template is annotated so.
fn annotated(image: &str, annotation: (&str, &str)) -> Rollout {
    let mut rollout = canary(image, "r/ranker:9f3c2ab");
    rollout.annotations = vec![(Clean::name(annotation.0), Clean::name(annotation.1))];
    rollout
}

/// Commit A is known as version 42 and was on its way; then the image was
/// changed by hand and the annotation stayed.
fn hot_fixed(image: &str, annotation: (&str, &str), gates: Vec<GateRule>) -> World {
    let tested = run(1, A, 0);
    world(
        catalog(gates),
        &[
            runs(100, &[&tested]),
            answer(
                "gh",
                &Scope::jobs(&tested.id).part,
                100,
                vec![Fact::Job(job(
                    &tested,
                    11,
                    "tests",
                    RunStatus::ended(Outcome::Succeeded),
                ))],
            ),
            registry(
                100,
                aliases(&[]),
                vec![version(42, &[("git_sha", A)])],
                vec![model_run(42, &[("accuracy", 0.97)])],
            ),
            rollout(100, annotated(image, annotation)),
        ],
        100,
    )
}

const STATED_VERSION: (&str, &str) = ("gonogo.dev/model-version", "42");
const STATED_COMMIT: (&str, &str) = ("gonogo.dev/commit", A);

#[test]
fn an_annotation_left_over_from_another_image_ties_nothing() {
    let whole = format!("r/ranker:{B}");
    for (image, is_whole) in [(&*whole, true), ("r/ranker:main-1111111b", false)] {
        for annotation in [STATED_VERSION, STATED_COMMIT] {
            let world = hot_fixed(image, annotation, vec![]);
            let lane = &world.lanes[&lane()];
            let candidate = world.release(lane.candidate.as_ref().unwrap()).unwrap();
            assert_ne!(candidate.id, with_commit(&world, A).id, "{image}");
            assert_eq!(candidate.version, Link::Unlinked, "{image}");
            assert_eq!(candidate.run, Link::Unlinked, "{image}");
            if is_whole {
                let rivals = [B, A].map(|sha| Commit::parse(sha).unwrap()).to_vec();
                let rule = Rule::ImageTag;
                assert_eq!(candidate.commit, Link::Ambiguous { rivals, rule });
            } else {
                assert_eq!(candidate.commit, Link::Unlinked);
            }
        }
    }
}

#[test]
fn an_annotation_ties_where_the_tag_names_no_other_commit() {
    for image in [
        "r/ranker:v7",
        "r/ranker:20260814",
        "r/ranker:defaced",
        "r/ranker:9f3c2ab0",
    ] {
        for annotation in [STATED_VERSION, STATED_COMMIT] {
            let world = hot_fixed(image, annotation, vec![]);
            let lane = &world.lanes[&lane()];
            assert_eq!(
                lane.candidate.as_ref(),
                Some(&with_commit(&world, A).id),
                "{image}"
            );
        }
    }
}

#[test]
fn a_hot_fixed_image_does_not_inherit_the_evidence_of_another_release() {
    let tests = GateRule {
        id: GateId::new("tests"),
        source: GateSource::Pipeline("tests".into()),
        bind: vec![Binding::Commit],
        ..accuracy_gate(0.0)
    };
    let accuracy = GateRule {
        bind: vec![Binding::ModelVersion],
        ..accuracy_gate(0.9)
    };
    let gates = vec![tests, accuracy];
    let told = |world: &World| {
        let decision = world.decisions.values().next().unwrap();
        let findings: Vec<(Verdict, String)> = decision
            .findings
            .iter()
            .map(|finding| (finding.verdict, finding.reason.to_string()))
            .collect();
        (decision.word, findings)
    };
    // As it was meant: both gates are about what is rolled out.
    let (word, findings) = told(&hot_fixed("r/ranker:v7", STATED_VERSION, gates.clone()));
    assert_eq!(word, Word::Go, "{findings:?}");

    let image = format!("r/ranker:{B}");
    let (word, findings) = told(&hot_fixed(&image, STATED_VERSION, gates));
    assert_eq!(word, Word::HoldNotProven, "{findings:?}");
    assert!(
        findings.contains(&(
            Verdict::Stale,
            "evidence for one commit is not for another, and the release may be 1111111 or 9f3c2ab"
                .to_owned()
        )),
        "{findings:?}"
    );
    assert!(
        findings.contains(&(
            Verdict::Missing,
            "no model version is linked to this release".to_owned()
        )),
        "{findings:?}"
    );
}

#[test]
fn a_prefix_shorter_than_seven_digits_ties_nothing() {
    let world = world(
        catalog(vec![]),
        &[
            runs(100, &[&run(1, A, 0)]),
            registry(
                100,
                aliases(&[]),
                vec![version(7, &[("git_sha", "9f3c2a")])],
                vec![],
            ),
        ],
        100,
    );
    assert_eq!(with_commit(&world, A).version, Link::Unlinked);
}

#[test]
fn a_version_without_a_run_is_a_release_of_its_own() {
    let mut bare = version(9, &[]);
    bare.run_id = None;
    let world = world(
        catalog(vec![]),
        &[registry(100, aliases(&[]), vec![bare], vec![])],
        100,
    );
    let release = world.releases.values().next().unwrap();
    assert_eq!(release.version, found(Version(9), Rule::Anchor));
    assert_eq!(
        (&release.commit, &release.run),
        (&Link::Unlinked, &Link::Unlinked)
    );
    assert_eq!(release.label, "v9");
}

#[test]
fn an_image_known_by_digest_only_finds_its_release_through_the_version() {
    let digest = "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
    let world = world(
        catalog(vec![]),
        &[
            runs(100, &[&run(1, A, 0)]),
            registry(
                100,
                aliases(&[]),
                vec![version(42, &[("git_sha", A), ("image_digest", digest)])],
                vec![],
            ),
            rollout(100, live(&format!("r/ranker@{digest}"))),
        ],
        100,
    );
    let release = with_commit(&world, A);
    let Link::Found { value, rule } = &release.image else {
        panic!("the version names the digest, got {:?}", release.image);
    };
    assert_eq!(
        (value.digest.as_deref(), *rule),
        (Some(digest), Rule::ImageDigest)
    );
    assert_eq!(world.lanes[&lane()].live.as_ref(), Some(&release.id));
}

#[test]
fn a_commit_found_late_joins_the_release_and_both_ids_keep_resolving() {
    let image = rollout(100, live("r/ranker:9f3c2ab"));
    let before = world(catalog(vec![]), std::slice::from_ref(&image), 100);
    let early = before.releases.values().next().unwrap().id.clone();
    let after = world(catalog(vec![]), &[image, runs(200, &[&run(1, A, 0)])], 200);
    let release = after
        .release(&early)
        .expect("the early id still names something");
    assert_eq!(release.commit.value(), Commit::parse(A).as_ref());
    assert_eq!(release.id, early, "the first name stays");
}

#[test]
fn two_ids_found_to_be_one_are_merged_into_the_older() {
    let digest = "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
    let image = rollout(100, live(&format!("r/ranker@{digest}")));
    let code = runs(110, &[&run(1, A, 0)]);
    let link = registry(
        120,
        aliases(&[]),
        vec![version(42, &[("git_sha", A), ("image_digest", digest)])],
        vec![],
    );
    let apart = world(catalog(vec![]), &[image.clone(), code.clone()], 110);
    let ids: Vec<_> = apart.releases.keys().cloned().collect();
    assert_eq!(ids.len(), 2);
    let joined = world(catalog(vec![]), &[image, code, link], 120);
    assert_eq!(joined.releases.len(), 1);
    for id in ids {
        assert!(joined.release(&id).is_some(), "{id} keeps resolving");
    }
}

#[test]
fn a_stated_mapping_wins_over_every_rule() {
    let mut stated = catalog(vec![]);
    let mapping = Mapping {
        commit: Commit::parse(B).unwrap(),
        version: Some(Version(42)),
        image: None,
    };
    stated
        .services
        .get_mut(&lane().0)
        .unwrap()
        .mappings
        .push(mapping);
    let world = world(
        stated,
        &[
            runs(100, &[&run(1, A, 0)]),
            registry(
                100,
                aliases(&[]),
                vec![version(42, &[("git_sha", A)])],
                vec![],
            ),
        ],
        100,
    );
    assert_eq!(
        with_commit(&world, B).version,
        found(Version(42), Rule::Mapping)
    );
    assert_eq!(with_commit(&world, A).version, Link::Unlinked);
}

#[test]
fn a_run_link_of_the_registry_beats_a_commit_tag() {
    let world = world(
        catalog(vec![]),
        &[
            runs(100, &[&run(10_551_800_200, A, 0), &run(2, B, 5)]),
            registry(
                100,
                aliases(&[]),
                vec![version(
                    42,
                    &[
                        ("git_sha", B),
                        (
                            "ci_run_url",
                            "https://github.example/acme/recsys/actions/runs/10551800200",
                        ),
                    ],
                )],
                vec![],
            ),
        ],
        100,
    );
    assert_eq!(
        with_commit(&world, A).version,
        found(Version(42), Rule::RegistryRun)
    );
}

#[test]
fn what_is_linked_does_not_depend_on_who_answered_first() {
    let facts = [
        runs(100, &[&run(1, A, 0)]),
        registry(
            100,
            aliases(&[]),
            vec![version(42, &[("git_sha", A)])],
            vec![],
        ),
        rollout(100, live("r/ranker:9f3c2ab")),
    ];
    let orders = [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ];
    // It is named by what was known first, and by nothing else.
    let first_names = [
        "recsys-ranker@9f3c2ab00000",
        "recsys-ranker@9f3c2ab00000",
        "recsys-ranker@9f3c2ab",
    ];
    for order in orders {
        let told: Vec<_> = order.iter().map(|index| facts[*index].clone()).collect();
        let world = world(catalog(vec![]), &told, 100);
        assert_eq!(world.releases.len(), 1, "{order:?}");
        let release = with_commit(&world, A);
        assert_eq!(release.id.as_str(), first_names[order[0]], "{order:?}");
        assert_eq!(release.version.value(), Some(&Version(42)), "{order:?}");
        assert!(
            release.image.value().is_some() && release.run.value().is_some(),
            "{order:?}"
        );
    }
}

#[test]
fn a_calm_service_keeps_its_releases_untouched() {
    let mut quiet = world(catalog(vec![]), &[runs(100, &[&run(1, A, 0)])], 100);
    let before = quiet.releases.clone();
    gonogo::engine::reduce::reduce(&mut quiet, &event("prod", "rollouts recsys", 101, vec![]));
    gonogo::engine::reduce::settle(&mut quiet, crate::support::build::at(101));
    assert_eq!(before, quiet.releases);
}

/// Three processes that hear of releases in different orders name them alike.
#[test]
fn a_release_has_the_same_name_in_every_process() {
    let facts = [
        runs(100, &[&run(1, A, 0), &run(2, B, 50)]),
        registry(100, aliases(&[]), vec![version(7, &[])], vec![]),
        rollout(100, live("r/ranker:stable")),
    ];
    let names = |order: [usize; 3]| {
        let told: Vec<_> = order.iter().map(|index| facts[*index].clone()).collect();
        let world = world(catalog(vec![]), &told, 100);
        let mut names: Vec<String> = world.releases.keys().map(ToString::to_string).collect();
        names.sort();
        names
    };
    let first = names([0, 1, 2]);
    assert_eq!(first.len(), 4, "{first:?}");
    assert!(
        first.contains(&"recsys-ranker@9f3c2ab00000".to_owned()),
        "{first:?}"
    );
    for order in [[0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        assert_eq!(names(order), first, "{order:?}");
    }
}
