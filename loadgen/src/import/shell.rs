//! Variables of the shell in a command (`$API_KEY`): the value is not known, and the load reads the variable itself.
//! Invariant: a mark is in no scenario.

/// What stands before a variable's name, and behind it: nobody's characters.
const OPEN: char = '\u{f0000}';
const CLOSE: char = '\u{f0001}';

/// What stands for a variable until the scenario is written.
pub(super) fn marked(name: &str) -> String {
    format!("{OPEN}{name}{CLOSE}")
}

/// Whether a text is a variable and nothing else.
pub(super) fn is_one(text: &str) -> bool {
    text.starts_with(OPEN) && text.ends_with(CLOSE) && text.matches(OPEN).count() == 1
}

/// Whether there is a variable in a text.
pub(super) fn is_in(text: &str) -> bool {
    text.contains(OPEN)
}

/// The names of the variables in a text.
pub(super) fn names(text: &str) -> impl Iterator<Item = &str> {
    text.split(OPEN).skip(1).filter_map(|rest| rest.split_once(CLOSE)).map(|(name, _)| name)
}

/// The text as an expression of a template.
pub(super) fn expression(text: &str) -> String {
    let quoted = |text: &str| format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"));
    let mut parts = Vec::new();
    for (i, piece) in text.split(OPEN).enumerate() {
        let (name, rest) = piece.split_once(CLOSE).filter(|_| i > 0).unwrap_or(("", piece));
        if !name.is_empty() {
            parts.push(format!("env.{name} | default('unset')"));
        }
        if !rest.is_empty() {
            parts.push(quoted(rest));
        }
    }
    parts.join(" ~ ")
}

/// The text with each variable's name in its place.
pub(super) fn named(text: &str) -> String {
    text.replace([OPEN, CLOSE], "")
}
