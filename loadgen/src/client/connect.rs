//! Connecting: the name, the TCP connection, the TLS handshake, each timed. Invariant: a step of it that
//! fails has the class of that step.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{
    ErrorClass, Failure,
    connection::Settings,
    origin::Origin,
    stamped::{Stamped, Stamps},
};

/// How long the parts of connecting took.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ConnectTimes {
    /// Looking up the name; zero for an address.
    pub(crate) lookup: Duration,
    /// The TCP handshake.
    pub(crate) tcp: Duration,
    /// The TLS handshake; zero without TLS.
    pub(crate) tls: Duration,
}

/// A connected socket, with TLS or without.
#[derive(Debug)]
pub(crate) enum Transport {
    Plain(Stamped),
    Tls(Box<TlsStream<Stamped>>),
}

/// Connects to `origin`, through a proxy where there is one.
pub(crate) async fn connect(
    origin: &Origin,
    settings: &Settings,
    stamps: &Rc<Stamps>,
) -> Result<(Transport, ConnectTimes), Failure> {
    let mut times = ConnectTimes::default();
    let start = Instant::now();
    let proxy = settings.proxy.as_deref();
    let addresses = match proxy {
        Some(proxy) => lookup(proxy.address(), &proxy.host, proxy.port).await?,
        None => {
            lookup(origin.address().map(|ip| SocketAddr::new(ip, origin.port)), &origin.host, origin.port)
                .await?
        }
    };
    let looked_up = Instant::now();
    times.lookup = looked_up - start;
    let mut stream = connect_any(origin, &addresses).await?;
    // A request is written whole; waiting for more would only delay it.
    stream.set_nodelay(true).map_err(|e| Failure::new(ErrorClass::Connect, e))?;
    if let Some(proxy) = proxy {
        proxy.tunnel(&mut stream, origin).await?;
    }
    let connected = Instant::now();
    times.tcp = connected - looked_up;
    let stream = Stamped::new(stream, Rc::clone(stamps));
    if !origin.is_tls {
        return Ok((Transport::Plain(stream), times));
    }
    let name = ServerName::try_from(origin.host.clone())
        .map_err(|e| Failure::new(ErrorClass::Tls, format!("{}: {e}", origin.host)))?;
    let stream = TlsConnector::from(Arc::clone(&settings.tls))
        .connect(name, stream)
        .await
        .map_err(|e| Failure::new(ErrorClass::Tls, format!("TLS with {origin}: {e}")))?;
    times.tls = connected.elapsed();
    Ok((Transport::Tls(Box::new(stream)), times))
}

async fn lookup(known: Option<SocketAddr>, host: &str, port: u16) -> Result<Vec<SocketAddr>, Failure> {
    if let Some(address) = known {
        return Ok(vec![address]);
    }
    match tokio::net::lookup_host((host, port)).await {
        Ok(found) => Ok(found.collect()),
        Err(e) => Err(Failure::new(ErrorClass::Dns, format!("{host}: {e}"))),
    }
}

/// The first address that takes the connection, as a browser without Happy Eyeballs would try them.
async fn connect_any(origin: &Origin, addresses: &[SocketAddr]) -> Result<TcpStream, Failure> {
    let mut failure = Failure::new(ErrorClass::Dns, format!("the name {:?} has no address", origin.host));
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(e) => failure = Failure::new(ErrorClass::of_connect(&e), format!("{address}: {e}")),
        }
    }
    Err(failure)
}

impl AsyncRead for Transport {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(s) => Pin::new(s).poll_read(cx, buf),
            Self::Tls(s) => Pin::new(s).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Transport {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(s) => Pin::new(s).poll_write(cx, buf),
            Self::Tls(s) => Pin::new(s).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(s) => Pin::new(s).poll_write_vectored(cx, bufs),
            Self::Tls(s) => Pin::new(s).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(s) => s.is_write_vectored(),
            Self::Tls(s) => s.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(s) => Pin::new(s).poll_flush(cx),
            Self::Tls(s) => Pin::new(s).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(s) => Pin::new(s).poll_shutdown(cx),
            Self::Tls(s) => Pin::new(s).poll_shutdown(cx),
        }
    }
}
