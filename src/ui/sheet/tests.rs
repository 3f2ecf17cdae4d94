//! A sheet by itself: keys at instants, and what they do.

use chrono::{DateTime, TimeDelta};

use super::*;
use crate::{
    domain::{
        action::{Order, RolloutAction, RolloutOrder, RolloutSeen, Subject},
        id::{BackendId, EnvironmentName, ServiceName, TargetId, TargetKind},
    },
    engine::plan::{Ask, Class, PlanStep},
};

fn at(millis: i64) -> Timestamp {
    DateTime::UNIX_EPOCH + TimeDelta::milliseconds(millis)
}

fn plan(verb: Verb, class: Class) -> Plan {
    let target = TargetId {
        backend: BackendId::new("prod"),
        kind: TargetKind::Rollout,
        namespace: "recsys".into(),
        name: "ranker".into(),
    };
    let seen = RolloutSeen {
        uid: "u1".into(),
        pod_hash: Some("7d9f".into()),
        step: Some(1),
        paused_since: None,
    };
    let order = Order::Rollout(RolloutOrder {
        target: target.clone(),
        action: RolloutAction::Abort,
        seen,
    });
    Plan {
        ask: Ask::new(
            verb,
            (ServiceName::new("recsys"), EnvironmentName::new("prod")),
        ),
        class,
        bends: None,
        release: None,
        release_label: "2026.08.21-3".into(),
        subject: Subject::Rollout(target),
        steps: vec![PlanStep {
            order,
            effect: "traffic goes to stable".into(),
        }],
        facts: Vec::new(),
        warnings: Vec::new(),
        alternatives: Vec::new(),
        undo: None,
    }
}

/// A sheet whose frame was written at 1000 ms and that asks for `m`.
fn sheet(verb: Verb, asks: Asks) -> Sheet {
    let mut sheet = Sheet {
        ticket: 1,
        plan: plan(verb, verb.class()),
        asks,
        warnings: Vec::new(),
        agreed: Vec::new(),
        off: None,
        moved: Vec::new(),
        targets: Vec::new(),
        letter: 'm',
        shown_at: None,
        early: 0,
        stage: Stage::Letter,
        reason: 0,
        typed_reason: None,
        previews: Vec::new(),
        turned: 0,
        parts: 1,
        pages: 1,
        read: 0,
    };
    sheet.stage = sheet.first_stage();
    sheet.flushed(at(1000));
    sheet
}

fn press(sheet: &mut Sheet, key: Key, millis: i64) -> Reply {
    sheet.key(key, at(millis), &mut Letters::seeded(3), Rules::default())
}

fn write(sheet: &mut Sheet, text: &str, millis: i64) {
    for character in text.chars() {
        assert_eq!(press(sheet, Key::char(character), millis), Reply::Stay);
    }
}

fn rule() -> Asks {
    Asks::Bend {
        rule: "NO-GO".into(),
    }
}

const ENTER: Key = Key::code(KeyCode::Enter);

#[test]
fn a_brake_goes_on_its_letter_after_the_dead_time() {
    let mut sheet = sheet(Verb::Abort, Asks::Letter);
    assert_eq!(press(&mut sheet, Key::char('m'), 1299), Reply::Stay);
    assert!(matches!(
        press(&mut sheet, Key::char('m'), 1300),
        Reply::Send(_)
    ));
}

#[test]
fn two_keys_in_the_dead_time_close_it() {
    let mut sheet = sheet(Verb::Abort, Asks::Letter);
    assert_eq!(press(&mut sheet, Key::char('m'), 1100), Reply::Stay);
    assert!(matches!(
        press(&mut sheet, Key::char('m'), 1200),
        Reply::Close(Some(_))
    ));
}

#[test]
fn before_its_frame_was_written_no_key_counts() {
    let mut sheet = sheet(Verb::Abort, Asks::Letter);
    sheet.shown_at = None;
    assert_eq!(press(&mut sheet, Key::char('m'), 9000), Reply::Stay);
}

#[test]
fn any_other_key_closes_it() {
    let others = [
        Key::char('y'),
        Key::char('M'),
        Key::char('B'),
        Key::char('j'),
        ENTER,
        Key::control('m'),
    ];
    for key in others {
        let mut sheet = sheet(Verb::Abort, Asks::Letter);
        assert_eq!(press(&mut sheet, key, 2000), Reply::Close(None), "{key:?}");
    }
}

#[test]
fn a_throttle_needs_enter_as_well_and_not_in_the_same_breath() {
    let mut sheet = sheet(Verb::Promote, Asks::LetterThenEnter);
    assert_eq!(press(&mut sheet, Key::char('m'), 2000), Reply::Stay);
    assert_eq!(press(&mut sheet, ENTER, 2030), Reply::Stay);
    assert!(matches!(press(&mut sheet, ENTER, 2200), Reply::Send(_)));
}

#[test]
fn the_letter_twice_is_not_a_letter_and_enter() {
    let mut sheet = sheet(Verb::Promote, Asks::LetterThenEnter);
    press(&mut sheet, Key::char('m'), 2000);
    assert_eq!(press(&mut sheet, Key::char('m'), 2600), Reply::Close(None));
}

