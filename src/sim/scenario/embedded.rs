//! The scenarios and parts that ship inside the program.

/// Name and text of each scenario, in the order to show them.
pub(crate) const SCENARIOS: &[(&str, &str)] = &[
    ("canary", include_str!("../../../assets/demo/canary.toml")),
    (
        "bluegreen",
        include_str!("../../../assets/demo/bluegreen.toml"),
    ),
    ("latency", include_str!("../../../assets/demo/latency.toml")),
    (
        "fairness",
        include_str!("../../../assets/demo/fairness.toml"),
    ),
    ("stuck", include_str!("../../../assets/demo/stuck.toml")),
    ("fleet", include_str!("../../../assets/demo/fleet.toml")),
    ("faults", include_str!("../../../assets/demo/faults.toml")),
    (
        "incident",
        include_str!("../../../assets/demo/incident.toml"),
    ),
    ("hostile", include_str!("../../../assets/demo/hostile.toml")),
];

/// Name and text of each part scenarios are put together from.
pub(crate) const PARTS: &[(&str, &str)] = &[
    (
        "backends",
        include_str!("../../../assets/demo/parts/backends.toml"),
    ),
    (
        "ml-service",
        include_str!("../../../assets/demo/parts/ml-service.toml"),
    ),
    (
        "place",
        include_str!("../../../assets/demo/parts/place.toml"),
    ),
    (
        "place-bluegreen",
        include_str!("../../../assets/demo/parts/place-bluegreen.toml"),
    ),
    (
        "place-deployment",
        include_str!("../../../assets/demo/parts/place-deployment.toml"),
    ),
    (
        "policy-analysis",
        include_str!("../../../assets/demo/parts/policy-analysis.toml"),
    ),
    (
        "policy-high",
        include_str!("../../../assets/demo/parts/policy-high.toml"),
    ),
];
