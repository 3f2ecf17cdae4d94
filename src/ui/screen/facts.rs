//! What screens look up again and again about the marked release.

use crate::{
    domain::{
        Timestamp,
        catalog::{MetricSpec, PlaceSpec, ServiceSpec},
        measure::{Arm, Measure, Sample, Series},
        pipeline::Run,
        policy::{GateRule, GateSource, Limit, Policy},
        rollout::Rollout,
        text::Clean,
        verdict::{Decision, Finding},
    },
    engine::{
        lane::{Lane, Place, WaitsFor},
        release::{Link, Release},
        world::{Known, Liveness, World},
    },
    ui::{line::Line, sign::Sign, state::UiState, text, theme::Role},
};

/// What a screen is drawn from.
#[derive(Clone, Copy, Debug)]
pub struct Scene<'a> {
    /// The world that is shown.
    pub world: &'a World,
    /// Where the person looks.
    pub state: &'a UiState,
    /// The instant.
    pub now: Timestamp,
}

impl<'a> Scene<'a> {
    /// A scene of the world that is shown: the newest, or the one held still.
    pub fn new(state: &'a UiState, world: &'a World, now: Timestamp) -> Self {
        Self {
            world: state.shown(world),
            state,
            now,
        }
    }

    /// The marked lane.
    pub fn lane(&self) -> Option<&'a Lane> {
        self.world.lanes.get(self.state.view.lane.as_ref()?)
    }

    /// The marked lane's release.
    pub fn release(&self) -> Option<&'a Release> {
        self.release_of(self.lane()?)
    }

    /// A lane's release.
    pub fn release_of(&self, lane: &Lane) -> Option<&'a Release> {
        self.world.release(lane.release()?).map(AsRef::as_ref)
    }

    /// The marked lane's rollout.
    pub fn rollout(&self) -> Option<&'a Known<Rollout>> {
        self.world.rollouts.get(&self.lane()?.target)
    }

    /// Whether the rollout in the marked lane is about the release the lane
    /// shows. It is not while that is still on its way through its run: then it
    /// is what users have meanwhile.
    pub fn rollout_is_its_own(&self) -> bool {
        self.lane().is_none_or(|lane| match lane.place {
            Place::Pipeline { .. }
            | Place::RunFailed
            | Place::Rejected { .. }
            | Place::Built
            | Place::Approval { .. } => false,
            Place::Canary { .. }
            | Place::Live
            | Place::RollingBack { .. }
            | Place::Aborting { .. }
            | Place::Aborted
            | Place::Degraded
            | Place::Unknown { .. } => true,
        })
    }

    /// What people call the release users of the marked lane are on.
    pub fn live_label(&self) -> Option<Clean> {
        let live = self.lane()?.live.as_ref()?;
        let release = self.world.release(live)?;
        Some(release.label.clone())
    }

    /// The marked release's run.
    pub fn run(&self) -> Option<&'a Known<Run>> {
        self.world.runs.get(self.release()?.run.value()?)
    }

    /// The decision about a lane's release.
    pub fn decision_of(&self, lane: &Lane) -> Option<&'a Decision> {
        self.world
            .decision(lane.release()?, &lane.environment)
            .map(AsRef::as_ref)
    }

    /// The decision about the marked release.
    pub fn decision(&self) -> Option<&'a Decision> {
        self.decision_of(self.lane()?)
    }

    /// The marked service as configured.
    pub fn service(&self) -> Option<&'a ServiceSpec> {
        self.world.catalog.services.get(&self.lane()?.service)
    }

    /// The marked place as configured.
    pub fn place(&self) -> Option<&'a PlaceSpec> {
        let environment = &self.lane()?.environment;
        let places = &self.service()?.places;
        places
            .iter()
            .find(|place| place.environment == *environment)
    }

    /// The marked service's policy.
    pub fn policy(&self) -> Option<&'a Policy> {
        self.world
            .catalog
            .policy(self.service()?)
            .map(AsRef::as_ref)
    }

    /// A gate's rule.
    pub fn rule(&self, finding: &Finding) -> Option<&'a GateRule> {
        self.policy()?
            .gates
            .iter()
            .find(|rule| rule.id == finding.gate)
    }

    /// What people call a lane's release.
    pub fn label_of(&self, lane: &Lane) -> Clean {
        match (self.release_of(lane), lane.release()) {
            (Some(release), _) => release.label.clone(),
            (None, Some(id)) => id.text().clone(),
            (None, None) => Clean::default(),
        }
    }
}

