//! TLS: certificates from files or the configuration itself, and who may connect.

pub(super) mod clients;
pub(super) mod suites;

use std::{path::PathBuf, sync::Arc};

use rustls::{
    RootCertStore, ServerConfig,
    crypto::{CryptoProvider, SupportedKxGroup},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::WebPkiClientVerifier,
    version::{TLS12, TLS13},
};

use super::WebConfigError;

/// Whether clients show certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClientCertificates {
    NotAsked,
    /// A certificate is taken and not checked.
    Asked,
    /// There must be one, of any client.
    RequiredOfAnyone,
    VerifiedIfGiven,
    Required,
}

/// A certificate or key in PEM.
#[derive(Clone, Debug)]
pub(super) enum Pem {
    File(PathBuf),
    Inline(String),
}

/// What a server needs for TLS.
#[derive(Debug)]
pub(super) struct TlsFiles {
    pub(super) certificate: Pem,
    pub(super) key: Pem,
    pub(super) clients: ClientCertificates,
    pub(super) client_ca: Option<Pem>,
    pub(super) allowed_sans: Vec<String>,
    /// The lowest and highest version, as 12 for 1.2.
    pub(super) versions: (u32, u32),
    /// For version 1.2; all where empty.
    pub(super) suites: Vec<rustls::SupportedCipherSuite>,
    pub(super) curves: Vec<&'static dyn SupportedKxGroup>,
    pub(super) prefer_ours: bool,
}

impl Pem {
    fn read(&self) -> Result<Vec<u8>, WebConfigError> {
        match self {
            Self::File(path) => std::fs::read(path).map_err(|cause| self.failed(&cause)),
            Self::Inline(text) => Ok(text.clone().into_bytes()),
        }
    }

    fn failed(&self, cause: &dyn std::fmt::Display) -> WebConfigError {
        WebConfigError(match self {
            Self::File(path) => format!("{}: {cause}", path.display()),
            Self::Inline(_) => format!("the certificate or key in the web configuration: {cause}"),
        })
    }

    fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, WebConfigError> {
        let bytes = self.read()?;
        match CertificateDer::pem_slice_iter(&bytes).collect::<Result<Vec<_>, _>>() {
            Ok(chain) if chain.is_empty() => Err(self.failed(&"no certificate: expected PEM")),
            Ok(chain) => Ok(chain),
            Err(cause) => Err(self.failed(&cause)),
        }
    }
}

impl TlsFiles {
    pub(super) fn paths(&self) -> Vec<PathBuf> {
        let all = [&self.certificate, &self.key].into_iter().chain(&self.client_ca);
        all.filter_map(|pem| match pem {
            Pem::File(path) => Some(path.clone()),
            Pem::Inline(_) => None,
        })
        .collect()
    }

    fn provider(&self) -> CryptoProvider {
        let mut provider = rustls::crypto::ring::default_provider();
        if !self.suites.is_empty() {
            provider.cipher_suites.retain(|suite| suite.tls13().is_some());
            provider.cipher_suites.extend(&self.suites);
        }
        if !self.curves.is_empty() {
            provider.kx_groups.clone_from(&self.curves);
        }
        provider
    }

    pub(super) fn load(&self, http2: bool) -> Result<ServerConfig, WebConfigError> {
        let chain = self.certificate.certificates()?;
        let key =
            PrivateKeyDer::from_pem_slice(&self.key.read()?).map_err(|cause| self.key.failed(&cause))?;
        let provider = Arc::new(self.provider());
        let versions: &[&rustls::SupportedProtocolVersion] = match self.versions {
            (13, _) => &[&TLS13],
            (_, 12) => &[&TLS12],
            _ => &[&TLS13, &TLS12],
        };
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions)
            .map_err(|cause| self.certificate.failed(&cause))?;
        let builder = match (&self.client_ca, self.clients) {
            (_, ClientCertificates::Asked) => {
                builder.with_client_cert_verifier(clients::anyone(&provider, false))
            }
            (_, ClientCertificates::RequiredOfAnyone) => {
                builder.with_client_cert_verifier(clients::anyone(&provider, true))
            }
            (Some(ca), ClientCertificates::VerifiedIfGiven | ClientCertificates::Required) => {
                let mut roots = RootCertStore::empty();
                for certificate in ca.certificates()? {
                    roots.add(certificate).map_err(|cause| ca.failed(&cause))?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                let verifier = match self.clients {
                    ClientCertificates::VerifiedIfGiven => verifier.allow_unauthenticated(),
                    _ => verifier,
                };
                let verifier = verifier.build().map_err(|cause| ca.failed(&cause))?;
                builder.with_client_cert_verifier(clients::with_sans(verifier, &self.allowed_sans))
            }
            _ => builder.with_no_client_auth(),
        };
        let mut config =
            builder.with_single_cert(chain, key).map_err(|cause| self.certificate.failed(&cause))?;
        config.ignore_client_order = self.prefer_ours;
        if http2 {
            config.alpn_protocols.push(b"h2".to_vec());
        }
        config.alpn_protocols.push(b"http/1.1".to_vec());
        Ok(config)
    }
}
