//! The file itself: what it may say, and what is wrong with it.
//!
//! Source of the format: prometheus/exporter-toolkit, `docs/web-configuration.md`. TLS here begins with version 1.2: an
//! older `min_version` is accepted and means that, an older `max_version` is an error.

mod http;
mod tls;

use std::{path::Path, path::PathBuf, sync::Arc};

use assay_yaml::{Cx, Document, Node};
use axum::http::{HeaderName, HeaderValue};
use rustls::ServerConfig;

use self::http::Http;
use super::{WebConfigError, tls::TlsFiles};

pub(super) use self::http::RateLimit;

/// A valid file.
#[derive(Debug)]
pub(super) struct Config {
    pub(super) tls: Option<Arc<ServerConfig>>,
    pub(super) http2: bool,
    pub(super) rate_limit: Option<RateLimit>,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    /// Names with bcrypt hashes.
    pub(super) users: Vec<(String, String)>,
    /// The certificates and keys that it names.
    pub(super) files: Vec<PathBuf>,
}

impl Config {
    pub(super) fn read(path: &Path) -> Result<Self, WebConfigError> {
        let failed = |problems: assay_yaml::Diagnostics| WebConfigError(problems.to_string());
        let document = Document::read(path).map_err(failed)?;
        let mut cx = Cx::new(&document);
        let directory = path.parent().unwrap_or(Path::new("."));
        let (mut files, mut http, mut users, mut rate_limit) = (None, Http::default(), Vec::new(), None);
        // An empty file asks for nothing.
        if !document.root().is_null()
            && let Some(mut map) = cx.map(document.root(), "a web configuration")
        {
            files = map.get("tls_server_config").and_then(|node| tls::read(&mut cx, node, directory));
            if let Some(node) = map.get("http_server_config") {
                http = http::read(&mut cx, node);
            }
            if let Some(node) = map.get("basic_auth_users") {
                users = basic_auth(&mut cx, node);
            }
            rate_limit = map.get("rate_limit").and_then(|node| http::rate_limit(&mut cx, node));
            map.finish(&mut cx);
        }
        cx.finish().map_err(failed)?;
        let names = files.as_ref().map(TlsFiles::paths).unwrap_or_default();
        let tls = match files {
            Some(files) => Some(Arc::new(files.load(http.http2)?)),
            None => None,
        };
        let (http2, headers) = (http.http2 && tls.is_some(), http.headers);
        Ok(Self { tls, http2, rate_limit, headers, users, files: names })
    }
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
