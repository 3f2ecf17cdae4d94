//! No size, no world and no screen may make a frame panic, and what matters
//! most is on it at every size that has room.

use std::cell::Cell;

use proptest::{prelude::*, test_runner::TestRunner};
use ratatui::{buffer::Buffer, layout::Rect};

use crate::ui::{
    fixture::{Cockpit, Shot, empty_world, large_world, looks, shots, world},
    paint::Look,
    screen,
    state::Event,
    update::update,
};

/// A cockpit in the state of a shot. The keys are pressed where there is room;
/// the window changes afterwards.
fn staged(shot: &Shot, look: Look) -> Cockpit {
    let mut cockpit = Cockpit::new((shot.world)(), (120, 40))
        .at(shot.lane.0, shot.lane.1)
        .looking(look);
    (shot.before)(&mut cockpit);
    cockpit.keys(shot.keys);
    cockpit
}

fn drawn(shot: &Shot, size: (u16, u16), look: Look) -> Cockpit {
    let mut cockpit = staged(shot, look);
    cockpit.tell(Event::Resize(size.0, size.1));
    cockpit.picture();
    cockpit
}

/// Draws the same state at many sizes. What a resize closes stays open for the
/// next size, so that overlays are drawn at all of them.
fn draw_all(cockpit: &Cockpit, sizes: impl IntoIterator<Item = (u16, u16)>) {
    for size in sizes {
        let mut state = cockpit.state.clone();
        update(
            &mut state,
            Event::Resize(size.0, size.1),
            &cockpit.world,
            cockpit.now,
        );
        let area = Rect::new(0, 0, size.0, size.1);
        let mut buffer = Buffer::empty(area);
        screen::draw(&mut buffer, &state, &cockpit.world, cockpit.now);
    }
}

#[test]
fn every_size_up_to_30_by_10_is_drawn() {
    for shot in shots() {
        for (_, look) in looks() {
            let sizes = (1..=30).flat_map(|width| (1..=10).map(move |height| (width, height)));
            draw_all(&staged(&shot, look), sizes);
        }
    }
}

/// Points, and those before and after them.
fn around(points: &[u16]) -> Vec<u16> {
    points
        .iter()
        .flat_map(|point| [point - 1, *point, point + 1])
        .collect()
}

#[test]
fn every_breakpoint_and_its_neighbours_are_drawn() {
    let widths = around(&[44, 60, 70, 80, 100, 110, 160, 170]);
    let heights = around(&[14, 20, 26, 30]);
    for shot in shots() {
        let sizes = widths
            .iter()
            .flat_map(|width| heights.iter().map(|height| (*width, *height)));
        for (_, look) in looks() {
            draw_all(&staged(&shot, look), sizes.clone());
        }
    }
}

/// Regions have breakpoints of their own, some lines and columns inside the
/// window; each is crossed in one of the three character sets.
#[test]
fn every_breakpoint_of_a_region_is_crossed() {
    for (turn, shot) in shots().iter().enumerate() {
        let cockpit = staged(shot, looks()[turn % 3].1);
        draw_all(&cockpit, (40..=176).map(|width| (width, 30)));
        draw_all(
            &cockpit,
            (10..=40).flat_map(|height| [(80, height), (160, height)]),
        );
    }
}

#[test]
fn two_thousand_random_sizes_are_drawn() {
    // Up to 250×80, of every shot in all three character sets.
    let cockpits: Vec<Cockpit> = shots()
        .iter()
        .flat_map(|shot| looks().map(|(_, look)| staged(shot, look)))
        .collect();
    let mut runner = TestRunner::new(ProptestConfig {
        cases: 2000,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let drawn = Cell::new(0);
    runner
        .run(
            &(0..cockpits.len(), 1_u16..=250, 1_u16..=80),
            |(at, width, height)| {
                draw_all(&cockpits[at], [(width, height)]);
                drawn.set(drawn.get() + 1);
                Ok(())
            },
        )
        .unwrap();
    assert_eq!(drawn.get(), 2000);
}

#[test]
fn a_world_without_facts_says_so_on_every_screen() {
    for key in "123456?".chars() {
        let mut cockpit = Cockpit::new(empty_world(), (80, 24));
        cockpit.keys(&key.to_string());
        let picture = cockpit.picture();
        assert!(picture.lines().nth(5).is_some(), "{picture}");
        assert!(!picture.contains("NaN"), "{picture}");
    }
}

#[test]
fn help_is_always_in_reach() {
    for shot in shots().iter().filter(|shot| !shot.covers) {
        for width in [60, 80, 100, 120, 160, 200] {
            let cockpit = drawn(shot, (width, 24), looks()[0].1);
            let picture = cockpit.picture();
            let last = picture.lines().last().unwrap_or_default();
            assert!(
                last.trim_end().ends_with("? help"),
                "{}: `{last}`",
                shot.name
            );
        }
    }
}

#[test]
fn the_marked_row_is_on_screen_however_long_the_fleet() {
    let world = large_world(10_000);
    let mut cockpit = Cockpit::new(world, (80, 24));
    for _ in 0..40 {
        cockpit.keys("j");
    }
    assert!(
        cockpit.picture().contains("▶✓ service-00040"),
        "{}",
        cockpit.picture()
    );
    cockpit.keys("G");
    assert!(cockpit.picture().contains("▶✓ service-09999"));
}

/// Only visible rows are laid out: a frame of ten thousand must not cost much
/// more than a frame of ten.
#[test]
fn ten_thousand_releases_cost_a_frame_like_ten() {
    let time = |services| {
        let cockpit = Cockpit::new(large_world(services), (120, 40));
        let began = tokio::time::Instant::now();
        for _ in 0..20 {
            cockpit.buffer();
        }
        began.elapsed()
    };
    let (few, many) = (time(40), time(10_000));
    assert!(many < few * 8, "{few:?} against {many:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn any_keys_at_any_size_are_drawn(
        keys in prop::collection::vec(prop::sample::select("jkgGnNsxlfwtdiyco-[],.123456?z:/⏎⎋→⇥".chars().collect::<Vec<_>>()), 0..24),
        width in 20u16..200,
        height in 5u16..60,
    ) {
        let mut cockpit = Cockpit::new(world(), (width, height));
        let keys: String = keys.into_iter().collect();
        cockpit.keys(&keys);
        cockpit.picture();
    }
}
