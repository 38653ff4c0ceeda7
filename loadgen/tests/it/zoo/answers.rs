//! What a model says. Invariant: an answer is the same in every dialect that can say it.

/// An answer, or several (`n`).
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) name: &'static str,
    pub(super) reasoning: &'static [&'static str],
    pub(super) content: &'static [&'static str],
    /// A tool's name, and the pieces of its arguments.
    pub(super) tool: Option<(&'static str, &'static [&'static str])>,
    /// The second answer's pieces, where two were asked for.
    pub(super) second: &'static [&'static str],
}

const PLAIN: Answer =
    Answer { name: "plain", reasoning: &[], content: &["Hel", "lo", " world", "!"], tool: None, second: &[] };

impl Answer {
    pub(super) fn all() -> Vec<Self> {
        vec![
            PLAIN,
            // Pieces of two, three and four bytes, quotes, a backslash, a line end.
            Self {
                name: "unicode", content: &["Grüße ", "漢字", "🙂🙂", "\"q\\u\"", "a\nb", "é"], ..PLAIN
            },
            Self { name: "reasoning", reasoning: &["So", " then"], ..PLAIN },
            Self {
                name: "tool",
                content: &[],
                tool: Some(("look", &["{\"q\":", "\"sepsis\"", "}"])),
                ..PLAIN
            },
            Self { name: "two", second: &["Good", " day"], ..PLAIN },
            Self { name: "silent", content: &[], ..PLAIN },
        ]
    }
}
