//! The rules that tie a version or an image to a commit, strongest first.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    domain::{
        Timestamp,
        catalog::{Mapping, ServiceSpec},
        id::{Commit, RunId, Version},
        pipeline::Run,
        text::Clean,
    },
    engine::{
        correlate::Parts,
        release::{ImageRef, Link, Rule},
        world::World,
    },
};

/// Tags of a version or its run that name the commit, strongest first.
const COMMIT_TAGS: &[&str] = &[
    "gonogo.commit",
    "git_sha",
    "git_commit",
    "mlflow.source.git.commit",
];
/// Tags that name the pipeline run, by URL or by id.
const RUN_TAGS: &[&str] = &["ci_run_url", "ci_run_id"];
/// Tags that name the image, by digest or by reference.
const IMAGE_TAGS: &[&str] = &["gonogo.image", "image_digest", "image"];
/// Annotations of a rollout that name parts of the release it wants.
const COMMIT_ANNOTATION: &str = "gonogo.dev/commit";
const VERSION_ANNOTATION: &str = "gonogo.dev/model-version";

/// What a version says about the rest of its release.
#[derive(Debug, Default)]
pub(super) struct VersionHints {
    pub(super) commit: Option<Clean>,
    pub(super) run: Option<RunId>,
    pub(super) image: Option<Clean>,
    pub(super) created_at: Option<Timestamp>,
}

/// What a rollout says about an image it wants.
#[derive(Debug, Default)]
pub(super) struct ImageHints {
    pub(super) commit: Option<Clean>,
    pub(super) version: Option<Version>,
    pub(super) created_at: Option<Timestamp>,
}

impl ImageHints {
    pub(super) fn read(&mut self, annotations: &[(Clean, Clean)]) {
        let get = |key: &str| {
            annotations
                .iter()
                .find(|(name, _)| *name == key)
                .map(|(_, value)| value.clone())
        };
        self.commit = get(COMMIT_ANNOTATION);
        self.version = get(VERSION_ANNOTATION)
            .and_then(|text| text.trim_start_matches('v').parse().ok())
            .map(Version);
    }
}

pub(super) fn versions(world: &World, service: &ServiceSpec) -> BTreeMap<Version, VersionHints> {
    let Some(spec) = &service.model else {
        return BTreeMap::new();
    };
    let ours = world
        .versions
        .from_where(&|(model, _)| *model < spec.model)
        .take_while(|((model, _), _)| *model == spec.model);
    ours.map(|((model, version), known)| {
        let run = world.model_runs.get(&(model.clone(), *version));
        // The version's own tags win over its run's.
        let tag = |names: &[&str]| {
            names.iter().find_map(|name| {
                known
                    .tags
                    .get(*name)
                    .or_else(|| run.and_then(|run| run.tags.get(*name)))
                    .filter(|value| !value.is_empty())
                    .cloned()
            })
        };
        let hints = VersionHints {
            commit: tag(COMMIT_TAGS),
            run: tag(RUN_TAGS).and_then(|link| run_named(world, service, &link)),
            image: tag(IMAGE_TAGS),
            created_at: known.created_at,
        };
        (*version, hints)
    })
    .collect()
}

/// The run a URL or an id names: the whole URL, or its id as the last number.
fn run_named(world: &World, service: &ServiceSpec, link: &str) -> Option<RunId> {
    let pipeline = service.run.as_ref()?;
    world
        .runs_of(pipeline)
        .find(|run| {
            let id = run.id.id.to_string();
            run.url == *link
                || link == id
                || link.trim_end_matches('/').ends_with(&format!("/runs/{id}"))
        })
        .map(|run| run.id.clone())
}

pub(super) fn version_to_commit(
    version: Version,
    hints: &VersionHints,
    parts: &Parts<'_>,
    commits: &BTreeSet<Commit>,
    service: &ServiceSpec,
) -> Link<Commit> {
    let stated = |mapping: &&Mapping| mapping.version == Some(version);
    if let Some(mapping) = service.mappings.iter().find(stated) {
        return Link::Found {
            value: mapping.commit.clone(),
            rule: Rule::Mapping,
        };
    }
    let by_registry = in_registry(hints, parts, commits);
    let deployed: Vec<&Commit> = parts
        .runs
        .iter()
        .filter(|(_, runs)| runs.iter().any(|run| names(run, service, version)))
        .map(|(commit, _)| commit)
        .collect();
    match deployed.as_slice() {
        [] => by_registry,
        [commit] => Link::Found {
            value: (*commit).clone(),
            rule: Rule::Deployment,
        },
        // The same model went out with several commits: the registry knows whose it is.
        rivals => match by_registry {
            Link::Found { ref value, .. } if rivals.contains(&value) => by_registry,
            _ => Link::Ambiguous {
                rivals: rivals.iter().copied().cloned().collect(),
                rule: Rule::Deployment,
            },
        },
    }
}

/// Whether a deployment of the run's commit named this version.
fn names(run: &Run, service: &ServiceSpec, version: Version) -> bool {
    service.model.as_ref().is_some_and(|ours| {
        run.models
            .iter()
            .any(|(model, named)| *model == ours.model.name && *named == version)
    })
}

