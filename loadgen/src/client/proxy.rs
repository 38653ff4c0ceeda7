//! A proxy between the generator and its targets: a tunnel through it (`CONNECT`, RFC 9110, 9.3.6), whatever
//! goes through. Invariant: what is measured of a request begins behind the tunnel; the tunnel itself is part
//! of connecting.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{
    ErrorClass, Failure,
    origin::{Origin, OriginError, basic},
    socket::Socket,
};

/// The most bytes of a proxy's answer.
const MAX_ANSWER: usize = 16 * 1024;

/// A proxy.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Proxy {
    pub(crate) host: String,
    pub(crate) port: u16,
    /// The value of `proxy-authorization`.
    credentials: Option<String>,
}

/// Why a text names no proxy that can be used. The messages leave the text out, for it may hold a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProxyError {
    /// It is not a URL.
    #[error("the proxy is not a URL: {0}; write for example http://127.0.0.1:3128")]
    Url(#[from] url::ParseError),
    /// It is a proxy of another kind.
    #[error("a proxy of the kind {0:?} is not supported; use an http:// one")]
    Scheme(String),
    /// It names no server.
    #[error("the proxy: {0}")]
    Origin(#[from] OriginError),
}

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Proxy({}:{})", self.host, self.port)
    }
}

impl Proxy {
    /// A proxy by its URL; user and password in it are sent to the proxy alone.
    ///
    /// # Errors
    /// Where it is no URL of an HTTP proxy. The message leaves the URL out, for it may hold a password.
    pub(crate) fn parse(text: &str) -> Result<Self, ProxyError> {
        let url = url::Url::parse(text)?;
        if url.scheme() != "http" {
            return Err(ProxyError::Scheme(url.scheme().to_owned()));
        }
        let origin = Origin::of(&url)?;
        let credentials = basic(&url).and_then(|v| Some(v.to_str().ok()?.to_owned()));
        Ok(Self { host: origin.host, port: origin.port, credentials })
    }

    /// Opens a tunnel to `origin` on a connection to the proxy.
    pub(super) async fn tunnel(&self, stream: &mut Socket, origin: &Origin) -> Result<(), Failure> {
        let host = if origin.host.contains(':') { format!("[{}]", origin.host) } else { origin.host.clone() };
        let to = format!("{host}:{}", origin.port);
        let credentials =
            self.credentials.as_ref().map(|c| format!("proxy-authorization: {c}\r\n")).unwrap_or_default();
        let request = format!("CONNECT {to} HTTP/1.1\r\nhost: {to}\r\n{credentials}\r\n");
        let fail = |detail: String| Failure::new(ErrorClass::Connect, detail);
        let broken = |e: std::io::Error| fail(format!("the proxy {}:{}: {e}", self.host, self.port));
        stream.write_all(request.as_bytes()).await.map_err(broken)?;
        let mut answer = Vec::new();
        // Byte by byte: what follows the head is the target's own.
        while !answer.ends_with(b"\r\n\r\n") {
            if answer.len() > MAX_ANSWER {
                return Err(fail(format!("the proxy {}:{} does not answer as one", self.host, self.port)));
            }
            answer.push(stream.read_u8().await.map_err(broken)?);
        }
        let head = String::from_utf8_lossy(&answer);
        let status = head.lines().next().unwrap_or_default();
        match status.split_whitespace().nth(1) {
            Some(code) if code.starts_with('2') => Ok(()),
            _ => Err(fail(format!("the proxy {}:{} refuses {to}: {status}", self.host, self.port))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies_are_read_and_keep_their_password() {
        let proxy = Proxy::parse("http://me:p%40ss+1@127.0.0.1:3128").expect("a proxy");
        assert_eq!((proxy.host.as_str(), proxy.port), ("127.0.0.1", 3128));
        // me:p@ss+1
        assert_eq!(proxy.credentials.as_deref(), Some("Basic bWU6cEBzcysx"));
        assert_eq!(format!("{proxy:?}"), "Proxy(127.0.0.1:3128)");
        for (text, want) in [("socks5://s3cret@x:1", "\"socks5\" is not supported"), ("x", "is not a URL")] {
            let e = Proxy::parse(text).expect_err(text).to_string();
            assert!(e.contains(want) && !e.contains("s3cret"), "{e}");
        }
    }
}
