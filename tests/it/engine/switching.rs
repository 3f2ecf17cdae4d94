//! Blue/green: what the verbs come to before and after the switch, and when
//! what was asked for has happened.
//!
//! How the controller answers each request was seen on Argo Rollouts 1.9.2.

use std::time::Duration;

use gonogo::{
    domain::{
        action::{ActionKind, Order, Receipt, RolloutAction},
        id::PlanId,
        measure::{Arm, Sample},
        observation::{Fact, Observation, PlanEvent, PlanProgress, PlanStart, Scope},
        policy::{GateRule, GateSource, RolloutQuestion},
        rollout::{
            AnalysisPhase, BlueGreen, Cutover, Pause, PauseReason, PodCounts, Promotion, Role,
            Rollout, RolloutPhase, Substate,
        },
        verdict::{Verdict, Word},
    },
    engine::{
        clear::Refusal,
        lane::{Place, WaitsFor},
        plan::{Ask, Class, Next, Plan, Stuck, Verb, next},
        propose::propose,
        reduce::reduce,
        verify::{Effect, effect},
        world::World,
    },
};

use crate::support::build::{
    accuracy_gate, aliases, answer, at, backend, canary, catalog, judged, lane, latency_gate,
    measure, metric, preview, registry, revision, rollout, run, runs, switched, target, version,
    world,
};

const A: &str = "9f3c2ab0000000000000000000000000000000aa";
const B: &str = "1111111bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

/// Commit B (v2) over A (v1, the champion).
fn scene(of: Rollout) -> World {
    let told = [
        runs(100, &[&run(1, A, 0), &run(2, B, 50)]),
        registry(
            100,
            aliases(&[("champion", 1)]),
            vec![version(1, &[("git_sha", A)]), version(2, &[("git_sha", B)])],
            vec![],
        ),
        rollout(100, of),
    ];
    world(catalog(vec![accuracy_gate(0.9)]), &told, 100)
}

fn waiting() -> Rollout {
    preview("r/ranker:1111111", "r/ranker:9f3c2ab")
}

fn taken() -> Rollout {
    switched("r/ranker:1111111", "r/ranker:9f3c2ab")
}

fn with(mut rollout: Rollout, change: impl FnOnce(&mut Rollout, &mut BlueGreen)) -> Rollout {
    let mut facts = rollout.blue_green.take().unwrap();
    change(&mut rollout, &mut facts);
    rollout.blue_green = Some(facts);
    rollout
}

/// Everything on B for good; A keeps its pods until then.
fn settled(kept_until: Option<i64>) -> Rollout {
    with(taken(), |rollout, _| {
        rollout.stable_hash = Some("new".into());
        rollout.phase = RolloutPhase::Healthy;
        rollout.substate = Substate::FullyPromoted;
        rollout.revisions[0].role = Role::Stable;
        rollout.revisions[1].role = Role::Old;
        rollout.revisions[1].kept_until = kept_until.map(at);
        if kept_until.is_none() {
            rollout.revisions[1].pods = PodCounts::default();
        }
    })
}

fn ask(of: Rollout, verb: Verb) -> Result<Plan, Refusal> {
    propose(&scene(of), &Ask::new(verb, lane()), at(100))
}

fn yes(of: Rollout, verb: Verb) -> Plan {
    ask(of, verb).unwrap_or_else(|refusal| panic!("{verb:?}: {refusal}"))
}

#[track_caller]
fn no(of: Rollout, verb: Verb, why: &str) {
    let refusal = ask(of, verb).unwrap_err().to_string();
    assert!(refusal.contains(why), "{verb:?}: {refusal}");
}

fn kinds(plan: &Plan) -> Vec<ActionKind> {
    plan.steps.iter().map(|step| step.order.kind()).collect()
}

fn first(plan: &Plan) -> &RolloutAction {
    match &plan.steps[0].order {
        Order::Rollout(order) => &order.action,
        other => panic!("{other:?}"),
    }
}

