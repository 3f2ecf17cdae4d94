//! The one place that chooses the TLS library for HTTP and cluster alike.

use std::sync::Once;

/// Makes ring the process's TLS provider. Called before the first client is
/// built; calling it again is harmless. Without it the order in which clients
/// are built decides whether one of them panics.
pub fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        // An error means that somebody was faster; there is a provider then.
        drop(rustls::crypto::ring::default_provider().install_default());
    });
}
