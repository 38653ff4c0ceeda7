//! From a step to a request. Invariant: what comes out is a valid request, whatever the templates gave.

use std::{cell::RefCell, rc::Rc, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Uri, header};
use minijinja::Value;
use url::Url;

use super::Target;
use crate::{
    client::{
        ErrorClass, Failure, credentials,
        origin::{Origin, basic},
    },
    engine::user::User,
    scenario::{RenderError, Step},
};

/// How the generator names itself, unless a step says otherwise.
const USER_AGENT: &str = concat!("assay-loadgen/", env!("CARGO_PKG_VERSION"));

/// A request, ready to be sent.
#[derive(Clone)]
pub(crate) struct Rendered {
    pub(super) origin: Arc<Origin>,
    pub(super) method: Method,
    /// Path and query.
    pub(super) path: Uri,
    pub(super) headers: HeaderMap,
    /// The cookies that the step sets itself.
    own_cookies: Option<HeaderValue>,
    pub(super) body: Bytes,
}

/// The steps that are the same each time, rendered once for each worker.
#[derive(Default)]
pub(crate) struct Fixed {
    by_step: RefCell<Vec<Option<Rc<Rendered>>>>,
}

/// Renders a step for a user, or takes it from `fixed`.
pub(super) fn render(
    step: &Step,
    target: &Target,
    user: &User,
    fixed: &Fixed,
) -> Result<Rc<Rendered>, RenderError> {
    if !step.is_fixed() || !user.cookies.is_empty() {
        return render_for(step, target, user).map(Rc::new);
    }
    if let Some(Some(known)) = fixed.by_step.borrow().get(step.id) {
        return Ok(Rc::clone(known));
    }
    let rendered = Rc::new(render_for(step, target, user)?);
    let mut by_step = fixed.by_step.borrow_mut();
    let len = by_step.len().max(step.id + 1);
    by_step.resize(len, None);
    by_step[step.id] = Some(Rc::clone(&rendered));
    Ok(rendered)
}

fn render_for(step: &Step, target: &Target, user: &User) -> Result<Rendered, RenderError> {
    let context = Value::from_dyn_object(Arc::clone(&user.context));
    let url = step.url.render(&context)?;
    let (origin, mut path, authorization) = if url.starts_with('/') {
        (Arc::clone(&target.origin), format!("{}{url}", target.prefix), target.authorization.clone())
    } else {
        // The message has the template, never what came of it: a URL may carry a secret.
        let url =
            Url::parse(&url).map_err(|e| RenderError::new(format!("{:?} is not a URL: {e}", step.url)))?;
        (Arc::new(Origin::of(&url).map_err(RenderError::new)?), path_of(&url), basic(&url))
    };
    if !step.query.is_empty() {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in &step.query {
            query.append_pair(name, &value.render(&context)?);
        }
        path.push(if path.contains('?') { '&' } else { '?' });
        path.push_str(&query.finish());
    }
    let mut headers = HeaderMap::with_capacity(step.headers.len() + 4);
    headers.insert(header::HOST, origin.authority.clone());
    headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
    for (name, value) in &step.headers {
        let value = value.render(&context)?;
        // The message leaves the value out: headers carry secrets.
        let value = HeaderValue::from_str(&value)
            .map_err(|_| RenderError::new(format!("the value of the header {name} is not valid in HTTP")))?;
        headers.insert(name.clone(), value);
    }
    if let Some(value) = authorization {
        headers.entry(header::AUTHORIZATION).or_insert(value);
    }
    let own_cookies = headers.get(header::COOKIE).cloned();
    user.cookies.send(&origin, &path, &mut headers);
    let body = step.body.render(&context)?;
    let path = uri(&path).map_err(|e| RenderError::new(format!("{:?}: {e}", step.url)))?;
    Ok(Rendered { path, origin, method: step.method.clone(), headers, own_cookies, body })
}

fn path_of(url: &Url) -> String {
    match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    }
}

/// A path that cannot be made valid.
#[derive(Debug, thiserror::Error)]
enum UriError {
    #[error(transparent)]
    Url(#[from] url::ParseError),
    #[error(transparent)]
    Uri(#[from] http::uri::InvalidUri),
}

/// A path as a URI; what may not stand in one is percent-encoded.
fn uri(path: &str) -> Result<Uri, UriError> {
    if let Ok(uri) = Uri::try_from(path) {
        return Ok(uri);
    }
    let url = Url::parse("http://x").and_then(|base| base.join(path))?;
    Ok(Uri::try_from(path_of(&url))?)
}

impl Rendered {
    /// The request that a redirect asks for (RFC 9110, 15.4).
    pub(super) fn redirected(&self, status: u16, location: &[u8]) -> Result<Self, Failure> {
        let fail = |detail: String| Failure::new(ErrorClass::Protocol, detail);
        let location =
            std::str::from_utf8(location).map_err(|e| fail(format!("a redirect's location: {e}")))?;
        let base = format!("{}{}", self.origin, self.path);
        let url = Url::parse(&base)
            .and_then(|base| base.join(location))
            .map_err(|e| fail(format!("a redirect to {location:?}: {e}")))?;
        let origin = Origin::of(&url).map_err(|e| fail(format!("a redirect to {location:?}: {e}")))?;
        let mut next = Self { path: uri(&path_of(&url)).map_err(|e| fail(e.to_string()))?, ..self.clone() };
        if origin != *next.origin {
            credentials::remove(&mut next.headers);
            next.own_cookies = None;
            next.headers.insert(header::HOST, origin.authority.clone());
            next.origin = Arc::new(origin);
        }
        // The jar decides again; the step's own stay with their origin.
        next.headers.remove(header::COOKIE);
        next.headers.extend(next.own_cookies.clone().map(|own| (header::COOKIE, own)));
        let becomes_get = status == 303 || (matches!(status, 301 | 302) && next.method == Method::POST);
        if becomes_get && next.method != Method::HEAD {
            next.method = Method::GET;
            next.body = Bytes::new();
            next.headers.remove(header::CONTENT_TYPE);
        }
        Ok(next)
    }
}
