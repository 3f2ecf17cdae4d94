//! Puts a world together and plays its past.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use chrono::{DateTime, Utc};
use serde_json::Value;
use tokio::{sync::Notify, task::JoinHandle};

use crate::sim::{
    causes,
    clock::Clock,
    director::{Director, Stage, span},
    endpoints::{
        Endpoints, GitHubEndpoint, KubernetesEndpoint, MlFlowEndpoint, PrometheusEndpoint,
        TOKEN_FILES,
    },
    error::SimError,
    github::{self, GitHub, Hub, LogStore},
    http::{FaultSwitch, router},
    kubernetes::{Cluster, Persona},
    mlflow::{Account, MlFlow, Registry},
    prometheus::{Database, Generator, Prometheus, millis},
    scenario::{Role, Scenario, fill_text},
    serve::{Port, Server},
};

/// Seconds that are played before the start: of the scenario, and of the clock.
const PAST: f64 = 3600.0;
/// Seconds of a scenario between two scrapes.
const SCRAPE: f64 = 5.0;

/// The parts of a running world.
pub(crate) struct World {
    pub(crate) scenario: String,
    pub(crate) endpoints: Endpoints,
    /// Who the demo is opened as.
    pub(crate) login: String,
    /// Configuration with only the credentials' folder left to fill in.
    config: String,
    pub(crate) cluster: Cluster,
    hub: Arc<Mutex<Hub>>,
    registry: Arc<Mutex<Registry>>,
    servers: Vec<Server>,
    tasks: Vec<JoinHandle<()>>,
}

/// A clock that can be held in the past.
#[derive(Clone)]
struct Stopwatch {
    held: Arc<Mutex<Option<DateTime<Utc>>>>,
}

impl Stopwatch {
    fn over(clock: &Clock) -> (Self, Clock) {
        let held: Arc<Mutex<Option<DateTime<Utc>>>> = Arc::default();
        let (read, real) = (Arc::clone(&held), clock.clone());
        let now = move || {
            let held = *read.lock().unwrap_or_else(PoisonError::into_inner);
            held.unwrap_or_else(|| real.now())
        };
        (Self { held }, Clock::new(Arc::new(now), clock.speed()))
    }

    fn hold(&self, at: Option<DateTime<Utc>>) {
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = at;
    }
}