fn effects(plan: &Plan) -> Vec<&str> {
    plan.steps.iter().map(|step| &*step.effect).collect()
}

// What would be done.

#[test]
fn continue_ends_the_pause_and_moves_everybody_at_once() {
    let plan = yes(waiting(), Verb::Continue);
    assert_eq!(first(&plan), &RolloutAction::Switch { early: false });
    assert_eq!(
        effects(&plan),
        ["all users go from 9f3c2ab to 1111111 at once"]
    );
    assert_eq!(plan.undo, Some(Verb::RollBack));
}

#[test]
fn a_countdown_is_ended_by_a_request_of_its_own() {
    let counting = with(waiting(), |rollout, facts| {
        facts.promotion = Promotion::After(Duration::from_secs(90));
        rollout.pause.as_mut().unwrap().ends_at = Some(at(160));
    });
    let plan = yes(counting.clone(), Verb::Continue);
    assert_eq!(first(&plan), &RolloutAction::Switch { early: true });
    // Held, it runs on: nothing is left to end once it is over.
    let held = with(counting, |rollout, _| rollout.held = true);
    assert_eq!(
        kinds(&yes(held.clone(), Verb::Continue)),
        [ActionKind::Resume]
    );
    no(held, Verb::Promote, "`continue` takes the hold off");
}

#[test]
fn the_end_of_a_pause_is_not_sent_while_pods_of_the_preview_are_missing() {
    let short = with(waiting(), |rollout, _| {
        rollout.revisions[0].pods.available = 2;
    });
    no(
        short.clone(),
        Verb::Continue,
        "2 of 3 pods of 1111111 are up",
    );
    no(short, Verb::Promote, "would forget the switch");
}

#[test]
fn without_a_pause_continue_says_what_is_waited_for() {
    let moving = |change: fn(&mut Rollout, &mut BlueGreen)| {
        with(waiting(), |rollout, facts| {
            rollout.pause = None;
            change(rollout, facts);
        })
    };
    let judging = moving(|rollout, facts| {
        rollout.substate = Substate::Analysing;
        facts.before = Some(judged("smoke", Some(AnalysisPhase::Running)));
    });
    no(
        judging,
        Verb::Continue,
        "`smoke` is running; the switch waits for it",
    );
    let coming = moving(|rollout, _| rollout.substate = Substate::ScalingUp);
    no(coming, Verb::Continue, "pods of 1111111 are coming up");
    let soaking = with(taken(), |_, facts| {
        facts.after = Some(judged("soak", Some(AnalysisPhase::Running)));
    });
    no(soaking, Verb::Continue, "`soak` decides whether it stays");
}

#[test]
fn after_an_analysis_without_a_verdict_continue_has_it_run_again() {
    let undecided = with(waiting(), |rollout, facts| {
        facts.before = Some(judged("smoke", Some(AnalysisPhase::Inconclusive)));
        rollout.substate = Substate::PausedInconclusive;
        rollout.pause = Some(Pause {
            reason: PauseReason::InconclusiveAnalysis,
            since: Some(at(0)),
            ends_at: None,
        });
    });
    let plan = yes(undecided.clone(), Verb::Continue);
    assert_eq!(first(&plan), &RolloutAction::Continue);
    assert_eq!(effects(&plan), ["`smoke` is run again, and decides"]);
    let plan = yes(undecided, Verb::Promote);
    assert_eq!(
        (plan.class, first(&plan)),
        (Class::Bend, &RolloutAction::PromoteFull)
    );
    assert!(plan.bends.unwrap().contains("`smoke`"));
}

#[test]
fn skip_and_weights_are_no_part_of_it() {
    no(waiting(), Verb::Skip, "no steps and no weights");
}

