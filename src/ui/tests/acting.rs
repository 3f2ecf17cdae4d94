//! From a key to what is sent, and what stops it on the way.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use crate::{
    domain::action::{ActionKind, Order},
    engine::{clear::Refusal, plan::Plan},
    ui::{
        fixture::{
            Cockpit, change_rollout, change_rollout_in, paused, replace, step_on, troubled_world,
            world,
        },
        sheet::Asks,
        state::{Effect, Event, Overlay},
    },
};

fn at(service: &str, environment: &str) -> Cockpit {
    let mut cockpit = Cockpit::new(world(), (120, 40)).at(service, environment);
    cockpit.keys(":rw⏎");
    cockpit
}

fn sent(effects: &[Effect]) -> Option<&Plan> {
    effects.iter().find_map(|effect| match effect {
        Effect::Submit { plan, .. } => Some(plan.as_ref()),
        _ => None,
    })
}

fn kinds(plan: &Plan) -> Vec<ActionKind> {
    plan.steps.iter().map(|step| step.order.kind()).collect()
}

/// Presses the letter of the open sheet.
fn letter(cockpit: &mut Cockpit) -> Vec<Effect> {
    let letter = cockpit.letter();
    cockpit.keys(&letter.to_string())
}

#[test]
fn abort_takes_two_keys() {
    let mut cockpit = at("recsys-ranker", "prod-eu");
    assert!(sent(&cockpit.keys("B")).is_none());
    let effects = letter(&mut cockpit);
    assert_eq!(
        kinds(sent(&effects).unwrap()),
        [ActionKind::Abort, ActionKind::Resume]
    );
    assert!(cockpit.state.sheet().is_none());
}

#[test]
fn roll_back_takes_two_keys_also_where_only_brakes_act() {
    let mut cockpit = Cockpit::new(world(), (120, 40)).at("recsys-ranker", "prod-eu");
    cockpit.keys("R");
    let effects = letter(&mut cockpit);
    assert_eq!(
        kinds(sent(&effects).unwrap()),
        [ActionKind::Abort, ActionKind::Resume]
    );
}

#[test]
fn a_way_back_that_nobody_is_known_to_have_been_on_is_read_before_it_is_agreed_to() {
    let mut cockpit = Cockpit::new(world(), (120, 40)).at("search-embed", "prod-us");
    // What users were on is not kept: another revision is live in its place.
    change_rollout_in(&mut cockpit.world, "search-embed", "prod-us", |rollout| {
        let live = &mut rollout.revisions[0];
        (live.number, live.hash) = (20, "anew".into());
        rollout.current_hash = Some("anew".into());
        rollout.stable_hash = Some("anew".into());
        // The one before carries the champion, which would be a good way back.
        rollout.revisions.remove(1);
    });
    cockpit.tell(Event::World);
    assert!(sent(&cockpit.keys("R")).is_none());
    let picture = cockpit.picture();
    for said in [
        "users were on 33 before",
        "never seen at 100 %",
        "revision 10",
    ] {
        assert!(picture.contains(said), "no `{said}` in\n{picture}");
    }
    let effects = letter(&mut cockpit);
    assert_eq!(kinds(sent(&effects).unwrap())[0], ActionKind::Undo);
}

#[test]
fn hold_goes_out_after_its_silence_and_not_before() {
    let mut cockpit = at("ads-ctr", "prod-us");
    assert!(sent(&cockpit.press('H')).is_none());
    cockpit.wait(199);
    assert!(sent(&cockpit.tell(Event::Tick)).is_none());
    cockpit.wait(1);
    let effects = cockpit.tell(Event::Tick);
    assert_eq!(kinds(sent(&effects).unwrap()), [ActionKind::Hold]);
}

#[test]
fn another_key_within_the_silence_takes_the_hold_back() {
    let mut cockpit = at("ads-ctr", "prod-us");
    cockpit.press('H');
    cockpit.wait(100);
    cockpit.press('i');
    cockpit.wait(500);
    assert!(sent(&cockpit.tell(Event::Tick)).is_none());
}

#[test]
fn a_hold_by_name_gets_a_sheet_because_enter_never_acts_alone() {
    let mut cockpit = at("ads-ctr", "prod-us");
    let effects = cockpit.keys(":hold⏎");
    assert!(sent(&effects).is_none());
    cockpit.wait(1000);
    assert!(sent(&cockpit.tell(Event::Tick)).is_none());
    let effects = letter(&mut cockpit);
    assert_eq!(kinds(sent(&effects).unwrap()), [ActionKind::Hold]);
}

