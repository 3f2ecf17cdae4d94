//! What may happen to the cockpit, one thing after the other.

use crossterm::event::KeyCode;
use proptest::prelude::*;

use crate::ui::{fixture::Cockpit, sheet::Asks};

/// What happens to the cockpit.
#[derive(Clone, Debug)]
pub(super) enum Happening {
    Key(KeyCode),
    /// A verb after a while, its sheet drawn and awake.
    Deliberate(char),
    /// The same, and then all that its sheet asks for, while something else
    /// happens before its last keys.
    Agreed(char, Box<Happening>),
    /// All that an open sheet asks for, likewise.
    Agree(Box<Happening>),
    /// The letter on the sheet, if one is open; a hand that guesses right.
    Letter,
    /// Any letter of the alphabet.
    Guess(usize),
    /// The name and a reason typed into a sheet that asks for them, and Enter:
    /// the right name or another one, with a reason or without.
    Typed {
        right: bool,
        reason: &'static str,
    },
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
    /// It is deleted; or it is there again, made anew.
    Delete,
    Create,
    /// What changed is told, as the loop does before the next frame.
    Told,
    /// Rows change their places: another sort, or news of another service.
    Reorder,
    Elsewhere,
    /// A late answer to a submission: it began, or it was refused.
    Answer(bool),
}

/// What may come between reading and agreeing.
fn meanwhile() -> impl Strategy<Value = Happening> {
    prop_oneof![
        4 => Just(Happening::Wait(20)),
        2 => Just(Happening::Step),
        2 => Just(Happening::Replace),
        1 => Just(Happening::Delete),
        1 => Just(Happening::Elsewhere),
        1 => Just(Happening::Frame),
        1 => (44u16..140, 14u16..50).prop_map(|(width, height)| Happening::Resize(width, height)),
        1 => any::<bool>().prop_map(Happening::Focus),
        1 => any::<bool>().prop_map(Happening::Answer),
    ]
}

pub(super) fn happening() -> impl Strategy<Value = Happening> {
    let verbs: Vec<char> = "HBRXCSPAT".chars().collect();
    let looks: Vec<char> = "d4t1235i k".chars().collect();
    prop_oneof![
        4 => prop::sample::select(verbs.clone()).prop_map(Happening::Deliberate),
        3 => (prop::sample::select(verbs.clone()), meanwhile())
            .prop_map(|(verb, meanwhile)| Happening::Agreed(verb, Box::new(meanwhile))),
        6 => prop::sample::select(verbs).prop_map(|verb| Happening::Key(KeyCode::Char(verb))),
        3 => prop::sample::select(looks).prop_map(|key| Happening::Key(KeyCode::Char(key))),
        3 => Just(Happening::Key(KeyCode::Enter)),
        1 => Just(Happening::Key(KeyCode::Esc)),
        1 => Just(Happening::Key(KeyCode::Tab)),
        8 => Just(Happening::Letter),
        2 => (0usize..13).prop_map(Happening::Guess),
        4 => (prop::bool::weighted(0.7), prop::sample::select(vec!["", " ", "a fix"]))
            .prop_map(|(right, reason)| Happening::Typed { right, reason }),
        1 => prop::sample::select(vec!["m", "RELEASE notes\nHBR", "\n", "2026.08.21-3"]).prop_map(Happening::Paste),
        1 => prop::sample::select(vec!['H', 'B', 'm']).prop_map(Happening::Repeat),
        1 => (20u16..140, 8u16..50).prop_map(|(width, height)| Happening::Resize(width, height)),
        1 => any::<bool>().prop_map(Happening::Focus),
        8 => prop::sample::select(vec![1, 20, 50, 90, 150, 250, 310, 400, 700]).prop_map(Happening::Wait),
        8 => Just(Happening::Frame),
        4 => Just(Happening::Step),
        3 => Just(Happening::Replace),
        1 => Just(Happening::Pause),
        1 => Just(Happening::Delete),
        2 => Just(Happening::Create),
        4 => Just(Happening::Told),
        1 => Just(Happening::Reorder),
        1 => Just(Happening::Elsewhere),
        2 => any::<bool>().prop_map(Happening::Answer),
    ]
}

/// What a happening consists of, if of several.
pub(super) fn parts(cockpit: &Cockpit, happening: &Happening) -> Option<Vec<Happening>> {
    let parts = match happening {
        Happening::Deliberate(verb) => vec![
            Happening::Wait(700),
            Happening::Key(KeyCode::Char(*verb)),
            Happening::Frame,
            Happening::Wait(400),
        ],
        Happening::Agreed(verb, meanwhile) => vec![
            Happening::Deliberate(*verb),
            Happening::Agree(meanwhile.clone()),
        ],
        Happening::Agree(meanwhile) => {
            let sheet = cockpit.state.sheet();
            let mut all = to_the_end();
            match sheet.map(|sheet| (&sheet.asks, &sheet.plan.release_label)) {
                Some((Asks::Bend { .. }, label)) => all.extend(filled_in(label, "a fix")),
                Some((Asks::Letter | Asks::LetterThenEnter, _)) => {
                    all.extend([
                        meanwhile.as_ref().clone(),
                        Happening::Letter,
                        Happening::Wait(90),
                    ]);
                }
                None => return Some(Vec::new()),
            }
            all.extend([meanwhile.as_ref().clone(), Happening::Key(KeyCode::Enter)]);
            all
        }
        Happening::Typed { right, reason } => {
            let label = cockpit.state.sheet().map(|sheet| &sheet.plan.release_label);
            let name = label
                .filter(|_| *right)
                .map_or("v4", |label| label.as_str());
            let mut all = to_the_end();
            all.extend(filled_in(name, reason));
            all.push(Happening::Key(KeyCode::Enter));
            all
        }
        _ => return None,
    };
    Some(parts)
}

/// A plan of several pages is read to its end first.
fn to_the_end() -> Vec<Happening> {
    let page = [
        Happening::Frame,
        Happening::Wait(400),
        Happening::Key(KeyCode::PageDown),
    ];
    let mut all: Vec<Happening> = page.iter().cycle().take(9).cloned().collect();
    all.extend([Happening::Frame, Happening::Wait(400)]);
    all
}

/// Both fields of a bend, at a hand's pace.
fn filled_in(name: &str, reason: &str) -> Vec<Happening> {
    let typed = |text: &str| -> Vec<Happening> {
        text.chars()
            .flat_map(|key| [Happening::Key(KeyCode::Char(key)), Happening::Wait(90)])
            .collect()
    };
    let mut all = typed(name);
    all.push(Happening::Key(KeyCode::Tab));
    all.extend(typed(reason));
    all
}