#[test]
fn promote_at_the_pause_keeps_the_judgement_after_the_switch() {
    let plan = yes(
        with(waiting(), |_, facts| {
            facts.after = Some(judged("soak", None));
        }),
        Verb::Promote,
    );
    assert_eq!(
        kinds(&plan),
        [
            ActionKind::Switch,
            ActionKind::SetAlias,
            ActionKind::SetAlias
        ]
    );
    assert_eq!((plan.class, &plan.bends), (Class::Throttle, &None));
    let follows = plan.facts.iter().find(|(label, _)| *label == "follows");
    assert!(follows.unwrap().1.contains("takes users back to 9f3c2ab"));
}

#[test]
fn promote_where_nothing_pauses_goes_past_what_judges_and_says_so() {
    let judging = with(waiting(), |rollout, facts| {
        rollout.pause = None;
        rollout.substate = Substate::Analysing;
        facts.before = Some(judged("smoke", Some(AnalysisPhase::Running)));
        facts.after = Some(judged("soak", None));
    });
    let plan = yes(judging, Verb::Promote);
    assert_eq!(
        (plan.class, first(&plan)),
        (Class::Bend, &RolloutAction::PromoteFull)
    );
    assert_eq!(
        plan.bends.as_deref(),
        Some("promoting now goes on without `smoke` and `soak`")
    );
    let soaking = with(taken(), |_, facts| {
        facts.before = Some(judged("smoke", Some(AnalysisPhase::Successful)));
        facts.after = Some(judged("soak", Some(AnalysisPhase::Running)));
    });
    let plan = yes(soaking, Verb::Promote);
    assert_eq!(
        plan.bends.as_deref(),
        Some("promoting now goes on without `soak`")
    );
    // Without anything to judge nothing is skipped.
    let coming = with(waiting(), |rollout, _| {
        rollout.pause = None;
        rollout.substate = Substate::ScalingUp;
    });
    let plan = yes(coming, Verb::Promote);
    assert_eq!(
        (plan.class, first(&plan)),
        (Class::Throttle, &RolloutAction::PromoteFull)
    );
}

#[test]
fn hold_is_for_before_the_switch() {
    let plan = yes(waiting(), Verb::Hold);
    assert_eq!(
        effects(&plan),
        ["users stay on 9f3c2ab: no switch while held"]
    );
    no(taken(), Verb::Hold, "`abort` takes them back");
}

#[test]
fn an_abort_keeps_users_or_brings_them_back() {
    assert_eq!(
        effects(&yes(waiting(), Verb::Abort)),
        ["users stay on 9f3c2ab: 1111111 is not switched to"]
    );
    assert_eq!(
        effects(&yes(taken(), Verb::Abort)),
        ["all users go back from 1111111 to 9f3c2ab at once"]
    );
    // Held, the controller moves nobody.
    let held = with(taken(), |rollout, _| rollout.held = true);
    assert_eq!(
        kinds(&yes(held, Verb::Abort)),
        [ActionKind::Abort, ActionKind::Resume]
    );
}

#[test]
fn users_on_failing_pods_are_not_brought_back_by_an_abort() {
    let failing = with(taken(), |rollout, _| {
        rollout.revisions[0].pods.available = 1;
    });
    no(failing.clone(), Verb::Abort, "`rollback` does it now");
    let plan = yes(failing, Verb::RollBack);
    assert_eq!(kinds(&plan), [ActionKind::Undo, ActionKind::PromoteFull]);
    let aborted = with(taken(), |rollout, _| {
        rollout.revisions[0].pods.available = 0;
        rollout.aborted = Some(Some(at(90)));
        rollout.phase = RolloutPhase::Degraded;
    });
    let plan = yes(aborted, Verb::RollBack);
    assert_eq!(kinds(&plan), [ActionKind::Undo, ActionKind::PromoteFull]);
}

