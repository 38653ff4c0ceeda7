//! Multipart forms (RFC 7578). Invariant: the boundary stands nowhere but between the parts: a file that holds
//! it is refused when the scenario is read, a value that does when it is rendered.

use bytes::Bytes;
use minijinja::Value;

use super::{RenderError, Text};

/// What stands between parts.
const BOUNDARY: &str = "assay-5c0e8f1d7a934b26";
/// The type of a body of parts.
pub(crate) const CONTENT_TYPE: &str = "multipart/form-data; boundary=assay-5c0e8f1d7a934b26";

/// A part of a form.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) name: String,
    pub(crate) content: Content,
    /// The name of the file, as the server sees it.
    pub(crate) file_name: Option<Text>,
    pub(crate) content_type: Option<String>,
}

/// What a part holds.
#[derive(Debug)]
pub(crate) enum Content {
    Text(Text),
    File(Bytes),
}

impl Part {
    /// Whether the part is the same each time.
    pub(crate) fn is_fixed(&self) -> bool {
        let is_literal = |text: &Text| text.literal().is_some();
        self.file_name.as_ref().is_none_or(is_literal)
            && match &self.content {
                Content::Text(text) => is_literal(text),
                Content::File(_) => true,
            }
    }
}

/// Whether a file can be a part.
pub(crate) fn holds_boundary(bytes: &[u8]) -> bool {
    bytes.windows(BOUNDARY.len()).any(|w| w == BOUNDARY.as_bytes())
}

/// The body of a form.
pub(crate) fn render(parts: &[Part], context: &Value) -> Result<Bytes, RenderError> {
    let mut out = Vec::new();
    for part in parts {
        out.extend_from_slice(format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"").as_bytes());
        out.extend_from_slice(escaped(&part.name).as_bytes());
        if let Some(name) = &part.file_name {
            out.extend_from_slice(b"\"; filename=\"");
            out.extend_from_slice(escaped(&name.render(context)?).as_bytes());
        }
        out.extend_from_slice(b"\"\r\n");
        if let Some(kind) = &part.content_type {
            out.extend_from_slice(format!("Content-Type: {kind}\r\n").as_bytes());
        }
        out.extend_from_slice(b"\r\n");
        match &part.content {
            Content::File(bytes) => out.extend_from_slice(bytes),
            Content::Text(text) => {
                let value = text.render(context)?;
                if holds_boundary(value.as_bytes()) {
                    return Err(RenderError::new(format!(
                        "the part {:?} holds the boundary between parts",
                        part.name
                    )));
                }
                out.extend_from_slice(value.as_bytes());
            }
        }
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    Ok(Bytes::from(out))
}

/// A name as browsers write it: what would end it or the line is percent-encoded.
fn escaped(name: &str) -> String {
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}

#[cfg(test)]
mod tests {
    use minijinja::context;

    use super::*;

    #[test]
    fn parts_are_written_as_browsers_write_them() {
        let text = |t: &str| Text::parse(t).expect("a template");
        let parts = [
            Part {
                name: "a \"b\"".to_owned(),
                content: Content::Text(text("{{ n }}")),
                file_name: None,
                content_type: None,
            },
            Part {
                name: "f".to_owned(),
                content: Content::File(Bytes::from_static(b"\x00\xff")),
                file_name: Some(text("x.bin")),
                content_type: Some("application/octet-stream".to_owned()),
            },
        ];
        assert!(!parts[0].is_fixed() && parts[1].is_fixed());
        let got = render(&parts, &context! { n => 7 }).expect("rendered");
        let mut want = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"a %22b%22\"\r\n\r\n7\r\n--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"f\"; filename=\"x.bin\"\r\nContent-Type: application/octet-stream\r\n\r\n").into_bytes();
        want.extend_from_slice(b"\x00\xff\r\n--");
        want.extend_from_slice(format!("{BOUNDARY}--\r\n").as_bytes());
        assert_eq!(got, want);
        assert!(CONTENT_TYPE.ends_with(BOUNDARY));
        let e = render(&parts, &context! { n => format!("x{BOUNDARY}") }).expect_err("refused").to_string();
        assert!(e.contains("holds the boundary"), "{e}");
    }
}
