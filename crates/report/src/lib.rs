//! Reports, one format a file. Invariant: a report is a function of the verdict (and, for HTML, the charts):
//! none of them measures anything.

use assay_verdict::verdict::{ObjectiveRow, Status, Verdict};

pub mod comparison;
pub mod github;
pub mod html;
pub mod json;
pub mod junit;
pub mod markdown;
pub mod result;
pub mod terminal;
pub mod tests_junit;
pub mod timeline;

/// The mark of a status, for places without colour.
fn mark(status: Status) -> &'static str {
    match status {
        Status::Pass => "✓",
        Status::Fail => "✗",
        Status::Inconclusive => "?",
        Status::Skipped => "–",
    }
}

/// The verdict as a heading: `PASS`, `FAIL`, `INCONCLUSIVE`.
fn headline(verdict: &Verdict) -> String {
    verdict.status.as_str().to_uppercase()
}

/// The measured value, or a dash.
fn measured(row: &ObjectiveRow) -> String {
    row.value.map_or_else(|| "—".to_owned(), |v| assay_verdict::units::quantity(v, &row.unit))
}

/// The comparison with its limit, `< 5 s`.
fn required(row: &ObjectiveRow) -> String {
    let limit = row.limit.map_or_else(|| "—".to_owned(), |v| assay_verdict::units::quantity(v, &row.unit));
    let comparison = match row.comparison.as_str() {
        "<=" => "≤",
        ">=" => "≥",
        "==" => "=",
        "!=" => "≠",
        other => other,
    };
    format!("{comparison} {limit}")
}

/// The judged phase, or "whole run".
fn phase(row: &ObjectiveRow) -> &str {
    row.phase.as_deref().unwrap_or(if row.at_ms == 0 { "—" } else { "whole run" })
}

/// When the run was cut short, in a sentence.
fn cut_short(verdict: &Verdict) -> Option<String> {
    let at = verdict.run.cut_short_ms?;
    Some(format!(
        "The run was cut short: its last sample is of {}. What is judged ends there.",
        assay_verdict::units::timestamp(at)
    ))
}

/// What is left of an error budget, in a few words.
fn budget_text(row: &ObjectiveRow) -> Option<String> {
    let budget = row.budget?;
    let spent = assay_verdict::units::quantity(budget.burn_rate, "ratio");
    let peak = budget.peak_burn_rate.map_or_else(String::new, |p| {
        format!(
            ", worst {} at {} times the allowed rate",
            assay_verdict::units::length(budget.peak_window_ms),
            assay_verdict::units::digits(p)
        )
    });
    Some(format!("error budget spent: {spent}{peak}"))
}
