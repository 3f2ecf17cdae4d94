//! The gate strip: one column per class, so that a fleet can be scanned.

use crate::{
    domain::verdict::{Decision, Verdict},
    ui::{line::Line, sign::Sign, theme::Role},
};

/// Accuracy, Latency, Fairness, eXplain, Drift, Quality, Security, Iac.
pub const CLASSES: &str = "ALFXDQSI";

/// What the letters stand for.
pub const LEGEND: &str = "Accuracy Latency Fairness eXplain Drift Quality Security Iac";

/// The same where there is little room; the capital is the column.
pub const SHORT_LEGEND: &str = "Acc Lat Fair eXp Dri Qua Sec Iac";

/// The worst verdict of each class; blank where the policy asks nothing.
pub fn strip(decision: Option<&Decision>) -> Line {
    let mut line = Line::new();
    for class in CLASSES.chars() {
        let worst = decision.and_then(|decision| worst(decision, class));
        line = match worst {
            Some(verdict) => line.sign(Sign::from(verdict)),
            None => line.with(Role::Dim, " "),
        };
    }
    line
}

/// The worst verdict of one class.
pub fn worst(decision: &Decision, class: char) -> Option<Verdict> {
    decision
        .findings
        .iter()
        .filter(|finding| finding.class == class)
        .map(|finding| finding.verdict)
        .min()
}
