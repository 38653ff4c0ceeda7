//! A request on its way out. Invariant: it is valid HTTP, since its parts are.

use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Uri};
use http_body_util::Full;

/// A request, lent by its renderer.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing<'r> {
    pub(crate) method: Method,
    /// Path and query.
    pub(crate) path: &'r Uri,
    pub(crate) headers: Cow<'r, HeaderMap>,
    pub(crate) body: &'r Bytes,
}

impl Outgoing<'_> {
    /// The request as hyper takes it.
    pub(super) fn to_request(&self) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.path.clone();
        *request.headers_mut() = self.headers.clone().into_owned();
        request
    }
}
