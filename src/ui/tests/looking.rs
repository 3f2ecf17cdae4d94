//! Looking around: what keys that do not act do.

use crate::{
    engine::clear::Mode,
    ui::{
        fixture::{Cockpit, lane, world},
        screen::Screen,
        state::{Effect, Event, Overlay},
        theme::Theme,
    },
};

fn fleet() -> Cockpit {
    Cockpit::new(world(), (120, 40))
}

#[test]
fn the_worst_that_waits_is_marked_at_the_start() {
    assert_eq!(
        fleet().state.view.lane,
        Some(lane("med-imaging", "prod-eu"))
    );
}

#[test]
fn until_somebody_chose_the_mark_follows_the_worst_and_rests_before_keys_act() {
    let mut cockpit = fleet();
    cockpit.state.view.lane = Some(lane("chat-tox", "staging"));
    cockpit.tell(Event::World);
    assert_eq!(
        cockpit.state.view.lane,
        Some(lane("med-imaging", "prod-eu"))
    );
    cockpit.press('R');
    assert!(cockpit.state.sheet().is_none(), "it has only just moved");
    cockpit.wait(1500);
    cockpit.press('R');
    assert!(cockpit.state.sheet().is_some());
}

#[test]
fn the_mark_follows_the_thing_and_not_the_row() {
    let mut cockpit = fleet().at("recsys-ranker", "prod-eu");
    let before = cockpit
        .state
        .fleet
        .order
        .iter()
        .position(|id| *id == lane("recsys-ranker", "prod-eu"));
    cockpit.keys("s");
    let after = cockpit
        .state
        .fleet
        .order
        .iter()
        .position(|id| *id == lane("recsys-ranker", "prod-eu"));
    assert_ne!(before, after);
    assert_eq!(
        cockpit.state.view.lane,
        Some(lane("recsys-ranker", "prod-eu"))
    );
}

#[test]
fn a_filter_works_while_it_is_typed_and_esc_takes_it_back() {
    let mut cockpit = fleet();
    cockpit.keys("/env:prod !stage:live");
    assert_eq!(cockpit.state.fleet.order.len(), 5);
    cockpit.keys("⎋");
    assert_eq!(cockpit.state.fleet.order.len(), 7);
    cockpit.keys("/recsys⏎");
    assert_eq!(cockpit.state.fleet.order.len(), 1);
    cockpit.keys("⎋");
    assert_eq!(cockpit.state.fleet.order.len(), 7);
}

#[test]
fn a_filter_opened_again_is_there_to_be_edited_cleared_or_left() {
    let mut cockpit = fleet();
    cockpit.keys("/env:prod⏎/");
    assert!(
        cockpit.picture().contains("^u clear"),
        "{}",
        cockpit.picture()
    );
    cockpit.keys("stage:canary");
    assert_eq!(cockpit.state.fleet.filter, "env:prod stage:canary");
    cockpit.keys("⎋/⏎");
    assert_eq!(cockpit.state.fleet.filter, "env:prod");
    cockpit.keys("/");
    cockpit.control('u');
    cockpit.keys("recsys⏎");
    assert_eq!(cockpit.state.fleet.filter, "recsys");
    assert_eq!(cockpit.state.fleet.order.len(), 1);
}

#[test]
fn text_pasted_into_a_filter_filters() {
    let mut cockpit = fleet();
    cockpit.keys("/");
    cockpit.tell(Event::Paste("recsys\n".to_owned()));
    cockpit.keys("⏎");
    assert_eq!(cockpit.state.fleet.filter, "recsys");
}

#[test]
fn a_term_without_a_column_is_named_while_typed_and_after() {
    for size in [(80, 24), (120, 40)] {
        let mut cockpit = Cockpit::new(world(), size);
        cockpit.keys("/foo:bar ");
        let picture = cockpit.picture();
        assert!(picture.contains("▲ no column `foo`"), "{picture}");
        assert!(
            picture.contains("columns: service version env stage state"),
            "{picture}"
        );
        cockpit.keys("⏎");
        let picture = cockpit.picture();
        assert!(picture.contains("▲ no column `foo`"), "{picture}");
        assert_eq!(cockpit.state.fleet.order.len(), 7, "it hides nothing");
    }
}

