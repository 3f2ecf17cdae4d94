//! A started control plane: an administrator's hands, and gonogo's as a persona.

use std::sync::Arc;

use gonogo::{
    app::clock::wall,
    backend::Setup,
    domain::{
        catalog::{Catalog, PlaceSpec, ServiceSpec},
        id::{BackendId, EnvironmentName, PolicyName, ServiceName, TargetId, TargetKind},
        text::Clean,
    },
};
use http::Method;
use serde_json::{Value, json};

use super::named;
use crate::{
    kubernetes::{Bench, build},
    support::setup::setup,
};

/// A real plane with one namespace of this test.
pub(super) struct Plane {
    pub(super) env: Value,
    pub(super) namespace: String,
    admin: kube::Client,
}

impl Plane {
    pub(super) async fn named(namespace: &str) -> Option<Self> {
        let path = named("GONOGO_REAL_PLANE")?;
        let env: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        gonogo::backend::tls::install();
        let kubeconfig = env["personas"]["admin"].as_str().unwrap();
        let kubeconfig = kube::config::Kubeconfig::read_from(kubeconfig).unwrap();
        let options = kube::config::KubeConfigOptions::default();
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options)
            .await
            .unwrap();
        let admin = kube::Client::try_from(config).unwrap();
        let namespace = format!("{namespace}-{}", std::process::id());
        let plane = Self {
            env,
            namespace,
            admin,
        };
        let object =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": plane.namespace}});
        plane.ask(Method::POST, "/api/v1/namespaces", &object).await;
        Some(plane)
    }

    pub(super) async fn ask(&self, method: Method, path: &str, body: &Value) -> Value {
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .header(
                "content-type",
                if path.contains('?') {
                    "application/merge-patch+json"
                } else {
                    "application/json"
                },
            )
            .body(body.to_string().into_bytes())
            .unwrap();
        let text = self.admin.request_text(request).await.unwrap();
        serde_json::from_str(&text).unwrap()
    }

    pub(super) fn path(&self, kind: TargetKind, name: &str) -> String {
        let collection = match kind {
            TargetKind::Rollout => "/apis/argoproj.io/v1alpha1",
            TargetKind::Deployment => "/apis/apps/v1",
        };
        let plural = match kind {
            TargetKind::Rollout => "rollouts",
            TargetKind::Deployment => "deployments",
        };
        format!("{collection}/namespaces/{}/{plural}{name}", self.namespace)
    }

    pub(super) async fn create(&self, kind: TargetKind, name: &str, strategy: Value) {
        let (version, word) = match kind {
            TargetKind::Rollout => ("argoproj.io/v1alpha1", "Rollout"),
            TargetKind::Deployment => ("apps/v1", "Deployment"),
        };
        let object = json!({
            "apiVersion": version,
            "kind": word,
            "metadata": {"name": name},
            "spec": {
                "replicas": 4,
                "selector": {"matchLabels": {"app": name}},
                "template": {
                    "metadata": {"labels": {"app": name}},
                    "spec": {"nodeName": "kwok-0", "containers": [{"name": "app", "image": format!("registry.test/{name}:v1")}]},
                },
                "strategy": strategy,
            },
        });
        self.ask(Method::POST, &self.path(kind, ""), &object).await;
    }

    pub(super) async fn service(&self, name: &str, app: &str) {
        let object = json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name},
            "spec": {"selector": {"app": app}, "ports": [{"port": 80, "targetPort": 8080}]},
        });
        let path = format!("/api/v1/namespaces/{}/services", self.namespace);
        self.ask(Method::POST, &path, &object).await;
    }

    pub(super) async fn set_image(&self, kind: TargetKind, name: &str, tag: &str) {
        let containers = json!([{"name": "app", "image": format!("registry.test/{name}:{tag}")}]);
        let patch = json!({"spec": {"template": {"spec": {"containers": containers}}}});
        let path = format!("{}?fieldManager=test", self.path(kind, &format!("/{name}")));
        self.ask(Method::PATCH, &path, &patch).await;
    }

    pub(super) fn target(&self, kind: TargetKind, name: &str) -> TargetId {
        TargetId {
            backend: BackendId::new("prod"),
            kind,
            namespace: Clean::name(&self.namespace),
            name: Clean::name(name),
        }
    }

    /// A backend as this persona, by a kubeconfig with TLS and a private CA.
    pub(super) fn bench(&self, persona: &str, targets: &[TargetId]) -> Bench {
        Self::bench_by(self.env["personas"][persona].as_str().unwrap(), targets)
    }

    pub(super) fn bench_by(kubeconfig: &str, targets: &[TargetId]) -> Bench {
        let name = ServiceName::new("recsys");
        let places = targets.iter().map(|target| PlaceSpec {
            environment: EnvironmentName::new("real"),
            target: target.clone(),
            container: None,
        });
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
        let catalog = Catalog {
            services: [(name, service)].into(),
            ..Catalog::default()
        };
        let setup = Setup {
            now: wall(),
            ..setup(catalog, &[])
        };
        Bench {
            backend: build(&format!("{{ kubeconfig = '{kubeconfig}' }}"), &setup).unwrap(),
            folder: Arc::new(tempfile::tempdir().unwrap()),
        }
    }
}
