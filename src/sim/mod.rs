//! The demo's outside world: loopback servers that speak the real APIs.

pub mod clock;
pub mod kubernetes;
