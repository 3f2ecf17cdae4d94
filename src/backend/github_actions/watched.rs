//! What is remembered of one run between two looks, and what that makes due.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    backend::github_actions::{
        ask::Ask,
        tempo::{Closeness, Tempo},
    },
    domain::{
        Timestamp,
        approval::{Answer, PendingApproval, Review},
        pipeline::{Job, Phase, Run},
    },
};

/// Most earlier attempts whose jobs are read.
const ATTEMPTS: u32 = 10;

/// One run that is looked into.
pub(super) struct Watched {
    /// As last told.
    pub(super) run: Run,
    /// It is over, in GitHub's word.
    completed: bool,
    /// It was in the last list.
    pub(super) listed: bool,
    /// When it was last asked about on its own.
    pub(super) asked: Option<Timestamp>,
    /// When its jobs were last asked for.
    jobs_asked: Option<Timestamp>,
    /// For which attempt and state of the run all jobs were seen to be over.
    settled: Option<(u32, Option<Timestamp>)>,
    /// Where the jobs of the newest attempt stand.
    jobs: Jobs,
    /// When the jobs of earlier attempts were asked for.
    earlier: BTreeMap<u32, Asked>,
    pending_asked: Option<Timestamp>,
    /// Environments that wait, as last answered.
    pending: Vec<PendingApproval>,
    /// When the reviews were asked for; `None` too when somebody may have
    /// answered since.
    reviews: Option<Asked>,
    /// It waited at some time.
    waited: bool,
    history: History,
}

/// Where the jobs of a run stand, all in all.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Jobs {
    /// Not read yet.
    Unknown,
    /// At work, or none made yet.
    Working,
    /// At least one is held by its environment.
    Waiting,
    /// All are over.
    Over,
}

/// A question that is asked once if it is answered.
#[derive(Clone, Copy)]
struct Asked {
    at: Timestamp,
    missed: bool,
}

/// One wish to ask, and how often.
pub(super) struct Want {
    pub(super) ask: Ask,
    /// `None`: once.
    pub(super) period: Option<Duration>,
    pub(super) last: Option<Timestamp>,
    /// Part of what is asked at once when somebody wants to know now.
    pub(super) urgent: bool,
}

impl Want {
    /// Again and again, and at once when somebody wants to know.
    pub(super) fn regular(ask: Ask, period: Duration, last: Option<Timestamp>) -> Self {
        Self {
            ask,
            period: Some(period),
            last,
            urgent: true,
        }
    }

    /// Again and again, but nobody is in a hurry.
    pub(super) fn rare(ask: Ask, period: Duration, last: Option<Timestamp>) -> Self {
        Self {
            urgent: false,
            ..Self::regular(ask, period, last)
        }
    }

    /// Until it is answered.
    fn once(ask: Ask, again: Duration, asked: Option<Asked>) -> Self {
        Self {
            ask,
            period: asked.filter(|asked| asked.missed).map(|_| again),
            last: asked.map(|asked| asked.at),
            urgent: false,
        }
    }
}

impl Watched {
    pub(super) fn new(run: Run, completed: bool) -> Self {
        let mut watched = Self {
            run: run.clone(),
            completed,
            listed: false,
            asked: None,
            jobs_asked: None,
            settled: None,
            jobs: Jobs::Unknown,
            earlier: BTreeMap::new(),
            pending_asked: None,
            pending: Vec::new(),
            reviews: None,
            waited: false,
            history: History::default(),
        };
        watched.note(run, completed);
        watched
    }

    /// Takes in what was told about the run itself; `completed` is GitHub's word.
    pub(super) fn note(&mut self, run: Run, completed: bool) {
        if run.attempt != self.run.attempt {
            self.jobs = Jobs::Unknown;
        }
        self.completed = completed;
        self.run = run;
        self.waited |= self.waits();
    }