#[test]
fn a_roll_back_aborts_what_is_under_way_and_undoes_what_is_through() {
    assert_eq!(kinds(&yes(waiting(), Verb::RollBack)), [ActionKind::Abort]);
    assert_eq!(kinds(&yes(taken(), Verb::RollBack)), [ActionKind::Abort]);
    for (kept, pods) in [
        (Some(124), "users move at once"),
        (None, "its pods come up first"),
    ] {
        let plan = yes(settled(kept), Verb::RollBack);
        assert_eq!(kinds(&plan), [ActionKind::Undo, ActionKind::PromoteFull]);
        let told = plan.facts.iter().find(|(label, _)| *label == "pods");
        assert!(told.unwrap().1.contains(pods), "{told:?}");
    }
    // The window skips steps, and a switch has none.
    let windowed = with(settled(Some(124)), |rollout, _| {
        rollout.rollback_window = Some(5);
    });
    let plan = yes(windowed, Verb::RollBack);
    assert_eq!(kinds(&plan), [ActionKind::Undo, ActionKind::PromoteFull]);
}

#[test]
fn wanting_the_stable_revision_back_is_not_enough() {
    // Undone to A while users were on B.
    let undone = with(taken(), |rollout, _| {
        rollout.current_hash = Some("old".into());
    });
    assert!(!undone.is_fully_promoted());
    assert_eq!(undone.cutover(), Some(Cutover::Preview));
    no(
        undone.clone(),
        Verb::Abort,
        "`rollback` moves users to it now",
    );
    assert_eq!(
        kinds(&yes(undone, Verb::RollBack)),
        [ActionKind::PromoteFull]
    );
}

#[test]
fn a_preview_that_kept_its_pods_is_tried_again_behind_a_hold() {
    let aborted = |kept: Option<i64>| {
        with(waiting(), |rollout, _| {
            rollout.pause = None;
            rollout.aborted = Some(Some(at(90)));
            rollout.phase = RolloutPhase::Degraded;
            rollout.substate = Substate::Aborted;
            rollout.revisions[0].kept_until = kept.map(at);
        })
    };
    let plan = yes(aborted(Some(120)), Verb::Retry);
    assert_eq!(
        kinds(&plan),
        [ActionKind::Hold, ActionKind::Retry, ActionKind::Resume]
    );
    let plan = yes(aborted(None), Verb::Retry);
    assert_eq!(first(&plan), &RolloutAction::Retry { anew: true });
    assert_eq!(kinds(&plan), [ActionKind::Retry]);
}

// When it has happened.

fn after(order: &Order, then: Rollout) -> Effect {
    let mut world = scene(waiting());
    reduce(&mut world, &rollout(110, then));
    effect(&world, order, at(105), None)
}

#[test]
fn a_switch_has_happened_when_users_are_on_it() {
    let order = yes(waiting(), Verb::Continue).steps[0].order.clone();
    assert_eq!(after(&order, waiting()), Effect::NotYet);
    let growing = with(waiting(), |rollout, _| {
        rollout.pause = None;
        rollout.controller_paused = false;
    });
    assert_eq!(after(&order, growing), Effect::UnderWay);
    assert_eq!(after(&order, taken()), Effect::Seen);
    assert_eq!(after(&order, settled(Some(140))), Effect::Seen);
    let back = with(waiting(), |rollout, _| {
        rollout.pause = None;
        rollout.aborted = Some(Some(at(108)));
        rollout.phase = RolloutPhase::Degraded;
        rollout.message = "RolloutAborted: soak failed".into();
    });
    assert!(matches!(after(&order, back), Effect::TakenBack(why) if why.contains("soak failed")));
}

#[test]
fn an_abort_has_happened_when_users_are_back() {
    let order = yes(taken(), Verb::Abort).steps[0].order.clone();
    let noted = with(taken(), |rollout, _| {
        rollout.aborted = Some(Some(at(108)));
        rollout.phase = RolloutPhase::Degraded;
    });
    assert_eq!(after(&order, noted.clone()), Effect::UnderWay);
    let back = with(noted, |_, facts| facts.active = Some("old".into()));
    assert_eq!(after(&order, back), Effect::Seen);
}

