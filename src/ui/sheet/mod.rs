//! The sheet: what will be done, and the one key that does it.
//!
//! A sheet is bound to a plan, which is bound to what the person sees. Nothing
//! leaves it before its frame has been on screen for the dead time and the
//! letter printed on it was pressed. If the target moves meanwhile, the sheet
//! says what moved and asks for another letter. Every key it does not know
//! closes it.

pub mod ask;
pub mod draw;
pub mod follow;
pub mod foot;
mod head;
mod reading;

use std::time::Duration;

use crossterm::event::KeyCode;

use crate::{
    domain::{Timestamp, action::Preview, text::Clean, verdict::Verdict},
    engine::{
        clear::Consent,
        plan::{Plan, Verb},
    },
    ui::{accident::BURST_GAP, field::Field, keymap::Key, letters::Letters, text::between},
};

pub use crate::ui::sheet::ask::{Asks, TYPED_REASON, reasons};

/// How long the frame must have been on screen before a key counts.
pub const DEAD_TIME: Duration = Duration::from_millis(300);
/// This many keys in the dead time were not meant for the sheet.
const EARLY_KEYS: u32 = 2;

/// Rules that only tests switch off, to prove that they are needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// See [`DEAD_TIME`].
    pub dead_time: Duration,
    /// Whether a sheet notices that its target has moved.
    pub follows_target: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            dead_time: DEAD_TIME,
            follows_target: true,
        }
    }
}

/// An open sheet.
#[derive(Clone, Debug)]
pub struct Sheet {
    /// Names it, so that late answers find the right one.
    pub ticket: u64,
    /// What will be sent, exactly.
    pub plan: Plan,
    /// What must be given.
    pub asks: Asks,
    /// Warnings that are agreed to by going on.
    pub warnings: Vec<Clean>,
    /// The same by gate and verdict: a value that wavers is no new warning.
    pub agreed: Vec<(Clean, Verdict)>,
    /// Why it cannot be sent at the moment, if so. No letter is shown then.
    pub off: Option<Clean>,
    /// What moved while it was open.
    pub moved: Vec<Clean>,
    /// Other targets that `t` walks through: what to ask for, and its name.
    pub targets: Vec<(Clean, Clean)>,
    /// The letter.
    pub letter: char,
    /// When the frame that shows this letter was written.
    pub shown_at: Option<Timestamp>,
    /// Keys that came before it could be read.
    pub early: u32,
    /// What it waits for.
    pub stage: Stage,
    /// The chosen reason, from 0; [`TYPED_REASON`] is the typed one.
    pub reason: usize,
    /// The typed reason.
    pub typed_reason: Option<Clean>,
    /// Requests as they would go out, one per step.
    pub previews: Vec<Preview>,
    /// The page that is shown, from 0: the plan in words, in as many pages as the
    /// window needs for it, then the requests in full.
    pub turned: usize,
    /// How many pages the plan in words takes in this window.
    pub parts: usize,
    /// How many pages there are in all.
    pub pages: usize,
    /// Pages of the plan that have been on screen, from the first on without a gap.
    pub read: usize,
}

/// What a sheet waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The letter.
    Letter,
    /// Enter, after the letter was pressed at this instant.
    Enter(Timestamp),
    /// A reason is being typed.
    Reason(Field),
    /// A bend's name and reason are being typed.
    Bend(Bend),
}

/// The two fields of a bend.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bend {
    /// The release's name.
    pub name: Field,
    /// Why.
    pub reason: Field,
    /// Whether the second field is the one being typed into.
    pub at_reason: bool,
}

/// What a key did to a sheet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// It stays.
    Stay,
    /// It closes; a reason worth saying, if there is one.
    Close(Option<&'static str>),
    /// It was agreed to.
    Send(Consent),
    /// Another reason was chosen: propose again with it.
    Reasoned,
    /// Another target was asked for.
    Retarget,
    /// The other form of the same verb was asked for.
    Switch(Verb),
}

impl Sheet {
    /// Whether the dead time is over.
    pub fn awake(&self, now: Timestamp, rules: Rules) -> bool {
        rules.dead_time.is_zero()
            || self
                .shown_at
                .is_some_and(|at| rules.dead_time <= between(at, now))
    }

    /// The instant at which it wakes, while it sleeps.
    pub fn wakes_at(&self, now: Timestamp, rules: Rules) -> Option<Timestamp> {
        let at = self.shown_at? + rules.dead_time;
        (now < at).then_some(at)
    }

    /// Takes note that the frame that shows it has been written.
    pub fn flushed(&mut self, now: Timestamp) {
        self.shown_at.get_or_insert(now);
        self.read = self.read_by_now();
    }

    /// Makes it ask anew: another letter, the dead time again.
    pub fn renew(&mut self, letters: &mut Letters) {
        self.letter = letters.another();
        self.shown_at = None;
        self.early = 0;
        self.stage = match std::mem::replace(&mut self.stage, Stage::Letter) {
            Stage::Bend(bend) if matches!(self.asks, Asks::Bend { .. }) => Stage::Bend(Bend {
                reason: bend.reason,
                ..Bend::default()
            }),
            Stage::Letter | Stage::Enter(_) | Stage::Reason(_) | Stage::Bend(_) => {
                self.first_stage()
            }
        };
    }

    /// Where it begins.
    pub fn first_stage(&self) -> Stage {
        match self.asks {
            Asks::Letter | Asks::LetterThenEnter => Stage::Letter,
            Asks::Bend { .. } => Stage::Bend(Bend::default()),
        }
    }