/// The sign of a lane: what is bad about it first, else where it stands.
pub fn lane_sign(lane: &Lane, decision: Option<&Decision>) -> Sign {
    let refuted = decision.is_some_and(Decision::hurts);
    match &lane.place {
        Place::Degraded
        | Place::RunFailed
        // Users are on what they are to get off.
        | Place::RollingBack { .. }
        | Place::Aborting { .. } => Sign::Bad,
        Place::Live | Place::Canary { .. } | Place::Approval { .. } | Place::Built if refuted => {
            Sign::Bad
        }
        Place::Canary { held: true, .. } => Sign::Held,
        Place::Canary {
            pause: Some(pause), ..
        } if pause.ends_at.is_none() => Sign::Person,
        Place::Approval { .. } => match &lane.waits_for {
            WaitsFor::Timer { .. } => Sign::Waiting,
            _ => Sign::Person,
        },
        Place::Canary { .. } => Sign::Running,
        Place::Pipeline { stage } if stage == "queued" => Sign::Waiting,
        Place::Pipeline { .. } => Sign::Running,
        Place::Built => Sign::Waiting,
        Place::Live if lane.back_aborted.is_some() => Sign::Person,
        Place::Live if lane.rolled_back.is_some() => Sign::Back,
        Place::Live => Sign::Good,
        Place::Rejected { .. } => Sign::Off,
        Place::Aborted => Sign::Back,
        Place::Unknown { .. } => Sign::Missing,
    }
}

/// Who or what a lane waits for, in a few words.
pub fn waits(waits: &WaitsFor, place: &Place, now: Timestamp) -> Line {
    match waits {
        WaitsFor::Person {
            you: Some(true), ..
        } => Line::new().with(Role::Person, "you"),
        // Whether that is you is not known.
        WaitsFor::Person { you: None, .. } => Line::new().with(Role::Person, "person"),
        WaitsFor::Person {
            you: Some(false), ..
        } => Line::plain("others"),
        // What it does there says the stage; the column has room for who.
        WaitsFor::Machine { .. } if place.is_in_environment() => Line::dim("pods"),
        WaitsFor::Machine { .. } => Line::dim("CI"),
        WaitsFor::Timer { until } => Line::dim(text::age(text::between(now, *until))),
        WaitsFor::Nothing => Line::new(),
    }
}

/// One metric of the marked release, as far as it is known.
#[derive(Clone, Copy, Debug)]
pub struct MetricFacts<'a> {
    /// As configured.
    pub spec: &'a MetricSpec,
    /// Newest canary value.
    pub canary: Option<&'a Known<Measure>>,
    /// Newest stable value.
    pub stable: Option<&'a Known<Measure>>,
    /// The canary over time.
    pub canary_series: Option<&'a Known<Series>>,
    /// Stable over time.
    pub stable_series: Option<&'a Known<Series>>,
    /// The gate that judges it.
    pub rule: Option<&'a GateRule>,
    /// What that gate found.
    pub finding: Option<&'a Finding>,
}

