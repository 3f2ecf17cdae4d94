//! The stream of one namespace: lists and watches in, joined facts out.
//!
//! The first event after quiet is told at once; only what follows within the
//! time of a frame is told together, so that a burst about one rollout is one
//! fact. While an action is under way its target is also asked for directly:
//! that answer proves an effect even if the watch is quiet.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::{
    sync::{mpsc, watch},
    task::{JoinError, JoinSet},
    time::{self, Instant},
};

use crate::{
    backend::{
        BackendError, ErrorKind, Focus, Outlet, Stream,
        kubernetes::{
            client::Connection,
            encode::segment,
            kind::{Family, Kind, Object},
            reflect::{Change, Reflector},
            view::View,
        },
    },
    domain::{Timestamp, id::TargetId, observation::Scope, text::Clean},
};

/// Changes that wait to be taken in.
const WAITING: usize = 256;
/// After something was told, what follows within this time is told together:
/// a little less than frames of a burst are apart, so that nobody waits for it.
const BURST: Duration = Duration::from_millis(30);
/// How often a target under action is asked for.
const LOOK: Duration = Duration::from_secs(1);
/// Lists asked for by people keep this distance, however fast the key repeats.
const LIST: Duration = Duration::from_secs(1);

/// Everything of one namespace.
pub(super) struct Namespace {
    link: Arc<Connection>,
    name: Clean,
    deployments: BTreeSet<Clean>,
    targets: BTreeSet<TargetId>,
}

impl Namespace {
    /// One namespace with the Deployments looked at in it; `targets` are all of
    /// the backend.
    pub(super) fn new(
        link: Arc<Connection>,
        name: Clean,
        deployments: BTreeSet<Clean>,
        targets: &BTreeSet<TargetId>,
    ) -> Self {
        let targets = targets.iter().filter(|target| target.namespace == name);
        Self {
            targets: targets.cloned().collect(),
            link,
            name,
            deployments,
        }
    }

    /// One Deployment can be asked for by name; several are picked from the list.
    fn narrowed(&self, kind: Kind) -> Option<String> {
        match (kind, self.deployments.len(), self.deployments.first()) {
            (Kind::Deployments, 1, Some(name)) => {
                Some(format!("fieldSelector=metadata.name%3D{}", segment(name)))
            }
            _ => None,
        }
    }
}

#[async_trait]
impl Stream for Namespace {
    fn scope(&self) -> Scope {
        Scope::new(&self.link.backend, Kind::Rollouts.part(&self.name))
    }

    async fn stream(
        &mut self,
        outlet: &Outlet,
        focus: watch::Receiver<Focus>,
    ) -> Result<(), BackendError> {
        let view = View::new(
            self.link.backend.clone(),
            self.name.clone(),
            self.deployments.clone(),
        );
        let (tell, changes) = mpsc::channel(WAITING);
        let relist = watch::Sender::new(0);
        let mut lists = JoinSet::new();
        for kind in view.families().into_iter().flat_map(Family::kinds) {
            let reflector = Reflector {
                link: self.link.clone(),
                kind: *kind,
                namespace: self.name.clone(),
                narrowed: self.narrowed(*kind),
                outlet: tell.clone(),
                relist: relist.subscribe(),
            };
            lists.spawn(reflector.run());
        }
        let joiner = Joiner {
            namespace: self,
            view,
            relist,
            looks: JoinSet::new(),
            forbidden: false,
        };
        joiner.run(outlet, focus, changes, lists).await
    }
}

/// Puts together what the lists tell.
struct Joiner<'a> {
    namespace: &'a Namespace,
    view: View,
    relist: watch::Sender<u64>,
    /// Targets being asked for.
    looks: JoinSet<Change>,
    /// Single objects may not be read: asking again and again is no use.
    forbidden: bool,
}

