//! TLS settings. Invariant: certificates are always verified, against the system's roots and the scenario's.

use std::{path::Path, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

use super::protocol::Version;
use crate::scenario::TlsFiles;

/// Where systems keep their trusted roots.
const SYSTEM_ROOTS: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
    "/etc/ssl/ca-bundle.pem",
];

/// The settings for a scenario. The system's roots are read only where they can matter: for an https target.
pub(crate) fn config(files: &TlsFiles, version: Version, needed: bool) -> Result<Arc<ClientConfig>, String> {
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
            roots.add(certificate).map_err(|e| format!("{}: {e}", path.display()))?;
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())?
        .with_root_certificates(roots);
    let mut config = match &files.client {
        None => builder.with_no_client_auth(),
        Some((chain, key)) => {
            let pem = PrivateKeyDer::from_pem_file(key).map_err(|e| format!("{}: {e}", key.display()))?;
            builder
                .with_client_auth_cert(certificates(chain)?, pem)
                .map_err(|e| format!("{}: {e}", chain.display()))?
        }
    };
    config.alpn_protocols = vec![match version {
        Version::Http1 => b"http/1.1".to_vec(),
        Version::Http2 => b"h2".to_vec(),
    }];
    Ok(Arc::new(config))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let found = CertificateDer::pem_file_iter(path).map_err(|e| format!("{}: {e}", path.display()))?;
    found.collect::<Result<_, _>>().map_err(|e| format!("{}: {e}", path.display()))
}
