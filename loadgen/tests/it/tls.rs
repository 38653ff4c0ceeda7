//! TLS: an authority of one's own, client certificates, and what is refused.

use std::{path::Path, sync::Arc};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
    server::WebPkiClientVerifier,
};

use crate::server::{Server, ok, tls_server};

/// An authority, and what it signed.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key"));
        Self { issuer: issuer.expect("a certificate") }
    }

    fn sign(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec![name.to_owned()]).expect("parameters");
        (params.signed_by(&key, &self.issuer).expect("signed"), key)
    }

    /// Its certificate, as PEM.
    pub(crate) fn pem(&self) -> String {
        self.issuer.pem()
    }

    pub(crate) fn server(&self, wants_client: bool) -> Server {
        let (certificate, key) = self.sign("127.0.0.1");
        let chain: Vec<CertificateDer<'static>> = vec![certificate.der().clone()];
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("versions");
        let builder = if wants_client {
            let mut roots = RootCertStore::empty();
            roots.add(self.issuer.der().clone()).expect("a root");
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.expect("a verifier"))
        } else {
            builder.with_no_client_auth()
        };
        let config = builder.with_single_cert(chain, key).expect("a configuration");
        tls_server(config, |_| ok())
    }
}

/// Runs three requests over TLS with some lines more in the scenario.
pub(crate) fn run(server: &Server, dir: &Path, tls: &str) -> Result<loadgen::Summary, String> {
    let path = dir.join("s.yml");
    let text = format!(
        "scenario: t\ntarget: https://{}\n{tls}flow: [{{get: /}}]\nphases: {{p: {{executor: per-vu-iterations, iterations: 3}}}}\n",
        server.address
    );
    std::fs::write(&path, text).expect("written");
    let scenario = loadgen::Scenario::load(&path.display().to_string()).map_err(|e| e.to_string())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let options = loadgen::RunOptions::new(Arc::new(scenario));
    runtime.expect("a runtime").block_on(loadgen::run(options)).map_err(|e| e.to_string())
}

#[test]
fn an_authority_of_ones_own_is_trusted_and_another_is_not() {
    let dir = tempfile::tempdir().expect("a directory");
    let (authority, other) = (Authority::new(), Authority::new());
    std::fs::write(dir.path().join("ca.pem"), authority.issuer.pem()).expect("written");
    std::fs::write(dir.path().join("other.pem"), other.issuer.pem()).expect("written");
    let server = authority.server(false);
    let summary = run(&server, dir.path(), "tls: {ca: ca.pem}\n").expect("trusted");
    assert_eq!((summary.requests, summary.errors), (3, 0));
    let refused = run(&server, dir.path(), "tls: {ca: other.pem}\n").expect_err("not trusted");
    assert!(refused.contains("(tls)") && refused.contains("invalid peer certificate"), "{refused}");
    let missing = run(&server, dir.path(), "tls: {ca: none.pem}\n").expect_err("no file");
    assert!(missing.contains("none.pem"), "{missing}");
}

#[test]
fn a_client_shows_its_certificate() {
    let dir = tempfile::tempdir().expect("a directory");
    let authority = Authority::new();
    let (certificate, key) = authority.sign("client");
    for (name, pem) in [
        ("ca.pem", authority.issuer.pem()),
        ("client.pem", certificate.pem()),
        ("client.key", key.serialize_pem()),
    ] {
        std::fs::write(dir.path().join(name), pem).expect("written");
    }
    let server = authority.server(true);
    let tls = "tls: {ca: ca.pem, cert: client.pem, key: client.key}\n";
    assert_eq!(run(&server, dir.path(), tls).expect("known").errors, 0);
    let summary = run(&server, dir.path(), "tls: {ca: ca.pem}\n").expect("the handshake itself ends well");
    assert_eq!(summary.errors, 3, "{}", summary.to_text());
}