#[test]
fn approve_takes_three_keys_and_names_the_environment() {
    let mut cockpit = at("fraud-score", "prod-us");
    cockpit.keys("A");
    assert!(cockpit.picture().contains("production"));
    assert!(sent(&letter(&mut cockpit)).is_none());
    let effects = cockpit.keys("⏎");
    let plan = sent(&effects).unwrap();
    assert_eq!(kinds(plan), [ActionKind::Approve]);
    let Order::Approval(order) = &plan.steps[0].order else {
        panic!("not an approval")
    };
    assert_eq!(order.seen.environment, "production");
}

#[test]
fn reject_takes_its_reason_with_it() {
    let mut cockpit = at("med-imaging", "prod-eu");
    cockpit.keys("X2");
    letter(&mut cockpit);
    let effects = cockpit.keys("⏎");
    let plan = sent(&effects).unwrap();
    assert_eq!(kinds(plan), [ActionKind::Reject]);
    let Order::Approval(order) = &plan.steps[0].order else {
        panic!("not an approval")
    };
    assert_eq!(order.comment, "not now");
}

#[test]
fn what_moved_is_named_and_the_old_letter_is_worth_nothing() {
    let mut cockpit = at("ads-ctr", "prod-us");
    change_rollout_us(&mut cockpit, paused);
    cockpit.keys("C");
    let old = cockpit.letter();
    change_rollout_us(&mut cockpit, step_on);
    cockpit.wait(700);
    // The key comes before the world's event: it was read on the old sheet.
    assert!(sent(&cockpit.press(old)).is_none());
    assert!(
        cockpit.picture().contains("moved while you read"),
        "{}",
        cockpit.picture()
    );
    assert_ne!(cockpit.letter(), old);
}

fn change_rollout_us(
    cockpit: &mut Cockpit,
    change: impl FnOnce(&mut crate::domain::rollout::Rollout),
) {
    crate::ui::fixture::change_rollout_in(&mut cockpit.world, "ads-ctr", "prod-us", change);
}

#[test]
fn a_step_that_passes_does_not_disturb_a_brake() {
    let mut cockpit = at("recsys-ranker", "prod-eu");
    cockpit.keys("B");
    let old = cockpit.letter();
    change_rollout(&mut cockpit.world, "recsys-ranker", step_on);
    cockpit.tell(Event::World);
    assert_eq!(cockpit.letter(), old);
    assert!(sent(&letter(&mut cockpit)).is_some());
}

#[test]
fn an_object_made_anew_disturbs_a_brake_too() {
    let mut cockpit = at("recsys-ranker", "prod-eu");
    cockpit.keys("B");
    let old = cockpit.letter();
    change_rollout(&mut cockpit.world, "recsys-ranker", replace);
    cockpit.tell(Event::World);
    assert_ne!(cockpit.letter(), old);
    assert!(
        cockpit.picture().contains("deleted and made anew"),
        "{}",
        cockpit.picture()
    );
    // It is worth saying also when the new one has moved on meanwhile.
    change_rollout(&mut cockpit.world, "recsys-ranker", |rollout| {
        rollout.revisions[0].hash = "another".into();
        rollout.current_hash = Some("another".into());
    });
    cockpit.tell(Event::World);
    assert!(
        cockpit.picture().contains("deleted and made anew"),
        "{}",
        cockpit.picture()
    );
}

#[test]
fn a_silent_backend_stops_throttles_and_no_brake() {
    let mut cockpit = Cockpit::new(troubled_world(), (120, 40)).at("ads-ctr", "prod-us");
    cockpit.keys(":rw⏎");
    cockpit.now += chrono::TimeDelta::seconds(60);
    cockpit.keys("P");
    assert!(cockpit.state.sheet().is_none(), "{}", cockpit.picture());
    cockpit.keys("B");
    assert!(cockpit.state.sheet().is_some(), "{}", cockpit.picture());
}

#[test]
fn typing_into_the_wrong_window_sends_nothing() {
    let mut cockpit = at("recsys-ranker", "prod-eu");
    let mut effects = Vec::new();
    for character in "the BaRe RELEASE notes, HBRm m\n".chars() {
        effects.extend(cockpit.press(character));
        cockpit.wait(20);
        effects.extend(cockpit.flush());
    }
    cockpit.wait(1000);
    effects.extend(cockpit.tell(Event::Tick));
    assert!(sent(&effects).is_none());
    assert!(cockpit.state.sheet().is_none());
}