#[test]
fn an_undo_has_happened_when_users_are_back() {
    let order = yes(settled(Some(140)), Verb::RollBack).steps[0]
        .order
        .clone();
    let wanted = with(settled(Some(140)), |rollout, _| {
        rollout.current_hash = Some("old".into());
    });
    assert_eq!(after(&order, wanted.clone()), Effect::UnderWay);
    let back = with(wanted, |rollout, facts| {
        facts.active = Some("old".into());
        rollout.stable_hash = Some("old".into());
    });
    assert_eq!(after(&order, back), Effect::Seen);
}

// What a running plan does.

struct Running {
    world: World,
    id: PlanId,
}

impl Running {
    fn new(of: Rollout, verb: Verb) -> Self {
        let mut world = scene(of);
        let plan = propose(&world, &Ask::new(verb, lane()), at(100)).unwrap();
        let start = PlanStart {
            verb: verb.word().into(),
            service: lane().0,
            environment: Some(lane().1),
            release: None,
            actor: "mk".into(),
            subject: plan.subject.clone(),
            brake: plan.class == Class::Brake,
            orders: plan.steps.iter().map(|step| step.order.clone()).collect(),
        };
        let id = PlanId::new("p");
        let event = PlanEvent {
            plan: id.clone(),
            at: at(100),
            what: PlanProgress::Started(Box::new(start)),
        };
        reduce(&mut world, &Observation::Plan(event));
        Self { world, id }
    }

    fn tell(&mut self, when: i64, what: PlanProgress) {
        let event = PlanEvent {
            plan: self.id.clone(),
            at: at(when),
            what,
        };
        reduce(&mut self.world, &Observation::Plan(event));
    }

    /// This step was accepted.
    fn accepted(&mut self, when: i64, step: usize) {
        self.tell(when, PlanProgress::Sending { step });
        let receipt = Ok(Receipt {
            status: 200,
            version: None,
            note: "".into(),
        });
        let returned_at = at(when);
        self.tell(
            when,
            PlanProgress::Answered {
                step,
                receipt,
                returned_at,
            },
        );
    }

    fn seen(&mut self, when: i64, step: usize) {
        self.tell(when, PlanProgress::Seen { step });
    }

    fn shows(&mut self, when: i64, rollout_now: Rollout) {
        reduce(&mut self.world, &rollout(when, rollout_now));
    }

    fn next(&self, when: i64) -> Next {
        next(&self.world.plans[&self.id], &self.world, at(when))
    }
}

#[test]
fn the_alias_moves_when_what_users_were_switched_to_is_stable() {
    let soaking = |phase: AnalysisPhase| {
        with(taken(), |_, facts| {
            facts.after = Some(judged("soak", Some(phase)));
        })
    };
    let mut plan = Running::new(waiting(), Verb::Promote);
    plan.accepted(101, 0);
    plan.shows(110, soaking(AnalysisPhase::Running));
    assert_eq!(plan.next(110), Next::Record(0));
    plan.seen(110, 0);
    assert!(matches!(plan.next(400), Next::Wait(_)), "an hour may pass");
    plan.shows(500, settled(Some(600)));
    assert_eq!(plan.next(502), Next::Send(1));
    // It fails instead: the controller takes users back, and the alias stays.
    let mut plan = Running::new(waiting(), Verb::Promote);
    plan.accepted(101, 0);
    plan.shows(110, soaking(AnalysisPhase::Running));
    plan.seen(110, 0);
    let back = with(waiting(), |rollout, _| {
        rollout.pause = None;
        rollout.aborted = Some(Some(at(200)));
        rollout.phase = RolloutPhase::Degraded;
        rollout.message = "RolloutAborted: soak failed".into();
    });
    plan.shows(200, back);
    assert!(matches!(plan.next(201), Next::Stuck(Stuck::TakenBack(why)) if why.contains("soak")));
    // Nobody waits for ever.
    let mut plan = Running::new(waiting(), Verb::Promote);
    plan.accepted(101, 0);
    plan.seen(110, 0);
    plan.shows(111, soaking(AnalysisPhase::Running));
    assert!(matches!(
        plan.next(110 + 7 * 3600),
        Next::Stuck(Stuck::NotSeen(_))
    ));
}