/// The metrics of the marked release, in the order configured.
pub fn metrics<'a>(scene: &Scene<'a>) -> Vec<MetricFacts<'a>> {
    let (Some(service), Some(lane)) = (scene.service(), scene.lane()) else {
        return Vec::new();
    };
    let (world, decision) = (scene.world, scene.decision());
    service
        .metrics
        .iter()
        .filter(|spec| spec.id.environment == lane.environment)
        .map(|spec| {
            let measure = |arm| world.measures.get(&(spec.id.clone(), arm));
            let series = |arm| world.series.get(&(spec.id.clone(), arm));
            let rule = scene.policy().and_then(|policy| {
                let judges =
                    |rule: &&GateRule| rule.source == GateSource::Metric(spec.id.metric.clone());
                policy.gates.iter().find(judges)
            });
            let finding = rule.zip(decision).and_then(|(rule, decision)| {
                decision
                    .findings
                    .iter()
                    .find(|finding| finding.gate == rule.id)
            });
            MetricFacts {
                spec,
                canary: measure(Arm::Canary),
                stable: measure(Arm::Stable),
                canary_series: series(Arm::Canary),
                stable_series: series(Arm::Stable),
                rule,
                finding,
            }
        })
        .collect()
}

/// What a query came to, for people.
pub fn sample(measure: &Measure) -> String {
    match &measure.sample {
        Sample::Value(value) => text::number(*value),
        Sample::Empty => "no data".to_owned(),
        Sample::NotFinite(written) | Sample::NotNumeric(written) => written.to_string(),
        Sample::Several(count) => format!("{count} series"),
    }
}

/// How old a value is, when its backend can no longer be relied on: then the
/// age belongs to the number.
pub fn outdated(scene: &Scene<'_>, measure: &Known<Measure>) -> Option<String> {
    let live = scene.world.liveness(&measure.backend, scene.now) == Liveness::Live;
    (!live).then(|| format!("{} old", text::ago(measure.at, scene.now)))
}

/// What a limit asks, as people write it.
pub fn limit(limit: Limit, unit: &str) -> Option<String> {
    let unit = if unit.is_empty() {
        String::new()
    } else {
        format!(" {unit}")
    };
    match (limit.below, limit.above) {
        (None, None) => None,
        (None, Some(above)) => Some(format!("≤ {}{unit}", text::number(above))),
        (Some(below), None) => Some(format!("≥ {}{unit}", text::number(below))),
        (Some(below), Some(above)) => Some(format!(
            "{} to {}{unit}",
            text::number(below),
            text::number(above)
        )),
    }
}

/// A part of a release and how it was tied to it.
pub fn tie<T>(link: &Link<T>, name: impl Fn(&T) -> String) -> Line {
    match link {
        Link::Found { value, rule } => {
            Line::plain(name(value)).with(Role::Dim, format!("  by {}", rule.word()))
        }
        Link::Ambiguous { rivals, rule } => {
            let names: Vec<String> = rivals.iter().map(name).collect();
            Line::new().sign(Sign::Warn).with(
                Role::Warn,
                format!(" ambiguous by {}: {}", rule.word(), names.join(", ")),
            )
        }
        Link::Unlinked => Line::new()
            .sign(Sign::Missing)
            .with(Role::Hold, " unlinked"),
    }
}

/// The marked release in one line.
pub fn one_line(scene: &Scene<'_>) -> Option<Clean> {
    let lane = scene.lane()?;
    let decision = scene
        .decision()
        .map_or("no decision", |decision| decision.word.text());
    let commit = scene
        .release()
        .and_then(|release| release.commit.value().map(|c| c.as_str().to_owned()));
    Some(Clean::from(format!(
        "{} {} {} {} {decision} {}",
        lane.service,
        scene.label_of(lane),
        lane.environment,
        lane.place.word(),
        commit.unwrap_or_default()
    )))
}

/// Pages about the marked release.
pub fn links(scene: &Scene<'_>) -> Vec<Clean> {
    let mut links = Vec::new();
    let Some(run) = scene.run() else {
        return model_link(scene).into_iter().collect();
    };
    links.extend(
        scene
            .world
            .approvals_of(&run.id)
            .iter()
            .map(|approval| approval.url.clone()),
    );
    links.push(run.url.clone());
    links.extend(model_link(scene));
    links
}

fn model_link(scene: &Scene<'_>) -> Option<Clean> {
    let spec = scene.service()?.model.as_ref()?;
    scene.world.models.get(&spec.model)?.url.clone()
}
