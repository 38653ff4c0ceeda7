//! A draft as YAML. Invariant: every text reads back as it was, whatever is in it.

use std::{collections::HashMap, fmt::Write as _};

use super::{
    draft::{Content, Draft, DraftBody, DraftStep, Part, literal},
    json::Json,
};

/// The text of a draft.
pub(super) fn scenario(draft: &Draft) -> String {
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = write(&mut out, draft);
    out
}

fn write(out: &mut String, draft: &Draft) -> std::fmt::Result {
    writeln!(out, "# Imported from {}.", one_line(&draft.origin))?;
    let variables = draft.secrets.variables();
    if !variables.is_empty() {
        writeln!(out, "# Secrets come from the environment: set {}.", variables.join(", "))?;
    }
    for note in &draft.notes {
        writeln!(out, "# {}", one_line(note))?;
    }
    writeln!(out, "scenario: {}", scalar(&draft.name))?;
    if let Some(target) = &draft.target {
        writeln!(out, "target: {}", scalar(target))?;
    }
    if draft.http2 {
        writeln!(out, "http: 2")?;
    }
    if !draft.tls.is_empty() {
        let value = |key: &str, text: &str| if key == "insecure" { text.to_owned() } else { scalar(text) };
        let files: Vec<_> =
            draft.tls.iter().map(|(key, text)| format!("{key}: {}", value(key, text))).collect();
        writeln!(out, "tls: {{{}}}", files.join(", "))?;
    }
    if !draft.routes.is_empty() {
        let routes: Vec<_> = draft.routes.iter().map(|route| quoted(route)).collect();
        writeln!(out, "resolve: [{}]", routes.join(", "))?;
    }
    writeln!(out, "flow:")?;
    if draft.is_choice {
        writeln!(out, "  - one_of:")?;
        for step in &draft.steps {
            writeln!(out, "      - weight: 1\n        flow:")?;
            request(out, step, "          ")?;
        }
    } else {
        for step in &draft.steps {
            request(out, step, "  ")?;
        }
    }
    writeln!(out, "phases:\n  steady: {{executor: constant-vus, vus: 1, duration: 1m}}")
}

fn request(out: &mut String, step: &DraftStep, indent: &str) -> std::fmt::Result {
    if step.think_ms > 0 {
        writeln!(out, "{indent}- think: {}", duration(step.think_ms))?;
    }
    writeln!(out, "{indent}- name: {}", scalar(&step.name))?;
    writeln!(out, "{indent}  {}: {}", step.method.to_ascii_lowercase(), scalar(&step.path))?;
    map(out, "query", &step.query, indent)?;
    map(out, "headers", &step.headers, indent)?;
    match &step.body {
        DraftBody::None => {}
        DraftBody::Json(value) => writeln!(out, "{indent}  json: {}", json(value))?,
        DraftBody::Form(pairs) if pairs.is_empty() => {}
        DraftBody::Form(pairs) => map(out, "form", pairs, indent)?,
        DraftBody::Parts(parts) => {
            writeln!(out, "{indent}  multipart:")?;
            for (name, own) in by_name(parts) {
                let value = match own.as_slice() {
                    [one] => one.clone(),
                    several => format!("[{}]", several.join(", ")),
                };
                entry(out, indent, name, &value)?;
            }
        }
        DraftBody::Text(text) => writeln!(out, "{indent}  body: {}", block(text, indent))?,
    }
    if step.is_stream {
        writeln!(out, "{indent}  stream: sse")?;
    }
    if let Some(ms) = step.timeout_ms {
        writeln!(out, "{indent}  timeout: {}", duration(ms))?;
    }
    if let Some(n) = step.redirects {
        writeln!(out, "{indent}  redirects: {n}")?;
    }
    if let Some(status) = &step.status {
        writeln!(out, "{indent}  check: {{status: {status}}}")?;
    }
    Ok(())
}

/// The parts of each name, in the order of their first ones.
fn by_name(parts: &[(String, Part)]) -> Vec<(&str, Vec<String>)> {
    let (mut groups, mut places) = (Vec::new(), HashMap::new());
    for (name, part) in parts {
        let at = *places.entry(name).or_insert(groups.len());
        if at == groups.len() {
            groups.push((name.as_str(), Vec::new()));
        }
        groups[at].1.push(self::part(part));
    }
    groups
}

/// A part of a form: a text, or a map where there is more to say.
fn part(part: &Part) -> String {
    let (key, value) = match &part.content {
        Content::Text(text) => ("value", text),
        Content::File(path) => ("file", path),
    };
    if key == "value" && part.kind.is_none() && part.file_name.is_none() {
        return quoted(value);
    }
    let kind = part.kind.as_ref().map(|kind| format!(", type: {}", quoted(kind)));
    let name = part.file_name.as_ref().map(|name| format!(", filename: {}", quoted(&literal(name))));
    format!("{{{key}: {}{}{}}}", quoted(value), kind.unwrap_or_default(), name.unwrap_or_default())
}

