//! Every screen at three sizes, in Unicode and in ASCII. Without colour the
//! text must be the same, so only the absence of colour is checked there.

use insta::{assert_snapshot, with_settings};
use ratatui::style::Color;

use crate::ui::{
    fixture::{Cockpit, Shot, looks, shots, world},
    paint::Look,
    theme::{Depth, Role, Theme},
};

const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (200, 60)];

fn cockpit(shot: &Shot, size: (u16, u16), look: Look) -> Cockpit {
    let mut cockpit = Cockpit::new((shot.world)(), size)
        .at(shot.lane.0, shot.lane.1)
        .looking(look);
    (shot.before)(&mut cockpit);
    cockpit.keys(shot.keys);
    // Whatever was pressed, the picture is of the same instant.
    cockpit.state.toast = None;
    cockpit.now = crate::ui::fixture::now();
    cockpit
}

#[test]
fn screens_look_as_they_did() {
    for shot in shots() {
        for size in SIZES {
            for (name, look) in looks().into_iter().filter(|(name, _)| *name != "mono") {
                let picture = cockpit(&shot, size, look).picture();
                let file = format!("{}-{}x{}-{name}", shot.name, size.0, size.1);
                with_settings!({prepend_module_to_snapshot => false, omit_expression => true}, {
                    assert_snapshot!(file, picture);
                });
            }
        }
    }
}

#[test]
fn without_colour_every_screen_says_the_same() {
    let [(_, colour), (_, mono), _] = looks();
    for shot in shots() {
        for size in SIZES {
            let plain = cockpit(&shot, size, mono);
            assert_eq!(plain.picture(), cockpit(&shot, size, colour).picture());
            for cell in plain.buffer().content() {
                assert_eq!(
                    (cell.fg, cell.bg),
                    (Color::Reset, Color::Reset),
                    "{}",
                    shot.name
                );
            }
        }
    }
}

#[test]
fn in_ascii_every_cell_is_ascii() {
    let [_, _, (_, ascii)] = looks();
    for shot in shots() {
        for size in SIZES {
            let picture = cockpit(&shot, size, ascii).picture();
            assert!(picture.is_ascii(), "{}: {picture}", shot.name);
        }
    }
}

/// The colour of the first cell of `text` on screen.
fn colour_of(cockpit: &Cockpit, text: &str) -> Color {
    let buffer = cockpit.buffer();
    let (width, height) = cockpit.state.size;
    for y in 0..height {
        let row: Vec<&str> = (0..width).map(|x| buffer[(x, y)].symbol()).collect();
        for x in 0..row.len() {
            if row[x..].concat().starts_with(text) {
                return buffer[(u16::try_from(x).unwrap(), y)].fg;
            }
        }
    }
    panic!("`{text}` is not on screen:\n{}", cockpit.picture());
}

#[test]
fn verdicts_have_the_colours_of_their_parts() {
    let of = |role| Theme::Dark.style(role, Depth::Many).fg.unwrap();
    let mut gates = Cockpit::new(world(), (120, 40)).at("recsys-ranker", "prod-eu");
    gates.keys("4");
    assert_eq!(colour_of(&gates, "▲ warn "), of(Role::Warn));
    assert_eq!(colour_of(&gates, "✓ pass "), of(Role::Good));
    let mut refuted = Cockpit::new(world(), (120, 40)).at("med-imaging", "prod-eu");
    refuted.keys("4");
    assert_eq!(colour_of(&refuted, "✗ NO-GO"), of(Role::Bad));
    assert_eq!(colour_of(&refuted, "✗ fail "), of(Role::Bad));
    let fleet = Cockpit::new(world(), (120, 40)).at("fraud-score", "prod-us");
    assert_eq!(colour_of(&fleet, "BRAKE"), of(Role::Warn));
    assert_eq!(colour_of(&fleet, "◆ fraud-score"), of(Role::Person));
}
