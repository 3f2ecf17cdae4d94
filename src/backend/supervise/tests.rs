//! The loop that asks again, in paused time.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use chrono::DateTime;
use tokio::{sync::mpsc, time::advance};

use super::*;
use crate::{
    backend::answered,
    domain::{Timestamp, observation::Batch},
};

/// What a scripted look does.
enum Look {
    Good,
    Fails(BackendError),
    Panics,
    Partly,
}

/// A feed that does as told, then goes on well, and notes when it was asked.
struct Scripted {
    looks: VecDeque<Look>,
    asked: Arc<Mutex<Vec<u64>>>,
    begin: Instant,
    now: Now,
    cadence: Duration,
}

fn scope(part: &'static str) -> Scope {
    Scope::new(&BackendId::new("gh"), part)
}

fn batch(now: Timestamp) -> Batch {
    answered(scope("thing"), now, now, Vec::new())
}

fn failure(now: Timestamp) -> Observation {
    Observation::Failure(Failure {
        scope: scope("part"),
        at: now,
        kind: ErrorKind::NotFound,
        message: "part is gone".into(),
        retry_at: None,
    })
}

#[async_trait]
impl Poll for Scripted {
    fn scope(&self) -> Scope {
        scope("thing")
    }

    fn cadence(&self, focus: &Focus) -> Duration {
        // Twice as often where people look.
        if focus.target.is_none() && focus.run.is_some() {
            self.cadence / 2
        } else {
            self.cadence
        }
    }

    async fn poll(&mut self, _: &Focus) -> Result<Vec<Observation>, BackendError> {
        self.asked
            .lock()
            .unwrap()
            .push(u64::try_from(self.begin.elapsed().as_millis()).unwrap());
        let now = (self.now)();
        match self.looks.pop_front() {
            None | Some(Look::Good) => Ok(vec![Observation::Batch(batch(now))]),
            Some(Look::Fails(error)) => Err(error),
            Some(Look::Panics) => panic!("index 7 out of range"),
            Some(Look::Partly) => Ok(vec![failure(now), Observation::Batch(batch(now))]),
        }
    }
}

struct Bench {
    asked: Arc<Mutex<Vec<u64>>>,
    told: mpsc::Receiver<Observation>,
    focus: watch::Sender<Focus>,
    cancel: CancellationToken,
    wall_shift: Arc<Mutex<TimeDelta>>,
    task: tokio::task::JoinHandle<()>,
}

fn bench(looks: impl IntoIterator<Item = Look>, cadence: u64) -> Bench {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let wall_shift = Arc::new(Mutex::new(TimeDelta::zero()));
    let (begin, shift) = (Instant::now(), wall_shift.clone());
    let now: Now = Arc::new(move || {
        let passed = TimeDelta::from_std(begin.elapsed()).unwrap();
        DateTime::UNIX_EPOCH + passed + *shift.lock().unwrap()
    });
    let feed = Scripted {
        looks: looks.into_iter().collect(),
        asked: asked.clone(),
        begin,
        now: now.clone(),
        cadence: Duration::from_secs(cadence),
    };
    let (outlet, told) = mpsc::channel(1000);
    let (focus, focused) = watch::channel(Focus::default());
    let cancel = CancellationToken::new();
    let task = tokio::spawn(supervise(
        BackendId::new("gh"),
        vec![Feed::Poll(Box::new(feed))],
        outlet,
        focused,
        cancel.clone(),
        now,
    ));
    Bench {
        asked,
        told,
        focus,
        cancel,
        wall_shift,
        task,
    }
}

impl Bench {
    /// Lets time pass in small steps, so that every timer fires in order.
    async fn pass(&self, seconds: u64) {
        for _ in 0..seconds * 20 {
            advance(Duration::from_millis(50)).await;
            for _ in 0..4 {
                tokio::task::yield_now().await;
            }
        }
    }

    fn asked(&self) -> Vec<u64> {
        self.asked.lock().unwrap().clone()
    }

    fn failures(&mut self) -> Vec<Failure> {
        let mut failures = Vec::new();
        while let Ok(told) = self.told.try_recv() {
            if let Observation::Failure(failure) = told {
                failures.push(failure);
            }
        }
        failures
    }
}