    /// Takes in the jobs of the newest attempt.
    pub(super) fn note_jobs(&mut self, jobs: &[Job]) {
        let is = |phase: Phase| move |job: &Job| job.status.phase == phase;
        self.jobs = if jobs.iter().any(is(Phase::Waiting)) {
            Jobs::Waiting
        } else if !jobs.is_empty() && jobs.iter().all(is(Phase::Ended)) {
            Jobs::Over
        } else {
            Jobs::Working
        };
        self.waited |= self.jobs == Jobs::Waiting;
        if self.completed && (self.jobs == Jobs::Over || jobs.is_empty()) {
            self.settled = Some((self.run.attempt, self.run.updated_at));
        }
    }

    /// Takes in the environments that wait now.
    pub(super) fn note_pending(&mut self, pending: Vec<PendingApproval>) {
        let left = self
            .pending
            .iter()
            .any(|before| pending.iter().all(|now| now.id != before.id));
        if left {
            self.reviews = None;
        }
        self.waited |= !pending.is_empty();
        self.pending = pending;
    }

    /// Takes in the review history; returns what can be said for certain.
    pub(super) fn note_reviews(&mut self, told: &[Review]) -> Vec<Review> {
        let mut certain = self.history.take(told);
        // An answer to an environment that waits (again) was given to an
        // earlier attempt.
        certain.retain(|review| self.pending.iter().all(|pending| pending.id != review.id));
        certain
    }

    /// Notes that something was asked at `at`, answered or not.
    pub(super) fn mark(&mut self, ask: Ask, at: Timestamp) {
        let asked = Asked { at, missed: false };
        match ask {
            Ask::Run(_) => self.asked = Some(at),
            Ask::Jobs(_) => self.jobs_asked = Some(at),
            Ask::Earlier(_, attempt) => {
                self.earlier.insert(attempt, asked);
            }
            Ask::Pending(_) => self.pending_asked = Some(at),
            Ask::Reviews(_) => self.reviews = Some(asked),
            Ask::List | Ask::Access | Ask::Deployments => {}
        }
    }

    /// Notes that what is asked once was not answered.
    pub(super) fn missed(&mut self, ask: Ask) {
        let asked = match ask {
            Ask::Earlier(_, attempt) => self.earlier.get_mut(&attempt),
            Ask::Reviews(_) => self.reviews.as_mut(),
            Ask::List
            | Ask::Access
            | Ask::Deployments
            | Ask::Run(_)
            | Ask::Jobs(_)
            | Ask::Pending(_) => None,
        };
        if let Some(asked) = asked {
            asked.missed = true;
        }
    }

    /// It goes on, or waits for somebody.
    pub(super) fn is_active(&self) -> bool {
        !self.completed
    }

    /// Its jobs are over while the run is said to go on: it ends any moment.
    pub(super) fn is_finishing(&self) -> bool {
        self.is_active() && self.jobs == Jobs::Over
    }

    /// It waits for timers alone.
    pub(super) fn is_timed(&self) -> bool {
        self.waits()
            && !self.pending.is_empty()
            && self.pending.iter().all(|one| one.timer_ends_at.is_some())
    }

    fn waits(&self) -> bool {
        self.is_active() && (self.jobs == Jobs::Waiting || self.run.status.phase == Phase::Waiting)
    }

    /// What is to be asked about this run. `rank` counts ended runs from the
    /// newest; a run that goes on has none.
    pub(super) fn wants(
        &self,
        tempo: Tempo,
        closeness: Closeness,
        rank: Option<usize>,
        wants: &mut Vec<Want>,
    ) {
        let id = self.run.id.id;
        let watched = closeness == Closeness::Watched;
        let waits = self.waits();
        let jobs = Want {
            urgent: watched,
            ..Want::regular(Ask::Jobs(id), tempo.jobs(closeness, waits), self.jobs_asked)
        };
        let of = (self.run.attempt, self.run.updated_at);
        let read_ended = watched || rank.is_some_and(|rank| rank < READ_ENDED);
        if self.is_active() || (read_ended && self.settled != Some(of)) {
            wants.push(jobs);
        }
        if self.is_active() && !self.listed {
            let period = tempo.jobs(closeness, waits);
            wants.push(Want::regular(Ask::Run(id), period, self.asked));
        }
        // Asked once more after the wait, so that its end is seen.
        if waits || !self.pending.is_empty() {
            let period = tempo.pending(closeness);
            wants.push(Want::regular(Ask::Pending(id), period, self.pending_asked));
        }
        let again = tempo.list(false, false, true);
        if watched {
            let first = self.run.attempt.saturating_sub(ATTEMPTS).max(1);
            wants.extend((first..self.run.attempt).map(|attempt| {
                let asked = self.earlier.get(&attempt).copied();
                Want::once(Ask::Earlier(id, attempt), again, asked)
            }));
        }
        if self.waited || watched || rank == Some(0) {
            wants.push(Want {
                urgent: self.waited && (self.is_active() || watched),
                ..Want::once(Ask::Reviews(id), again, self.reviews)
            });
        }
    }
}

