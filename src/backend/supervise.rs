//! Keeps feeds running: cadence, back-off, bursts after actions, panics, sleep.
//!
//! Adapters only know how to ask once. Everything about asking *again* is here,
//! so a slow server and a throttled one are handled by the same lines. What the
//! answers mean is not known here. Each feed runs on its own: one that fails or
//! panics does not blank the others.

use std::{
    any::Any,
    hash::{BuildHasher, RandomState},
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use chrono::TimeDelta;
use futures::FutureExt;
use tokio::{
    select,
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    backend::{BackendError, ErrorKind, Feed, Focus, Now, Outlet, Poll, Stream},
    domain::{
        id::BackendId,
        observation::{Failure, Observation, Scope},
        text::Clean,
    },
};

/// First wait after a failure; doubled by each further one.
const BACK_OFF: Duration = Duration::from_secs(1);
/// Longest wait after failures, unless the backend asks for more: with a tenth
/// more by chance and the time of an answer, what is back is seen within a minute.
const BACK_OFF_MOST: Duration = Duration::from_secs(50);
/// No rest is longer than this, whatever a feed or a backend says.
const REST_MOST: Duration = Duration::from_secs(24 * 60 * 60);
/// A look that takes longer than this has lost its way.
const LOOK_MOST: Duration = Duration::from_secs(120);
/// A stream that lived this long was healthy: its next failure is a first one.
const HEALTHY: Duration = Duration::from_secs(30);
/// Looks asked for by people keep this distance, however fast the key repeats.
const LEAST_GAP: Duration = Duration::from_secs(1);
/// Looks after an action, counted from the end of the look before.
const BURST: [Duration; 4] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
];
/// How often the two clocks are compared.
const CLOCK_LOOK: Duration = Duration::from_secs(5);
/// The wall clock ran ahead of the other by more than this: we were asleep.
const SLEPT: TimeDelta = TimeDelta::seconds(30);

/// Runs the feeds of one backend until `cancel` or until `outlet` closes.
///
/// A look is taken again after its own cadence, give or take a tenth; at once
/// when somebody asks for it, when an action on this backend gets under way
/// (then after 1, 2, 4, 8 s), or when the machine was asleep. After a failure
/// it is taken again after 1 s, doubling to 50 s, or when the backend said; a
/// [`Failure`] tells when. A wait the backend asked for is cut short by nothing
/// but sleep.
pub async fn supervise(
    backend: BackendId,
    feeds: Vec<Feed>,
    outlet: Outlet,
    focus: watch::Receiver<Focus>,
    cancel: CancellationToken,
    now: Now,
) {
    let (woke, woken) = watch::channel(0);
    let mut tasks = JoinSet::new();
    for feed in feeds {
        let runner = Runner {
            backend: backend.clone(),
            outlet: outlet.clone(),
            focus: focus.clone(),
            woken: woken.clone(),
            cancel: cancel.clone(),
            now: now.clone(),
            dice: RandomState::new(),
            throws: 0,
        };
        match feed {
            Feed::Poll(poll) => tasks.spawn(runner.poll(poll)),
            Feed::Stream(stream) => tasks.spawn(runner.stream(stream)),
        };
    }
    drop(woken);
    let feeds = async {
        while let Some(ended) = tasks.join_next().await {
            // Adapters are fenced in; a panic out here is ours and has to show.
            if let Err(error) = ended
                && error.is_panic()
            {
                std::panic::resume_unwind(error.into_panic());
            }
        }
    };
    select! {
        () = feeds => {}
        () = notice_sleep(&now, &woke) => {}
    }
}

/// Counts `woke` up whenever the machine was asleep. Never returns.
async fn notice_sleep(now: &Now, woke: &watch::Sender<u64>) {
    let (mut wall, mut steady) = (now(), Instant::now());
    loop {
        sleep(CLOCK_LOOK).await;
        let (wall_now, steady_now) = (now(), Instant::now());
        let passed = TimeDelta::from_std(steady_now - steady).unwrap_or(TimeDelta::MAX);
        if wall_now - wall - passed > SLEPT {
            woke.send_modify(|times| *times += 1);
        }
        (wall, steady) = (wall_now, steady_now);
    }
}