    /// Takes a key.
    pub fn key(&mut self, key: Key, now: Timestamp, letters: &mut Letters, rules: Rules) -> Reply {
        if let Stage::Reason(field) = &mut self.stage {
            return match key.code {
                KeyCode::Enter => {
                    let typed = field.clean();
                    self.leave_reason(typed, letters)
                }
                KeyCode::Esc => self.leave_reason(Clean::default(), letters),
                _ => {
                    field.key(key);
                    Reply::Stay
                }
            };
        }
        if key.code == KeyCode::Esc {
            return Reply::Close(None);
        }
        if !self.awake(now, rules) {
            self.early += 1;
            return if EARLY_KEYS <= self.early {
                Reply::Close(Some(
                    "keys arrived before you could read; press the key again",
                ))
            } else {
                Reply::Stay
            };
        }
        if key.code == KeyCode::PageDown {
            self.turn();
            return Reply::Stay;
        }
        match &self.stage {
            Stage::Letter | Stage::Reason(_) => self.letter_key(key, now),
            Stage::Enter(pressed_at) => {
                // An Enter that comes with the letter was typed ahead of it.
                if key.code == KeyCode::Enter && between(*pressed_at, now) < BURST_GAP {
                    return Reply::Stay;
                }
                if key.code == KeyCode::Enter && self.off.is_none() && !self.unread() {
                    return Reply::Send(self.consent());
                }
                Reply::Close(None)
            }
            Stage::Bend(_) => self.bend_key(key),
        }
    }

    fn leave_reason(&mut self, typed: Clean, letters: &mut Letters) -> Reply {
        let kept = !typed.is_empty();
        if kept {
            self.typed_reason = Some(typed);
            self.reason = TYPED_REASON;
        }
        self.stage = Stage::Letter;
        self.renew(letters);
        if kept { Reply::Reasoned } else { Reply::Stay }
    }

    fn letter_key(&mut self, key: Key, now: Timestamp) -> Reply {
        let KeyCode::Char(character) = key.code else {
            return Reply::Close(None);
        };
        if key.control {
            return Reply::Close(None);
        }
        match character {
            'd' => {
                self.turn();
                Reply::Stay
            }
            't' => Reply::Retarget,
            '1'..='4' => self.digit(character),
            _ if character == self.letter && self.off.is_none() && !self.unread() => {
                if self.asks == Asks::Letter {
                    return Reply::Send(self.consent());
                }
                self.stage = Stage::Enter(now);
                Reply::Stay
            }
            _ => Reply::Close(None),
        }
    }

    fn digit(&mut self, digit: char) -> Reply {
        let index = match digit {
            '1' => 0,
            '2' => 1,
            '3' => 2,
            _ => TYPED_REASON,
        };
        match (self.plan.ask.verb, index) {
            (Verb::RerunAll, 0) => return Reply::Switch(Verb::RerunFailed),
            (Verb::RerunFailed, 1) => return Reply::Switch(Verb::RerunAll),
            (Verb::RerunFailed | Verb::RerunAll, _) => return Reply::Stay,
            _ => {}
        }
        if index == TYPED_REASON {
            let before = self.typed_reason.as_deref().unwrap_or_default();
            self.stage = Stage::Reason(Field::with(before));
            return Reply::Stay;
        }
        self.reason = index;
        Reply::Reasoned
    }

    fn bend_key(&mut self, key: Key) -> Reply {
        let Stage::Bend(bend) = &mut self.stage else {
            return Reply::Stay;
        };
        match key.code {
            KeyCode::Tab | KeyCode::BackTab | KeyCode::Up | KeyCode::Down => {
                bend.at_reason = !bend.at_reason;
            }
            KeyCode::Enter if !bend.at_reason => bend.at_reason = true,
            KeyCode::Enter => {
                let whole = bend.name.clean() == self.plan.release_label
                    && !bend.reason.clean().is_empty()
                    && self.off.is_none();
                if whole && !self.unread() {
                    return Reply::Send(self.consent());
                }
            }
            _ if bend.at_reason => {
                bend.reason.key(key);
            }
            _ => {
                bend.name.key(key);
            }
        }
        Reply::Stay
    }

    /// Takes a paste: into a reason, cleaned; never into a name, which is to
    /// be typed. Says whether it was taken.
    pub fn paste(&mut self, text: &str) -> bool {
        match &mut self.stage {
            Stage::Reason(field) => field.paste(text),
            Stage::Bend(bend) if bend.at_reason => bend.reason.paste(text),
            Stage::Letter | Stage::Enter(_) | Stage::Bend(_) => return false,
        }
        true
    }

    /// Whether keys go into a text field at the moment.
    pub fn is_typing(&self) -> bool {
        match self.stage {
            Stage::Reason(_) | Stage::Bend(_) => true,
            Stage::Letter | Stage::Enter(_) => false,
        }
    }

    /// The reason as it goes to the ledger.
    pub fn reason_text(&self) -> Option<Clean> {
        if let Stage::Bend(bend) = &self.stage {
            return Some(bend.reason.clean()).filter(|reason| !reason.is_empty());
        }
        if self.reason == TYPED_REASON {
            return self.typed_reason.clone();
        }
        let preset = reasons(self.plan.ask.verb)?;
        preset.get(self.reason).map(|reason| (*reason).into())
    }

    fn consent(&self) -> Consent {
        let bend = match &self.stage {
            Stage::Bend(bend) => Some((bend.name.clean(), bend.reason.clean())),
            Stage::Letter | Stage::Enter(_) | Stage::Reason(_) => None,
        };
        Consent {
            warnings: true,
            bend,
        }
    }
}

#[cfg(test)]
mod tests;