#[test]
fn a_filter_that_hides_all_rows_takes_no_brake_off_the_header() {
    let mut cockpit = fleet();
    let header = |cockpit: &Cockpit| cockpit.picture().lines().next().unwrap().to_owned();
    assert!(header(&cockpit).contains("BRAKE"), "{}", header(&cockpit));
    cockpit.keys("/nothing-is-called-so⏎");
    assert!(cockpit.state.fleet.order.is_empty());
    assert!(header(&cockpit).contains("BRAKE"), "{}", header(&cockpit));
}

#[test]
fn a_row_that_leaves_the_filter_takes_the_mark_with_it() {
    let mut cockpit = fleet().at("recsys-ranker", "prod-eu");
    cockpit.keys("/stage:canary⏎");
    assert_eq!(
        cockpit.state.view.lane,
        Some(lane("recsys-ranker", "prod-eu"))
    );
    cockpit.state.fleet.filter = "stage:live".to_owned();
    cockpit.tell(Event::Tick);
    assert_eq!(cockpit.state.view.lane, None);
    assert!(
        cockpit
            .keys("B")
            .iter()
            .all(|effect| !matches!(effect, Effect::Preview(..)))
    );
}

#[test]
fn digits_lead_to_screens_and_q_leads_back() {
    let mut cockpit = fleet();
    cockpit.keys("25");
    assert_eq!(cockpit.state.view.screen, Screen::Rollout);
    cockpit.keys("q");
    assert_eq!(cockpit.state.view.screen, Screen::Release);
    cockpit.keys("q");
    assert_eq!(cockpit.state.view.screen, Screen::Fleet);
    assert_eq!(cockpit.keys("q"), [Effect::Quit]);
}

#[test]
fn the_last_view_is_one_key_away() {
    let mut cockpit = fleet();
    cockpit.keys("54-");
    assert_eq!(cockpit.state.view.screen, Screen::Rollout);
    cockpit.keys("-");
    assert_eq!(cockpit.state.view.screen, Screen::Gates);
}

#[test]
fn brackets_walk_from_release_to_release_on_any_screen() {
    let mut cockpit = fleet();
    cockpit.keys("4]");
    assert_eq!(
        cockpit.state.view.lane.as_ref(),
        cockpit.state.fleet.order.get(1)
    );
    cockpit.keys("[");
    assert_eq!(
        cockpit.state.view.lane.as_ref(),
        cockpit.state.fleet.order.first()
    );
}

#[test]
fn enter_on_a_stage_opens_the_screen_that_says_more() {
    let mut cockpit = fleet().at("recsys-ranker", "prod-eu");
    cockpit.keys("2⏎");
    assert_eq!(cockpit.state.view.screen, Screen::Rollout);
    cockpit.keys("q→⏎");
    assert_eq!(
        cockpit.state.view.screen,
        Screen::Rollout,
        "live is told by the rollout as well"
    );
}

#[test]
fn a_log_is_asked_for_once_and_closed_with_its_screen() {
    let mut cockpit = fleet().at("recsys-ranker", "prod-eu");
    let asked = cockpit.keys("l");
    assert!(
        asked
            .iter()
            .any(|effect| matches!(effect, Effect::OpenLog(_)))
    );
    assert!(
        !cockpit
            .keys("l")
            .iter()
            .any(|effect| matches!(effect, Effect::OpenLog(_)))
    );
    let closed = cockpit.keys("1");
    assert!(closed.contains(&Effect::CloseLog));
}

#[test]
fn the_display_stands_still_until_it_is_let_go() {
    let mut cockpit = fleet().at("recsys-ranker", "prod-eu");
    cockpit.keys("f");
    assert!(cockpit.picture().contains("STILL"));
    crate::ui::fixture::change_rollout(&mut cockpit.world, "recsys-ranker", |rollout| {
        rollout.held = false;
    });
    cockpit.tell(Event::World);
    assert!(
        cockpit.picture().contains("‖ recsys-ranker"),
        "still shows what was"
    );
    cockpit.keys("f");
    assert!(!cockpit.picture().contains("‖ recsys-ranker"));
}

