//! Single HTTP requests over plain sockets. Invariant: HTTP/1.0, so that the response ends with the connection and no
//! client library stands between a test and the bytes.

use std::{
    io::{self, Read as _, Write as _},
    net::TcpStream,
};

/// A response.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The status line and the headers.
    pub head: String,
    /// The body.
    pub body: Vec<u8>,
}

impl Response {
    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; null if it is none.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// Sends a request to `HOST:PORT` or `http://HOST:PORT`. `headers` are whole lines that end in `\r\n`.
///
/// # Errors
/// If the connection fails or ends before a whole head came.
pub fn request(address: &str, method: &str, path: &str, headers: &str, body: &[u8]) -> io::Result<Response> {
    let address = address.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address)?;
    let head = format!(
        "{method} {path} HTTP/1.0\r\nHost: {address}\r\nContent-Length: {}\r\n{headers}\r\n",
        body.len()
    );
    stream.write_all(&[head.as_bytes(), body].concat())?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    let end = bytes.windows(4).position(|w| w == b"\r\n\r\n");
    let end = end.ok_or_else(|| io::Error::new(io::ErrorKind::UnexpectedEof, "the response has no head"))?;
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let status = head.split(' ').nth(1).and_then(|s| s.parse().ok());
    let status = status.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, head.clone()))?;
    Ok(Response { status, head, body: bytes.split_off(end + 4) })
}

/// Asks for `path`.
///
/// # Errors
/// As [`request`].
pub fn get(address: &str, path: &str) -> io::Result<Response> {
    request(address, "GET", path, "", b"")
}

/// Sends a form.
///
/// # Errors
/// As [`request`].
pub fn post_form(address: &str, path: &str, form: &str) -> io::Result<Response> {
    let headers = "Content-Type: application/x-www-form-urlencoded\r\n";
    request(address, "POST", path, headers, form.as_bytes())
}

/// Text as it stands in a query: everything but unreserved characters as `%XX`.
#[must_use]
pub fn encode(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(byte.into()),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}
