//! The reference service under test, and the whole loop in one process.

pub mod service;

/// Sees to it that HTTP clients can be made: reqwest takes the process' provider of cryptography.
pub fn install_tls() {
    // A program that chose a provider keeps it.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// A builder of clients of other services, which are never reached through a proxy. They carry keys in headers and bodies,
/// so a redirect is not followed.
pub(crate) fn client_builder() -> reqwest::ClientBuilder {
    install_tls();
    reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none())
}