#[test]
fn modes_are_chosen_by_name_and_shown() {
    let mut cockpit = fleet().at("recsys-ranker", "prod-eu");
    assert!(cockpit.picture().contains("BRAKE"));
    cockpit.keys(":rw⏎");
    assert_eq!(cockpit.state.modes.of(true, cockpit.now), Mode::ReadWrite);
    assert!(
        cockpit.picture().contains("RW 59m"),
        "{}",
        cockpit.picture()
    );
    cockpit.keys(":ro⏎");
    assert!(cockpit.picture().contains(" RO"));
}

#[test]
fn themes_are_walked_through_or_named() {
    let mut cockpit = fleet();
    cockpit.keys(":theme colour-blind⏎");
    assert_eq!(cockpit.state.look.theme, Theme::ColourBlind);
    cockpit.keys(":theme⏎");
    assert_eq!(cockpit.state.look.theme, Theme::Mono);
}

#[test]
fn links_are_shown_before_they_are_opened() {
    let mut cockpit = fleet().at("recsys-ranker", "prod-eu");
    let effects = cockpit.keys("o");
    assert!(
        !effects
            .iter()
            .any(|effect| matches!(effect, Effect::Browse(_)))
    );
    let Some(Overlay::Links(links, 0)) = &cockpit.state.overlay else {
        panic!("no links")
    };
    let first = links[0].clone();
    assert!(cockpit.picture().contains(first.as_str()));
    assert!(cockpit.keys("⏎").contains(&Effect::Browse(first)));
}

#[test]
fn copying_names_what_was_sent() {
    let mut cockpit = fleet().at("recsys-ranker", "prod-eu");
    let effects = cockpit.keys("c");
    let copied = effects.iter().find_map(|effect| match effect {
        Effect::Copy(text) => Some(text.clone()),
        _ => None,
    });
    assert!(
        copied
            .unwrap()
            .contains("recsys-ranker 2026.08.21-3 prod-eu")
    );
    assert!(
        cockpit
            .picture()
            .contains("sent to the terminal's clipboard")
    );
}

#[test]
fn interrupt_closes_the_top_thing_and_quits_only_the_second_time() {
    use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
    let interrupt = || Event::Key(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL));
    let mut cockpit = fleet();
    cockpit.keys(":");
    assert_eq!(cockpit.tell(interrupt()), []);
    assert!(cockpit.state.overlay.is_none());
    cockpit.wait(1500);
    assert_eq!(cockpit.tell(interrupt()), []);
    cockpit.wait(300);
    assert_eq!(cockpit.tell(interrupt()), [Effect::Quit]);
}

#[test]
fn a_grey_key_says_why() {
    let mut cockpit = fleet().at("recsys-ranker", "prod-eu");
    cockpit.keys("P");
    assert!(cockpit.state.sheet().is_none());
    assert!(
        cockpit.picture().contains("P promote: HOLD (waiting)"),
        "{}",
        cockpit.picture()
    );
    cockpit.keys("X");
    assert!(cockpit.picture().contains("nothing waits for approval"));
}

#[test]
fn the_audit_screen_follows_what_is_written() {
    use crate::domain::{
        action::Subject,
        id::PlanId,
        observation::{Observation, PlanEvent, PlanProgress, PlanStart},
    };
    let mut cockpit = fleet().at("recsys-ranker", "prod-eu");
    assert!(cockpit.keys("6").contains(&Effect::ReadLedger));
    cockpit.tell(Event::Ledger(Ok(crate::app::Book::default())));
    assert_eq!(cockpit.tell(Event::World), []);
    let start = PlanStart {
        verb: "hold".into(),
        service: crate::domain::id::ServiceName::new("recsys-ranker"),
        environment: None,
        release: None,
        actor: "li".into(),
        subject: Subject::Rollout(
            cockpit.world.lanes[&lane("recsys-ranker", "prod-eu")]
                .target
                .clone(),
        ),
        brake: true,
        orders: Vec::new(),
    };
    let event = PlanEvent {
        plan: PlanId::new("p1"),
        at: cockpit.now,
        what: PlanProgress::Started(Box::new(start)),
    };
    crate::engine::reduce::reduce(&mut cockpit.world, &Observation::Plan(event));
    assert_eq!(cockpit.tell(Event::World), [Effect::ReadLedger]);
    assert_eq!(cockpit.tell(Event::World), [], "asked for once");
}
