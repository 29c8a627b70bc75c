//! The cryptography of TLS, which the one TLS stack of the process does not choose by itself.

/// Says what it is, unless that was said before. Has to be called before a client is built, or building it panics.
pub fn ready() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}
