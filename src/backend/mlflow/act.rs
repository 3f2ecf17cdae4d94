//! Moves an alias: looks, sends one request, reads back.
//!
//! MLflow has no compare-and-swap: setting an alias overwrites whatever is
//! there. So the alias is read right before, and the request goes out only if
//! it still points where the giver saw it; what is left is the time between
//! two requests. Afterwards it is read back, and what another writer did
//! meanwhile is told, never fought. Nothing but the one alias is written: the
//! bookkeeping of a promotion (`previous-champion`) is an order of its own.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::time::{Instant, sleep, timeout_at};

use crate::{
    backend::{
        BackendError, ErrorKind, ModelControls, Now,
        http::Auth,
        mlflow::{api::Api, denials::Denials, map},
    },
    domain::{
        action::{ModelOrder, Preview, Receipt},
        id::Version,
        text::Clean,
    },
};

/// Between the first two reads; doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// Moves aliases of one server.
pub(super) struct AliasControls {
    pub(super) api: Api,
    pub(super) auth: Auth,
    pub(super) denials: Arc<Denials>,
    pub(super) now: Now,
    /// How long the new value may take to be read back (read replicas lag).
    pub(super) read_back: Duration,
}

#[async_trait]
impl ModelControls for AliasControls {
    fn preview(&self, order: &ModelOrder) -> Preview {
        let url = self.api.alias_url();
        let body = Api::alias_body(&order.model.name, &order.alias, order.to).to_string();
        let seen = place(order.expected);
        Preview {
            method: "POST",
            path: Clean::line(url.path()),
            content_type: "application/json",
            check: Clean::line(&format!(
                "reads the model right before: {} must be {seen}; reads it back after",
                order.alias
            )),
            command: Clean::line(&format!(
                "curl -fsS{} -H 'Content-Type: application/json' -d {} {}",
                credentials(&self.auth),
                quoted(&body),
                quoted(url.as_str()),
            )),
            body: Clean::line(&body),
        }
    }

    async fn send(&self, order: &ModelOrder) -> Result<Receipt, BackendError> {
        let name = order.model.name.as_str();
        let (current, target) =
            futures::future::try_join(self.alias(order), self.api.version(name, order.to)).await?;
        if current == Some(order.to) {
            return Ok(receipt(format!(
                "nothing sent: {} is {} already",
                order.alias, order.to
            )));
        }
        if current != order.expected {
            return Err(moved(order, current));
        }
        if target.status != "READY" {
            let words = [target.status.as_str(), target.status_message.as_str()];
            return Err(refused(order, &words.join(" ")));
        }
        match self.api.set_alias(name, &order.alias, order.to).await {
            Ok(answer) => {
                self.denials.forget(&order.model);
                let note = self.read_back(order).await;
                Ok(Receipt {
                    status: answer.status.as_u16(),
                    version: None,
                    note,
                })
            }
            Err(error) if error.kind == ErrorKind::Rejected && order.expected.is_none() => {
                self.lost_first_set(order, error).await
            }
            Err(error) => {
                if error.kind == ErrorKind::Forbidden {
                    let why = error.message.clone();
                    self.denials.note(&order.model, (self.now)(), why);
                }
                Err(error)
            }
        }
    }
}

impl AliasControls {
    /// Where the alias points. Read from the model: asked for by name, an
    /// alias that does not exist looks like a request that makes no sense.
    async fn alias(&self, order: &ModelOrder) -> Result<Option<Version>, BackendError> {
        let model = self.api.model(&order.model.name).await?;
        let found = model
            .aliases
            .iter()
            .find(|alias| alias.alias == order.alias.as_str());
        match found {
            None => Ok(None),
            Some(alias) => map::number(&alias.version).map(Some).ok_or_else(|| {
                BackendError::new(
                    ErrorKind::Malformed,
                    Clean::line(&format!(
                        "{} points at `{}`, which is no version number",
                        order.alias, alias.version
                    )),
                )
            }),
        }
    }

    /// Two writers that set an alias for the first time can meet in the
    /// database; the loser gets a 400 with the database's own words. Whether
    /// that was it shows in where the alias points now.
    async fn lost_first_set(
        &self,
        order: &ModelOrder,
        error: BackendError,
    ) -> Result<Receipt, BackendError> {
        match self.alias(order).await {
            Ok(Some(version)) if version == order.to => Ok(receipt(format!(
                "another writer set {} to {} at the same moment",
                order.alias, order.to
            ))),
            Ok(Some(version)) => Err(moved(order, Some(version))),
            Ok(None) | Err(_) => Err(error),
        }
    }

    /// What the alias shows once it was set.
    async fn read_back(&self, order: &ModelOrder) -> Clean {
        let deadline = Instant::now() + self.read_back;
        let mut pause = FIRST_PAUSE;
        loop {
            let seen = timeout_at(deadline, self.alias(order)).await;
            let last = match seen {
                Ok(Ok(Some(version))) if version == order.to => {
                    return Clean::line(&format!("read back: {} is {version}", order.alias));
                }
                // A replica may still show the old value; anything else is
                // somebody else's.
                Ok(Ok(version)) if version == order.expected => {
                    format!("{} still reads {}", order.alias, place(version))
                }
                Ok(Ok(version)) => {
                    return Clean::line(&format!(
                        "conflict: {} reads {} after it was set to {}; another writer moved it, \
                         and it is left as it is",
                        order.alias,
                        place(version),
                        order.to
                    ));
                }
                Ok(Err(error)) => error.to_string(),
                Err(_) => "no answer in time".to_owned(),
            };
            if deadline <= Instant::now() + pause {
                return Clean::line(&format!(
                    "accepted, not read back in {} ms: {last}",
                    self.read_back.as_millis()
                ));
            }
            sleep(pause).await;
            pause *= 2;
        }
    }
}

fn receipt(note: String) -> Receipt {
    Receipt {
        status: 200,
        version: None,
        note: Clean::from(note),
    }
}

fn moved(order: &ModelOrder, current: Option<Version>) -> BackendError {
    BackendError::new(
        ErrorKind::Conflict,
        Clean::line(&format!(
            "registry moved: {} is {}, you saw {}; nothing was written",
            order.alias,
            place(current),
            place(order.expected)
        )),
    )
}

fn refused(order: &ModelOrder, status: &str) -> BackendError {
    BackendError::new(
        ErrorKind::Rejected,
        Clean::line(&format!(
            "{} {} cannot be used ({}); nothing was sent",
            order.model.name,
            order.to,
            status.trim()
        )),
    )
}

fn place(version: Option<Version>) -> String {
    version.map_or_else(|| "unset".to_owned(), |version| version.to_string())
}

/// How a command by hand proves who it is: by variables that MLflow's own
/// client reads, never by their values.
fn credentials(auth: &Auth) -> &'static str {
    match auth {
        Auth::None => "",
        Auth::Bearer(_) => " -H \"Authorization: Bearer $MLFLOW_TRACKING_TOKEN\"",
        Auth::Basic { .. } => " -u \"$MLFLOW_TRACKING_USERNAME:$MLFLOW_TRACKING_PASSWORD\"",
    }
}

/// A word for the shell that means what it says.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
