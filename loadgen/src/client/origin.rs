//! Where requests go: scheme, host and port. Invariant: an [`Origin`] is one that this client can connect to.

use std::{fmt, net::IpAddr};

use http::HeaderValue;
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

impl Origin {
    /// The origin of a URL.
    ///
    /// # Errors
    /// Where the scheme is neither http nor https, or there is no host.
    pub(crate) fn of(url: &Url) -> Result<Self, String> {
        let is_tls = match url.scheme() {
            "http" => false,
            "https" => true,
            other => return Err(format!("the scheme {other:?} is not supported; use http or https")),
        };
        let shown = url.host_str().ok_or("the URL has no host")?;
        let port = url.port_or_known_default().ok_or("the URL has no port")?;
        let authority = match url.port() {
            Some(port) => format!("{shown}:{port}"),
            None => shown.to_owned(),
        };
        let host = shown.trim_start_matches('[').trim_end_matches(']').to_owned();
        let authority = HeaderValue::from_str(&authority).map_err(|e| e.to_string())?;
        Ok(Self { is_tls, host, port, authority })
    }

    /// The host as an address, where it is one.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }
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
