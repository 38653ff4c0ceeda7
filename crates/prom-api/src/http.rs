//! What all HTTP clients of this workspace share. Invariant: an address, which may hold credentials, is never in a
//! message.

use std::time::Duration;

use reqwest::{Client, ClientBuilder, Url, redirect};

/// A client for scrapes, which go to the target itself whatever proxies the environment names, as
/// Prometheus' do.
///
/// # Errors
/// If it cannot be set up.
pub fn direct_client() -> Result<Client, String> {
    build(|| builder().no_proxy())
}

/// A client for a server that may be far away, through the proxy that the environment names for it; one on this
/// machine is never reached through a proxy. A redirect to another server is not followed, for it would take along
/// headers that carry keys, and the query.
///
/// # Errors
/// If it cannot be set up.
pub fn client(server: &Url) -> Result<Client, String> {
    build(|| {
        let builder = builder().redirect(redirect::Policy::custom(|attempt| {
            let asked = attempt.previous().first().map(Url::origin);
            match asked.is_some_and(|asked| asked == attempt.url().origin()) && attempt.previous().len() <= 10
            {
                true => attempt.follow(),
                false => attempt.stop(),
            }
        }));
        if is_loopback(server) { builder.no_proxy() } else { builder }
    })
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

fn builder() -> ClientBuilder {
    Client::builder()
        .user_agent(concat!("assay/", env!("CARGO_PKG_VERSION")))
        // The address that was asked, with its query, is nobody else's business after a redirect.
        .referer(false)
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