/// How many of the newest ended runs have their jobs read.
pub(super) const READ_ENDED: usize = 5;

/// Answers seen so far, to tell new ones from old: GitHub's history carries
/// neither times nor attempts, and says nothing about its order.
#[derive(Default)]
struct History {
    seen: BTreeMap<u64, Vec<Review>>,
    newest: BTreeMap<u64, Review>,
}

impl History {
    fn take(&mut self, told: &[Review]) -> Vec<Review> {
        let mut by_environment: BTreeMap<u64, Vec<Review>> = BTreeMap::new();
        for review in told {
            let entries = by_environment.entry(review.id.environment).or_default();
            entries.push(review.clone());
        }
        for (environment, entries) in &by_environment {
            let before = self.seen.get(environment);
            let mut fresh = entries.clone();
            for old in before.into_iter().flatten() {
                if let Some(place) = fresh.iter().position(|entry| entry == old) {
                    fresh.remove(place);
                }
            }
            // The same words twice in a row: one of them is new.
            if fresh.is_empty() && before.map_or(0, Vec::len) < entries.len() {
                fresh.clone_from(entries);
            }
            if let Some(newest) = agreed(&fresh) {
                self.newest.insert(*environment, newest);
            }
        }
        self.seen = by_environment;
        self.newest.values().cloned().collect()
    }
}

/// The one answer these entries agree on; entries that differ say that it is
/// not known which came last.
fn agreed(entries: &[Review]) -> Option<Review> {
    let first = entries.first()?;
    if entries.iter().all(|entry| entry.answer == first.answer) {
        return entries.last().cloned();
    }
    let mut unsure = first.clone();
    unsure.answer = Answer::Unknown("approved and rejected at different times".into());
    unsure.user = "several people".into();
    Some(unsure)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::{ApprovalId, BackendId, RunId};

    fn review(environment: u64, answer: Answer, comment: &'static str) -> Review {
        let run = RunId {
            backend: BackendId::new("gh"),
            repo: "acme/recsys".into(),
            id: 7,
        };
        Review {
            id: ApprovalId { run, environment },
            environment: "prod".into(),
            answer,
            user: "ada".into(),
            comment: comment.into(),
        }
    }

    fn answers(reviews: &[Review]) -> Vec<Answer> {
        reviews.iter().map(|review| review.answer.clone()).collect()
    }

    #[test]
    fn the_answer_that_was_not_there_before_is_the_newest() {
        let mut history = History::default();
        let no = review(1, Answer::Rejected, "not yet");
        let yes = review(1, Answer::Approved, "now");
        assert_eq!(
            answers(&history.take(std::slice::from_ref(&no))),
            [Answer::Rejected]
        );
        for order in [[&yes, &no], [&no, &yes]] {
            let told: Vec<Review> = order.into_iter().cloned().collect();
            assert_eq!(answers(&history.take(&told)), [Answer::Approved]);
        }
    }

    #[test]
    fn answers_that_differ_at_first_sight_are_not_guessed_at() {
        let mut history = History::default();
        let told = [
            review(1, Answer::Rejected, "not yet"),
            review(1, Answer::Approved, "now"),
            review(2, Answer::Approved, "fine"),
        ];
        let known = answers(&history.take(&told));
        assert!(matches!(known[0], Answer::Unknown(_)));
        assert_eq!(known[1], Answer::Approved);
    }
}
