//! Ties runs, model versions and images into release candidates.
//!
//! Nothing is guessed: each tie names the rule that made it, what matches more
//! than one thing is *ambiguous* with its rivals, and what matches nothing is
//! *unlinked*. An explicit mapping in the configuration wins over every rule.
//!
//! Ids are minted once, from the first anchor seen, and stay: when two turn out
//! to be one release the younger id keeps resolving to the older.

mod links;
mod mint;

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    domain::{
        catalog::ServiceSpec,
        id::{Commit, Version},
        pipeline::Run,
        rollout::{Revision, Rollout},
        text::Clean,
    },
    engine::{
        release::{Anchor, ImageRef, Link, Release, Rule},
        world::{Known, World},
    },
};

/// Recomputes the releases of one service from the facts about it.
pub fn correlate(world: &mut World, service: &ServiceSpec) {
    let parts = Parts::gather(world, service);
    let groups = group(&parts, service);
    let drafts = mint::draft(service, &parts, groups);
    mint::keep(world, service, drafts);
}

/// Everything of one service that can be part of a release.
struct Parts<'a> {
    /// Runs by commit, oldest first.
    runs: BTreeMap<Commit, Vec<&'a Known<Run>>>,
    /// Versions with what they say about commit, run and image.
    versions: BTreeMap<Version, links::VersionHints>,
    /// Images with the annotations of the rollout that wants them.
    images: BTreeMap<ImageRef, links::ImageHints>,
}

impl<'a> Parts<'a> {
    fn gather(world: &'a World, service: &'a ServiceSpec) -> Self {
        let mut runs: BTreeMap<Commit, Vec<&Known<Run>>> = BTreeMap::new();
        let all = service.run.iter().flat_map(|run| world.runs_of(run));
        for run in all {
            let ours = service
                .branch
                .as_ref()
                .is_none_or(|branch| *branch == run.branch);
            if let (true, Some(commit)) = (ours, Commit::parse(&run.head_sha)) {
                runs.entry(commit).or_default().push(run);
            }
        }
        for same in runs.values_mut() {
            same.sort_by_key(|run| (run.created_at, run.id.id));
        }
        Self {
            runs,
            versions: links::versions(world, service),
            images: images(world, service),
        }
    }

    /// Every full commit that is known from anywhere.
    fn commits(&self, service: &ServiceSpec) -> BTreeSet<Commit> {
        let from_versions = self
            .versions
            .values()
            .filter_map(|hints| hints.commit.as_deref().and_then(Commit::parse));
        self.runs
            .keys()
            .cloned()
            .chain(from_versions)
            .chain(
                service
                    .mappings
                    .iter()
                    .map(|mapping| mapping.commit.clone()),
            )
            .collect()
    }
}

fn images(world: &World, service: &ServiceSpec) -> BTreeMap<ImageRef, links::ImageHints> {
    let mut images: BTreeMap<ImageRef, links::ImageHints> = BTreeMap::new();
    for place in &service.places {
        let Some(rollout) = world.rollouts.get(&place.target) else {
            continue;
        };
        for revision in &rollout.revisions {
            let Some(image) = release_image(revision, place.container.as_ref()) else {
                continue;
            };
            let hints = images.entry(image).or_default();
            if rollout.current_hash.as_ref() == Some(&revision.hash) {
                hints.read(&rollout.annotations);
            }
            hints.created_at = match (hints.created_at, revision.created_at) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
        }
    }
    images
}

/// The image of a revision that carries the release.
pub fn release_image(revision: &Revision, container: Option<&Clean>) -> Option<ImageRef> {
    let image = match container {
        Some(name) => revision
            .images
            .iter()
            .find(|image| image.container == *name),
        None => revision.images.first(),
    }?;
    Some(ImageRef {
        repository: image.repository.clone(),
        tag: image.tag.clone(),
        digest: image.digest.clone(),
    })
}

/// The release a revision of a rollout carries.
pub fn release_of_revision<'a>(
    world: &'a World,
    service: &ServiceSpec,
    rollout: &Rollout,
    hash: &str,
) -> Option<&'a std::sync::Arc<Release>> {
    let place = service
        .places
        .iter()
        .find(|place| place.target == rollout.id)?;
    let image = release_image(rollout.revision(hash)?, place.container.as_ref())?;
    world.release(
        world
            .minted
            .get(&(service.name.clone(), Anchor::Image(image)))?,
    )
}

/// Parts that belong together.
#[derive(Debug)]
struct Group {
    commit: Link<Commit>,
    version: Link<Version>,
    image: Link<ImageRef>,
    /// Everything that names this group, commit first.
    anchors: Vec<Anchor>,
}

