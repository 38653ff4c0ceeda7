//! JSON as YAML for people to keep and compare. Invariant: what is written reads back as the same tree.

use crate::{Diagnostics, Document, Kind, Node, Style};

/// The longest line that a map of scalars in a list is put on.
const WIDTH: usize = 120;

/// JSON as YAML: maps and lists of maps as blocks, lists of scalars on one line each, keys in their order.
///
/// # Errors
/// If the text is not JSON.
pub fn from_json(json: &str) -> Result<String, Diagnostics> {
    let document = Document::parse("JSON", json)?;
    let mut out = String::new();
    block(&mut out, document.root(), 0);
    Ok(out)
}

/// Writes a node that begins on a line of its own, `indent` in.
fn block(out: &mut String, node: &Node, indent: usize) {
    match &node.kind {
        Kind::Map(pairs) if !pairs.is_empty() => {
            for (i, (key, value)) in pairs.iter().enumerate() {
                if i > 0 {
                    pad(out, indent);
                }
                out.push_str(&scalar(key));
                out.push(':');
                inner(out, value, indent);
            }
        }
        Kind::Seq(items) if items.iter().any(|i| i.as_str().is_none()) => {
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    pad(out, indent);
                }
                out.push_str("- ");
                match flow(item).filter(|line| indent + line.chars().count() <= WIDTH) {
                    Some(line) => push_line(out, &line),
                    None => block(out, item, indent + 2),
                }
            }
        }
        _ => push_line(out, &flow(node).unwrap_or_default()),
    }
}

/// Writes the value of a key.
fn inner(out: &mut String, value: &Node, indent: usize) {
    let is_block = match &value.kind {
        Kind::Map(pairs) => !pairs.is_empty(),
        Kind::Seq(items) => items.iter().any(|i| i.as_str().is_none()),
        Kind::Scalar(..) => false,
    };
    if let Some(text) = literal(value) {
        out.push_str(" |-\n");
        for line in text.lines() {
            pad(out, if line.is_empty() { 0 } else { indent + 2 });
            push_line(out, line);
        }
    } else if is_block {
        out.push('\n');
        pad(out, indent + 2);
        block(out, value, indent + 2);
    } else {
        out.push(' ');
        block(out, value, indent);
    }
}

/// A text of several lines that can be written as it is.
fn literal(node: &Node) -> Option<&str> {
    let Kind::Scalar(text, Style::Double) = &node.kind else { return None };
    let is_clean =
        |line: &str| !line.ends_with(' ') && line.chars().all(|c| c == ' ' || c.is_ascii_graphic());
    let is_lines = text.contains('\n') && !text.starts_with([' ', '\n']) && !text.ends_with('\n');
    (is_lines && text.split('\n').all(is_clean)).then_some(text.as_str())
}

fn pad(out: &mut String, indent: usize) {
    out.extend(std::iter::repeat_n(' ', indent));
}

fn push_line(out: &mut String, line: &str) {
    out.push_str(line);
    out.push('\n');
}

/// Whether a node has its place on a line with others.
fn is_scalar(node: &Node) -> bool {
    node.as_str().is_some() && literal(node).is_none()
}

/// A node on one line, if all that it holds is scalars.
fn flow(node: &Node) -> Option<String> {
    match &node.kind {
        Kind::Scalar(..) => Some(scalar(node)),
        Kind::Seq(items) if items.iter().all(|i| i.as_str().is_some()) => {
            Some(format!("[{}]", items.iter().map(scalar).collect::<Vec<_>>().join(", ")))
        }
        Kind::Map(pairs) if pairs.iter().all(|(_, value)| is_scalar(value)) => {
            let pairs: Vec<_> = pairs.iter().map(|(k, v)| format!("{}: {}", scalar(k), scalar(v))).collect();
            Some(format!("{{{}}}", pairs.join(", ")))
        }
        _ => None,
    }
}

/// A scalar: a text in quotes unless every reader of YAML takes it as that text without.
fn scalar(node: &Node) -> String {
    let Kind::Scalar(text, style) = &node.kind else { return String::new() };
    if *style == Style::Plain || is_plain(text) { text.clone() } else { quoted(text) }
}

fn is_plain(text: &str) -> bool {
    let is_safe = |c: char| c.is_ascii_alphanumeric() || " _./%()-".contains(c);
    // Versions of YAML differ in what else is a boolean.
    let word = text.to_ascii_lowercase();
    let is_word = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"].contains(&word.as_str());
    let is_text = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && !text.ends_with(' ')
        && text.chars().all(is_safe)
        && !is_word;
    is_text || is_length(text)
}

/// A length of time such as `1m30s`, which no version of YAML takes for a number.
fn is_length(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit())
        && text.ends_with(['s', 'm', 'h'])
        && text.chars().all(|c| c.is_ascii_digit() || "dhms".contains(c))
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, want: &str) {
        let text = from_json(json).expect("is JSON");
        assert_eq!(text, want);
        let back = Document::parse("a.yml", text).expect("is YAML").root().to_json();
        assert_eq!(back, serde_json::from_str::<serde_json::Value>(json).expect("is JSON"));
    }

    #[test]
    fn keys_keep_their_order_and_lists_of_scalars_their_line() {
        check(
            r#"{"z": {"b": 1, "a": null}, "list": [1.5, 2, -3e-7], "none": [], "empty": {}}"#,
            "z:\n  b: 1\n  a: null\nlist: [1.5, 2, -3e-7]\nnone: []\nempty: {}\n",
        );
        check(
            r#"{"rows": [{"name": "a b", "v": 1}, {"deep": {"x": [1]}, "y": [[1, 2], [3]]}, []]}"#,
            "rows:\n  - {name: a b, v: 1}\n  - deep:\n      x: [1]\n    \"y\":\n      - [1, 2]\n      - [3]\n  - []\n",
        );
        check(
            r#"{"text": "a: b\n  c\n\nd", "list": [{"text": "x\ny"}], "plain": ["x\ny"]}"#,
            "text: |-\n  a: b\n    c\n\n  d\nlist:\n  - text: |-\n      x\n      y\nplain: [\"x\\ny\"]\n",
        );
        let long = "x".repeat(130);
        check(&format!("[{{\"a\": \"{long}\", \"b\": 2}}]"), &format!("- a: {long}\n  b: 2\n"));
    }

    #[test]
    fn texts_stay_texts() {
        for text in [
            "yes",
            "No",
            "1",
            "1e3",
            "2026-11-23T13:45:00Z",
            "0x1f",
            "~",
            "",
            " ",
            "a: b",
            "a #b",
            "- a",
            "- ",
            "\"",
            "'",
            "{{ x }}",
            "a\nb",
            "a\tb\u{1}",
            "é \u{202e}",
            "[x]",
            "&a",
            "*a",
            "!t",
            "|",
            "%a",
            "@b",
            "histogram_quantile(0.99, sum(a{b=\"c\"}[$__range])) < 5",
            "true",
            "12:30",
            "\\",
            "a,b",
            "end ",
        ] {
            let json = serde_json::json!({"key": text, "list": [text, {text: text}]});
            let written = from_json(&json.to_string()).expect("is JSON");
            let back = Document::parse("a.yml", written.clone());
            assert_eq!(back.expect("is YAML").root().to_json(), json, "{written}");
        }
    }
}
