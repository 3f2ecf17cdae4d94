//! The rollout in a few lines: traffic, steps, pods, state, what comes next.

use crate::{
    domain::{
        id::ReleaseId,
        rollout::{Cutover, Revision, Role as RevisionRole, Rollout, RolloutPhase},
        text::Clean,
    },
    engine::lane::Place,
    ui::{
        line::Line,
        screen::{Scene, panel::blue_green},
        sign::Sign,
        text,
        theme::Role,
        widget::{bar, steps},
    },
};

/// The title of a frame around it.
pub fn title(scene: &Scene<'_>) -> &'static str {
    if scene.rollout_is_its_own() {
        "rollout"
    } else {
        "there now"
    }
}

/// What is in the environment, when that is not the release shown: its name and
/// its revision.
fn there_now(scene: &Scene<'_>, rollout: &Rollout) -> Line {
    let revision = rollout.stable().or(rollout.current());
    let revision = revision.map(Revision::name).unwrap_or_default();
    let label = scene.live_label();
    let named = match &label {
        Some(label) if *label != revision => Clean::from(format!("{label} ({revision})")),
        Some(_) | None => revision,
    };
    let word = if rollout.is_fully_promoted() {
        "now live "
    } else {
        "in place "
    };
    let line = Line::dim(word).with(Role::Strong, named.to_string());
    match scene.lane() {
        Some(lane) => line.with(
            Role::Dim,
            format!("   {} is not deployed here yet", scene.label_of(lane)),
        ),
        None => line,
    }
}

/// The share of traffic, for a frame's corner.
pub fn weight(scene: &Scene<'_>) -> Line {
    if !scene.rollout_is_its_own() {
        let live = scene.live_label();
        return live.map_or_else(Line::new, |live| Line::dim(format!("now {live}")));
    }
    match scene.rollout() {
        Some(rollout) if rollout.cutover().is_some() => {
            let word = match rollout.cutover() {
                Some(Cutover::Switched) => "switched",
                Some(Cutover::Preview) | None => "preview",
            };
            Line::new().with(Role::Canary, word)
        }
        Some(rollout) if rollout.has_canary() && !rollout.is_fully_promoted() => {
            Line::new().with(Role::Canary, rollout.weight_actual.to_string())
        }
        Some(rollout) if rollout.is_fully_promoted() => Line::new().with(Role::Good, "live"),
        Some(_) | None => Line::new(),
    }
}

/// Everything about the rollout in at most seven lines.
pub fn lines(scene: &Scene<'_>, width: usize) -> Vec<Line> {
    let (mut lines, more) = parts(scene, width);
    lines.extend(more);
    lines
}

/// The same: what must be seen, and what may be where there is room.
pub fn parts(scene: &Scene<'_>, width: usize) -> (Vec<Line>, Vec<Line>) {
    let Some(rollout) = scene.rollout() else {
        let known = scene
            .lane()
            .map(|lane| format!("rollout {} has not been seen", lane.target));
        return (vec![Line::dim(known.unwrap_or_default())], Vec::new());
    };
    let narrow = width < NARROW;
    let mut lines = Vec::new();
    let own = scene.rollout_is_its_own();
    if !own {
        lines.push(there_now(scene, rollout));
    }
    let shown = own || !rollout.is_fully_promoted();
    if let Some(facts) = rollout.blue_green.as_ref().filter(|_| shown) {
        lines.extend(blue_green::lines(rollout, facts, width, scene.now));
    } else if rollout.has_canary() && shown {
        lines.push(traffic(rollout, width));
    }
    if !rollout.steps.is_empty() && !rollout.is_fully_promoted() {
        let stations = steps::stations(rollout, scene.now);
        lines.push(Line::dim("steps    ").join(steps::line(&stations, width.saturating_sub(9))));
    }
    let left = steps::left(rollout, scene.now).filter(|_| rollout.cutover().is_some());
    let left = left.map_or_else(Line::new, |left| Line::dim(format!(", {left}")));
    lines.push(standing(rollout).join(left));
    lines.extend(back(scene).map(|back| Line::dim("back     ").join(back)));
    let mut more = Vec::new();
    let mut add = |must: bool, line: Line| {
        if must {
            lines.push(line);
        } else {
            more.push(line);
        }
    };
    let said_of_each = rollout.blue_green.is_some() && shown;
    let unready = rollout.pods.ready < rollout.pods.desired;
    if !said_of_each && (!narrow || unready) {
        add(unready, pods(rollout, narrow));
    }
    let said_already = narrow && rollout.held;
    if !rollout.message.is_empty() && !said_already {
        let troubled = rollout.aborted.is_some() || rollout.phase == RolloutPhase::Degraded;
        let said = Line::dim("says     ").text(rollout.message.to_string());
        add(troubled, said);
    }
    if let Some(gitops) = &rollout.gitops {
        let owner = format!("{} {}", gitops.tool, gitops.owner);
        add(false, Line::dim("owned by ").text(owner));
    }
    (lines, more)
}

/// What was rolled back, and what users have instead.
pub fn back(scene: &Scene<'_>) -> Option<Line> {
    let lane = scene.lane()?;
    let label = |id: Option<&ReleaseId>| Some(scene.world.release(id?)?.label.clone());
    let (back, live) = match &lane.place {
        Place::Aborted => (label(lane.candidate.as_ref())?, label(lane.live.as_ref())?),
        Place::RollingBack { .. } | Place::Aborting { .. } => {
            let said = crate::report::words::standing(scene.world, lane);
            let line = Line::new().sign(Sign::Back);
            return Some(line.with(Role::Bad, format!(" {said}")));
        }
        Place::Live if lane.back_aborted.is_some() => {
            let said = crate::report::words::standing(scene.world, lane);
            return Some(Line::new().sign(Sign::Person).text(format!(" {said}")));
        }
        Place::Live => (
            label(lane.rolled_back.as_ref())?,
            label(lane.live.as_ref())?,
        ),
        _ => return None,
    };
    Some(
        Line::new()
            .sign(Sign::Back)
            .text(format!(" {back} rolled back, {live} live")),
    )
}

/// Below this many cells names and sums are left out.
pub const NARROW: usize = 50;

/// Canary against stable in one bar; what is live, when all are on it.
pub fn traffic(rollout: &Rollout, width: usize) -> Line {
    let narrow = width < NARROW;
    let cells = width
        .saturating_sub(if narrow { 36 } else { 48 })
        .clamp(6, 40);
    let named = |revision: Option<&Revision>| {
        let name = revision.map(Revision::name).unwrap_or_default();
        if narrow || name.is_empty() {
            String::new()
        } else {
            format!("{} ", text::fit(&name, 14))
        }
    };
    let (wanted, actual) = (rollout.weight_wanted, rollout.weight_actual);
    if rollout.is_fully_promoted() {
        return Line::dim("traffic  ")
            .with(Role::Good, format!("live {}", named(rollout.current())))
            .join(bar::share(actual.get(), cells, Role::Good))
            .with(Role::Good, format!(" {actual}"));
    }
    let stable = actual.rest();
    let mut line = Line::dim("traffic  ")
        .with(Role::Canary, format!("canary {actual} "))
        .join(bar::share(actual.get(), cells, Role::Canary))
        .with(
            Role::Stable,
            format!(" stable {}{stable}", named(rollout.stable())),
        );
    if wanted != actual {
        line = line.with(Role::Warn, format!("  wants {wanted}"));
    }
    if rollout.weight_is_pod_ratio {
        line = line.with(Role::Dim, "  by pods");
    }
    if rollout.weight_verified == Some(false) {
        line = line
            .text("  ")
            .sign(Sign::Warn)
            .with(Role::Warn, " not verified");
    }
    line
}

fn pods(rollout: &Rollout, narrow: bool) -> Line {
    let mut line = Line::dim("pods    ");
    for revision in &rollout.revisions {
        let (word, role) = match revision.role {
            RevisionRole::Stable => ("stable", Role::Stable),
            RevisionRole::Canary => ("canary", Role::Canary),
            RevisionRole::Old => continue,
        };
        let pods = revision.pods;
        line = line.with(
            role,
            format!(" {word} {}/{} ready ", pods.ready, pods.desired),
        );
        if pods.ready < pods.desired {
            line = line.sign(Sign::Warn);
        }
    }
    if narrow {
        return line;
    }
    line.with(
        Role::Dim,
        format!(
            " {} of {} available in all",
            rollout.pods.available, rollout.pods.desired
        ),
    )
}

/// How it stands, in words.
pub fn standing(rollout: &Rollout) -> Line {
    let sign = steps::standing(rollout);
    let step = rollout
        .current_step()
        .map(|step| format!(", step {}", step.label()));
    Line::dim("state    ")
        .sign(sign)
        .with(sign.role(), format!(" {}", steps::standing_word(rollout)))
        .with(Role::Dim, step.unwrap_or_default())
}