impl Group {
    fn of_commit(commit: Commit) -> Self {
        Self {
            anchors: vec![Anchor::Commit(commit.clone())],
            commit: Link::Found {
                value: commit,
                rule: Rule::Anchor,
            },
            version: Link::Unlinked,
            image: Link::Unlinked,
        }
    }

    /// An image that is a release of its own.
    fn of_image(image: ImageRef, commit: Link<Commit>, version: Link<Version>) -> Self {
        Self {
            anchors: vec![Anchor::Image(image.clone())],
            commit,
            version,
            image: Link::Found {
                value: image,
                rule: Rule::Anchor,
            },
        }
    }

    fn add_version(&mut self, version: Version, rule: Rule) {
        self.anchors.push(Anchor::Version(version));
        self.version = add(
            std::mem::replace(&mut self.version, Link::Unlinked),
            version,
            rule,
        );
    }

    fn add_image(&mut self, image: ImageRef, rule: Rule) {
        self.anchors.push(Anchor::Image(image.clone()));
        self.image = add(
            std::mem::replace(&mut self.image, Link::Unlinked),
            image,
            rule,
        );
    }
}

/// A second, different match makes a link ambiguous; a stated one wins.
fn add<T: PartialEq>(link: Link<T>, value: T, rule: Rule) -> Link<T> {
    match link {
        Link::Unlinked => Link::Found { value, rule },
        Link::Found {
            value: old,
            rule: old_rule,
        } if old == value => Link::Found {
            value: old,
            rule: old_rule.min(rule),
        },
        Link::Found {
            value: old,
            rule: Rule::Mapping,
        } => Link::Found {
            value: old,
            rule: Rule::Mapping,
        },
        Link::Found { .. } if rule == Rule::Mapping => Link::Found { value, rule },
        Link::Found {
            value: old,
            rule: old_rule,
        } => Link::Ambiguous {
            rivals: vec![old, value],
            rule: old_rule.min(rule),
        },
        Link::Ambiguous { mut rivals, rule } => {
            if !rivals.contains(&value) {
                rivals.push(value);
            }
            Link::Ambiguous { rivals, rule }
        }
    }
}

fn group(parts: &Parts<'_>, service: &ServiceSpec) -> Vec<Group> {
    let commits = parts.commits(service);
    let mut groups: BTreeMap<Commit, Group> = commits
        .iter()
        .map(|commit| (commit.clone(), Group::of_commit(commit.clone())))
        .collect();
    let mut loose: Vec<Group> = Vec::new();
    let mut home: BTreeMap<Version, Link<Commit>> = BTreeMap::new();
    for (version, hints) in &parts.versions {
        let link = links::version_to_commit(*version, hints, parts, &commits, service);
        match &link {
            Link::Found { value, rule } => {
                if let Some(group) = groups.get_mut(value) {
                    group.add_version(*version, *rule);
                }
            }
            Link::Ambiguous { .. } | Link::Unlinked => loose.push(Group {
                commit: link.clone(),
                version: Link::Found {
                    value: *version,
                    rule: Rule::Anchor,
                },
                image: Link::Unlinked,
                anchors: vec![Anchor::Version(*version)],
            }),
        }
        home.insert(*version, link);
    }
    for (image, hints) in &parts.images {
        let link = links::image_to_commit(image, hints, &commits, service);
        if let Link::Found { value, rule } = &link {
            if let Some(group) = groups.get_mut(value) {
                group.add_image(image.clone(), *rule);
            }
            continue;
        }
        let by_version = links::image_to_version(image, hints, &parts.versions);
        if let Some(commit) = torn(image, &by_version, &home) {
            loose.push(Group::of_image(image.clone(), commit, Link::Unlinked));
            continue;
        }
        if let Link::Found {
            value: version,
            rule,
        } = by_version
        {
            let at_home = match home.get(&version) {
                Some(Link::Found { value, .. }) => groups.get_mut(value),
                Some(Link::Ambiguous { .. } | Link::Unlinked) | None => loose
                    .iter_mut()
                    .find(|group| group.version.value() == Some(&version)),
            };
            if let Some(group) = at_home {
                group.add_image(image.clone(), rule);
                continue;
            }
        }
        let version = match by_version {
            Link::Ambiguous { rivals, rule } => Link::Ambiguous { rivals, rule },
            Link::Found { .. } | Link::Unlinked => Link::Unlinked,
        };
        loose.push(Group::of_image(image.clone(), link, version));
    }
    groups.into_values().chain(loose).collect()
}

/// What is known of the commit of an image whose tag contradicts the version
/// its rollout is annotated with; `None` where it does not.
fn torn(
    image: &ImageRef,
    by_version: &Link<Version>,
    home: &BTreeMap<Version, Link<Commit>>,
) -> Option<Link<Commit>> {
    let Link::Found {
        value,
        rule: Rule::Annotation,
    } = by_version
    else {
        return None;
    };
    links::torn(image, home.get(value)?.value()?)
}