/// The commit that the version's or its run's own tags name.
fn in_registry(
    hints: &VersionHints,
    parts: &Parts<'_>,
    commits: &BTreeSet<Commit>,
) -> Link<Commit> {
    if let Some(run) = &hints.run {
        let of_run = parts
            .runs
            .iter()
            .find(|(_, runs)| runs.iter().any(|known| known.id == *run));
        if let Some((commit, _)) = of_run {
            return Link::Found {
                value: commit.clone(),
                rule: Rule::RegistryRun,
            };
        }
    }
    hints.commit.as_deref().map_or(Link::Unlinked, |text| {
        resolve(text, commits, Rule::RegistryTag)
    })
}

pub(super) fn image_to_commit(
    image: &ImageRef,
    hints: &ImageHints,
    commits: &BTreeSet<Commit>,
    service: &ServiceSpec,
) -> Link<Commit> {
    let stated = |mapping: &&Mapping| {
        mapping.image.as_ref().is_some_and(|named| {
            image.tag.as_ref() == Some(named) || image.digest.as_ref() == Some(named)
        })
    };
    if let Some(mapping) = service.mappings.iter().find(stated) {
        return Link::Found {
            value: mapping.commit.clone(),
            rule: Rule::Mapping,
        };
    }
    if let Some(text) = &hints.commit {
        let link = resolve(text, commits, Rule::Annotation);
        if let Link::Found { value, .. } = &link
            && let Some(torn) = torn(image, value)
        {
            return torn;
        }
        if link != Link::Unlinked {
            return link;
        }
    }
    image
        .tag
        .as_deref()
        .and_then(commit_in_tag)
        .map_or(Link::Unlinked, |text| {
            resolve(text, commits, Rule::ImageTag)
        })
}

/// What is known of the commit of an image whose own tag names another commit
/// than an annotation led to; `None` while the two agree.
///
/// Who changes an image by hand leaves the annotations of the one before it:
/// the evidence for that one must not become this one's.
pub(super) fn torn(image: &ImageRef, annotated: &Commit) -> Option<Link<Commit>> {
    let claimed = image.tag.as_deref().and_then(claimed_commit)?;
    let claimed = claimed.to_ascii_lowercase();
    if annotated.as_str().starts_with(&claimed) {
        return None;
    }
    Some(match Commit::parse(&claimed) {
        Some(commit) => Link::Ambiguous {
            rivals: vec![commit, annotated.clone()],
            rule: Rule::ImageTag,
        },
        // Nobody can tell the whole of it.
        None => Link::Unlinked,
    })
}

/// The commit a tag names beyond doubt, known to anybody or not. A number is
/// none (a date, a build) and a word is none (`defaced`), unless it is as long
/// as a whole commit.
fn claimed_commit(tag: &str) -> Option<&str> {
    let text = commit_in_tag(tag)?;
    let mixed = text.bytes().any(|byte| byte.is_ascii_digit())
        && text.bytes().any(|byte| byte.is_ascii_alphabetic());
    (mixed || text.len() == 40).then_some(text)
}

/// The commit a tag is or ends in: `9f3c2ab`, `main-9f3c2ab`, `sha-9f3c2ab…`.
pub(super) fn commit_in_tag(tag: &str) -> Option<&str> {
    let last = tag.rsplit(['-', '_', '.']).next()?;
    let hex = (7..=40).contains(&last.len()) && last.bytes().all(|byte| byte.is_ascii_hexdigit());
    // A date such as 20260814 is hexadecimal too; without a letter nobody can tell, so the commit must exist.
    hex.then_some(last)
}

/// A full commit, or a prefix of at least seven digits that fits exactly one known commit.
fn resolve(text: &str, commits: &BTreeSet<Commit>, rule: Rule) -> Link<Commit> {
    if let Some(full) = Commit::parse(text) {
        return if commits.contains(&full) {
            Link::Found { value: full, rule }
        } else {
            Link::Unlinked
        };
    }
    let short = text.to_ascii_lowercase();
    if short.len() < 7 || !short.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Link::Unlinked;
    }
    let mut fitting = commits
        .iter()
        .filter(|commit| commit.as_str().starts_with(&short));
    match (fitting.next(), fitting.next()) {
        (None, _) => Link::Unlinked,
        (Some(one), None) => Link::Found {
            value: one.clone(),
            rule,
        },
        (Some(one), Some(two)) => {
            let rivals = [one, two].into_iter().chain(fitting).cloned().collect();
            Link::Ambiguous { rivals, rule }
        }
    }
}

pub(super) fn image_to_version(
    image: &ImageRef,
    hints: &ImageHints,
    versions: &BTreeMap<Version, VersionHints>,
) -> Link<Version> {
    if let Some(version) = hints
        .version
        .filter(|version| versions.contains_key(version))
    {
        return Link::Found {
            value: version,
            rule: Rule::Annotation,
        };
    }
    let names = |hints: &VersionHints| {
        hints.image.as_ref().is_some_and(|named| {
            image
                .digest
                .as_ref()
                .is_some_and(|digest| named.ends_with(digest.as_str()))
                || image
                    .tag
                    .as_ref()
                    .is_some_and(|tag| **named == *format!("{}:{tag}", image.repository))
        })
    };
    let mut naming = versions
        .iter()
        .filter(|(_, hints)| names(hints))
        .map(|(version, _)| *version);
    match (naming.next(), naming.next()) {
        (None, _) => Link::Unlinked,
        (Some(one), None) => Link::Found {
            value: one,
            rule: Rule::ImageDigest,
        },
        (Some(one), Some(two)) => Link::Ambiguous {
            rivals: [one, two].into_iter().chain(naming).collect(),
            rule: Rule::ImageDigest,
        },
    }
}
