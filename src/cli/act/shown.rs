//! A plan as it was shown: agreed to, and followed to its end.

use std::hash::{BuildHasher as _, RandomState};

use serde_json::{Value, json};

use crate::{
    cli::{
        Stop,
        act::document,
        args::Act,
        exit::Exit,
        output::{self, Out},
        session::Session,
    },
    domain::{
        action::{Preview, Subject},
        id::PlanId,
        text::Clean,
    },
    engine::{
        clear::{self, Consent, Refusal},
        plan::{Class, Plan},
        world::{StepState, World},
    },
    report::{self, words},
    ui::letters::Letters,
};

/// A plan as it was shown.
pub(super) struct Shown {
    pub(super) plan: Plan,
    previews: Vec<Preview>,
    decision: Option<String>,
}

impl Shown {
    pub(super) fn of(session: &Session, world: &World, plan: Plan) -> Self {
        let previews = plan
            .steps
            .iter()
            .map(|step| session.handle.preview(&step.order))
            .collect();
        // A brake waited for no evidence, so what the gates say now is no news.
        let decision = plan
            .release
            .as_ref()
            .filter(|_| plan.class != Class::Brake)
            .and_then(|release| world.decision(release, &plan.ask.lane.1))
            .map(|decision| words::decision(decision));
        Self {
            plan,
            previews,
            decision,
        }
    }

    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = report::plain::plan(&self.plan, &self.previews);
        lines.extend(
            self.decision
                .as_ref()
                .map(|decision| format!("  decision: {decision}")),
        );
        lines
    }

    fn json(&self) -> Value {
        report::json::plan(&self.plan, &self.previews)
    }

    /// What would come of it, without doing it.
    pub(super) fn dry_run(
        &self,
        session: &Session,
        world: &World,
        act: &Act,
        out: &mut Out,
    ) -> Exit {
        let consent = self.given(act);
        let cleared = clear::clear(
            world,
            &self.plan,
            session.mode,
            &consent,
            session.handle.now(),
        );
        let refusal = cleared.err();
        let exit = refusal.as_ref().map_or(Exit::Ok, Exit::from);
        let why = refusal.as_ref().map(in_words);
        if act.json.json {
            let more = json!({
                "dry_run": true,
                "plan": self.json(),
                "refusal": why,
            });
            out.json(&document(exit, more));
        } else {
            out.lines(self.lines());
            match why {
                Some(why) => out.line(format!("dry run: would be refused: {why}")),
                None => out.line("dry run: nothing was sent"),
            }
        }
        exit
    }

    /// What the flags alone agree to.
    fn given(&self, act: &Act) -> Consent {
        let bend = act
            .reason
            .as_ref()
            .filter(|_| act.overriding)
            .map(|reason| (self.plan.release_label.clone(), Clean::block(reason)));
        Consent {
            warnings: act.accept_warnings,
            bend,
        }
    }

    /// What the person agrees to: by flags, or at the terminal.
    pub(super) fn agree(&self, act: &Act, out: &mut Out) -> Result<Consent, Stop> {
        let given = self.given(act);
        if act.yes {
            return Ok(given);
        }
        if act.json.json || !output::is_interactive() {
            return Err(Stop::new(
                Exit::Refused,
                "nothing was sent: without a terminal, say --yes",
            ));
        }
        if self.plan.class == Class::Bend && given.bend.is_none() {
            return self.agree_to_bend(act, out);
        }
        let letter = random_letter();
        out.ask(format!(
            "type {letter} and Enter to go ahead, anything else not: "
        ));
        match output::read_answer() {
            Some(answer) if answer == letter.to_string() => {
                // The warnings stand in the plan above.
                Ok(Consent {
                    warnings: true,
                    ..given
                })
            }
            Some(_) | None => Err(Stop::new(Exit::Refused, "nothing was sent")),
        }
    }

    fn agree_to_bend(&self, act: &Act, out: &mut Out) -> Result<Consent, Stop> {
        let name = &self.plan.release_label;
        out.ask(format!(
            "this goes past a rule: type the release's name {name} and Enter: "
        ));
        let typed = output::read_answer().unwrap_or_default();
        let reason = match &act.reason {
            Some(reason) => reason.clone(),
            None => {
                out.ask("and why: ");
                output::read_answer().unwrap_or_default()
            }
        };
        if typed != name.as_str() || reason.trim().is_empty() {
            return Err(Stop::new(Exit::Refused, "nothing was sent"));
        }
        Ok(Consent {
            warnings: true,
            bend: Some((Clean::name(&typed), Clean::block(&reason))),
        })
    }

    pub(super) fn refused(&self, refusal: &Refusal, act: &Act, out: &mut Out) -> Exit {
        let exit = Exit::from(refusal);
        let by_hand: Vec<&str> = match refusal {
            // It could be written down nowhere, so it is left to the person. A
            // throttle can wait until it can be.
            Refusal::NotWritten(_) if self.plan.class == Class::Brake => {
                self.previews.iter().map(|it| it.command.as_str()).collect()
            }
            _ => Vec::new(),
        };
        if act.json.json {
            let more = json!({
                "plan": self.json(),
                "outcome": if exit == Exit::Ok { "already so" } else { "refused" },
                "note": in_words(refusal),
                "by_hand": by_hand,
            });
            out.json(&document(exit, more));
            return exit;
        }
        out.line(format!("refused: {}", in_words(refusal)));
        for command in by_hand {
            out.line(format!("  by hand: {command}"));
        }
        exit
    }

    /// Waits for the end of what was set in motion, telling each step.
    pub(super) async fn follow(
        &self,
        session: &mut Session,
        id: &PlanId,
        act: &Act,
        out: &mut Out,
    ) -> Result<Exit, Stop> {
        session.handle.look_at(|focus| {
            for step in &self.plan.steps {
                match step.order.subject() {
                    Subject::Rollout(target) => focus.target = Some(target),
                    Subject::Run(run) => focus.run = Some(run),
                    Subject::Approval(approval) => focus.run = Some(approval.run),
                    Subject::Pipeline(_) | Subject::Model(_) => {}
                }
            }
        });
        let mut told: Vec<String> = Vec::new();
        loop {
            let world = session.handle.world();
            if let Some(record) = world.plans.get(id) {
                for (number, step) in record.steps.iter().enumerate() {
                    let progress = match &step.state {
                        StepState::Waiting => continue,
                        StepState::Sending { .. } => "going out",
                        StepState::Answered { .. } if step.nudged_at.is_some() => {
                            "accepted, not seen yet; the controller was made to look again"
                        }
                        StepState::Answered { .. } => "accepted, waiting to see it",
                        StepState::Seen { .. } => "seen",
                        StepState::PassedOver => "did not come about; users come first",
                    };
                    let line = format!("  {}. {progress}", number + 1);
                    if !act.json.json && !told.contains(&line) {
                        out.remark(&line);
                        told.push(line);
                    }
                }
                if let Some((_, outcome, note)) = &record.ended {
                    let exit = Exit::from(*outcome);
                    // Where a line went that could not go into the ledger, for one.
                    for message in world.messages.iter() {
                        if message.about == "gonogo" && message.at >= record.started_at {
                            out.remark(format!("gonogo: {}", message.text));
                        }
                    }
                    if act.json.json {
                        let mut more = report::json::outcome(*outcome, note);
                        if let Value::Object(members) = &mut more {
                            members.insert("plan".to_owned(), self.json());
                            members.insert("id".to_owned(), id.as_str().into());
                        }
                        out.json(&document(exit, more));
                    } else if note.is_empty() {
                        out.line(outcome.word());
                    } else {
                        out.line(format!("{}: {note}", outcome.word()));
                    }
                    return Ok(exit);
                }
            }
            if !session.handle.changed().await {
                return Err(Stop::new(
                    Exit::Unsettled,
                    "gonogo stopped before the effect was seen; the next start settles it by looking",
                ));
            }
        }
    }
}

/// A refusal with the flags that get past it: there are no keys here, and
/// nothing to type a name into.
fn in_words(refusal: &Refusal) -> String {
    match refusal {
        Refusal::Warnings(_) => format!("{refusal}; --accept-warnings accepts them"),
        Refusal::NeedsBend { rule, .. } => format!("{rule}: it takes --override --reason TEXT"),
        Refusal::Decision {
            overridable: true, ..
        } => format!("{refusal}; --override --reason TEXT goes past it"),
        other => other.to_string(),
    }
}

fn random_letter() -> char {
    let seed = RandomState::new().hash_one(std::process::id());
    Letters::seeded(seed).another()
}
