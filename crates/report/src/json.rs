//! The verdict as JSON. Invariant: it satisfies `docs/verdict.schema.json` and reads back as the same verdict.

use assay_text::document;
use assay_verdict::verdict::Verdict;

use crate::format::{Format, Render};

pub(crate) const FORMAT: Format = Format {
    name: "json",
    about: "Write the verdict as JSON (docs/verdict.schema.json), of several runs as a list; - for standard output",
    render: Render::Runs(|verdicts, several| {
        Ok(match verdicts {
            [one] if !several => render(one),
            all => render_all(all),
        })
    }),
};

/// The verdict, indented, with a newline at the end.
#[must_use]
pub fn render(verdict: &Verdict) -> String {
    // A verdict holds maps with text keys and numbers only: printing it cannot fail.
    let text = serde_json::to_string_pretty(verdict).unwrap_or_default();
    document(text) + "\n"
}

/// Several verdicts, as a list.
#[must_use]
pub fn render_all(verdicts: &[&Verdict]) -> String {
    let text = serde_json::to_string_pretty(verdicts).unwrap_or_default();
    document(text) + "\n"
}