#[test]
fn a_fast_way_back_is_left_to_the_controller_and_a_slow_one_is_not() {
    let wanted = |kept: Option<i64>, pause: Option<Pause>| {
        with(settled(kept), |rollout, _| {
            rollout.current_hash = Some("old".into());
            rollout.pause = pause;
        })
    };
    let mut plan = Running::new(settled(Some(140)), Verb::RollBack);
    plan.accepted(101, 0);
    plan.shows(102, wanted(Some(140), None));
    assert!(
        matches!(plan.next(102), Next::Wait(_)),
        "it switches by itself"
    );
    assert_eq!(plan.next(103), Next::Record(0), "unless it does not");
    // It missed the moment, and pauses as for any other revision.
    plan.shows(103, wanted(None, waiting().pause));
    assert_eq!(plan.next(103), Next::Record(0));
    plan.seen(103, 0);
    assert_eq!(plan.next(103), Next::Send(1));
}

#[test]
fn the_hold_that_guards_a_retry_ends_once_the_preview_is_taken_in() {
    let aborted = |held: bool, gone: bool, kept: Option<i64>| {
        with(waiting(), |rollout, _| {
            rollout.pause = None;
            rollout.controller_paused = false;
            rollout.held = held;
            rollout.aborted = gone.then_some(Some(at(90)));
            rollout.phase = if gone {
                RolloutPhase::Degraded
            } else {
                RolloutPhase::Paused
            };
            rollout.revisions[0].kept_until = kept.map(at);
        })
    };
    let mut plan = Running::new(aborted(false, true, Some(120)), Verb::Retry);
    plan.accepted(101, 0);
    plan.shows(102, aborted(true, true, Some(120)));
    plan.seen(102, 0);
    plan.accepted(104, 1);
    plan.shows(105, aborted(true, false, Some(120)));
    plan.seen(105, 1);
    assert!(
        matches!(plan.next(107), Next::Wait(_)),
        "its deadline is still there"
    );
    plan.shows(108, aborted(true, false, None));
    assert_eq!(plan.next(110), Next::Send(2));
}

#[test]
fn held_users_come_back_once_the_abort_is_noted_and_the_hold_ends() {
    let held = with(taken(), |rollout, _| rollout.held = true);
    let mut plan = Running::new(held.clone(), Verb::Abort);
    plan.accepted(101, 0);
    let noted = with(held, |rollout, _| {
        rollout.aborted = Some(Some(at(101)));
        rollout.phase = RolloutPhase::Degraded;
    });
    plan.shows(102, noted);
    assert_eq!(plan.next(102), Next::Record(0));
    plan.seen(102, 0);
    assert_eq!(plan.next(102), Next::Send(1));
}

// Where it stands.

#[test]
fn a_row_says_preview_and_switched_and_whom_it_waits_for() {
    for (rollout, word) in [(waiting(), "preview"), (taken(), "switched")] {
        let world = scene(rollout);
        assert_eq!(world.lanes[&lane()].place.word(), word);
    }
    let world = scene(waiting());
    let row = &world.lanes[&lane()];
    assert!(
        matches!(&row.waits_for, WaitsFor::Person { what, .. } if *what == "switch users to it")
    );
    assert!(matches!(
        row.place,
        Place::Canary {
            cutover: Some(Cutover::Preview),
            ..
        }
    ));
    let queue = gonogo::engine::queue::waiting(&world);
    assert_eq!(queue[0].what, "PREVIEW");
}

// What the gates say.

