//! A configuration read, everything brought up, and the waiting for facts.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::Duration,
};

use tokio::time::{Instant, timeout, timeout_at};

use crate::{
    app::{self, Assembly, Fuse, Handle, Person, clock},
    backend::Feed,
    cli::{Stop, exit::Exit, output::Out, panics},
    config::{self, Config, Found, Surroundings, env, suggest::nearest},
    domain::{
        catalog::Catalog,
        id::{BackendId, EnvironmentName, ServiceName},
        observation::Scope,
        text::Clean,
    },
    engine::{
        clear::Mode,
        world::{LaneId, World},
    },
    store::{Ledger, Paths, Writer},
};

/// Once every feed has spoken, what was said together is given this long to
/// be told together.
const SETTLE: Duration = Duration::from_millis(150);

/// What to say, and to do, where nothing is configured.
pub(super) const NO_SERVICE: &str = "no service is configured: add a `[service.NAME]` section \
                                     (`gonogo init --dry-run` prints one to start from)";

/// What the configuration is read with, in this process.
pub(super) fn surroundings() -> Surroundings {
    Surroundings {
        now: clock::wall(),
        env: env::process(),
    }
}

/// Finds and reads the configuration.
pub(super) fn load(flag: Option<&Path>, out: &mut Out) -> Result<Config, Stop> {
    let surroundings = surroundings();
    let path = match config::locate(flag, env::config()) {
        Found::File { path, .. } => path,
        Found::Nothing { looked, nearby } => {
            return Err(Stop::new(
                Exit::Usage,
                nothing_found(&looked, nearby.as_deref()),
            ));
        }
    };
    let config = config::read(&path, &surroundings)
        .map_err(|problems| Stop::new(Exit::Usage, problems.to_string()))?;
    out.only_ascii(config.ui.ascii);
    Ok(config)
}

fn nothing_found(looked: &[std::path::PathBuf], nearby: Option<&Path>) -> String {
    let mut text = "there is no configuration yet".to_owned();
    for path in looked {
        text.push_str(&format!("; looked for {}", path.display()));
    }
    if let Some(nearby) = nearby {
        text.push_str(&format!(
            "\n  {} is here, but counts only when it is named: gonogo --config {0}",
            nearby.display()
        ));
    }
    text.push_str(
        "\n  gonogo demo    shows a release to steer, with nothing to set up\n  \
         gonogo init    writes a configuration from what is around you\n  \
         gonogo --config FILE, or GONOGO_CONFIG, names another",
    );
    text
}

/// Where the ledger of a configuration is.
pub(super) fn paths(config: &Config) -> Result<Paths, Stop> {
    match &config.ledger {
        Some(ledger) => Ok(Paths::with_ledger(ledger.clone())),
        None => Paths::usual().ok_or_else(|| {
            Stop::new(
                Exit::Usage,
                "there is no home folder to keep the ledger in; name one by `ledger = \"PATH\"`",
            )
        }),
    }
}

/// A running gonogo without a screen.
pub(super) struct Session {
    pub(super) handle: Handle,
    pub(super) catalog: std::sync::Arc<Catalog>,
    /// What is let through at most.
    pub(super) mode: Mode,
    /// What each backend speaks for, feed by feed.
    expected: BTreeMap<BackendId, Vec<Scope>>,
}

impl Session {
    /// Brings everything up.
    pub(super) fn start(config: Config) -> Result<Self, Stop> {
        let expected = config
            .backends
            .iter()
            .map(|backend| {
                let scope = |feed: &Feed| match feed {
                    Feed::Poll(poll) => poll.scope(),
                    Feed::Stream(stream) => stream.scope(),
                };
                (
                    backend.id.clone(),
                    backend.feeds.iter().map(scope).collect(),
                )
            })
            .collect();
        let paths = paths(&config)?;
        let (catalog, most) = (config.catalog.clone(), config.mode);
        let handle = app::start(assemble(config, paths)?);
        panics::task_on_request(&handle);
        Ok(Self {
            catalog,
            // BRAKE belongs to the cockpit; read-only binds commands too.
            mode: match most {
                Mode::ReadOnly => Mode::ReadOnly,
                Mode::Brake | Mode::ReadWrite => Mode::ReadWrite,
            },
            expected,
            handle,
        })
    }

