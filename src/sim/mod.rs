//! The demo's outside world: loopback servers that speak the real APIs.