/// Starts a world; see [`crate::sim::Sim::start`].
pub(crate) async fn start(scenario: &Scenario, real: Clock) -> Result<World, SimError> {
    let ports = Ports::bind().await?;
    let secret = uuid::Uuid::now_v7().simple().to_string();
    let token = |backend: &str, login: &str| format!("demo-{backend}-{login}-{secret}");
    let (watch, clock) = Stopwatch::over(&real);
    let (now, speed) = (real.now(), real.speed());
    // Whoever looks back an hour finds one, however fast the story goes.
    let story = now - span(PAST, speed);
    let past = story.min(now - span(PAST, 1.0));
    let login = scenario
        .personas
        .first()
        .map(|me| me.login.clone())
        .unwrap_or_default();

    let hub = github::hub(scenario, speed, past, ports.github.url(), |login| {
        token("github", login)
    });
    let hub = Arc::new(Mutex::new(hub));
    let accounts = scenario
        .personas
        .iter()
        .map(|persona| Account {
            login: persona.login.clone(),
            token: token("mlflow", &persona.login),
            may_write: persona.may_write,
        })
        .collect();
    let registry = Registry::seeded(&scenario.models, accounts, past, |s| now + span(s, speed));
    let registry = Arc::new(Mutex::new(registry));
    let database = Database::new(millis(SCRAPE / speed), past.timestamp_millis());
    let database = Arc::new(Mutex::new(database));
    let prometheus = Prometheus::new(
        Arc::clone(&database),
        ports.prometheus.url().replace("http://", ""),
        scenario
            .personas
            .iter()
            .map(|p| token("prometheus", &p.login))
            .collect(),
        past.timestamp_millis(),
    );
    let cluster = peopled(Cluster::new(real.clone()), scenario, &token);
    let (source, source_clock) = (prometheus.clone(), clock.clone());
    cluster.set_metric_source(Arc::new(move |query: &str| {
        source.values(
            query,
            source_clock.speed(),
            source_clock.now().timestamp_millis(),
        )
    }));

    let stage = Stage {
        hub: Arc::clone(&hub),
        registry: Arc::clone(&registry),
        database: Arc::clone(&database),
        generator: Generator::new(scenario.traffic.clone()),
        cluster: cluster.clone(),
        github_faults: FaultSwitch::default(),
        mlflow_faults: FaultSwitch::default(),
        prometheus_faults: FaultSwitch::default(),
    };
    let faults = [
        &stage.github_faults,
        &stage.mlflow_faults,
        &stage.prometheus_faults,
    ]
    .map(FaultSwitch::clone);
    let mut director = Director::new(stage, scenario.script.clone(), now, speed);
    cluster.begin_at(past);
    watch.hold(Some(past));
    apply_manifests(&cluster, scenario, &ports)?;
    // Before the story nothing changes, so a measurement now and then will do.
    director.stride = (millis(speed) / 1000).max(1);
    relive(&mut director, &watch, past, story);
    director.stride = 1;
    relive(&mut director, &watch, story, now);
    watch.hold(None);

    let endpoints = endpoints(scenario, &ports, &hub, &token, &login);
    let config = filled_config(scenario, &endpoints, speed)?;
    let bell = Arc::new(Notify::new());
    let causes = causes::router(director.inbox.clone(), Arc::clone(&bell));
    let logs = LogStore::new(ports.logs.url());
    let site = GitHub::new(Arc::clone(&hub), logs.clone(), Arc::clone(&bell));
    let [github_faults, mlflow_faults, prometheus_faults] = faults;
    let registry_site = MlFlow::new(Arc::clone(&registry));
    let serve = |port: Port, site: Arc<dyn crate::sim::http::Site>, faults: FaultSwitch| {
        port.serve(router(site, faults.clone(), clock.clone()), faults)
    };
    let servers = vec![
        serve(ports.github, Arc::new(site), github_faults.clone()),
        serve(ports.logs, Arc::new(logs), github_faults),
        serve(ports.mlflow, Arc::new(registry_site), mlflow_faults),
        serve(ports.prometheus, Arc::new(prometheus), prometheus_faults),
        ports
            .kubernetes
            .serve(cluster.router().merge(causes), FaultSwitch::default()),
    ];
    let tasks = vec![
        cluster.start(),
        tokio::spawn(director.run(clock.clone(), bell)),
    ];
    Ok(World {
        scenario: scenario.name.clone(),
        endpoints,
        login,
        config,
        cluster,
        hub,
        registry,
        servers,
        tasks,
    })
}

/// The cluster with the personas let in.
fn peopled(cluster: Cluster, scenario: &Scenario, token: &dyn Fn(&str, &str) -> String) -> Cluster {
    for (number, persona) in scenario.personas.iter().enumerate() {
        let make = match persona.role {
            Role::Admin => Persona::admin,
            Role::ReleaseManager => Persona::release_manager,
            Role::Viewer => Persona::viewer,
        };
        let user = make(&token("kubernetes", &persona.login), &persona.login);
        if number == 0 {
            // kubectl keeps its token to itself where there is no TLS.
            cluster.set_anonymous(Some(user.clone()));
        }
        cluster.add_user(user);
    }
    cluster
}

struct Ports {
    github: Port,
    logs: Port,
    mlflow: Port,
    prometheus: Port,
    kubernetes: Port,
}

impl Ports {
    async fn bind() -> Result<Self, SimError> {
        let bind = async |backend: &'static str| {
            Port::bind()
                .await
                .map_err(|source| SimError::Bind { backend, source })
        };
        Ok(Self {
            github: bind("github").await?,
            logs: bind("github logs").await?,
            mlflow: bind("mlflow").await?,
            prometheus: bind("prometheus").await?,
            kubernetes: bind("kubernetes").await?,
        })
    }
}

fn apply_manifests(cluster: &Cluster, scenario: &Scenario, ports: &Ports) -> Result<(), SimError> {
    for object in scenario.manifests(&ports.prometheus.url()) {
        let name = named(&object);
        cluster
            .apply(object)
            .map_err(|why| SimError::Object { object: name, why })?;
    }
    Ok(())
}

fn named(object: &Value) -> String {
    let text = |path: &str| {
        object
            .pointer(path)
            .and_then(Value::as_str)
            .unwrap_or("?")
            .to_owned()
    };
    format!(
        "{} {}/{}",
        text("/kind"),
        text("/metadata/namespace"),
        text("/metadata/name")
    )
}

