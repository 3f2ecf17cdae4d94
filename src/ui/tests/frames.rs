//! No size, no world and no screen may make a frame panic, and what matters
//! most is on it at every size that has room.

use proptest::prelude::*;

use crate::ui::{
    fixture::{Cockpit, Shot, empty_world, large_world, looks, shots, world},
    paint::Look,
};

fn drawn(shot: &Shot, size: (u16, u16), look: Look) -> Cockpit {
    // The keys are pressed where there is room; then the window changes.
    let mut cockpit = Cockpit::new((shot.world)(), (120, 40))
        .at(shot.lane.0, shot.lane.1)
        .looking(look);
    (shot.before)(&mut cockpit);
    cockpit.keys(shot.keys);
    cockpit.tell(crate::ui::state::Event::Resize(size.0, size.1));
    cockpit.picture();
    cockpit
}

#[test]
fn every_size_up_to_30_by_10_is_drawn() {
    let shots = shots();
    for width in 1..=30 {
        for height in 1..=10 {
            // A few of the shots at each size, all of them over all sizes.
            let turn = usize::from(width + height);
            for shot in shots.iter().skip(turn % 3).step_by(3) {
                drawn(shot, (width, height), looks()[turn % 2 * 2].1);
            }
        }
    }
}

#[test]
fn every_breakpoint_and_its_neighbours_are_drawn() {
    let around = |points: &[u16]| -> Vec<u16> {
        points
            .iter()
            .flat_map(|point| [point - 1, *point, point + 1])
            .collect()
    };
    let shots = shots();
    for (turn, width) in around(&[44, 60, 70, 80, 100, 110, 160, 170])
        .into_iter()
        .enumerate()
    {
        for height in around(&[14, 20, 26, 30]) {
            for shot in shots.iter().skip(turn % 3).step_by(3) {
                drawn(shot, (width, height), looks()[0].1);
            }
        }
    }
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
    fn any_size_is_drawn(width in 1u16..260, height in 1u16..90, shot in 0usize..64, look in 0usize..3) {
        let shots = shots();
        let shot = &shots[shot % shots.len()];
        drawn(shot, (width, height), looks()[look].1);
    }

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
