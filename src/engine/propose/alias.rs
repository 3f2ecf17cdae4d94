//! The champion alias: where it points, the steps that move it, and who shares it.

use crate::{
    domain::{
        action::{ModelOrder, Order},
        catalog::{ModelSpec, PlaceSpec, ServiceSpec},
        id::Version,
        text::Clean,
    },
    engine::{
        correlate::release_of_revision,
        plan::PlanStep,
        propose::{Scene, version_of},
    },
};

/// Another place with the same champion alias.
struct Sharing<'a> {
    service: &'a ServiceSpec,
    place: &'a PlaceSpec,
    /// What users are on there.
    version: Version,
}

impl Sharing<'_> {
    /// That it stays on what the alias leaves.
    fn left_behind(&self, model: &ModelSpec, to: Version) -> Clean {
        let (from, alias, environment) = (self.version, &model.champion, &self.place.environment);
        let service = &self.service.name;
        let loads = if self.service.model_from_alias {
            format!("; pods that start there load {to}")
        } else {
            String::new()
        };
        Clean::from(format!(
            "{service} {environment} stays on {from} while `{alias}`, which it shares, names {to}{loads}"
        ))
    }
}

impl<'a> Scene<'a> {
    /// The version the champion alias points to.
    pub(super) fn champion(&self) -> Option<Version> {
        let spec = self.service.model.as_ref()?;
        self.world
            .models
            .get(&spec.model)?
            .aliases
            .get(&spec.champion)
            .copied()
    }

    /// What the registry has not told, if it has told nothing of the model.
    pub(super) fn registry_is_silent(&self, spec: &ModelSpec) -> Option<Clean> {
        let silent = !self.world.models.contains_key(&spec.model);
        silent.then(|| {
            Clean::from(format!(
                "where alias `{}` of {} points is not known: it is left alone",
                spec.champion, spec.model
            ))
        })
    }

    /// Everywhere else that has the same champion alias, with the version users
    /// are on there.
    fn others_of_alias(&self, model: &ModelSpec) -> impl Iterator<Item = Sharing<'a>> {
        let (world, here) = (self.world, &self.place.target);
        let sharing = world.catalog.services.values();
        sharing
            .filter(move |service| service.model.as_ref() == Some(model))
            .flat_map(|service| service.places.iter().map(move |place| (service, place)))
            .filter(move |(_, place)| place.target != *here)
            .filter_map(move |(service, place)| {
                let rollout = world.rollouts.get(&place.target)?;
                let hash = rollout.stable_hash.as_ref()?;
                let users = release_of_revision(world, service, rollout, hash)?;
                let version = *users.version.value()?;
                Some(Sharing {
                    service,
                    place,
                    version,
                })
            })
    }

    /// Who stays on `from` when the alias moves from there to `to`.
    pub(super) fn stranded(&self, model: &ModelSpec, from: Version, to: Version) -> Vec<Clean> {
        let others = self.others_of_alias(model);
        others
            .filter(|other| other.version == from)
            .map(|other| other.left_behind(model, to))
            .collect()
    }

    /// Where users were taken back from `to`, which the alias is to name again.
    pub(super) fn taken_back_elsewhere(&self, to: Version) -> Vec<Clean> {
        let Some(model) = &self.service.model else {
            return Vec::new();
        };
        let was_taken_back = |other: &Sharing<'_>| {
            let lane = (other.service.name.clone(), other.place.environment.clone());
            let left = self.world.lanes.get(&lane)?.rolled_back.as_ref();
            version_of(self.world, left)
        };
        let others = self.others_of_alias(model);
        others
            .filter(|other| was_taken_back(other) == Some(to))
            .map(|other| {
                Clean::from(format!(
                    "{} {} was taken back from {to} to {}",
                    other.service.name, other.place.environment, other.version
                ))
            })
            .collect()
    }

    /// Whose pods load `to` as soon as they start, though nobody promoted it there.
    pub(super) fn drawn_along(&self, to: Version) -> Vec<Clean> {
        let Some(model) = &self.service.model else {
            return Vec::new();
        };
        let others = self.others_of_alias(model);
        others
            .filter(|other| other.service.model_from_alias && other.version != to)
            .map(|other| {
                Clean::from(format!(
                    "{} {} is on {} and shares `{}`: pods that start there load {to}",
                    other.service.name, other.place.environment, other.version, model.champion
                ))
            })
            .collect()
    }

    /// The steps that move the champion alias to `to`: first the bookkeeping
    /// alias that remembers where it was, then the alias itself.
    pub(super) fn alias_steps(&self, to: Version) -> Vec<PlanStep> {
        let Some(spec) = &self.service.model else {
            return Vec::new();
        };
        let Some(model) = self.world.models.get(&spec.model) else {
            return Vec::new();
        };
        let current = model.aliases.get(&spec.champion).copied();
        if current == Some(to) {
            return Vec::new();
        }
        let mut steps = Vec::new();
        let previous = previous_alias(&spec.champion);
        if let Some(current) = current
            && model.aliases.get(&previous) != Some(&current)
        {
            steps.push(PlanStep {
                order: Order::Model(ModelOrder {
                    model: spec.model.clone(),
                    alias: previous.clone(),
                    to: current,
                    expected: model.aliases.get(&previous).copied(),
                }),
                effect: Clean::from(format!(
                    "alias `{previous}` of {} remembers {current}",
                    spec.model
                )),
            });
        }
        steps.push(PlanStep {
            order: Order::Model(ModelOrder {
                model: spec.model.clone(),
                alias: spec.champion.clone(),
                to,
                expected: current,
            }),
            effect: Clean::from(format!(
                "alias `{}` of {} moves {} → {to}",
                spec.champion,
                spec.model,
                current.map_or_else(|| "nothing".to_owned(), |version| version.to_string())
            )),
        });
        steps
    }
}

/// The alias that remembers where the champion was.
pub(in crate::engine) fn previous_alias(champion: &str) -> Clean {
    Clean::from(format!("previous-{champion}"))
}