#[test]
fn a_typed_reason_draws_a_new_letter_and_the_dead_time_again() {
    let mut sheet = sheet(Verb::Abort, Asks::Letter);
    press(&mut sheet, Key::char('4'), 2000);
    write(&mut sheet, "psi", 2300);
    assert_eq!(press(&mut sheet, ENTER, 3000), Reply::Reasoned);
    assert_eq!(sheet.reason_text().as_deref(), Some("psi"));
    assert_ne!(sheet.letter, 'm');
    assert_eq!(sheet.shown_at, None);
    let letter = Key::char(sheet.letter);
    sheet.flushed(at(3010));
    assert_eq!(press(&mut sheet, letter, 3200), Reply::Stay);
    assert!(matches!(press(&mut sheet, letter, 3400), Reply::Send(_)));
}

#[test]
fn preset_reasons_cost_one_key_and_keep_the_letter() {
    let mut sheet = sheet(Verb::Abort, Asks::Letter);
    assert_eq!(press(&mut sheet, Key::char('2'), 2000), Reply::Reasoned);
    assert_eq!(sheet.reason_text().as_deref(), Some("user report"));
    assert_eq!(sheet.letter, 'm');
}

#[test]
fn a_bend_needs_the_name_as_typed_and_a_reason() {
    let mut sheet = sheet(Verb::Promote, rule());
    write(&mut sheet, "2026.08.21-3", 2000);
    press(&mut sheet, ENTER, 3000);
    assert_eq!(press(&mut sheet, ENTER, 3100), Reply::Stay, "no reason yet");
    write(&mut sheet, "agreed with risk", 3200);
    let Reply::Send(consent) = press(&mut sheet, ENTER, 4000) else {
        panic!("not sent")
    };
    assert_eq!(
        consent.bend,
        Some(("2026.08.21-3".into(), "agreed with risk".into()))
    );
}

#[test]
fn a_bend_with_another_name_is_not_sent() {
    let mut sheet = sheet(Verb::Promote, rule());
    write(&mut sheet, "2026.08.21-2", 2000);
    press(&mut sheet, ENTER, 3000);
    write(&mut sheet, "why", 3200);
    assert_eq!(press(&mut sheet, ENTER, 4000), Reply::Stay);
}

#[test]
fn a_paste_reaches_reasons_only() {
    let mut bent = sheet(Verb::Promote, rule());
    assert!(!bent.paste("2026.08.21-3"));
    press(&mut bent, Key::code(KeyCode::Tab), 2000);
    assert!(bent.paste("because"));
    assert!(!sheet(Verb::Abort, Asks::Letter).paste("m"));
}

#[test]
fn switched_off_it_shows_no_way_through() {
    let mut sheet = sheet(Verb::Promote, Asks::LetterThenEnter);
    sheet.off = Some("backend `prom` is late".into());
    assert_eq!(press(&mut sheet, Key::char('m'), 2000), Reply::Close(None));
}

#[test]
fn rerun_offers_all_jobs_on_its_second_digit() {
    let mut sheet = sheet(Verb::RerunFailed, Asks::Letter);
    assert_eq!(
        press(&mut sheet, Key::char('2'), 2000),
        Reply::Switch(Verb::RerunAll)
    );
}

/// A plan in two parts, of which the first has been on screen.
fn long(verb: Verb, asks: Asks) -> Sheet {
    let mut long = sheet(verb, asks);
    long.fit(2, 3);
    long
}

#[test]
fn a_throttle_has_no_letter_before_its_whole_plan_was_on_screen() {
    let mut long = long(Verb::Promote, Asks::LetterThenEnter);
    assert!(long.unread());
    assert_eq!(press(&mut long, Key::char('d'), 2000), Reply::Stay);
    assert!(!long.unread(), "the last part brings the letter with it");
    assert_eq!(long.shown_at, None, "and its dead time");
    long.flushed(at(2010));
    assert_eq!(press(&mut long, Key::char('m'), 2400), Reply::Stay);
    assert!(matches!(press(&mut long, ENTER, 2600), Reply::Send(_)));
}

#[test]
fn the_letter_of_a_plan_that_was_not_read_closes_the_sheet() {
    let mut long = long(Verb::Promote, Asks::LetterThenEnter);
    assert_eq!(press(&mut long, Key::char('m'), 2000), Reply::Close(None));
}

#[test]
fn pages_that_were_turned_unseen_are_not_read() {
    let mut long = sheet(Verb::Promote, Asks::LetterThenEnter);
    long.fit(3, 4);
    press(&mut long, Key::char('d'), 2000);
    press(&mut long, Key::char('d'), 2400);
    long.flushed(at(2410));
    assert!(long.unread(), "the second part was never on screen");
}

#[test]
fn a_brake_does_not_wait_for_reading() {
    let mut long = long(Verb::Abort, Asks::Letter);
    assert!(matches!(
        press(&mut long, Key::char('m'), 2000),
        Reply::Send(_)
    ));
}

#[test]
fn a_bend_is_read_page_by_page_before_enter_counts() {
    let mut long = long(Verb::Promote, rule());
    write(&mut long, "2026.08.21-3", 2000);
    press(&mut long, ENTER, 3000);
    write(&mut long, "agreed", 3200);
    assert_eq!(press(&mut long, ENTER, 4000), Reply::Stay);
    assert_eq!(
        press(&mut long, Key::code(KeyCode::PageDown), 5000),
        Reply::Stay
    );
    long.flushed(at(5010));
    assert!(matches!(press(&mut long, ENTER, 5400), Reply::Send(_)));
}

#[test]
fn another_window_has_to_be_read_anew() {
    let mut long = long(Verb::Promote, Asks::LetterThenEnter);
    press(&mut long, Key::char('d'), 2000);
    long.flushed(at(2010));
    long.reread();
    assert!(long.unread());
}
