//! What an operation needs to be let in. Invariant: a credential is an environment variable, never a value.

use assay_yaml::Node;

use super::Reader;
use crate::import::draft::{Draft, DraftStep, add_header, literal};

impl<'d> Reader<'d> {
    /// Adds what the first of the operation's alternatives asks for.
    pub(super) fn secure(&mut self, draft: &mut Draft, step: &mut DraftStep, operation: &'d Node) {
        let security = operation.get("security").or_else(|| self.root.get("security"));
        let first = security.and_then(Node::as_seq).and_then(|list| list.first());
        for (key, _) in first.and_then(Node::as_map).unwrap_or_default() {
            let name = key.as_str().unwrap_or_default();
            let schemes = self.root.get("components").and_then(|c| c.get("securitySchemes"));
            let Some(scheme) = schemes.and_then(|s| s.get(name)).and_then(|s| self.follow(s)) else {
                self.cx.error(key, format!("there is no security scheme {name:?} under components"));
                continue;
            };
            apply(draft, step, name, scheme);
        }
    }
}

fn apply(draft: &mut Draft, step: &mut DraftStep, name: &str, scheme: &Node) {
    let text = |key: &str| scheme.get(key).and_then(Node::as_str).unwrap_or_default();
    // The scheme's name stands for the value that is not there, so that one scheme is one variable.
    let variable = draft.secrets.template(name, &format!("the scheme {name}"));
    match (text("type"), text("in")) {
        ("apiKey", "query") => {
            step.query.retain(|(known, _)| known != text("name"));
            step.query.push((text("name").to_owned(), variable));
        }
        ("apiKey", "cookie") => {
            add_header(&mut step.headers, "cookie", &format!("{}={variable}", literal(text("name"))));
        }
        ("apiKey", _) => step.set_header(text("name"), variable),
        ("http", _) if text("scheme").eq_ignore_ascii_case("basic") => {
            draft.notes.push(format!("{name} is user:password in base64"));
            step.set_header("authorization", format!("Basic {variable}"));
        }
        ("mutualTLS", _) => {
            draft.notes.push(format!("{name} needs a client certificate: tls: {{cert: FILE, key: FILE}}"));
        }
        ("http", _) if !text("scheme").eq_ignore_ascii_case("bearer") => {
            step.set_header("authorization", format!("{} {variable}", literal(text("scheme"))));
        }
        _ => step.set_header("authorization", format!("Bearer {variable}")),
    }
    draft.notes.dedup();
}
