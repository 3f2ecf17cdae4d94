//! The watcher: what it knows, and what it demands of everything that is sent.

use chrono::TimeDelta;
use crossterm::event::KeyCode;

use crate::{
    domain::{Timestamp, action::Order, text::Clean},
    engine::{
        clear::{Consent, Mode},
        plan::{Class, Plan, Verb},
    },
    ui::{
        fixture::Cockpit,
        sheet::{Asks, DEAD_TIME, Sheet, Stage},
        state::Effect,
    },
};

/// What the last frame that was written showed of a sheet.
#[derive(Clone, Debug, PartialEq)]
struct Shown {
    ticket: u64,
    orders: Vec<Order>,
    letter: char,
    asks: Asks,
    /// The release's name, as a bend asks for it.
    name: Clean,
    since: Timestamp,
}

/// How often something was sent, by what made it right.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sends {
    pub(super) holds: u32,
    pub(super) letters: u32,
    pub(super) bends: u32,
}

/// The watcher.
#[derive(Default)]
pub(super) struct Watcher {
    shown: Option<Shown>,
    letter_at: Option<(u64, char, Timestamp)>,
    /// Characters that came by keys while the shown sheet was awake.
    typed: String,
    hold_at: Option<Timestamp>,
    /// Its silence was over before the next key came.
    hold_due: bool,
    last_key: Option<(KeyCode, Timestamp)>,
    sent: Vec<u64>,
    /// Steps that were on some picture, for the sheet and orders they belong to.
    steps: Option<(u64, Vec<Order>, Vec<bool>)>,
    pub(super) sends: Sends,
}

impl Watcher {
    pub(super) fn frame(&mut self, cockpit: &Cockpit) {
        let now = cockpit.now;
        let sheet = cockpit
            .state
            .sheet()
            .filter(|_| cockpit.state.has_sheet_room());
        let picture = sheet.map_or_else(String::new, |_| cockpit.picture());
        if let Some(sheet) = sheet {
            self.see(sheet, &picture);
        }
        let asking = sheet.filter(|sheet| sheet.off.is_none() && !sheet.unread());
        let Some(sheet) = asking else {
            self.shown = None;
            self.typed.clear();
            return;
        };
        asks_on(sheet, &picture);
        let orders: Vec<Order> = sheet
            .plan
            .steps
            .iter()
            .map(|step| bare(&step.order, &sheet.plan))
            .collect();
        let same = self.shown.as_ref().filter(|shown| {
            shown.ticket == sheet.ticket && shown.letter == sheet.letter && shown.orders == orders
        });
        if same.is_none() {
            self.typed.clear();
        }
        let since = same.map_or(now, |shown| shown.since);
        self.shown = Some(Shown {
            ticket: sheet.ticket,
            orders,
            letter: sheet.letter,
            asks: sheet.asks.clone(),
            name: sheet.plan.release_label.clone(),
            since,
        });
    }

    /// Takes note of the steps a picture shows.
    fn see(&mut self, sheet: &Sheet, picture: &str) {
        let plan = &sheet.plan;
        let orders: Vec<Order> = plan
            .steps
            .iter()
            .map(|step| bare(&step.order, plan))
            .collect();
        let known = self
            .steps
            .take()
            .filter(|(ticket, of, _)| *ticket == sheet.ticket && *of == orders);
        let mut seen = known.map_or_else(|| vec![false; orders.len()], |(.., seen)| seen);
        for (index, step) in plan.steps.iter().enumerate() {
            let word = step.effect.split(' ').next().unwrap_or_default();
            seen[index] |= picture.contains(&format!("│ {} {word}", index + 1));
        }
        self.steps = Some((sheet.ticket, orders, seen));
    }

    pub(super) fn key(&mut self, code: KeyCode, now: Timestamp) {
        if let Some(shown) = &self.shown
            && TimeDelta::from_std(DEAD_TIME).unwrap() <= now - shown.since
            && let KeyCode::Char(character) = code
        {
            self.typed.push(character);
            if character == shown.letter {
                self.letter_at = Some((shown.ticket, shown.letter, now));
            }
        }
        self.hold_due = self.silent(now);
        self.hold_at = (code == KeyCode::Char('H')).then_some(now);
        self.last_key = Some((code, now));
    }

    /// Something came that was no key.
    pub(super) fn pasted(&mut self) {
        self.hold_at = None;
    }

    fn silent(&self, now: Timestamp) -> bool {
        let silence = TimeDelta::milliseconds(200);
        self.hold_at.is_some_and(|at| silence <= now - at)
    }

