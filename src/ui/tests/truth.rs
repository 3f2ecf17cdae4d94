//! What the screens say is so, at every size: keys that act, whose rollout it
//! is, what has been read, what is not known.

use crate::{
    domain::{
        action::{ActionKind, Subject},
        id::ApprovalId,
        permit::Permit,
        rollout::Rollout,
    },
    ui::{
        fixture::{Cockpit, change_rollout, empty_world, world},
        screen::{Scene, page_lines},
        state::{Effect, Event, Page},
    },
};

fn at(service: &str, environment: &str, size: (u16, u16)) -> Cockpit {
    Cockpit::new(world(), size).at(service, environment)
}

fn row(picture: &str, with: &str) -> String {
    let row = picture.lines().find(|line| line.contains(with));
    row.unwrap_or_else(|| panic!("no `{with}` in\n{picture}"))
        .to_owned()
}

fn submits(effects: &[Effect]) -> bool {
    effects
        .iter()
        .any(|effect| matches!(effect, Effect::Submit { .. }))
}

#[test]
fn queue_keys_that_would_be_refused_stand_in_brackets() {
    let mut cockpit = at("recsys-ranker", "prod-eu", (80, 24));
    let picture = cockpit.picture();
    assert!(row(&picture, "CANARY ").contains("(C) B"), "{picture}");
    assert!(row(&picture, "APPROVE").contains("(A) X"), "{picture}");
    cockpit.keys(":rw⏎");
    let picture = cockpit.picture();
    assert!(row(&picture, "APPROVE").contains(" A  X"), "{picture}");
}

#[test]
fn an_empty_queue_says_nothing_before_a_backend_has_answered() {
    let picture = Cockpit::new(empty_world(), (80, 24)).picture();
    assert!(picture.contains("no backend has answered"), "{picture}");
    assert!(!picture.contains("✓ nothing"), "{picture}");
}

#[test]
fn the_queue_names_the_environment_also_in_a_small_window() {
    let picture = at("recsys-ranker", "prod-eu", (80, 24)).picture();
    assert!(row(&picture, "CANARY ").contains("prod-eu"), "{picture}");
}

#[test]
fn the_rollout_of_a_release_still_on_its_way_is_said_to_be_anothers() {
    let mut cockpit = at("fraud-score", "prod-us", (120, 40));
    let preview = cockpit.picture();
    assert!(!preview.contains("── live ─┐"), "{preview}");
    cockpit.keys("5");
    let picture = cockpit.picture();
    assert!(picture.contains("now live"), "{picture}");
    assert!(
        picture.contains("v18 is not deployed here yet"),
        "{picture}"
    );
    assert!(!picture.contains("── canary"), "{picture}");
    cockpit.keys("2");
    assert!(cockpit.picture().contains("┌─ there now"));
}

#[test]
fn a_legend_names_no_canary_where_there_is_none() {
    let mut cockpit = at("recsys-ranker", "prod-eu", (120, 40));
    cockpit.keys("5");
    assert!(cockpit.picture().contains("── canary 2026.08.21-3"));
    change_rollout(
        &mut cockpit.world,
        "recsys-ranker",
        |rollout: &mut Rollout| {
            rollout.stable_hash.clone_from(&rollout.current_hash);
        },
    );
    let picture = cockpit.picture();
    assert!(picture.contains("·· live 2026.08.21-3"), "{picture}");
    assert!(!picture.contains("canary 2026.08.21-3"), "{picture}");
}

/// The backend says of every approval that we may not answer it.
fn deny(cockpit: &mut Cockpit) {
    let ids: Vec<ApprovalId> = cockpit.world.approvals.keys().cloned().collect();
    for id in ids {
        for kind in [ActionKind::Approve, ActionKind::Reject] {
            let subject = Subject::Approval(id.clone());
            let permit = Permit {
                subject: subject.clone(),
                kind,
                allowed: false,
                why: "not among the reviewers".into(),
                seen_at: cockpit.now,
                until: cockpit.now + chrono::TimeDelta::hours(1),
            };
            cockpit.world.permits.insert((subject, kind), permit);
        }
    }
}

