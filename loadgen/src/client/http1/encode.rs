//! A request as bytes (RFC 9112, 3 to 6). Invariant: the bytes are one request, its body as long as its
//! `content-length` says.

use std::io::Write as _;

use http::{HeaderName, Method, header};

use crate::client::outgoing::Outgoing;

/// Replaces what is in `out` by the request.
pub(super) fn encode(request: &Outgoing<'_>, out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(request.method.as_str().as_bytes());
    out.push(b' ');
    let target = request.path.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    out.extend_from_slice(if target.is_empty() { "/" } else { target }.as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\n");
    for (name, value) in request.headers.iter().filter(|(name, _)| !is_ours(name)) {
        out.extend_from_slice(name.as_str().as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    // A method that expects a body says so where there is none (RFC 9110, 8.6).
    let expects = matches!(request.method, Method::POST | Method::PUT | Method::PATCH);
    if expects || !request.body.is_empty() {
        // Writing to memory does not fail.
        let _ = write!(out, "content-length: {}\r\n", request.body.len());
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(request.body);
}

/// Whether a header is about how the body is sent, which is not for a scenario to say.
fn is_ours(name: &HeaderName) -> bool {
    *name == header::CONTENT_LENGTH || *name == header::TRANSFER_ENCODING
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use bytes::Bytes;
    use http::{HeaderMap, HeaderValue, Uri};

    use super::*;

    #[test]
    fn requests_are_written_as_http_has_it() {
        let check = |method: Method, path: &'static str, body: &'static str, want: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static("a:1"));
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("99"));
            let (path, body) = (Uri::from_static(path), Bytes::from_static(body.as_bytes()));
            let request = Outgoing { method, path: &path, headers: Cow::Owned(headers), body: &body };
            let mut out = b"left over".to_vec();
            encode(&request, &mut out);
            assert_eq!(String::from_utf8_lossy(&out), want);
        };
        check(Method::GET, "/a?b=c", "", "GET /a?b=c HTTP/1.1\r\nhost: a:1\r\n\r\n");
        check(Method::POST, "/", "", "POST / HTTP/1.1\r\nhost: a:1\r\ncontent-length: 0\r\n\r\n");
        check(Method::PUT, "/x", "hey", "PUT /x HTTP/1.1\r\nhost: a:1\r\ncontent-length: 3\r\n\r\nhey");
        check(Method::DELETE, "/x", "y", "DELETE /x HTTP/1.1\r\nhost: a:1\r\ncontent-length: 1\r\n\r\ny");
        check(Method::OPTIONS, "*", "", "OPTIONS * HTTP/1.1\r\nhost: a:1\r\n\r\n");
    }
}
