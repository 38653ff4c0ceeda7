//! TLS settings. Invariant: certificates are always verified, against the system's roots and the scenario's.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject},
    },
};

use super::protocol::Version;
/// Files for TLS.
#[derive(Clone, Debug, Default)]
pub(crate) struct TlsFiles {
    /// PEM certificates to trust in addition to the system's.
    pub(crate) ca: Option<PathBuf>,
    /// PEM certificate chain and key of the client.
    pub(crate) client: Option<(PathBuf, PathBuf)>,
}

/// Why there can be no TLS as a scenario asks for it.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or is not PEM.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: pem::Error,
    },
    /// A certificate or key cannot be used.
    #[error("{}: {source}", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// The TLS library refuses its settings.
    #[error("TLS: {0}")]
    Settings(rustls::Error),
}

/// Where systems keep their trusted roots.
const SYSTEM_ROOTS: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
    "/etc/ssl/ca-bundle.pem",
];

/// The settings for a scenario. The system's roots are read only where they can matter: for an https target.
pub(crate) fn config(
    files: &TlsFiles,
    version: Version,
    needed: bool,
) -> Result<Arc<ClientConfig>, TlsError> {
    let mut roots = RootCertStore::empty();
    if needed {
        let own = std::env::var_os("SSL_CERT_FILE").map(std::path::PathBuf::from);
        let system = own.or_else(|| SYSTEM_ROOTS.iter().map(std::path::PathBuf::from).find(|p| p.exists()));
        if let Some(path) = system {
            roots.add_parsable_certificates(certificates(&path)?);
        }
    }
    if let Some(path) = &files.ca {
        for certificate in certificates(path)? {
            roots.add(certificate).map_err(|source| refused(path, source))?;
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Settings)?
        .with_root_certificates(roots);
    let mut config = match &files.client {
        None => builder.with_no_client_auth(),
        Some((chain, key)) => {
            let pem = PrivateKeyDer::from_pem_file(key).map_err(|source| unreadable(key, source))?;
            builder
                .with_client_auth_cert(certificates(chain)?, pem)
                .map_err(|source| refused(chain, source))?
        }
    };
    config.alpn_protocols = vec![match version {
        Version::Http1 => b"http/1.1".to_vec(),
        Version::Http2 => b"h2".to_vec(),
    }];
    Ok(Arc::new(config))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found = CertificateDer::pem_file_iter(path).map_err(|source| unreadable(path, source))?;
    found.collect::<Result<_, _>>().map_err(|source| unreadable(path, source))
}

fn unreadable(path: &Path, source: pem::Error) -> TlsError {
    TlsError::File { path: path.to_owned(), source }
}

fn refused(path: &Path, source: rustls::Error) -> TlsError {
    TlsError::Refused { path: path.to_owned(), source }
}