#[test]
fn in_brake_a_reason_that_stays_is_told_before_the_mode() {
    let mut cockpit = at("recsys-ranker", "prod-eu", (120, 40));
    assert!(cockpit.picture().contains("HOLD (waiting): analysis"));
    assert!(cockpit.picture().contains("B R stay on;"));
    cockpit = at("ads-ctr", "prod-us", (120, 40));
    let picture = cockpit.picture();
    assert!(
        picture.contains("off in BRAKE: `:rw` opens them"),
        "{picture}"
    );
}

#[test]
fn an_approval_of_others_names_them() {
    for mode in ["", ":rw⏎"] {
        let mut cockpit = at("med-imaging", "prod-eu", (80, 24));
        deny(&mut cockpit);
        cockpit.keys(mode);
        cockpit.keys("A");
        let picture = cockpit.picture();
        assert!(
            picture.contains("A approve: not yours: ana or li may answer"),
            "{picture}"
        );
    }
}

#[test]
fn a_promotion_cannot_be_agreed_to_before_its_plan_was_on_screen() {
    let mut cockpit = at("ads-ctr", "prod-us", (60, 14));
    cockpit.keys(":rw⏎P");
    let picture = cockpit.picture();
    assert!(picture.contains("1 traffic goes from 60 %"), "{picture}");
    assert!(!picture.contains("press "), "{picture}");
    let letter = cockpit.letter();
    let mut turns = 0;
    while !cockpit.picture().contains("press ") {
        assert!(!submits(&cockpit.keys("d")));
        turns += 1;
        assert!(turns < 9, "{}", cockpit.picture());
    }
    assert!(turns > 0);
    assert_eq!(cockpit.letter(), letter);
    cockpit.keys(&letter.to_string());
    assert!(submits(&cockpit.keys("⏎")));
}

#[test]
fn a_letter_that_was_guessed_sends_no_plan_that_was_not_read() {
    let mut cockpit = at("ads-ctr", "prod-us", (60, 14));
    cockpit.keys(":rw⏎P");
    let letter = cockpit.letter();
    assert!(!submits(&cockpit.keys(&format!("{letter}⏎"))));
    assert!(cockpit.state.sheet().is_none());
}

#[test]
fn a_window_made_smaller_is_read_again_before_enter_counts() {
    let mut cockpit = at("ads-ctr", "prod-us", (120, 40));
    cockpit.keys(":rw⏎P");
    let letter = cockpit.letter();
    cockpit.keys(&letter.to_string());
    cockpit.tell(Event::Resize(60, 14));
    assert!(!submits(&cockpit.keys("⏎")));
}

#[test]
fn a_brake_goes_out_from_a_small_window_at_once() {
    let mut cockpit = at("recsys-ranker", "prod-eu", (60, 14));
    cockpit.keys("B");
    let letter = cockpit.letter();
    assert!(submits(&cockpit.keys(&letter.to_string())));
}

#[test]
fn what_is_shown_raw_is_json() {
    for screen in "12345".chars() {
        let mut cockpit = at("recsys-ranker", "prod-eu", (120, 40));
        cockpit.keys(&screen.to_string());
        let scene = Scene::new(&cockpit.state, &cockpit.world, cockpit.now);
        let text: String = page_lines(&scene, Page::Raw)
            .iter()
            .map(|line| line.flat() + "\n")
            .collect();
        let value: serde_json::Value = serde_json::from_str(&text).expect(&text);
        assert!(value.is_object(), "{text}");
    }
}

#[test]
fn a_sheet_names_only_keys_that_do_something_on_it() {
    let mut cockpit = at("recsys-ranker", "prod-eu", (120, 40));
    cockpit.keys("B");
    let picture = cockpit.picture();
    let hints = picture.lines().last().unwrap();
    assert!(!hints.contains("other target"), "{hints}");
    assert!(!hints.contains("help"), "`?` closes a sheet: {hints}");
    cockpit.keys("t");
    assert!(cockpit.state.sheet().is_some());
    assert!(cockpit.picture().contains("there is no other target"));
}

#[test]
fn no_label_of_a_sheet_is_cut() {
    let mut cockpit = at("fraud-score", "prod-us", (120, 40));
    cockpit.keys(":rw⏎A");
    let picture = cockpit.picture();
    assert!(row(&picture, "environment ").contains("production"));
}
