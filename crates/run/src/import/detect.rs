//! What a file holds, by its first bytes and its last.
//!
//! Invariant: the file is at its start again afterwards.

use std::{
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom},
};

use super::ImportFormat;

const HEAD_BYTES: u64 = 4096;
const TAIL_BYTES: u64 = 64;

/// The format of a file: JSON by its first keys, OpenMetrics by its last line.
pub(super) fn format(file: &mut File) -> io::Result<ImportFormat> {
    let mut head = Vec::new();
    file.by_ref().take(HEAD_BYTES).read_to_end(&mut head)?;
    let length = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
    let mut tail = Vec::new();
    file.by_ref().take(TAIL_BYTES).read_to_end(&mut tail)?;
    file.seek(SeekFrom::Start(0))?;
    Ok(of_bytes(&head, &tail))
}

fn of_bytes(head: &[u8], tail: &[u8]) -> ImportFormat {
    match first_key(head) {
        Some(b"metric" | b"values" | b"timestamps") => ImportFormat::VictoriaMetrics,
        Some(_) => ImportFormat::PrometheusJson,
        None if tail.trim_ascii_end().ends_with(b"# EOF") => ImportFormat::OpenMetrics,
        None => ImportFormat::Text,
    }
}

/// The first key of a JSON object. The text formats too may start with `{"`, but have no colon after it.
fn first_key(head: &[u8]) -> Option<&[u8]> {
    let inside = head.trim_ascii_start().strip_prefix(b"{")?.trim_ascii_start().strip_prefix(b"\"")?;
    let end = inside.iter().position(|b| *b == b'"')?;
    let after = inside[end + 1..].trim_ascii_start();
    after.starts_with(b":").then_some(&inside[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_apart() {
        for (head, tail, want) in [
            ("a 1 2\n# EOF\n", "# EOF\n", ImportFormat::OpenMetrics),
            ("{\"a.b\",c=\"d\"} 1 2\n# EOF\n", "# EOF", ImportFormat::OpenMetrics),
            ("# HELP a b\na 1 2\n", "a 1 2\n", ImportFormat::Text),
            ("", "", ImportFormat::Text),
            (" {\n \"status\": \"success\"", "}", ImportFormat::PrometheusJson),
            ("{\"metric\":{\"__name__\":\"a\"}", "}\n", ImportFormat::VictoriaMetrics),
            ("{\"values\" :[1]", "}\n", ImportFormat::VictoriaMetrics),
        ] {
            assert_eq!(of_bytes(head.as_bytes(), tail.as_bytes()), want, "{head}");
        }
    }
}
