//! The Kubernetes backend: against a server that misbehaves in every way, and
//! against the demo's cluster, whose controllers steer real canaries.

mod deployments;
mod faults;
mod orders;
mod refusals;
mod standing;
mod stream;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use gonogo::{
    backend::{Backend, BackendError, Factory, Feed, Focus, REGISTRY, Setup, Stream},
    domain::{
        action::{Receipt, RolloutAction, RolloutOrder, RolloutSeen},
        catalog::{Catalog, PlaceSpec, ServiceSpec},
        id::{BackendId, EnvironmentName, PolicyName, ServiceName, TargetId, TargetKind},
        observation::{Batch, Fact, Observation},
        rollout::Rollout,
    },
    sim::{
        clock::Clock,
        kubernetes::{Cluster, Persona},
    },
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};

use crate::support::setup::setup;

const TOKEN: &str = "planted-cluster-token-1";
/// Nothing on this machine takes longer.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

pub(crate) fn target(kind: TargetKind, name: &str) -> TargetId {
    TargetId {
        backend: BackendId::new("prod"),
        kind,
        namespace: "recsys".into(),
        name: gonogo::domain::text::Clean::name(name),
    }
}

/// A catalog with one service that is rolled out by these objects.
fn catalog(targets: &[TargetId]) -> Catalog {
    let places = targets.iter().map(|target| PlaceSpec {
        environment: EnvironmentName::new("prod-eu"),
        target: target.clone(),
        container: None,
    });
    let name = ServiceName::new("recsys");
    let service = ServiceSpec {
        name: name.clone(),
        run: None,
        branch: None,
        stages: Vec::new(),
        model: None,
        places: places.collect(),
        policy: PolicyName::new("none"),
        metrics: Vec::new(),
        model_from_alias: false,
        mappings: Vec::new(),
    };
    Catalog {
        services: BTreeMap::from([(name, service)]),
        ..Catalog::default()
    }
}

/// A backend with the kubeconfig it reads.
pub(crate) struct Bench {
    pub(crate) backend: Backend,
    pub(crate) folder: Arc<TempDir>,
}

/// A backend for the server at `url` with limits of 300 ms.
pub(crate) fn bench(url: &str, token: &str, targets: &[TargetId]) -> Bench {
    bench_with(
        url,
        token,
        &setup(catalog(targets), &[]),
        "timeout = '300ms', watch_timeout = '400ms'",
    )
}

fn bench_with(url: &str, token: &str, setup: &Setup, settings: &str) -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "clusters": [{"name": "c", "cluster": {"server": url, "insecure-skip-tls-verify": true}}],
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
        "users": [{"name": "u", "user": {"token": token}}],
    });
    let path = folder.path().join("kubeconfig");
    std::fs::write(&path, kubeconfig.to_string()).unwrap();
    let section = format!("{{ kubeconfig = '{}', {settings} }}", path.display());
    let backend = build(&section, setup).unwrap();
    Bench {
        backend,
        folder: Arc::new(folder),
    }
}

pub(crate) fn build(section: &str, setup: &Setup) -> Result<Backend, toml::de::Error> {
    let section = toml::de::ValueDeserializer::parse(section)?;
    factory().build(BackendId::new("prod"), section, setup)
}

fn factory() -> &'static dyn Factory {
    let mut rows = REGISTRY.iter();
    *rows.find(|factory| factory.kind() == "kubernetes").unwrap()
}

impl Bench {
    /// Starts the stream whose scope starts so.
    pub(crate) fn run(&mut self, part: &str) -> Running {
        let place = self.backend.feeds.iter().position(|feed| match feed {
            Feed::Stream(stream) => stream.scope().part.starts_with(part),
            Feed::Poll(_) => false,
        });
        let Feed::Stream(stream) = self.backend.feeds.remove(place.unwrap()) else {
            unreachable!("it was a stream");
        };
        run(stream, self.folder.clone())
    }

    pub(crate) async fn send(&self, order: &RolloutOrder) -> Result<Receipt, BackendError> {
        let controls = self.backend.controls.rollout.clone().unwrap();
        timeout(DEADLINE, controls.send(order)).await.unwrap()
    }
}

pub(crate) fn order(target: &TargetId, action: RolloutAction, seen: RolloutSeen) -> RolloutOrder {
    RolloutOrder {
        target: target.clone(),
        action,
        seen,
    }
}

/// A stream at work.
pub(crate) struct Running {
    pub(crate) told: mpsc::Receiver<Observation>,
    pub(crate) focus: watch::Sender<Focus>,
    task: JoinHandle<Result<(), BackendError>>,
    #[expect(dead_code, reason = "it lives as long as the stream reads it")]
    folder: Arc<TempDir>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn run(mut stream: Box<dyn Stream>, folder: Arc<TempDir>) -> Running {
    let (outlet, told) = mpsc::channel(1024);
    let (focus, looks) = watch::channel(Focus::default());
    let task = tokio::spawn(async move { stream.stream(&outlet, looks).await });
    Running {
        told,
        focus,
        task,
        folder,
    }
}

impl Running {
    /// The next observation; panics when the stream ends or says nothing.
    pub(crate) async fn next(&mut self) -> Observation {
        timeout(DEADLINE, self.told.recv()).await.unwrap().unwrap()
    }