/// Each look comes this many seconds after the one before, give or take a
/// tenth and a step of the test's clock.
#[track_caller]
fn check_gaps(asked: &[u64], expected: &[u64]) {
    let gaps: Vec<u64> = asked.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(gaps.len() >= expected.len(), "{gaps:?}");
    for (gap, seconds) in gaps.iter().zip(expected) {
        let wanted = seconds * 1000;
        // The stamps are cut to milliseconds and timers wake up to one late.
        let near = wanted * 9 / 10 - 2..=wanted * 11 / 10 + 100;
        assert!(near.contains(gap), "{gaps:?} instead of {expected:?}");
    }
}

fn unreachable() -> Look {
    Look::Fails(BackendError::new(ErrorKind::Unreachable, "no connection"))
}

#[tokio::test(start_paused = true)]
async fn a_healthy_feed_keeps_its_cadence_and_does_not_march_in_step() {
    let bench = bench([], 10);
    bench.pass(205).await;
    let asked = bench.asked();
    check_gaps(&asked, &[10; 18]);
    let first = asked[1] - asked[0];
    assert!(asked.windows(2).any(|pair| pair[1] - pair[0] != first));
}

#[tokio::test(start_paused = true)]
async fn failures_wait_twice_as_long_each_time_up_to_a_minute() {
    let mut bench = bench(std::iter::repeat_with(unreachable).take(9), 10);
    bench.pass(400).await;
    check_gaps(&bench.asked(), &[1, 2, 4, 8, 16, 32, 50, 50, 50, 10]);
    let failures = bench.failures();
    assert_eq!(failures.len(), 9);
    for failure in &failures {
        assert_eq!(failure.kind, ErrorKind::Unreachable);
        let asked = bench.asked();
        let retry = failure.retry_at.unwrap().timestamp_millis();
        assert!(
            asked
                .iter()
                .any(|at| (retry - i64::try_from(*at).unwrap()).abs() <= 100)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_wait_the_backend_asked_for_is_kept_even_when_people_ask() {
    let error =
        BackendError::new(ErrorKind::RateLimited, "slow down").after(Some(Duration::from_secs(90)));
    let bench = bench([Look::Fails(error)], 10);
    bench.pass(5).await;
    bench.focus.send_modify(|focus| {
        focus.refresh += 1;
        focus.urgent.insert(BackendId::new("gh"));
    });
    bench.pass(84).await;
    assert_eq!(bench.asked().len(), 1);
    bench.pass(2).await;
    assert!(bench.asked().len() >= 2);
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_told_as_a_failure_and_the_feed_goes_on() {
    let mut bench = bench([Look::Panics, Look::Good], 10);
    bench.pass(3).await;
    assert_eq!(bench.asked().len(), 2);
    let failures = bench.failures();
    assert_eq!(failures.len(), 1);
    let words = failures[0].message.as_str();
    assert!(words.contains("index 7 out of range"), "{words}");
    assert_eq!(failures[0].scope, scope("thing"));
}

#[tokio::test(start_paused = true)]
async fn a_part_that_failed_is_told_with_the_time_of_the_next_look() {
    let mut bench = bench([Look::Partly], 10);
    bench.pass(12).await;
    check_gaps(&bench.asked(), &[10]);
    let failures = bench.failures();
    let retry = failures[0].retry_at.unwrap().timestamp_millis();
    assert!((8_998..=11_100).contains(&retry), "{retry}");
}

#[tokio::test(start_paused = true)]
async fn an_action_under_way_is_looked_at_at_once_and_then_less_and_less_often() {
    let bench = bench([], 60);
    bench.pass(10).await;
    bench.focus.send_modify(|focus| {
        focus.urgent.insert(BackendId::new("gh"));
    });
    bench.pass(35).await;
    let asked = bench.asked();
    assert!(asked[1] <= 10_100, "{asked:?}");
    check_gaps(&asked[1..], &[1, 2, 4, 8, 8]);
    bench.focus.send_modify(|focus| focus.urgent.clear());
    let before = bench.asked().len();
    bench.pass(40).await;
    assert_eq!(
        bench.asked().len(),
        before,
        "back to its cadence of a minute"
    );
}

#[tokio::test(start_paused = true)]
async fn an_action_elsewhere_changes_nothing() {
    let bench = bench([], 60);
    bench.pass(10).await;
    bench.focus.send_modify(|focus| {
        focus.urgent.insert(BackendId::new("other"));
    });
    bench.pass(10).await;
    assert_eq!(bench.asked().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn asking_looks_at_once_but_a_held_key_is_no_flood() {
    let bench = bench([], 60);
    bench.pass(10).await;
    bench.focus.send_modify(|focus| focus.refresh += 1);
    bench.pass(1).await;
    assert_eq!(bench.asked().len(), 2);
    assert!(bench.asked()[1] <= 10_100);
    for _ in 0..100 {
        bench.focus.send_modify(|focus| focus.refresh += 1);
        advance(Duration::from_millis(30)).await;
        tokio::task::yield_now().await;
    }
    bench.pass(2).await;
    assert!(bench.asked().len() <= 2 + 5, "{:?}", bench.asked());
}

#[tokio::test(start_paused = true)]
async fn a_closer_look_by_people_shortens_a_wait_under_way() {
    let bench = bench([], 60);
    bench.pass(40).await;
    let run = crate::domain::id::RunId {
        backend: BackendId::new("gh"),
        repo: "acme/recsys".into(),
        id: 7,
    };
    bench.focus.send_modify(|focus| focus.run = Some(run));
    bench.pass(1).await;
    // Half the cadence of 60 s had passed already.
    assert_eq!(bench.asked().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn after_a_sleep_it_looks_at_once() {
    let bench = bench([], 3600);
    bench.pass(20).await;
    *bench.wall_shift.lock().unwrap() = TimeDelta::seconds(29);
    bench.pass(10).await;
    assert_eq!(
        bench.asked().len(),
        1,
        "a clock set forward a little is no sleep"
    );
    *bench.wall_shift.lock().unwrap() = TimeDelta::seconds(29 + 31);
    bench.pass(6).await;
    assert_eq!(bench.asked().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn it_ends_when_cancelled_and_when_nobody_listens() {
    let first = bench([], 10);
    first.pass(1).await;
    first.cancel.cancel();
    first.task.await.unwrap();
    let Bench { told, task, .. } = bench([], 10);
    drop(told);
    task.await.unwrap();
}

struct Breaks {
    begin: Instant,
    started: Arc<Mutex<Vec<u64>>>,
    lives: Duration,
}

#[async_trait]
impl Stream for Breaks {
    fn scope(&self) -> Scope {
        scope("watch")
    }

    async fn stream(&mut self, _: &Outlet, _: watch::Receiver<Focus>) -> Result<(), BackendError> {
        self.started
            .lock()
            .unwrap()
            .push(u64::try_from(self.begin.elapsed().as_millis()).unwrap());
        sleep(self.lives).await;
        Err(BackendError::new(ErrorKind::Unreachable, "reset by peer"))
    }
}

#[tokio::test(start_paused = true)]
async fn a_broken_stream_is_started_anew_with_growing_waits() {
    let started = Arc::new(Mutex::new(Vec::new()));
    let stream = Breaks {
        begin: Instant::now(),
        started: started.clone(),
        lives: Duration::ZERO,
    };
    let (outlet, mut told) = mpsc::channel(100);
    let (_focus, focused) = watch::channel(Focus::default());
    let task = tokio::spawn(supervise(
        BackendId::new("prod"),
        vec![Feed::Stream(Box::new(stream))],
        outlet,
        focused,
        CancellationToken::new(),
        Arc::new(|| DateTime::UNIX_EPOCH),
    ));
    for _ in 0..5 {
        let Some(Observation::Failure(failure)) = told.recv().await else {
            panic!("a failure was expected");
        };
        assert_eq!(failure.message, "reset by peer");
    }
    check_gaps(&started.lock().unwrap(), &[1, 2, 4, 8]);
    drop(told);
    task.await.unwrap();
}
