//! Content codings, for checks and captures. Invariant: what a response unpacks to is bounded like any body.

use std::{borrow::Cow, io::Read};

use http::{HeaderMap, header};

use crate::client::{ErrorClass, Failure, reply::MAX_KEPT_BYTES};

/// The body as text, unpacked where it is compressed; what is not UTF-8 is replaced.
pub(super) fn decode<'b>(headers: &HeaderMap, body: &'b [u8]) -> Result<Cow<'b, str>, Failure> {
    let coding = headers.get(header::CONTENT_ENCODING).and_then(|v| v.to_str().ok()).unwrap_or("");
    if body.is_empty() {
        return Ok(Cow::Borrowed(""));
    }
    let unpacked = match coding.trim().to_ascii_lowercase().as_str() {
        "gzip" | "x-gzip" => unpack(flate2::read::MultiGzDecoder::new(body))?,
        "deflate" => unpack(flate2::read::ZlibDecoder::new(body))?,
        _ => return Ok(String::from_utf8_lossy(body)),
    };
    Ok(Cow::Owned(String::from_utf8_lossy(&unpacked).into_owned()))
}

fn unpack(reader: impl Read) -> Result<Vec<u8>, Failure> {
    let mut out = Vec::new();
    reader
        .take(MAX_KEPT_BYTES as u64 + 1)
        .read_to_end(&mut out)
        .map_err(|e| Failure::new(ErrorClass::Protocol, format!("the compressed body: {e}")))?;
    if out.len() > MAX_KEPT_BYTES {
        let detail = format!("the body unpacks to more than {MAX_KEPT_BYTES} bytes");
        return Err(Failure::new(ErrorClass::TooLarge, detail));
    }
    Ok(out)
}
