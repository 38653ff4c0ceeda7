//! TLS settings. Invariant: certificates are verified, against the system's roots and the scenario's, unless the scenario or
//! the command line says in so many words that they are not.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{
        CertificateDer, PrivateKeyDer, ServerName, UnixTime,
        pem::{self, PemObject},
    },
};

use super::protocol::Version;

/// What a scenario says of TLS.
#[derive(Clone, Debug, Default)]
pub(crate) struct TlsFiles {
    /// Whether any certificate is taken.
    pub(crate) insecure: bool,
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
    if needed && !files.insecure {
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
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Settings)?;
    let builder = match files.insecure {
        true => builder.dangerous().with_custom_certificate_verifier(Arc::new(Anyone(provider))),
        false => builder.with_root_certificates(roots),
    };
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

/// Takes any certificate; the handshake itself must still be right.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
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
