//! Bodies as texts, for checks and captures. Invariant: what a response unpacks to is bounded like any body.

use std::borrow::Cow;

use http::HeaderMap;

use crate::client::{Failure, coding::Coding};

/// The body as text, unpacked where it is compressed; what is not UTF-8 is replaced.
pub(super) fn decode<'b>(headers: &HeaderMap, body: &'b [u8]) -> Result<Cow<'b, str>, Failure> {
    if body.is_empty() {
        return Ok(Cow::Borrowed(""));
    }
    Ok(match Coding::of(headers) {
        Coding::Plain => String::from_utf8_lossy(body),
        coding => Cow::Owned(match String::from_utf8(coding.unpack(body)?) {
            Ok(text) => text,
            Err(e) => String::from_utf8_lossy(e.as_bytes()).into_owned(),
        }),
    })
}