    pub(crate) async fn next_batch(&mut self) -> Batch {
        loop {
            if let Observation::Batch(batch) = self.next().await {
                return batch;
            }
        }
    }

    /// Reads on until a rollout is as wanted.
    pub(crate) async fn until(&mut self, wanted: impl Fn(&Rollout) -> bool) -> (Rollout, Batch) {
        let reading = async {
            loop {
                let batch = self.next_batch().await;
                let found = rollouts(&batch).into_iter().find(|rollout| wanted(rollout));
                if let Some(rollout) = found {
                    return (rollout, batch);
                }
            }
        };
        timeout(DEADLINE, reading).await.unwrap()
    }

    /// How the stream ended.
    async fn end(&mut self) -> Result<(), BackendError> {
        timeout(DEADLINE, &mut self.task).await.unwrap().unwrap()
    }
}

pub(crate) fn rollouts(batch: &Batch) -> Vec<Rollout> {
    batch
        .facts
        .iter()
        .filter_map(|fact| match fact {
            Fact::Rollout(rollout) => Some((**rollout).clone()),
            _ => None,
        })
        .collect()
}

/// A demo cluster on loopback.
struct Plane {
    cluster: Cluster,
    url: String,
    setup: Setup,
    tasks: [JoinHandle<()>; 2],
}

impl Drop for Plane {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Plane {
    async fn start(targets: &[TargetId]) -> Self {
        let setup = setup(catalog(targets), &[]);
        let cluster = Cluster::new(Clock::new(Arc::clone(&setup.now), 1.0));
        cluster.add_user(Persona::release_manager(TOKEN, "jane"));
        cluster.add_user(Persona::viewer("planted-viewer-token", "vera"));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = cluster.router();
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let tasks = [serving, cluster.start()];
        Self {
            cluster,
            url,
            setup,
            tasks,
        }
    }

    /// A cluster with the rollout `ranker` paused at its first step.
    async fn paused() -> (Self, RolloutSeen) {
        let plane = Self::start(&[target(TargetKind::Rollout, "ranker")]).await;
        plane.cluster.apply(ranker()).unwrap();
        plane.until("Healthy").await;
        plane.set_image("v2");
        plane.until("Paused").await;
        let seen = plane.seen();
        (plane, seen)
    }

    fn bench(&self) -> Bench {
        self.bench_as(TOKEN)
    }

    fn bench_as(&self, token: &str) -> Bench {
        bench_with(&self.url, token, &self.setup, "timeout = '2s'")
    }

    fn ranker(&self) -> Value {
        self.cluster.get("Rollout", "recsys", "ranker").unwrap()
    }

    fn status(&self, key: &str) -> Value {
        self.ranker()["status"][key].clone()
    }

    /// What a person who looks now sees.
    fn seen(&self) -> RolloutSeen {
        let object = self.ranker();
        let text = |value: &Value| gonogo::domain::text::Clean::name(value.as_str().unwrap());
        RolloutSeen {
            uid: text(&object["metadata"]["uid"]),
            pod_hash: Some(text(&object["status"]["currentPodHash"])),
            step: object["status"]["currentStepIndex"]
                .as_u64()
                .map(|step| u32::try_from(step).unwrap()),
            paused_since: None,
        }
    }

    fn set_image(&self, tag: &str) {
        let containers = json!([{"name": "app", "image": format!("registry.local/ranker:{tag}")}]);
        let patch = json!({"spec": {"template": {"spec": {"containers": containers}}}});
        self.cluster
            .patch("Rollout", "recsys", "ranker", patch)
            .unwrap();
    }

    /// Waits for a phase that speaks of the newest spec.
    async fn until(&self, phase: &str) {
        self.reach(|object| {
            let observed = object["status"]["observedGeneration"]
                .as_str()
                .unwrap_or_default();
            observed.parse().ok() == object["metadata"]["generation"].as_i64()
                && object["status"]["phase"] == phase
        })
        .await;
    }

    async fn reach(&self, wanted: impl Fn(&Value) -> bool) {
        eventually(|| wanted(&self.ranker())).await;
    }
}

/// Looks again and again until it is so.
async fn eventually(so: impl Fn() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !so() {
        assert!(Instant::now() < end, "it never came to that");
        sleep(Duration::from_millis(5)).await;
    }
}

/// Four pods, a pause at 25 %, then a step at 50 % with another pause.
fn ranker() -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "metadata": {"name": "ranker", "namespace": "recsys"},
        "spec": {
            "replicas": 4,
            "selector": {"matchLabels": {"app": "ranker"}},
            "template": {
                "metadata": {
                    "labels": {"app": "ranker"},
                    "annotations": {"sim.gonogo.dev/ready-after": "10ms"},
                },
                "spec": {"containers": [{"name": "app", "image": "registry.local/ranker:v1"}]},
            },
            "strategy": {"canary": {"maxSurge": 1, "maxUnavailable": 0, "steps": [
                {"setWeight": 25}, {"pause": {}}, {"setWeight": 50}, {"pause": {}},
            ]}},
        },
    })
}