/// The latency gate's verdict and the word, with this number of the canary.
fn latency(of: Rollout, sample: Sample) -> (Verdict, Word) {
    let told = [
        runs(100, &[&run(1, A, 0), &run(2, B, 50)]),
        registry(
            100,
            aliases(&[("champion", 1)]),
            vec![version(1, &[("git_sha", A)]), version(2, &[("git_sha", B)])],
            vec![],
        ),
        rollout(100, of),
        answer(
            "prom",
            &Scope::metric(&backend("prom"), &metric()).part,
            100,
            vec![Fact::Measure(measure(Arm::Canary, sample, 100))],
        ),
    ];
    let world = world(catalog(vec![latency_gate(250.0)]), &told, 100);
    let release = world.lanes[&lane()].release().unwrap();
    let decision = world.decision(release, &lane().1).unwrap();
    (decision.findings[0].verdict, decision.word)
}

#[test]
fn what_nobody_feels_is_not_asked_of_a_preview() {
    let (verdict, word) = latency(waiting(), Sample::Empty);
    assert_eq!(verdict, Verdict::NotApplicable);
    // Nothing else was asked: nothing is proven by that.
    assert_eq!(word, Word::NoGo);
    let nan = Sample::NotFinite("NaN".into());
    assert_eq!(latency(waiting(), nan.clone()).0, Verdict::NotApplicable);
    // Somebody tries it out, and it is slow.
    assert_eq!(latency(waiting(), Sample::Value(400.0)).0, Verdict::Fail);
    // Once users are on it, it has to be measured.
    assert_eq!(latency(taken(), nan).0, Verdict::Error);
    assert_eq!(latency(taken(), Sample::Value(200.0)).0, Verdict::Pass);
    let canary = canary("r/ranker:1111111", "r/ranker:9f3c2ab");
    assert_eq!(latency(canary, Sample::Empty).0, Verdict::Missing);
}

#[test]
fn two_revisions_behind_one_service_are_told_apart() {
    let third = with(taken(), |rollout, _| {
        rollout
            .revisions
            .insert(0, revision(3, "third", "r/ranker:2222222", Role::Canary));
        rollout.revisions[1].role = Role::Old;
        rollout.current_hash = Some("third".into());
    });
    // Users are on the second, which was never stable.
    assert_eq!(third.users().unwrap().hash, "new");
    assert!(!third.leaves_users_on_stable());
    let plan = yes(third, Verb::RollBack);
    assert_eq!(kinds(&plan), [ActionKind::Abort]);
}

/// The verdict on the controller's analyses, of which there are none so far.
fn analyses(of: Rollout) -> Verdict {
    let gate = GateRule {
        source: GateSource::Rollout(RolloutQuestion::Analysis),
        ..latency_gate(0.0)
    };
    let told = [
        runs(100, &[&run(1, A, 0), &run(2, B, 50)]),
        registry(100, aliases(&[]), vec![], vec![]),
        rollout(100, of),
        answer("prod", &Scope::analyses(&target()).part, 100, vec![]),
    ];
    let world = world(catalog(vec![gate]), &told, 100);
    let release = world.lanes[&lane()].release().unwrap();
    let decision = world.decision(release, &lane().1).unwrap();
    decision.findings[0].verdict
}

#[test]
fn what_is_judged_after_the_switch_is_no_reason_not_to_switch() {
    let soak = |rollout: Rollout| {
        with(rollout, |_, facts| {
            facts.after = Some(judged("soak", None));
        })
    };
    assert_eq!(analyses(soak(waiting())), Verdict::NotApplicable);
    let both = with(soak(waiting()), |_, facts| {
        facts.before = Some(judged("smoke", None));
    });
    assert_eq!(analyses(both), Verdict::Pending);
    // Users are on it: now it has to come.
    assert_eq!(analyses(soak(taken())), Verdict::Pending);
    assert_eq!(analyses(waiting()), Verdict::Missing);
}
