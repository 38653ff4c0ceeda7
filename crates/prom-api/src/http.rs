//! What all HTTP clients of this workspace share. Invariant: an address, which may hold credentials, is never in a
//! message.

use std::time::Duration;

use reqwest::{Client, ClientBuilder};

/// A client for scrapes, which go to the target itself whatever proxies the environment names, as
/// Prometheus' do.
///
/// # Errors
/// If it cannot be set up.
pub fn direct_client() -> Result<Client, String> {
    build(|| builder().no_proxy())
}

/// A client for servers that may be far away.
///
/// # Errors
/// If it cannot be set up.
pub fn client() -> Result<Client, String> {
    build(builder)
}

fn builder() -> ClientBuilder {
    Client::builder()
        .user_agent(concat!("assay/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(Duration::from_secs(10))
}

fn build(builder: impl Fn() -> ClientBuilder) -> Result<Client, String> {
    // A program that chose a provider keeps it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // A machine without root certificates, such as a bare container, can still be asked over plain HTTP.
    builder().build().or_else(|_| builder().tls_certs_only([]).build()).map_err(|e| e.to_string())
}

/// An error with its innermost cause, the address left out.
#[must_use]
pub fn describe(error: &reqwest::Error) -> String {
    use std::error::Error as _;
    let what = match error {
        e if e.is_timeout() => "timed out",
        e if e.is_connect() => "cannot connect",
        e if e.is_decode() || e.is_body() => "the answer cannot be read",
        _ => "the request failed",
    };
    let mut innermost = error.source();
    while let Some(next) = innermost.and_then(|e| e.source()) {
        innermost = Some(next);
    }
    innermost.map_or(what.to_owned(), |cause| format!("{what}: {cause}"))
}
