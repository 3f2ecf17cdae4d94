//! Gives each group of parts its lasting name, and makes its release.

use std::{collections::BTreeSet, sync::Arc};

use crate::{
    domain::{
        Timestamp,
        catalog::ServiceSpec,
        id::{Commit, ReleaseId},
        text::Clean,
    },
    engine::{
        correlate::{Group, Parts, links},
        release::{Anchor, ImageRef, Link, Release, Rule},
        world::World,
    },
};

/// Makes the releases of a service, all but their names.
pub(super) fn draft(service: &ServiceSpec, parts: &Parts<'_>, groups: Vec<Group>) -> Vec<Draft> {
    groups
        .into_iter()
        .map(|group| Draft::new(service, parts, group))
        .collect()
}

/// Names the drafts and replaces the service's releases by them.
pub(super) fn keep(world: &mut World, service: &ServiceSpec, drafts: Vec<Draft>) {
    Names::of(world).settle(service, drafts);
}

/// A release without its name.
pub(super) struct Draft {
    anchors: Vec<Anchor>,
    release: Release,
}

impl Draft {
    fn new(service: &ServiceSpec, parts: &Parts<'_>, group: Group) -> Self {
        let runs = group
            .commit
            .value()
            .and_then(|commit| parts.runs.get(commit));
        let newest = runs.and_then(|runs| runs.last());
        let run = newest.map_or(Link::Unlinked, |run| Link::Found {
            value: run.id.clone(),
            rule: Rule::RunOfCommit,
        });
        let created_at = earliest(
            parts,
            &group,
            runs.and_then(|runs| runs.first())
                .and_then(|run| run.created_at),
        );
        let release = Release {
            id: ReleaseId::new(""),
            service: service.name.clone(),
            label: label(&group),
            run,
            title: newest.map(|run| run.title.clone()).unwrap_or_default(),
            branch: newest.map(|run| run.branch.clone()).unwrap_or_default(),
            actor: newest.map(|run| run.actor.clone()).unwrap_or_default(),
            created_at,
            commit: group.commit,
            version: group.version,
            image: group.image,
        };
        Self {
            anchors: group.anchors,
            release,
        }
    }
}

fn earliest(parts: &Parts<'_>, group: &Group, run: Option<Timestamp>) -> Option<Timestamp> {
    if run.is_some() {
        return run;
    }
    let of = |anchor: &Anchor| match anchor {
        Anchor::Commit(_) => None,
        Anchor::Version(version) => parts
            .versions
            .get(version)
            .and_then(|hints| hints.created_at),
        Anchor::Image(image) => parts.images.get(image).and_then(|hints| hints.created_at),
    };
    group.anchors.iter().filter_map(of).min()
}

/// What people call it: the image's tag unless that is a commit, else the model
/// version, else the short commit, else the image.
fn label(group: &Group) -> Clean {
    let image = group.image.value();
    let tag = image
        .and_then(|image| image.tag.as_ref())
        .filter(|tag| links::commit_in_tag(tag).is_none());
    if let Some(tag) = tag {
        return tag.clone();
    }
    if let Some(version) = group.version.value() {
        return Clean::from(version.to_string());
    }
    group.commit.value().map_or_else(
        || {
            image.map_or_else(
                || "unnamed".into(),
                |image: &ImageRef| Clean::from(image.to_string()),
            )
        },
        |commit: &Commit| Clean::from(commit.short().to_owned()),
    )
}

/// The names already given, ready to be extended.
struct Names<'a> {
    world: &'a mut World,
    claimed: BTreeSet<ReleaseId>,
}

impl<'a> Names<'a> {
    fn of(world: &'a mut World) -> Self {
        Self {
            world,
            claimed: BTreeSet::new(),
        }
    }

    fn settle(mut self, service: &ServiceSpec, drafts: Vec<Draft>) {
        let mut kept = Vec::with_capacity(drafts.len());
        for draft in drafts {
            let id = self.name(service, &draft);
            kept.push((
                id.clone(),
                Arc::new(Release {
                    id,
                    ..draft.release
                }),
            ));
        }
        let gone: Vec<ReleaseId> = self
            .world
            .releases_of(&service.name)
            .filter(|release| !self.claimed.contains(&release.id))
            .map(|release| release.id.clone())
            .collect();
        for id in gone {
            self.world.releases.remove(&id);
        }
        for (id, release) in kept {
            if self.world.releases.get(&id) != Some(&release) {
                self.world.releases.insert(id, release);
            }
        }
    }

    /// The id of a draft: the oldest its anchors have, or a new one. Younger
    /// ids are merged into it and keep resolving.
    fn name(&mut self, service: &ServiceSpec, draft: &Draft) -> ReleaseId {
        let key = |anchor: &Anchor| (service.name.clone(), anchor.clone());
        let mut known: Vec<ReleaseId> = draft
            .anchors
            .iter()
            .filter_map(|anchor| self.world.minted.get(&key(anchor)))
            .map(|id| self.world.merged.get(id).unwrap_or(id).clone())
            .filter(|id| !self.claimed.contains(id))
            .collect();
        let ranks = &self.world.ranks;
        known.sort_by_key(|id| ranks.get(id).copied().unwrap_or(u64::MAX));
        known.dedup();
        let id = known
            .first()
            .cloned()
            .unwrap_or_else(|| self.mint(service, draft));
        for younger in known.iter().skip(1) {
            self.merge(service, younger, &id);
        }
        for key in draft.anchors.iter().map(key) {
            if self.world.minted.get(&key) != Some(&id) {
                self.world.minted.insert(key, id.clone());
            }
        }
        self.claimed.insert(id.clone());
        id
    }

    /// From now on `younger`, and what was merged into it, name `id`.
    fn merge(&mut self, service: &ServiceSpec, younger: &ReleaseId, id: &ReleaseId) {
        // Ids begin with their service, and only ids of one service are merged.
        let begins = format!("{}@", service.name);
        let merged = &mut self.world.merged;
        let passed_on: Vec<ReleaseId> = merged
            .from_where(&|id| id.as_str() < begins.as_str())
            .take_while(|(id, _)| id.as_str().starts_with(&begins))
            .filter(|(_, target)| *target == younger)
            .map(|(id, _)| id.clone())
            .collect();
        merged.extend(
            passed_on
                .into_iter()
                .chain([younger.clone()])
                .map(|of| (of, id.clone())),
        );
    }

    /// A name made of nothing but what the release was first known by, so that
    /// it is the same in every process and whatever else was heard before. In
    /// which order names were given is kept beside them.
    fn mint(&mut self, service: &ServiceSpec, draft: &Draft) -> ReleaseId {
        let anchor = draft
            .anchors
            .first()
            .map_or_else(String::new, ToString::to_string);
        let name = format!("{}@{anchor}", service.name);
        let mut id = ReleaseId::new(&name);
        // A part that went over to another release left its name behind.
        let mut another = 2_u64;
        while self.world.ranks.contains_key(&id) {
            id = ReleaseId::new(format!("{name}~{another}"));
            another += 1;
        }
        let rank = u64::try_from(self.world.ranks.len()).unwrap_or(u64::MAX);
        self.world.ranks.insert(id.clone(), rank);
        id
    }
}
