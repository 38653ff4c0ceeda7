//! `tls_server_config`.

use std::path::Path;

use assay_yaml::{Cx, MapReader, Node, nearest};

use crate::web::tls::{ClientCertificates, Pem, TlsFiles, suites};

const CLIENT_AUTH_TYPES: [(&str, ClientCertificates); 6] = [
    ("NoClientCert", ClientCertificates::NotAsked),
    ("RequestClientCert", ClientCertificates::Asked),
    ("RequireAnyClientCert", ClientCertificates::RequiredOfAnyone),
    ("RequireClientCert", ClientCertificates::RequiredOfAnyone),
    ("VerifyClientCertIfGiven", ClientCertificates::VerifiedIfGiven),
    ("RequireAndVerifyClientCert", ClientCertificates::Required),
];

/// Reads the section; `None` where it asks for no TLS.
pub(super) fn read(cx: &mut Cx<'_>, node: &Node, directory: &Path) -> Option<TlsFiles> {
    let mut map = cx.map(node, "tls_server_config")?;
    let certificate = pem(cx, &mut map, directory, "cert_file", "cert");
    let key = pem(cx, &mut map, directory, "key_file", "key");
    let client_ca = pem(cx, &mut map, directory, "client_ca_file", "client_ca");
    let auth_type = map.get("client_auth_type");
    let clients = auth_type.map_or(Some(ClientCertificates::NotAsked), |node| client_auth(cx, node));
    let allowed_sans = strings(cx, map.get("client_allowed_sans"));
    let min = version(cx, map.get("min_version"), 12);
    let max_node = map.get("max_version");
    let max = version(cx, max_node, 13);
    if let (Some(node), true) = (max_node, max < 12) {
        cx.error(node, "versions before TLS12 are not offered here: max_version can be TLS12 or TLS13");
    } else if let (Some(node), true) = (max_node, max < min) {
        cx.error(node, "max_version is below min_version");
    }
    let suites = known(cx, map.get("cipher_suites"), "cipher suite", suites::suite);
    let curves = known(cx, map.get("curve_preferences"), "curve", suites::curve);
    let prefer_ours = map.get("prefer_server_cipher_suites").is_none_or(|n| cx.boolean(n) != Some(false));
    map.finish(cx);

    let clients = clients?;
    let is_asked_for = certificate.is_some() || key.is_some() || client_ca.is_some() || auth_type.is_some();
    if !is_asked_for {
        return None;
    }
    if certificate.is_none() {
        cx.error(node, "TLS needs a certificate: cert_file or cert is missing");
    }
    if key.is_none() {
        cx.error(node, "TLS needs a private key: key_file or key is missing");
    }
    let verifies = matches!(clients, ClientCertificates::VerifiedIfGiven | ClientCertificates::Required);
    if verifies && client_ca.is_none() {
        cx.error(
            auth_type?,
            "client_auth_type asks for certificates: client_ca_file must say who signs them",
        );
    }
    if client_ca.is_some() && clients == ClientCertificates::NotAsked {
        cx.error(node, "client_ca_file is given and client_auth_type asks for no certificates");
    }
    if !allowed_sans.is_empty() && !verifies {
        cx.error(node, "client_allowed_sans needs a client_auth_type that verifies certificates");
    }
    Some(TlsFiles {
        certificate: certificate?,
        key: key?,
        clients,
        client_ca,
        allowed_sans,
        versions: (min.max(12), max),
        suites,
        curves,
        prefer_ours,
    })
}

/// A file, relative to the one that names it, or else the text itself.
fn pem(
    cx: &mut Cx<'_>,
    map: &mut MapReader<'_>,
    directory: &Path,
    file: &'static str,
    inline: &'static str,
) -> Option<Pem> {
    let (file, inline) = (map.get(file), map.get(inline));
    let mut text = |node: Option<&Node>| node.and_then(|node| cx.string(node)).filter(|t| !t.is_empty());
    match (text(file), text(inline)) {
        (Some(name), _) => Some(Pem::File(directory.join(name))),
        (None, Some(text)) => Some(Pem::Inline(text)),
        (None, None) => None,
    }
}

fn client_auth(cx: &mut Cx<'_>, node: &Node) -> Option<ClientCertificates> {
    let text = cx.string(node)?;
    if let Some((_, clients)) = CLIENT_AUTH_TYPES.iter().find(|(name, _)| *name == text) {
        return Some(*clients);
    }
    let message = match nearest(&text, CLIENT_AUTH_TYPES.map(|(name, _)| name)) {
        Some(known) => format!("unknown client_auth_type \"{text}\"; did you mean \"{known}\"?"),
        None => {
            format!(
                "unknown client_auth_type \"{text}\"; NoClientCert and RequireAndVerifyClientCert are known"
            )
        }
    };
    cx.error(node, message);
    None
}

/// 10 to 13.
fn version(cx: &mut Cx<'_>, node: Option<&Node>, default: u32) -> u32 {
    let Some(node) = node else { return default };
    let Some(text) = cx.string(node) else { return default };
    match text.as_str() {
        "" => default,
        "TLS10" => 10,
        "TLS11" => 11,
        "TLS12" => 12,
        "TLS13" => 13,
        other => {
            cx.error(node, format!("unknown version \"{other}\"; TLS12 and TLS13 are known"));
            default
        }
    }
}

fn strings(cx: &mut Cx<'_>, node: Option<&Node>) -> Vec<String> {
    let Some(node) = node else { return Vec::new() };
    match node.as_seq() {
        Some(items) => items.iter().filter_map(|item| cx.string(item)).collect(),
        None => {
            cx.error(node, "expected a list");
            Vec::new()
        }
    }
}

/// The things of the names; a name that is known and has no thing here is logged and left out.
fn known<T>(
    cx: &mut Cx<'_>,
    node: Option<&Node>,
    what: &str,
    find: impl Fn(&str) -> Option<Option<T>>,
) -> Vec<T> {
    let Some(node) = node else { return Vec::new() };
    let Some(items) = node.as_seq() else {
        cx.error(node, "expected a list");
        return Vec::new();
    };
    let mut found = Vec::new();
    for item in items {
        let Some(name) = cx.string(item) else { continue };
        match find(&name) {
            Some(Some(thing)) => found.push(thing),
            Some(None) => tracing::warn!("the {what} {name} is not offered here, and is left out"),
            None => cx.error(item, format!("unknown {what} \"{name}\"")),
        }
    }
    if found.is_empty() && !items.is_empty() {
        cx.error(node, format!("no {what} of the list is offered here"));
    }
    found
}
