//! What the steps of a job look like at a given moment.

use chrono::TimeDelta;

use crate::sim::github::{
    model::{Job, JobSpec, Life, Time, scaled},
    settle::SET_UP,
};

/// One step as a reader sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StepView {
    pub(crate) number: u64,
    pub(crate) name: String,
    pub(crate) status: &'static str,
    pub(crate) conclusion: Option<&'static str>,
    pub(crate) started: Option<Time>,
    pub(crate) completed: Option<Time>,
    /// Index in the workflow; absent for GitHub's own steps.
    pub(crate) index: Option<usize>,
}

/// The steps of a job: GitHub's own first, the scripted ones, GitHub's own last.
///
/// Empty until a runner has taken the job.
pub(crate) fn steps(job: &Job, spec: &JobSpec, now: Time, speed: f64) -> Vec<StepView> {
    let (starts, ends, cut) = match &job.life {
        Life::Planned {
            starts,
            ends,
            cancelled,
            ..
        } if *starts <= now => (*starts, *ends, *cancelled),
        Life::Over {
            starts: Some(starts),
            ends,
            conclusion,
        } => (*starts, *ends, *conclusion == "cancelled"),
        Life::Waiting { .. } | Life::Planned { .. } | Life::Over { .. } => return Vec::new(),
    };
    let over = job.conclusion().is_some();
    let set_up = scaled(std::time::Duration::from_secs(SET_UP), speed);
    let mut timeline: Vec<(Option<usize>, String, TimeDelta)> =
        vec![(None, "Set up job".to_owned(), set_up)];
    timeline.extend(
        spec.steps
            .iter()
            .enumerate()
            .map(|(index, step)| (Some(index), step.name.clone(), scaled(step.takes, speed))),
    );
    timeline.push((None, "Complete job".to_owned(), TimeDelta::zero()));

    let failing = job.failing.as_ref().map(|(index, _)| *index);
    let mut at = starts;
    let mut stopped = false;
    let mut views = Vec::with_capacity(timeline.len());
    let last = timeline.len();
    for (number, (index, name, takes)) in (1_u64..).zip(timeline) {
        let closing = views.len() + 1 == last;
        let until = at + takes;
        let mut view = StepView {
            number,
            name,
            status: "queued",
            conclusion: None,
            started: None,
            completed: None,
            index,
        };
        if closing {
            if over {
                view.complete("success", ends, ends);
            }
        } else if stopped {
            view.complete("skipped", at, at);
        } else if over && cut && until > ends {
            stopped = true;
            view.complete("cancelled", at, ends);
            at = ends;
        } else if until <= now || over {
            let failed = index.is_some() && index == failing;
            stopped = failed;
            view.complete(
                if failed { "failure" } else { "success" },
                at,
                until.min(ends),
            );
            at = until.min(ends);
        } else if at <= now {
            view.status = "in_progress";
            view.started = Some(at);
            at = until;
        } else {
            at = until;
        }
        views.push(view);
    }
    views
}

impl StepView {
    fn complete(&mut self, conclusion: &'static str, started: Time, completed: Time) {
        self.status = "completed";
        self.conclusion = Some(conclusion);
        self.started = Some(started);
        self.completed = Some(completed);
    }
}
