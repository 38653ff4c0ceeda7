//! The filters of templates that are ours: hashes, codings, JSON. Invariant: a filter gives a text or fails; what
//! it was given is in no message.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use minijinja::{Environment, Error, ErrorKind, Value, value::Serde};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use ring::{digest, hmac};

/// What may stand in a part of a URL as it is (RFC 3986, 2.3).
pub(crate) const UNRESERVED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Adds the filters.
pub(super) fn add(engine: &mut Environment<'_>) {
    engine.add_filter("hash", hash);
    engine.add_filter("hmac", hmac_of);
    engine.add_filter("base64", |text: String| STANDARD.encode(text));
    engine.add_filter("base64_decode", decode);
    engine.add_filter("urlencode", |text: String| utf8_percent_encode(&text, UNRESERVED).to_string());
    engine.add_filter("json", |value: Value| serde_json::to_string(&value).map_err(|_| wrong("no JSON")));
    engine.add_filter("from_json", |text: String| {
        let value: Result<serde_json::Value, _> = serde_json::from_str(&text);
        value.map(|json| Value::from(Serde(json))).map_err(|_| wrong("not valid JSON"))
    });
}

fn wrong(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::InvalidOperation, message)
}

fn hash(text: String, algorithm: Option<&str>) -> Result<String, Error> {
    let algorithm = match algorithm.unwrap_or("sha256") {
        "sha1" => &digest::SHA1_FOR_LEGACY_USE_ONLY,
        "sha256" => &digest::SHA256,
        "sha384" => &digest::SHA384,
        "sha512" => &digest::SHA512,
        _ => return Err(wrong("expected sha1, sha256, sha384 or sha512")),
    };
    Ok(hex(digest::digest(algorithm, &text.into_bytes()).as_ref()))
}

fn hmac_of(text: String, key: String) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key.into_bytes());
    hex(hmac::sign(&key, &text.into_bytes()).as_ref())
}

fn decode(text: String) -> Result<String, Error> {
    let bytes = STANDARD.decode(text).map_err(|_| wrong("not valid base64"))?;
    String::from_utf8(bytes).map_err(|_| wrong("the decoded bytes are not UTF-8"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