    pub(super) fn check(&mut self, effects: &[Effect], now: Timestamp) -> Result<(), String> {
        for effect in effects {
            let Effect::Submit {
                ticket,
                plan,
                mode,
                consent,
            } = effect
            else {
                continue;
            };
            if self.sent.contains(ticket) {
                return Err(format!("ticket {ticket} was sent twice"));
            }
            self.sent.push(*ticket);
            if *mode == Mode::ReadOnly {
                return Err("sent while read-only".to_owned());
            }
            self.justified(*ticket, plan, consent, now)?;
        }
        Ok(())
    }

    fn justified(
        &mut self,
        ticket: u64,
        plan: &Plan,
        consent: &Consent,
        now: Timestamp,
    ) -> Result<(), String> {
        let orders: Vec<Order> = plan
            .steps
            .iter()
            .map(|step| bare(&step.order, plan))
            .collect();
        let alone = self.hold_due || self.silent(now);
        if plan.ask.verb == Verb::Hold && alone {
            self.sends.holds += 1;
            return Ok(());
        }
        let Some(shown) = self.shown.as_ref().filter(|shown| shown.ticket == ticket) else {
            return Err(format!(
                "{} was sent and no frame had shown it",
                plan.ask.verb.word()
            ));
        };
        if shown.orders != orders {
            return Err(format!("sent {orders:?}, shown was {:?}", shown.orders));
        }
        let whole = |(of, _, seen): &(u64, Vec<Order>, Vec<bool>)| {
            *of == ticket && seen.iter().all(|seen| *seen)
        };
        if plan.class != Class::Brake && !self.steps.as_ref().is_some_and(whole) {
            return Err("part of the plan was never on screen".to_owned());
        }
        let entered = self.last_key.map(|(code, _)| code) == Some(KeyCode::Enter);
        if let Asks::Bend { .. } = shown.asks {
            if !entered {
                return Err("a bend was sent without Enter".to_owned());
            }
            if !self.typed.contains(shown.name.as_str()) {
                return Err(format!(
                    "`{}` was typed, the name is {}",
                    self.typed, shown.name
                ));
            }
            let whole = consent
                .bend
                .as_ref()
                .is_some_and(|(name, reason)| *name == shown.name && !reason.trim().is_empty());
            if !whole {
                return Err(format!("a bend was sent with {:?}", consent.bend));
            }
            self.sends.bends += 1;
            return Ok(());
        }
        if plan.class == Class::Bend {
            return Err("a bend was sent from a sheet that asked for less".to_owned());
        }
        let pressed = self
            .letter_at
            .filter(|(of, letter, _)| *of == ticket && *letter == shown.letter);
        if pressed.is_none() {
            return Err("the letter shown was not pressed after the dead time".to_owned());
        }
        if shown.asks == Asks::LetterThenEnter && !entered {
            return Err("sent without Enter".to_owned());
        }
        self.sends.letters += 1;
        Ok(())
    }
}

/// What is read must be on the picture, not only in the state: whose release it
/// is, where, and the key that is waited for.
#[track_caller]
fn asks_on(sheet: &Sheet, picture: &str) {
    let window = window(sheet, picture);
    let (service, environment) = &sheet.plan.ask.lane;
    for name in [
        service.as_str(),
        environment.as_str(),
        sheet.plan.release_label.as_str(),
    ] {
        assert!(
            window.contains(name),
            "no `{name}` on the sheet of\n{picture}"
        );
    }
    let key = match sheet.stage {
        Stage::Letter => format!("press  {} ", sheet.letter),
        Stage::Enter(_) => " Enter ".to_owned(),
        Stage::Bend(_) => "type the release's name".to_owned(),
        Stage::Reason(_) => "reason".to_owned(),
    };
    assert!(
        window.contains(&key),
        "no `{key}` on the sheet of\n{picture}"
    );
}

/// The sheet's own part of a picture, without what shows beside it.
fn window(sheet: &Sheet, picture: &str) -> String {
    let corner = format!("┌─ {}", sheet.plan.ask.verb.word().to_uppercase());
    let at = |line: &str| Some(line.split_once(&corner)?.0.chars().count());
    let Some((row, left)) = picture
        .lines()
        .enumerate()
        .find_map(|(row, line)| Some((row, at(line)?)))
    else {
        return String::new();
    };
    let mut window = String::new();
    for line in picture.lines().skip(row) {
        let line: String = line.chars().skip(left).collect();
        let width = line.chars().skip(1).position(|edge| "┐│┘".contains(edge));
        window.extend(line.chars().take(width.unwrap_or(0) + 2).chain(['\n']));
        if line.starts_with('└') {
            break;
        }
    }
    window
}

/// An order without what does not bind it: a brake's step, a comment.
fn bare(order: &Order, plan: &Plan) -> Order {
    let mut order = order.clone();
    match &mut order {
        Order::Rollout(order) if plan.class == Class::Brake => order.seen.step = None,
        Order::Approval(order) => order.comment = Clean::default(),
        _ => {}
    }
    order
}