fn map(out: &mut String, key: &str, pairs: &[(String, String)], indent: &str) -> std::fmt::Result {
    if pairs.is_empty() {
        return Ok(());
    }
    writeln!(out, "{indent}  {key}:")?;
    pairs.iter().try_for_each(|(name, value)| entry(out, indent, name, &quoted(value)))
}

/// The longest key that YAML takes without a question mark before it.
const LONGEST_KEY: usize = 1000;

/// One pair of a mapping below a step's key.
fn entry(out: &mut String, indent: &str, name: &str, value: &str) -> std::fmt::Result {
    let name = scalar(name);
    if name.len() > LONGEST_KEY {
        return writeln!(out, "{indent}    ? {name}\n{indent}    : {value}");
    }
    writeln!(out, "{indent}    {name}: {value}")
}

/// JSON in YAML's flow style: JSON itself, but for what YAML reads otherwise.
fn json(value: &Json) -> String {
    match value {
        Json::Word(word) => word.clone(),
        Json::Text(text) => quoted(text),
        Json::List(items) => format!("[{}]", items.iter().map(json).collect::<Vec<_>>().join(", ")),
        Json::Map(pairs) => {
            let pair = |(k, v): &(String, Json)| {
                let key = quoted(k);
                let mark = if key.len() > LONGEST_KEY { "? " } else { "" };
                format!("{mark}{key}: {}", json(v))
            };
            format!("{{{}}}", pairs.iter().map(pair).collect::<Vec<_>>().join(", "))
        }
    }
}

fn duration(ms: u64) -> String {
    assay_model::duration::format_ms(i64::try_from(ms).unwrap_or(i64::MAX))
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A text without quotes where nothing in it can be taken for anything else.
fn scalar(text: &str) -> String {
    let begins_well = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/');
    let is_tame = text.chars().all(|c| c.is_ascii_alphanumeric() || "/_-.".contains(c));
    let is_word =
        matches!(text.to_ascii_lowercase().as_str(), "true" | "false" | "null" | "yes" | "no" | "on" | "off");
    let is_url = text.split_once("://").is_some_and(|(scheme, rest)| {
        matches!(scheme, "http" | "https")
            && !rest.ends_with(':')
            && rest.chars().all(|c| c.is_ascii_alphanumeric() || "/_-.:".contains(c))
    });
    if (begins_well && is_tame && !is_word) || is_url { text.to_owned() } else { quoted(text) }
}

/// A text as it is best read: several lines in YAML's block style, one with quotes in it in single quotes, where nothing
/// in it could be read otherwise.
fn block(text: &str, indent: &str) -> String {
    let is_plain =
        |c: char| c == '\n' || !c.is_control() && !"\u{2028}\u{2029}\u{feff}\u{fffe}\u{ffff}".contains(c);
    let has_lines = text.contains('\n');
    if !text.chars().all(is_plain) || !has_lines && (text.contains('\'') || !text.contains(['"', '\\'])) {
        return quoted(text);
    }
    if !has_lines {
        return format!("'{text}'");
    }
    let is_blank = |line: &str| !line.is_empty() && line.trim().is_empty();
    if text.starts_with([' ', '\n']) || text.ends_with('\n') || text.lines().any(is_blank) {
        return quoted(text);
    }
    let indented = |line: &str| if line.is_empty() { String::new() } else { format!("{indent}    {line}") };
    format!("|-\n{}", text.split('\n').map(indented).collect::<Vec<_>>().join("\n"))
}

/// A text in double quotes.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // Control characters, the line ends that YAML knows beside those, and what no YAML stream may hold.
            '\u{0}'..='\u{1f}'
            | '\u{7f}'..='\u{9f}'
            | '\u{2028}'
            | '\u{2029}'
            | '\u{feff}'
            | '\u{fffe}'
            | '\u{ffff}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use assay_yaml::Document;

    use super::*;

    #[test]
    fn texts_read_back_as_they_were() {
        for text in [
            "",
            "plain",
            "true",
            "12",
            "- a",
            "a: b",
            "#x",
            "it's",
            "say \"hi\"",
            "back\\slash",
            "two\nlines\r\n",
            "two\n\n  lines # of \"any\": kind ",
            "a\n \nb",
            "a\n\u{85}b",
            " a\nb",
            "a\nb\n",
            "tab\t",
            "\u{0}\u{7f}\u{85}\u{2028}\u{feff}",
            "ünïcode 😀",
            "/a?b=c&d",
            "http://127.0.0.1:8000/x",
            "http://h:",
            " x ",
            "*a",
            "@b",
        ] {
            let yaml = format!("{}: {}\n", scalar(text), quoted(text));
            let document = Document::parse("t", &yaml).unwrap_or_else(|e| panic!("{yaml}: {e}"));
            let [(key, value)] = document.root().as_map().expect("a map") else { panic!("{yaml}") };
            assert_eq!((key.as_str(), value.as_str()), (Some(text), Some(text)), "{yaml}");
            let yaml = format!("- a: {}\n", block(text, "  "));
            let document = Document::parse("t", &yaml).unwrap_or_else(|e| panic!("{yaml}: {e}"));
            let found = document.root().as_seq().and_then(|s| s.first()?.get("a")?.as_str());
            assert_eq!(found, Some(text), "{yaml}");
        }
    }
}
