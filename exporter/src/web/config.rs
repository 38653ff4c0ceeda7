//! The file itself: what it may say, and what is wrong with it.
//!
//! Source of the format: prometheus/exporter-toolkit, `docs/web-configuration.md`. Of it HTTP/2, curves, cipher
//! suites and rate limits are left out; a file that asks for one of them is told.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use assay_yaml::{Cx, Document, Node, nearest};
use axum::http::{HeaderName, HeaderValue};
use rustls::ServerConfig;

use super::{
    WebConfigError,
    tls::{ClientCertificates, TlsFiles},
};

/// A valid file.
#[derive(Debug)]
pub(super) struct Config {
    pub(super) tls: Option<Arc<ServerConfig>>,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    /// Names with bcrypt hashes.
    pub(super) users: Vec<(String, String)>,
    /// The certificates and keys that it names.
    pub(super) files: Vec<PathBuf>,
}

/// The headers that the format knows.
const HEADERS: [&str; 5] = [
    "Content-Security-Policy",
    "Strict-Transport-Security",
    "X-Content-Type-Options",
    "X-Frame-Options",
    "X-XSS-Protection",
];

const CLIENT_AUTH_TYPES: [(&str, ClientCertificates); 3] = [
    ("NoClientCert", ClientCertificates::NotAsked),
    ("VerifyClientCertIfGiven", ClientCertificates::VerifiedIfGiven),
    ("RequireAndVerifyClientCert", ClientCertificates::Required),
];

impl Config {
    pub(super) fn read(path: &Path) -> Result<Self, WebConfigError> {
        let failed = |problems: assay_yaml::Diagnostics| WebConfigError(problems.to_string());
        let document = Document::read(path).map_err(failed)?;
        let mut cx = Cx::new(&document);
        let directory = path.parent().unwrap_or(Path::new("."));
        let (mut tls, mut headers, mut users) = (None, Vec::new(), Vec::new());
        // An empty file asks for nothing.
        if !document.root().is_null()
            && let Some(mut map) = cx.map(document.root(), "a web configuration")
        {
            tls = map.get("tls_server_config").and_then(|node| tls_files(&mut cx, node, directory));
            if let Some(node) = map.get("http_server_config") {
                headers = http(&mut cx, node);
            }
            if let Some(node) = map.get("basic_auth_users") {
                users = basic_auth(&mut cx, node);
            }
            map.finish(&mut cx);
        }
        cx.finish().map_err(failed)?;
        let files = tls.as_ref().map(TlsFiles::paths).unwrap_or_default();
        let tls = match tls {
            Some(files) => Some(Arc::new(files.load()?)),
            None => None,
        };
        Ok(Self { tls, headers, users, files })
    }
}

fn tls_files(cx: &mut Cx<'_>, node: &Node, directory: &Path) -> Option<TlsFiles> {
    let mut map = cx.map(node, "tls_server_config")?;
    // Paths are relative to the file that names them.
    let path = |cx: &mut Cx<'_>, node: Option<&Node>| cx.string(node?).map(|text| directory.join(text));
    let node = map.require(cx, "cert_file");
    let certificate = path(cx, node);
    let node = map.require(cx, "key_file");
    let key = path(cx, node);
    let client_ca = path(cx, map.get("client_ca_file"));
    let clients = match map.get("client_auth_type") {
        None => ClientCertificates::NotAsked,
        Some(node) => client_auth(cx, node)?,
    };
    let minimum = match map.get("min_version") {
        None => 12,
        Some(node) => match cx.string(node)?.as_str() {
            "TLS12" => 12,
            "TLS13" => 13,
            other => {
                cx.error(node, format!("\"{other}\" is no version offered here: TLS12 and TLS13 are"));
                return None;
            }
        },
    };
    if clients != ClientCertificates::NotAsked && client_ca.is_none() {
        cx.error(node?, "client_auth_type asks for certificates: client_ca_file must say who signs them");
    }
    map.finish(cx);
    Some(TlsFiles { certificate: certificate?, key: key?, clients, client_ca, only_13: minimum == 13 })
}

fn client_auth(cx: &mut Cx<'_>, node: &Node) -> Option<ClientCertificates> {
    let text = cx.string(node)?;
    if let Some((_, clients)) = CLIENT_AUTH_TYPES.iter().find(|(name, _)| *name == text) {
        return Some(*clients);
    }
    let message = match text.as_str() {
        "RequestClientCert" | "RequireAnyClientCert" => {
            format!("{text} takes certificates without checking them; use RequireAndVerifyClientCert")
        }
        _ => match nearest(&text, CLIENT_AUTH_TYPES.map(|(name, _)| name)) {
            Some(known) => format!("unknown client_auth_type \"{text}\"; did you mean \"{known}\"?"),
            None => format!(
                "unknown client_auth_type \"{text}\"; NoClientCert and RequireAndVerifyClientCert are known"
            ),
        },
    };
    cx.error(node, message);
    None
}

fn http(cx: &mut Cx<'_>, node: &Node) -> Vec<(HeaderName, HeaderValue)> {
    let mut headers = Vec::new();
    let Some(mut map) = cx.map(node, "http_server_config") else { return headers };
    if let Some(node) = map.get("http2")
        && cx.boolean(node) == Some(true)
    {
        cx.error(node, "HTTP/2 is not offered here: leave http2 out, or set it to false");
    }
    if let Some(mut map) = map.get("headers").and_then(|node| cx.map(node, "headers")) {
        for name in HEADERS {
            let Some(node) = map.get(name) else { continue };
            let Some(text) = cx.string(node) else { continue };
            match (HeaderName::try_from(name), HeaderValue::try_from(&text)) {
                (Ok(name), Ok(value)) => headers.push((name, value)),
                _ => cx.error(node, format!("\"{text}\" cannot be a header's value")),
            }
        }
        map.finish(cx);
    }
    map.finish(cx);
    headers
}

fn basic_auth(cx: &mut Cx<'_>, node: &Node) -> Vec<(String, String)> {
    let Some(pairs) = node.as_map() else {
        cx.error(node, "expected users with the bcrypt hashes of their passwords");
        return Vec::new();
    };
    let mut users = Vec::new();
    for (name, hash) in pairs {
        let (Some(user), Some(text)) = (cx.string(name), cx.string(hash)) else { continue };
        if !is_bcrypt(&text) {
            cx.error(
                hash,
                format!(
                    "\"{user}\" needs a bcrypt hash such as `htpasswd -nBC 10 {user}` prints, not a password"
                ),
            );
        }
        users.push((user, text));
    }
    users
}

/// `$2b$10$` and 53 characters of bcrypt's own base64.
fn is_bcrypt(text: &str) -> bool {
    let parts: Vec<&str> = text.split('$').collect();
    let &["", "2a" | "2b" | "2x" | "2y", cost, rest] = parts.as_slice() else { return false };
    cost.len() == 2
        && cost.parse::<u32>().is_ok_and(|cost| (4..=31).contains(&cost))
        && rest.len() == 53
        && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'/')
}
