//! Bodies as texts, for checks and captures. Invariant: what a response unpacks to is bounded like any body.

use std::borrow::Cow;

use http::HeaderMap;

use crate::client::{Failure, coding::Coding};

/// The body as text, unpacked where it is compressed; what is not UTF-8 is replaced.
pub(super) fn decode<'b>(headers: &HeaderMap, body: &'b [u8]) -> Result<Cow<'b, str>, Failure> {
    match Coding::of(headers) {
        _ if body.is_empty() => Ok(Cow::Borrowed("")),
        Coding::Plain => Ok(String::from_utf8_lossy(body)),
        coding => Ok(Cow::Owned(String::from_utf8_lossy(&coding.unpack(body)?).into_owned())),
    }
}
