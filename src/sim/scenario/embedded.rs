//! The scenarios and parts that ship inside the program.

/// Name and text of each scenario, in the order to show them.
pub(crate) const SCENARIOS: &[(&str, &str)] =
    &[("canary", include_str!("../../../assets/demo/canary.toml"))];

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
        "policy-high",
        include_str!("../../../assets/demo/parts/policy-high.toml"),
    ),
];
