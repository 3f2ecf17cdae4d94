//! The property that matters most: nothing is sent that a person has not read
//! and agreed to.
//!
//! A watcher beside the cockpit knows only what left it (frames that were
//! written, and what they showed) and what went in (keys and their times). For
//! everything that is sent it must find: a verb, a frame that showed exactly
//! this target with a letter, at least the dead time, that letter, and where it
//! is asked for Enter; or `H` alone and 200 ms of silence. The same watcher must
//! catch two mutants: one without dead time, one that does not look whether the
//! target has moved.

use std::time::Duration;

use chrono::TimeDelta;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use proptest::{prelude::*, test_runner::TestRunner};

use crate::{
    domain::{Timestamp, action::Order, text::Clean},
    engine::{
        clear::{Mode, Refusal},
        plan::{Class, Plan, Verb},
    },
    ui::{
        fixture::{Cockpit, analysed, change_rollout, paused, replace, step_on, world},
        letters::ALPHABET,
        sheet::{Asks, DEAD_TIME, Rules, Sheet, Stage},
        state::{Effect, Event},
    },
};

/// What happens to the cockpit.
#[derive(Clone, Debug)]
enum Happening {
    Key(KeyCode),
    /// A verb after a while, its sheet drawn and awake.
    Deliberate(char),
    /// The letter on the sheet, if one is open; a hand that guesses right.
    Letter,
    /// Any letter of the alphabet.
    Guess(usize),
    Paste(&'static str),
    Repeat(char),
    Resize(u16, u16),
    Focus(bool),
    Wait(u64),
    /// A frame is drawn and written.
    Frame,
    /// The rollout moves on by a step, is made anew, or pauses.
    Step,
    Replace,
    Pause,
    /// Rows change their places: another sort.
    Reorder,
    /// A late answer to a submission.
    Answer,
}

fn happening() -> impl Strategy<Value = Happening> {
    let verbs: Vec<char> = "HBRXCSPAT".chars().collect();
    let looks: Vec<char> = "d4t1235i k".chars().collect();
    prop_oneof![
        4 => prop::sample::select(verbs.clone()).prop_map(Happening::Deliberate),
        6 => prop::sample::select(verbs).prop_map(|verb| Happening::Key(KeyCode::Char(verb))),
        3 => prop::sample::select(looks).prop_map(|key| Happening::Key(KeyCode::Char(key))),
        3 => Just(Happening::Key(KeyCode::Enter)),
        1 => Just(Happening::Key(KeyCode::Esc)),
        8 => Just(Happening::Letter),
        2 => (0usize..13).prop_map(Happening::Guess),
        1 => prop::sample::select(vec!["m", "RELEASE notes\nHBR", "\n", "2026.08.21-3"]).prop_map(Happening::Paste),
        1 => prop::sample::select(vec!['H', 'B', 'm']).prop_map(Happening::Repeat),
        1 => (20u16..140, 8u16..50).prop_map(|(width, height)| Happening::Resize(width, height)),
        1 => any::<bool>().prop_map(Happening::Focus),
        8 => prop::sample::select(vec![1, 20, 50, 90, 150, 250, 310, 400, 700]).prop_map(Happening::Wait),
        8 => Just(Happening::Frame),
        4 => Just(Happening::Step),
        3 => Just(Happening::Replace),
        1 => Just(Happening::Pause),
        1 => Just(Happening::Reorder),
        1 => Just(Happening::Answer),
    ]
}

/// What the last frame that was written showed of a sheet.
#[derive(Clone, Debug, PartialEq)]
struct Shown {
    ticket: u64,
    orders: Vec<Order>,
    letter: char,
    enter: bool,
    since: Timestamp,
}

/// The watcher.
#[derive(Default)]
struct Watcher {
    shown: Option<Shown>,
    letter_at: Option<(u64, char, Timestamp)>,
    hold_at: Option<Timestamp>,
    /// Its silence was over before the next key came.
    hold_due: bool,
    last_key: Option<(KeyCode, Timestamp)>,
    sent: Vec<u64>,
    /// Steps that were on some picture, for the sheet and orders they belong to.
    steps: Option<(u64, Vec<Order>, Vec<bool>)>,
}

impl Watcher {
    fn frame(&mut self, cockpit: &Cockpit) {
        let now = cockpit.now;
        let sheet = cockpit
            .state
            .sheet()
            .filter(|_| cockpit.state.has_sheet_room());
        if let Some(sheet) = sheet {
            self.see(sheet, &cockpit.picture());
        }
        let asking = sheet.filter(|sheet| sheet.off.is_none() && !sheet.unread());
        let Some(sheet) = asking else {
            self.shown = None;
            return;
        };
        // What is read must be on the picture, not only in the state.
        let picture = cockpit.picture();
        let asks_letter = matches!(sheet.stage, Stage::Letter);
        if asks_letter {
            assert!(
                picture.contains(&format!("press  {} ", sheet.letter)),
                "{picture}"
            );
        }
        let orders: Vec<Order> = sheet
            .plan
            .steps
            .iter()
            .map(|step| bare(&step.order, &sheet.plan))
            .collect();
        let same = self.shown.as_ref().filter(|shown| {
            shown.ticket == sheet.ticket && shown.letter == sheet.letter && shown.orders == orders
        });
        let since = same.map_or(now, |shown| shown.since);
        let enter = sheet.asks == Asks::LetterThenEnter;
        self.shown = Some(Shown {
            ticket: sheet.ticket,
            orders,
            letter: sheet.letter,
            enter,
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

    fn key(&mut self, code: KeyCode, now: Timestamp) {
        if let Some(shown) = &self.shown
            && code == KeyCode::Char(shown.letter)
            && TimeDelta::from_std(DEAD_TIME).unwrap() <= now - shown.since
        {
            self.letter_at = Some((shown.ticket, shown.letter, now));
        }
        self.hold_due = self.silent(now);
        self.hold_at = (code == KeyCode::Char('H')).then_some(now);
        self.last_key = Some((code, now));
    }

    fn silent(&self, now: Timestamp) -> bool {
        let silence = TimeDelta::milliseconds(200);
        self.hold_at.is_some_and(|at| silence <= now - at)
    }

    fn check(&mut self, effects: &[Effect], now: Timestamp) -> Result<(), String> {
        for effect in effects {
            let Effect::Submit {
                ticket, plan, mode, ..
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
            self.justified(*ticket, plan, now)?;
        }
        Ok(())
    }

    fn justified(&self, ticket: u64, plan: &Plan, now: Timestamp) -> Result<(), String> {
        let orders: Vec<Order> = plan
            .steps
            .iter()
            .map(|step| bare(&step.order, plan))
            .collect();
        let alone = self.hold_due || self.silent(now);
        if plan.ask.verb == Verb::Hold && alone {
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
        let pressed = self
            .letter_at
            .filter(|(of, letter, _)| *of == ticket && *letter == shown.letter);
        if pressed.is_none() {
            return Err("the letter shown was not pressed after the dead time".to_owned());
        }
        if shown.enter && self.last_key.map(|(code, _)| code) != Some(KeyCode::Enter) {
            return Err("sent without Enter".to_owned());
        }
        Ok(())
    }
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

fn run(happenings: &[Happening], rules: Rules) -> Result<(), String> {
    let mut cockpit = Cockpit::new(world(), (120, 40)).at("recsys-ranker", "prod-eu");
    cockpit
        .state
        .modes
        .choose(Mode::ReadWrite, cockpit.now)
        .unwrap();
    change_rollout(&mut cockpit.world, "recsys-ranker", |rollout| {
        analysed(rollout);
        paused(rollout);
    });
    cockpit.state.rules = rules;
    let mut watcher = Watcher::default();
    for happening in happenings {
        let effects = happen(&mut cockpit, &mut watcher, happening);
        watcher.check(&effects, cockpit.now)?;
    }
    Ok(())
}

fn happen(cockpit: &mut Cockpit, watcher: &mut Watcher, happening: &Happening) -> Vec<Effect> {
    if let Happening::Deliberate(verb) = happening {
        let mut effects = happen(cockpit, watcher, &Happening::Wait(700));
        for part in [
            Happening::Key(KeyCode::Char(*verb)),
            Happening::Frame,
            Happening::Wait(400),
        ] {
            watcher.check(&effects, cockpit.now).unwrap();
            effects = happen(cockpit, watcher, &part);
        }
        return effects;
    }
    let pressed = match happening {
        Happening::Key(code) => Some(*code),
        Happening::Letter => cockpit
            .state
            .sheet()
            .map(|sheet| KeyCode::Char(sheet.letter)),
        Happening::Guess(index) => Some(KeyCode::Char(ALPHABET[*index])),
        _ => None,
    };
    if let Some(code) = pressed {
        watcher.key(code, cockpit.now);
        return cockpit.code(code);
    }
    match happening {
        Happening::Key(_) | Happening::Deliberate(_) | Happening::Letter | Happening::Guess(_) => {
            Vec::new()
        }
        Happening::Paste(text) => {
            watcher.hold_at = None;
            cockpit.tell(Event::Paste((*text).to_owned()))
        }
        Happening::Repeat(character) => {
            let mut event = KeyEvent::new(KeyCode::Char(*character), KeyModifiers::NONE);
            event.kind = crossterm::event::KeyEventKind::Repeat;
            cockpit.tell(Event::Key(event))
        }
        Happening::Resize(width, height) => cockpit.tell(Event::Resize(*width, *height)),
        Happening::Focus(gained) => cockpit.tell(Event::Focus(*gained)),
        Happening::Wait(millis) => {
            cockpit.now += Duration::from_millis(*millis);
            cockpit.tell(Event::Tick)
        }
        Happening::Frame => {
            watcher.frame(cockpit);
            cockpit.flush()
        }
        Happening::Step => moved(cockpit, step_on),
        Happening::Replace => moved(cockpit, replace),
        Happening::Pause => moved(cockpit, paused),
        Happening::Reorder => {
            cockpit.state.fleet.sort = cockpit.state.fleet.sort.next();
            Vec::new()
        }
        Happening::Answer => {
            let ticket = cockpit
                .state
                .submissions
                .first()
                .map_or(0, |submission| submission.ticket);
            let moved = Refusal::Moved("moved".into());
            cockpit.tell(Event::Submitted(ticket, Err(moved)))
        }
    }
}

/// The world changes; whether its event comes before the next key is left open,
/// as it is in the loop.
fn moved(
    cockpit: &mut Cockpit,
    change: impl FnOnce(&mut crate::domain::rollout::Rollout),
) -> Vec<Effect> {
    change_rollout(&mut cockpit.world, "recsys-ranker", change);
    Vec::new()
}

fn holds(rules: Rules, cases: u32) -> Result<(), String> {
    let mut runner = TestRunner::new(ProptestConfig {
        cases,
        failure_persistence: None,
        rng_seed: proptest::test_runner::RngSeed::Fixed(20_260_821),
        ..ProptestConfig::default()
    });
    let sessions = prop::collection::vec(happening(), 1..120);
    runner
        .run(&sessions, |happenings| {
            run(&happenings, rules).map_err(TestCaseError::fail)
        })
        .map_err(|error| error.to_string())
}

#[test]
fn nothing_is_sent_that_was_not_read_and_agreed_to() {
    holds(Rules::default(), 64).unwrap();
}

#[test]
fn the_watcher_catches_a_sheet_without_dead_time() {
    let mutant = Rules {
        dead_time: Duration::ZERO,
        ..Rules::default()
    };
    assert!(holds(mutant, 64).is_err());
}

#[test]
fn the_watcher_catches_a_sheet_that_does_not_follow_its_target() {
    let mutant = Rules {
        follows_target: false,
        ..Rules::default()
    };
    let caught = holds(mutant, 256).unwrap_err();
    assert!(caught.contains("shown was"), "{caught}");
}
