//! The property that matters most: nothing is sent that a person has not read
//! and agreed to.
//!
//! A watcher beside the cockpit knows only what left it (frames that were
//! written, and what they showed) and what went in (keys and their times). For
//! everything that is sent it must find: a verb, a frame that showed exactly
//! this target with a letter, at least the dead time, that letter, and where it
//! is asked for Enter; or, past a rule, the release's name typed key by key, a
//! reason and Enter; or `H` alone and 200 ms of silence. The same watcher must
//! catch two mutants: one without dead time, one that does not look whether the
//! target has moved.

mod happening;
mod watcher;

use std::{cell::Cell, time::Duration};

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use proptest::{
    prelude::*,
    test_runner::{RngSeed, TestRunner},
};

use crate::{
    domain::{id::PlanId, rollout::Rollout},
    engine::clear::{Mode, Refusal},
    ui::{
        fixture::{
            Cockpit, analysed, change_rollout, create_rollout, delete_rollout, paused, replace,
            rollout_of, step_on, world,
        },
        letters::ALPHABET,
        sheet::Rules,
        state::{Effect, Event},
        tests::safety::{
            happening::{Happening, happening, parts},
            watcher::{Sends, Watcher},
        },
    },
};

const SERVICE: &str = "recsys-ranker";

fn run(happenings: &[Happening], rules: Rules) -> Result<Sends, String> {
    let mut cockpit = Cockpit::new(world(), (120, 40)).at(SERVICE, "prod-eu");
    cockpit
        .state
        .modes
        .choose(Mode::ReadWrite, cockpit.now)
        .unwrap();
    change_rollout(&mut cockpit.world, SERVICE, |rollout| {
        analysed(rollout);
        paused(rollout);
    });
    cockpit.state.rules = rules;
    let mut watcher = Watcher::default();
    for happening in happenings {
        play(&mut cockpit, &mut watcher, happening)?;
    }
    Ok(watcher.sends)
}

/// Lets something happen, key by key, and looks at all that is sent.
fn play(cockpit: &mut Cockpit, watcher: &mut Watcher, happening: &Happening) -> Result<(), String> {
    if let Some(parts) = parts(cockpit, happening) {
        return parts
            .iter()
            .try_for_each(|part| play(cockpit, watcher, part));
    }
    let effects = happen(cockpit, watcher, happening);
    watcher.check(&effects, cockpit.now)
}

fn happen(cockpit: &mut Cockpit, watcher: &mut Watcher, happening: &Happening) -> Vec<Effect> {
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
        Happening::Key(_)
        | Happening::Deliberate(_)
        | Happening::Agreed(..)
        | Happening::Agree(_)
        | Happening::Typed { .. }
        | Happening::Letter
        | Happening::Guess(_) => Vec::new(),
        Happening::Paste(text) => {
            watcher.pasted();
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
        Happening::Delete => {
            delete_rollout(&mut cockpit.world, SERVICE);
            Vec::new()
        }
        Happening::Create => {
            if rollout_of(&cockpit.world, SERVICE).is_none() {
                let mut anew = rollout_of(&world(), SERVICE).unwrap();
                analysed(&mut anew);
                paused(&mut anew);
                replace(&mut anew);
                create_rollout(&mut cockpit.world, anew);
            }
            Vec::new()
        }
        Happening::Told => cockpit.tell(Event::World),
        Happening::Reorder => {
            cockpit.state.fleet.sort = cockpit.state.fleet.sort.next();
            Vec::new()
        }
        Happening::Elsewhere => {
            change_rollout(&mut cockpit.world, "med-imaging", |rollout| {
                rollout.held = !rollout.held;
            });
            cockpit.tell(Event::World)
        }
        Happening::Answer(began) => {
            let ticket = cockpit
                .state
                .submissions
                .first()
                .map_or(0, |submission| submission.ticket);
            let answer = if *began {
                Ok(PlanId::new("plan"))
            } else {
                Err(Refusal::Moved("moved".into()))
            };
            cockpit.tell(Event::Submitted(ticket, answer))
        }
    }
}

/// The world changes, if the rollout is there; whether that is told before the
/// next key is left open, as it is in the loop.
fn moved(cockpit: &mut Cockpit, change: impl FnOnce(&mut Rollout)) -> Vec<Effect> {
    if rollout_of(&cockpit.world, SERVICE).is_some() {
        change_rollout(&mut cockpit.world, SERVICE, change);
    }
    Vec::new()
}

fn holds(rules: Rules, cases: u32, seed: RngSeed) -> Result<Sends, String> {
    let mut runner = TestRunner::new(ProptestConfig {
        cases,
        failure_persistence: None,
        rng_seed: seed,
        ..ProptestConfig::default()
    });
    let sessions = prop::collection::vec(happening(), 1..120);
    let all = Cell::new(Sends::default());
    runner
        .run(&sessions, |happenings| {
            let sends = run(&happenings, rules).map_err(TestCaseError::fail)?;
            let so_far = all.get();
            all.set(Sends {
                holds: so_far.holds + sends.holds,
                letters: so_far.letters + sends.letters,
                bends: so_far.bends + sends.bends,
            });
            Ok(())
        })
        .map_err(|error| error.to_string())?;
    Ok(all.get())
}

/// A mutant has to be caught every time, not most of the time.
const SEED: RngSeed = RngSeed::Fixed(20_260_821);

#[test]
fn nothing_is_sent_that_was_not_read_and_agreed_to() {
    let sends = holds(Rules::default(), 256, RngSeed::Random).unwrap();
    // Each of the three ways to send was gone, or nothing was proven about it.
    assert!(
        0 < sends.holds && 0 < sends.letters && 0 < sends.bends,
        "{sends:?}"
    );
}

#[test]
fn the_watcher_catches_a_sheet_without_dead_time() {
    let mutant = Rules {
        dead_time: Duration::ZERO,
        ..Rules::default()
    };
    assert!(holds(mutant, 256, SEED).is_err());
}

#[test]
fn the_watcher_catches_a_sheet_that_does_not_follow_its_target() {
    let mutant = Rules {
        follows_target: false,
        ..Rules::default()
    };
    let caught = holds(mutant, 256, SEED).unwrap_err();
    assert!(caught.contains("shown was"), "{caught}");
}