#[test]
fn a_paste_closes_a_sheet_and_stops_keys_for_a_moment() {
    let mut cockpit = at("recsys-ranker", "prod-eu");
    cockpit.keys("B");
    let letter = cockpit.letter();
    cockpit.wait(600);
    let effects = cockpit.tell(Event::Paste(letter.to_string()));
    assert!(sent(&effects).is_none());
    assert!(cockpit.state.sheet().is_none());
    cockpit.wait(100);
    cockpit.press('B');
    assert!(
        cockpit.state.sheet().is_none(),
        "keys act again only after a moment"
    );
    cockpit.wait(800);
    cockpit.press('B');
    assert!(cockpit.state.sheet().is_some());
}

#[test]
fn repeats_and_releases_are_no_keys() {
    let mut cockpit = at("recsys-ranker", "prod-eu");
    for kind in [KeyEventKind::Repeat, KeyEventKind::Release] {
        let mut event = KeyEvent::new(KeyCode::Char('B'), KeyModifiers::SHIFT);
        event.kind = kind;
        cockpit.tell(Event::Key(event));
        assert!(cockpit.state.sheet().is_none());
    }
}

#[test]
fn the_focus_coming_back_asks_for_another_letter() {
    let mut cockpit = at("recsys-ranker", "prod-eu");
    cockpit.keys("B");
    let old = cockpit.letter();
    cockpit.tell(Event::Focus(false));
    cockpit.wait(5000);
    cockpit.tell(Event::Focus(true));
    assert_ne!(cockpit.letter(), old);
}

#[test]
fn a_window_too_small_for_a_sheet_opens_none() {
    let mut cockpit = Cockpit::new(world(), (40, 10)).at("recsys-ranker", "prod-eu");
    cockpit.keys("B");
    assert!(cockpit.state.sheet().is_none());
    assert!(
        cockpit.picture().contains("too small"),
        "{}",
        cockpit.picture()
    );
}

#[test]
fn a_refusal_of_the_newest_world_shows_the_sheet_again() {
    let mut cockpit = at("fraud-score", "prod-us");
    cockpit.keys("A");
    letter(&mut cockpit);
    let effects = cockpit.keys("⏎");
    let ticket = effects.iter().find_map(|effect| match effect {
        Effect::Submit { ticket, .. } => Some(*ticket),
        _ => None,
    });
    let moved = Refusal::Moved("the run was started again meanwhile".into());
    cockpit.tell(Event::Submitted(ticket.unwrap(), Err(moved)));
    assert!(matches!(cockpit.state.overlay, Some(Overlay::Sheet(_))));
    assert!(cockpit.picture().contains("started again meanwhile"));
}

#[test]
fn rerun_offers_all_jobs() {
    let mut cockpit = at("recsys-ranker", "prod-eu");
    cockpit.keys(":rerun all⏎");
    assert!(
        cockpit.picture().contains("rerun all jobs"),
        "{}",
        cockpit.picture()
    );
    let effects = letter(&mut cockpit);
    assert_eq!(kinds(sent(&effects).unwrap()), [ActionKind::RerunAll]);
}

#[test]
fn sheets_print_the_request_that_will_go_out() {
    let mut cockpit = at("recsys-ranker", "prod-eu");
    cockpit.keys("B");
    let ticket = cockpit.state.sheet().unwrap().ticket;
    let preview = crate::domain::action::Preview {
        method: "PATCH",
        path: "/apis/argoproj.io/v1alpha1/namespaces/prod-eu/rollouts/recsys-ranker/status".into(),
        content_type: "application/json-patch+json",
        body: "[{\"op\":\"test\",\"path\":\"/metadata/uid\"}]".into(),
        check: "uid and pod hash are what you saw".into(),
        command: "kubectl argo rollouts abort recsys-ranker".into(),
    };
    cockpit.tell(Event::Previews(ticket, vec![preview]));
    let picture = cockpit.picture();
    assert!(picture.contains("PATCH /apis/argoproj.io"), "{picture}");
    assert!(picture.contains("check: uid and pod hash"), "{picture}");
    cockpit.keys("d");
    assert!(cockpit.picture().contains("kubectl argo rollouts abort"));
    assert_eq!(cockpit.state.sheet().unwrap().asks, Asks::Letter);
}
