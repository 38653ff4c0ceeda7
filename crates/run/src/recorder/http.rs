//! What all our requests share.
//!
//! Invariant: secrets are in headers and never in messages.

use std::time::Duration;

use reqwest::{Client, ClientBuilder, RequestBuilder};

use super::Auth;

/// A client for scrapes, which go to the target itself whatever proxies the environment names, as
/// Prometheus' do.
pub(crate) fn direct_client() -> Result<Client, String> {
    build(|| builder().no_proxy())
}

/// A client for servers that may be far away.
pub(crate) fn client() -> Result<Client, String> {
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

impl Auth {
    pub(crate) fn apply(&self, request: RequestBuilder) -> RequestBuilder {
        match self {
            Self::None => request,
            Self::Bearer(token) => request.bearer_auth(token),
            Self::Basic(user, password) => request.basic_auth(user, Some(password)),
        }
    }
}

/// An error with its causes, the address left out.
pub(crate) fn whole(error: &reqwest::Error) -> String {
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
