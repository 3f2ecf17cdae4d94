//! The configured address.

use url::Url;

use crate::backend::{BackendError, ErrorKind, secret::redact_line};

/// Reads an address below which an API lives.
pub(super) fn parse(written: &str) -> Result<Url, BackendError> {
    let wrong = |why: &str| BackendError::new(ErrorKind::Configuration, redact_line(why));
    // The address itself is not repeated: it may hold a password.
    let base =
        Url::parse(written).map_err(|error| wrong(&format!("no usable address: {error}")))?;
    if !matches!(base.scheme(), "http" | "https") || base.host_str().is_none() {
        return Err(wrong(
            "an address must start with `https://` or `http://` and a host",
        ));
    }
    if !base.username().is_empty() || base.password().is_some() {
        return Err(wrong(
            "an address must not hold credentials; name them as a secret",
        ));
    }
    if base.query().is_some() || base.fragment().is_some() {
        return Err(wrong("an address must not have a query or fragment"));
    }
    Ok(base)
}

/// Whether it is on this machine, where no proxy stands between.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    }
}
