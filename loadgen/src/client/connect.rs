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
    proxy::Proxy,
    route::{self, Destination},
    socket::Socket,
    stamped::{Stamped, Stamps},
};

/// How long the parts of connecting took.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ConnectTimes {
    /// Looking up the name, where one was looked up.
    pub(crate) lookup: Option<Duration>,
    /// The TCP handshake.
    pub(crate) tcp: Duration,
    /// The TLS handshake, where TLS is spoken.
    pub(crate) tls: Option<Duration>,
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
    let proxy = settings.proxy.as_deref();
    let place = place(origin, proxy, settings, &mut times).await?;
    let found = Instant::now();
    let stream = reach(origin, &place, proxy).await?;
    let connected = Instant::now();
    times.tcp = connected - found;
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
    times.tls = Some(connected.elapsed());
    Ok((Transport::Tls(Box::new(stream)), times))
}

/// Where the connection goes: to the origin or its proxy, by a route, by an address, or by what the name resolves to.
enum Place<'p> {
    Addresses(Vec<SocketAddr>),
    #[cfg_attr(not(unix), expect(dead_code, reason = "there are none, which the parser says too"))]
    Socket(&'p std::path::Path),
}

async fn place<'p>(
    origin: &Origin,
    proxy: Option<&Proxy>,
    settings: &'p Settings,
    times: &mut ConnectTimes,
) -> Result<Place<'p>, Failure> {
    let (host, port) = proxy.map_or((&origin.host, origin.port), |proxy| (&proxy.host, proxy.port));
    match route::find(&settings.routes, host, port) {
        Some(Destination::Socket(path)) => return Ok(Place::Socket(path)),
        Some(Destination::Addresses(all)) => {
            return Ok(Place::Addresses(all.iter().map(|ip| SocketAddr::new(*ip, port)).collect()));
        }
        None => {}
    }
    if let Ok(address) = host.parse() {
        return Ok(Place::Addresses(vec![SocketAddr::new(address, port)]));
    }
    let start = Instant::now();
    let found = tokio::net::lookup_host((host.as_str(), port)).await;
    times.lookup = Some(start.elapsed());
    match found {
        Ok(found) => Ok(Place::Addresses(found.collect())),
        Err(e) => Err(Failure::new(ErrorClass::Dns, format!("{host}: {e}"))),
    }
}

/// Connects, and opens the tunnel where there is a proxy.
async fn reach(origin: &Origin, place: &Place<'_>, proxy: Option<&Proxy>) -> Result<Socket, Failure> {
    let mut socket = match place {
        Place::Addresses(addresses) => {
            let stream = connect_any(origin, addresses).await?;
            // A request is written whole; waiting for more would only delay it.
            stream.set_nodelay(true).map_err(|e| Failure::new(ErrorClass::Connect, e))?;
            Socket::Tcp(stream)
        }
        #[cfg(unix)]
        Place::Socket(path) => {
            let connected = tokio::net::UnixStream::connect(path).await;
            let failed = |e: io::Error| {
                let class = match e.kind() {
                    // There is nobody behind it.
                    io::ErrorKind::NotFound => ErrorClass::Refused,
                    _ => ErrorClass::of_connect(&e),
                };
                Failure::new(class, format!("unix:{}: {e}", path.display()))
            };
            connected.map(Socket::Unix).map_err(failed)?
        }
        #[cfg(not(unix))]
        Place::Socket(_) => return Err(Failure::new(ErrorClass::Connect, "this system has no Unix sockets")),
    };
    if let Some(proxy) = proxy {
        proxy.tunnel(&mut socket, origin).await?;
    }
    Ok(socket)
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