/// What one feed's loop needs.
struct Runner {
    backend: BackendId,
    outlet: Outlet,
    focus: watch::Receiver<Focus>,
    woken: watch::Receiver<u64>,
    cancel: CancellationToken,
    now: Now,
    dice: RandomState,
    throws: u64,
}

/// What decides when the next look is taken.
#[derive(Clone, Copy)]
enum Rest {
    /// The feed's own cadence for what people look at.
    Cadence,
    /// It failed: this long, unless somebody asks.
    BackOff(Duration),
    /// The backend said: this long, whoever asks.
    Told(Duration),
}

impl Runner {
    async fn poll(mut self, mut poll: Box<dyn Poll>) {
        let mut failures = 0;
        let mut looks = 0_usize;
        let mut refresh = self.focus.borrow().refresh;
        loop {
            let focus = self.focus.borrow_and_update().clone();
            self.woken.mark_unchanged();
            // Looks since the action got under way or somebody asked again.
            looks = match self.is_urgent(&focus) {
                true if focus.refresh == refresh => looks + 1,
                true => 1,
                false => 0,
            };
            refresh = focus.refresh;
            let started = Instant::now();
            let look = isolated(timeout(LOOK_MOST, poll.poll(&focus)));
            let answer = select! {
                biased;
                () = self.cancel.cancelled() => return,
                answer = look => answer,
            };
            let answer = match answer {
                Ok(Ok(answer)) => answer,
                Ok(Err(_)) => Err(BackendError::new(
                    ErrorKind::Timeout,
                    "the look took too long",
                )),
                Err(panic) => Err(panic),
            };
            let spread = self.spread();
            let rest = match &answer {
                Ok(told) if !only_failures(told) => {
                    failures = 0;
                    Rest::Cadence
                }
                other => {
                    failures += 1;
                    let told = other.as_ref().err().and_then(|error| error.retry_after);
                    rest_after(failures, told, spread)
                }
            };
            let wait = rest.wait(&*poll, &focus, spread);
            if !self.tell(answer, poll.scope(), wait).await {
                return;
            }
            let ended = Instant::now();
            loop {
                let new = self.focus.borrow_and_update().clone();
                let due = match rest {
                    Rest::Told(wait) => ended + wait,
                    // The first look after an action is not held back.
                    _ if self.is_urgent(&new) && looks == 0 => started,
                    _ if new.refresh != refresh => started + LEAST_GAP,
                    _ => {
                        let wait = rest.wait(&*poll, &new, spread);
                        let most = burst_pause(looks).filter(|_| self.is_urgent(&new));
                        ended + most.map_or(wait, |most| wait.min(most))
                    }
                };
                select! {
                    biased;
                    () = self.cancel.cancelled() => return,
                    () = self.outlet.closed() => return,
                    Ok(()) = self.woken.changed() => break,
                    () = sleep_until(due) => break,
                    Ok(()) = self.focus.changed() => {}
                }
            }
        }
    }

    async fn stream(mut self, mut stream: Box<dyn Stream>) {
        let mut failures = 0;
        loop {
            self.woken.mark_unchanged();
            let started = Instant::now();
            let run = isolated(stream.stream(&self.outlet, self.focus.clone()));
            let end = select! {
                biased;
                () = self.cancel.cancelled() => return,
                // Connections do not survive a sleep, and do not say so either.
                Ok(()) = self.woken.changed() => continue,
                end = run => end,
            };
            if self.outlet.is_closed() {
                return;
            }
            if started.elapsed() >= HEALTHY {
                failures = 0;
            }
            failures += 1;
            let error = match end {
                Ok(Ok(())) => None,
                Ok(Err(error)) | Err(error) => Some(error),
            };
            let spread = self.spread();
            let told = error.as_ref().and_then(|error| error.retry_after);
            let rest = rest_after(failures, told, spread);
            let (Rest::Told(wait) | Rest::BackOff(wait)) = rest else {
                continue;
            };
            if let Some(error) = error
                && !self.tell(Err(error), stream.scope(), wait).await
            {
                return;
            }
            let refresh = self.focus.borrow_and_update().refresh;
            let until = Instant::now() + wait;
            loop {
                select! {
                    biased;
                    () = self.cancel.cancelled() => return,
                    () = self.outlet.closed() => return,
                    Ok(()) = self.woken.changed() => break,
                    () = sleep_until(until) => break,
                    Ok(()) = self.focus.changed() => {}
                }
                let asked = self.focus.borrow_and_update().refresh != refresh;
                if asked && told.is_none() {
                    break;
                }
            }
        }
    }

