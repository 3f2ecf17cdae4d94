//! The hourly request budget of one token.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::sim::{github::model::Time, http::Reply};

/// Requests an hour a person's token may make.
const LIMIT: u64 = 5000;

/// What every token has left.
#[derive(Debug, Default)]
pub(crate) struct Budgets(BTreeMap<String, Budget>);

#[derive(Debug, Clone, Copy)]
struct Budget {
    used: u64,
    resets: i64,
}

impl Budgets {
    fn at(&mut self, login: &str, now: Time) -> &mut Budget {
        let fresh = Budget {
            used: 0,
            resets: now.timestamp() + 3600,
        };
        let budget = self.0.entry(login.to_owned()).or_insert(fresh);
        if budget.resets <= now.timestamp() {
            *budget = fresh;
        }
        budget
    }

    /// Whether a request may be made at all.
    pub(crate) fn exhausted(&mut self, login: &str, now: Time) -> bool {
        self.at(login, now).used >= LIMIT
    }

    /// Counts one request.
    pub(crate) fn spend(&mut self, login: &str, now: Time) {
        let budget = self.at(login, now);
        budget.used = (budget.used + 1).min(LIMIT);
    }

    /// Puts the budget's headers on an answer.
    pub(crate) fn stamp(&mut self, reply: Reply, login: &str, now: Time) -> Reply {
        let budget = *self.at(login, now);
        reply
            .with("x-ratelimit-limit", LIMIT.to_string())
            .with("x-ratelimit-remaining", (LIMIT - budget.used).to_string())
            .with("x-ratelimit-reset", budget.resets.to_string())
            .with("x-ratelimit-used", budget.used.to_string())
            .with("x-ratelimit-resource", "core")
    }

    /// `GET /rate_limit`, which is itself free.
    pub(crate) fn overview(&mut self, login: &str, now: Time) -> Value {
        let budget = *self.at(login, now);
        let core = json!({"limit": LIMIT, "used": budget.used,
                          "remaining": LIMIT - budget.used, "reset": budget.resets});
        let untouched = |limit: u64| json!({"limit": limit, "used": 0, "remaining": limit, "reset": budget.resets});
        json!({
            "resources": {
                "core": core, "search": untouched(30), "graphql": untouched(5000),
                "integration_manifest": untouched(5000),
            },
            "rate": core,
        })
    }
}
