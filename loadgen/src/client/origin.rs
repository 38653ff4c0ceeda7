//! Where requests go: scheme, host and port. Invariant: an [`Origin`] is one that this client can connect to.

use std::{fmt, net::IpAddr};

use base64::Engine as _;
use http::HeaderValue;
use percent_encoding::percent_decode_str;
use url::Url;

/// A server as a URL names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    /// Whether TLS is spoken.
    pub(crate) is_tls: bool,
    /// The host's name or address, an IPv6 address without brackets.
    pub(crate) host: String,
    /// The port.
    pub(crate) port: u16,
    /// The value of the `Host` header.
    pub(crate) authority: HeaderValue,
}

/// Why a URL names no server that this client can connect to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OriginError {
    /// A scheme other than http and https.
    #[error("the scheme {0:?} is not supported; use http or https")]
    Scheme(String),
    /// There is no host.
    #[error("the URL has no host")]
    NoHost,
    /// There is no port, and the scheme has no default.
    #[error("the URL has no port")]
    NoPort,
    /// The host cannot be sent as a header.
    #[error("{0:?} cannot be sent as the header Host")]
    Host(String),
}

impl Origin {
    /// The origin of a URL.
    ///
    /// # Errors
    /// Where the scheme is neither http nor https, or there is no host.
    pub(crate) fn of(url: &Url) -> Result<Self, OriginError> {
        let is_tls = match url.scheme() {
            "http" => false,
            "https" => true,
            other => return Err(OriginError::Scheme(other.to_owned())),
        };
        let shown = url.host_str().ok_or(OriginError::NoHost)?;
        let port = url.port_or_known_default().ok_or(OriginError::NoPort)?;
        let authority = match url.port() {
            Some(port) => format!("{shown}:{port}"),
            None => shown.to_owned(),
        };
        let host = shown.trim_start_matches('[').trim_end_matches(']').to_owned();
        let authority = HeaderValue::from_str(&authority).map_err(|_| OriginError::Host(authority))?;
        Ok(Self { is_tls, host, port, authority })
    }

    /// Whether it is on this machine by its name or address.
    pub(crate) fn is_loopback(&self) -> bool {
        let host = self.host.to_ascii_lowercase();
        host == "localhost"
            || host.ends_with(".localhost")
            || self.address().is_some_and(|ip| ip.is_loopback())
    }

    /// The host as an address, where it is one.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }
}

/// User and password of a URL as `user:password`, if it has any.
pub(crate) fn user(url: &Url) -> Option<String> {
    let decoded = |text| percent_decode_str(text).decode_utf8_lossy();
    let password = url.password().unwrap_or_default();
    (!url.username().is_empty() || !password.is_empty())
        .then(|| format!("{}:{}", decoded(url.username()), decoded(password)))
}

/// User and password of a URL as the value of `authorization`, as curl sends them.
pub(crate) fn basic(url: &Url) -> Option<HeaderValue> {
    let encoded = base64::engine::general_purpose::STANDARD.encode(user(url)?);
    let mut value = HeaderValue::try_from(format!("Basic {encoded}")).ok()?;
    value.set_sensitive(true);
    Some(value)
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_tls { "https" } else { "http" };
        if self.host.contains(':') {
            write!(f, "{scheme}://[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{scheme}://{}:{}", self.host, self.port)
        }
    }
}