/// Plays a stretch of the past.
///
/// The cluster is led up to each moment first, so that whatever happens then
/// meets what had become of everything before.
fn relive(director: &mut Director, watch: &Stopwatch, past: DateTime<Utc>, until: DateTime<Utc>) {
    let mut at = past;
    loop {
        director.stage.cluster.live_until(at);
        watch.hold(Some(at));
        director.play(at);
        if at >= until {
            return;
        }
        at = director
            .next(at)
            .max(at + chrono::TimeDelta::milliseconds(1))
            .min(until);
    }
}

fn endpoints(
    scenario: &Scenario,
    ports: &Ports,
    hub: &Mutex<Hub>,
    token: &dyn Fn(&str, &str) -> String,
    login: &str,
) -> Endpoints {
    let focus = &scenario.focus;
    let run_id = hub
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .newest_run(&focus.repo, &focus.workflow)
        .unwrap_or_default();
    Endpoints {
        github: GitHubEndpoint {
            url: ports.github.url(),
            token: token("github", login),
            repo: focus.repo.clone(),
            workflow: focus.workflow.clone(),
            run_id,
        },
        mlflow: MlFlowEndpoint {
            url: ports.mlflow.url(),
            token: token("mlflow", login),
            model: focus.model.clone(),
        },
        prometheus: PrometheusEndpoint {
            url: ports.prometheus.url(),
            token: token("prometheus", login),
            query: focus.query.clone(),
        },
        kubernetes: KubernetesEndpoint {
            url: ports.kubernetes.url(),
            token: token("kubernetes", login),
            namespace: focus.namespace.clone(),
            rollout: focus.rollout.clone(),
        },
    }
}

/// The configuration with addresses and durations filled in.
fn filled_config(
    scenario: &Scenario,
    endpoints: &Endpoints,
    speed: f64,
) -> Result<String, SimError> {
    let lookup = |name: &str| match name {
        "github.url" => Some(endpoints.github.url.clone()),
        "mlflow.url" => Some(endpoints.mlflow.url.clone()),
        "prometheus.url" => Some(endpoints.prometheus.url.clone()),
        other => match other.split_once(' ')? {
            ("for", written) => shortened(written, speed),
            // What is counted in a window shrinks with the window.
            ("per", written) => {
                let number: f64 = written.parse().ok()?;
                Some(format!("{:.1}", number / speed))
            }
            _ => None,
        },
    };
    let config = fill_text(&scenario.config, true, &lookup);
    let table: Result<toml::Table, toml::de::Error> = config.parse();
    table.map(|_| config).map_err(|error| SimError::Config {
        scenario: scenario.name.clone(),
        why: error.to_string(),
    })
}

/// A written duration divided by the speed, in whole milliseconds or seconds.
fn shortened(written: &str, speed: f64) -> Option<String> {
    let whole: Duration = humantime::parse_duration(written).ok()?;
    let millis = Duration::try_from_secs_f64(whole.as_secs_f64() / speed)
        .ok()?
        .as_millis()
        .max(1);
    Some(if millis % 1000 == 0 {
        format!("{}s", millis / 1000)
    } else {
        format!("{millis}ms")
    })
}

impl World {
    pub(crate) fn config_toml(&self, dir: &Path) -> String {
        let file = |name: &str| dir.join(name).to_string_lossy().into_owned();
        fill_text(&self.config, true, &|name| match name {
            "kubeconfig" => Some(file("kubeconfig")),
            other => {
                let token = TOKEN_FILES.iter().find(|known| **known == other)?;
                Some(format!("file:{}", file(token)))
            }
        })
    }

    pub(crate) fn acts(&self) -> Vec<String> {
        let hub = self.hub.lock().unwrap_or_else(PoisonError::into_inner);
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        let github = hub
            .acts
            .iter()
            .map(|act| format!("github {} {}", act.by, act.what));
        let mlflow = registry.acts.iter().map(|act| format!("mlflow {act}"));
        github.chain(mlflow).collect()
    }

    pub(crate) async fn stop(self) {
        for task in &self.tasks {
            task.abort();
        }
        for task in self.tasks {
            // Aborted on purpose: the only error there can be.
            drop(task.await);
        }
        for server in self.servers {
            server.stop().await;
        }
    }
}
