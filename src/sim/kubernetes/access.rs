//! Who may do what: bearer tokens, personas, and the reviews about them.
//!
//! A persona is a user with rules in the shape of RBAC. Reading the API's own
//! description and asking about oneself is open to every known persona, as it
//! is in a real cluster.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::sim::kubernetes::managed::stamp;
use crate::sim::kubernetes::problem::Problem;
use crate::sim::kubernetes::request::Address;
use crate::sim::kubernetes::value::Fields;

/// A user of the cluster.
#[derive(Debug, Clone)]
pub struct Persona {
    /// The bearer token that stands for this user.
    pub token: String,
    /// The user name as the cluster knows it.
    pub name: String,
    /// Groups, without the one every known user is in.
    pub groups: Vec<String>,
    /// What the user may do; anything one rule allows is allowed.
    pub rules: Vec<Rule>,
}

/// One permission, in the shape of an RBAC rule.
#[derive(Debug, Clone)]
pub struct Rule {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`,
    /// `deletecollection`, or `*`.
    pub verbs: Vec<String>,
    /// API groups; the core group is the empty text; `*` for all.
    pub groups: Vec<String>,
    /// Plurals, subresources as `rollouts/status`; `*` for all.
    pub resources: Vec<String>,
    /// Namespaces; empty for the whole cluster.
    pub namespaces: Vec<String>,
}

/// Paths every known user may read.
const OPEN_PATHS: &[&str] = &[
    "/api",
    "/api/*",
    "/apis",
    "/apis/*",
    "/healthz",
    "/livez",
    "/openapi",
    "/openapi/*",
    "/readyz",
    "/version",
    "/version/",
];

const READABLE: &[(&str, &[&str])] = &[
    (
        "argoproj.io",
        &[
            "rollouts",
            "rollouts/status",
            "analysisruns",
            "analysistemplates",
            "clusteranalysistemplates",
            "experiments",
        ],
    ),
    ("apps", &["replicasets", "deployments"]),
    (
        "",
        &[
            "pods",
            "pods/log",
            "services",
            "events",
            "namespaces",
            "nodes",
            "configmaps",
        ],
    ),
];

impl Rule {
    /// A rule for one group in the whole cluster.
    pub fn new(group: &str, resources: &[&str], verbs: &[&str]) -> Self {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Self {
            verbs: owned(verbs),
            groups: vec![group.to_owned()],
            resources: owned(resources),
            namespaces: Vec::new(),
        }
    }

    /// The same rule, but only in these namespaces.
    pub fn only_in(mut self, namespaces: &[&str]) -> Self {
        self.namespaces = namespaces.iter().map(|text| (*text).to_owned()).collect();
        self
    }

    fn allows(&self, ask: &Ask<'_>) -> bool {
        let named =
            |list: &[String], asked: &str| list.iter().any(|entry| entry == "*" || entry == asked);
        let place = self.namespaces.is_empty() || named(&self.namespaces, ask.namespace);
        place
            && named(&self.verbs, ask.verb)
            && named(&self.groups, ask.group)
            && named(&self.resources, &ask.full_resource())
    }
}

impl Persona {
    /// A user who may do everything.
    pub fn admin(token: &str, name: &str) -> Self {
        Self::with_rules(
            token,
            name,
            "system:masters",
            vec![Rule::new("*", &["*"], &["*"])],
        )
    }

    /// A user who may look at releases and change nothing.
    pub fn viewer(token: &str, name: &str) -> Self {
        Self::with_rules(token, name, "gonogo:viewers", read_rules())
    }

    /// A user who may look and steer rollouts, analyses and deployments.
    pub fn release_manager(token: &str, name: &str) -> Self {
        let mut rules = read_rules();
        let steered = ["rollouts", "rollouts/status", "analysisruns", "experiments"];
        rules.push(Rule::new("argoproj.io", &steered, &["patch"]));
        rules.push(Rule::new("argoproj.io", &["rollouts"], &["update"]));
        rules.push(Rule::new("apps", &["deployments"], &["patch"]));
        Self::with_rules(token, name, "gonogo:release-managers", rules)
    }

    fn with_rules(token: &str, name: &str, group: &str, rules: Vec<Rule>) -> Self {
        Self {
            token: token.to_owned(),
            name: name.to_owned(),
            groups: vec![group.to_owned()],
            rules,
        }
    }

    fn allows(&self, ask: &Ask<'_>) -> bool {
        self.rules.iter().any(|rule| rule.allows(ask))
    }

    /// Refuses what no rule allows.
    pub(crate) fn check(&self, verb: &str, address: &Address) -> Result<(), Problem> {
        let ask = Ask {
            verb,
            group: address.resource.group,
            resource: address.resource.plural,
            subresource: &address.subresource,
            namespace: &address.namespace,
        };
        if self.allows(&ask) {
            return Ok(());
        }
        let place = if ask.namespace.is_empty() {
            "at the cluster scope".to_owned()
        } else {
            format!("in the namespace \"{}\"", ask.namespace)
        };
        let asked = format!(
            "{verb} resource \"{}\" in API group \"{}\" {place}",
            ask.full_resource(),
            ask.group
        );
        Err(Problem::forbidden(
            address.resource,
            &address.name,
            &self.name,
            &asked,
        ))
    }

    /// The answer to `SelfSubjectAccessReview`.
    pub(crate) fn access_review(&self, review: &Value) -> Value {
        let attributes = review.at("/spec/resourceAttributes");
        let allowed = if attributes.is_object() {
            let ask = Ask {
                verb: attributes.text("/verb"),
                group: attributes.text("/group"),
                resource: attributes.text("/resource"),
                subresource: attributes.text("/subresource"),
                namespace: attributes.text("/namespace"),
            };
            self.allows(&ask)
        } else {
            review
                .text("/spec/nonResourceAttributes/verb")
                .eq_ignore_ascii_case("get")
        };
        let mut answer = review.clone();
        answer.put("/kind", json!("SelfSubjectAccessReview"));
        answer.put("/apiVersion", json!("authorization.k8s.io/v1"));
        answer.put("/metadata", json!({}));
        answer.put("/status/allowed", json!(allowed));
        // The masters are let through before any rule is looked at.
        let group = self
            .groups
            .first()
            .filter(|group| *group != "system:masters");
        if let (true, Some(group)) = (allowed, group) {
            let role = group.trim_end_matches('s').replace(':', "-");
            let why = format!(
                "RBAC: allowed by ClusterRoleBinding \"{role}\" of ClusterRole \"{role}\" to Group \"{group}\""
            );
            answer.put("/status/reason", json!(why));
        }
        answer
    }

    /// The answer to `SelfSubjectRulesReview` for one namespace.
    pub(crate) fn rules_review(&self, review: &Value) -> Value {
        let namespace = review.text("/spec/namespace");
        let mut rules: Vec<Value> = self
            .rules
            .iter()
            .filter(|rule| {
                rule.namespaces.is_empty() || rule.namespaces.iter().any(|name| name == namespace)
            })
            .map(|rule| {
                json!({"verbs": rule.verbs, "apiGroups": rule.groups, "resources": rule.resources})
            })
            .collect();
        rules.push(json!({
            "verbs": ["create"],
            "apiGroups": ["authorization.k8s.io"],
            "resources": ["selfsubjectaccessreviews", "selfsubjectrulesreviews"],
        }));
        rules.push(json!({
            "verbs": ["create"],
            "apiGroups": ["authentication.k8s.io"],
            "resources": ["selfsubjectreviews"],
        }));
        let open = OPEN_PATHS;
        json!({
            "kind": "SelfSubjectRulesReview",
            "apiVersion": "authorization.k8s.io/v1",
            "metadata": {},
            "spec": {},
            "status": {
                "resourceRules": rules,
                "nonResourceRules": [
                    {"verbs": ["get"], "nonResourceURLs": open},
                ],
                "incomplete": false,
            },
        })
    }

    /// The answer to `SelfSubjectReview`.
    pub(crate) fn self_review(&self, now: DateTime<Utc>) -> Value {
        let mut groups = self.groups.clone();
        groups.push("system:authenticated".to_owned());
        json!({
            "kind": "SelfSubjectReview",
            "apiVersion": "authentication.k8s.io/v1",
            "metadata": {"creationTimestamp": stamp(now)},
            "status": {"userInfo": {
                "username": self.name,
                "uid": format!("u-{}", self.name),
                "groups": groups,
            }},
        })
    }
}

fn read_rules() -> Vec<Rule> {
    READABLE
        .iter()
        .map(|(group, resources)| Rule::new(group, resources, &["get", "list", "watch"]))
        .collect()
}

struct Ask<'a> {
    verb: &'a str,
    group: &'a str,
    resource: &'a str,
    subresource: &'a str,
    namespace: &'a str,
}

impl Ask<'_> {
    fn full_resource(&self) -> String {
        if self.subresource.is_empty() {
            self.resource.to_owned()
        } else {
            format!("{}/{}", self.resource, self.subresource)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn review(verb: &str, subresource: &str) -> Value {
        json!({"spec": {"resourceAttributes": {
            "verb": verb, "group": "argoproj.io", "resource": "rollouts",
            "subresource": subresource, "namespace": "shop",
        }}})
    }

    #[test]
    fn a_viewer_may_look_and_not_touch() {
        let viewer = Persona::viewer("t", "vera");
        assert!(
            viewer
                .access_review(&review("get", ""))
                .flag("/status/allowed")
        );
        assert!(
            !viewer
                .access_review(&review("patch", "status"))
                .flag("/status/allowed")
        );
    }

    #[test]
    fn a_release_manager_may_patch_the_status() {
        let manager = Persona::release_manager("t", "ruth");
        let answer = manager.access_review(&review("patch", "status"));
        assert!(answer.flag("/status/allowed"));
        assert!(
            !manager
                .access_review(&review("delete", ""))
                .flag("/status/allowed")
        );
    }

    #[test]
    fn a_rule_can_be_bound_to_a_namespace() {
        let rule = Rule::new("argoproj.io", &["rollouts"], &["patch"]).only_in(&["web"]);
        let narrow = Persona {
            rules: vec![rule],
            ..Persona::viewer("t", "n")
        };
        assert!(
            !narrow
                .access_review(&review("patch", ""))
                .flag("/status/allowed")
        );
    }
}
