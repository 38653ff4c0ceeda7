//! A command as a step. Invariant: what curl adds to a request of its own is in the step.

use std::borrow::Cow;

use assay_text::secret::{REDACTED, redact_url};
use base64::Engine as _;

use super::Command;
use crate::import::{
    ImportError,
    draft::{Draft, DraftBody, DraftStep, literal, slug},
    secrets::Secrets,
    shell,
    written::target_of,
};

impl Command {
    /// The scenario of the command.
    pub(super) fn draft(mut self) -> Result<Draft, ImportError> {
        let Some(word) = self.url.take() else {
            return Err(ImportError("curl:1:1: the command has no URL".to_owned()));
        };
        let text =
            if word.text.contains("://") { word.text.clone() } else { format!("http://{}", word.text) };
        if shell::is_in(text.split(['/', '?']).nth(2).unwrap_or_default()) {
            return Err(word.error("the host is a variable of the shell; write its value"));
        }
        let url =
            url::Url::parse(&text).map_err(|e| word.error(&format!("{:?} is not a URL: {e}", word.text)))?;
        let origin = crate::client::origin::Origin::of(&url).map_err(|e| word.error(&e.to_string()))?;
        self.user = self.user.take().or_else(|| crate::client::origin::user(&url));
        let body = self.data.join("&");
        let has_body = !self.data.is_empty() && !self.is_get;
        let (path, query) = target_of(&text);
        let query = query.map(Cow::into_owned).filter(|q| !q.is_empty() || !self.is_get);
        let more = (self.is_get && !body.is_empty()).then(|| body.clone());
        let query = match (query, more) {
            (Some(query), Some(more)) => Some(format!("{query}&{more}")),
            (query, more) => query.or(more),
        };
        self.pair_keys();
        // Whatever the host is called, the socket is where it is.
        self.routes
            .extend(self.socket.take().map(|path| format!("{}:{}:unix:{path}", origin.host, origin.port)));
        let mut draft = Draft {
            name: slug(&origin.host),
            origin: "a curl command".to_owned(),
            target: Some(origin.to_string()),
            tls: std::mem::take(&mut self.tls),
            routes: std::mem::take(&mut self.routes),
            http2: self.http2,
            notes: std::mem::take(&mut self.notes),
            ..Draft::default()
        };
        for name in &self.shell {
            draft.secrets.shell(name);
        }
        let step = self.step(&mut draft, (path.as_ref(), query.as_deref()), has_body.then_some(body));
        draft.push(step);
        Ok(draft)
    }

    /// A certificate's file has its key in it where curl is given none; each option counts once, the last time.
    fn pair_keys(&mut self) {
        let last = |tls: &[(&str, String)], name| {
            tls.iter().rfind(|(n, _)| *n == name).map(|(_, file)| file.clone())
        };
        let (ca, cert, key) = (last(&self.tls, "ca"), last(&self.tls, "cert"), last(&self.tls, "key"));
        if cert.is_none() && key.is_some() {
            self.notes.push("--key is left out: there is no --cert that it belongs to".to_owned());
        }
        let key = cert.as_ref().map(|cert| key.unwrap_or_else(|| cert.clone()));
        let insecure = last(&self.tls, "insecure");
        let ca = ca.filter(|_| insecure.is_none());
        let found = [("insecure", insecure), ("ca", ca), ("cert", cert), ("key", key)];
        self.tls = found.into_iter().filter_map(|(name, file)| Some((name, file?))).collect();
    }

    fn step(
        mut self,
        draft: &mut Draft,
        (path, query): (&str, Option<&str>),
        body: Option<String>,
    ) -> DraftStep {
        let has_parts = !self.parts.is_empty();
        let implied = if self.is_head {
            "HEAD"
        } else if body.is_some() || has_parts {
            "POST"
        } else {
            "GET"
        };
        let method = self.method.take().unwrap_or_else(|| implied.to_owned());
        let mut step = DraftStep {
            name: format!("{method} {}", redact_url(&shell::named(path), REDACTED)),
            method,
            ..DraftStep::default()
        };
        step.timeout_ms = self.timeout_ms;
        draft.locate(&mut step, path, query);
        self.implied(draft, body.is_some());
        let by_shell = self.user_of_shell();
        step.body = match body {
            Some(text) => draft.body(&mut self.headers, &text),
            None if has_parts => DraftBody::Parts(draft.secrets.parts(std::mem::take(&mut self.parts))),
            None => DraftBody::None,
        };
        let secrets = &mut draft.secrets;
        step.headers = std::mem::take(&mut self.headers)
            .into_iter()
            .map(|(n, v)| {
                let text = if n == "cookie" { cookies(secrets, &v) } else { secrets.header(&n, &v) };
                (n, text)
            })
            .chain(by_shell)
            .collect();
        for name in ["content-type", "user-agent"] {
            let is_sent = name == "user-agent" || matches!(step.body, DraftBody::Text(_));
            if is_sent
                && self.removed.iter().any(|n| n == name)
                && !step.headers.iter().any(|(n, _)| n == name)
            {
                draft.notes.push(format!(
                    "the command takes the header {name} out; a scenario sends one of its own"
                ));
            }
        }
        step
    }

    /// The credentials, where the shell puts a part of them there.
    fn user_of_shell(&mut self) -> Option<(String, String)> {
        let user = self.user.take()?;
        let mut names = self.headers.iter().map(|(n, _)| n).chain(&self.removed);
        if names.any(|n| n == "authorization") {
            return None;
        }
        let value = shell::expression(&user);
        Some(("authorization".to_owned(), format!("Basic {{{{ ({value}) | base64 }}}}")))
    }

    /// The headers that curl adds, but for those that the command gives or takes out.
    fn implied(&mut self, draft: &mut Draft, has_body: bool) {
        let mut implied: Vec<(&str, String)> = Vec::new();
        if let Some(user) = self.user.take_if(|user| !shell::is_in(user)) {
            let encoded = base64::engine::general_purpose::STANDARD.encode(user);
            implied.push(("authorization", format!("Basic {encoded}")));
        }
        if has_body {
            let kind = if self.has_json { "application/json" } else { "application/x-www-form-urlencoded" };
            implied.push(("content-type", kind.to_owned()));
        }
        implied.push(("accept", if self.has_json { "application/json" } else { "*/*" }.to_owned()));
        if self.is_compressed {
            implied.push(("accept-encoding", "deflate, gzip, br, zstd".to_owned()));
        }
        if !self.cookies.is_empty() {
            implied.push(("cookie", self.cookies.join(";")));
        }
        for (name, value) in implied {
            let is_given = self.headers.iter().any(|(n, _)| n == name);
            if !is_given && !self.removed.iter().any(|n| n == name) {
                if name == "authorization" && value.starts_with("Basic ") {
                    draft.notes.push("AUTHORIZATION is base64 of user:password".to_owned());
                }
                self.headers.push((name.to_owned(), value));
            }
        }
    }
}

/// Every cookie's value is taken for a secret.
pub(in crate::import) fn cookies(secrets: &mut Secrets, value: &str) -> String {
    let parts: Vec<_> = value
        .split(';')
        .map(|part| match part.split_once('=') {
            Some((name, value)) if !value.is_empty() => {
                format!("{}={}", literal(name), secrets.template(&format!("cookie-{}", name.trim()), value))
            }
            _ => literal(part),
        })
        .collect();
    parts.join(";")
}
