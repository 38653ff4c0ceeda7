//! TLS: certificates from files, and a listener that shakes hands aside.
//!
//! Invariant: a client that is slow to shake hands holds up nobody else.

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::WebPkiClientVerifier,
    version::{TLS12, TLS13},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{WebConfig, WebConfigError};

/// How long a client may take to shake hands.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Connections that may wait to be served.
const BACKLOG: usize = 64;

/// Whether clients show certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClientCertificates {
    NotAsked,
    VerifiedIfGiven,
    Required,
}

/// What a server needs for TLS.
#[derive(Debug)]
pub(super) struct TlsFiles {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
    pub(super) clients: ClientCertificates,
    pub(super) client_ca: Option<PathBuf>,
    pub(super) only_13: bool,
}

impl TlsFiles {
    pub(super) fn paths(&self) -> Vec<PathBuf> {
        [&self.certificate, &self.key].into_iter().chain(&self.client_ca).cloned().collect()
    }

    pub(super) fn load(&self) -> Result<ServerConfig, WebConfigError> {
        let told = |path: &Path, cause: &dyn std::fmt::Display| {
            WebConfigError(format!("{}: {cause}", path.display()))
        };
        let chain = certificates(&self.certificate)?;
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(|cause| told(&self.key, &cause))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let versions = if self.only_13 { vec![&TLS13] } else { vec![&TLS13, &TLS12] };
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&versions)
            .map_err(|cause| told(&self.certificate, &cause))?;
        let builder = match (&self.client_ca, self.clients) {
            (Some(path), ClientCertificates::VerifiedIfGiven | ClientCertificates::Required) => {
                let mut roots = RootCertStore::empty();
                for certificate in certificates(path)? {
                    roots.add(certificate).map_err(|cause| told(path, &cause))?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                let verifier = match self.clients {
                    ClientCertificates::VerifiedIfGiven => verifier.allow_unauthenticated(),
                    _ => verifier,
                };
                builder.with_client_cert_verifier(verifier.build().map_err(|cause| told(path, &cause))?)
            }
            _ => builder.with_no_client_auth(),
        };
        builder.with_single_cert(chain, key).map_err(|cause| told(&self.certificate, &cause))
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, WebConfigError> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match read {
        Ok(chain) if chain.is_empty() => {
            Err(WebConfigError(format!("{}: no certificate: expected PEM", path.display())))
        }
        Ok(chain) => Ok(chain),
        Err(cause) => Err(WebConfigError(format!("{}: {cause}", path.display()))),
    }
}

/// Connections that have shaken hands.
pub(crate) struct TlsListener {
    ready: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
    address: SocketAddr,
}

impl TlsListener {
    /// Takes connections of `listener` with the certificates that `web` has at the time.
    pub(crate) fn start(listener: TcpListener, web: Arc<WebConfig>) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let (done, ready) = mpsc::channel(BACKLOG);
        tokio::spawn(async move {
            let mut listener = listener;
            loop {
                // When the server has stopped, so does this.
                let accepted = tokio::select! {
                    accepted = axum::serve::Listener::accept(&mut listener) => accepted,
                    () = done.closed() => return,
                };
                let (stream, peer) = accepted;
                let Some(config) = web.current().tls.clone() else { continue };
                let done = done.clone();
                tokio::spawn(async move {
                    match timeout(HANDSHAKE, TlsAcceptor::from(config).accept(stream)).await {
                        Ok(Ok(stream)) => {
                            // Nobody waits for it where the server has stopped.
                            let _ = done.send((stream, peer)).await;
                        }
                        Ok(Err(cause)) => tracing::debug!(%peer, "no TLS: {cause}"),
                        Err(_) => tracing::debug!(%peer, "no TLS within {HANDSHAKE:?}"),
                    }
                });
            }
        });
        Ok(Self { ready, address })
    }
}

impl axum::serve::Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.ready.recv().await {
            Some(connection) => connection,
            // The task that accepts ends after this listener only.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}
