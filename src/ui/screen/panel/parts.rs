//! What a release is made of, by which rule each part was tied to it, and what
//! the champion is made of.

use crate::{
    domain::{id::Version, model::ModelRun},
    engine::{release::Link, world::Known},
    ui::{
        line::Line,
        screen::{Scene, facts::tie},
        sign::Sign,
        text,
        theme::Role,
    },
};

/// The version the champion alias points to.
pub fn champion(scene: &Scene<'_>) -> Option<Version> {
    let spec = scene.service()?.model.as_ref()?;
    scene
        .world
        .models
        .get(&spec.model)?
        .aliases
        .get(&spec.champion)
        .copied()
}

/// The training run of a version.
pub fn trained<'a>(scene: &Scene<'a>, version: Version) -> Option<&'a Known<ModelRun>> {
    let spec = scene.service()?.model.as_ref()?;
    scene.world.model_runs.get(&(spec.model.clone(), version))
}

/// One line per part.
pub fn lines(scene: &Scene<'_>) -> Vec<Line> {
    let Some(release) = scene.release() else {
        return vec![Line::dim("no release is known here yet")];
    };
    let mut lines = Vec::new();
    if scene
        .service()
        .is_some_and(|service| service.model.is_some())
    {
        let change = match (champion(scene), release.version.value()) {
            (Some(champion), Some(version)) if champion != *version => format!("{champion} → "),
            _ => String::new(),
        };
        let label = Line::dim("model   ").text(change);
        lines.push(label.join(tie(&release.version, ToString::to_string)));
        lines.extend(data(scene));
    }
    lines
        .push(Line::dim("code    ").join(tie(&release.commit, |commit| commit.short().to_owned())));
    if !release.title.is_empty() {
        lines.push(Line::dim("        ").with(Role::Dim, format!("“{}”", release.title)));
    }
    if scene.service().is_some_and(|service| service.run.is_some()) {
        let run = tie(&release.run, |run| {
            scene.world.runs.get(run).map_or_else(
                || run.to_string(),
                |known| format!("{} #{} {}", run.backend, known.number, known.status.word()),
            )
        });
        lines.push(Line::dim("run     ").join(run));
    }
    lines.push(Line::dim("image   ").join(tie(&release.image, |image| {
        let repository = image.repository.rsplit('/').next().unwrap_or_default();
        format!("{repository}:{}", text::fit_middle(&image.to_string(), 24))
    })));
    if !release.actor.is_empty() {
        let branch = if release.branch.is_empty() {
            String::new()
        } else {
            format!(" on {}", release.branch)
        };
        lines.push(Line::dim("by      ").text(format!("{}{branch}", release.actor)));
    }
    lines
}

/// The data sets of candidate and champion.
fn data(scene: &Scene<'_>) -> Vec<Line> {
    let candidate = scene
        .release()
        .and_then(|release| release.version.value())
        .and_then(|version| trained(scene, *version));
    let before = champion(scene).and_then(|version| trained(scene, version));
    let Some(candidate) = candidate else {
        return Vec::new();
    };
    candidate
        .datasets
        .iter()
        .map(|dataset| {
            let old =
                before.and_then(|run| run.datasets.iter().find(|old| old.name == dataset.name));
            let change = match old {
                Some(old) if old.digest == dataset.digest => {
                    format!("{} same as the champion's", dataset.digest)
                }
                Some(old) => format!("{} → {}", old.digest, dataset.digest),
                None => dataset.digest.to_string(),
            };
            Line::dim("data    ").text(format!("{} {change}", dataset.name))
        })
        .collect()
}

/// The parts in few cells.
pub fn short(scene: &Scene<'_>) -> Vec<Line> {
    let Some(release) = scene.release() else {
        return Vec::new();
    };
    let mut lines = Vec::new();
    if let Some(version) = release.version.value() {
        let before = champion(scene).filter(|before| before != version);
        let change = before.map_or_else(
            || version.to_string(),
            |before| format!("{before} → {version}"),
        );
        lines.push(Line::dim("model ").text(change));
    }
    if let Some(commit) = release.commit.value() {
        lines.push(
            Line::dim("code  ")
                .text(commit.short().to_owned())
                .with(Role::Dim, format!(" {}", release.actor)),
        );
    }
    for (what, missing) in [
        ("run", matches!(release.run, Link::Ambiguous { .. })),
        ("model", matches!(release.version, Link::Ambiguous { .. })),
        ("image", matches!(release.image, Link::Ambiguous { .. })),
    ] {
        if missing {
            lines.push(
                Line::new()
                    .sign(Sign::Warn)
                    .with(Role::Warn, format!(" {what} is ambiguous")),
            );
        }
    }
    lines
}
