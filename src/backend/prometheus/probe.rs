//! Answers `doctor` about a Prometheus server: every configured query is tried
//! once, and what it comes to is said.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;

use crate::{
    backend::{
        BackendError, Check, ErrorKind, Now, Probe,
        prometheus::{
            api::Api,
            ask::{self, Instant},
            map, poll,
        },
    },
    domain::{
        catalog::{Catalog, MetricSpec},
        id::{BackendId, ServiceName},
        measure::{Arm, Sample},
        text::Clean,
    },
};

/// What to do about a clock that is wrong.
const WRONG_CLOCK: &str =
    "set the clocks by NTP; queries are asked by the server's clock meanwhile";

/// Looks once at everything.
pub(super) struct PrometheusProbe {
    pub(super) id: BackendId,
    pub(super) api: Arc<Api>,
    pub(super) catalog: Arc<Catalog>,
    pub(super) fresh: Arc<BTreeMap<ServiceName, Clean>>,
    pub(super) now: Now,
}

#[async_trait]
impl Probe for PrometheusProbe {
    async fn read_files(&self) -> Result<(), BackendError> {
        self.api.check_files().await
    }

    async fn probe(&self) -> Vec<Check> {
        let mut checks = Vec::new();
        match self.api.ready().await {
            Ok(_) => checks.push(Check::good("reach", self.api.base().as_str())),
            // Servers that only speak the query API have no such page.
            Err(error) if error.kind == ErrorKind::NotFound => {}
            Err(error) => return vec![Check::failed("reach", &error)],
        }
        match self.api.version().await {
            Ok((version, answer)) => {
                checks.push(Check::good(
                    "version",
                    version.as_deref().unwrap_or("not told"),
                ));
                checks.extend(answer.skew_ms().map(|skew| Check::clock(skew, WRONG_CLOCK)));
            }
            Err(error) => {
                checks.push(Check::failed("version", &error));
                return checks;
            }
        }
        let ours = (self.now)();
        let at = Instant {
            ours,
            theirs: self.api.server_time(ours),
        };
        for (service, query) in self.fresh.iter() {
            let what = format!("fresh {service}");
            checks.push(match ask::newest_sample(&self.api, query, at).await {
                Ok(stamp) => {
                    let age = (ours - stamp).num_seconds();
                    Check::good(&what, &format!("the newest sample is {age} s old"))
                }
                Err(error) => Check::failed(&what, &error),
            });
        }
        for spec in poll::specs(&self.catalog, &self.id) {
            for (arm, query) in ask::queries(spec) {
                checks.push(self.query(spec, arm, query, at).await);
            }
        }
        checks
    }
}

impl PrometheusProbe {
    async fn query(&self, spec: &MetricSpec, arm: Arm, query: &str, at: Instant) -> Check {
        let id = &spec.id;
        let what = format!(
            "query {}/{}/{} {}",
            id.service,
            id.environment,
            id.metric,
            arm.name()
        );
        let sample = match ask::instant(&self.api, spec, query, at).await {
            Ok((sample, _)) => sample,
            Err(error) => return Check::failed(&what, &error),
        };
        let remedy = match &sample {
            Sample::Value(_) => {
                let unit = if arm == Arm::Traffic { "" } else { &*spec.unit };
                let seen = format!("{} {unit}", map::describe(&sample));
                return Check::good(&what, seen.trim_end());
            }
            Sample::Empty => "fine while nothing runs; else check names and labels in the query",
            Sample::NotFinite(_) => "fine while there is no traffic; else check what it divides by",
            Sample::Several(_) => "set `aggregate`, or aggregate in the query",
            Sample::NotNumeric(_) => "ask for one number",
        };
        Check::remark(&what, &map::describe(&sample), remedy)
    }
}
