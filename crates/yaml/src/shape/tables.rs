//! The tables of keys of a reference, in Markdown. Invariant: every shape of a file has one, headed by its title.

use std::fmt::Write as _;

use super::{Fallback, Key, Kind, Part, Shape, reachable};

/// The reference of a file: a section with a table for each shape.
#[must_use]
pub fn reference(root: &'static Shape) -> String {
    let mut out = String::new();
    for part in reachable(root) {
        let shape = part.shape();
        let _ = write!(out, "### {}\n\n{}\n\n", shape.title, shape.about);
        if !shape.one_of.is_empty() {
            let _ = write!(out, "Exactly one of {}.\n\n", words(shape.one_of));
        }
        table(&mut out, shape.keys);
        let Part::Tagged(tagged) = part else { continue };
        for case in tagged.cases {
            let _ = write!(out, "#### `{}: {}`\n\n{}\n\n", tagged.tag, case.name, case.about);
            table(&mut out, case.keys);
        }
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

fn table(out: &mut String, keys: &[Key]) {
    out.push_str("| key | value | without it | example | |\n|---|---|---|---|---|\n");
    for key in keys {
        let default = match key.default {
            Fallback::Required => "required".to_owned(),
            Fallback::Nothing => "–".to_owned(),
            Fallback::Is(value) => code(value),
            Fallback::Words(words) => words.to_owned(),
        };
        let example = code(&format!("{}: {}", key.name, key.example));
        let _ = writeln!(
            out,
            "| `{}` | {} | {default} | {example} | {} |",
            key.name,
            kind(&key.kind),
            key.about.replace('|', "\\|"),
        );
    }
    out.push('\n');
}

/// A value as code in a cell of a table.
fn code(text: &str) -> String {
    format!("`{}`", text.replace('|', "\\|"))
}

fn kind(kind: &Kind) -> String {
    match kind {
        Kind::Text => "text".to_owned(),
        Kind::Special(name) => (*name).to_owned(),
        Kind::Word(list) => words(list),
        Kind::Boolean => "`true` or `false`".to_owned(),
        Kind::Whole(0) => "whole number".to_owned(),
        Kind::Whole(least) => format!("whole number, {least} or more"),
        Kind::Number => "number, 0 or more".to_owned(),
        Kind::Positive => "number above 0".to_owned(),
        Kind::Share => "share from 0 to 1".to_owned(),
        Kind::Duration => "duration".to_owned(),
        Kind::Rate => "rate".to_owned(),
        Kind::Json => "anything".to_owned(),
        Kind::List(inner) => format!("list: {}", self::kind(inner)),
        Kind::Pair(inner) => format!("list of two: {}", self::kind(inner)),
        Kind::OneOrMore(inner) => format!("{}, or a list", self::kind(inner)),
        Kind::Names(keys, inner) => format!("map of {keys}: {}", self::kind(inner)),
        Kind::Map(shape) => link(shape),
        Kind::Tagged(tagged) => link(tagged.common),
        Kind::Change(tagged, by) => {
            format!("{} by its `{}`, with changed keys", link(tagged.common), by.name)
        }
        Kind::Any(kinds) => kinds.iter().map(self::kind).collect::<Vec<_>>().join(", or "),
    }
}

fn link(shape: &Shape) -> String {
    let anchor: String = shape
        .title
        .chars()
        .filter_map(|c| match c {
            ' ' => Some('-'),
            c if c.is_alphanumeric() || c == '-' => Some(c.to_ascii_lowercase()),
            _ => None,
        })
        .collect();
    format!("[{}](#{anchor})", shape.title.to_lowercase())
}

/// `a`, `b` or `c`.
fn words(list: &[&str]) -> String {
    let shown: Vec<String> = list.iter().map(|word| format!("`{word}`")).collect();
    match shown.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => shown.concat(),
    }
}