    /// Waits until every feed of these backends has answered or failed once.
    /// Returns `false` when the time was not enough.
    pub(super) async fn wait_for(
        &mut self,
        backends: &BTreeSet<BackendId>,
        most: Duration,
    ) -> bool {
        let until = Instant::now() + most;
        let expected: Vec<Scope> = backends
            .iter()
            .filter_map(|backend| self.expected.get(backend))
            .flatten()
            .cloned()
            .collect();
        let heard = |world: &World| {
            expected.iter().all(|scope| {
                world
                    .scopes
                    .get(scope)
                    .is_some_and(|state| state.proved_at.is_some() || state.trouble.is_some())
            })
        };
        let mut worlds = self.handle.worlds();
        let all = {
            let waited = timeout_at(until, worlds.wait_for(|world| heard(world))).await;
            matches!(waited, Ok(Ok(_)))
        };
        // What belongs to the same look may still be on its way to the world.
        while all
            && timeout(SETTLE, worlds.changed())
                .await
                .is_ok_and(|told| told.is_ok())
        {
            if until <= Instant::now() {
                break;
            }
        }
        all
    }

    /// Everything a decision about a lane may depend on.
    pub(super) fn backends_of(&self, lanes: &[LaneId]) -> BTreeSet<BackendId> {
        let mut backends = BTreeSet::new();
        for (name, environment) in lanes {
            let Some(service) = self.catalog.services.get(name) else {
                continue;
            };
            backends.extend(service.run.iter().map(|run| run.backend.clone()));
            backends.extend(
                service
                    .model
                    .iter()
                    .map(|model| model.model.backend.clone()),
            );
            let here = service
                .metrics
                .iter()
                .filter(|metric| metric.id.environment == *environment);
            backends.extend(here.map(|metric| metric.backend.clone()));
            let place = service
                .places
                .iter()
                .find(|place| place.environment == *environment);
            backends.extend(place.map(|place| place.target.backend.clone()));
        }
        backends
    }

    /// Ends everything in an orderly way.
    pub(super) async fn end(self) {
        self.handle.shutdown().await;
    }
}

/// The operating system's name for who sits here.
pub(super) fn person() -> Clean {
    Clean::name(&whoami::username())
}

/// Puts together what the app starts from.
pub(super) fn assemble(config: Config, paths: Paths) -> Result<Assembly, Stop> {
    let kill = env::kill_at()
        .map(|point| point.parse::<Fuse>())
        .transpose()
        .map_err(|why| Stop::new(Exit::Usage, why))?;
    Ok(Assembly {
        catalog: config.catalog,
        backends: config.backends,
        ledger: Ledger::new(paths, Writer::this_process()),
        person: Person { os_user: person() },
        now: clock::wall(),
        kill,
    })
}

/// The lanes somebody means, all of them when nothing is named.
pub(super) fn lanes(
    catalog: &Catalog,
    service: Option<&str>,
    environment: Option<&str>,
) -> Result<Vec<LaneId>, Stop> {
    if let Some(name) = service {
        known_service(catalog, name)?;
    }
    let lanes: Vec<LaneId> = catalog
        .services
        .values()
        .filter(|spec| service.is_none_or(|name| spec.name.as_str() == name))
        .flat_map(|spec| {
            let places = spec.places.iter();
            places.map(|place| (spec.name.clone(), place.environment.clone()))
        })
        .filter(|(_, place)| environment.is_none_or(|name| place.as_str() == name))
        .collect();
    if let (true, Some(name)) = (lanes.is_empty(), environment) {
        return Err(unknown(
            "environment",
            name,
            catalog.environments.keys().map(EnvironmentName::as_str),
        ));
    }
    Ok(lanes)
}

/// The one lane an act is for: the environment is named where there are several.
pub(super) fn lane(
    catalog: &Catalog,
    service: &str,
    environment: Option<&str>,
) -> Result<LaneId, Stop> {
    let found = lanes(catalog, Some(service), environment)?;
    match found.as_slice() {
        [one] => Ok(one.clone()),
        several => {
            let names: Vec<&str> = several.iter().map(|(_, name)| name.as_str()).collect();
            Err(Stop::new(
                Exit::Usage,
                format!(
                    "service `{service}` has several environments: name one by --env ({})",
                    names.join(", ")
                ),
            ))
        }
    }
}

fn known_service(catalog: &Catalog, name: &str) -> Result<(), Stop> {
    if catalog.services.contains_key(&ServiceName::new(name)) {
        return Ok(());
    }
    Err(unknown(
        "service",
        name,
        catalog.services.keys().map(ServiceName::as_str),
    ))
}

fn unknown<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a str>) -> Stop {
    let known: Vec<&str> = known.collect();
    let meant = nearest(name, known.iter().copied())
        .map(|near| format!("; did you mean `{near}`?"))
        .unwrap_or_default();
    let list = if known.is_empty() {
        "none".to_owned()
    } else {
        known.join(", ")
    };
    Stop::new(
        Exit::Usage,
        format!("no {what} `{name}`{meant} (configured: {list})"),
    )
}
