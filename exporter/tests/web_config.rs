//! `--web.config.file`: passwords, TLS, headers, and what is wrong with a file.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

mod common;

use std::{fs, path::Path, sync::Arc};

use exporter::{Exporter, ServeOptions, WebConfig, serve};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsConnector;

const TLS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tls");

/// Starts an exporter with the file's text as its web configuration.
async fn start(directory: &Path, text: &str) -> String {
    start_with(directory, text, ServeOptions::default()).await
}

async fn start_with(directory: &Path, text: &str, options: ServeOptions) -> String {
    let file = directory.join("web.yml");
    fs::write(&file, text).unwrap();
    let web_config = Some(Arc::new(WebConfig::load(&file).unwrap()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let exporter = Arc::new(Exporter::new(common::made_up_host(directory)));
    let options = ServeOptions { web_config, ..options };
    tokio::spawn(serve(exporter, listener, options, std::future::pending()));
    address
}

/// The response's text to a scrape of one collector.
async fn scrape(mut stream: impl AsyncRead + AsyncWrite + Unpin, authorization: &str) -> String {
    let request = format!(
        "GET /metrics?collect[]=loadavg HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{authorization}\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    // A TLS peer may leave without saying goodbye.
    let _ = stream.read_to_string(&mut response).await;
    response
}

async fn plain(address: &str, authorization: &str) -> String {
    scrape(TcpStream::connect(address).await.unwrap(), authorization).await
}

fn client(with_certificate: bool) -> TlsConnector {
    client_of(with_certificate, &[])
}

fn client_of(with_certificate: bool, protocols: &[&str]) -> TlsConnector {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(format!("{TLS}/cert.pem")).unwrap()).unwrap();
    let builder =
        rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
    let mut config = if with_certificate {
        let chain = vec![CertificateDer::from_pem_file(format!("{TLS}/cert.pem")).unwrap()];
        builder
            .with_client_auth_cert(chain, PrivateKeyDer::from_pem_file(format!("{TLS}/key.pem")).unwrap())
            .unwrap()
    } else {
        builder.with_no_client_auth()
    };
    config.alpn_protocols = protocols.iter().map(|p| p.as_bytes().to_vec()).collect();
    TlsConnector::from(Arc::new(config))
}

async fn encrypted(address: &str, with_certificate: bool) -> std::io::Result<String> {
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    Ok(scrape(client(with_certificate).connect(name, stream).await?, "").await)
}

#[tokio::test]
async fn a_password_is_asked_for_and_changes_are_taken_up() {
    let directory = tempfile::tempdir().unwrap();
    let hash = |password: &str| bcrypt::hash(password, 4).unwrap();
    let file = |password: &str| {
        format!(
            "basic_auth_users:\n  amy: {}\nhttp_server_config:\n  headers:\n    X-Frame-Options: deny\n",
            hash(password)
        )
    };
    let address = start(directory.path(), &file("secret")).await;
    // amy:secret, then amy:other.
    let (secret, other) =
        ("authorization: Basic YW15OnNlY3JldA==\r\n", "authorization: Basic YW15Om90aGVy\r\n");
    for authorization in ["", other, "authorization: Basic Ym9iOnNlY3JldA==\r\n"] {
        let response = plain(&address, authorization).await;
        assert!(
            response.starts_with("HTTP/1.1 401 ") && response.contains("www-authenticate: Basic"),
            "{response}"
        );
        assert!(!response.contains("node_load1"));
    }
    // The second time the password is remembered.
    for _ in 0..2 {
        let response = plain(&address, secret).await;
        assert!(
            response.contains("node_load1 0.07") && response.contains("x-frame-options: deny"),
            "{response}"
        );
    }
    let path = directory.path().join("web.yml");
    let rewrite = |text: &str, age_s: u64| {
        fs::write(&path, text).unwrap();
        // The clock of file systems is coarse.
        let file = fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(std::time::SystemTime::now() - std::time::Duration::from_secs(age_s)).unwrap();
    };
    rewrite(&file("other"), 100);
    assert!(plain(&address, secret).await.starts_with("HTTP/1.1 401 "), "the old password is no longer good");
    assert!(plain(&address, other).await.contains("node_load1"));
    rewrite("basic_auth_users: {amy: other}\n", 50);
    assert!(plain(&address, other).await.contains("node_load1"), "a file that is not valid changes nothing");
}

#[tokio::test]
async fn tls_is_spoken_and_client_certificates_are_checked() {
    let directory = tempfile::tempdir().unwrap();
    let server = format!("tls_server_config:\n  cert_file: {TLS}/cert.pem\n  key_file: {TLS}/key.pem\n");
    let address = start(directory.path(), &server).await;
    assert!(encrypted(&address, false).await.unwrap().contains("node_load1 0.07"));
    assert!(!plain(&address, "").await.contains("node_load1"));

    let checked =
        format!("{server}  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: {TLS}/cert.pem\n");
    let address = start(directory.path(), &checked).await;
    assert!(encrypted(&address, true).await.unwrap().contains("node_load1 0.07"));
    let refused = encrypted(&address, false).await;
    assert!(refused.is_err() || !refused.unwrap().contains("node_load1"));
}

/// The response to a scrape of one collector over HTTP/2, frames and all.
async fn scrape_http2(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> String {
    let path = "/metrics?collect[]=loadavg";
    // The method is GET and the scheme https, by their places in the table; path and authority by their names there.
    let mut headers = vec![0x82, 0x87, 0x04, path.len() as u8];
    headers.extend(path.bytes());
    headers.extend([0x01, 9]);
    headers.extend(b"localhost");
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
    // The headers of stream 1 are all there is of the request.
    bytes.extend([0, 0, headers.len() as u8, 0x01, 0x05, 0, 0, 0, 1]);
    bytes.extend(headers);
    stream.write_all(&bytes).await.unwrap();
    let (mut response, mut part) = (String::new(), [0; 4096]);
    while !response.contains("node_scrape_collector_success") {
        match stream.read(&mut part).await {
            Ok(n @ 1..) => response.push_str(&String::from_utf8_lossy(&part[..n])),
            _ => break,
        }
    }
    response
}

#[tokio::test]
async fn http2_is_spoken_unless_it_is_turned_off() {
    let directory = tempfile::tempdir().unwrap();
    let server = format!("tls_server_config:\n  cert_file: {TLS}/cert.pem\n  key_file: {TLS}/key.pem\n");
    for (setting, offered, chosen) in [
        ("", &["h2", "http/1.1"][..], Some("h2")),
        ("http_server_config: {http2: true}\n", &["h2"], Some("h2")),
        ("http_server_config: {http2: true}\n", &["http/1.1"], Some("http/1.1")),
        ("http_server_config: {http2: true}\n", &[], None),
        ("http_server_config: {http2: false}\n", &["h2", "http/1.1"], Some("http/1.1")),
        ("http_server_config: {http2: false}\n", &[], None),
    ] {
        let address = start(directory.path(), &format!("{server}{setting}")).await;
        let stream = TcpStream::connect(&address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let stream = client_of(false, offered).connect(name, stream).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), chosen.map(str::as_bytes), "{setting}{offered:?}");
        let response =
            if chosen == Some("h2") { scrape_http2(stream).await } else { scrape(stream, "").await };
        assert!(response.contains("node_load1 0.07"), "{setting}{offered:?}: {response}");
    }
    // Who speaks nothing else is turned away.
    let address = start(directory.path(), &format!("{server}http_server_config: {{http2: false}}\n")).await;
    let stream = TcpStream::connect(&address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    assert!(client_of(false, &["h2"]).connect(name, stream).await.is_err());
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("web.yml");
    let check = |text: &str, want: &[&str]| {
        fs::write(&file, text).unwrap();
        let told = WebConfig::load(&file).unwrap_err().to_string();
        let want: Vec<String> = want.iter().map(|line| format!("{}:{line}", file.display())).collect();
        assert_eq!(told.lines().collect::<Vec<_>>(), want);
    };
    check(
        "basic_auth_user: {}\nbasic_auth_users:\n  amy: secret\n",
        &[
            "1:1: unknown key \"basic_auth_user\" in a web configuration; did you mean \"basic_auth_users\"?",
            "3:8: \"amy\" needs a bcrypt hash such as `htpasswd -nBC 10 amy` prints, not a password",
        ],
    );
    check(
        "tls_server_config:\n  cert_file: a\n  key_file: b\n  min_version: TLS14\n  max_version: TLS11\n",
        &[
            "4:16: unknown version \"TLS14\"; TLS12 and TLS13 are known",
            "5:16: versions before TLS12 are not offered here: max_version can be TLS12 or TLS13",
        ],
    );
    check(
        "tls_server_config:\n  cert_file: a\n  key_file: b\n  cipher_suites: [TLS_RSA_WITH_RC4_128_SHA]\n",
        &[
            "4:18: no cipher suite of the list is offered here",
            "4:19: unknown cipher suite \"TLS_RSA_WITH_RC4_128_SHA\"",
        ],
    );
    check(
        "tls_server_config:\n  client_auth_type: RequireAndVerifyClientCert\n  client_allowed_sans: [a]\n",
        &[
            "2:3: TLS needs a certificate: cert_file or cert is missing",
            "2:3: TLS needs a private key: key_file or key is missing",
            "2:21: client_auth_type asks for certificates: client_ca_file must say who signs them",
        ],
    );
    check(
        "rate_limit: {interval: often, burst: -1}\nhttp_server_config: {headers: {X-Frame-Options: no}}\n",
        &[
            "1:24: \"often\" is not a duration such as 100ms",
            "1:38: \"-1\" is not a number of requests",
            "2:49: X-Frame-Options may be deny or sameorigin, not \"no\"",
        ],
    );
    fs::write(&file, "tls_server_config: {cert_file: none.pem, key_file: none.pem}\n").unwrap();
    let told = WebConfig::load(&file).unwrap_err().to_string();
    assert!(told.starts_with(&directory.path().join("none.pem").display().to_string()), "{told}");
}

/// Certificates given in the file itself, and clients that are told apart by their names.
#[tokio::test]
async fn certificates_may_be_inline_and_clients_need_one_of_the_names() {
    let directory = tempfile::tempdir().unwrap();
    let inline = |file: &str| {
        let text = fs::read_to_string(format!("{TLS}/{file}.pem")).unwrap();
        text.lines().map(|line| format!("    {line}\n")).collect::<String>()
    };
    let server = format!(
        "tls_server_config:\n  cert: |\n{}  key: |\n{}  client_ca: |\n{}  client_auth_type: RequireAndVerifyClientCert\n",
        inline("cert"),
        inline("key"),
        inline("cert")
    );
    for (sans, is_let_in) in
        [("[localhost]", true), ("[other.example, localhost]", true), ("[other.example]", false)]
    {
        let address = start(directory.path(), &format!("{server}  client_allowed_sans: {sans}\n")).await;
        let response = encrypted(&address, true).await.unwrap_or_default();
        assert_eq!(response.contains("node_load1 0.07"), is_let_in, "{sans}: {response}");
    }
}

#[tokio::test]
async fn any_certificate_may_do_and_versions_and_curves_are_kept() {
    let directory = tempfile::tempdir().unwrap();
    let server = format!(
        "tls_server_config:\n  cert_file: {TLS}/cert.pem\n  key_file: {TLS}/key.pem\n  max_version: TLS12\n  \
         cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]\n  \
         curve_preferences: [CurveP256]\n  client_auth_type: RequireAnyClientCert\n"
    );
    let address = start(directory.path(), &server).await;
    assert!(encrypted(&address, true).await.unwrap().contains("node_load1 0.07"));
    let refused = encrypted(&address, false).await.unwrap_or_default();
    assert!(!refused.contains("node_load1"));
}

#[tokio::test]
async fn requests_beyond_the_rate_limit_are_refused_before_passwords_are_checked() {
    let directory = tempfile::tempdir().unwrap();
    let address = start(directory.path(), "rate_limit: {interval: 1h, burst: 2}\n").await;
    assert!(plain(&address, "").await.starts_with("HTTP/1.1 200 "));
    assert!(plain(&address, "").await.starts_with("HTTP/1.1 200 "));
    assert!(plain(&address, "").await.starts_with("HTTP/1.1 429 "));
}

#[tokio::test]
async fn a_client_that_says_nothing_is_let_go_whatever_it_would_speak() {
    let directory = tempfile::tempdir().unwrap();
    let text = format!("tls_server_config:\n  cert_file: {TLS}/cert.pem\n  key_file: {TLS}/key.pem\n");
    let options = ServeOptions { idle: std::time::Duration::from_millis(100), ..ServeOptions::default() };
    let address = start_with(directory.path(), &text, options).await;
    // A preface and empty settings: HTTP/2 is spoken, and nothing is asked.
    let hello = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    for (protocols, says) in
        [(&[][..], &b""[..]), (&["http/1.1"], b"GET /"), (&["h2"], b""), (&["h2"], hello)]
    {
        let stream = TcpStream::connect(&address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let mut stream = client_of(false, protocols).connect(name, stream).await.unwrap();
        stream.write_all(says).await.unwrap();
        // The server ends it: reading does, and nothing else would.
        let _ = stream.read_to_end(&mut Vec::new()).await;
    }
    assert!(encrypted(&address, false).await.unwrap().contains("node_load1 "), "others are served");
}
