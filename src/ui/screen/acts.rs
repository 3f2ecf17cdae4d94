//! What each acting key would do now, and why it would not.

use crate::{
    domain::text::Clean,
    engine::{
        clear::{Mode, Refusal},
        lane::Lane,
        plan::{Ask, Plan, Verb},
        propose::propose,
    },
    ui::{
        line::Line,
        refusal::{objection, with_keys},
        screen::Scene,
        sheet::Asks,
        text,
        theme::Role,
        update,
    },
};

/// One acting key as it stands.
#[derive(Clone, Debug)]
pub struct Act {
    /// Its key.
    pub key: Option<char>,
    /// How it is written.
    pub label: String,
    /// The verb.
    pub verb: Verb,
    /// The verb in words.
    pub word: &'static str,
    /// How it stands.
    pub standing: Standing,
    /// The rule it would go past, which costs the release's name and a reason.
    pub bends: Option<Clean>,
}

/// How an acting key stands.
#[derive(Clone, Debug)]
pub enum Standing {
    /// It would open this plan's sheet.
    Offered(Box<Plan>),
    /// It applies and something stands against it.
    Grey(Refusal),
    /// It does not apply here.
    Absent(Refusal),
}

impl Act {
    /// How it stands on the hint line: `promote…` asks for more than a letter.
    pub fn hint(&self) -> Line {
        let line = Line::new().with(Role::Key, self.label.clone());
        match self.bends {
            Some(_) => line.with(Role::Warn, format!(" {}…", self.word)),
            None => line.text(format!(" {}", self.word)),
        }
    }

    /// Whether pressing it opens a sheet.
    pub fn is_offered(&self) -> bool {
        matches!(self.standing, Standing::Offered(_))
    }

    /// Why it is grey.
    pub fn grey(&self) -> Option<&Refusal> {
        match &self.standing {
            Standing::Grey(refusal) => Some(refusal),
            Standing::Offered(_) | Standing::Absent(_) => None,
        }
    }

    /// What it would do, or why it would not.
    pub fn why_or_effect(&self) -> String {
        match &self.standing {
            Standing::Offered(plan) => {
                let first = plan.steps.first().map_or("", |step| step.effect.as_str());
                let effect = match plan.steps.len() {
                    0 | 1 => first.to_owned(),
                    steps => format!("{first}, then {} more", steps - 1),
                };
                match &self.bends {
                    Some(rule) => format!("past {rule}, by name and reason: {effect}"),
                    None => effect,
                }
            }
            Standing::Grey(Refusal::Mode(Mode::Brake)) => "off in BRAKE; `:rw` opens it".to_owned(),
            // Several keys are off for it: the worst reason will do, the gates say all.
            Standing::Grey(Refusal::Decision { word, reasons, .. }) => match reasons.first() {
                Some(worst) => format!("{}: {worst}", word.text()),
                None => word.text().to_owned(),
            },
            Standing::Grey(refusal) | Standing::Absent(refusal) => with_keys(&refusal.to_string()),
        }
    }

    /// The same as lines of at most `width` cells. A key that is off stands in
    /// brackets, so that it is told apart without colour.
    pub fn lines(&self, width: usize) -> Vec<Line> {
        let (key, rest) = match &self.standing {
            Standing::Offered(_) => (Role::Key, Role::Plain),
            Standing::Grey(_) | Standing::Absent(_) => (Role::Dim, Role::Dim),
        };
        let shown = if self.is_offered() {
            format!(" {} ", self.label)
        } else {
            format!("({})", self.label)
        };
        let head = Line::new()
            .with(key, shown)
            .with(rest, format!(" {:<10}", self.word));
        let indent = head.width();
        let parts = text::wrap(&self.why_or_effect(), width.saturating_sub(indent).max(12));
        if parts.is_empty() {
            return vec![head];
        }
        parts
            .into_iter()
            .enumerate()
            .map(|(index, part)| {
                let start = if index == 0 {
                    head.clone()
                } else {
                    Line::plain(" ".repeat(indent))
                };
                start.with(rest, part)
            })
            .collect()
    }
}

/// How one verb stands on any row.
pub fn standing(scene: &Scene<'_>, lane: &Lane, verb: Verb) -> Standing {
    let ask = Ask::new(verb, (lane.service.clone(), lane.environment.clone()));
    let mode = scene.state.modes.of(lane.critical, scene.now);
    match propose(scene.world, &ask, scene.now) {
        Err(refusal) => Standing::Absent(refusal),
        Ok(plan) => match objection(scene.world, &plan, mode, scene.now) {
            Some(refusal) => Standing::Grey(refusal),
            None => Standing::Offered(Box::new(plan)),
        },
    }
}

/// All acting keys for the marked release, brakes first.
pub fn acts(scene: &Scene<'_>) -> Vec<Act> {
    let Some(lane) = scene.lane() else {
        return Vec::new();
    };
    let id = (lane.service.clone(), lane.environment.clone());
    let verbs = [
        Verb::Hold,
        Verb::Abort,
        Verb::RollBack,
        Verb::Reject,
        Verb::Continue,
        Verb::Skip,
        Verb::Promote,
        Verb::Approve,
        update::again(scene.world, &id),
    ];
    verbs
        .into_iter()
        .map(|verb| {
            let standing = standing(scene, lane, verb);
            let word = match verb {
                Verb::RerunFailed => "rerun",
                _ => verb.word(),
            };
            let label = verb.key().map(String::from).unwrap_or_default();
            let bends = match &standing {
                Standing::Offered(plan) => match Asks::of(plan, scene.world) {
                    Asks::Bend { rule } => Some(rule),
                    Asks::Letter | Asks::LetterThenEnter => None,
                },
                Standing::Grey(_) | Standing::Absent(_) => None,
            };
            Act {
                key: verb.key(),
                label,
                verb,
                word,
                standing,
                bends,
            }
        })
        .collect()
}
