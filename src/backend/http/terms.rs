//! What a client is made with, and what a request carries.

use std::time::Duration;

use crate::backend::secret::SecretRef;

/// How long and how much a request may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Until the connection stands (name, TCP, TLS).
    pub connect: Duration,
    /// Until an answer has arrived in full; downloads are exempt.
    pub total: Duration,
    /// Between two pieces of an answer.
    pub silence: Duration,
    /// Largest answer, decompressed, in bytes; downloads are exempt.
    pub body: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            total: Duration::from_secs(15),
            silence: Duration::from_secs(15),
            body: 8 * 1024 * 1024,
        }
    }
}

impl Limits {
    /// These limits with another total; what is part of it cannot take longer.
    pub fn within(mut self, total: Duration) -> Self {
        self.total = total;
        self.connect = self.connect.min(total);
        self.silence = self.silence.min(total);
        self
    }
}

/// How we prove who we are. Always in the `Authorization` header, because that
/// is the one header the whole ecosystem knows to keep from strangers.
#[derive(Clone, Debug)]
pub enum Auth {
    /// Not at all.
    None,
    /// `Bearer TOKEN`.
    Bearer(SecretRef),
    /// `Basic user:password`.
    Basic {
        /// The user's name.
        user: String,
        /// The password.
        password: SecretRef,
    },
}

/// What goes out with a request.
#[derive(Clone, Debug)]
pub enum Body {
    /// Nothing.
    Empty,
    /// JSON.
    Json(serde_json::Value),
    /// A form.
    Form(Vec<(String, String)>),
}