impl Joiner<'_> {
    async fn run(
        mut self,
        outlet: &Outlet,
        mut focus: watch::Receiver<Focus>,
        mut changes: mpsc::Receiver<Change>,
        mut lists: JoinSet<Result<(), BackendError>>,
    ) -> Result<(), BackendError> {
        let now = self.namespace.link.now.clone();
        let mut refreshed = focus.borrow_and_update().refresh;
        let mut told_at: Option<Instant> = None;
        let mut look_at = Instant::now();
        let (mut listed_at, mut list_at): (Option<Instant>, Option<Instant>) = (None, None);
        loop {
            let urgent = self.is_urgent(&focus.borrow());
            let tell_at = told_at.map_or_else(Instant::now, |told| told + BURST);
            tokio::select! {
                biased;
                () = outlet.closed() => return Ok(()),
                Some(change) = changes.recv() => {
                    self.view.apply(change, now());
                    while let Ok(change) = changes.try_recv() {
                        self.view.apply(change, now());
                    }
                }
                Some(ended) = lists.join_next() => return finished(ended).await,
                Some(looked) = self.looks.join_next() => {
                    let looked = finished(looked).await;
                    self.looked(looked, now());
                }
                changed = focus.changed() => {
                    if changed.is_err() {
                        return Ok(());
                    }
                    let wanted = focus.borrow_and_update().clone();
                    self.forbidden = false;
                    if wanted.refresh != refreshed {
                        refreshed = wanted.refresh;
                        // The last of many is heeded as well.
                        let earliest = listed_at.map_or_else(Instant::now, |listed| listed + LIST);
                        list_at.get_or_insert(earliest);
                    }
                    look_at = Instant::now();
                }
                () = time::sleep_until(look_at), if urgent => {
                    self.look(&focus.borrow());
                    look_at = Instant::now() + LOOK;
                }
                () = time::sleep_until(list_at.unwrap_or(tell_at)), if list_at.is_some() => {}
                () = time::sleep_until(tell_at), if self.view.has_news() => {}
            }
            if list_at.is_some_and(|at| at <= Instant::now()) {
                self.relist.send_modify(|round| *round += 1);
                (listed_at, list_at) = (Some(Instant::now()), None);
            }
            let may_tell = told_at.is_none_or(|told| told + BURST <= Instant::now());
            if may_tell && self.view.has_news() {
                for observation in self.view.news(now()) {
                    if outlet.send(observation).await.is_err() {
                        return Ok(());
                    }
                }
                told_at = Some(Instant::now());
            }
        }
    }

    fn is_urgent(&self, focus: &Focus) -> bool {
        focus.urgent.contains(&self.namespace.link.backend) && !self.forbidden
    }

    /// Asks for the target on screen, or for all when nothing is on screen.
    fn look(&mut self, focus: &Focus) {
        if !self.looks.is_empty() {
            return;
        }
        let on_screen = focus
            .target
            .as_ref()
            .filter(|target| self.namespace.targets.contains(*target));
        let targets: Vec<TargetId> = match (&focus.target, on_screen) {
            (_, Some(target)) => vec![target.clone()],
            (Some(target), None) if target.backend == self.namespace.link.backend => Vec::new(),
            (Some(_) | None, None) => self.namespace.targets.iter().cloned().collect(),
        };
        for target in targets {
            let link = self.namespace.link.clone();
            self.looks.spawn(async move { look(&link, &target).await });
        }
    }

    fn looked(&mut self, change: Change, now: Timestamp) {
        if let Change::Overlooked { retry: None, .. } = change {
            self.forbidden = true;
        }
        self.view.apply(change, now);
    }
}

/// Asks for one object.
async fn look(link: &Connection, target: &TargetId) -> Change {
    let kind = Family::from(target.kind).primary();
    let path = format!(
        "{}/{}",
        kind.collection(&target.namespace),
        segment(&target.name)
    );
    let doing = format!(
        "get {} `{}` in `{}`",
        kind.plural(),
        target.name,
        target.namespace
    );
    let answer = link.get(&path, &doing).await;
    let at = (link.now)();
    let trouble = |error: BackendError| Change::Overlooked {
        kind,
        at,
        retry: (error.kind != ErrorKind::Forbidden).then_some(LOOK),
        error,
    };
    match answer {
        Ok(answer) => match Object::read(kind, answer.body) {
            Ok(object) => Change::Looked {
                kind,
                name: target.name.clone(),
                asked: answer.asked,
                at: answer.at,
                object: Some(object),
            },
            Err(broken) => Change::Spoilt(kind, broken),
        },
        Err(error) if error.kind == ErrorKind::NotFound => Change::Looked {
            kind,
            name: target.name.clone(),
            asked: at,
            at,
            object: None,
        },
        Err(error) => trouble(error),
    }
}

/// What a task of ours ended with; its panic is ours. One that was cancelled
/// was so by the end of the runtime, which ends whoever waits here too.
async fn finished<T>(ended: Result<T, JoinError>) -> T {
    match ended.map_err(JoinError::try_into_panic) {
        Ok(result) => result,
        Err(Ok(panic)) => std::panic::resume_unwind(panic),
        Err(Err(_cancelled)) => std::future::pending().await,
    }
}