    /// Passes on what was learnt, with the time of the next look where
    /// something failed. `false` when nobody listens any more.
    async fn tell(
        &self,
        answer: Result<Vec<Observation>, BackendError>,
        scope: Scope,
        wait: Duration,
    ) -> bool {
        let at = (self.now)();
        let retry_at = TimeDelta::from_std(wait).ok().map(|wait| at + wait);
        let told = match answer {
            Ok(told) => told,
            Err(error) => vec![Observation::Failure(Failure {
                scope,
                at,
                kind: error.kind,
                message: error.message,
                retry_at,
            })],
        };
        for mut observation in told {
            if let Observation::Failure(failure) = &mut observation
                && failure.retry_at.is_none()
            {
                failure.retry_at = retry_at;
            }
            let sent = select! {
                biased;
                () = self.cancel.cancelled() => return false,
                sent = self.outlet.send(observation) => sent,
            };
            if sent.is_err() {
                return false;
            }
        }
        true
    }

    fn is_urgent(&self, focus: &Focus) -> bool {
        focus.urgent.contains(&self.backend)
    }

    /// A factor within a tenth of one, so that many feeds do not march in step.
    fn spread(&mut self) -> f64 {
        self.throws += 1;
        let throw = u32::try_from(self.dice.hash_one(self.throws) % 2001).unwrap_or_default();
        0.9 + f64::from(throw) / 10_000.0
    }
}

impl Rest {
    /// How long, if nobody asks before.
    fn wait(self, poll: &dyn Poll, focus: &Focus, spread: f64) -> Duration {
        match self {
            Self::Cadence => cadence(poll, focus).mul_f64(spread),
            Self::BackOff(wait) | Self::Told(wait) => wait,
        }
    }
}

/// The rest after this many failures in a row. The backend is not asked before
/// the time it named, so that wait has no spread.
fn rest_after(failures: u32, told: Option<Duration>, spread: f64) -> Rest {
    match told {
        Some(told) => Rest::Told(told.clamp(back_off(failures), REST_MOST)),
        None => Rest::BackOff(back_off(failures).mul_f64(spread)),
    }
}

/// The longest rest after this many looks at an action under way.
fn burst_pause(looks: usize) -> Option<Duration> {
    let pause = BURST.get(looks.checked_sub(1)?);
    pause.or(BURST.last()).copied()
}

fn only_failures(told: &[Observation]) -> bool {
    !told.is_empty()
        && told
            .iter()
            .all(|one| matches!(one, Observation::Failure(_)))
}

fn back_off(failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    BACK_OFF.saturating_mul(1 << doublings).min(BACK_OFF_MOST)
}

/// The feed's own cadence; a fault in it is no reason to stop or to spin.
fn cadence(poll: &dyn Poll, focus: &Focus) -> Duration {
    let wish = catch_unwind(AssertUnwindSafe(|| poll.cadence(focus)));
    wish.unwrap_or(BACK_OFF_MOST).min(REST_MOST)
}

/// Runs an adapter's code so that a panic in it becomes a failure of it.
async fn isolated<T>(code: impl Future<Output = T>) -> Result<T, BackendError> {
    AssertUnwindSafe(code)
        .catch_unwind()
        .await
        .map_err(|panic| {
            let words = panic_words(&*panic);
            BackendError::new(
                ErrorKind::Malformed,
                Clean::line(&format!(
                    "a fault in gonogo itself, please report it: {words}"
                )),
            )
        })
}

fn panic_words(panic: &(dyn Any + Send)) -> &str {
    let literal = panic.downcast_ref::<&str>().copied();
    literal
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without words")
}

#[cfg(test)]
mod tests;
